//! A snapshot of a director.

use core::time::Duration;
use std::time::Instant;

use healthcheck::{Failure, Outcome};
use ipvs::{DestinationKey, Service, ServiceKey, SyncDaemon, Weight};

use crate::owner::Owner;
use crate::pool::{Group, Pool, Server};

/// What a director does at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The services, each with its group, in the order of the keys of the first ones.
    pub services: Vec<ServiceStatus>,
    /// The sync daemon that is wanted.
    pub sync: Option<SyncDaemon>,
    /// Whether the kernel's table is not as wanted: a change was refused and is tried again.
    pub in_trouble: bool,
    /// How many events were dropped because nobody read them in time.
    pub dropped_events: u64,
}

/// One service, or several that share a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// The key of the first service, which names the pool.
    pub service: ServiceKey,
    /// The other services of the group.
    pub also: Vec<ServiceKey>,
    /// Whether the kernel has all of them, as far as is known.
    pub installed: bool,
    /// Whether those that are up make the quorum.
    pub quorum_held: bool,
    /// What those that are up weigh together.
    pub alive: u64,
    /// The quorum.
    pub quorum: u32,
    /// The server of last resort.
    pub sorry_server: Option<DestinationKey>,
    /// How many real servers are down and out.
    pub ejected: usize,
    /// How many may be.
    pub most_ejected: usize,
    /// How many are down and serve on because of that.
    pub held: usize,
    /// Its real servers, in the order of their keys.
    pub real_servers: Vec<RealServerStatus>,
}

/// One real server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RealServerStatus {
    /// Its address and port.
    pub destination: DestinationKey,
    /// Up while all its checks are.
    pub outcome: Outcome,
    /// Its weight in the kernel's table for the first service, as far as is known; `None`: it is not in it.
    pub weight: Option<Weight>,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckStatus>,
    /// For how long its health has been what it is.
    pub unchanged_for: Duration,
    /// How often it has come up.
    pub ups: u64,
    /// How often it has gone down.
    pub downs: u64,
    /// Its latest changes, oldest first; 16 at most.
    pub history: Vec<HealthChange>,
}

/// A real server went down or came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthChange {
    /// How long ago.
    pub ago: Duration,
    /// What it became.
    pub outcome: Outcome,
    /// Why it went down, as the first failed check says.
    pub cause: Option<Failure>,
}

/// One check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckStatus {
    /// What is checked.
    pub check: healthcheck::Check,
    /// What is known about it.
    pub status: healthcheck::Status,
}

impl Status {
    pub(crate) fn of(
        now: Instant,
        pool: &Pool,
        driver: &healthcheck::Driver,
        owner: &Owner,
        in_trouble: bool,
        dropped_events: u64,
    ) -> Self {
        let services = pool.groups().map(|group| service(now, group, driver, owner)).collect();
        Self { services, sync: pool.sync_daemon(), in_trouble, dropped_events }
    }
}

fn service(
    now: Instant,
    group: &Group,
    driver: &healthcheck::Driver,
    owner: &Owner,
) -> ServiceStatus {
    let mut keys = group.config.services().iter().map(Service::key);
    let real_server = |(&destination, server): (&DestinationKey, &Server)| {
        let first = owner.installed().service(&group.name);
        let standing = crate::config::serving_port(server.destination, &group.name).key();
        let changes = server.history.changes().map(|change| HealthChange {
            ago: now.saturating_duration_since(change.at),
            outcome: change.outcome,
            cause: change.cause,
        });
        RealServerStatus {
            destination,
            outcome: server.health,
            weight: first
                .and_then(|entry| entry.destination(&standing))
                .map(ipvs::Destination::weight),
            checks: server
                .checks
                .iter()
                .filter_map(|check| {
                    let status = driver.status(check.id)?;
                    Some(CheckStatus { check: check.config.check.clone(), status })
                })
                .collect(),
            unchanged_for: now.saturating_duration_since(server.history.since),
            ups: server.history.ups,
            downs: server.history.downs,
            history: changes.collect(),
        }
    };
    ServiceStatus {
        service: group.name,
        also: keys.clone().skip(1).collect(),
        installed: keys.all(|key| owner.installed().contains(&key)),
        quorum_held: group.quorum,
        alive: group.alive(),
        quorum: group.config.quorum,
        sorry_server: group.config.sorry.map(|sorry| sorry.destination.key()),
        ejected: group.ejected,
        most_ejected: group.most_ejected(),
        held: group.held,
        real_servers: group.servers.iter().map(real_server).collect(),
    }
}
