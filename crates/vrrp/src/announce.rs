//! When to announce which address: the schedule of `vip-netlink`, in the machines' time and by the places in a router's list of addresses.

use core::time::Duration;

use vip_netlink::{Announcement, AnnouncementSchedule, Announcements, Pacer};
use vrrp_fsm::Instant;

use crate::addresses::Held;

/// The announcements that one virtual router still has to send. Addresses are indices.
#[derive(Debug)]
pub(crate) struct Schedule(AnnouncementSchedule);

impl Schedule {
    pub(crate) fn new(config: Announcements) -> Self {
        Self(AnnouncementSchedule::new(config))
    }

    /// The address is present: announce it once, now.
    pub(crate) fn handle_present(&mut self, index: usize, held: &[Held]) {
        if let Some(announcement) = announcement(index, held) {
            self.0.handle_present(announcement);
        }
    }

    /// All addresses are present: the rest of the first burst, and the second one later.
    pub(crate) fn handle_complete(&mut self, now: Instant, present: &[usize], held: &[Held]) {
        let all = present.iter().filter_map(|index| announcement(*index, held));
        self.0.handle_complete(moment(now), all);
    }

    /// Announce everything again, as after a contention for mastership.
    pub(crate) fn handle_announce(&mut self, now: Instant) {
        self.0.handle_announce(moment(now));
    }

    /// Frames can leave on the interface again, or cannot.
    pub(crate) fn handle_link(&mut self, now: Instant, interface: u32, up: bool) {
        self.0.handle_link(moment(now), interface, up);
    }

    /// These addresses, in order, are not there any more.
    pub(crate) fn handle_gone(&mut self, gone: &[usize]) {
        self.0.handle_gone(|address| gone.binary_search(&address).is_ok());
    }

    /// We are not Master any more.
    pub(crate) fn handle_release(&mut self) {
        self.0.handle_release();
    }

    /// The next moment at which [`Schedule::poll_output`] has something to say.
    pub(crate) fn poll_timeout(&self, pacer: &Pacer) -> Option<Instant> {
        let nanos = |at: Duration| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.0.poll_timeout(pacer).map(|at| Instant::from_nanos(nanos(at)))
    }

    /// The next address to announce, if one is due.
    pub(crate) fn poll_output(&mut self, now: Instant, pacer: &mut Pacer) -> Option<usize> {
        self.0.poll_output(moment(now), pacer).map(|announcement| announcement.address)
    }
}

fn announcement(address: usize, held: &[Held]) -> Option<Announcement> {
    let held = &held.get(address)?.address;
    Some(Announcement { address, interface: held.interface(), ipv6: held.ip().is_ipv6() })
}

const fn moment(now: Instant) -> Duration {
    Duration::from_nanos(now.as_nanos())
}
