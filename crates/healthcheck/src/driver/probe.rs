//! One distinct check: its schedule, its run and who hears of it.

use std::time::Instant;

use crate::driver::run::Run;
use crate::driver::{Event, Status};
use crate::schedule::Schedule;
use crate::{Check, CheckId, Outcome};

/// A probe's name in the timers and the reactor; never used twice.
pub(super) type ProbeKey = u64;

#[derive(Debug)]
pub(super) struct Probe {
    pub(super) check: Check,
    pub(super) schedule: Schedule,
    pub(super) run: Option<Run>,
    pub(super) status: Status,
    /// The program of an earlier run that has not ended.
    pub(super) dying: Option<ProbeKey>,
    /// The last result, or the beginning.
    heard: Instant,
    pub(super) random: fastrand::Rng,
    first: CheckId,
    others: Vec<CheckId>,
}

impl Probe {
    pub(super) fn new(now: Instant, check: Check, id: CheckId, seed: u64) -> Self {
        let schedule = Schedule::new(now, *check.times(), seed);
        let status = Status {
            outcome: schedule.outcome(),
            has_run: false,
            running: false,
            successes: 0,
            failures: 0,
            deferred: 0,
            last_failure: None,
            last_deferral: None,
            last_duration: None,
            value: None,
            silent: false,
        };
        Self {
            check,
            schedule,
            run: None,
            status,
            dying: None,
            heard: now,
            random: fastrand::Rng::with_seed(seed),
            first: id,
            others: Vec::new(),
        }
    }

    /// Adds somebody; returns whether there is something to tell already.
    pub(super) fn subscribe(&mut self, id: CheckId) -> bool {
        self.others.push(id);
        self.status.has_run || self.status.silent
    }

    /// Takes somebody out; returns whether anybody is left.
    pub(super) fn unsubscribe(&mut self, id: CheckId) -> bool {
        if self.first == id {
            let Some(next) = self.others.pop() else { return false };
            self.first = next;
        } else {
            self.others.retain(|&other| other != id);
        }
        true
    }

    pub(super) fn subscribers(&self) -> impl Iterator<Item = &CheckId> {
        core::iter::once(&self.first).chain(&self.others)
    }

    pub(super) fn event(&self, id: CheckId) -> Event {
        let outcome = self.schedule.outcome();
        let cause = if outcome == Outcome::Down { self.status.last_failure } else { None };
        Event { id, outcome, cause, value: self.status.value, silent: self.status.silent }
    }

    /// A result came.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Without a result for too long, which nobody has been told yet.
    pub(super) fn falls_silent(&self, now: Instant) -> bool {
        let limit = self.check.times().silence_limit();
        !self.status.silent && now.saturating_duration_since(self.heard) > limit
    }
}
