//! How often, and when, addresses are announced.

use core::time::Duration;

/// How often, and when, a new holder announces its addresses (gratuitous ARP, RFC 9568 §6.4.1;
/// unsolicited neighbour advertisements, RFC 4861 §7.2.6).
///
/// The default: five at once, each address once before any is repeated, and five again 5 s later,
/// for switches that learn late.
///
/// ```
/// use core::time::Duration;
/// use vip_netlink::Announcements;
///
/// let quiet = Announcements::default().count(1).again_after(None);
/// let paced = Announcements::default().gap(Duration::from_micros(500));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcements {
    pub(crate) count: u16,
    pub(crate) again_after: Option<Duration>,
    pub(crate) refresh: Option<Duration>,
    pub(crate) refresh_count: u16,
    pub(crate) repeated: Option<(u16, Option<Duration>)>,
    pub(crate) gap: Duration,
    pub(crate) neighbour_gap: Option<Duration>,
}

impl Default for Announcements {
    fn default() -> Self {
        Self {
            count: 5,
            again_after: Some(Duration::from_secs(5)),
            refresh: None,
            refresh_count: 1,
            repeated: None,
            gap: Duration::ZERO,
            neighbour_gap: None,
        }
    }
}

impl Announcements {
    /// Frames for each address in a burst. 0 is taken as 1: an address nobody hears of is not moved.
    #[must_use]
    pub const fn count(mut self, count: u16) -> Self {
        self.count = at_least_one(count);
        self
    }

    /// How long after the first burst the second one of the same size begins; `None`: there is none.
    #[must_use]
    pub const fn again_after(mut self, delay: Option<Duration>) -> Self {
        self.again_after = delay;
        self
    }

    /// Announce `count` times every `period` for as long as the addresses are held; off by default, and with a period of zero.
    #[must_use]
    pub const fn refresh(mut self, period: Duration, count: u16) -> Self {
        self.refresh = if period.is_zero() { None } else { Some(period) };
        self.refresh_count = at_least_one(count);
        self
    }

    /// Size of the burst when announcements are *repeated* for a cause, such as another claim on the addresses, and how long after it the
    /// second one begins. The default is as for the first ones.
    #[must_use]
    pub const fn repeated(mut self, count: u16, again_after: Option<Duration>) -> Self {
        self.repeated = Some((at_least_one(count), again_after));
        self
    }

    /// The least time between two frames on one interface; zero, the default: back to back.
    #[must_use]
    pub const fn gap(mut self, gap: Duration) -> Self {
        self.gap = gap;
        self
    }

    /// The least time between two neighbour advertisements on one interface, if it is another than [`gap`](Self::gap).
    #[must_use]
    pub const fn neighbour_gap(mut self, gap: Duration) -> Self {
        self.neighbour_gap = Some(gap);
        self
    }

    pub(crate) fn gap_of(&self, ipv6: bool) -> Duration {
        self.neighbour_gap.filter(|_| ipv6).unwrap_or(self.gap)
    }
}

const fn at_least_one(count: u16) -> u16 {
    if count == 0 { 1 } else { count }
}
