//! Processes that die, stop, and leave.

use std::time::Duration;

use rustix::process::Signal;

use crate::rules::{INTERVAL, SLACK, Side};
use crate::timeline::What;
use crate::trial::{Broken, Trial, wait_until};

impl Trial<'_> {
    /// kill -9: the addresses of a Master stay in the kernel until the next start, which removes them before anything else, if
    /// there is no sentinel.
    pub(super) fn kill(&mut self, side: Side) -> Result<(), Broken> {
        let from = lab::now();
        let dead = self.pair.kill(side)?;
        let pause = self.millis(0..1200);
        wait_until(dead + pause);
        if side == self.master && self.pair.rules.sentinel {
            // Somebody is left who says farewell, and takes the addresses along.
            if pause > SLACK {
                self.gone(side, dead, dead + SLACK)?;
                self.handed_over(side, from)?;
            }
        } else if side == self.master && pause > self.pair.rules.master_down(side.other()) + SLACK {
            self.taken_over(side.other(), dead)?;
        }
        let ready = self.pair.start(side)?;
        let soon = ready + INTERVAL / 2;
        wait_until(soon);
        self.gone(side, ready, soon)?;
        if side != self.master {
            return self.settle_unchanged(dead, ready);
        }
        self.settle(ready, self.pair.rules.one_master())
    }

    /// SIGSTOP: a Master that sleeps holds its addresses, and lets them go when it wakes up and somebody else is Master.
    pub(super) fn stop(&mut self, side: Side) -> Result<(), Broken> {
        let from = self.pair.signal(side, Signal::STOP)?;
        let pause = if self.long && self.rng.u8(..) < 16 {
            self.millis(1_000..10_000)
        } else {
            self.millis(5..1_000)
        };
        wait_until(from + pause);
        let woken = self.pair.signal(side, Signal::CONT)?;
        if side != self.master {
            return self.settle_unchanged(from, woken);
        }
        let other = side.other();
        let successor = self.timeline().advertisements(other, from, woken).first().copied();
        if pause > self.pair.rules.master_down(other) + SLACK {
            self.taken_over(other, from)?;
        }
        if let Some(successor) = successor
            // Not in the very moment of the wake-up: it may have been on its way.
            && woken.saturating_sub(successor) > Duration::from_millis(5)
        {
            wait_until(woken + SLACK);
            let spoke = self.timeline().advertisements(side, woken, woken + INTERVAL * 2);
            let verdict = match spoke.first() {
                Some(at) => Err(format!(
                    "{side} advertised {:?} after it woke up, and {other} was Master",
                    at.saturating_sub(woken)
                )),
                None => Ok(()),
            };
            self.judge(woken, woken + SLACK, verdict)?;
            self.gone(side, woken, woken + SLACK)?;
        }
        // Less than two intervals, and no other could have missed it.
        if pause + SLACK < INTERVAL * 2 {
            self.settle(woken, INTERVAL)?;
            return self.unmoved(from);
        }
        self.settle(woken, self.pair.rules.one_master())
    }

    /// SIGTERM: a Master says so, and takes its addresses with it.
    pub(super) fn restart(&mut self) -> Result<(), Broken> {
        let side = self.side();
        let from = lab::now();
        let (ended, status) = self.pair.terminate(side)?;
        let pause = self.millis(0..800);
        wait_until(ended + pause.max(SLACK));
        self.gone(side, from, ended)?;
        let verdict =
            if status.success() { Ok(()) } else { Err(format!("{side} ended with {status}")) };
        self.judge(from, ended, verdict)?;
        let left = self.pair.journals(side)?;
        let verdict = if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{side} left its journal: {left:?}"))
        };
        self.judge(ended, ended, verdict)?;
        if side == self.master {
            self.handed_over(side, from)?;
            let ready = self.pair.start(side)?;
            return self.settle(ready, self.pair.rules.one_master());
        }
        let ready = self.pair.start(side)?;
        self.settle_unchanged(from, ready)
    }

    /// It left with priority 0, and the other one was Master a skew time later (L8).
    fn handed_over(&mut self, side: Side, from: Duration) -> Result<(), Broken> {
        let (other, now) = (side.other(), lab::now());
        let bound = self.pair.rules.skew(other);
        let events = self.timeline().between(from, now);
        let left = events
            .iter()
            .find(|event| event.what == What::Advertisement { from: side, priority: 0 });
        let Some(left) = left.map(|event| event.at) else {
            return self.judge(from, now, Err(format!("{side} left without priority 0")));
        };
        if now < left + bound + SLACK {
            wait_until(left + bound + SLACK);
        }
        let first = self.timeline().advertisements(other, left, left + bound + SLACK);
        let verdict = match first.first() {
            Some(_) => Ok(()),
            None => Err(format!("{other} did not take over within {bound:?} and {SLACK:?}")),
        };
        self.judge(left, left + bound + SLACK, verdict)
    }

    /// The Master is the same as before, and no address has moved.
    pub(super) fn unmoved(&mut self, from: Duration) -> Result<(), Broken> {
        let now = lab::now();
        let events = self.timeline().between(from, now);
        let moved = events.iter().find(|event| matches!(event.what, What::Address { .. }));
        let verdict = match moved {
            Some(event) => Err(format!("nothing was to move: {}", event.what)),
            None => Ok(()),
        };
        self.judge(from, now, verdict)
    }
}
