//! What an operator says about one virtual router.

mod config;
mod options;

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use vrrp_fsm::vrrp_proto::{AddressFamily, Authentication, Priority, Version, Vrid};
use vrrp_fsm::{Config, GuardConfig, PeerConfig, Tracker, TrailerConfig, Verdict};

use crate::address::VirtualAddress;
use crate::guard::{Guard, Question, SharedGuard};
use crate::path::Path;
use crate::route::VirtualRoute;
use crate::virtual_mac::VirtualMac;
use crate::watch::Watched;
use vip_netlink::{Announcements, Rule};

/// One virtual router: a VRID on an interface, its addresses, and how we take part in its election.
///
/// Made by [`VirtualRouter::new`], changed by chaining setters, checked as a whole by
/// [`RouterBuilder::build`](crate::RouterBuilder::build). Every parameter has the default of RFC 9568.
///
/// ```
/// # use core::time::Duration;
/// use vrrp::{VirtualRouter, Vrid};
///
/// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
///     .priority(150)
///     .advertisement_interval(Duration::from_millis(100))
///     .address("192.0.2.100/24".parse()?)
///     .preempt_mode(false);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct VirtualRouter {
    pub(crate) name: Arc<str>,
    pub(crate) vrid: Vrid,
    pub(crate) interface: String,
    pub(crate) family: Option<AddressFamily>,
    pub(crate) priority: u8,
    pub(crate) addresses: Vec<VirtualAddress>,
    /// The peers of the first path, without names.
    pub(crate) unicast: Vec<IpAddr>,
    /// None: the one that the interface is.
    pub(crate) paths: Vec<Path>,
    pub(crate) peers: Vec<PeerConfig>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) password: Option<String>,
    pub(crate) candidate: bool,
    pub(crate) ready: bool,
    pub(crate) announcements: Announcements,
    pub(crate) track_link: bool,
    pub(crate) trackers: Vec<(Arc<str>, Tracker)>,
    /// Those of the trackers, by name, that the router watches itself.
    pub(crate) watched: Vec<(Arc<str>, Watched)>,
    pub(crate) guard: Option<SharedGuard>,
    pub(crate) virtual_mac: Option<VirtualMac>,
    pub(crate) routes: Vec<VirtualRoute>,
    pub(crate) rules: Vec<Rule>,
    template: Template,
}

/// The machine's parameters that need no translation.
#[derive(Clone, PartialEq)]
struct Template(Config);

impl VirtualRouter {
    /// A virtual router of this VRID on this interface. The name is yours: it appears in events, errors and status, and
    /// must be unique within a [`Router`](crate::Router).
    #[must_use]
    pub fn new(name: impl AsRef<str>, vrid: Vrid, interface: impl Into<String>) -> Self {
        Self {
            name: Arc::from(name.as_ref()),
            vrid,
            interface: interface.into(),
            family: None,
            priority: Priority::DEFAULT.get(),
            addresses: Vec::new(),
            unicast: Vec::new(),
            paths: Vec::new(),
            peers: Vec::new(),
            source: None,
            password: None,
            candidate: false,
            ready: true,
            announcements: Announcements::default(),
            track_link: true,
            trackers: Vec::new(),
            watched: Vec::new(),
            guard: None,
            virtual_mac: None,
            routes: Vec::new(),
            rules: Vec::new(),
            // The family is corrected in `config`, where the addresses are known.
            template: Template(Config::new(vrid, AddressFamily::Ipv4).accept_mode(true)),
        }
    }

    /// Adds a virtual address. The first advertised one decides the address family.
    #[must_use]
    pub fn address(mut self, address: VirtualAddress) -> Self {
        self.addresses.push(address);
        self
    }

    /// Adds virtual addresses.
    #[must_use]
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = VirtualAddress>) -> Self {
        self.addresses.extend(addresses);
        self
    }

    /// 1 to 254, default 100; 255 for the owner of the addresses, whose interface has them always (RFC 9568 §6.1).
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The protocol version that is sent and accepted; version 3 by default.
    #[must_use]
    pub fn version(self, version: Version) -> Self {
        self.configure(|config| config.version(version))
    }

    /// Speaks version 2 as well as version 3, while the routers of a link change from one to the other; false by default. See
    /// [`Config::also_version_2`](vrrp_fsm::Config::also_version_2).
    #[must_use]
    pub fn also_version_2(self, on: bool) -> Self {
        self.configure(|config| config.also_version_2(on))
    }

    /// The time between advertisements; 1 s by default. Version 3: 10 ms to 40.95 s in steps of 10 ms. Version 2: 1 s
    /// to 255 s in steps of 1 s, and the same on all routers.
    #[must_use]
    pub fn advertisement_interval(self, interval: Duration) -> Self {
        self.configure(|config| config.advertisement_interval(interval))
    }

    /// Whether a Master of a lower priority is replaced; true by default.
    #[must_use]
    pub fn preempt_mode(self, preempt: bool) -> Self {
        self.configure(|config| config.preempt_mode(preempt))
    }

    /// How long a Master of a lower priority is tolerated before it is replaced; 0 by default, at most 65,535 s (the
    /// `hold-time` of RFC 8347). See [`Config::preempt_delay`](vrrp_fsm::Config::preempt_delay).
    #[must_use]
    pub fn preempt_delay(self, delay: Duration) -> Self {
        self.configure(|config| config.preempt_delay(delay))
    }

    /// How long a new candidate waits before it takes part; 0 by default, at most 65,535 s.
    #[must_use]
    pub fn start_delay(self, delay: Duration) -> Self {
        self.configure(|config| config.start_delay(delay))
    }

    /// `Accept_Mode` of RFC 9568 §6.1: whether a Master that does not own the addresses takes packets for them; true by default, where the
    /// RFC has false: a service behind the addresses needs it. With false the Master answers ARP and neighbour
    /// solicitations, forwards as a router, and drops every packet to the addresses themselves (RFC 9568 §6.4.3). That is done by
    /// firewall tables of this router (`CONFIG_NF_TABLES`); they stay when its process dies, until the next start.
    #[must_use]
    pub fn accept_mode(self, accept: bool) -> Self {
        self.configure(|config| config.accept_mode(accept))
    }

    /// Advertises to these peers instead of to the multicast group, and hears only them.
    #[must_use]
    pub fn unicast(mut self, peers: impl IntoIterator<Item = IpAddr>) -> Self {
        self.unicast = peers.into_iter().collect();
        self
    }

    /// The ways on which the others are reached, 1 to 8, in the same order on all of them. By default there is one: multicast
    /// on the interface of [`VirtualRouter::new`]. With several every peer has a [name](Self::peer).
    ///
    /// ```
    /// # use vrrp::{Path, VirtualRouter, Vrid};
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
    ///     .paths([Path::multicast("eth0"), Path::unicast("eth1")])
    ///     .peer("b", ["192.0.2.3".parse()?, "10.9.9.3".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn paths(mut self, paths: impl IntoIterator<Item = Path>) -> Self {
        self.paths = paths.into_iter().collect();
        self
    }

    /// Adds another router of this virtual router, under a name of yours, with its address on each of the
    /// [paths](Self::paths). Advertisements of anyone else are discarded from then on, on multicast paths as well.
    ///
    /// ```
    /// # use vrrp::{VirtualRouter, Vrid};
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
    ///     .peer("b", ["192.0.2.3".parse()?])
    ///     .peer("c", ["192.0.2.4".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn peer(
        mut self,
        name: impl Into<String>,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        self.peers.push(PeerConfig::new(name, addresses.into_iter().collect()));
        self
    }

    /// The source address of our advertisements. By default the interface's primary IPv4 address, or its link-local IPv6
    /// address; virtual addresses are never taken.
    #[must_use]
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Version 2 only: the simple password of RFC 2338, 1 to 8 octets. It crosses the network in the clear and protects
    /// against mistakes, not against attacks.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Version 2 only: how advertisements are authenticated; none by default. Takes the place of
    /// [`password`](Self::password).
    ///
    /// ```
    /// # use vrrp::{Authentication, HeaderKey, Password, Version, VirtualRouter, Vrid};
    /// let key = HeaderKey::new(Password::new(b"s3cret")?);
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
    ///     .version(Version::V2)
    ///     .authentication(Authentication::Header(key));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.password = None;
        self.configure(|config| config.authentication(authentication))
    }

    /// Advertisements signed with an HMAC-SHA-256, in either version; none by default. It excludes
    /// [`password`](Self::password) and [`authentication`](Self::authentication). The hosts' wall
    /// clocks have to agree, unless [`AntiReplay::Monotonic`](crate::AntiReplay::Monotonic) is
    /// chosen. keepalived has it in its development branch as `auth_hmac`; understanding each other
    /// is **untested**.
    ///
    /// ```
    /// # use vrrp::{TrailerConfig, TrailerKey, VirtualRouter, Vrid};
    /// let secret = [0x5a; 32]; // of a good random source, and kept as one keeps private keys
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
    ///     .trailer(TrailerConfig::new(TrailerKey::new(1, &secret)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn trailer(self, trailer: TrailerConfig) -> Self {
        self.configure(|config| config.trailer(Some(trailer)))
    }

    /// Whether it stands for election from the start, as a daemon's virtual routers do. False by default: it waits for
    /// [`Election::campaign`](crate::Election::campaign).
    #[must_use]
    pub fn candidate(mut self, candidate: bool) -> Self {
        self.candidate = candidate;
        self
    }

    /// Whether the service is taken to be ready from the start; true by default. With false nothing is promoted before
    /// [`Handle::set_ready`](crate::Handle::set_ready).
    #[must_use]
    pub fn ready(mut self, ready: bool) -> Self {
        self.ready = ready;
        self
    }

    /// How a new Master announces its addresses.
    #[must_use]
    pub fn announcements(mut self, announcements: Announcements) -> Self {
        self.announcements = announcements;
        self
    }

    /// Whether the loss of the interface's link is a fault (the default); with false only its
    /// consequences are.
    #[must_use]
    pub fn track_link(mut self, track: bool) -> Self {
        self.track_link = track;
        self
    }

    /// Adds something that is watched elsewhere, under a name of yours: [`Handle::set_tracker`](crate::Handle::set_tracker)
    /// tells its condition. By the tracker's weight it changes the priority; with weight 0 the virtual router takes part only
    /// while it is up, and not before its first result.
    ///
    /// ```
    /// # use vrrp::{Tracker, VirtualRouter, Vrid};
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
    ///     .track("nginx", Tracker::new(0)?)
    ///     .track("uplink", Tracker::new(-50)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn track(mut self, name: impl AsRef<str>, tracker: Tracker) -> Self {
        self.trackers.push((Arc::from(name.as_ref()), tracker));
        self
    }

    /// Asks `ask` before this router replaces a Master that has fallen silent: it may be alive and not be heard. `ask` runs on
    /// a thread of its own and may wait, as long as it returns within [`GuardConfig::deadline`]: after that, or if it
    /// panics, the default verdict counts. Nothing else waits for it. A Master that leaves is replaced without asking.
    ///
    /// Failover takes longer by what `ask` takes. One that still runs when the router has ended is not waited for.
    ///
    /// ```
    /// # use core::time::Duration;
    /// use std::net::{SocketAddr, TcpStream};
    /// use vrrp::{GuardConfig, Verdict, VirtualRouter, Vrid};
    ///
    /// let timeout = Duration::from_millis(300);
    /// // Who still serves on a virtual address is not replaced.
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
    ///     .address("192.0.2.100/24".parse()?)
    ///     .guard(GuardConfig::new(timeout * 2, Verdict::Promote), move |question| {
    ///         let serves = |address| {
    ///             TcpStream::connect_timeout(&SocketAddr::new(address, 80), timeout).is_ok()
    ///         };
    ///         let mut addresses = question.addresses.iter().copied();
    ///         if addresses.any(serves) { Verdict::Veto } else { Verdict::Promote }
    ///     });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn guard(
        self,
        config: GuardConfig,
        ask: impl Fn(&Question) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.guarded_by(config, ask)
    }

    /// As [`VirtualRouter::guard`], with a guard that is ready-made: [`VipProbe`](crate::VipProbe), [`PeerPing`](crate::PeerPing),
    /// [`GatewayPing`](crate::GatewayPing), [`LockFile`](crate::LockFile), [`AllOf`](crate::AllOf) and [`AnyOf`](crate::AnyOf) of them.
    #[must_use]
    pub fn guarded_by(mut self, config: GuardConfig, guard: impl Guard + 'static) -> Self {
        self.guard = Some(SharedGuard::new(guard));
        self.configure(|template| template.guard(Some(config)))
    }

    /// The address family, where the first advertised address does not say it.
    #[must_use]
    pub fn family(mut self, family: AddressFamily) -> Self {
        self.family = Some(family);
        self
    }

    /// Gives it a virtual MAC address, which moves with the virtual addresses; none by default.
    #[must_use]
    pub fn virtual_mac(mut self, virtual_mac: VirtualMac) -> Self {
        self.virtual_mac = Some(virtual_mac);
        self
    }

    /// Adds a route that the Master has and a Backup has not. What the kernel refuses of it counts as an address that it refuses.
    #[must_use]
    pub fn route(mut self, route: impl Into<VirtualRoute>) -> Self {
        self.routes.push(route.into());
        self
    }

    /// Adds a routing rule that the Master has and a Backup has not: after the routes, and removed before them.
    ///
    /// ```
    /// # use vrrp::{Rule, RuleAction, VirtualRouter, Vrid};
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
    ///     .address("192.0.2.100/24".parse()?)
    ///     .rule(Rule::ipv4(100, RuleAction::Lookup(100)).from("192.0.2.100/32".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    pub(crate) const fn has_accept_mode(&self) -> bool {
        self.template.0.accept_mode
    }

    fn configure(mut self, change: impl FnOnce(Config) -> Config) -> Self {
        self.template = Template(change(self.template.0));
        self
    }
}

impl fmt::Debug for VirtualRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the password nor the template, which repeats the rest.
        f.debug_struct("VirtualRouter")
            .field("name", &self.name)
            .field("vrid", &self.vrid)
            .field("interface", &self.interface)
            .field("priority", &self.priority)
            .field("addresses", &self.addresses)
            .field("unicast", &self.unicast)
            .field("paths", &self.paths)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}
