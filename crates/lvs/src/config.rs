//! What a director is told to do.

use core::net::SocketAddr;
use std::collections::BTreeSet;

use healthcheck::{Check, Kind, Timing};
use ipvs::{Destination, DestinationKey, Service, ServiceKey};
use thiserror::Error;

/// What becomes of a real server that is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenDown {
    /// It is taken out of the table: its connections find no destination any more.
    #[default]
    Remove,
    /// It stays with weight 0: no new connections, and existing ones go on.
    Quiesce,
}

/// One real server of a service, and how its health is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServer {
    destination: Destination,
    checks: Vec<Check>,
    when_down: WhenDown,
}

impl RealServer {
    /// A real server without checks: always up.
    #[must_use]
    pub fn new(destination: Destination) -> Self {
        Self { destination, checks: Vec::new(), when_down: WhenDown::default() }
    }

    /// Adds a check. The real server is up while all of its checks are.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds a TCP check of the destination's own address and port.
    #[must_use]
    pub fn tcp_check(self, timing: Timing) -> Self {
        let target = SocketAddr::new(self.key().address, self.key().port);
        self.check(Check::new(target, Kind::Tcp).timing(timing))
    }

    /// Sets what becomes of it when it is down.
    #[must_use]
    pub fn when_down(self, when_down: WhenDown) -> Self {
        Self { when_down, ..self }
    }

    pub(crate) fn key(&self) -> DestinationKey {
        self.destination.key()
    }

    pub(crate) fn into_parts(self) -> (Destination, Vec<Check>, WhenDown) {
        (self.destination, self.checks, self.when_down)
    }
}

/// One virtual service and its real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    service: Service,
    real_servers: Vec<RealServer>,
}

impl ServiceConfig {
    /// A service without real servers.
    #[must_use]
    pub fn new(service: Service) -> Self {
        Self { service, real_servers: Vec::new() }
    }

    /// Adds a real server.
    #[must_use]
    pub fn real_server(mut self, real_server: RealServer) -> Self {
        self.real_servers.push(real_server);
        self
    }

    pub(crate) fn into_parts(self) -> (Service, Vec<RealServer>) {
        (self.service, self.real_servers)
    }
}

/// Everything a director runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    services: Vec<ServiceConfig>,
}

impl Config {
    /// No services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service.
    #[must_use]
    pub fn service(mut self, service: ServiceConfig) -> Self {
        self.services.push(service);
        self
    }

    /// Looks for what cannot be one table.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let mut services = BTreeSet::new();
        for config in &self.services {
            let service = config.service.key();
            if !services.insert(service) {
                return Err(ConfigError::DuplicateService { service });
            }
            let mut destinations = BTreeSet::new();
            for real_server in &config.real_servers {
                let destination = real_server.key();
                if !destinations.insert(destination) {
                    return Err(ConfigError::DuplicateRealServer { service, destination });
                }
            }
        }
        Ok(())
    }

    pub(crate) fn into_services(self) -> Vec<ServiceConfig> {
        self.services
    }
}

/// Why a configuration cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two services have one key; the kernel keeps one service for each.
    #[error("the service {service} is configured twice: merge its real servers into one")]
    DuplicateService {
        /// The key.
        service: ServiceKey,
    },
    /// Two real servers of a service have one address and port.
    #[error("the service {service} has the real server {destination} twice: remove one")]
    DuplicateRealServer {
        /// The service.
        service: ServiceKey,
        /// The address and port.
        destination: DestinationKey,
    },
}
