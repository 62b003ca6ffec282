//! What a campaign has seen: faults survived, by kind.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kind::Kind;

/// Of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) survived: usize,
    pub(crate) void: usize,
    pub(crate) failed: usize,
    /// From the end of the fault until nothing changed any more, of those that were survived.
    settled: Vec<Duration>,
}

/// Of all kinds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(BTreeMap<Kind, Count>);

impl Tally {
    pub(crate) fn of(&mut self, kind: Kind) -> &mut Count {
        self.0.entry(kind).or_default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (kind, count) in other.0 {
            let sum = self.of(kind);
            sum.survived += count.survived;
            sum.void += count.void;
            sum.failed += count.failed;
            sum.settled.extend(count.settled);
        }
    }

    pub(crate) fn total(&self, which: impl Fn(&Count) -> usize) -> usize {
        self.0.values().map(which).sum()
    }

    /// Those of `kinds` that were never survived.
    pub(crate) fn missing(&self, kinds: &[Kind]) -> Vec<String> {
        let survived = |kind: &&Kind| self.0.get(kind).is_some_and(|count| count.survived > 0);
        kinds.iter().filter(|kind| !survived(kind)).map(|kind| kind.name()).collect()
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<18}{:>9}{:>6}{:>8}{:>16}{:>12}",
            "fault", "survived", "void", "failed", "settled (median)", "(longest)"
        );
        for (kind, count) in &self.0 {
            let mut settled = count.settled.clone();
            settled.sort_unstable();
            let median = settled.get(settled.len() / 2).copied().unwrap_or_default();
            let longest = settled.last().copied().unwrap_or_default();
            println!(
                "{:<18}{:>9}{:>6}{:>8}{:>13} ms{:>9} ms",
                kind.name(),
                count.survived,
                count.void,
                count.failed,
                median.as_millis(),
                longest.as_millis()
            );
        }
        println!(
            "{:<18}{:>9}{:>6}{:>8}",
            "all",
            self.total(|count| count.survived),
            self.total(|count| count.void),
            self.total(|count| count.failed)
        );
    }
}

impl Count {
    pub(crate) fn survive(&mut self, settled: Duration) {
        self.survived += 1;
        self.settled.push(settled);
    }
}
