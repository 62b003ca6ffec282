//! Two Masters at once, seen from the one that is right.

use core::{net::IpAddr, time::Duration};

use crate::{
    Instant, Output, PathId, State, VirtualRouter,
    state::{Heard, Master, Phase},
};

/// A phase in which another router advertises as Master as well, with less right to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contention {
    pub(crate) loser: IpAddr,
    pub(crate) since: Instant,
    /// Its last advertisement.
    last: Instant,
    /// The silence after which it is over.
    quiet: Duration,
    /// When to report it while it goes on.
    report_at: Instant,
}

impl Contention {
    fn over_at(&self) -> Instant {
        self.last + self.quiet
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.over_at().min(self.report_at)
    }
}

impl VirtualRouter {
    /// A losing advertisement. Announces when the first one comes, because hosts may have learned
    /// the loser's MAC address; RFC 9568 §6.4.3 leaves them with it.
    pub(crate) fn contended(&mut self, now: Instant, heard: &Heard) {
        let report_at = now + self.master_down_interval(self.config.advertisement_interval);
        let Phase::Master(Master { contention, .. }) = &mut self.phase else { return };
        let first = contention.is_none();
        *contention = Some(Contention {
            loser: heard.source,
            since: contention.map_or(now, |contention| contention.since),
            last: now,
            quiet: heard.interval * 2,
            report_at: contention.map_or(report_at, |contention| contention.report_at),
        });
        if first {
            self.announce_again();
        }
    }

    /// Reports a contention that is over, or goes on for another master-down interval, and
    /// announces once more: the loser may have done so in between.
    pub(crate) fn contention_timeout(&mut self, now: Instant) {
        let report_at = now + self.master_down_interval(self.config.advertisement_interval);
        let Phase::Master(Master { contention: slot, .. }) = &mut self.phase else { return };
        let Some(contention) = *slot else { return };
        if now < contention.deadline() {
            return;
        }
        let ongoing = now < contention.over_at();
        *slot = ongoing.then_some(Contention { report_at, ..contention });
        if let Some(winner) = self.source(PathId::FIRST) {
            let Contention { loser, since, last, .. } = contention;
            let duration = last.saturating_duration_since(since);
            self.push(Output::Contended { winner, loser, duration, ongoing });
        }
        self.announce_again();
    }

    /// Only what has been announced before: installing announces anyway.
    fn announce_again(&mut self) {
        if self.reported == State::Master && self.effects.is_done() {
            self.push(Output::Announce);
        }
    }
}
