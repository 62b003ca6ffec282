//! A route that lives and dies with a virtual address.

use core::net::IpAddr;
use std::collections::BTreeMap;

use crate::address::Scope;
use crate::prefix::Prefix;

pub(crate) mod codec;
mod error;
mod metric;
mod text;

pub use error::InvalidRoute;
pub use metric::{Metric, RouterPreference};

/// What happens to packets that a route matches (`RTN_*`, `linux/rtnetlink.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum RouteKind {
    /// They go to a next hop.
    #[default]
    Unicast,
    /// They are for this host.
    Local,
    /// They are dropped in silence.
    Blackhole,
    /// They are answered with "host unreachable".
    Unreachable,
    /// They are answered with "administratively prohibited".
    Prohibit,
    /// The search goes on with the next rule, as if this table had no route.
    Throw,
}

impl RouteKind {
    /// Does it take a next hop?
    #[must_use]
    pub const fn has_next_hop(self) -> bool {
        matches!(self, Self::Unicast | Self::Local)
    }
}

/// One way that packets may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    gateway: Option<IpAddr>,
    interface: Option<u32>,
    weight: u16,
    on_link: bool,
}

impl NextHop {
    /// Through a router. The kernel finds the interface, unless it is given by [`interface`](Self::interface).
    #[must_use]
    pub const fn gateway(gateway: IpAddr) -> Self {
        Self { gateway: Some(gateway), interface: None, weight: 1, on_link: false }
    }

    /// Straight to hosts on the link of the interface with this index.
    #[must_use]
    pub const fn link(interface: u32) -> Self {
        Self { gateway: None, interface: Some(interface), weight: 1, on_link: false }
    }

    /// Through the interface with this index.
    #[must_use]
    pub const fn interface(mut self, interface: u32) -> Self {
        self.interface = Some(interface);
        self
    }

    /// Its share among several next hops, 1 (the default) to 256; 0 is taken as 1, more than 256 as 256.
    #[must_use]
    pub const fn weight(mut self, weight: u16) -> Self {
        self.weight = match weight {
            0 => 1,
            1..=256 => weight,
            _ => 256,
        };
        self
    }

    /// Takes the gateway for a neighbour on the interface even if no network there contains it.
    #[must_use]
    pub const fn on_link(mut self, on_link: bool) -> Self {
        self.on_link = on_link;
        self
    }

    /// Is what the kernel has this one? It fills in the interface, and a weight counts only where the packets are shared out.
    fn agrees_with(&self, present: &Self, shared: bool) -> bool {
        self.gateway == present.gateway
            && (self.interface.is_none() || self.interface == present.interface)
            && (!shared || self.weight == present.weight)
            && self.on_link == present.on_link
    }
}

/// A route as it shall be.
///
/// Built with [`Route::new`] and the methods named like its properties. `Display` and `FromStr` agree with each other, so that a route can
/// be written to a journal and removed by the process that reads it:
///
/// ```
/// use vip_netlink::{NextHop, Route};
///
/// let route = Route::new("198.51.100.0/24".parse()?)
///     .next_hop(NextHop::gateway("192.0.2.1".parse()?).interface(3))
///     .metric(50);
/// assert_eq!(route.to_string(), "198.51.100.0/24 via 192.0.2.1 dev 3 metric 50 proto 18");
/// assert_eq!(route.to_string().parse::<Route>()?, route);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The kernel keeps one route for each [`Route::key`]. Interfaces are given by their indices, see [`Address`](crate::Address).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    destination: Prefix,
    kind: RouteKind,
    table: u32,
    metric: u32,
    tos: u8,
    scope: Option<Scope>,
    protocol: u8,
    preferred_source: Option<IpAddr>,
    from: Option<Prefix>,
    preference: RouterPreference,
    metrics: BTreeMap<Metric, u32>,
    locked: u32,
    hops: Vec<NextHop>,
}

/// What tells a route from others in the kernel's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct RouteKey {
    /// The routing table.
    pub table: u32,
    /// Where the packets go.
    pub destination: Prefix,
    /// Where they come from; IPv6 only, elsewhere everything.
    pub from: Option<Prefix>,
    /// Their type of service; IPv4 only.
    pub tos: u8,
    /// The metric.
    pub metric: u32,
}

impl Route {
    /// The main routing table.
    pub const MAIN: u32 = 254;

    /// The tag of who configured a route that [`Route::new`] gives it, `RTPROT_KEEPALIVED`: what `ip route` shows for high availability.
    pub const PROTOCOL: u8 = 18;

    /// The metric that the kernel gives to IPv6 routes without one (`IP6_RT_PRIO_USER`).
    const IPV6_METRIC: u32 = 1024;

    /// A unicast route to a network, without a next hop yet, in the main table.
    #[must_use]
    pub fn new(destination: Prefix) -> Self {
        Self {
            destination,
            kind: RouteKind::Unicast,
            table: Self::MAIN,
            metric: if destination.is_ipv6() { Self::IPV6_METRIC } else { 0 },
            tos: 0,
            scope: None,
            protocol: Self::PROTOCOL,
            preferred_source: None,
            from: None,
            preference: RouterPreference::Medium,
            metrics: BTreeMap::new(),
            locked: 0,
            hops: Vec::new(),
        }
    }

    /// Adds a next hop; with several, the kernel shares the packets out among them.
    #[must_use]
    pub fn next_hop(mut self, hop: NextHop) -> Self {
        self.hops.push(hop);
        self
    }

    /// What happens to the packets; only [`RouteKind::Unicast`] and [`RouteKind::Local`] take next hops.
    #[must_use]
    pub fn kind(mut self, kind: RouteKind) -> Self {
        self.kind = kind;
        self
    }

    /// The routing table, 1 to 2^32 - 1; 0 is taken as the main one.
    #[must_use]
    pub fn table(mut self, table: u32) -> Self {
        self.table = if table == 0 { Self::MAIN } else { table };
        self
    }

    /// The metric: of several routes to a destination the one with the lowest is used. The default is 0 in IPv4 and 1024 in IPv6,
    /// where 0 means 1024.
    #[must_use]
    pub fn metric(mut self, metric: u32) -> Self {
        let default = if self.destination.is_ipv6() { Self::IPV6_METRIC } else { 0 };
        self.metric = if metric == 0 { default } else { metric };
        self
    }

    /// For packets with this type of service only; IPv4.
    #[must_use]
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// How far away the destination is; IPv4. Without it, a route without a gateway has link scope (host scope, if it is local), others
    /// global scope.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Tags the route with who configured it (`RTA_PROTOCOL`, shown by `ip route`); the default is [`Route::PROTOCOL`]. A tag keeps the
    /// removal from hitting another's route.
    #[must_use]
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    /// The source address of this host's own packets that take the route, such as the virtual address. It has to be there before the route.
    #[must_use]
    pub fn preferred_source(mut self, source: IpAddr) -> Self {
        self.preferred_source = Some(source);
        self
    }

    /// For packets from this network only; IPv6, in kernels with `CONFIG_IPV6_SUBTREES`.
    #[must_use]
    pub fn from(mut self, from: Prefix) -> Self {
        self.from = (!from.is_empty()).then_some(from);
        self
    }

    /// The preference of this router over others (RFC 4191); IPv6.
    #[must_use]
    pub fn preference(mut self, preference: RouterPreference) -> Self {
        self.preference = preference;
        self
    }

    /// What the kernel shall assume about the way, such as [`Metric::Mtu`].
    #[must_use]
    pub fn assume(mut self, metric: Metric, value: u32) -> Self {
        self.metrics.insert(metric, value);
        self
    }

    /// As [`assume`](Self::assume), and it shall not learn better (`lock`).
    #[must_use]
    pub fn assume_locked(mut self, metric: Metric, value: u32) -> Self {
        self.locked |= metric.bit();
        self.assume(metric, value)
    }

    /// Its tag, see [`protocol`](Self::protocol).
    #[must_use]
    pub fn tag(&self) -> u8 {
        self.protocol
    }

    /// Where the packets go.
    #[must_use]
    pub fn destination(&self) -> Prefix {
        self.destination
    }

    /// The first next hop's interface, if one is given.
    #[must_use]
    pub fn interface(&self) -> Option<u32> {
        self.hops.iter().find_map(|hop| hop.interface)
    }

    /// Whether it lacks an interface that the kernel cannot find by itself: it leads straight to a link, and none is given.
    #[must_use]
    pub fn needs_interface(&self) -> bool {
        let open = |hop: &NextHop| hop.interface.is_none() && hop.gateway.is_none();
        self.kind.has_next_hop() && self.hops.iter().all(open)
    }

    /// Gives the interface with this index to next hops that have none; a route without next hop leads straight to its link.
    #[must_use]
    pub fn through(mut self, interface: u32) -> Self {
        if self.hops.is_empty() && self.kind.has_next_hop() {
            self.hops.push(NextHop::link(interface));
        }
        for hop in &mut self.hops {
            hop.interface = hop.interface.or(Some(interface));
        }
        self
    }

    /// What tells this route from others in the kernel's eyes.
    #[must_use]
    pub fn key(&self) -> RouteKey {
        let Self { table, destination, from, tos, metric, .. } = *self;
        RouteKey { table, destination, from, tos, metric }
    }

    /// Is `present` this route, with these properties? What the kernel fills in (interface, scope) does not count where it was not given.
    #[must_use]
    pub fn agrees_with(&self, present: &Self) -> bool {
        let ipv6 = self.destination.is_ipv6();
        self.key() == present.key()
            && self.kind == present.kind
            && (ipv6 || self.effective_scope() == present.effective_scope())
            && self.protocol == present.protocol
            && self.preferred_source == present.preferred_source
            && (self.preference == present.preference || !self.kind.has_next_hop())
            && (&self.metrics, self.locked) == (&present.metrics, present.locked)
            && self.hops_agree(&present.hops)
    }

    /// The kernel orders the next hops of an IPv6 route as it likes, and gives an IPv6 route without one the loopback interface.
    fn hops_agree(&self, present: &[NextHop]) -> bool {
        if !self.kind.has_next_hop() {
            return true;
        }
        let mut left: Vec<&NextHop> = present.iter().collect();
        let mut found = |hop: &NextHop| {
            let position =
                left.iter().position(|present| hop.agrees_with(present, self.hops.len() > 1));
            position.map(|position| left.swap_remove(position)).is_some()
        };
        self.hops.iter().all(&mut found) && left.is_empty()
    }

    /// The scope, or that which follows from the route.
    fn effective_scope(&self) -> Scope {
        let direct = self.hops.iter().all(|hop| hop.gateway.is_none());
        let derived = match self.kind {
            RouteKind::Local => Scope::HOST,
            RouteKind::Unicast if direct => Scope::LINK,
            RouteKind::Unicast
            | RouteKind::Blackhole
            | RouteKind::Unreachable
            | RouteKind::Prohibit
            | RouteKind::Throw => Scope::GLOBAL,
        };
        self.scope.unwrap_or(derived)
    }

    /// Is it something that can be asked of the kernel at all?
    ///
    /// # Errors
    ///
    /// [`InvalidRoute`]: a next hop that is missing or too many, addresses of both families where they do not go together, and more.
    pub fn check(&self) -> Result<(), InvalidRoute> {
        error::check(self)
    }
}

#[cfg(test)]
pub(crate) mod tests;
