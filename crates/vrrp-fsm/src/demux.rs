use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv6Addr};

use vrrp_proto::{AddressFamily, Vrid};

use crate::{Counter, Datagram, Discard, PathId, statistics::Discards};

/// Finds the virtual router a datagram is for, by interface, address family, VRID and, for unicast,
/// peer.
///
/// A virtual router with several paths has the keys of all of them, with the path in each
/// [`Route`].
///
/// It also counts the datagrams that belong to none (RFC 8347 `vrid-errors` and so on). Adding and
/// removing allocates, finding does not.
#[derive(Debug, Clone, Default)]
pub struct Demux {
    routes: BTreeMap<Key, Route>,
    discards: Discards,
}

/// What a virtual router, on one of its paths, is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the caller makes it")]
pub struct Key {
    /// The index of the interface datagrams come in on.
    pub interface: u32,
    /// Their address family.
    pub family: AddressFamily,
    /// The virtual router they name.
    pub vrid: Vrid,
    /// On a unicast path: one of the peers. Each has its own key.
    pub peer: Option<IpAddr>,
}

/// Which virtual router, and which of its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the caller makes it")]
pub struct Route {
    /// A number of the caller's, such as an index into its list of virtual routers.
    pub router: usize,
    /// The path.
    pub path: PathId,
}

impl Demux {
    /// Knows no virtual router.
    #[must_use]
    pub const fn new() -> Self {
        Self { routes: BTreeMap::new(), discards: Discards::NONE }
    }

    /// Adds a virtual router. Returns the one that had this key before.
    pub fn insert(&mut self, key: Key, route: Route) -> Option<Route> {
        self.routes.insert(key, route)
    }

    /// Removes a virtual router.
    pub fn remove(&mut self, key: &Key) -> Option<Route> {
        self.routes.remove(key)
    }

    /// Removes every key of one virtual router.
    pub fn remove_router(&mut self, router: usize) {
        self.routes.retain(|_, route| route.router != router);
    }

    /// Whom an IPv4 packet (with header) is for, and the datagram to give to its
    /// [`handle_datagram`](crate::VirtualRouter::handle_datagram).
    ///
    /// # Errors
    /// [`Discard`], already counted here: the header is broken, or no virtual router has this key.
    pub fn ipv4<'a>(
        &mut self,
        interface: u32,
        packet: &'a [u8],
    ) -> Result<(usize, Datagram<'a>), Discard> {
        let found = Datagram::ipv4(PathId::FIRST, packet)
            .and_then(|datagram| self.find(interface, datagram));
        found.inspect_err(|discard| self.discards.count(*discard))
    }

    /// Whom the payload of an IPv6 packet is for, see [`Datagram::ipv6`].
    ///
    /// # Errors
    /// [`Discard`], already counted here: no virtual router has this key.
    pub fn ipv6<'a>(
        &mut self,
        interface: u32,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: Option<u8>,
        message: &'a [u8],
    ) -> Result<(usize, Datagram<'a>), Discard> {
        let datagram = Datagram::ipv6(PathId::FIRST, source, destination, hop_limit, message);
        let found = self.find(interface, datagram);
        found.inspect_err(|discard| self.discards.count(*discard))
    }

    /// How many datagrams were discarded here for this cause.
    #[must_use]
    pub fn discarded(&self, cause: Counter) -> u64 {
        self.discards.of(cause)
    }

    fn find<'a>(
        &self,
        interface: u32,
        datagram: Datagram<'a>,
    ) -> Result<(usize, Datagram<'a>), Discard> {
        // RFC 9568 §7.1: "MUST verify that the VRID is configured on the receiving interface".
        let named = datagram.vrid().unwrap_or_default();
        // What comes before the VRID in the order of the checks is counted instead of it.
        let unknown = || match datagram.header() {
            Ok(_) => Discard::Vrid { vrid: named },
            Err(defect) => defect,
        };
        let vrid = Vrid::new(named).map_err(|_| unknown())?;
        let family = datagram.family();
        let key = |peer| Key { interface, family, vrid, peer };
        let peer = Some(datagram.source()).filter(|_| !datagram.destination().is_multicast());
        let exact = self.routes.get(&key(peer));
        // A stranger's datagram is charged to the virtual router it names.
        let any = || {
            self.routes.range(key(None)..).next().filter(|(found, _)| {
                (found.interface, found.family, found.vrid) == (interface, family, vrid)
            })
        };
        let route = exact.or_else(|| any().map(|(_, route)| route)).ok_or_else(unknown)?;
        Ok((route.router, datagram.on_path(route.path)))
    }
}
