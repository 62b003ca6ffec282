//! Any order of inputs, and what must hold at any moment; then each rule by itself, step by step.

mod properties;
mod rules;

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use healthcheck::{Check, CheckId, Failure, Kind, Outcome, Timing};
use ipvs::{
    Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey, Table, Weight,
};
use reactor::Clock;

use super::{Output, Pool, Verdict};
use crate::config::{Config, RealServer, ServiceConfig};
use crate::event::EventKind;

pub(super) fn key(port: u16) -> ServiceKey {
    ServiceKey::tcp([192, 0, 2, 1].into(), port)
}

pub(super) fn real(port: u16) -> DestinationKey {
    DestinationKey::from(SocketAddr::from(([198, 51, 100, 1], port)))
}

pub(super) fn service(port: u16) -> ServiceConfig {
    ServiceConfig::new(Service::new(key(port), Scheduler::WeightedRoundRobin))
}

/// A real server of one check.
pub(super) fn server(port: u16, weight: u16, initial: Outcome) -> RealServer {
    let destination = Destination::new(real(port), ForwardingMethod::DirectRoute);
    let target = SocketAddr::from(([198, 51, 100, 1], port));
    RealServer::new(destination.with_weight(Weight::from(weight)))
        .check(Check::new(target, Kind::Tcp).timing(Timing::new().initial(initial)))
}

/// A pool, the table that it wants, and what it tells.
pub(super) struct Bench {
    pub(super) pool: Pool,
    pub(super) now: Instant,
    pub(super) table: Table,
    pub(super) told: Vec<EventKind>,
    pub(super) counts: Vec<ServiceKey>,
    pub(super) checks: Vec<(CheckId, u16)>,
    /// Every command that the changes of the table took, in order.
    pub(super) commands: Vec<ipvs::Command>,
}

impl Bench {
    pub(super) fn new(config: Config) -> Self {
        let mut bench = Self {
            pool: Pool::default(),
            now: Clock::now(),
            table: Table::new(),
            told: Vec::new(),
            counts: Vec::new(),
            checks: Vec::new(),
            commands: Vec::new(),
        };
        bench.apply(config);
        bench
    }

    pub(super) fn apply(&mut self, config: Config) {
        let known = self.pool.recognise(&config);
        config.validate(&known).unwrap();
        self.pool.handle_config(self.now, config, &known);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        let mut desired = self.table.clone();
        while let Some(output) = self.pool.poll_output() {
            match output {
                Output::StartCheck(id, check) => {
                    self.checks.push((id, check.target().unwrap().port()));
                }
                Output::StopCheck(id) => self.checks.retain(|(known, _)| *known != id),
                Output::Table(pool) => {
                    for (service, destinations) in self.pool.entries(&pool) {
                        desired.remove(&service.key());
                        let entry = desired.insert(service.clone());
                        for destination in destinations {
                            entry.insert(destination);
                        }
                    }
                }
                Output::Unwanted(key) => drop(desired.remove(&key)),
                Output::Sync(_) => {}
                Output::Count(pool) => self.counts.push(pool),
                Output::Told(event) => self.told.push(event),
            }
        }
        let owned = self.table.keys().copied().collect();
        self.commands.extend(ipvs::plan(&self.table, &desired, &owned));
        self.table = desired;
    }

    /// The check of the real server with this port has this result; it is not drained yet.
    pub(super) fn outcome(&mut self, port: u16, outcome: Outcome) {
        let cause = (outcome == Outcome::Down).then_some(Failure::Refused);
        let ids: Vec<_> =
            self.checks.iter().filter(|(_, at)| *at == port).map(|(id, _)| *id).collect();
        for id in ids {
            self.pool.handle_outcome(self.now, id, Verdict { outcome, cause, value: None });
        }
    }

    pub(super) fn up(&mut self, port: u16) {
        self.outcome(port, Outcome::Up);
        self.drain();
    }

    pub(super) fn down(&mut self, port: u16) {
        self.outcome(port, Outcome::Down);
        self.drain();
    }

    /// Time passes, and what comes due in it is done.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut still = 0;
        while let Some(at) = self.pool.poll_timeout().filter(|at| *at <= end) {
            still = if at > self.now { 0 } else { still + 1 };
            assert!(still < 10, "a deadline that has passed does not go away");
            self.now = at.max(self.now);
            self.pool.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Ports and weights of the destinations of a service.
    pub(super) fn weights(&self, port: u16) -> Vec<(u16, u32)> {
        let entry = self.table.service(&key(port)).unwrap();
        entry.destinations().map(|d| (d.key().port, d.weight().value())).collect()
    }

    /// What was told since the last call, as text, without what is told of single servers.
    pub(super) fn heard(&mut self) -> Vec<String> {
        let told = core::mem::take(&mut self.told).into_iter();
        told.filter(|event| !matches!(event, EventKind::RealServer { .. }))
            .map(|event| event.to_string())
            .collect()
    }
}
