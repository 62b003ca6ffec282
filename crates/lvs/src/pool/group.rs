//! One pool: services that share real servers, and what looks at all of them: quorum, server of last resort, cap, drains.

use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use ipvs::{Destination, DestinationKey, Service, ServiceKey, Weight};

use super::server::{Drain, DrainReason, Place, Server};
use crate::config::{ServiceConfig, WhenDown, serving_port};
use crate::event::{DrainEnd, EventKind};

/// From one look at the connections of draining servers to the next.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: ServiceKey,
    pub(crate) config: ServiceConfig,
    pub(crate) servers: BTreeMap<DestinationKey, Server>,
    /// Whether there is a quorum.
    pub(crate) quorum: bool,
    /// Servers that are down and out of service.
    pub(crate) ejected: usize,
    /// Servers that are down and serve because of the cap.
    pub(crate) held: usize,
    /// What was last made known as wanted; `None`: nothing yet.
    wanted: Option<Vec<Destination>>,
    count_at: Option<Instant>,
    /// Whether the quorum is to be told though it has not changed.
    untold: bool,
}

impl Group {
    /// A pool that begins with the quorum that its servers are worth at this moment; whether that is told as a change is configured.
    pub(crate) fn new(
        name: ServiceKey,
        config: ServiceConfig,
        servers: BTreeMap<DestinationKey, Server>,
    ) -> Self {
        let mut group = Self {
            name,
            config,
            servers,
            quorum: true,
            ejected: 0,
            held: 0,
            wanted: None,
            count_at: None,
            untold: false,
        };
        group.quorum = group.alive() >= group.enough();
        group.untold = group.config.tell_start;
        group
    }

    /// The same pool, differently configured: it keeps whether it has a quorum.
    pub(crate) fn with_state_of(self, before: &Self) -> Self {
        let Self { quorum, ejected, held, untold, .. } = *before;
        Self { quorum, ejected, held, untold, ..self }
    }

    /// The sum of the weights of those that are up.
    pub(crate) fn alive(&self) -> u64 {
        self.servers.values().map(Server::alive_weight).fold(0, u64::saturating_add)
    }

    /// `Some` while the server of last resort serves: whether the others keep their connections.
    pub(crate) fn displaced(&self) -> Option<bool> {
        self.config.sorry.filter(|_| !self.quorum).map(|sorry| sorry.keep_connections)
    }

    pub(crate) fn place(&self, server: &Server) -> Place {
        server.place(self.displaced())
    }

    /// The weight that a server shall have in the table; `None`: it shall not be in it.
    pub(crate) fn placed_weight(&self, now: Instant, server: &Server) -> Option<Weight> {
        server.placed_weight(now, self.displaced(), self.config.slow_start)
    }

    /// Brings everything up to date that follows from the servers' health; returns whether another table is wanted.
    pub(crate) fn settle(&mut self, now: Instant, told: &mut impl FnMut(EventKind)) -> bool {
        self.end_drains(now, told);
        self.judge_quorum(told);
        self.cap(now, told);
        let wanted = self.destinations(now);
        if self.wanted.as_ref() == Some(&wanted) {
            return false;
        }
        self.wanted = Some(wanted);
        true
    }

    /// The weight at which the quorum is gained.
    fn enough(&self) -> u64 {
        u64::from(self.config.quorum).saturating_add(self.config.hysteresis.into()).max(1)
    }

    fn judge_quorum(&mut self, told: &mut impl FnMut(EventKind)) {
        let (alive, service) = (self.alive(), self.name);
        let quorum = self.config.quorum;
        let least = u64::from(quorum.saturating_sub(self.config.hysteresis)).max(1);
        let enough = self.enough();
        let after = if self.quorum { alive >= least } else { alive >= enough };
        let changed = core::mem::replace(&mut self.quorum, after) != after;
        if !changed && !core::mem::take(&mut self.untold) {
            return;
        }
        told(if after {
            EventKind::QuorumGained { service, alive, quorum }
        } else {
            EventKind::QuorumLost { service, alive, quorum }
        });
        if let Some(sorry) = self.config.sorry.filter(|_| changed) {
            let destination = sorry.destination.key();
            told(EventKind::SorryServer { service, destination, serving: !after });
        }
    }

    /// How many may be out at once.
    pub(crate) fn most_ejected(&self) -> usize {
        let configured = self.servers.values().filter(|server| !server.is_leaving()).count();
        let percent = usize::from(self.config.max_ejected_percent);
        (configured.saturating_mul(percent) / 100).max(1)
    }

    /// Decides who of those that are down is out, and who serves on: the first to fail are out.
    fn cap(&mut self, now: Instant, told: &mut impl FnMut(EventKind)) {
        let most = self.most_ejected();
        let mut fallen: Vec<_> = self
            .servers
            .iter()
            .filter(|(_, server)| server.is_ejectable())
            .map(|(key, server)| (server.fell, *key))
            .collect();
        fallen.sort_unstable();
        let held = fallen.len().saturating_sub(most);
        for server in self.servers.values_mut() {
            server.held = false;
        }
        for (_, key) in fallen.iter().skip(most) {
            if let Some(server) = self.servers.get_mut(key) {
                server.held = true;
            }
        }
        self.ejected = fallen.len().saturating_sub(held);
        let (before, service) = (core::mem::replace(&mut self.held, held), self.name);
        match (before, held) {
            (0, 1..) => told(EventKind::CapHolds { service, held, ejected: self.ejected }),
            (1.., 0) => told(EventKind::CapReleased { service }),
            _ => {}
        }
        self.drain_the_ejected(now, told);
    }

    fn drain_the_ejected(&mut self, now: Instant, told: &mut impl FnMut(EventKind)) {
        for (&destination, server) in &mut self.servers {
            let WhenDown::Drain(most) = server.when_down else {
                if server.drain.is_some_and(|drain| drain.reason == DrainReason::Down) {
                    server.drain = None;
                }
                continue;
            };
            if server.is_leaving() {
                continue;
            }
            let ejected = server.is_ejectable() && !server.held;
            match (ejected, server.drain) {
                (true, None) => {
                    server.start_drain(now, DrainReason::Down, most);
                    told(EventKind::Draining { service: self.name, destination, at_most: most });
                }
                (false, Some(_)) => server.drain = None,
                (true, Some(_)) | (false, None) => {}
            }
        }
    }

    fn end_drains(&mut self, now: Instant, told: &mut impl FnMut(EventKind)) {
        let service = self.name;
        for (&destination, server) in &mut self.servers {
            let Some(drain) = server.drain.as_mut().filter(|drain| !drain.done) else { continue };
            let end = match server.connections {
                Some(0) => DrainEnd::Idle,
                connections if drain.deadline <= now => DrainEnd::Deadline { connections },
                _ => continue,
            };
            drain.done = true;
            told(EventKind::Drained { service, destination, end });
        }
        self.servers.retain(|_, server| {
            !server.drain.is_some_and(|drain| drain.done && drain.reason == DrainReason::Removed)
        });
    }

    fn is_draining(&self) -> bool {
        self.servers.values().any(|server| server.drain.is_some_and(|drain| !drain.done))
    }

    /// Whether the connections shall be counted now.
    pub(crate) fn count_is_due(&mut self, now: Instant) -> bool {
        let due = self.count_at.is_some_and(|at| at <= now) && self.is_draining();
        if due {
            self.count_at = now.checked_add(COUNT_INTERVAL);
        }
        due
    }

    /// These are all the connections of all services of the group.
    pub(crate) fn handle_connections(&mut self, counts: &[(ServiceKey, DestinationKey, u64)]) {
        let services = &self.config.services;
        for server in self.servers.values_mut() {
            if server.drain.is_none_or(|drain| drain.done) {
                continue;
            }
            let own = services.iter().map(Service::key);
            let keys: Vec<_> =
                own.map(|key| (key, serving_port(server.destination, &key).key())).collect();
            let mine = counts
                .iter()
                .filter(|(service, destination, _)| keys.contains(&(*service, *destination)));
            server.connections =
                Some(mine.fold(0_u64, |sum, (_, _, count)| sum.saturating_add(*count)));
        }
    }

    /// The next moment at which something happens by itself.
    pub(crate) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let slow_start = self.config.slow_start;
        let steps =
            self.servers.values_mut().filter_map(|server| server.next_step(now, slow_start)).min();
        let drains = self.servers.values().filter_map(|server| server.drain);
        let drained = drains.filter(|drain| !drain.done).map(|drain| drain.deadline).min();
        self.count_at = if drained.is_some() {
            self.count_at.or_else(|| now.checked_add(COUNT_INTERVAL))
        } else {
            None
        };
        [steps, drained, self.count_at].into_iter().flatten().min()
    }

    /// The destinations that are wanted; of two with one key the later counts.
    fn destinations(&self, now: Instant) -> Vec<Destination> {
        let serving = self.displaced().is_some();
        let sorry = self.config.sorry.filter(|sorry| serving || sorry.standby);
        let weigh = |(_, server): (_, &Server)| {
            Some(server.destination.with_weight(self.placed_weight(now, server)?))
        };
        let mut wanted: Vec<_> = self.servers.iter().filter_map(weigh).collect();
        match sorry {
            Some(sorry) if serving => wanted.push(sorry.destination),
            Some(sorry) => wanted.insert(0, sorry.destination.with_weight(Weight::QUIESCED)),
            None => {}
        }
        wanted
    }

    /// Every service of the group, and its destinations.
    pub(crate) fn entries(
        &self,
    ) -> impl Iterator<Item = (&Service, impl Iterator<Item = Destination>)> {
        let wanted = self.wanted.as_deref().unwrap_or_default();
        self.config.services.iter().map(move |service| {
            let key = service.key();
            (service, wanted.iter().map(move |destination| serving_port(*destination, &key)))
        })
    }
}

impl Server {
    pub(crate) fn start_drain(&mut self, now: Instant, reason: DrainReason, most: Duration) {
        let deadline = now.checked_add(most).unwrap_or(now);
        self.connections = None;
        self.drain = Some(Drain { reason, deadline, done: false });
    }
}
