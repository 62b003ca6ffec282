//! The wish for the virtual addresses, what became of it, and when to try again.

use core::time::Duration;

use crate::{EffectId, Instant, Wanted};

/// How the latest [`Output::SetAddresses`](crate::Output::SetAddresses) fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Effects {
    wanted: Wanted,
    id: EffectId,
    progress: Progress,
    /// Failures of this wish so far.
    failures: u32,
    /// When this wish came up.
    since: Instant,
    /// Whether addresses were deleted by someone else while they were being installed.
    lost_meanwhile: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Progress {
    Done,
    /// Handed out at this moment, no answer yet.
    Pending(Instant),
    /// Failed; to be handed out again at this moment.
    RetryAt(Instant),
    /// The same, because no answer has come. It may still come.
    Overdue(Instant),
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    Retry,
    GiveUp,
}

impl Effects {
    /// Nothing is installed and nothing wanted.
    pub(crate) const fn new() -> Self {
        Self {
            wanted: Wanted::None,
            id: EffectId::first(),
            progress: Progress::Done,
            failures: 0,
            since: Instant::ZERO,
            lost_meanwhile: false,
        }
    }

    /// See [`VirtualRouter::canonicalize`](crate::VirtualRouter::canonicalize).
    pub(crate) fn canonicalize(&mut self, now: Instant) {
        let Self { wanted, id, progress, failures, since, lost_meanwhile: _ } = self;
        *id = EffectId::canonical();
        match progress {
            Progress::Done => {
                *failures = 0;
                *since = (*since).max(now.saturating_sub(REINSTALL_INTERVAL));
            }
            Progress::Pending(at) | Progress::RetryAt(at) | Progress::Overdue(at) => {
                at.canonicalize(now);
            }
        }
        if *wanted == Wanted::None {
            *failures = (*failures).min(REMOVE_RETRY_DOUBLINGS + 1);
            *since = now;
        }
        since.canonicalize(now);
    }

    pub(crate) fn pending(&self) -> Option<EffectId> {
        self.is_pending(self.id).then_some(self.id)
    }

    pub(crate) const fn wanted(&self) -> Wanted {
        self.wanted
    }

    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the latest wish is fulfilled.
    pub(crate) fn is_done(&self) -> bool {
        self.progress == Progress::Done
    }

    /// Whether `id` is the wish that is waited for.
    pub(crate) fn is_pending(&self, id: EffectId) -> bool {
        matches!(self.progress, Progress::Pending(_) | Progress::Overdue(_)) && self.id == id
    }

    /// Whether it has already counted as failed, for want of an answer.
    pub(crate) const fn is_overdue(&self) -> bool {
        matches!(self.progress, Progress::Overdue(_))
    }

    /// When a wish that has no answer counts as failed.
    pub(crate) fn unanswered_at(&self, deadline: Duration) -> Option<Instant> {
        match self.progress {
            Progress::Pending(since) => Some(since + deadline),
            Progress::Done | Progress::RetryAt(_) | Progress::Overdue(_) => None,
        }
    }

    pub(crate) const fn retry_at(&self) -> Option<Instant> {
        match self.progress {
            Progress::RetryAt(at) | Progress::Overdue(at) => Some(at),
            Progress::Done | Progress::Pending(_) => None,
        }
    }

    /// A new wish, which supersedes the former one; returns its id.
    pub(crate) fn wish(&mut self, now: Instant, wanted: Wanted) -> EffectId {
        self.wanted = wanted;
        self.failures = 0;
        self.since = now;
        self.lost_meanwhile = false;
        self.hand_out(now)
    }

    /// The same wish once more.
    pub(crate) fn hand_out(&mut self, now: Instant) -> EffectId {
        self.id = self.id.next();
        self.progress = Progress::Pending(now);
        self.id
    }

    pub(crate) fn succeeded(&mut self) {
        self.progress = Progress::Done;
        self.failures = 0;
    }

    /// Someone else deleted addresses that are wanted: the id under which to install them again,
    /// unless that is under way or was done a moment ago. Whoever deletes them in a loop does not
    /// keep us busy.
    pub(crate) fn lost(&mut self, now: Instant) -> Option<EffectId> {
        match self.progress {
            Progress::Pending(_) => self.lost_meanwhile = true,
            Progress::RetryAt(_) | Progress::Overdue(_) => {}
            Progress::Done if now >= self.since + REINSTALL_INTERVAL => {
                return Some(self.wish(now, self.wanted));
            }
            Progress::Done => self.reinstall_later(now),
        }
        None
    }

    pub(crate) fn reinstall_if_lost_meanwhile(&mut self, now: Instant) {
        if core::mem::take(&mut self.lost_meanwhile) {
            self.reinstall_later(now);
        }
    }

    fn reinstall_later(&mut self, now: Instant) {
        self.since = now + REINSTALL_INTERVAL;
        self.progress = Progress::RetryAt(self.since);
    }

    /// No answer has come in time.
    pub(crate) fn unanswered(&mut self, now: Instant, interval: Duration) -> AfterFailure {
        let after = self.failed(now, interval);
        if let Progress::RetryAt(at) = self.progress {
            self.progress = Progress::Overdue(at);
        }
        after
    }

    /// Installing is tried for one advertisement interval, and at least twice; removing until it
    /// succeeds.
    pub(crate) fn failed(&mut self, now: Instant, interval: Duration) -> AfterFailure {
        self.failures = self.failures.saturating_add(1);
        match self.wanted {
            Wanted::All => {
                let give_up_at = self.since + interval;
                if now >= give_up_at && self.failures > 1 {
                    self.progress = Progress::Done;
                    return AfterFailure::GiveUp;
                }
                let retry_at = (now + interval / INSTALL_RETRIES).min(give_up_at);
                self.progress = Progress::RetryAt(retry_at.max(now + MIN_RETRY));
            }
            Wanted::None => {
                let doublings = (self.failures - 1).min(REMOVE_RETRY_DOUBLINGS);
                self.progress = Progress::RetryAt(now + REMOVE_RETRY * (1 << doublings));
            }
        }
        AfterFailure::Retry
    }
}

/// Attempts to install within one advertisement interval.
const INSTALL_RETRIES: u32 = 8;
/// At most one installation of addresses that others delete in this time.
const REINSTALL_INTERVAL: Duration = Duration::from_millis(100);
const MIN_RETRY: Duration = Duration::from_millis(1);
/// First pause before removing is tried again; it doubles up to 6.4 s.
const REMOVE_RETRY: Duration = Duration::from_millis(50);
const REMOVE_RETRY_DOUBLINGS: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn installing_is_given_up_after_one_interval() {
        let mut effects = Effects::new();
        let start = Instant::from_nanos(7);
        let mut now = start;
        effects.wish(now, Wanted::All);
        let mut attempts = 0;
        while effects.failed(now, SECOND) == AfterFailure::Retry {
            now = effects.retry_at().unwrap();
            effects.hand_out(now);
            attempts += 1;
        }
        assert_eq!(attempts, 8);
        assert_eq!(now, start + SECOND);
    }

    #[test]
    fn installing_is_tried_twice_even_if_the_first_attempt_takes_longer_than_the_interval() {
        let mut effects = Effects::new();
        effects.wish(Instant::ZERO, Wanted::All);
        let late = Instant::ZERO + 5 * SECOND;
        assert_eq!(effects.failed(late, SECOND), AfterFailure::Retry);
        assert_eq!(effects.retry_at(), Some(late + MIN_RETRY));
        assert_eq!(effects.failed(late, SECOND), AfterFailure::GiveUp);
    }

    #[test]
    fn removing_is_never_given_up_and_backs_off() {
        let mut effects = Effects::new();
        effects.wish(Instant::ZERO, Wanted::None);
        let mut pauses = Vec::new();
        for _ in 0..100 {
            assert_eq!(effects.failed(Instant::ZERO, SECOND), AfterFailure::Retry);
            pauses.push(effects.retry_at().unwrap().as_nanos() / 1_000_000);
        }
        assert_eq!(pauses[..4], [50, 100, 200, 400]);
        assert_eq!(pauses[99], 6_400);
    }
}
