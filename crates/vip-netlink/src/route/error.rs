//! What is no route.

use core::net::IpAddr;

use super::{Route, RouteKind};
use crate::prefix::{InvalidPrefix, Prefix};

/// Why something is no [`Route`] that could be asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRoute {
    /// A unicast route has no next hop.
    #[error("route to {destination} has no next hop: give it a gateway or an interface")]
    NoNextHop {
        /// Where the packets go.
        destination: Prefix,
    },
    /// A route that drops packets has a next hop.
    #[error("route to {destination} drops packets and has a next hop all the same")]
    NextHop {
        /// Where the packets go.
        destination: Prefix,
    },
    /// Some address is of the other family. Only the gateway of an IPv4 route may be.
    #[error("{ip} does not go with a route to {destination}: it is of the other address family")]
    Family {
        /// Where the packets go.
        destination: Prefix,
        /// The address.
        ip: IpAddr,
    },
    /// A property that the destination's family has not.
    #[error("route to {destination} cannot have {property}: its address family has none")]
    Property {
        /// Where the packets go.
        destination: Prefix,
        /// The property.
        property: &'static str,
    },
    /// A network is none.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
    /// The text is not what `Display` writes.
    #[error("text is not [KIND] NETWORK/LENGTH and known properties")]
    Text,
}

pub(super) fn check(route: &Route) -> Result<(), InvalidRoute> {
    let destination = route.destination;
    let ipv6 = destination.is_ipv6();
    let family = |ip| Err(InvalidRoute::Family { destination, ip });
    let property = |property| Err(InvalidRoute::Property { destination, property });
    if route.kind == RouteKind::Unicast && route.hops.is_empty() {
        return Err(InvalidRoute::NoNextHop { destination });
    }
    if !route.kind.has_next_hop() && !route.hops.is_empty() {
        return Err(InvalidRoute::NextHop { destination });
    }
    for hop in &route.hops {
        if hop.gateway.is_none() && hop.interface.is_none() {
            return Err(InvalidRoute::NoNextHop { destination });
        }
        // An IPv6 router may forward IPv4 (RFC 5549), but not the other way round.
        if let Some(gateway) = hop.gateway.filter(|gateway| ipv6 && gateway.is_ipv4()) {
            return family(gateway);
        }
    }
    if let Some(source) = route.preferred_source.filter(|source| source.is_ipv6() != ipv6) {
        return family(source);
    }
    match route.from {
        Some(from) if from.is_ipv6() != ipv6 => return family(from.ip()),
        Some(_) if !ipv6 => return property("a source network"),
        _ => {}
    }
    if ipv6 && route.tos != 0 {
        return property("a type of service");
    }
    if !ipv6 && route.preference != super::RouterPreference::Medium {
        return property("a router preference");
    }
    Ok(())
}
