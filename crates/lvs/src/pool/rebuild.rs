//! Another configuration for the pools that run: what stays keeps its state.

use std::collections::BTreeMap;
use std::time::Instant;

use healthcheck::CheckId;
use ipvs::{DestinationKey, ServiceKey};

use super::server::{DrainReason, PooledCheck, Server};
use super::{Group, Output, Pool};
use crate::config::{Config, RealServer, ServiceConfig, WhenDown};
use crate::event::EventKind;

impl Pool {
    /// Whether a pool runs with exactly this configuration.
    pub(crate) fn runs(&self, config: &ServiceConfig) -> bool {
        config
            .key()
            .and_then(|key| self.groups.get(&key))
            .is_some_and(|group| group.config == *config)
    }

    /// Takes a valid configuration. A pool stays the same if it has a service in common with its former self. A real server stays the
    /// same if its address and port do, a check if its target and parameters do.
    pub(crate) fn handle_config(&mut self, now: Instant, config: Config) {
        self.at(now);
        let (services, sync) = config.into_parts();
        let mut before = core::mem::take(&mut self.groups);
        let index = core::mem::take(&mut self.by_service);
        // First those that are named as before, so that no other takes their state.
        let (same, others): (Vec<_>, Vec<_>) = services
            .into_iter()
            .partition(|config| config.key().is_some_and(|key| before.contains_key(&key)));
        for config in same.into_iter().chain(others) {
            let Some(name) = config.key() else { continue };
            for service in &config.services {
                self.by_service.insert(service.key(), name);
            }
            let former = config
                .services
                .iter()
                .filter_map(|service| index.get(&service.key()))
                .find_map(|former| before.remove(former));
            let group = match former {
                Some(group) if group.name == name && group.config == config => group,
                Some(former) => {
                    self.touched.insert(name);
                    self.timers.cancel(&former.name);
                    self.rebuild(now, name, config, Some(former))
                }
                None => {
                    self.touched.insert(name);
                    self.rebuild(now, name, config, None)
                }
            };
            self.groups.insert(name, group);
        }
        for (name, gone) in before {
            self.timers.cancel(&name);
            for server in gone.servers.into_values() {
                self.stop_checks(server.checks);
            }
        }
        for key in index.into_keys().filter(|key| !self.by_service.contains_key(key)) {
            self.outputs.push_back(Output::Unwanted(key));
        }
        if self.sync != sync {
            self.sync = sync;
            // Until somebody says what we are, what a dead predecessor has left runs on.
            if self.role.is_some() || self.sync.is_none() {
                let daemon = self.sync_daemon();
                self.outputs.push_back(Output::Sync(daemon));
            }
        }
    }

    fn rebuild(
        &mut self,
        now: Instant,
        name: ServiceKey,
        mut config: ServiceConfig,
        mut former: Option<Group>,
    ) -> Group {
        let mut old =
            former.as_mut().map(|group| core::mem::take(&mut group.servers)).unwrap_or_default();
        let mut servers = BTreeMap::new();
        for real_server in &config.real_servers {
            let key = real_server.key();
            let server = self.server(now, name, real_server, old.remove(&key));
            servers.insert(key, server);
        }
        for (key, server) in old {
            if let Some(server) = self.leaving(now, &name, &config, (key, server)) {
                servers.insert(key, server);
            }
        }
        config.services.shrink_to_fit();
        config.real_servers.shrink_to_fit();
        let group = Group::new(name, config, servers);
        match former {
            Some(former) => group.with_state_of(&former),
            None => group,
        }
    }

    fn server(
        &mut self,
        now: Instant,
        name: ServiceKey,
        config: &RealServer,
        mut old: Option<Server>,
    ) -> Server {
        let key = config.key();
        let mut known =
            old.as_mut().map(|old| core::mem::take(&mut old.checks)).unwrap_or_default();
        let mut checks = Vec::with_capacity(config.weighing_checks().len());
        let mut new = Vec::new();
        for check in config.weighing_checks() {
            let kept = known.iter().position(|old| old.config == *check).map(|at| known.remove(at));
            let check = kept.unwrap_or_else(|| {
                let id = self.new_check();
                new.push((id, check.check.clone()));
                PooledCheck::new(id, check.clone())
            });
            self.by_check.insert(check.id, (name, key));
            checks.push(check);
        }
        self.stop_checks(known);
        self.outputs.extend(new.into_iter().map(|(id, check)| Output::StartCheck(id, check)));
        let Some(mut server) = old else {
            return Server::new(now, *config.destination(), config.down_rule(), checks);
        };
        server.destination = *config.destination();
        server.when_down = config.down_rule();
        server.checks = checks;
        if server.drain.is_some_and(|drain| drain.reason == DrainReason::Removed) {
            server.drain = None;
        }
        let fall = self.falls;
        if let Some(outcome) = server.judge(now, fall) {
            self.falls = fall.wrapping_add(1);
            let (service, destination, cause) = (name, key, server.cause());
            self.tell(EventKind::RealServer { service, destination, outcome, cause });
        }
        server
    }

    /// What becomes of a server that is not configured any more.
    fn leaving(
        &mut self,
        now: Instant,
        name: &ServiceKey,
        config: &ServiceConfig,
        (key, mut server): (DestinationKey, Server),
    ) -> Option<Server> {
        self.stop_checks(core::mem::take(&mut server.checks));
        let at_most = config.drain_removed?;
        match server.drain {
            Some(drain) if drain.done => return None,
            // Its time runs already.
            Some(drain) if drain.reason == DrainReason::Removed => {}
            Some(_) | None => {
                let is_out = !server.is_up() && server.drain.is_none() && !server.held;
                let keeps = server.when_down == WhenDown::Quiesce;
                if is_out && !keeps {
                    return None; // it is not in the table
                }
                server.start_drain(now, DrainReason::Removed, at_most);
                let (service, destination) = (*name, key);
                self.tell(EventKind::Draining { service, destination, at_most });
            }
        }
        Some(server)
    }

    fn stop_checks(&mut self, checks: Vec<PooledCheck>) {
        for check in checks {
            self.by_check.remove(&check.id);
            self.outputs.push_back(Output::StopCheck(check.id));
        }
    }

    fn new_check(&mut self) -> CheckId {
        let id = CheckId(self.next_check);
        self.next_check = self.next_check.wrapping_add(1);
        id
    }
}
