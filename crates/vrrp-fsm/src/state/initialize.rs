//! RFC 9568 §6.4.1: not taking part in the election.

use super::Phase;
use crate::{Instant, Reason, State, VirtualRouter};

impl VirtualRouter {
    /// The Startup event: begins the election unless something stands against it.
    ///
    /// Addresses that are still being removed do: a router that starts again goes the whole way.
    pub(crate) fn try_start(&mut self, now: Instant) {
        if !self.start_delay_is_over(now) {
            return;
        }
        let startable = matches!(self.phase, Phase::Initialize)
            && self.candidate
            && self.faults.is_empty()
            && self.effects.is_done();
        if !startable {
            return;
        }
        let at_once = self.priority.is_owner() && self.config.owner_skips_backup;
        if at_once && !self.config.sync_group {
            self.become_master(now, Reason::Owner);
            return;
        }
        self.become_backup(now, Reason::Startup, None);
        if let Phase::Backup(backup) = self.phase
            && at_once
        {
            self.ask(now, backup);
        }
    }

    /// When the start delay ends, while it runs.
    pub(crate) fn starts_at(&self) -> Option<Instant> {
        self.delayed_since.map(|since| since + self.config.start_delay)
    }

    fn start_delay_is_over(&mut self, now: Instant) -> bool {
        if self.starts_at().is_none_or(|at| now >= at) {
            self.delayed_since = None;
        }
        self.delayed_since.is_none()
    }

    /// The Shutdown event, also by a fault: leaves the election, as Master with priority 0 (RFC
    /// 9568 §6.4.3).
    pub(crate) fn stop(&mut self, now: Instant, reason: Reason) {
        match self.phase {
            Phase::Initialize => return,
            Phase::Backup(_) => {}
            Phase::Master(_) => self.step_down(now, Farewell::PriorityZero),
        }
        self.phase = Phase::Initialize;
        self.stop_reason = reason;
        self.report_stopped();
    }

    /// Reports Initialize, which a user may take for "the addresses are gone", not before they are.
    pub(crate) fn report_stopped(&mut self) {
        if matches!(self.phase, Phase::Initialize) && self.is_released() {
            self.report(State::Initialize, self.stop_reason);
        }
    }
}

/// Whether a Master that stops tells the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// It sends an advertisement with priority 0.
    PriorityZero,
    /// Another router is Master already, or may be.
    Silent,
}
