//! Who is told about a change: keepalived's scripts with its arguments, and its lines for FIFOs.

mod servers;

use std::path::PathBuf;

use keepalived_conf::{Command, Config, Notify};
use vrrp::{Event, EventKind, Fault, Reason, State};

use crate::scripts::runnable::{Rules, Runnable};
use crate::scripts::{FifoKind, Notification, Scripts};

pub(crate) use servers::Servers;

/// keepalived's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Master,
    Backup,
    Fault,
    Stop,
    Deleted,
    MasterRxLowerPri,
}

impl Word {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
            Self::MasterRxLowerPri => "MASTER_RX_LOWER_PRI",
        }
    }

    const fn of(state: State) -> Self {
        match state {
            State::Master => Self::Master,
            State::Backup => Self::Backup,
            State::Initialize => Self::Fault,
        }
    }
}

/// The scripts of one instance or group.
#[derive(Clone, Debug, Default)]
struct Targets {
    any: Option<Runnable>,
    by_word: Vec<(Word, Runnable)>,
    /// `notify_deleted` without a script.
    tells_deletion: bool,
}

#[derive(Clone, Debug)]
struct Object {
    name: String,
    is_group: bool,
    targets: Targets,
    /// The last word that was told.
    told: Option<Word>,
    priority: u8,
}

/// All of a configuration. What is told is told in the order of the events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notifier {
    instances: Vec<Object>,
    groups: Vec<Object>,
    pub(crate) fifos: Vec<(FifoKind, PathBuf)>,
}

impl Notifier {
    pub(crate) fn of(config: &Config, rules: &Rules) -> Self {
        let running = config.vrrp_instances.iter().filter(|one| !one.virtual_addresses.is_empty());
        let instances = running.map(|instance| Object {
            name: instance.name.value.clone(),
            is_group: false,
            targets: targets(&instance.name.value, &instance.notify, rules),
            told: None,
            priority: instance.effective_priority(),
        });
        let groups = crate::instances::sync_groups(config);
        let groups = config
            .sync_groups
            .iter()
            .filter(|group| groups.iter().any(|(name, _)| *name == group.name.value));
        let groups = groups.map(|group| Object {
            name: group.name.value.clone(),
            is_group: true,
            targets: targets(&group.name.value, &group.notify, rules),
            told: None,
            priority: 0,
        });
        let fifo = |kind, written: &Option<keepalived_conf::Spanned<String>>| {
            written.as_ref().map(|path| (kind, PathBuf::from(&path.value)))
        };
        let fifos = [
            fifo(FifoKind::All, &config.global.notify_fifo),
            fifo(FifoKind::Vrrp, &config.global.vrrp_notify_fifo),
            fifo(FifoKind::Lvs, &config.global.lvs_notify_fifo),
        ];
        Self {
            instances: instances.collect(),
            groups: groups.collect(),
            fifos: fifos.into_iter().flatten().collect(),
        }
    }

    /// Another configuration: what was told last stays known. Those that are gone are told of.
    pub(crate) fn replace(&mut self, mut new: Self, scripts: &Scripts) {
        for object in new.instances.iter_mut().chain(&mut new.groups) {
            let mut former = self.instances.iter().chain(&self.groups);
            let same = |one: &&Object| one.name == object.name && one.is_group == object.is_group;
            object.told = former.find(same).and_then(|former| former.told);
        }
        for gone in &mut self.instances {
            if !new.instances.iter().any(|one| one.name == gone.name) {
                let deleted = gone.targets.tells_deletion;
                gone.tell(if deleted { Word::Deleted } else { Word::Fault }, scripts);
            }
        }
        *self = new;
    }

    /// What follows from an event of a router.
    #[expect(clippy::wildcard_enum_match_arm, reason = "of most events nobody is told")]
    pub(crate) fn handle(&mut self, event: &Event, scripts: &Scripts) {
        let name = event.virtual_router.as_ref();
        match &event.kind {
            // Who is released by order is told of by the one who ordered it. Waiting for a first result, or for the others of a group
            // that start, is no fault yet.
            EventKind::StateChanged { to: State::Initialize, reason: Reason::Shutdown, .. }
            | EventKind::Fault(Fault::TrackerUnknown | Fault::NotReady | Fault::SyncGroup) => {}
            EventKind::StateChanged { to, priority, .. } => {
                if let Some(object) = find(&mut self.instances, name) {
                    object.priority = priority.get();
                    object.change(Word::of(*to), scripts);
                }
            }
            EventKind::SyncGroupChanged { to, .. } => {
                if let Some(group) = find(&mut self.groups, name) {
                    group.change(Word::of(*to), scripts);
                }
            }
            // After a state the change to the next one tells.
            EventKind::Fault(_) => {
                if let Some(object) =
                    find(&mut self.instances, name).filter(|one| one.told.is_none())
                {
                    object.change(Word::Fault, scripts);
                }
            }
            EventKind::Contended { .. } => {
                if let Some(object) = find(&mut self.instances, name) {
                    object.tell(Word::MasterRxLowerPri, scripts);
                }
            }
            _ => {}
        }
    }

    /// An operator has taken it out of the election.
    pub(crate) fn resign(&mut self, name: &str, scripts: &Scripts) {
        if let Some(object) = find(&mut self.instances, name) {
            object.change(Word::Stop, scripts);
        }
    }

    /// Everything has been released.
    pub(crate) fn stop(&mut self, scripts: &Scripts) {
        for object in self.instances.iter_mut().chain(&mut self.groups) {
            object.tell(Word::Stop, scripts);
        }
    }
}

fn find<'a>(objects: &'a mut [Object], name: &str) -> Option<&'a mut Object> {
    objects.iter_mut().find(|object| object.name == name)
}

impl Object {
    fn change(&mut self, word: Word, scripts: &Scripts) {
        if self.told != Some(word) {
            self.told = Some(word);
            self.tell(word, scripts);
        }
    }

    /// The script of this word, then the one of all words; the line for FIFOs.
    fn tell(&self, word: Word, scripts: &Scripts) {
        let kind = if self.is_group { "GROUP" } else { "INSTANCE" };
        let (name, priority) = (&self.name, self.priority);
        scripts.write(FifoKind::Vrrp, format!("{kind} \"{name}\" {} {priority}\n", word.as_str()));
        let object = format!("{} {name}", kind.to_lowercase());
        let own = self.targets.by_word.iter().find(|(one, _)| *one == word);
        if let Some((_, script)) = own {
            scripts.notify(Notification {
                object: object.clone(),
                script: script.clone(),
                arguments: Vec::new(),
            });
        }
        // keepalived does not tell this word to the script of all states.
        let any = self.targets.any.as_ref().filter(|_| word != Word::MasterRxLowerPri);
        if let Some(script) = any {
            let arguments = [kind, name, word.as_str()].map(ToOwned::to_owned);
            let arguments = arguments.into_iter().chain([priority.to_string()]).collect();
            scripts.notify(Notification { object, script: script.clone(), arguments });
        }
    }
}

fn targets(name: &str, notify: &Notify, rules: &Rules) -> Targets {
    let runnable = |command: &Option<Command>| {
        let command = command.as_ref()?;
        let refused = |error| {
            let shown = command.words.join(" ");
            log::error!("{name}: the notify script `{shown}` is left out: {error}");
        };
        rules.runnable(command).map_err(refused).ok()
    };
    let words = [
        (Word::Master, &notify.master),
        (Word::Backup, &notify.backup),
        (Word::Fault, &notify.fault),
        (Word::Stop, &notify.stop),
        (Word::Deleted, &notify.deleted),
        (Word::MasterRxLowerPri, &notify.master_rx_lower_pri),
    ];
    let by_word = words.into_iter().filter_map(|(word, command)| Some((word, runnable(command)?)));
    Targets {
        any: runnable(&notify.any),
        by_word: by_word.collect(),
        tells_deletion: notify.tells_deletion.is_some(),
    }
}
