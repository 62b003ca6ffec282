//! RFC 9568 §6.4.3: answering for the virtual addresses.

use core::{num::NonZeroU16, time::Duration};

use vrrp_proto::{Priority, Version};

use super::{Heard, Phase, initialize::Farewell};
use crate::{
    Fault, Instant, Output, Reason, Send, SendFailurePolicy, VirtualRouter, Wanted,
    contention::Contention, timers,
};

/// What a Master knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Master {
    /// The `Adver_Timer`.
    pub(crate) adver_at: Instant,
    /// When an advertisement was last answered at once.
    answered_at: Option<Instant>,
    /// Whether the timer was brought forward for an answer.
    answer_due: bool,
    /// Why we became Master.
    pub(crate) reason: Reason,
    /// When we became Master.
    pub(crate) since: Instant,
    /// Another router that advertises as Master, with less right to it.
    pub(crate) contention: Option<Contention>,
    /// After `CannotAdvertise`: the addresses wait until an advertisement has gone out.
    pub(crate) awaits_send: bool,
    /// When the addresses are to be announced again without any cause.
    pub(crate) refresh_at: Option<Instant>,
}

impl Master {
    /// See [`VirtualRouter::canonicalize`].
    pub(crate) fn canonicalize(&mut self, now: Instant, is_reported: bool) {
        let Self {
            adver_at,
            answered_at,
            answer_due: _,
            reason,
            since,
            contention,
            awaits_send: _,
            refresh_at,
        } = self;
        adver_at.canonicalize(now);
        *answered_at = answered_at.filter(|at| now < *at + ANSWER_INTERVAL);
        if let Some(at) = answered_at {
            at.canonicalize(now);
        }
        if let Some(at) = refresh_at {
            at.canonicalize(now);
        }
        // Only for `why`.
        *since = VirtualRouter::CANONICAL_NOW;
        if is_reported {
            *reason = Reason::MasterSilent;
        }
        if let Some(contention) = contention {
            contention.canonicalize(now);
        }
    }
}

/// Answers are at least so far apart: two routers with the same source address and priority would
/// otherwise answer each other as fast as the network allows.
const ANSWER_INTERVAL: Duration = Duration::from_millis(10);

/// The best priority of a router that is not the owner.
const BEST_BACKUP: Priority = Priority::new(254);

impl VirtualRouter {
    /// Advertises, wishes for the addresses and arms the `Adver_Timer`, in the order of RFC 9568
    /// §6.4.1 and §6.4.2.
    pub(crate) fn become_master(&mut self, now: Instant, reason: Reason) {
        self.term += 1;
        self.statistics.master_transitions += 1;
        for path in &mut self.paths {
            path.sent_at = now;
            path.failing = false;
        }
        let awaits_send = self.recovery.is_sending_unproven()
            && self.config.send_failure == SendFailurePolicy::Release;
        self.phase = Phase::Master(Master {
            adver_at: now + self.config.advertisement_interval,
            answered_at: None,
            answer_due: false,
            reason,
            since: now,
            contention: None,
            awaits_send,
            refresh_at: None,
        });
        self.push_send(now, self.priority);
        if !awaits_send {
            self.set_addresses(now, Wanted::All);
        }
    }

    /// A valid advertisement while Master.
    pub(crate) fn master_received(&mut self, now: Instant, master: Master, heard: Heard) {
        if heard.priority.is_release() {
            // RFC 9568 §6.4.3: "Send an ADVERTISEMENT".
            self.answer(now, master);
        } else if self.is_beaten_by(&heard) {
            let Heard { source, priority, .. } = heard;
            // Of two owners the other one has to learn of it, too: it might never hear us.
            let owners = priority.is_owner() && self.priority.is_owner();
            if self.config.advertise_before_yielding || owners {
                self.push_send(now, self.priority);
            }
            self.step_down(now, Farewell::Silent);
            self.become_backup(now, Reason::BetterAdvertisement { source, priority }, Some(heard));
        } else {
            self.statistics.losing_received += 1;
            // RFC 9568 §6.4.3 answers at once, to end a phase with two Masters; RFC 3768 §6.4.3
            // discards.
            if self.config.immediate_answer {
                self.answer(now, master);
            }
            self.contended(now, &heard);
        }
    }

    /// The `Adver_Timer` may have expired, or a Master's other deadlines.
    pub(crate) fn master_timeout(&mut self, now: Instant, mut master: Master) {
        if self.unheard_at().is_some_and(|at| now >= at) {
            self.fail(now, Fault::CannotAdvertise);
            return;
        }
        if let Some(late) = now.checked_duration_since(master.adver_at) {
            if master.answer_due {
                master.answered_at = Some(now);
                master.answer_due = false;
            }
            let interval = self.config.advertisement_interval;
            // From the deadline, so that small delays do not add up.
            let from = if late < interval { master.adver_at } else { now };
            master.adver_at = from + interval;
            self.phase = Phase::Master(master);
            self.push_send(now, self.priority);
        }
        self.contention_timeout(now);
        self.refresh_timeout(now);
    }

    /// Yields if we were away for so long that another router may have become Master meanwhile.
    ///
    /// The best possible Backup expires so long after our last advertisement, of which our timer
    /// takes one interval.
    pub(crate) fn yield_after_late_wake(&mut self, now: Instant) {
        let Phase::Master(Master { adver_at, .. }) = self.phase else { return };
        if !self.config.late_wake_rule {
            return;
        }
        let interval = self.config.advertisement_interval;
        // Who hears our version 2 only has its skew, which is the shorter one.
        let version = if self.config.also_version_2 { Version::V2 } else { self.config.version };
        let skew = timers::skew_time(version, BEST_BACKUP, interval);
        let missable = u32::from(self.config.missed_advertisements.saturating_sub(1));
        let late = now.saturating_duration_since(adver_at);
        if late > interval * missable + skew {
            self.statistics.late_wakes += 1;
            self.step_down(now, Farewell::Silent);
            self.become_backup(now, Reason::LateWake { late }, None);
        }
    }

    /// Gives the addresses up. The caller enters the next state.
    pub(crate) fn step_down(&mut self, now: Instant, farewell: Farewell) {
        if farewell == Farewell::PriorityZero {
            self.push_send(now, Priority::RELEASE);
        }
        if self.effects.wanted() == Wanted::All {
            self.set_addresses(now, Wanted::None);
        }
    }

    /// An advertisement has gone out on a path, or not.
    pub(crate) fn master_sent(&mut self, now: Instant, mut master: Master, success: bool) {
        if success && master.awaits_send {
            master.awaits_send = false;
            self.phase = Phase::Master(master);
            self.recovery.sending_works();
            self.set_addresses(now, Wanted::All);
        } else if self.is_every_path_failing() && master.awaits_send
            || self.unheard_at().is_some_and(|at| now >= at)
        {
            self.fail(now, Fault::CannotAdvertise);
        }
    }

    fn is_every_path_failing(&self) -> bool {
        self.paths.iter().all(|path| path.failing || path.source.is_none())
    }

    /// When a Master that cannot send on any path gives up: the others have then missed it for a
    /// master-down interval.
    pub(crate) fn unheard_at(&self) -> Option<Instant> {
        if self.config.send_failure == SendFailurePolicy::Keep {
            return None;
        }
        // A path works until the opposite is told, but who has to prove it waits for no answer for
        // ever.
        let awaits_send = matches!(self.phase, Phase::Master(Master { awaits_send: true, .. }));
        let mut last_sent = None;
        for path in self.paths.iter().filter(|path| path.source.is_some()) {
            if !path.failing && !awaits_send {
                return None;
            }
            last_sent = last_sent.max(Some(path.sent_at));
        }
        Some(last_sent? + self.master_down_interval(self.config.advertisement_interval))
    }

    /// Sends the next advertisement now, because what it says has changed.
    pub(crate) fn advertise_now(&mut self, now: Instant) {
        if let Phase::Master(master) = &mut self.phase {
            master.adver_at = now + self.config.advertisement_interval;
            self.push_send(now, self.priority);
        }
    }

    /// RFC 9568 §6.4.3: by a greater priority, or by the same from a greater address.
    fn is_beaten_by(&self, heard: &Heard) -> bool {
        (heard.priority, Some(heard.source)) > (self.priority, self.known_as())
    }

    /// Advertises at once, or as soon as answers are far enough apart.
    fn answer(&mut self, now: Instant, mut master: Master) {
        let earliest = master.answered_at.map_or(now, |at| at + ANSWER_INTERVAL);
        if now < earliest {
            master.answer_due = true;
            master.adver_at = master.adver_at.min(earliest);
        } else {
            master.answered_at = Some(now);
            master.adver_at = now + self.config.advertisement_interval;
            self.push_send(now, self.priority);
        }
        self.phase = Phase::Master(master);
    }

    /// One advertisement in each version that is spoken (RFC 9568 §8.4.2).
    fn push_send(&mut self, now: Instant, priority: Priority) {
        self.conflicts.sent_at = Some(now);
        self.push_send_in(self.config.version, priority);
        if self.config.also_version_2 {
            self.push_send_in(Version::V2, priority);
        }
    }

    fn push_send_in(&mut self, version: Version, priority: Priority) {
        self.statistics.advertisements_sent += 1;
        if priority.is_release() {
            self.statistics.priority_zero_sent += 1;
        }
        let identification = self.identification;
        self.identification = identification.checked_add(1).unwrap_or(NonZeroU16::MIN);
        let sequence = self.next_sequence();
        self.push(Output::Send(Send { version, priority, identification, sequence }));
    }
}
