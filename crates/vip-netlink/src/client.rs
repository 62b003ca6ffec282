//! Reading links, addresses, routes and rules.

use netlink::errno::{EAFNOSUPPORT, EOPNOTSUPP};
use netlink::message_type::{
    RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, RTM_GETRULE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE,
    RTM_NEWRULE,
};
use netlink::{Flags, Payload, Protocol, Request, RequestError, Socket};

use crate::address::codec::{AF_INET, AF_INET6};
use crate::address::{self, PresentAddress};
use crate::error::QueryError;
use crate::link::{self, IFINFOMSG_LEN, Link};
use crate::route::{self, Route};
use crate::rule::{self, Rule};

/// `IFLA_EXT_MASK` and `RTEXT_FILTER_SKIP_STATS` (`linux/rtnetlink.h`): a link without its counters is a third as long.
const IFLA_EXT_MASK: u16 = 29;
const SKIP_STATS: u32 = 1 << 3;

/// A connection to the kernel's tables of links, addresses, routes and rules, of the network namespace in which it was opened.
#[derive(Debug)]
pub struct Client {
    pub(crate) socket: Socket,
}

impl Client {
    /// Opens a connection in the network namespace of the calling thread. Needs no privilege.
    ///
    /// # Errors
    ///
    /// [`QueryError::Open`], for example without a free descriptor.
    pub fn open() -> Result<Self, QueryError> {
        Ok(Self { socket: Socket::open(Protocol::Route).map_err(QueryError::Open)? })
    }

    /// All interfaces, by index.
    ///
    /// # Errors
    ///
    /// [`QueryError::Links`].
    pub fn links(&mut self) -> Result<Vec<Link>, QueryError> {
        let payload = Payload::with_header(&[0; IFINFOMSG_LEN]).u32(IFLA_EXT_MASK, SKIP_STATS);
        let request = Request::new(RTM_GETLINK, Flags::NONE, payload);
        let links = self.dump(&request, RTM_NEWLINK, link::decode);
        let mut links: Vec<Link> = links.map_err(QueryError::Links)?;
        links.sort_unstable_by_key(|link: &Link| link.index);
        Ok(links)
    }

    /// The interface of this name.
    ///
    /// # Errors
    ///
    /// [`QueryError::NoSuchInterface`], which lists those that exist, and [`QueryError::Links`].
    pub fn link(&mut self, name: &str) -> Result<Link, QueryError> {
        let mut links = self.links()?;
        match links.iter().position(|link| link.name == name) {
            Some(position) => Ok(links.swap_remove(position)),
            None => Err(QueryError::NoSuchInterface {
                name: name.to_owned(),
                existing: links.into_iter().map(|link| link.name).collect(),
            }),
        }
    }

    /// All addresses of all interfaces, in the kernel's order (which is the order of precedence within an interface).
    ///
    /// # Errors
    ///
    /// [`QueryError::Addresses`].
    pub fn addresses(&mut self) -> Result<Vec<PresentAddress>, QueryError> {
        let request = Request::new(RTM_GETADDR, Flags::NONE, address::codec::encode_dump());
        self.dump(&request, RTM_NEWADDR, address::codec::decode).map_err(QueryError::Addresses)
    }

    /// The routes with this tag ([`Route::protocol`]); 0 for all, which a router with a full table takes seconds to list.
    ///
    /// Routes of kinds that nobody configures (broadcast, multicast) and the kernel's cached ones are left out.
    ///
    /// # Errors
    ///
    /// [`QueryError::Routes`].
    pub fn routes(&mut self, protocol: u8) -> Result<Vec<Route>, QueryError> {
        self.routes_of(0, protocol).map_err(QueryError::Routes)
    }

    pub(crate) fn routes_of(
        &mut self,
        table: u32,
        protocol: u8,
    ) -> Result<Vec<Route>, RequestError> {
        let decode = |payload: &[u8]| {
            // Kernels before 4.20 do not filter.
            route::codec::decode(payload).filter(|route| protocol == 0 || route.tag() == protocol)
        };
        self.of_both_families(|client, family| {
            let payload = route::codec::encode_dump(family, table, protocol);
            client.dump(&Request::new(RTM_GETROUTE, Flags::NONE, payload), RTM_NEWROUTE, decode)
        })
    }

    /// All routing rules, in the order in which they are asked within a family.
    ///
    /// # Errors
    ///
    /// [`QueryError::Rules`].
    pub fn rules(&mut self) -> Result<Vec<Rule>, QueryError> {
        let rules = self.of_both_families(|client, family| {
            let payload = rule::codec::encode_dump(family);
            let request = Request::new(RTM_GETRULE, Flags::NONE, payload);
            client.dump(&request, RTM_NEWRULE, rule::codec::decode)
        });
        rules.map_err(QueryError::Rules)
    }

    fn of_both_families<T>(
        &mut self,
        mut dump: impl FnMut(&mut Self, u8) -> Result<Vec<T>, RequestError>,
    ) -> Result<Vec<T>, RequestError> {
        let mut all = dump(self, AF_INET)?;
        match dump(self, AF_INET6) {
            Ok(more) => all.extend(more),
            // A kernel without IPv6 has none.
            Err(error) if matches!(error.errno(), Some(EAFNOSUPPORT | EOPNOTSUPP)) => {}
            Err(error) => return Err(error),
        }
        Ok(all)
    }

    fn dump<T>(
        &mut self,
        request: &Request,
        wanted: u16,
        mut decode: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, RequestError> {
        let mut all = Vec::new();
        self.socket.dump(request, |kind, payload| {
            if kind == wanted {
                all.extend(decode(payload));
            }
        })?;
        Ok(all)
    }
}
