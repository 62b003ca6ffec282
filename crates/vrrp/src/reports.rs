//! How often a cause of discards is told of, so that no sender can fill the log.

use core::time::Duration;
use std::collections::BTreeMap;

use vrrp_fsm::{Counter, Instant};

/// The least time between two reports of the same cause.
const PERIOD: Duration = Duration::from_secs(60);

/// When which cause was told of last.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    told: BTreeMap<Counter, Instant>,
}

impl Reports {
    /// Whether a discard of this cause is to be told of now; then it counts as told.
    pub(crate) fn is_due(&mut self, now: Instant, cause: Counter) -> bool {
        // Every start hears the Master before it takes part; that is no news.
        let due = cause != Counter::NotRunning
            && self.told.get(&cause).is_none_or(|told| now >= *told + PERIOD);
        if due {
            self.told.insert(cause, now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_cause_and_then_one_a_minute() {
        let mut reports = Reports::default();
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        assert!(reports.is_due(at(1), Counter::Checksum));
        assert!(!reports.is_due(at(1), Counter::Checksum));
        assert!(reports.is_due(at(2), Counter::Version), "another cause");
        assert!(!reports.is_due(at(60), Counter::Checksum));
        assert!(reports.is_due(at(61), Counter::Checksum));
        assert!(!reports.is_due(at(120), Counter::Checksum));
        assert!(!reports.is_due(at(1), Counter::NotRunning));
    }
}
