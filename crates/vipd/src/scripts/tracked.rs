//! A tracked script: when it runs, and what its results amount to.

use core::time::Duration;
use std::time::Instant;

use vrrp::Condition;

use super::runnable::Runnable;

/// A `vrrp_script` that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tracked {
    pub(crate) name: String,
    pub(crate) script: Runnable,
    /// From the start of one run to the start of the next.
    pub(crate) interval: Duration,
    /// How long one may run.
    pub(crate) timeout: Duration,
    /// So many successes in a row make it up.
    pub(crate) rise: u32,
    /// So many failures in a row make it down.
    pub(crate) fall: u32,
    /// Down until it has risen, before any result.
    pub(crate) init_fail: bool,
}

/// How one stands. keepalived's rule: of `rise + fall` steps the upper `fall` are up; a first result decides at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    step: u32,
    told: Condition,
}

impl Standing {
    pub(crate) const fn new(tracked: &Tracked) -> Self {
        if tracked.init_fail {
            Self { step: 0, told: Condition::Down }
        } else {
            Self { step: tracked.rise.saturating_sub(1), told: Condition::Unknown }
        }
    }

    /// After a reload: up until it has run.
    pub(crate) fn assumed(tracked: &Tracked) -> Self {
        Self {
            step: tracked.rise.saturating_add(tracked.fall).saturating_sub(1),
            told: Condition::Up,
        }
    }

    /// The same standing under other numbers.
    pub(crate) fn scaled(self, tracked: &Tracked) -> Self {
        match self.told {
            Condition::Up => Self::assumed(tracked),
            Condition::Down => Self { step: 0, told: Condition::Down },
            Condition::Unknown | Condition::Value(_) => Self::new(tracked),
        }
    }

    pub(crate) const fn condition(self) -> Condition {
        self.told
    }

    /// Takes a result; the condition if it is another one now.
    pub(crate) fn handle(&mut self, tracked: &Tracked, success: bool) -> Option<Condition> {
        let top = tracked.rise.saturating_add(tracked.fall).saturating_sub(1);
        let undecided = self.told == Condition::Unknown;
        if success {
            self.step = if self.step + 1 >= tracked.rise { top } else { self.step + 1 };
        } else if undecided || self.step <= tracked.rise {
            self.step = 0;
        } else {
            self.step -= 1;
        }
        let now = if self.step >= tracked.rise { Condition::Up } else { Condition::Down };
        let undecided = undecided && success && now == Condition::Down;
        if now == self.told || undecided {
            return None;
        }
        self.told = now;
        Some(now)
    }
}

/// When the next run is due, after one that was due at `due` has been started, or was left out because the last one still runs.
pub(crate) fn next_run(due: Instant, interval: Duration, now: Instant) -> Instant {
    let next = due + interval;
    // After a pause not all that were missed.
    if next > now { next } else { now + interval }
}

#[cfg(test)]
mod tests {
    use healthcheck::process::Program;

    use super::*;

    fn tracked(rise: u32, fall: u32, init_fail: bool) -> Tracked {
        Tracked {
            name: "chk".into(),
            script: Runnable { program: Program::new("/bin/true") },
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise,
            fall,
            init_fail,
        }
    }

    fn results(tracked: &Tracked, mut standing: Standing, results: &str) -> String {
        let mut told = String::new();
        for result in results.chars() {
            told.push(match standing.handle(tracked, result == '+') {
                Some(Condition::Up) => 'U',
                Some(_) => 'D',
                None => '.',
            });
        }
        told
    }

    #[test]
    fn rise_and_fall() {
        let simple = tracked(1, 1, false);
        assert_eq!(results(&simple, Standing::new(&simple), "++-+--"), "U.DUD.");
        let slow = tracked(3, 2, false);
        // One success is enough at first, and one failure.
        assert_eq!(results(&slow, Standing::new(&slow), "+--"), "U.D");
        assert_eq!(results(&slow, Standing::new(&slow), "-++-+++"), "D.....U");
        assert_eq!(results(&slow, Standing::new(&slow), "+-+--"), "U...D");
        let failed = tracked(2, 1, true);
        assert_eq!(results(&failed, Standing::new(&failed), "+-++"), "...U");
    }

    #[test]
    fn a_reload_keeps_what_is_known() {
        let before = tracked(3, 2, false);
        let mut standing = Standing::new(&before);
        assert_eq!(standing.handle(&before, true), Some(Condition::Up));
        let after = tracked(1, 4, false);
        let standing = standing.scaled(&after);
        assert_eq!(results(&after, standing, "---+----"), ".......D");
    }

    #[test]
    fn a_pause_is_not_caught_up_with() {
        let now = reactor::Clock::now();
        let second = Duration::from_secs(1);
        assert_eq!(next_run(now, second, now), now + second);
        assert_eq!(next_run(now, second, now + second * 7 / 2), now + second * 9 / 2);
    }
}
