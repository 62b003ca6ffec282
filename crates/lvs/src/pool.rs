//! From health to the table that is wanted: pure, no clock, no kernel.
//!
//! One shape with every machine of this family of crates: `handle_*` with `now`, `poll_output` until it has nothing more, `poll_timeout`. Several
//! inputs may come before the outputs are taken: what they cancel out is not told then.

mod group;
mod history;
mod rebuild;
mod server;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use healthcheck::{Check, CheckId, Failure, Outcome};
use ipvs::{Destination, DestinationKey, Service, ServiceKey, SyncDaemon, SyncRole, Weight};
use reactor::Timers;

use crate::config::SyncConfig;
use crate::event::{EventKind, WeightSource};

pub(crate) use group::Group;
pub(crate) use server::{DrainReason, Place, Server};

/// What has to be done, in this order.
#[derive(Debug)]
#[must_use]
pub(crate) enum Output {
    StartCheck(CheckId, Box<Check>),
    StopCheck(CheckId),
    /// The services of this pool, or their destinations, are others: [`Pool::entries`] has them.
    Table(ServiceKey),
    /// This service is not configured any more.
    Unwanted(ServiceKey),
    /// This sync daemon shall run, and no other.
    Sync(Option<SyncDaemon>),
    /// Count the connections of the destinations of this pool, and say so with [`Pool::handle_connections`].
    Count(ServiceKey),
    Told(EventKind),
}

/// What a check says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) cause: Option<Failure>,
    /// The number that the check tells, if it is of the kind that does.
    pub(crate) value: Option<i64>,
}

/// All services with the health of their real servers. Pools are named by the key of their first service.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    groups: BTreeMap<ServiceKey, Group>,
    /// The pool of every service.
    by_service: BTreeMap<ServiceKey, ServiceKey>,
    by_check: BTreeMap<CheckId, (ServiceKey, DestinationKey)>,
    next_check: u64,
    falls: u64,
    sync: Option<SyncConfig>,
    role: Option<SyncRole>,
    timers: Timers<ServiceKey>,
    now: Option<Instant>,
    /// Pools whose consequences have not been drawn yet.
    touched: BTreeSet<ServiceKey>,
    outputs: VecDeque<Output>,
}

impl Pool {
    /// A check has a result.
    pub(crate) fn handle_outcome(&mut self, now: Instant, id: CheckId, verdict: Verdict) {
        self.at(now);
        let Some(&(service, destination)) = self.by_check.get(&id) else { return };
        let Some(server) = self.server_mut(&service, &destination) else { return };
        let before = server.weight();
        let Some(check) = server.checks.iter_mut().find(|check| check.id == id) else { return };
        check.take(verdict.outcome, verdict.cause, verdict.value);
        let weight = Some(server.weight()).filter(|weight| *weight != before);
        self.judge(now, service, destination);
        if let Some(weight) = weight {
            let source = WeightSource::Check;
            self.tell(EventKind::Weight { service, destination, weight, source });
        }
        self.touched.insert(service);
    }

    /// A check has had no result for too long: what it said last stands.
    pub(crate) fn handle_silence(&mut self, now: Instant, id: CheckId) {
        self.at(now);
        if let Some(&(service, destination)) = self.by_check.get(&id) {
            self.tell(EventKind::Silent { service, destination });
        }
    }

    /// Folds the checks of a server, and tells when it goes up or down.
    fn judge(&mut self, now: Instant, service: ServiceKey, destination: DestinationKey) {
        let fall = self.falls;
        let Some(server) = self.server_mut(&service, &destination) else { return };
        let Some(outcome) = server.judge(now, fall) else { return };
        let cause = server.cause();
        self.falls = fall.wrapping_add(1);
        self.tell(EventKind::RealServer { service, destination, outcome, cause });
    }

    /// Somebody sets the weight of a real server, or takes that back. Returns whether there is such a server.
    pub(crate) fn handle_weight(
        &mut self,
        now: Instant,
        service: &ServiceKey,
        destination: &DestinationKey,
        weight: Option<Weight>,
    ) -> bool {
        self.at(now);
        let Some(&service) = self.by_service.get(service) else { return false };
        let Some(server) = self.server_mut(&service, destination) else { return false };
        if server.set_weight != weight {
            server.set_weight = weight;
            let (weight, destination) = (server.weight(), *destination);
            self.tell(EventKind::Weight {
                service,
                destination,
                weight,
                source: WeightSource::Order,
            });
            self.touched.insert(service);
        }
        true
    }

    /// Somebody wants a real server out, its connections ended first, or wants it back (`None`). Returns whether there is such a
    /// server.
    pub(crate) fn handle_drain(
        &mut self,
        now: Instant,
        service: &ServiceKey,
        destination: &DestinationKey,
        at_most: Option<Duration>,
    ) -> bool {
        self.at(now);
        let Some(&service) = self.by_service.get(service) else { return false };
        let Some(server) = self.server_mut(&service, destination) else { return false };
        match (server.drain.map(|drain| drain.reason), at_most) {
            (Some(DrainReason::Removed), _) => return false,
            (_, Some(at_most)) => {
                server.start_drain(now, DrainReason::Asked, at_most);
                let destination = *destination;
                self.tell(EventKind::Draining { service, destination, at_most });
            }
            (Some(DrainReason::Asked), None) => server.drain = None,
            (Some(DrainReason::Down) | None, None) => {}
        }
        self.touched.insert(service);
        true
    }

    /// These are the connections of the services of a pool, as asked by [`Output::Count`].
    pub(crate) fn handle_connections(
        &mut self,
        now: Instant,
        pool: &ServiceKey,
        counts: &[(ServiceKey, DestinationKey, u64)],
    ) {
        self.at(now);
        if let Some(group) = self.groups.get_mut(pool) {
            group.handle_connections(counts);
            self.touched.insert(*pool);
        }
    }

    /// Whether this director is Master, for the sync daemon.
    pub(crate) fn handle_role(&mut self, now: Instant, role: SyncRole) {
        self.at(now);
        if self.role.replace(role) != Some(role) {
            let daemon = self.sync_daemon();
            self.outputs.push_back(Output::Sync(daemon));
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.at(now);
        while let Some((pool, _)) = self.timers.pop_due(now) {
            let Some(group) = self.groups.get_mut(&pool) else { continue };
            if group.count_is_due(now) {
                self.outputs.push_back(Output::Count(pool));
            }
            self.touched.insert(pool);
        }
    }

    /// The director ends, once: tells what [`tell_end`](crate::ServiceConfig::tell_end) asks for.
    pub(crate) fn handle_stop(&mut self, now: Instant) {
        self.at(now);
        let groups = core::mem::take(&mut self.groups);
        for group in groups.into_values().filter(|group| group.config.tell_end) {
            let service = group.name;
            for (destination, server) in group.servers {
                if server.is_up() && !server.is_leaving() {
                    let (outcome, cause) = (Outcome::Down, None);
                    let told = EventKind::RealServer { service, destination, outcome, cause };
                    self.outputs.push_back(Output::Told(told));
                }
            }
            if group.quorum {
                let quorum = group.config.quorum;
                let told = EventKind::QuorumLost { service, alive: 0, quorum };
                self.outputs.push_back(Output::Told(told));
            }
        }
    }

    /// What has to be done next.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            self.settle();
        }
        self.outputs.pop_front()
    }

    /// When [`Pool::handle_timeout`] must be called at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Draws the consequences of everything that has come in.
    fn settle(&mut self) {
        let Some(now) = self.now else { return };
        for pool in core::mem::take(&mut self.touched) {
            let Some(group) = self.groups.get_mut(&pool) else { continue };
            let outputs = &mut self.outputs;
            let changed = group.settle(now, &mut |told| outputs.push_back(Output::Told(told)));
            let deadline = group.deadline(now);
            if changed {
                self.outputs.push_back(Output::Table(pool));
            }
            match deadline {
                Some(at) => drop(self.timers.set(pool, at)),
                None => drop(self.timers.cancel(&pool)),
            }
        }
    }

    /// The sync daemon that shall run.
    pub(crate) fn sync_daemon(&self) -> Option<SyncDaemon> {
        self.sync.as_ref().zip(self.role).map(|(sync, role)| sync.daemon(role))
    }

    fn at(&mut self, now: Instant) {
        self.now = self.now.max(Some(now));
    }

    fn tell(&mut self, told: EventKind) {
        self.outputs.push_back(Output::Told(told));
    }

    fn server_mut(&mut self, pool: &ServiceKey, server: &DestinationKey) -> Option<&mut Server> {
        self.groups.get_mut(pool)?.servers.get_mut(server)
    }

    /// The pools, by name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// The pool that a service belongs to.
    pub(crate) fn group_of(&self, service: &ServiceKey) -> Option<&Group> {
        self.groups.get(self.by_service.get(service)?)
    }

    /// The services of a pool, with the destinations that they shall have.
    pub(crate) fn entries(
        &self,
        pool: &ServiceKey,
    ) -> impl Iterator<Item = (&Service, impl Iterator<Item = Destination>)> {
        self.groups.get(pool).into_iter().flat_map(Group::entries)
    }
}

#[cfg(test)]
mod tests;
