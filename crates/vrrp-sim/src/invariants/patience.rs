//! How long a Backup has to wait at least before it becomes Master.

use core::time::Duration;

use vrrp_fsm::{Config, GroupCommand, Instant, State};
use vrrp_proto::Version;

use super::{Broken, HeardAdvertisement, Invariant, Step, down_interval, heard, skew_time};
use crate::input::Input;

/// The earliest moment at which a timer of this Backup may expire, whatever it made of what it heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    until: Instant,
    /// The shortest and the longest interval it may go by.
    shortest: Duration,
    longest: Duration,
    /// How often it woke late, or lost packets, since it heard somebody.
    rearms: u32,
}

impl Patience {
    pub(super) fn new(config: &Config) -> Self {
        let interval = config.advertisement_interval;
        Self { until: Instant::ZERO, shortest: interval, longest: interval, rearms: 0 }
    }

    /// Takes notice of a step, or finds that the router could not wait.
    pub(super) fn step(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        let Step { now, input, before, after, config, .. } = *step;
        // A group promotes those that have asked; whose patience ended then.
        let asked = matches!(input, Input::Group(_));
        let promoted = before.state == State::Backup && after.state == State::Master;
        if promoted && !asked && now < self.until {
            let early = self.until.saturating_duration_since(now);
            return Err((Invariant::PromotionByTimer, format!("{early:?} too early at {now}")));
        }
        self.woke_late(step)?;
        if after.state != State::Backup {
            return Ok(());
        }
        if before.state != State::Backup {
            *self = Self::new(config);
            // Whoever lost its addresses to somebody comes back like after a release.
            let wait = match (before.state, input) {
                (State::Master, Input::AddressesLost | Input::Group(GroupCommand::Release)) => {
                    skew_time
                }
                _ => down_interval,
            };
            self.until = now + wait(config, after.priority, self.shortest);
        }
        if let Input::Priority(_) = input {
            // The skew time is another one.
            let skew = self.longest.max(Duration::from_secs(1));
            self.until = self.until.saturating_sub(skew);
        }
        if let (Input::Datagram(packet), None) = (input, step.verdict)
            && !after.copies(&before)
            && let Some(heard) = heard(packet)
        {
            self.hear(&heard, step);
        }
        Ok(())
    }

    /// A Backup that slept may have slept through advertisements: it waits once more.
    fn woke_late(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        let Step { now, before, after, config, .. } = *step;
        if before.state != State::Backup {
            return Ok(());
        }
        // While addresses are being removed, the deadline may be about that.
        let removes = step.installed || step.busy || after.statistics.effect_failures > 0;
        // What was lost may have been advertisements: there is time for the next one.
        let next = now + self.shortest;
        if matches!(step.input, Input::Overflow)
            && after.state == State::Backup
            && self.rearms == 0
            && !removes
            && after.deadline.is_some_and(|deadline| deadline < next)
        {
            let found = format!("lost packets, and waits until {:?} at {now}", after.deadline);
            return Err((Invariant::Hardening, found));
        }
        if after.statistics.late_wakes != before.statistics.late_wakes {
            self.rearms += 1;
        }
        let deadline = before.deadline.filter(|_| !removes);
        let late = deadline.map(|deadline| now.saturating_duration_since(deadline));
        let promoted = after.state == State::Master;
        let slept = late.is_some_and(|late| late > self.longest);
        if promoted && slept && self.rearms == 0 && config.late_wake_rule {
            let found = format!("a backup takes over {late:?} late, and has heard nothing since");
            return Err((Invariant::Hardening, found));
        }
        Ok(())
    }

    /// An advertisement that was not discarded, while Backup.
    fn hear(&mut self, heard: &HeardAdvertisement, step: &Step<'_>) {
        let Step { now, after, config, .. } = *step;
        if heard.priority.is_release() {
            let skew = skew_time(config, after.priority, self.shortest);
            self.until = self.until.min(now + skew);
            return;
        }
        let interval = match config.version {
            Version::V2 => config.advertisement_interval,
            Version::V3 => heard.interval.as_duration(),
        };
        self.shortest = self.shortest.min(interval);
        self.longest = self.longest.max(interval);
        let until = now + down_interval(config, after.priority, interval);
        // A worse Master may be tolerated, or about to be replaced; without preemption it is neither.
        let preempts = config.preempt_mode || after.priority.is_owner();
        let follows = heard.priority >= after.priority || !preempts;
        if follows {
            self.rearms = 0;
        }
        self.until = if follows { until } else { self.until.min(until) };
    }
}
