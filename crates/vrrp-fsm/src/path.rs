use alloc::vec::Vec;
use core::{fmt, net::IpAddr};

use crate::{Heard, Instant, VirtualRouter};

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

    fn bit(self) -> u8 {
        1_u8.checked_shl(self.0.into()).unwrap_or_default()
    }
}

/// So many paths a virtual router has at most.
pub const MAX_PATHS: usize = 8;

/// One way to the other routers of the virtual router.
///
/// # Several paths
///
/// The commonest cause of two Masters is a broken line between two routers that both work. A second
/// line helps, if the election uses both: with several paths in
/// [`Config::paths`](crate::Config::paths) every advertisement goes out on all of them, and is
/// accepted from any.
///
/// ```text
///    a: 192.0.2.2 ----- path 0, multicast ----- 192.0.2.3 :b
///       10.9.9.2  ----- path 1, unicast   ----- 10.9.9.3
/// ```
///
/// - The others have names: [`Config::peers`](crate::Config::peers). A stranger's advertisement is
///   discarded. Each router is known by its address on the first path, in ties as well; so tell the
///   machine that address even if the path is down.
/// - An advertisement that comes over two paths is one: the copy moves no timer and is not answered.
///   After a farewell with priority 0, what the slower paths still bring of its sender is stale for
///   one advertisement interval.
/// - A path that is down is no fault while another one sends. If nothing leaves on any, that is
///   [`Fault::CannotAdvertise`](crate::Fault::CannotAdvertise). What is known about each path is in
///   [`VirtualRouter::path_status`](crate::VirtualRouter::path_status) and
///   [`why`](crate::VirtualRouter::why).
/// - All routers should have the same paths in the same order.
///
/// ```
/// use vrrp_fsm::{Config, PathConfig, PathId, PeerConfig, VirtualRouter};
/// use vrrp_fsm::vrrp_proto::{AddressFamily, Vrid};
///
/// let config = Config::new(Vrid::new(51)?, AddressFamily::Ipv4)
///     .virtual_addresses(vec!["192.0.2.1".parse()?])
///     .paths(vec![PathConfig::multicast(), PathConfig::unicast(vec![])])
///     .peers(vec![PeerConfig::new("b", vec!["192.0.2.3".parse()?, "10.9.9.3".parse()?])]);
/// let router = VirtualRouter::new(config, 0)?;
/// let ways: Vec<String> = router
///     .paths()
///     .flat_map(|path| router.destinations(path))
///     .map(|destination| destination.to_string())
///     .collect();
/// assert_eq!(ways, ["224.0.0.18", "10.9.9.3"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

    /// To single routers, one packet each: these, or with [`Config::peers`](crate::Config::peers)
    /// those (then this list stays empty). Not in any RFC; keepalived does it as well.
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
    /// To single routers; advertisements from any other source are discarded.
    Unicast {
        /// The other routers' addresses on this path, unless they are named in
        /// [`Config::peers`](crate::Config::peers).
        peers: Vec<IpAddr>,
    },
}

/// How one path of a virtual router fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathStatus {
    /// The address it sends from.
    pub source: Option<IpAddr>,
    /// Its latest transmission that succeeded.
    pub sent_at: Option<Instant>,
    /// The latest advertisement that was accepted from it.
    pub heard_at: Option<Instant>,
    /// Whether its latest transmission failed.
    pub is_failing: bool,
    /// Transmissions that failed.
    pub send_failures: u64,
}

impl VirtualRouter {
    /// How a path fares; `None` for one that is not configured.
    #[must_use]
    pub fn path_status(&self, path: PathId) -> Option<PathStatus> {
        let path = self.paths.get(path.index())?;
        Some(PathStatus {
            source: path.source,
            sent_at: path.succeeded_at,
            heard_at: path.heard_at,
            is_failing: path.failing,
            send_failures: path.send_failures,
        })
    }

    /// The paths that cannot send at present: without an address, or failing.
    pub(crate) fn failing_paths(&self) -> Paths {
        let is_failing = |id: PathId| {
            let path = self.paths.get(id.index());
            path.is_some_and(|path| path.failing || path.source.is_none())
        };
        self.paths().filter(|id| is_failing(*id)).collect()
    }

    /// Of several paths, those that have not brought this Master's advertisements for so long that
    /// it would count as dead.
    pub(crate) fn silent_paths(&self, now: Instant, master: &Heard) -> Paths {
        let limit = self.master_down_interval(master.interval);
        let is_silent = |id: PathId| {
            let heard_at = self.paths.get(id.index()).and_then(|path| path.heard_at);
            id != master.path && heard_at.is_none_or(|at| now >= at + limit)
        };
        self.paths().filter(|id| is_silent(*id)).collect()
    }
}

/// Some of the paths of a virtual router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Paths(u8);

impl Paths {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a path is among them.
    #[must_use]
    pub fn contains(self, path: PathId) -> bool {
        self.0 & path.bit() != 0
    }

    /// The paths, in order.
    pub fn iter(self) -> impl Iterator<Item = PathId> {
        (0..=u8::MAX).take(MAX_PATHS).map(PathId::new).filter(move |path| self.contains(*path))
    }
}

impl FromIterator<PathId> for Paths {
    fn from_iter<I: IntoIterator<Item = PathId>>(paths: I) -> Self {
        Self(paths.into_iter().fold(0, |bits, path| bits | path.bit()))
    }
}

/// `path 0, path 2`; nothing if there is none.
impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}path {}", path.get())?;
        }
        Ok(())
    }
}
