//! What a route assumes about the way, and how it stands against other routers.

/// An assumption about the way of a route's packets (`RTAX_*`, `linux/rtnetlink.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Largest packet in octets.
    Mtu,
    /// Largest window to advertise to peers, in octets.
    Window,
    /// First guess of the round-trip time, in eighths of a millisecond.
    RoundTripTime,
    /// First guess of its variance, in quarters of a millisecond.
    RoundTripVariance,
    /// Slow-start threshold, in segments.
    SlowStartThreshold,
    /// Clamp of the congestion window, in segments; the kernel obeys it only when locked.
    CongestionWindow,
    /// Largest segment to advertise to peers, in octets.
    AdvertisedSegment,
    /// First guess of how far packets are reordered.
    Reordering,
    /// The hop limit of packets, 1 to 255.
    HopLimit,
    /// Initial congestion window, in segments.
    InitialWindow,
    /// Features, a set of bits; 1 is ECN.
    Features,
    /// Least retransmission timeout, in milliseconds.
    RetransmissionTimeout,
    /// Initial receive window, in segments.
    InitialReceiveWindow,
    /// Acknowledge at once: 0 or 1.
    QuickAck,
    /// Fast open without a cookie: 0 or 1.
    FastOpenNoCookie,
}

/// With the kernel's number and the word that stands for it in text.
const ALL: [(Metric, u16, &str); 15] = [
    (Metric::Mtu, 2, "mtu"),
    (Metric::Window, 3, "window"),
    (Metric::RoundTripTime, 4, "rtt"),
    (Metric::RoundTripVariance, 5, "rttvar"),
    (Metric::SlowStartThreshold, 6, "ssthresh"),
    (Metric::CongestionWindow, 7, "cwnd"),
    (Metric::AdvertisedSegment, 8, "advmss"),
    (Metric::Reordering, 9, "reordering"),
    (Metric::HopLimit, 10, "hoplimit"),
    (Metric::InitialWindow, 11, "initcwnd"),
    (Metric::Features, 12, "features"),
    (Metric::RetransmissionTimeout, 13, "rto_min"),
    (Metric::InitialReceiveWindow, 14, "initrwnd"),
    (Metric::QuickAck, 15, "quickack"),
    (Metric::FastOpenNoCookie, 17, "fastopen_no_cookie"),
];

impl Metric {
    /// Every one, in the kernel's order.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|(metric, ..)| *metric)
    }

    fn entry(self) -> (u16, &'static str) {
        let entry = ALL.iter().find(|(metric, ..)| *metric == self);
        entry.map_or((0, ""), |(_, number, word)| (*number, *word))
    }

    /// `RTAX_*`.
    pub(crate) fn number(self) -> u16 {
        self.entry().0
    }

    /// Its bit in `RTAX_LOCK`.
    pub(crate) fn bit(self) -> u32 {
        1_u32.checked_shl(self.number().into()).unwrap_or(0)
    }

    pub(crate) fn word(self) -> &'static str {
        self.entry().1
    }

    pub(crate) fn from_number(number: u16) -> Option<Self> {
        ALL.iter().find(|(_, known, _)| *known == number).map(|(metric, ..)| *metric)
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        ALL.iter().find(|(_, _, known)| *known == word).map(|(metric, ..)| *metric)
    }
}

/// How much hosts and this kernel like a router (RFC 4191 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "two bits, one value of which is reserved")]
pub enum RouterPreference {
    /// Less than others.
    Low,
    /// As others.
    #[default]
    Medium,
    /// More than others.
    High,
}
