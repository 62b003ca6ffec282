//! A pool: services that share real servers.

use core::time::Duration;

use ipvs::{Destination, Service, ServiceKey};

use super::real_server::RealServer;

/// One virtual service, or several that share a pool, and the real servers.
///
/// The key of the first service names the pool in events, status and orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    pub(crate) services: Vec<Service>,
    pub(crate) real_servers: Vec<RealServer>,
    pub(crate) quorum: u32,
    pub(crate) hysteresis: u32,
    pub(crate) sorry: Option<SorryServer>,
    pub(crate) max_ejected_percent: u8,
    pub(crate) slow_start: Option<SlowStart>,
    pub(crate) drain_removed: Option<Duration>,
    pub(crate) tell_start: bool,
    pub(crate) tell_end: bool,
}

impl ServiceConfig {
    /// A service without real servers.
    #[must_use]
    pub fn new(service: Service) -> Self {
        Self {
            services: vec![service],
            real_servers: Vec::new(),
            quorum: 1,
            hysteresis: 0,
            sorry: None,
            max_ejected_percent: 100,
            slow_start: None,
            drain_removed: None,
            tell_start: false,
            tell_end: false,
        }
    }

    /// Adds a service to the group: another address, port, protocol or firewall mark, with the same real servers, each checked once.
    #[must_use]
    pub fn also(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Adds a real server.
    #[must_use]
    pub fn real_server(mut self, real_server: RealServer) -> Self {
        self.real_servers.push(real_server);
        self
    }

    /// The least sum of weights of real servers that are up; default 1. Not the number of servers.
    #[must_use]
    pub fn quorum(self, quorum: u32) -> Self {
        Self { quorum, ..self }
    }

    /// The quorum is lost below `quorum - hysteresis`, or when nothing is up, and gained at `quorum + hysteresis`, at the start, too;
    /// default 0, and less than the quorum.
    #[must_use]
    pub fn hysteresis(self, hysteresis: u32) -> Self {
        Self { hysteresis, ..self }
    }

    /// Who serves while there is no quorum. Without one, the real servers that are up go on.
    #[must_use]
    pub fn sorry_server(self, sorry: SorryServer) -> Self {
        Self { sorry: Some(sorry), ..self }
    }

    /// How many of the real servers, in percent of their number, checks may take out at once; at least one, default 100.
    ///
    /// Those that go down beyond it stay in service, the first to fail being the first out: when nearly all fail at once, the checks are
    /// more likely wrong than the servers. A server that has not been up yet is not meant.
    #[must_use]
    pub fn max_ejected_percent(self, percent: u8) -> Self {
        Self { max_ejected_percent: percent, ..self }
    }

    /// How a real server that comes up gets its weight; default all at once.
    #[must_use]
    pub fn slow_start(self, slow_start: SlowStart) -> Self {
        Self { slow_start: Some(slow_start), ..self }
    }

    /// A real server that is not configured any more keeps its connections, with weight 0, until they have ended, but not longer than
    /// this; default: it is removed at once.
    #[must_use]
    pub fn drain_removed(self, deadline: Duration) -> Self {
        Self { drain_removed: Some(deadline), ..self }
    }

    /// Whether the quorum at the start is told as if it had been the other way before, as gained or as lost; default not.
    #[must_use]
    pub fn tell_start(self, tell_start: bool) -> Self {
        Self { tell_start, ..self }
    }

    /// Whether the end of the director is told as real servers going down and the quorum being lost; default not.
    #[must_use]
    pub fn tell_end(self, tell_end: bool) -> Self {
        Self { tell_end, ..self }
    }

    /// The key of the first service: the pool's name.
    #[must_use]
    pub fn key(&self) -> Option<ServiceKey> {
        self.services.first().map(Service::key)
    }

    /// The services of the group.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The real servers.
    #[must_use]
    pub fn real_servers(&self) -> &[RealServer] {
        &self.real_servers
    }
}

/// A server of last resort: it serves while the quorum is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SorryServer {
    pub(crate) destination: Destination,
    pub(crate) standby: bool,
    pub(crate) keep_connections: bool,
}

impl SorryServer {
    /// It is in the table only while it serves; real servers that are up keep their connections meanwhile, with weight 0.
    #[must_use]
    pub const fn new(destination: Destination) -> Self {
        Self { destination, standby: false, keep_connections: true }
    }

    /// Whether it stays in the table, with weight 0, while it does not serve: clients that it has are not cut off when the quorum
    /// returns.
    #[must_use]
    pub const fn standby(self, standby: bool) -> Self {
        Self { standby, ..self }
    }

    /// Whether real servers that are up when the quorum is lost stay, with weight 0, for the connections they have; default yes. If not they
    /// are removed and their connections end, except those with [`WhenDown::Quiesce`](crate::WhenDown::Quiesce).
    #[must_use]
    pub const fn keep_connections(self, keep_connections: bool) -> Self {
        Self { keep_connections, ..self }
    }
}

/// A ramp of the weight of a real server that has come up, so that it does not get the crowd before its caches are warm.
///
/// Weights are whole numbers: give servers weights of 10 or more, a weight of 1 has nothing below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    pub(crate) duration: Duration,
}

impl SlowStart {
    /// In how many steps the weight grows.
    pub const STEPS: u32 = 10;

    /// From a tenth of the weight to all of it in this time, in ten steps.
    #[must_use]
    pub const fn over(duration: Duration) -> Self {
        Self { duration }
    }
}
