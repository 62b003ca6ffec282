//! When to announce which address: pure, so that thousands of frames go out between timers and packets and not instead of them.
//!
//! Moments are the time since an epoch of the caller's choice, of a clock that never steps.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::announcements::Announcements;

/// An announcement that is due: one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "made by the caller, and handed back")]
pub struct Announcement {
    /// Which address, by a number of the caller's choice.
    pub address: usize,
    /// The index of the interface to announce it on.
    pub interface: u32,
    /// By a neighbour advertisement, or by ARP.
    pub ipv6: bool,
}

impl Announcement {
    const fn lane(self) -> LaneKey {
        (self.interface, self.ipv6)
    }
}

/// Interface, and whether it is IPv6: what has a rate of its own.
type LaneKey = (u32, bool);

/// The rates of interfaces, for all schedules that announce on them.
///
/// After a frame, no other leaves on the same interface (and family) until the [`gap`](Announcements::gap) of its schedule has gone by.
#[derive(Debug, Default)]
pub struct Pacer {
    not_before: BTreeMap<LaneKey, Duration>,
    /// Interfaces that share the rate of another one.
    groups: BTreeMap<u32, u32>,
}

impl Pacer {
    /// Every interface for itself, and all free.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Interfaces that share one rate, such as ports of one slow switch.
    pub fn share(&mut self, interfaces: impl IntoIterator<Item = u32>) {
        let mut interfaces = interfaces.into_iter();
        let Some(first) = interfaces.next() else { return };
        let first = self.group(first);
        self.groups.extend(interfaces.map(|interface| (interface, first)));
    }

    fn group(&self, interface: u32) -> u32 {
        self.groups.get(&interface).copied().unwrap_or(interface)
    }

    fn free_at(&self, (interface, ipv6): LaneKey) -> Duration {
        let key = (self.group(interface), ipv6);
        self.not_before.get(&key).copied().unwrap_or(Duration::ZERO)
    }

    fn note(&mut self, (interface, ipv6): LaneKey, now: Duration, gap: Duration) {
        if !gap.is_zero() {
            let key = (self.group(interface), ipv6);
            self.not_before.insert(key, now.saturating_add(gap));
        }
    }
}

/// The announcements that one holder of addresses still has to send: a burst, a second one, refreshes.
///
/// ```
/// use core::time::Duration;
/// use vip_netlink::{Announcement, AnnouncementSchedule, Announcements, Pacer};
///
/// let (mut schedule, mut pacer) = (AnnouncementSchedule::new(Announcements::default()), Pacer::new());
/// let vip = Announcement { address: 0, interface: 3, ipv6: false };
/// let now = Duration::from_secs(100); // of a monotonic clock
/// schedule.handle_present(vip); // as soon as the kernel has it
/// schedule.handle_complete(now, [vip]); // when it has all
///
/// let mut frames = 0;
/// while let Some(due) = schedule.poll_output(now, &mut pacer) {
///     assert_eq!(due, vip); // send it: Announcer::gratuitous_arp
///     frames += 1;
/// }
/// assert_eq!(frames, 5);
/// assert_eq!(schedule.poll_timeout(&pacer), Some(now + Duration::from_secs(5))); // the second burst
/// ```
#[derive(Debug)]
pub struct AnnouncementSchedule {
    config: Announcements,
    lanes: BTreeMap<LaneKey, Lane>,
    /// Where no frame can leave.
    down: BTreeSet<u32>,
}

/// What is to be announced on one interface by one kind of frames.
#[derive(Debug, Default)]
struct Lane {
    /// Present since a moment ago and never announced: before everything else.
    fresh: VecDeque<Announcement>,
    /// All of a burst, in order; `cursor` is the next of this round.
    all: Vec<Announcement>,
    cursor: usize,
    rounds: u16,
    again: Option<(Duration, u16)>,
    refresh_at: Option<Duration>,
}

impl AnnouncementSchedule {
    /// Nothing to announce yet.
    #[must_use]
    pub fn new(config: Announcements) -> Self {
        Self { config, lanes: BTreeMap::new(), down: BTreeSet::new() }
    }

    /// The address is present: announce it once, now.
    pub fn handle_present(&mut self, announcement: Announcement) {
        self.lanes.entry(announcement.lane()).or_default().fresh.push_back(announcement);
    }

    /// All addresses are present, these: the rest of the first burst, and the second one later.
    pub fn handle_complete(&mut self, now: Duration, all: impl IntoIterator<Item = Announcement>) {
        for lane in self.lanes.values_mut() {
            lane.all.clear();
        }
        for announcement in all {
            self.lanes.entry(announcement.lane()).or_default().all.push(announcement);
        }
        let Announcements { count, again_after, refresh, .. } = self.config;
        for lane in self.lanes.values_mut() {
            // Once they were announced as they came.
            lane.start(count.saturating_sub(1));
            lane.again = again_after.map(|delay| (now.saturating_add(delay), count));
            lane.refresh_at = refresh.map(|period| now.saturating_add(period));
        }
    }

    /// Announce everything again, as after a contention for the addresses.
    pub fn handle_announce(&mut self, now: Duration) {
        let Announcements { count, again_after, repeated, .. } = self.config;
        let (count, again_after) = repeated.unwrap_or((count, again_after));
        for lane in self.lanes.values_mut() {
            lane.start(count);
            lane.again = again_after.map(|delay| (now.saturating_add(delay), count));
        }
    }

    /// Frames can leave on the interface again, or cannot. While they cannot, none is due there; afterwards come both bursts again.
    pub fn handle_link(&mut self, now: Duration, interface: u32, up: bool) {
        if !up {
            self.down.insert(interface);
            return;
        }
        self.down.remove(&interface);
        let Announcements { count, again_after, .. } = self.config;
        for (_, lane) in self.lanes.range_mut((interface, false)..=(interface, true)) {
            lane.start(count);
            lane.again = again_after.map(|delay| (now.saturating_add(delay), count));
        }
    }

    /// The addresses for which `is_gone` is true are not ours any more; the others are.
    pub fn handle_gone(&mut self, is_gone: impl Fn(usize) -> bool) {
        for lane in self.lanes.values_mut() {
            lane.fresh.retain(|announcement| !is_gone(announcement.address));
            let before = lane.all.iter().take(lane.cursor);
            let passed = before.filter(|announcement| is_gone(announcement.address)).count();
            lane.cursor = lane.cursor.saturating_sub(passed);
            lane.all.retain(|announcement| !is_gone(announcement.address));
            lane.end_round();
        }
    }

    /// No address is ours any more.
    pub fn handle_release(&mut self) {
        self.lanes.clear();
    }

    /// The next moment at which [`poll_output`](Self::poll_output) has something to say; `None`: not before the next input.
    #[must_use]
    pub fn poll_timeout(&self, pacer: &Pacer) -> Option<Duration> {
        let of_lane = |(key, lane): (&LaneKey, &Lane)| {
            let frames = lane.has_frames().then(|| pacer.free_at(*key));
            let again = lane.again.map(|(at, _)| at);
            [frames, again, lane.refresh_at].into_iter().flatten().min()
        };
        self.lanes
            .iter()
            .filter(|((interface, _), _)| !self.down.contains(interface))
            .filter_map(of_lane)
            .min()
    }

    /// The next announcement that is due. Send it, or count it as sent: the repetitions are for those that are lost.
    pub fn poll_output(&mut self, now: Duration, pacer: &mut Pacer) -> Option<Announcement> {
        for (key, lane) in &mut self.lanes {
            if self.down.contains(&key.0) {
                continue;
            }
            lane.handle_timeout(now, &self.config);
            if pacer.free_at(*key) > now {
                continue;
            }
            if let Some(announcement) = lane.next() {
                pacer.note(*key, now, self.config.gap_of(key.1));
                return Some(announcement);
            }
        }
        None
    }
}

impl Lane {
    fn handle_timeout(&mut self, now: Duration, config: &Announcements) {
        if let Some((_, count)) = self.again.take_if(|(at, _)| *at <= now) {
            self.start(count);
        }
        if let (Some(at), Some(period)) = (self.refresh_at, config.refresh)
            && at <= now
        {
            self.refresh_at = Some(now.saturating_add(period));
            self.start(config.refresh_count.max(self.rounds));
        }
    }

    fn has_frames(&self) -> bool {
        !self.fresh.is_empty() || self.rounds > 0
    }

    fn start(&mut self, rounds: u16) {
        self.rounds = if self.all.is_empty() { 0 } else { rounds };
        self.cursor = 0;
    }

    fn next(&mut self) -> Option<Announcement> {
        if let Some(fresh) = self.fresh.pop_front() {
            return Some(fresh);
        }
        if self.rounds == 0 {
            return None;
        }
        let announcement = self.all.get(self.cursor).copied();
        self.cursor = self.cursor.saturating_add(1);
        self.end_round();
        announcement
    }

    fn end_round(&mut self) {
        if self.all.is_empty() {
            self.rounds = 0;
        }
        if self.cursor >= self.all.len() {
            self.cursor = 0;
            self.rounds = self.rounds.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
