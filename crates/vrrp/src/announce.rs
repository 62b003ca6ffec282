//! When to announce which address: a pure schedule, so that thousands of gratuitous ARPs go out
//! between timers and packets and not instead of them.

use core::time::Duration;
use std::collections::VecDeque;

use vrrp_fsm::Instant;

/// How often, and when, a new Master announces its addresses (gratuitous ARP, RFC 9568 §6.4.1;
/// unsolicited neighbour advertisements, RFC 4861 §7.2.6).
///
/// The default: five at once, each address once before any is repeated, and five again 5 s later,
/// for switches that learn late.
///
/// ```
/// use core::time::Duration;
/// use vrrp::Announcements;
///
/// let quiet = Announcements::default().count(1).again_after(None);
/// let paced = Announcements::default().gap(Duration::from_micros(500));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcements {
    count: u16,
    again_after: Option<Duration>,
    refresh: Option<Duration>,
    refresh_count: u16,
    gap: Duration,
}

impl Default for Announcements {
    fn default() -> Self {
        Self {
            count: 5,
            again_after: Some(Duration::from_secs(5)),
            refresh: None,
            refresh_count: 1,
            gap: Duration::ZERO,
        }
    }
}

impl Announcements {
    /// Frames for each address in a burst. 0 is taken as 1: an address nobody hears of is not moved.
    #[must_use]
    pub const fn count(mut self, count: u16) -> Self {
        self.count = if count == 0 { 1 } else { count };
        self
    }

    /// How long after the first burst the second one of the same size begins; `None`: there is none.
    #[must_use]
    pub const fn again_after(mut self, delay: Option<Duration>) -> Self {
        self.again_after = delay;
        self
    }

    /// Announce `count` times every `period` for as long as we are Master; off by default.
    #[must_use]
    pub const fn refresh(mut self, period: Duration, count: u16) -> Self {
        self.refresh = if period.is_zero() { None } else { Some(period) };
        self.refresh_count = if count == 0 { 1 } else { count };
        self
    }

    /// The least time between two frames; zero, the default: back to back.
    #[must_use]
    pub const fn gap(mut self, gap: Duration) -> Self {
        self.gap = gap;
        self
    }
}

/// The announcements that one virtual router still has to send. Addresses are indices.
#[derive(Debug)]
pub(crate) struct Schedule {
    config: Announcements,
    /// Present since a moment ago and never announced: before everything else.
    fresh: VecDeque<usize>,
    /// All addresses of the present burst, in order; `cursor` is the next of this round.
    all: Vec<usize>,
    cursor: usize,
    rounds: u16,
    /// Not before this moment goes the next frame.
    not_before: Instant,
    again_at: Option<Instant>,
    refresh_at: Option<Instant>,
}

impl Schedule {
    pub(crate) fn new(config: Announcements) -> Self {
        Self {
            config,
            fresh: VecDeque::new(),
            all: Vec::new(),
            cursor: 0,
            rounds: 0,
            not_before: Instant::from_nanos(0),
            again_at: None,
            refresh_at: None,
        }
    }

    /// The address is present: announce it once, now.
    pub(crate) fn handle_present(&mut self, address: usize) {
        self.fresh.push_back(address);
    }

    /// All addresses are present: the rest of the first burst, and the second one later.
    pub(crate) fn handle_complete(&mut self, now: Instant, all: Vec<usize>) {
        self.all = all;
        self.start(self.config.count - 1);
        self.again_at = self.config.again_after.map(|delay| now + delay);
        self.refresh_at = self.config.refresh.map(|period| now + period);
    }

    /// Announce everything again, as after a contention for mastership.
    pub(crate) fn handle_announce(&mut self, now: Instant) {
        self.start(self.config.count);
        self.again_at = self.config.again_after.map(|delay| now + delay);
    }

    /// We are not Master any more.
    pub(crate) fn handle_release(&mut self) {
        *self = Self::new(self.config);
    }

    /// The next moment at which [`Schedule::next`] has something to say.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let frames = (!self.fresh.is_empty() || self.rounds > 0).then_some(self.not_before);
        [frames, self.again_at, self.refresh_at].into_iter().flatten().min()
    }

    /// The next address to announce, if one is due.
    pub(crate) fn next(&mut self, now: Instant) -> Option<usize> {
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            self.start(self.config.count);
        }
        if let (Some(at), Some(period)) = (self.refresh_at, self.config.refresh)
            && at <= now
        {
            self.refresh_at = Some(now + period);
            self.start(self.config.refresh_count.max(self.rounds));
        }
        if now < self.not_before {
            return None;
        }
        let address = self.fresh.pop_front().or_else(|| self.repeat())?;
        self.not_before = now + self.config.gap;
        Some(address)
    }

    fn start(&mut self, rounds: u16) {
        self.rounds = if self.all.is_empty() { 0 } else { rounds };
        self.cursor = 0;
    }

    fn repeat(&mut self) -> Option<usize> {
        if self.rounds == 0 {
            return None;
        }
        let address = self.all.get(self.cursor).copied();
        self.cursor += 1;
        if self.cursor >= self.all.len() {
            self.cursor = 0;
            self.rounds -= 1;
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    fn due(schedule: &mut Schedule, now: Instant) -> Vec<usize> {
        core::iter::from_fn(|| schedule.next(now)).collect()
    }

    #[test]
    fn five_rounds_now_and_five_later() {
        let mut schedule = Schedule::new(Announcements::default());
        assert_eq!(schedule.poll_timeout(), None);
        schedule.handle_present(0);
        assert_eq!(due(&mut schedule, at(1)), [0], "at once, before the others are present");
        schedule.handle_present(1);
        schedule.handle_present(2);
        schedule.handle_complete(at(2), vec![0, 1, 2]);
        assert_eq!(
            due(&mut schedule, at(2)),
            [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2],
            "each five times, in turn"
        );
        assert_eq!(schedule.poll_timeout(), Some(at(5002)));
        assert_eq!(due(&mut schedule, at(5001)), []);
        assert_eq!(due(&mut schedule, at(5002)).len(), 15);
        assert_eq!(schedule.poll_timeout(), None);
    }

    #[test]
    fn a_gap_spaces_the_frames() {
        let gap = Duration::from_millis(10);
        let mut schedule =
            Schedule::new(Announcements::default().count(2).again_after(None).gap(gap));
        schedule.handle_present(0);
        schedule.handle_present(1);
        schedule.handle_complete(at(0), vec![0, 1]);
        let mut sent = Vec::new();
        while let Some(next) = schedule.poll_timeout() {
            sent.push((next, due(&mut schedule, next)));
        }
        assert_eq!(
            sent,
            [(at(0), vec![0]), (at(10), vec![1]), (at(20), vec![0]), (at(30), vec![1])]
        );
    }

    #[test]
    fn release_forgets_everything() {
        let mut schedule =
            Schedule::new(Announcements::default().refresh(Duration::from_secs(1), 1));
        schedule.handle_present(0);
        schedule.handle_complete(at(0), vec![0]);
        assert_eq!(due(&mut schedule, at(0)).len(), 5);
        assert_eq!(due(&mut schedule, at(1000)), [0], "the refresh");
        assert_eq!(schedule.poll_timeout(), Some(at(2000)));
        schedule.handle_release();
        assert_eq!(schedule.poll_timeout(), None);
        assert_eq!(due(&mut schedule, at(9000)), []);
    }

    #[test]
    fn nothing_to_announce_is_not_an_endless_burst() {
        let mut schedule = Schedule::new(Announcements::default());
        schedule.handle_complete(at(0), Vec::new());
        schedule.handle_announce(at(0));
        assert_eq!(due(&mut schedule, at(10_000)), []);
        assert_eq!(schedule.poll_timeout(), None);
    }
}
