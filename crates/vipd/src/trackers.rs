//! What virtual routers track, and who is told about which result.

use core::time::Duration;
use std::collections::BTreeMap;

use keepalived_conf::{Config, SyncGroup, Track, VrrpInstance, VrrpScript};
use vrrp::{Condition, Tracker, VirtualRouter};

use crate::scripts::TrackedFile;
use crate::scripts::runnable::Rules;
use crate::scripts::tracked::Tracked;

/// Something outside the election that is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A `vrrp_script`.
    Script(String),
    /// A `track_file`.
    File(String),
    /// The link of an interface, which the router itself watches.
    Interface(String),
}

impl core::fmt::Display for Subject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Script(name) => write!(f, "script {name}"),
            Self::File(name) => write!(f, "file {name}"),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

/// One line of `track_...` that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    subject: Subject,
    weight: i16,
    reverse: bool,
    /// Before the first result; `None`: nobody knows.
    initial: Option<Condition>,
}

/// Everything that is tracked in a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trackers {
    /// By virtual router.
    lines: BTreeMap<String, Vec<Line>>,
    /// The scripts that are used.
    pub(crate) scripts: Vec<Tracked>,
    /// The files that are used.
    pub(crate) files: Vec<TrackedFile>,
}

impl Trackers {
    /// Reads what counts; what does not is told of in the log.
    pub(crate) fn of(config: &Config, rules: &Rules) -> Self {
        let mut trackers = Self::default();
        let mut runnable = BTreeMap::new();
        for written in &config.scripts {
            match tracked(written, rules) {
                Ok(tracked) => drop(runnable.insert(written.name.value.as_str(), tracked)),
                Err(error) => log::error!(
                    "vrrp_script {}: {error}; it is left out, and nothing depends on it",
                    written.name.value
                ),
            }
        }
        for instance in &config.vrrp_instances {
            let mut lines = scripts(config, instance, &runnable);
            lines.extend(interfaces(config, instance));
            lines.extend(files(config, instance));
            for line in &lines {
                if let Subject::File(name) = &line.subject {
                    trackers.use_file(config, name);
                }
                let Subject::Script(name) = &line.subject else { continue };
                let known = trackers.scripts.iter().any(|one| one.name == *name);
                if let Some(tracked) = runnable.get(name.as_str()).filter(|_| !known) {
                    trackers.scripts.push(tracked.clone());
                }
            }
            trackers.lines.insert(instance.name.value.clone(), lines);
        }
        trackers
    }

    fn use_file(&mut self, config: &Config, name: &str) {
        let mut files = config.track_files.iter();
        let Some(file) = files.find(|file| file.name.value == name) else { return };
        let Some(path) = &file.path else { return };
        if self.files.iter().all(|one| one.name != name) {
            self.files.push(TrackedFile {
                name: name.to_owned(),
                path: path.value.clone().into(),
                init: file.init.map(|number| (number.value, file.overwrite.is_some())),
            });
        }
    }

    /// The virtual router with what it tracks. After a reload, what has no result yet counts as up: a Master stays Master.
    pub(crate) fn add(&self, name: &str, router: VirtualRouter, reloaded: bool) -> VirtualRouter {
        let lines = self.lines.get(name).into_iter().flatten();
        lines.fold(router, |router, line| {
            let unknown = if reloaded { Condition::Up } else { Condition::Unknown };
            let initial = line.initial.unwrap_or(unknown);
            // The range was seen to when the configuration was read.
            let Ok(tracker) = Tracker::new(line.weight) else { return router };
            let tracker = tracker.reverse(line.reverse);
            match &line.subject {
                Subject::Interface(name) => router.track_interface(name, tracker),
                Subject::Script(_) | Subject::File(_) => {
                    router.track(line.subject.to_string(), tracker.initial(initial))
                }
            }
        })
    }

    /// The virtual routers that track something.
    pub(crate) fn interested<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a str> {
        let tracks = move |lines: &[Line]| lines.iter().any(|line| line.subject == *subject);
        self.lines.iter().filter(move |(_, lines)| tracks(lines)).map(|(name, _)| name.as_str())
    }
}

fn tracked(
    written: &VrrpScript,
    rules: &Rules,
) -> Result<Tracked, crate::scripts::runnable::Refused> {
    let mut command = written.script.clone().unwrap_or_default();
    (command.user, command.group) = (written.user.clone(), written.group.clone());
    let script = rules.runnable(&command)?;
    let interval = written.interval.map_or(Duration::from_secs(1), |interval| interval.value);
    let timeout = written.timeout.map(|timeout| timeout.value);
    Ok(Tracked {
        name: written.name.value.clone(),
        script,
        interval,
        timeout: timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(interval),
        rise: written.rise.map_or(1, |rise| rise.value),
        fall: written.fall.map_or(1, |fall| fall.value),
        init_fail: written.init_fail.is_some_and(|fail| fail.value),
    })
}

/// The scripts of an instance and of its sync group, each once.
fn scripts(
    config: &Config,
    instance: &VrrpInstance,
    runnable: &BTreeMap<&str, Tracked>,
) -> Vec<Line> {
    let name = &instance.name.value;
    let group = group_of(config, name);
    let of_group = group.map(|group| group.track_scripts.as_slice()).unwrap_or_default();
    let mut lines: Vec<Line> = Vec::new();
    for track in instance.track_scripts.iter().chain(of_group) {
        let Some(script) = config.scripts.iter().find(|one| one.name.value == track.name.value)
        else {
            continue;
        };
        let below =
            script.span.file == instance.span.file && script.span.start > instance.span.start;
        let known =
            lines.iter().any(|line| line.subject == Subject::Script(track.name.value.clone()));
        let Some(tracked) = runnable.get(track.name.value.as_str()).filter(|_| !below && !known)
        else {
            continue;
        };
        let (weight, reverse) = weight(track, script);
        if weight != 0 && group.is_some_and(|group| group.tracking_weight.is_none()) {
            log::warn!(
                "{name}: script {} has a weight, which does not count in a sync group; it is left out",
                track.name.value
            );
            continue;
        }
        let initial = tracked.init_fail.then_some(Condition::Down);
        let subject = Subject::Script(track.name.value.clone());
        lines.push(Line { subject, weight, reverse, initial });
    }
    lines
}

/// The interfaces of an instance and of its sync group, each once. Its own one is watched anyway.
fn interfaces(config: &Config, instance: &VrrpInstance) -> Vec<Line> {
    let name = &instance.name.value;
    let group = group_of(config, name);
    let of_group = group.map(|group| group.track_interfaces.as_slice()).unwrap_or_default();
    let own = instance.interface.as_ref().map(|interface| interface.value.as_str());
    let mut lines: Vec<Line> = Vec::new();
    for track in instance.track_interfaces.iter().chain(of_group) {
        let interface = &track.name.value;
        let subject = Subject::Interface(interface.clone());
        if own == Some(interface) || lines.iter().any(|line| line.subject == subject) {
            continue;
        }
        let mut weight = track.weight.map_or(0, |weight| weight.value);
        if weight != 0 && group.is_some_and(|group| group.tracking_weight.is_none()) {
            log::warn!(
                "{name}: the weight of interface {interface} does not count in a sync group; its loss is a fault"
            );
            weight = 0;
        }
        let reverse = track.reverse.is_some();
        lines.push(Line { subject, weight, reverse, initial: None });
    }
    lines
}

/// The files of an instance and of its sync group, each once. Each unit of the number in one counts the weight once.
fn files(config: &Config, instance: &VrrpInstance) -> Vec<Line> {
    let name = &instance.name.value;
    let group = group_of(config, name);
    let of_group = group.map(|group| group.track_files.as_slice()).unwrap_or_default();
    let mut lines: Vec<Line> = Vec::new();
    for track in instance.track_files.iter().chain(of_group) {
        let file = config.track_files.iter().find(|one| one.name.value == track.name.value);
        let subject = Subject::File(track.name.value.clone());
        let known = lines.iter().any(|line| line.subject == subject);
        let Some(file) = file.filter(|file| file.path.is_some() && !known) else { continue };
        let written = track.weight.or(file.weight).map(|weight| weight.value);
        let own = if track.weight.is_some() { track.reverse } else { file.reverse };
        let mut weight = written.unwrap_or(1);
        if group.is_some_and(|group| group.tracking_weight.is_none()) {
            if written.is_some_and(|weight| weight != 0) {
                log::warn!(
                    "{name}: file {} has a weight, which does not count in a sync group; it is left out",
                    track.name.value
                );
                continue;
            }
            weight = 0;
        }
        // A file that is not there counts as 0: nobody has to wait for it.
        let initial = Some(Condition::Value(0));
        lines.push(Line { subject, weight, reverse: own.is_some(), initial });
    }
    lines
}

/// What is written at the use stands over what is written at the script.
fn weight(track: &Track, script: &VrrpScript) -> (i16, bool) {
    match track.weight {
        Some(weight) => (weight.value, track.reverse.is_some()),
        None => (
            script.weight.map_or(0, |weight| weight.value),
            script.reverse.is_some() || track.reverse.is_some(),
        ),
    }
}

/// The sync group that counts for an instance.
pub(crate) fn group_of<'a>(config: &'a Config, instance: &str) -> Option<&'a SyncGroup> {
    let groups = config.effective_sync_groups();
    let (name, _) = groups.into_iter().find(|(_, members)| members.contains(&instance))?;
    config.sync_groups.iter().find(|group| group.name.value == name)
}
