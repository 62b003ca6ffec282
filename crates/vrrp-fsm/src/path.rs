use alloc::vec::Vec;
use core::net::IpAddr;

/// Names one path of a virtual router: its index in [`Config::paths`](crate::Config::paths).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PathId(u8);

impl PathId {
    /// The first path, whose source addresses break ties.
    pub const FIRST: Self = Self(0);

    /// The path at this index.
    #[must_use]
    pub const fn new(index: u8) -> Self {
        Self(index)
    }

    /// The index.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One way to the other routers of the virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathConfig {
    /// To whom it leads.
    pub mode: PathMode,
}

impl PathConfig {
    /// To everyone on the link, by the multicast group of VRRP (RFC 9568 §5.1.1.2, §5.1.2.2).
    #[must_use]
    pub const fn multicast() -> Self {
        Self { mode: PathMode::Multicast }
    }

    /// To the named peers, one packet each. Not in any RFC; keepalived does it as well.
    #[must_use]
    pub const fn unicast(peers: Vec<IpAddr>) -> Self {
        Self { mode: PathMode::Unicast { peers } }
    }
}

/// To whom a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathMode {
    /// To the multicast group of VRRP.
    Multicast,
    /// To these addresses; advertisements from any other source are discarded.
    Unicast {
        /// The other routers' addresses on this path.
        peers: Vec<IpAddr>,
    },
}
