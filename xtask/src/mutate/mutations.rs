//! The rules that are broken, one at a time.

use std::fs;
use std::path::Path;

/// One rule, and how it is broken: a text that is there exactly once becomes another.
#[derive(Debug)]
pub(super) struct Mutation {
    pub(super) name: &'static str,
    /// From the root of the workspace.
    pub(super) file: &'static str,
    before: &'static str,
    after: &'static str,
}

impl Mutation {
    /// The text of the file with the mutation.
    pub(super) fn applied(&self, workspace: &Path) -> Result<String, String> {
        let text = fs::read_to_string(workspace.join(self.file));
        let text = text.map_err(|error| format!("{}: {error}", self.file))?;
        let count = text.matches(self.before).count();
        if count == 1 {
            return Ok(text.replace(self.before, self.after));
        }
        let Self { name, file, before, .. } = self;
        Err(format!(
            "mutation {name}: {file} has this {count} times, once is needed; change xtask/src/mutate/mutations.rs:\n{before}"
        ))
    }
}

const TIMERS: &str = "crates/vrrp-fsm/src/timers.rs";
const RECEIVE: &str = "crates/vrrp-fsm/src/receive.rs";
const BACKUP: &str = "crates/vrrp-fsm/src/state/backup.rs";
const MASTER: &str = "crates/vrrp-fsm/src/state/master.rs";
const INITIALIZE: &str = "crates/vrrp-fsm/src/state/initialize.rs";
const EFFECTS: &str = "crates/vrrp-fsm/src/effects.rs";
const ADVERTISEMENT: &str = "crates/vrrp-proto/src/advertisement.rs";

pub(super) const MUTATIONS: [Mutation; 22] = [
    Mutation {
        name: "tie-break",
        file: MASTER,
        before: "(heard.priority, Some(heard.source)) > (self.priority, self.known_as())",
        after: "(heard.priority, self.known_as()) > (self.priority, Some(heard.source))",
    },
    Mutation {
        name: "no-tie-break",
        file: MASTER,
        before: "(heard.priority, Some(heard.source)) > (self.priority, self.known_as())",
        after: "heard.priority > self.priority",
    },
    Mutation {
        name: "skew",
        file: TIMERS,
        before: "(256 - u64::from(priority.get()))",
        after: "(u64::from(priority.get()))",
    },
    Mutation {
        name: "skew-of-own-interval",
        file: BACKUP,
        before: "let down_at = now + self.skew_time(backup.master_adver_interval);",
        after: "let down_at = now + self.skew_time(self.config.advertisement_interval);",
    },
    Mutation {
        name: "master-down-interval",
        file: TIMERS,
        before: "u64::from(missed_advertisements)",
        after: "u64::from(missed_advertisements) + 1",
    },
    Mutation {
        name: "priority-zero",
        file: BACKUP,
        before: "let down_at = now + self.skew_time(backup.master_adver_interval);",
        after: "let down_at = now + self.master_down_interval(backup.master_adver_interval);",
    },
    Mutation {
        name: "priority-zero-of-anyone",
        file: BACKUP,
        before: "if !anyone && !backup.is_master(source) {",
        after: "if anyone && !backup.is_master(source) {",
    },
    Mutation {
        name: "learned-interval",
        file: BACKUP,
        before: "(Version::V3, Some(master)) => master.interval,",
        after: "(Version::V3, Some(_)) => config.advertisement_interval,",
    },
    Mutation {
        name: "preempt-mode",
        file: BACKUP,
        before: "self.config.preempt_mode && !self.recovery.is_unproven()",
        after: "!self.recovery.is_unproven()",
    },
    Mutation {
        name: "preempt-equals",
        file: BACKUP,
        before: "(wanted || self.priority.is_owner()) && master < self.priority",
        after: "(wanted || self.priority.is_owner()) && master <= self.priority",
    },
    Mutation {
        name: "late-wake",
        file: MASTER,
        before: "if late > interval * missable + skew {",
        after: "if late > interval * missable * 100 + skew {",
    },
    Mutation {
        name: "late-wake-of-backup",
        file: BACKUP,
        before: "self.config.late_wake_rule && late > backup.master_adver_interval && self",
        after: "self.config.late_wake_rule && late > backup.master_adver_interval * 100 && self",
    },
    Mutation {
        name: "own-source",
        file: RECEIVE,
        before: "if self.paths.iter().any(|path| path.source == Some(source)) {",
        after: "if self.paths.is_empty() {",
    },
    Mutation {
        name: "immediate-answer",
        file: MASTER,
        before: "if self.config.immediate_answer {",
        after: "if !self.config.immediate_answer {",
    },
    Mutation {
        name: "answer-rate",
        file: MASTER,
        before: "if now < earliest {",
        after: "if now > earliest {",
    },
    Mutation {
        name: "timer-drift",
        file: MASTER,
        before: "let from = if late < interval { master.adver_at } else { now };",
        after: "let from = if late > interval { master.adver_at } else { now };",
    },
    Mutation {
        name: "farewell",
        file: MASTER,
        before: "if farewell == Farewell::PriorityZero {",
        after: "if farewell != Farewell::PriorityZero {",
    },
    Mutation {
        name: "release-order",
        file: INITIALIZE,
        before: "matches!(self.phase, Phase::Initialize) && self.is_released()",
        after: "matches!(self.phase, Phase::Initialize)",
    },
    Mutation {
        name: "promotion-order",
        file: MASTER,
        before: "        self.push_send(now, self.priority);\n        if !awaits_send {\n            self.set_addresses(now, Wanted::All);\n        }\n",
        after: "        if !awaits_send {\n            self.set_addresses(now, Wanted::All);\n        }\n        self.push_send(now, self.priority);\n",
    },
    Mutation {
        name: "stale-effect",
        file: EFFECTS,
        before: "matches!(self.progress, Progress::Pending(_) | Progress::Overdue(_)) && self.id == id",
        after: "matches!(self.progress, Progress::Pending(_) | Progress::Overdue(_)) && self.id >= id",
    },
    Mutation {
        name: "checksum",
        file: ADVERTISEMENT,
        before: "    if right {\n        return Ok(forms);\n    }\n    let found",
        after: "    if right || found != [0; 2] {\n        return Ok(forms);\n    }\n    let found",
    },
    Mutation {
        name: "hop-limit",
        file: RECEIVE,
        before: "                Some(255)\n",
        after: "                Some(254)\n",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;

    #[test]
    fn every_mutation_has_its_place_and_its_own_name() {
        let mut names = MUTATIONS.map(|mutation| mutation.name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        for mutation in &MUTATIONS {
            mutation.applied(&host::workspace()).unwrap();
        }
    }
}
