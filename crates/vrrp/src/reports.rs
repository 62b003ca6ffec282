//! How often a cause of discards, or a difference, is told of, so that no sender can fill the log.

use core::time::Duration;
use std::collections::BTreeMap;

use vrrp_fsm::{Counter, Instant, Statistics};

use crate::event::Difference;

/// The least time between two reports of the same cause.
const PERIOD: Duration = Duration::from_secs(60);

/// When which cause was told of last.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    told: BTreeMap<Counter, Instant>,
    differences: BTreeMap<Difference, Instant>,
}

impl Reports {
    /// Whether a discard of this cause is to be told of now; then it counts as told.
    pub(crate) fn is_due(&mut self, now: Instant, cause: Counter) -> bool {
        // Every start hears the Master before it takes part, and who speaks both versions is heard in both; that is no
        // news. A conflict has an event of its own.
        let told_otherwise = matches!(
            cause,
            Counter::NotRunning | Counter::AlsoInVersion3 | Counter::AddressConflict
        );
        !told_otherwise && is_due(&mut self.told, now, cause)
    }

    /// The same for an advertisement that is used although it differs from our configuration.
    pub(crate) fn is_difference_due(&mut self, now: Instant, difference: Difference) -> bool {
        is_due(&mut self.differences, now, difference)
    }
}

fn is_due<K: Ord>(told: &mut BTreeMap<K, Instant>, now: Instant, what: K) -> bool {
    let due = told.get(&what).is_none_or(|told| now >= *told + PERIOD);
    if due {
        told.insert(what, now);
    }
    due
}

/// How many advertisements so far differed from our configuration, and were used all the same.
pub(crate) const fn differences(statistics: &Statistics) -> [(Difference, u64); 2] {
    [
        (Difference::AddressList, statistics.address_list_noted),
        (Difference::Interval, statistics.interval_noted),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_difference_and_then_one_a_minute() {
        let mut reports = Reports::default();
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut due = |seconds, difference| reports.is_difference_due(at(seconds), difference);
        assert!(due(1, Difference::Interval));
        assert!(due(1, Difference::AddressList), "another one");
        assert!(!due(60, Difference::Interval));
        assert!(due(61, Difference::Interval));
        assert!(!due(120, Difference::Interval));
    }

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
        assert!(!reports.is_due(at(1), Counter::AlsoInVersion3));
        assert!(!reports.is_due(at(1), Counter::AddressConflict));
    }
}
