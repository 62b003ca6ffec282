//! RFC 9568 §6.4.2: monitoring the Master.

use core::{net::IpAddr, time::Duration};

use vrrp_proto::{Priority, Version};

use super::{Heard, Phase};
use crate::{Config, Instant, Reason, ReleasePolicy, State, Ticket, VirtualRouter};

/// What a Backup knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Backup {
    /// The `Master_Down_Timer`.
    pub(crate) down_at: Instant,
    /// `Master_Adver_Interval`: learned in version 3, ours in version 2.
    pub(crate) master_adver_interval: Duration,
    /// The Master, as recorded from its last accepted advertisement.
    pub(crate) master: Option<Heard>,
    /// A Master of a lower priority, which we are about to replace.
    pub(crate) inferior: Option<Heard>,
    /// The Master that left with priority 0.
    pub(crate) released: Option<IpAddr>,
    /// The first advertisement of a Master of a lower priority, while no other one was heard.
    pub(crate) inferior_since: Option<Instant>,
    /// Whether it would be Master, but waits for its sync group.
    pub(crate) asking: bool,
    /// The question to the guard that waits for its verdict; `down_at` is the deadline then.
    pub(crate) question: Option<Ticket>,
    /// Vetoes since the last accepted advertisement.
    pub(crate) vetoes: u8,
    /// Whether we were Master until another router was, or may have been.
    pub(crate) yielded: bool,
    /// Times the timer was armed again since the last accepted advertisement.
    rearms: u8,
}

/// After so many late wakes and losses in a row the timer expires after all: whoever floods us or
/// starves us of time must not keep a dead Master's addresses unserved.
const MAX_REARMS: u8 = 3;

impl VirtualRouter {
    /// Enters Backup with a whole master-down interval ahead.
    pub(crate) fn become_backup(&mut self, now: Instant, reason: Reason, master: Option<Heard>) {
        let master_adver_interval = master_adver_interval(&self.config, master.as_ref());
        self.phase = Phase::Backup(Backup {
            down_at: now + self.master_down_interval(master_adver_interval),
            master_adver_interval,
            master,
            inferior: None,
            released: None,
            inferior_since: None,
            asking: false,
            question: None,
            vetoes: 0,
            yielded: matches!(reason, Reason::BetterAdvertisement { .. } | Reason::LateWake { .. }),
            rearms: 0,
        });
        self.report(State::Backup, reason);
    }

    /// A valid advertisement while Backup.
    #[inline]
    pub(crate) fn backup_received(&mut self, now: Instant, heard: &Heard) {
        if heard.priority.is_release() {
            self.backup_released(now, heard.source);
            return;
        }
        let Phase::Backup(backup) = &self.phase else { return };
        let inferior = self.preempts(heard.priority);
        let inferior_since = backup.inferior_since.or(Some(now)).filter(|_| inferior);
        let tolerated_until = inferior_since.map(|since| since + self.preempt_delay());
        let replaces = tolerated_until.is_some_and(|until| now >= until);
        let interval = if replaces {
            backup.master_adver_interval
        } else {
            master_adver_interval(&self.config, Some(heard))
        };
        let down_at = now + self.master_down_interval(interval);
        let Phase::Backup(backup) = &mut self.phase else { return };
        if replaces {
            // RFC 9568 §6.4.2 discards it and lets the timer run. Remembered only for who it is.
            backup.inferior_since = inferior_since;
            backup.inferior = Some(*heard);
            backup.released = None;
            backup.vetoes = 0;
            if backup.question.take().is_some() {
                // The silence is over; whoever asks again is to have listened for as long as ever.
                backup.down_at = down_at;
            }
        } else {
            *backup = Backup {
                down_at,
                master_adver_interval: interval,
                master: Some(*heard),
                inferior: None,
                released: None,
                inferior_since,
                asking: false,
                question: None,
                vetoes: 0,
                yielded: backup.yielded,
                rearms: 0,
            };
        }
    }

    /// A Master says that it leaves.
    #[cold]
    fn backup_released(&mut self, now: Instant, source: IpAddr) {
        let Phase::Backup(backup) = &self.phase else { return };
        let anyone = self.config.release_from == ReleasePolicy::Anyone;
        if !anyone && !backup.is_master(source) {
            self.statistics.priority_zero_ignored += 1;
            return;
        }
        // A duplicate must not put the timer off once more.
        if backup.released == Some(source) {
            return;
        }
        let down_at = now + self.skew_time(backup.master_adver_interval);
        let Phase::Backup(backup) = &mut self.phase else { return };
        backup.released = Some(source);
        backup.rearms = 0;
        backup.question = None;
        backup.down_at = down_at;
    }

    /// The `Master_Down_Timer` may have expired.
    pub(crate) fn backup_timeout(&mut self, now: Instant, backup: Backup) {
        if now < backup.down_at || self.waits_after_late_wake(now, backup) {
            return;
        }
        if self.config.sync_group {
            self.ask(now, backup);
        } else {
            self.promote_or_ask(now, backup);
        }
    }

    /// Whoever wakes up so late may have slept through advertisements, too: whether it waits once
    /// more.
    pub(crate) fn waits_after_late_wake(&mut self, now: Instant, backup: Backup) -> bool {
        let late = now.saturating_duration_since(backup.down_at);
        self.config.late_wake_rule && late > backup.master_adver_interval && self.rearm(now, backup)
    }

    /// Received datagrams were lost: what restarts the timer may have been among them. Leaves time
    /// for the next advertisement.
    pub(crate) fn backup_overflow(&mut self, now: Instant, backup: Backup) {
        let interval = backup.master_adver_interval;
        if backup.down_at < now + interval + self.skew_time(interval) {
            self.rearm(now, backup);
        }
    }

    /// Waits one more master-down interval, unless that was done too often in a row.
    fn rearm(&mut self, now: Instant, mut backup: Backup) -> bool {
        if backup.rearms >= MAX_REARMS {
            return false;
        }
        backup.rearms += 1;
        // Whoever is still there will be heard again.
        backup.inferior = None;
        backup.asking = false;
        backup.question = None;
        backup.down_at = now + self.master_down_interval(backup.master_adver_interval);
        self.phase = Phase::Backup(backup);
        self.statistics.late_wakes += 1;
        true
    }

    /// The parameters of the timer have changed: shifts its deadline by the difference, but never
    /// beyond a whole master-down interval from now. The deadline of a guard stays.
    pub(crate) fn backup_retimed(&mut self, now: Instant, mut backup: Backup, before: Duration) {
        if backup.question.is_some() {
            self.phase = Phase::Backup(backup);
            return;
        }
        let after = self.master_down_interval(backup.master_adver_interval);
        let shifted = (backup.down_at + after).saturating_sub(before);
        backup.down_at = shifted.clamp(now, now + after);
        self.phase = Phase::Backup(backup);
    }

    /// Whether a Master of this priority is to be replaced (RFC 9568 §6.1, `Preempt_Mode`).
    ///
    /// After a mastership that failed we only replace a silent Master: otherwise every new attempt
    /// would disturb one that works.
    #[inline]
    fn preempts(&self, master: Priority) -> bool {
        let wanted = self.config.preempt_mode && !self.recovery.is_unproven();
        (wanted || self.priority.is_owner()) && master < self.priority
    }
}

impl VirtualRouter {
    /// From when on a Master of a lower priority is to be replaced.
    fn preempts_from(&self, backup: &Backup) -> Instant {
        backup.inferior_since.map_or(Instant::ZERO, |since| since + self.preempt_delay())
    }

    /// How long a Master of a lower priority is tolerated.
    pub(crate) fn preempt_delay(&self) -> Duration {
        if self.priority.is_owner() { Duration::ZERO } else { self.config.preempt_delay }
    }

    /// While a Master of a lower priority is tolerated: until when.
    pub(crate) fn tolerates_until(&self, now: Instant, backup: &Backup) -> Option<Instant> {
        let inferior = backup.master.is_some_and(|master| self.preempts(master.priority));
        Some(self.preempts_from(backup)).filter(|from| inferior && *from > now)
    }
}

impl Backup {
    /// See [`VirtualRouter::canonicalize`].
    pub(crate) fn canonicalize(&mut self, now: Instant, preempt_delay: Duration) {
        let is_replaceable = self.replaceable().is_some();
        let Self {
            down_at,
            master_adver_interval: _,
            master,
            inferior,
            released: _,
            inferior_since,
            asking: _,
            question,
            vetoes: _,
            yielded: _,
            rearms: _,
        } = self;
        down_at.canonicalize(now);
        *question = question.map(|_| Ticket::FIRST);
        // Of these only `replaceable` looks at the moment.
        let mut before = now;
        if let Some(Heard { at, interval, .. }) = master {
            let long_ago = now.saturating_sub(*interval * 2 + Duration::from_nanos(1));
            *at = (*at).max(long_ago);
            before = *at;
            at.canonicalize(now);
        }
        if let Some(Heard { at, .. }) = inferior {
            *at = if is_replaceable { now } else { before };
            at.canonicalize(now);
        }
        if let Some(since) = inferior_since {
            *since = (*since).max(now.saturating_sub(preempt_delay));
            since.canonicalize(now);
        }
    }

    /// By which addresses other routers are remembered.
    pub(crate) fn addresses(&mut self) -> impl Iterator<Item = &mut IpAddr> {
        let heard = [&mut self.master, &mut self.inferior].into_iter().flatten();
        heard.map(|heard| &mut heard.source).chain(&mut self.released)
    }

    /// Whether `source` may be the Master, as far as we know. One of a lower priority is not while a
    /// better one advertises: its farewell changes nothing.
    fn is_master(&self, source: IpAddr) -> bool {
        [self.master, self.replaceable()]
            .into_iter()
            .flatten()
            .any(|master| master.source == source)
    }

    /// The Master of a lower priority that is about to be replaced, unless a better one has
    /// advertised lately: then that one is to be heard, and both are Master for a moment.
    pub(crate) fn replaceable(&self) -> Option<Heard> {
        let better_until = self.master.map(|master| master.at + master.interval * 2);
        self.inferior.filter(|inferior| better_until.is_none_or(|until| inferior.at > until))
    }

    pub(crate) fn promotion_reason(&self) -> Reason {
        match (self.released, self.replaceable()) {
            (Some(source), _) => Reason::MasterReleased { source },
            (None, Some(Heard { source, priority, .. })) => Reason::Preempted { source, priority },
            (None, None) => Reason::MasterSilent,
        }
    }
}

/// `Master_Adver_Interval`: RFC 9568 §6.4.2 learns it from the Master; in RFC 3768 §6.1 all routers
/// have the same.
pub(crate) fn master_adver_interval(config: &Config, master: Option<&Heard>) -> Duration {
    match (config.version, master) {
        (Version::V3, Some(master)) => master.interval,
        (Version::V2, _) | (Version::V3, None) => config.advertisement_interval,
    }
}
