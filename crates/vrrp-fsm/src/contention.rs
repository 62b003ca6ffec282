//! Two Masters at once, seen from the one that is right.

use core::{net::IpAddr, time::Duration};

use crate::{
    Instant, Output, VirtualRouter,
    state::{Heard, Master, Phase},
};

/// A phase in which another router advertises as Master as well, with less right to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Contention {
    pub(crate) loser: IpAddr,
    since: Instant,
    /// Its last advertisement.
    last: Instant,
    /// The silence after which it is over.
    quiet: Duration,
    reported_at: Instant,
    /// The time between two reports while it goes on.
    report_interval: Duration,
}

impl Contention {
    /// See [`VirtualRouter::canonicalize`].
    pub(crate) fn canonicalize(&mut self, now: Instant) {
        let Self { loser: _, since, last, quiet: _, reported_at, report_interval: _ } = self;
        last.canonicalize(now);
        reported_at.canonicalize(now);
        // Only for the duration in reports.
        *since = *last;
    }

    fn over_at(&self) -> Instant {
        self.last + self.quiet
    }

    /// When there is something to report: it is over, or has gone on since the last report.
    pub(crate) fn deadline(&self) -> Instant {
        if self.last > self.reported_at {
            self.over_at().min(self.last.max(self.reported_at + self.report_interval))
        } else {
            self.over_at()
        }
    }
}

impl VirtualRouter {
    /// A losing advertisement. Announces when the first one comes, because hosts may have learned
    /// the loser's MAC address; RFC 9568 §6.4.3 leaves them with it.
    pub(crate) fn contended(&mut self, now: Instant, heard: &Heard) {
        let report_interval = self.master_down_interval(self.config.advertisement_interval);
        let Phase::Master(Master { contention: slot, .. }) = &mut self.phase else { return };
        let (loser, quiet) = (heard.source, heard.interval * 2);
        if let Some(contention) = slot {
            *contention = Contention { loser, last: now, quiet, ..*contention };
        } else {
            let (since, last, reported_at) = (now, now, now);
            *slot = Some(Contention { loser, since, last, quiet, reported_at, report_interval });
            self.announce_again(now);
        }
    }

    /// Reports a contention that is over, or goes on for another master-down interval, and
    /// announces once more: the loser may have done so in between.
    pub(crate) fn contention_timeout(&mut self, now: Instant) {
        let Phase::Master(Master { contention: slot, .. }) = &mut self.phase else { return };
        let Some(contention) = *slot else { return };
        if now < contention.deadline() {
            return;
        }
        let ongoing = now < contention.over_at();
        *slot = ongoing.then_some(Contention { reported_at: now, ..contention });
        if let Some(winner) = self.known_as() {
            let Contention { loser, since, last, .. } = contention;
            let duration = last.saturating_duration_since(since);
            self.push(Output::Contended { winner, loser, duration, ongoing });
        }
        self.announce_again(now);
    }
}
