//! From `virtual_server` blocks to the services of a director.

mod checks;

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeSet;

use ipvs::{
    AddressFamily, Destination, DestinationKey, ForwardingMethod, Netmask, Persistence, Scheduler,
    Service, ServiceFlags, ServiceKey, Thresholds, Tunnel, Weight,
};
use keepalived_conf::{
    Config, Family, Forwarding, GroupEntry, Protocol, RealServer, SchedulerFlag, Target,
    VirtualServer,
};

use crate::scripts::runnable::Rules;
pub(crate) use checks::CheckError;

/// keepalived's persistence where it is implied but no timeout is written.
const PERSISTENCE: Duration = Duration::from_secs(360);

/// Why a `virtual_server` cannot become a service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PoolError {
    #[error("virtual_server {server}: {source}")]
    Persistence { server: String, source: ipvs::PersistenceError },
    #[error("virtual_server {server}: persistence_engine: {source}")]
    Engine { server: String, source: ipvs::NameError },
    #[error("virtual_server {server}, real_server {real}: {source}")]
    Destination { server: String, real: IpAddr, source: ipvs::DestinationError },
    #[error("virtual_server {server}, real_server {real}: {source}")]
    Check { server: String, real: IpAddr, source: CheckError },
}

/// All services of a configuration. Those without a real server, and of groups that are not there, are left out: the
/// configuration's findings say so.
pub(crate) fn services(
    config: &Config,
    rules: &Rules,
) -> Result<Vec<lvs::ServiceConfig>, PoolError> {
    let used = config.virtual_servers.iter().filter(|server| !server.real_servers.is_empty());
    used.filter_map(|server| service(config, rules, server).transpose()).collect()
}

/// The real servers of a service, without those that become the same destination as an earlier one: with DR and TUN the port is
/// the service's, whatever is written. The kernel refuses keepalived's later one, too.
fn distinct(server: &VirtualServer) -> impl Iterator<Item = &RealServer> {
    let mut seen = BTreeSet::new();
    server.real_servers.iter().filter(move |real| {
        let key = destination_key(server, real);
        let first = seen.insert(key);
        if !first {
            let server = describe_target(&server.target.value);
            log::warn!(
                "virtual_server {server}: real_server {key} is there already; the first one stands, because DR and TUN keep the port of the virtual_server"
            );
        }
        first
    })
}

fn service(
    config: &Config,
    rules: &Rules,
    server: &VirtualServer,
) -> Result<Option<lvs::ServiceConfig>, PoolError> {
    let mut services = Vec::new();
    for key in keys(config, server) {
        services.push(of_key(server, key)?);
    }
    let mut services = services.into_iter();
    let Some(first) = services.next() else { return Ok(None) };
    // keepalived lowers a quorum that all real servers together do not reach.
    let real_servers: Vec<_> = distinct(server).collect();
    let weight =
        |real: &&RealServer| real.weight.or(server.weight).map_or(1, |weight| weight.value);
    let total = real_servers.iter().map(weight).fold(0, u32::saturating_add);
    let quorum = server.quorum.map_or(1, |quorum| quorum.value).min(total.max(1));
    let hysteresis = server.hysteresis.map_or(0, |hysteresis| hysteresis.value);
    let mut pool = services
        .fold(lvs::ServiceConfig::new(first), lvs::ServiceConfig::also)
        .quorum(quorum)
        .hysteresis(hysteresis.min(quorum.saturating_sub(1)))
        .tell_end(server.omega.is_some_and(|omega| omega.value));
    if let Some(sorry) = sorry_server(server)? {
        pool = pool.sorry_server(sorry);
    }
    for real in real_servers {
        pool = pool.real_server(real_server(config, rules, server, real)?);
    }
    Ok(Some(pool))
}

fn of_key(server: &VirtualServer, key: ServiceKey) -> Result<Service, PoolError> {
    let scheduler = server
        .scheduler
        .as_ref()
        .and_then(|name| name.value.parse().ok())
        .unwrap_or(Scheduler::WeightedLeastConnections);
    let service = Service::new(key, scheduler).with_flags(flags(server));
    let Some(timeout) = persistence(server) else { return Ok(service) };
    let wrong =
        |source| PoolError::Persistence { server: describe_target(&server.target.value), source };
    let netmask = match server.persistence_granularity {
        Some(prefix) => Netmask::prefix(key.family(), prefix.value).map_err(wrong)?,
        None => Netmask::host(key.family()),
    };
    let mut persistence = Persistence::new(timeout, netmask).map_err(wrong)?;
    if let Some(engine) = &server.persistence_engine {
        let wrong =
            |source| PoolError::Engine { server: describe_target(&server.target.value), source };
        persistence = persistence.with_engine(engine.value.parse().map_err(wrong)?);
    }
    service.with_persistence(persistence).map_err(wrong)
}

/// As keepalived, which takes the real servers that are up out while it serves.
fn sorry_server(server: &VirtualServer) -> Result<Option<lvs::SorryServer>, PoolError> {
    let Some(sorry) = &server.sorry_server else { return Ok(None) };
    let forwarding = server.sorry_server_forwarding.or(server.forwarding);
    let forwarding = forwarding.map_or(Forwarding::Nat, |forwarding| forwarding.value);
    let port = destination_port(server, sorry.port.map(|port| port.value), forwarding);
    let wrong = |source| PoolError::Destination {
        server: describe_target(&server.target.value),
        real: sorry.address.value,
        source,
    };
    let key = DestinationKey::new(sorry.address.value, port);
    let weight = Weight::new(1).map_err(wrong)?;
    let destination = Destination::new(key, method(forwarding)).with_weight(weight);
    let standby = server.sorry_server_inhibit.is_some_and(|inhibit| inhibit.value);
    Ok(Some(lvs::SorryServer::new(destination).standby(standby).keep_connections(false)))
}

fn flags(server: &VirtualServer) -> ServiceFlags {
    let one_packet =
        if server.one_packet.is_some() { ServiceFlags::ONE_PACKET } else { ServiceFlags::empty() };
    server.scheduler_flags.iter().fold(one_packet, |flags, flag| {
        flags
            | match flag.value {
                SchedulerFlag::One => ServiceFlags::SCHEDULER_1,
                SchedulerFlag::Two => ServiceFlags::SCHEDULER_2,
                SchedulerFlag::Three => ServiceFlags::SCHEDULER_3,
            }
    })
}

/// What it serves; the first names it.
pub(crate) fn keys(config: &Config, server: &VirtualServer) -> Vec<ServiceKey> {
    match &server.target.value {
        Target::Address { address, port } => vec![of_address(server, *address, *port)],
        Target::FirewallMark(mark) => {
            let family = server.family.map(|family| family.value);
            of_mark(server, *mark, family).into_iter().collect()
        }
        Target::Group(name) => {
            let mut groups = config.virtual_server_groups.iter();
            let group = groups.find(|group| group.name.value == *name);
            let entries = group.map(|group| group.entries.as_slice()).unwrap_or_default();
            entries.iter().flat_map(|entry| of_entry(server, &entry.value)).collect()
        }
        _ => Vec::new(),
    }
}

fn of_entry(server: &VirtualServer, entry: &GroupEntry) -> Vec<ServiceKey> {
    match *entry {
        GroupEntry::Addresses { first, count, port } => (0..count)
            .filter_map(|step| {
                let address = match first {
                    IpAddr::V4(first) => IpAddr::from(core::net::Ipv4Addr::from_bits(
                        first.to_bits().checked_add(step)?,
                    )),
                    IpAddr::V6(first) => core::net::Ipv6Addr::from_bits(
                        first.to_bits().checked_add(u128::from(step))?,
                    )
                    .into(),
                };
                Some(of_address(server, address, port))
            })
            .collect(),
        GroupEntry::FirewallMark { mark, family } => {
            let usual = server.family.map(|family| family.value);
            of_mark(server, mark, family.or(usual)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn of_address(server: &VirtualServer, address: IpAddr, port: u16) -> ServiceKey {
    match server.protocol.map(|protocol| protocol.value) {
        Some(Protocol::Tcp) => ServiceKey::tcp(address, port),
        Some(Protocol::Sctp) => ServiceKey::sctp(address, port),
        // keepalived's default, of which a warning tells.
        _ => ServiceKey::udp(address, port),
    }
}

fn of_mark(server: &VirtualServer, mark: u32, family: Option<Family>) -> Option<ServiceKey> {
    let of_servers = server
        .real_servers
        .first()
        .map_or(AddressFamily::Ipv4, |real| AddressFamily::of(&real.address.value));
    let family = family.map_or(of_servers, |family| match family {
        Family::Ipv4 => AddressFamily::Ipv4,
        Family::Ipv6 => AddressFamily::Ipv6,
    });
    NonZeroU32::new(mark).map(|mark| ServiceKey::firewall_mark(family, mark))
}

/// Written, or implied by a granularity or by the lack of a port.
fn persistence(server: &VirtualServer) -> Option<Duration> {
    let implied = server.persistence_granularity.is_some()
        || matches!(server.target.value, Target::Address { port: 0, .. });
    server.persistence_timeout.map(|timeout| timeout.value).or(implied.then_some(PERSISTENCE))
}

fn real_server(
    config: &Config,
    rules: &Rules,
    server: &VirtualServer,
    real: &RealServer,
) -> Result<lvs::RealServer, PoolError> {
    let wrong = |source| PoolError::Destination {
        server: describe_target(&server.target.value),
        real: real.address.value,
        source,
    };
    let weight = real.weight.or(server.weight).map_or(1, |weight| weight.value);
    let number =
        |limit: Option<keepalived_conf::Spanned<u32>>| limit.map_or(0, |limit| limit.value);
    let thresholds = Thresholds::new(number(real.upper_threshold), number(real.lower_threshold))
        .map_err(wrong)?;
    let method = method(forwarding(server, real));
    let destination = Destination::new(destination_key(server, real), method)
        .with_weight(Weight::new(weight).map_err(wrong)?)
        .with_thresholds(thresholds);
    let quiesce =
        real.inhibit_on_failure.or(server.inhibit_on_failure).is_some_and(|inhibit| inhibit.value);
    let when_down = if quiesce { lvs::WhenDown::Quiesce } else { lvs::WhenDown::Remove };
    let mut mapped = lvs::RealServer::new(destination).when_down(when_down);
    for check in &real.checks {
        let wrong = |source| PoolError::Check {
            server: describe_target(&server.target.value),
            real: real.address.value,
            source,
        };
        let place = checks::Place { config, rules, server, real };
        if let Some((check, rule)) = place.check(check).map_err(wrong)? {
            mapped = mapped.weighing_check(check, rule);
        }
    }
    Ok(mapped)
}

fn method(forwarding: Forwarding) -> ForwardingMethod {
    match forwarding {
        Forwarding::DirectRoute => ForwardingMethod::DirectRoute,
        Forwarding::Tunnel => ForwardingMethod::Tunnel(Tunnel::default()),
        Forwarding::Nat | _ => ForwardingMethod::Masquerade,
    }
}

fn forwarding(server: &VirtualServer, real: &RealServer) -> Forwarding {
    real.forwarding.or(server.forwarding).map_or(Forwarding::Nat, |forwarding| forwarding.value)
}

pub(crate) fn destination_key(server: &VirtualServer, real: &RealServer) -> DestinationKey {
    let own = real.port.map(|port| port.value);
    let port = destination_port(server, own, forwarding(server, real));
    DestinationKey::new(real.address.value, port)
}

/// Only NAT changes ports; with a firewall mark only NAT has one at all. 0 in a group stands for the port of each of its services.
fn destination_port(server: &VirtualServer, own: Option<u16>, forwarding: Forwarding) -> u16 {
    match (&server.target.value, forwarding) {
        (Target::Address { port, .. }, Forwarding::Nat) => own.unwrap_or(*port),
        (Target::Address { port, .. }, _) => *port,
        (_, Forwarding::Nat) => own.unwrap_or(0),
        (_, _) => 0,
    }
}

fn describe_target(target: &Target) -> String {
    match target {
        Target::Address { address, port } => SocketAddr::new(*address, *port).to_string(),
        Target::FirewallMark(mark) => format!("fwmark {mark}"),
        Target::Group(name) => format!("group {name}"),
        _ => "?".into(),
    }
}

/// `192.0.2.1:80: 2 real servers` for the log.
pub(crate) fn describe(server: &VirtualServer) -> String {
    let count = server.real_servers.len();
    format!(
        "{}: {count} real server{}",
        describe_target(&server.target.value),
        if count == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests;
