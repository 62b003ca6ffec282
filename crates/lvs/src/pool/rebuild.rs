//! Another configuration for the pools that run: what stays keeps its state.

use std::collections::btree_map::Entry;
use std::time::Instant;

use healthcheck::CheckId;
use ipvs::{DestinationKey, ServiceKey};

use super::server::{DrainReason, PooledCheck, Server};
use super::{Group, Output, Pool};
use crate::config::{Config, RealServer, ServiceConfig, WeighingCheck, WhenDown};
use crate::event::EventKind;

impl Pool {
    /// For each service whether a pool of its name runs with exactly this configuration.
    pub(crate) fn recognise(&self, config: &Config) -> Vec<bool> {
        let runs = |config: &ServiceConfig| {
            let group = config.key().and_then(|key| self.groups.get(&key));
            group.is_some_and(|group| group.config == *config)
        };
        config.services().iter().map(runs).collect()
    }

    /// Takes a valid configuration, of which `known` says what runs already. A pool stays the same if it has a service in common with
    /// its former self, a real server if its address and port do, a check if its target and parameters do.
    pub(crate) fn handle_config(&mut self, now: Instant, config: Config, known: &[bool]) {
        self.at(now);
        let (services, sync) = config.into_parts();
        let mut before = core::mem::take(&mut self.groups);
        let index = core::mem::take(&mut self.by_service);
        let known = known.iter().copied().chain(core::iter::repeat(false));
        let (same, others): (Vec<_>, Vec<_>) =
            services.into_iter().zip(known).partition(|(_, known)| *known);
        for (config, _) in same {
            let Some(name) = config.key() else { continue };
            self.by_service.extend(config.services.iter().map(|service| (service.key(), name)));
            if let Some(group) = before.remove(&name) {
                self.groups.insert(name, group);
            }
        }
        // Then those that are named as before, so that no other takes their state.
        let (renewed, others): (Vec<_>, Vec<_>) = others
            .into_iter()
            .map(|(config, _)| config)
            .partition(|config| config.key().is_some_and(|key| before.contains_key(&key)));
        for config in renewed.into_iter().chain(others) {
            let Some(name) = config.key() else { continue };
            self.by_service.extend(config.services.iter().map(|service| (service.key(), name)));
            let former = config
                .services
                .iter()
                .filter_map(|service| index.get(&service.key()))
                .find_map(|former| before.remove(former));
            if let Some(former) = &former {
                self.timers.cancel(&former.name);
            }
            self.touched.insert(name);
            let group = self.rebuild(now, name, config, former);
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
        config: ServiceConfig,
        mut former: Option<Group>,
    ) -> Group {
        let mut servers =
            former.as_mut().map(|group| core::mem::take(&mut group.servers)).unwrap_or_default();
        let renamed = former.as_ref().is_some_and(|group| group.name != name);
        for server in servers.values_mut() {
            server.is_configured = false;
        }
        for real_server in &config.real_servers {
            match servers.entry(real_server.key()) {
                Entry::Occupied(mut known) => {
                    self.renew(now, name, real_server, known.get_mut(), renamed);
                }
                Entry::Vacant(vacant) => {
                    let mut checks = Vec::with_capacity(real_server.weighing_checks().len());
                    for check in real_server.weighing_checks() {
                        checks.push(self.start_check(name, real_server.key(), check));
                    }
                    let (destination, rule) = (*real_server.destination(), real_server.down_rule());
                    vacant.insert(Server::new(now, destination, rule, checks));
                }
            }
        }
        servers.retain(|&key, server| {
            server.is_configured || self.stays_to_drain(now, &name, &config, key, server)
        });
        let group = Group::new(name, config, servers);
        match former {
            Some(former) => group.with_state_of(&former),
            None => group,
        }
    }

    /// Gives a real server that stays what is configured now.
    fn renew(
        &mut self,
        now: Instant,
        name: ServiceKey,
        config: &RealServer,
        server: &mut Server,
        renamed: bool,
    ) {
        let key = config.key();
        server.destination = *config.destination();
        server.when_down = config.down_rule();
        server.is_configured = true;
        if server.drain.is_some_and(|drain| drain.reason == DrainReason::Removed) {
            server.drain = None;
        }
        let wanted = config.weighing_checks();
        if !renamed && server.checks.iter().map(|check| &check.config).eq(wanted) {
            return;
        }
        let mut known = core::mem::take(&mut server.checks);
        for check in wanted {
            let kept = known.iter().position(|old| old.config == *check).map(|at| known.remove(at));
            let check = kept.unwrap_or_else(|| self.start_check(name, key, check));
            self.by_check.insert(check.id, (name, key));
            server.checks.push(check);
        }
        self.stop_checks(known);
        let fall = self.falls;
        if let Some(outcome) = server.judge(now, fall) {
            self.falls = fall.wrapping_add(1);
            let (service, destination, cause) = (name, key, server.cause());
            self.tell(EventKind::RealServer { service, destination, outcome, cause });
        }
    }

    fn start_check(
        &mut self,
        name: ServiceKey,
        server: DestinationKey,
        check: &WeighingCheck,
    ) -> PooledCheck {
        let id = CheckId(self.next_check);
        self.next_check = self.next_check.wrapping_add(1);
        self.by_check.insert(id, (name, server));
        self.outputs.push_back(Output::StartCheck(id, Box::new(check.check.clone())));
        PooledCheck::new(id, check.clone())
    }

    /// Whether a server that is not configured any more stays until it is drained.
    fn stays_to_drain(
        &mut self,
        now: Instant,
        name: &ServiceKey,
        config: &ServiceConfig,
        key: DestinationKey,
        server: &mut Server,
    ) -> bool {
        self.stop_checks(core::mem::take(&mut server.checks));
        let Some(at_most) = config.drain_removed else { return false };
        match server.drain {
            Some(drain) if drain.done => return false,
            // Its time runs already.
            Some(drain) if drain.reason == DrainReason::Removed => {}
            Some(_) | None => {
                let is_out = !server.is_up() && server.drain.is_none() && !server.held;
                let keeps = server.when_down == WhenDown::Quiesce;
                if is_out && !keeps {
                    return false; // it is not in the table
                }
                server.start_drain(now, DrainReason::Removed, at_most);
                let (service, destination) = (*name, key);
                self.tell(EventKind::Draining { service, destination, at_most });
            }
        }
        true
    }

    fn stop_checks(&mut self, checks: Vec<PooledCheck>) {
        for check in checks {
            self.by_check.remove(&check.id);
            self.outputs.push_back(Output::StopCheck(check.id));
        }
    }
}
