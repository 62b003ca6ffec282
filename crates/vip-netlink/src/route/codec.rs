//! Routes to and from `struct rtmsg` and its attributes (`linux/rtnetlink.h`). Pure.

use core::net::IpAddr;

use netlink::{Attribute, Attributes, Payload};

use super::{Metric, NextHop, Route, RouteKind, RouterPreference};
use crate::address::Scope;
use crate::address::codec::{AF_INET, AF_INET6, ip, put_ip};
use crate::prefix::Prefix;

pub(crate) const RTMSG_LEN: usize = 12;

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_PREF: u16 = 20;

const RTAX_LOCK: u16 = 1;

/// Flag of `struct rtmsg` and of `struct rtnexthop`.
const RTNH_F_ONLINK: u8 = 4;
const RTNEXTHOP_LEN: usize = 8;
/// `RTM_F_CLONED`: a cache entry and no route.
const RTM_F_CLONED: u32 = 0x200;

const KINDS: [(RouteKind, u8); 6] = [
    (RouteKind::Unicast, 1),
    (RouteKind::Local, 2),
    (RouteKind::Blackhole, 6),
    (RouteKind::Unreachable, 7),
    (RouteKind::Prohibit, 8),
    (RouteKind::Throw, 9),
];

const PREFERENCES: [(RouterPreference, u8); 3] =
    [(RouterPreference::Medium, 0), (RouterPreference::High, 1), (RouterPreference::Low, 3)];

/// The payload of `RTM_NEWROUTE`.
pub(crate) fn encode_new(route: &Route) -> Payload {
    let payload = encode(route, route.effective_scope());
    if route.metrics.is_empty() {
        return payload;
    }
    payload.nest(RTA_METRICS, |mut inside| {
        if route.locked != 0 {
            inside = inside.u32(RTAX_LOCK, route.locked);
        }
        route
            .metrics
            .iter()
            .fold(inside, |inside, (metric, value)| inside.u32(metric.number(), *value))
    })
}

/// The payload of `RTM_DELROUTE`: what has to match. The scope is left open, as the kernel allows.
pub(crate) fn encode_delete(route: &Route) -> Payload {
    encode(route, Scope::NOWHERE)
}

/// The payload of a dump of one family (`AF_INET`, `AF_INET6`), of one table and one tag; 0 for all.
pub(crate) fn encode_dump(family: u8, table: u32, protocol: u8) -> Payload {
    let mut header = [0; RTMSG_LEN];
    let fixed = [family, 0, 0, 0, 0, protocol];
    header.iter_mut().zip(fixed).for_each(|(to, from)| *to = from);
    let payload = Payload::with_header(&header);
    if table == 0 { payload } else { payload.u32(RTA_TABLE, table) }
}

fn encode(route: &Route, scope: Scope) -> Payload {
    let ipv6 = route.destination.is_ipv6();
    let single = <&[NextHop; 1]>::try_from(route.hops.as_slice()).ok().map(|[hop]| hop);
    let on_link = single.is_some_and(|hop| hop.on_link);
    let kind = KINDS.iter().find(|(kind, _)| *kind == route.kind).map_or(0, |(_, number)| *number);
    let header = [
        if ipv6 { AF_INET6 } else { AF_INET },
        route.destination.len(),
        route.from.map_or(0, Prefix::len),
        route.tos,
        u8::try_from(route.table).unwrap_or(0), // in RTA_TABLE
        route.protocol,
        scope.number(),
        kind,
    ];
    let flags = u32::from(if on_link { RTNH_F_ONLINK } else { 0 });
    let mut payload = Payload::with_header(&[&header[..], &flags.to_ne_bytes()].concat())
        .u32(RTA_TABLE, route.table)
        .u32(RTA_PRIORITY, route.metric);
    if !route.destination.is_empty() {
        payload = put_ip(payload, RTA_DST, route.destination.ip());
    }
    if let Some(from) = route.from {
        payload = put_ip(payload, RTA_SRC, from.ip());
    }
    if let Some(source) = route.preferred_source {
        payload = put_ip(payload, RTA_PREFSRC, source);
    }
    if let Some(hop) = single {
        payload = put_gateway(payload, ipv6, hop);
        if let Some(interface) = hop.interface {
            payload = payload.u32(RTA_OIF, interface);
        }
    } else if !route.hops.is_empty() {
        let hops = route.hops.iter().flat_map(|hop| encode_hop(hop, ipv6));
        payload = payload.attribute(RTA_MULTIPATH, &hops.collect::<Vec<u8>>());
    }
    match PREFERENCES.iter().find(|(preference, _)| *preference == route.preference) {
        Some((_, number)) if *number != 0 => payload.u8(RTA_PREF, *number),
        _ => payload,
    }
}

/// `struct rtnexthop` with its attributes.
fn encode_hop(hop: &NextHop, ipv6: bool) -> Vec<u8> {
    let attributes = put_gateway(Payload::new(), ipv6, hop);
    let len = RTNEXTHOP_LEN.saturating_add(attributes.as_bytes().len());
    let weight = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    let mut bytes = u16::try_from(len).unwrap_or(u16::MAX).to_ne_bytes().to_vec();
    bytes.extend([if hop.on_link { RTNH_F_ONLINK } else { 0 }, weight]);
    bytes.extend(hop.interface.unwrap_or(0).to_ne_bytes());
    bytes.extend(attributes.as_bytes());
    bytes
}

/// `RTA_GATEWAY`, or `RTA_VIA` (family in host order, address) for one of the other family.
fn put_gateway(payload: Payload, ipv6: bool, hop: &NextHop) -> Payload {
    match hop.gateway {
        None => payload,
        Some(IpAddr::V6(gateway)) if !ipv6 => {
            let family = u16::from(AF_INET6).to_ne_bytes();
            payload.attribute(RTA_VIA, &[&family[..], &gateway.octets()].concat())
        }
        Some(gateway) => put_ip(payload, RTA_GATEWAY, gateway),
    }
}

/// Reads the payload of `RTM_NEWROUTE` or `RTM_DELROUTE`; `None` for another family's, for kinds that are none of ours (broadcast,
/// multicast, ...) and for one that makes no sense.
pub(crate) fn decode(payload: &[u8]) -> Option<Route> {
    let header: &[u8; RTMSG_LEN] = payload.first_chunk()?;
    let [family, len, from_len, tos, table, protocol, scope, kind, flags @ ..] = *header;
    let flags = u32::from_ne_bytes(flags);
    if flags & RTM_F_CLONED != 0 {
        return None;
    }
    let all = match family {
        AF_INET => Prefix::IPV4,
        AF_INET6 => Prefix::IPV6,
        _ => return None,
    };
    let kind = KINDS.iter().find(|(_, number)| *number == kind)?.0;
    let attributes = Attributes::after(payload, RTMSG_LEN);
    let network = |kind, len| match attributes.first(kind) {
        Some(attribute) => Prefix::new(ip(family, attribute.value)?, len).ok(),
        None => (len == 0).then_some(all),
    };
    let mut route = Route::new(network(RTA_DST, len)?)
        .from(network(RTA_SRC, from_len)?)
        .kind(kind)
        .table(table.into())
        .tos(tos)
        .protocol(protocol);
    if family == AF_INET {
        route = route.scope(Scope::new(scope));
    }
    let mut hop = NextHop { gateway: None, interface: None, weight: 1, on_link: false };
    hop.on_link = flags & u32::from(RTNH_F_ONLINK) != 0;
    let mut hops = Vec::new();
    for attribute in attributes {
        match attribute.kind {
            RTA_TABLE => route = route.table(attribute.u32()?),
            RTA_PRIORITY => route = route.metric(attribute.u32()?),
            RTA_PREFSRC => route = route.preferred_source(ip(family, attribute.value)?),
            RTA_OIF => hop.interface = Some(attribute.u32()?),
            RTA_GATEWAY | RTA_VIA => hop.gateway = Some(gateway(family, &attribute)?),
            RTA_MULTIPATH => hops = decode_hops(family, attribute.value)?,
            RTA_METRICS => route = decode_metrics(route, attribute.nested()),
            RTA_PREF => {
                let number = attribute.u8()?;
                let found = PREFERENCES.iter().find(|(_, known)| *known == number);
                route = route.preference(found.map_or(RouterPreference::Medium, |(one, _)| *one));
            }
            _ => {}
        }
    }
    if hops.is_empty() && (hop.gateway.is_some() || hop.interface.is_some()) {
        hops.push(hop);
    }
    if kind.has_next_hop() {
        route.hops = hops;
    }
    Some(route)
}

fn gateway(family: u8, attribute: &Attribute<'_>) -> Option<IpAddr> {
    if attribute.kind == RTA_GATEWAY {
        return ip(family, attribute.value);
    }
    let (family, octets) = attribute.value.split_first_chunk()?;
    ip(u8::try_from(u16::from_ne_bytes(*family)).ok()?, octets)
}

fn decode_hops(family: u8, mut rest: &[u8]) -> Option<Vec<NextHop>> {
    let mut hops = Vec::new();
    while let Some(&[len_0, len_1, flags, weight, interface @ ..]) =
        rest.first_chunk::<RTNEXTHOP_LEN>()
    {
        let len = usize::from(u16::from_ne_bytes([len_0, len_1]));
        let attributes = Attributes::new(rest.get(RTNEXTHOP_LEN..len)?);
        let mut hop = NextHop::link(u32::from_ne_bytes(interface))
            .weight(u16::from(weight).saturating_add(1))
            .on_link(flags & RTNH_F_ONLINK != 0);
        for attribute in attributes {
            if matches!(attribute.kind, RTA_GATEWAY | RTA_VIA) {
                hop.gateway = Some(gateway(family, &attribute)?);
            }
        }
        hops.push(hop);
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(hops)
}

fn decode_metrics(mut route: Route, attributes: Attributes<'_>) -> Route {
    let locked = attributes.first(RTAX_LOCK).and_then(|lock| lock.u32()).unwrap_or(0);
    for attribute in attributes {
        if let (Some(metric), Some(value)) = (Metric::from_number(attribute.kind), attribute.u32())
        {
            route = if locked & metric.bit() == 0 {
                route.assume(metric, value)
            } else {
                route.assume_locked(metric, value)
            };
        }
    }
    route
}
