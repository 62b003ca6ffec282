//! A snapshot of a director.

use healthcheck::Outcome;
use ipvs::{DestinationKey, ServiceKey, Weight};

use crate::owner::Owner;
use crate::pool::Pool;

/// What a director does at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The services, in the order of their keys.
    pub services: Vec<ServiceStatus>,
    /// Whether the kernel's table is not as wanted: a change was refused and is tried again.
    pub in_trouble: bool,
    /// How many events were dropped because nobody read them in time.
    pub dropped_events: u64,
}

/// One service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// Its key.
    pub service: ServiceKey,
    /// Whether the kernel has it, as far as is known.
    pub installed: bool,
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
    /// Its weight in the kernel's table, as far as is known; `None`: it is not in it.
    pub weight: Option<Weight>,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckStatus>,
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
        pool: &Pool,
        driver: &healthcheck::Driver,
        owner: &Owner,
        in_trouble: bool,
        dropped_events: u64,
    ) -> Self {
        let services = pool
            .services
            .iter()
            .map(|(&service, pooled)| {
                let installed = owner.installed().service(&service);
                let real_servers = pooled
                    .servers
                    .iter()
                    .map(|(&destination, server)| RealServerStatus {
                        destination,
                        outcome: server.outcome(),
                        weight: installed
                            .and_then(|entry| entry.destination(&destination))
                            .map(ipvs::Destination::weight),
                        checks: server
                            .checks
                            .iter()
                            .filter_map(|check| {
                                let status = driver.status(check.id)?;
                                Some(CheckStatus { check: check.check.clone(), status })
                            })
                            .collect(),
                    })
                    .collect();
                ServiceStatus { service, installed: installed.is_some(), real_servers }
            })
            .collect();
        Self { services, in_trouble, dropped_events }
    }
}
