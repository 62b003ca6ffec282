//! The sync daemon that is ours: journalled like a service.

use std::collections::BTreeSet;

use ipvs::{Command, SyncDaemon, SyncRole};
use journal::Journal;

use super::{Foreign, Refusals};
use crate::kernel::{Kernel, KernelError};

/// How a journal entry of a daemon begins; its role follows.
const DAEMON: &str = "sync daemon ";

/// What shall run.
#[derive(Debug, Default, PartialEq, Eq)]
enum Wanted {
    /// Not decided yet: what a predecessor has left runs on.
    #[default]
    Undecided,
    Nothing,
    Daemon(SyncDaemon),
}

/// What shall run, and what does.
#[derive(Debug, Default)]
pub(crate) struct Daemon {
    /// The roles of the daemons that we have started or may have started; the journal lists the same.
    owned: BTreeSet<SyncRole>,
    wanted: Wanted,
    /// What was asked for last is not known to be there.
    in_doubt: bool,
}

impl Daemon {
    pub(crate) fn left_by(journal: &[String]) -> Self {
        Self { owned: journal.iter().filter_map(|entry| role(entry)).collect(), ..Self::default() }
    }

    pub(crate) fn knows(entry: &str) -> bool {
        role(entry).is_some()
    }

    pub(crate) fn want(&mut self, daemon: Option<SyncDaemon>) {
        let wanted = daemon.map_or(Wanted::Nothing, Wanted::Daemon);
        if self.wanted != wanted {
            self.in_doubt = wanted != Wanted::Nothing || !self.owned.is_empty();
            self.wanted = wanted;
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        self.in_doubt
    }

    pub(crate) fn doubt(&mut self) {
        self.in_doubt = matches!(self.wanted, Wanted::Daemon(_));
    }

    pub(crate) fn abandon(&mut self) {
        *self = Self::default();
    }

    /// Stops ours and starts the wanted one, one at a time; returns what the kernel refused.
    pub(crate) fn converge(
        &mut self,
        kernel: &mut dyn Kernel,
        journal: &mut Journal,
        foreign: Foreign,
    ) -> Result<Refusals, KernelError> {
        let wanted = match &self.wanted {
            _ if !self.in_doubt => return Ok(Vec::new()),
            Wanted::Undecided => return Ok(Vec::new()),
            Wanted::Nothing => None,
            Wanted::Daemon(daemon) => Some(daemon),
        };
        let running = kernel.daemons()?;
        let mut refused = Vec::new();
        let mut serves = false;
        for daemon in running {
            let role = daemon.role;
            let is_wanted = wanted.is_some_and(|wanted| is_as(&daemon, wanted));
            let same_role = wanted.is_some_and(|wanted| wanted.role == role);
            if is_wanted && (self.owned.contains(&role) || foreign == Foreign::Adopt) {
                serves = true;
            } else if self.owned.contains(&role) || (same_role && foreign == Foreign::Adopt) {
                refused.extend(refusal(kernel, Command::StopDaemon(role)));
            }
        }
        if let Some(daemon) = wanted {
            // Written down before it is started. A journal that cannot be written keeps it from being ours, so it is not started.
            if !self.owned.contains(&daemon.role) {
                if let Err(error) = journal.record(&entry(daemon.role)) {
                    let command = Command::StartDaemon(daemon.clone());
                    let error = KernelError::not_recorded(&command, &error);
                    return Ok(vec![(command, error)]);
                }
                self.owned.insert(daemon.role);
            }
            if !serves && refused.is_empty() {
                let refusal = refusal(kernel, Command::StartDaemon(daemon.clone()));
                if refusal.is_some() {
                    // Somebody else's runs, or none: not ours.
                    self.owned.remove(&daemon.role);
                    drop(journal.forget(&entry(daemon.role)));
                }
                refused.extend(refusal);
            }
        }
        if refused.is_empty() {
            let keep = wanted.map(|daemon| daemon.role);
            let gone: Vec<_> =
                self.owned.iter().filter(|role| Some(**role) != keep).copied().collect();
            for gone in gone {
                self.owned.remove(&gone);
                // An entry that stays makes a successor look once more.
                drop(journal.forget(&entry(gone)));
            }
            self.in_doubt = false;
        }
        Ok(refused)
    }
}

/// Whether a daemon is what is wanted; the kernel fills in what was left to it.
fn is_as(running: &SyncDaemon, wanted: &SyncDaemon) -> bool {
    fn left<T: PartialEq>(wanted: Option<&T>, running: Option<&T>) -> bool {
        wanted.is_none() || wanted == running
    }
    running.role == wanted.role
        && running.interface == wanted.interface
        && running.sync_id == wanted.sync_id
        && left(wanted.max_message_len.as_ref(), running.max_message_len.as_ref())
        && left(wanted.group.as_ref(), running.group.as_ref())
        && left(wanted.port.as_ref(), running.port.as_ref())
        && left(wanted.ttl.as_ref(), running.ttl.as_ref())
}

fn refusal(kernel: &mut dyn Kernel, command: Command) -> Option<(Command, KernelError)> {
    let result = kernel.execute(core::slice::from_ref(&command)).pop()?;
    result.err().map(|error| (command, error))
}

fn entry(role: SyncRole) -> String {
    format!("{DAEMON}{role}")
}

fn role(entry: &str) -> Option<SyncRole> {
    match entry.strip_prefix(DAEMON)? {
        "master" => Some(SyncRole::Master),
        "backup" => Some(SyncRole::Backup),
        _ => None,
    }
}
