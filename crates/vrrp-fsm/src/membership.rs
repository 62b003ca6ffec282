//! A virtual router as a member of a sync group.

use core::time::Duration;

use crate::{
    Fault, Instant, Reason, State, VirtualRouter,
    state::{Backup, Farewell, Phase},
};

/// How a virtual router stands in its [`SyncGroup`](crate::SyncGroup): what
/// [`VirtualRouter::standing`] says after each of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "independent answers to the group's questions")]
#[non_exhaustive]
pub struct Standing {
    /// The state of the protocol.
    pub state: State,
    /// The state that users of the addresses know of.
    pub reported: State,
    /// Whether nothing of its own stands against taking part.
    pub able: bool,
    /// Whether the group keeps it from taking part.
    pub held: bool,
    /// While Backup: whether it would be Master.
    pub asking: bool,
    /// While it is asking: whether out of silence, so that a guard has a say.
    pub silent: bool,
    /// While Backup: how often a guard objected since the last accepted advertisement.
    pub vetoes: u8,
    /// While Backup: whether it was Master until another router was, or may have been.
    pub yielded: bool,
    /// While Master: whether another router advertises as Master as well.
    pub contended: bool,
}

impl Standing {
    /// Before it has said anything: as a member is made.
    pub(crate) const UNKNOWN: Self = Self {
        state: State::Initialize,
        reported: State::Initialize,
        able: false,
        held: true,
        asking: false,
        silent: false,
        vetoes: 0,
        yielded: false,
        contended: false,
    };

    /// What it will be once a command is carried out, at best: the member has the last word.
    pub(crate) fn after(self, command: GroupCommand) -> Self {
        let backup = Self {
            state: State::Backup,
            asking: false,
            silent: false,
            yielded: false,
            contended: false,
            ..self
        };
        match command {
            GroupCommand::Hold => Self { state: State::Initialize, held: true, ..backup },
            GroupCommand::Resume => Self { held: false, ..self },
            GroupCommand::Promote => Self { state: State::Master, ..backup },
            GroupCommand::Wait => Self { vetoes: self.vetoes.saturating_add(1), ..backup },
            GroupCommand::Yield | GroupCommand::Release => backup,
            GroupCommand::Announce => self,
        }
    }
}

/// What a [`SyncGroup`](crate::SyncGroup) tells a member: an input of
/// [`VirtualRouter::handle_group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the machine handles them, not the caller")]
pub enum GroupCommand {
    /// Another member cannot take part: leave the election, as Master with priority 0.
    Hold,
    /// All members can: take part.
    Resume,
    /// All members are asking: become Master.
    Promote,
    /// The guard objects: wait for another master-down interval, then ask again.
    Wait,
    /// Another router is Master where a member was: become Backup, silently.
    Yield,
    /// A member is not Master although no other router is: become Backup with priority 0, for one
    /// skew time.
    Release,
    /// Another router advertises as Master where a member is, or no longer does: announce the
    /// addresses again.
    Announce,
}

impl VirtualRouter {
    /// How it stands in its sync group.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let backup = match self.phase {
            Phase::Backup(backup) => Some(backup),
            Phase::Initialize | Phase::Master(_) => None,
        };
        let contended = match &self.phase {
            Phase::Master(master) => master.contention.is_some(),
            Phase::Initialize | Phase::Backup(_) => false,
        };
        let startable = match self.phase {
            Phase::Initialize => self.effects.is_done() && self.starts_at().is_none(),
            Phase::Backup(_) | Phase::Master(_) => true,
        };
        let faultless = self.faults().iter().all(|fault| fault == Fault::SyncGroup);
        Standing {
            state: self.state(),
            reported: self.reported_state(),
            able: self.is_candidate() && faultless && startable,
            held: self.faults().contains(Fault::SyncGroup),
            asking: backup.is_some_and(|backup| backup.asking),
            silent: backup.is_some_and(|backup| backup.asking && self.is_silent(&backup)),
            vetoes: backup.map_or(0, |backup| backup.vetoes),
            yielded: backup.is_some_and(|backup| backup.yielded),
            contended,
        }
    }

    /// What the sync group wants.
    pub fn handle_group(&mut self, now: Instant, command: GroupCommand) {
        match command {
            GroupCommand::Hold => self.handle_fault(now, Fault::SyncGroup),
            GroupCommand::Resume => self.handle_fault_cleared(now, Fault::SyncGroup),
            GroupCommand::Promote => self.promote_asking(now),
            GroupCommand::Wait => self.wait_with_group(now),
            GroupCommand::Yield => self.leave_with_group(now, Farewell::Silent),
            GroupCommand::Release => self.leave_with_group(now, Farewell::PriorityZero),
            GroupCommand::Announce => {
                let now = self.advance(now);
                self.announce_again(now);
            }
        }
    }

    /// Stays Backup and asks the group to become Master, again at the end of every master-down
    /// interval in which nobody better was heard.
    pub(crate) fn ask(&mut self, now: Instant, mut backup: Backup) {
        backup.asking = true;
        backup.yielded = false;
        backup.down_at = now + self.master_down_interval(backup.master_adver_interval);
        self.phase = Phase::Backup(backup);
    }

    fn promote_asking(&mut self, now: Instant) {
        let now = self.advance(now);
        let Phase::Backup(backup) = self.phase else { return };
        // Whoever has slept since it asked may have slept through the answer.
        if backup.asking && !self.waits_after_late_wake(now, backup) {
            self.become_master(now, backup.promotion_reason());
        }
    }

    fn wait_with_group(&mut self, now: Instant) {
        let now = self.advance(now);
        if let Phase::Backup(backup @ Backup { asking: true, .. }) = self.phase {
            self.wait_after_veto(now, backup);
        }
    }

    fn leave_with_group(&mut self, now: Instant, farewell: Farewell) {
        let now = self.advance(now);
        if !matches!(self.phase, Phase::Master(_)) {
            return;
        }
        self.step_down(now, farewell);
        self.become_backup(now, Reason::SyncGroup, None);
        if farewell == Farewell::PriorityZero {
            self.wait_one_skew(now);
        }
    }

    /// A Backup that was Master itself a moment ago comes back after this, like everybody else.
    pub(crate) fn wait_one_skew(&mut self, now: Instant) {
        let skew: Duration = self.skew_time(self.config.advertisement_interval);
        if let Phase::Backup(backup) = &mut self.phase {
            backup.down_at = now + skew;
        }
    }
}
