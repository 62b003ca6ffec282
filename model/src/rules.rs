//! What holds for one step of one machine on any network (`A` in `docs/properties.md`), computed from
//! RFC 9568 and not by the machine.

use core::{net::IpAddr, time::Duration};

use vrrp_fsm::{Output, State, VirtualRouter, Wanted, vrrp_proto::Priority};

use crate::{
    machines::{Input, NOW},
    observation::Observation,
};

/// One step.
pub(crate) struct Case<'a> {
    pub(crate) before: &'a VirtualRouter,
    pub(crate) after: &'a VirtualRouter,
    pub(crate) input: Input,
    pub(crate) heard: Option<Heard>,
    pub(crate) address: IpAddr,
    pub(crate) outputs: &'a [Output],
}

/// An advertisement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) priority: Priority,
    pub(crate) source: IpAddr,
    pub(crate) interval: Duration,
    pub(crate) discarded: bool,
}

impl Case<'_> {
    /// The bits of what must not be and is.
    pub(crate) fn check(&self) -> u32 {
        let checks = [
            (Observation::Timers, self.has_its_timer()),
            (Observation::Sender, self.sends_as_master()),
            (Observation::Addresses, self.takes_addresses_as_master()),
            (Observation::Promotion, self.waits_before_promotion()),
            (Observation::Demotion, self.yields_to_the_better()),
            (Observation::DownTimer, self.moves_the_down_timer_by_rule()),
        ];
        checks.into_iter().filter(|(_, holds)| !holds).map(|(rule, _)| rule.bit()).sum()
    }

    fn has_its_timer(&self) -> bool {
        let ahead = self.after.poll_timeout().map(|at| at.saturating_duration_since(NOW));
        match self.after.state() {
            // An answer is not waited for without end.
            State::Initialize => ahead.is_none() || self.after.pending_effect().is_some(),
            State::Backup => ahead.is_some_and(|ahead| ahead <= self.down_interval(self.learned())),
            State::Master => ahead.is_some_and(|ahead| ahead <= self.interval()),
        }
    }

    fn sends_as_master(&self) -> bool {
        let was_master = self.before.state() == State::Master;
        let is_master = self.after.state() == State::Master;
        self.outputs.iter().all(|output| match output {
            Output::Send(send) if send.priority.is_release() => was_master && !is_master,
            Output::Send(send) => {
                // An owner that yields to another one says so.
                let yields = was_master && self.before.priority().is_owner();
                (is_master || yields) && send.priority == self.after.priority()
            }
            _ => true,
        })
    }

    fn takes_addresses_as_master(&self) -> bool {
        let mut advertised = self.before.state() == State::Master;
        let is_master = self.after.state() == State::Master;
        self.outputs.iter().all(|output| match output {
            Output::Send(send) => {
                advertised |= !send.priority.is_release();
                true
            }
            Output::SetAddresses { wanted: Wanted::All, .. } => is_master && advertised,
            Output::SetAddresses { wanted: Wanted::None, .. } => !is_master,
            Output::Announce => is_master && self.after.reported_state() == State::Master,
            Output::AskPromotion { .. }
            | Output::StateChanged { .. }
            | Output::Contended { .. }
            | Output::Conflict { .. } => true,
        })
    }

    fn waits_before_promotion(&self) -> bool {
        match (self.before.state(), self.after.state()) {
            (State::Initialize, State::Master) => self.after.priority().is_owner(),
            (State::Backup, State::Master) => {
                self.input == Input::Timeout
                    && self.before.poll_timeout().is_some_and(|at| at <= NOW)
            }
            _ => true,
        }
    }

    fn yields_to_the_better(&self) -> bool {
        if (self.before.state(), self.after.state()) != (State::Master, State::Backup) {
            return true;
        }
        let beaten = self.heard.is_some_and(|heard| {
            (heard.priority, heard.source) > (self.before.priority(), self.address)
        });
        let missable = u32::from(self.before.config().missed_advertisements) - 1;
        beaten || (self.before.config().late_wake_rule && self.late() > self.interval() * missable)
    }

    fn moves_the_down_timer_by_rule(&self) -> bool {
        let (before, after) = (self.before, self.after);
        let Some(heard) = self.heard else { return true };
        if (before.state(), after.state()) != (State::Backup, State::Backup)
            || self.late() > Duration::ZERO
        {
            return true;
        }
        let unmoved = after.poll_timeout() == before.poll_timeout();
        let moved_to = |ahead| after.poll_timeout() == Some(NOW + ahead);
        if heard.discarded {
            unmoved
        } else if heard.priority.is_release() {
            unmoved || moved_to(self.skew(self.learned()))
        } else if heard.priority < before.priority()
            && (before.config().preempt_mode || before.priority().is_owner())
        {
            unmoved
        } else {
            moved_to(self.down_interval(heard.interval))
        }
    }

    fn late(&self) -> Duration {
        let deadline = self.before.poll_timeout();
        deadline.map(|at| NOW.saturating_duration_since(at)).unwrap_or_default()
    }

    fn interval(&self) -> Duration {
        self.after.config().advertisement_interval
    }

    /// `Master_Adver_Interval`: of the Master that was accepted last, otherwise ours.
    fn learned(&self) -> Duration {
        self.after.master().map_or(self.interval(), |master| master.interval)
    }

    fn skew(&self, interval: Duration) -> Duration {
        interval * (256 - u32::from(self.after.priority().get())) / 256
    }

    fn down_interval(&self, interval: Duration) -> Duration {
        interval * u32::from(self.after.config().missed_advertisements) + self.skew(interval)
    }
}
