//! Configurations that cannot be run.

use std::collections::BTreeSet;

use ipvs::{AddressFamily, DestinationKey, ForwardingMethod, ServiceKey};
use thiserror::Error;

use super::real_server::{RealServer, serving_port};
use super::{Config, ServiceConfig};

/// Why a configuration cannot be run. Each names the service and what is wrong.
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
    /// Real servers of the other address family are reached by tunnels only.
    #[error(
        "the service {service} has {destination} of another address family: only a tunnel leads there"
    )]
    Family {
        /// The service.
        service: ServiceKey,
        /// The real server or server of last resort.
        destination: DestinationKey,
    },
    /// A quorum that is never reached.
    #[error(
        "quorum {quorum} of the service {service} exceeds the {weight} that all its real servers weigh"
    )]
    Quorum {
        /// The service.
        service: ServiceKey,
        /// The quorum.
        quorum: u32,
        /// The sum of the weights.
        weight: u64,
    },
    /// A hysteresis with which the quorum is never lost.
    #[error("hysteresis {hysteresis} of the service {service} is not below its quorum {quorum}")]
    Hysteresis {
        /// The service.
        service: ServiceKey,
        /// The quorum.
        quorum: u32,
        /// The hysteresis.
        hysteresis: u32,
    },
    /// The server of last resort has weight 0.
    #[error(
        "the sorry server {destination} of the service {service} has weight 0: it would serve nobody"
    )]
    SorryWeight {
        /// The service.
        service: ServiceKey,
        /// The server of last resort.
        destination: DestinationKey,
    },
    /// Not a share.
    #[error("max_ejected_percent {percent} of the service {service} is not 1 to 100")]
    MaxEjected {
        /// The service.
        service: ServiceKey,
        /// What was asked for.
        percent: u8,
    },
}

impl Config {
    /// Looks for what cannot be one table, or contradicts itself. What `known` says is valid is not looked into again.
    pub(crate) fn validate(&self, known: &[bool]) -> Result<(), ConfigError> {
        let mut services = BTreeSet::new();
        let known = known.iter().copied().chain(core::iter::repeat(false));
        for (config, known) in self.services().iter().zip(known) {
            for service in config.services() {
                let service = service.key();
                if !services.insert(service) {
                    return Err(ConfigError::DuplicateService { service });
                }
            }
            if !known {
                validate_service(config)?;
            }
        }
        Ok(())
    }
}

fn validate_service(config: &ServiceConfig) -> Result<(), ConfigError> {
    let Some(name) = config.key() else { return Ok(()) };
    for service in config.services() {
        let service = service.key();
        let standing = |server: &RealServer| serving_port(*server.destination(), &service).key();
        let mut keys: Vec<_> = config.real_servers().iter().map(standing).collect();
        keys.sort_unstable();
        for (destination, next) in keys.iter().zip(keys.iter().skip(1)) {
            if destination == next {
                return Err(ConfigError::DuplicateRealServer {
                    service,
                    destination: *destination,
                });
            }
        }
        let sorry = config.sorry.iter().map(|sorry| &sorry.destination);
        for destination in config.real_servers().iter().map(RealServer::destination).chain(sorry) {
            let family = AddressFamily::of(&destination.key().address);
            let tunnel = matches!(destination.method(), ForwardingMethod::Tunnel(_));
            if family != service.family() && !tunnel {
                return Err(ConfigError::Family { service, destination: destination.key() });
            }
        }
    }
    let weight = config
        .real_servers()
        .iter()
        .map(|server| u64::from(server.destination().weight().value()))
        .fold(0, u64::saturating_add);
    let (service, quorum, hysteresis) = (name, config.quorum, config.hysteresis);
    // One is the default, and a service may well begin empty.
    if quorum > 1 && u64::from(quorum) > weight {
        return Err(ConfigError::Quorum { service, quorum, weight });
    }
    if hysteresis > 0 && hysteresis >= quorum {
        return Err(ConfigError::Hysteresis { service, quorum, hysteresis });
    }
    if let Some(sorry) = config.sorry.filter(|sorry| sorry.destination.weight().value() == 0) {
        return Err(ConfigError::SorryWeight { service, destination: sorry.destination.key() });
    }
    let percent = config.max_ejected_percent;
    if !(1..=100).contains(&percent) {
        return Err(ConfigError::MaxEjected { service, percent });
    }
    Ok(())
}
