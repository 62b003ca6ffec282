//! The ways on which a virtual router and the others hear each other.

use core::net::IpAddr;

use vrrp_fsm::PathConfig;

use crate::virtual_router::VirtualRouter;

/// One way to the other routers of a virtual router: an interface, and whom it speaks to there.
///
/// The commonest cause of two Masters is a broken line between two hosts that both work. With
/// [`VirtualRouter::paths`] every advertisement goes out on several lines and counts from each of them: only when all are
/// broken are there two Masters. The others then have names ([`VirtualRouter::peer`]).
///
/// A path that is down is no fault: [`Status`](crate::Status) and [`Why`](crate::Why) tell of it. What is a fault is the
/// loss of the interface of the virtual router itself ([`VirtualRouter::track_link`]), for there its addresses are; of
/// every path's source address; and that advertisements leave on none.
///
/// ```
/// # use vrrp::{Path, VirtualRouter, Vrid};
/// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
///     .address("192.0.2.100/24".parse()?)
///     .paths([Path::multicast("eth0"), Path::unicast("eth1")])
///     .peer("b", ["192.0.2.3".parse()?, "10.9.9.3".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub(crate) interface: String,
    pub(crate) source: Option<IpAddr>,
    multicast: bool,
}

impl Path {
    /// To everyone on the link of this interface, by the multicast group of VRRP (RFC 9568 §5.1.1.2, §5.1.2.2).
    #[must_use]
    pub fn multicast(interface: impl Into<String>) -> Self {
        Self { interface: interface.into(), source: None, multicast: true }
    }

    /// To the peers' addresses of this path, one packet each, out of this interface.
    #[must_use]
    pub fn unicast(interface: impl Into<String>) -> Self {
        Self { multicast: false, ..Self::multicast(interface) }
    }

    /// The source address of our advertisements on this path, as [`VirtualRouter::source`] for the first.
    #[must_use]
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Whether it needs the multicast group.
    pub(crate) const fn is_multicast(&self) -> bool {
        self.multicast
    }
}

impl VirtualRouter {
    /// The paths that were asked for, or else the one that the interface is. The peers of [`VirtualRouter::unicast`] are the
    /// first one's.
    pub(crate) fn effective_paths(&self) -> Vec<Path> {
        let mut paths = self.paths.clone();
        if paths.is_empty() {
            paths.push(Path::multicast(&self.interface));
        }
        if let Some(first) = paths.first_mut() {
            first.multicast &= self.unicast.is_empty();
            first.source = first.source.or(self.source);
        }
        paths
    }

    /// The paths as the machine wants them.
    pub(crate) fn path_configs(&self) -> Vec<PathConfig> {
        let paths = self.effective_paths();
        let listed = core::iter::once(self.unicast.clone()).chain(core::iter::repeat(Vec::new()));
        let config = |(path, listed): (&Path, _)| {
            if path.multicast { PathConfig::multicast() } else { PathConfig::unicast(listed) }
        };
        paths.iter().zip(listed).map(config).collect()
    }

    /// By what the datagrams of each path are known: the interface they come in on and, on a unicast path, the peer.
    pub(crate) fn listens(&self) -> Vec<Vec<(String, Option<IpAddr>)>> {
        let of_path = |(index, path): (usize, &Path)| {
            let known = |peer| (path.interface.clone(), peer);
            if path.multicast {
                return vec![known(None)];
            }
            let listed = self.unicast.iter().filter(|_| index == 0);
            let named = self.peers.iter().filter_map(|peer| peer.addresses.get(index));
            listed.chain(named).map(|peer| known(Some(*peer))).collect()
        };
        self.effective_paths().iter().enumerate().map(of_path).collect()
    }

    /// The peer that stands in the name of its journal: on a unicast path the least.
    pub(crate) fn journal_peer(&self) -> Option<IpAddr> {
        let first = self.listens().into_iter().next().unwrap_or_default();
        first.into_iter().filter_map(|(_, peer)| peer).min()
    }
}
