//! From health to the table that is wanted: pure, no clock, no kernel.

use std::collections::BTreeMap;

use healthcheck::{Check, CheckId, Outcome};
use ipvs::{Destination, DestinationKey, Service, ServiceKey, Table, Weight};

use crate::config::{Config, WhenDown};

/// A real server has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) service: ServiceKey,
    pub(crate) destination: DestinationKey,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) struct PooledCheck {
    pub(crate) id: CheckId,
    pub(crate) check: Check,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) struct PooledServer {
    destination: Destination,
    when_down: WhenDown,
    pub(crate) checks: Vec<PooledCheck>,
}

impl PooledServer {
    /// Up while all checks are.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.checks.iter().all(|check| check.outcome == Outcome::Up) {
            Outcome::Up
        } else {
            Outcome::Down
        }
    }

    /// How it stands in the table; `None`: not at all.
    pub(crate) fn wanted(&self) -> Option<Destination> {
        match (self.outcome(), self.when_down) {
            (Outcome::Up, _) => Some(self.destination),
            (Outcome::Down, WhenDown::Quiesce) => {
                Some(self.destination.with_weight(Weight::QUIESCED))
            }
            (Outcome::Down, WhenDown::Remove) => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct PooledService {
    service: Service,
    pub(crate) servers: BTreeMap<DestinationKey, PooledServer>,
}

impl PooledService {
    /// The destinations that are wanted. What looks at the service as a whole, a quorum or a server of last resort, decides here.
    fn wanted(&self) -> impl Iterator<Item = Destination> {
        self.servers.values().filter_map(PooledServer::wanted)
    }
}

/// All services with the health of their real servers.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) services: BTreeMap<ServiceKey, PooledService>,
    by_check: BTreeMap<CheckId, (ServiceKey, DestinationKey)>,
    next_check: u64,
}

impl Pool {
    /// A pool of `config`, which is valid. A check that `before` has too, of the same real server with the same parameters,
    /// keeps its number and its outcome; all others get a new number and the outcome they assume.
    pub(crate) fn new(config: Config, before: &Self) -> Self {
        let mut pool = Self { next_check: before.next_check, ..Self::default() };
        for service_config in config.into_services() {
            let (service, real_servers) = service_config.into_parts();
            let key = service.key();
            let mut servers = BTreeMap::new();
            for real_server in real_servers {
                let destination_key = real_server.key();
                let (destination, checks, when_down) = real_server.into_parts();
                let mut known = before.checks_of(&key, &destination_key);
                let checks: Vec<_> = checks
                    .into_iter()
                    .map(|check| {
                        let kept = known
                            .iter()
                            .position(|old| old.check == check)
                            .map(|at| known.remove(at));
                        let (id, outcome) = match kept {
                            Some(old) => (old.id, old.outcome),
                            None => (pool.new_check(), check.assumed()),
                        };
                        pool.by_check.insert(id, (key, destination_key));
                        PooledCheck { id, check, outcome }
                    })
                    .collect();
                servers.insert(destination_key, PooledServer { destination, when_down, checks });
            }
            pool.services.insert(key, PooledService { service, servers });
        }
        pool
    }

    /// Every check and its number.
    pub(crate) fn checks(&self) -> impl Iterator<Item = (CheckId, &Check)> {
        self.services
            .values()
            .flat_map(|service| service.servers.values())
            .flat_map(|server| server.checks.iter().map(|check| (check.id, &check.check)))
    }

    pub(crate) fn has_check(&self, id: CheckId) -> bool {
        self.by_check.contains_key(&id)
    }

    /// A check has a result; returns the change if its real server changed with it.
    pub(crate) fn handle_outcome(&mut self, id: CheckId, outcome: Outcome) -> Option<Change> {
        let &(service, destination) = self.by_check.get(&id)?;
        let server = self.services.get_mut(&service)?.servers.get_mut(&destination)?;
        let before = server.outcome();
        server.checks.iter_mut().find(|check| check.id == id)?.outcome = outcome;
        let after = server.outcome();
        (before != after).then_some(Change { service, destination, outcome: after })
    }

    /// The table that is wanted.
    pub(crate) fn desired(&self) -> Table {
        let mut table = Table::new();
        for pooled in self.services.values() {
            let entry = table.insert(pooled.service.clone());
            for destination in pooled.wanted() {
                entry.insert(destination);
            }
        }
        table
    }

    fn checks_of(&self, service: &ServiceKey, destination: &DestinationKey) -> Vec<&PooledCheck> {
        self.services
            .get(service)
            .and_then(|service| service.servers.get(destination))
            .map(|server| server.checks.iter().collect())
            .unwrap_or_default()
    }

    fn new_check(&mut self) -> CheckId {
        let id = CheckId(self.next_check);
        self.next_check = self.next_check.wrapping_add(1);
        id
    }
}

#[cfg(test)]
mod tests;
