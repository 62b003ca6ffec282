use core::fmt;
use std::collections::BTreeMap;

/// How often what happened: a campaign that never saw a thing has proved nothing about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<(Subject, &'static str), u64>,
}

/// What a count of a [`Tally`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// Outputs of the machines.
    Output,
    /// Reasons for changes of state.
    Reason,
    /// Datagrams discarded, by the counter they raise.
    Discard,
    /// What the network did to packets.
    Network,
    /// What was done to the routers.
    Fault,
    /// What no protocol can exclude, seen to happen.
    Seen,
    /// Tempting claims, seen to be wrong: each [`Counterexample`](crate::Counterexample).
    Counterexample,
    /// Bounds that were measured and held.
    Bound,
}

impl Subject {
    const fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Reason => "reason",
            Self::Discard => "discard",
            Self::Network => "network",
            Self::Fault => "fault",
            Self::Seen => "seen",
            Self::Counterexample => "counterexample",
            Self::Bound => "bound",
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, subject: Subject, what: &'static str) {
        *self.counts.entry((subject, what)).or_insert(0) += 1;
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, subject: Subject, what: &str) -> u64 {
        // The key's lifetime does not matter to the order of strings.
        self.iter().find(|(s, w, _)| (*s, *w) == (subject, what)).map_or(0, |(.., count)| count)
    }

    /// All counts, ordered by subject and name.
    pub fn iter(&self) -> impl Iterator<Item = (Subject, &'static str, u64)> {
        self.counts.iter().map(|((subject, what), count)| (*subject, *what, *count))
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (key, count) in &other.counts {
            *self.counts.entry(*key).or_insert(0) += count;
        }
    }

    /// Which of `expected` never happened.
    #[must_use]
    pub fn missing<'a>(
        &self,
        expected: impl IntoIterator<Item = (Subject, &'a str)>,
    ) -> Vec<(Subject, &'a str)> {
        expected.into_iter().filter(|(subject, what)| self.count(*subject, what) == 0).collect()
    }
}

/// One count a line.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (subject, what, count) in self.iter() {
            writeln!(f, "{:<14} {what:<34} {count:>12}", subject.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_named() {
        let mut tally = Tally::default();
        tally.add(Subject::Fault, "pause");
        let mut other = tally.clone();
        other.add(Subject::Output, "send");
        tally.merge(&other);
        assert_eq!(tally.count(Subject::Fault, "pause"), 2);
        let expected = [(Subject::Output, "send"), (Subject::Output, "pause")];
        assert_eq!(tally.missing(expected), [(Subject::Output, "pause")]);
        assert_eq!(tally.to_string().lines().count(), 2);
    }
}
