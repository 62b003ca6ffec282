//! From `virtual_server` blocks to the services of a director.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeSet;

use healthcheck::{Check, Kind, Outcome, Source, Timing};
use ipvs::{
    AddressFamily, Destination, DestinationKey, ForwardingMethod, Netmask, Persistence, Scheduler,
    Service, ServiceFlags, ServiceKey, Thresholds, Tunnel, Weight,
};
use keepalived_conf::{
    Check as WrittenCheck, CheckSettings, Config, Family, Forwarding, Protocol, RealServer,
    SchedulerFlag, Target, TcpCheck, VirtualServer,
};

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
}

/// All services of a configuration. Those without a real server, and groups, are left out: the configuration's findings say so.
pub(crate) fn services(config: &Config) -> Result<Vec<lvs::ServiceConfig>, PoolError> {
    let used = config.virtual_servers.iter().filter(|server| !server.real_servers.is_empty());
    used.filter_map(|server| service(server).transpose()).collect()
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

fn service(server: &VirtualServer) -> Result<Option<lvs::ServiceConfig>, PoolError> {
    let Some(key) = key(server) else { return Ok(None) };
    let scheduler = server
        .scheduler
        .as_ref()
        .and_then(|name| name.value.parse().ok())
        .unwrap_or(Scheduler::WeightedLeastConnections);
    let mut service = Service::new(key, scheduler).with_flags(flags(server));
    if let Some(timeout) = persistence(server) {
        let wrong = |source| PoolError::Persistence {
            server: describe_target(&server.target.value),
            source,
        };
        let netmask = match server.persistence_granularity {
            Some(prefix) => Netmask::prefix(key.family(), prefix.value).map_err(wrong)?,
            None => Netmask::host(key.family()),
        };
        let mut persistence = Persistence::new(timeout, netmask).map_err(wrong)?;
        if let Some(engine) = &server.persistence_engine {
            let wrong = |source| PoolError::Engine {
                server: describe_target(&server.target.value),
                source,
            };
            persistence = persistence.with_engine(engine.value.parse().map_err(wrong)?);
        }
        service = service.with_persistence(persistence).map_err(wrong)?;
    }
    let mut config = lvs::ServiceConfig::new(service);
    for real in distinct(server) {
        config = config.real_server(real_server(server, real)?);
    }
    Ok(Some(config))
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

fn key(server: &VirtualServer) -> Option<ServiceKey> {
    match server.target.value {
        Target::Address { address, port } => {
            Some(match server.protocol.map(|protocol| protocol.value) {
                Some(Protocol::Tcp) => ServiceKey::tcp(address, port),
                Some(Protocol::Sctp) => ServiceKey::sctp(address, port),
                // keepalived's default, of which a warning tells.
                _ => ServiceKey::udp(address, port),
            })
        }
        Target::FirewallMark(mark) => {
            let of_servers = server
                .real_servers
                .first()
                .map_or(AddressFamily::Ipv4, |real| AddressFamily::of(&real.address.value));
            let family = server.family.map_or(of_servers, |family| match family.value {
                Family::Ipv4 => AddressFamily::Ipv4,
                Family::Ipv6 => AddressFamily::Ipv6,
            });
            NonZeroU32::new(mark).map(|mark| ServiceKey::firewall_mark(family, mark))
        }
        Target::Group(_) | _ => None,
    }
}

/// Written, or implied by a granularity or by the lack of a port.
fn persistence(server: &VirtualServer) -> Option<Duration> {
    let implied = server.persistence_granularity.is_some()
        || matches!(server.target.value, Target::Address { port: 0, .. });
    server.persistence_timeout.map(|timeout| timeout.value).or(implied.then_some(PERSISTENCE))
}

fn real_server(server: &VirtualServer, real: &RealServer) -> Result<lvs::RealServer, PoolError> {
    let wrong = |source| PoolError::Destination {
        server: describe_target(&server.target.value),
        real: real.address.value,
        source,
    };
    let method = match forwarding(server, real) {
        Forwarding::DirectRoute => ForwardingMethod::DirectRoute,
        Forwarding::Tunnel => ForwardingMethod::Tunnel(Tunnel::default()),
        Forwarding::Nat | _ => ForwardingMethod::Masquerade,
    };
    let weight = real.weight.or(server.weight).map_or(1, |weight| weight.value);
    let number =
        |limit: Option<keepalived_conf::Spanned<u32>>| limit.map_or(0, |limit| limit.value);
    let thresholds = Thresholds::new(number(real.upper_threshold), number(real.lower_threshold))
        .map_err(wrong)?;
    let destination = Destination::new(destination_key(server, real), method)
        .with_weight(Weight::new(weight).map_err(wrong)?)
        .with_thresholds(thresholds);
    let quiesce =
        real.inhibit_on_failure.or(server.inhibit_on_failure).is_some_and(|inhibit| inhibit.value);
    let when_down = if quiesce { lvs::WhenDown::Quiesce } else { lvs::WhenDown::Remove };
    let mut mapped = lvs::RealServer::new(destination).when_down(when_down);
    for check in &real.checks {
        if let WrittenCheck::Tcp(check) = check {
            mapped = mapped.check(tcp_check(server, real, check));
        }
    }
    Ok(mapped)
}

fn forwarding(server: &VirtualServer, real: &RealServer) -> Forwarding {
    real.forwarding.or(server.forwarding).map_or(Forwarding::Nat, |forwarding| forwarding.value)
}

fn destination_key(server: &VirtualServer, real: &RealServer) -> DestinationKey {
    let port = destination_port(server, real, forwarding(server, real));
    DestinationKey::new(real.address.value, port)
}

/// Only NAT changes ports; with a firewall mark only NAT has one at all.
fn destination_port(server: &VirtualServer, real: &RealServer, forwarding: Forwarding) -> u16 {
    let own = real.port.map(|port| port.value);
    match (&server.target.value, forwarding) {
        (Target::Address { port, .. }, Forwarding::Nat) => own.unwrap_or(*port),
        (Target::Address { port, .. }, _) => *port,
        (_, Forwarding::Nat) => own.unwrap_or(0),
        (_, _) => 0,
    }
}

fn tcp_check(server: &VirtualServer, real: &RealServer, check: &TcpCheck) -> Check {
    let service_port = match server.target.value {
        Target::Address { port, .. } => port,
        Target::FirewallMark(_) | Target::Group(_) | _ => 0,
    };
    let address = check.connect_ip.map_or(real.address.value, |address| address.value);
    let port = check.connect_port.or(real.port).map_or(service_port, |port| port.value);
    let settings = check.settings.or(&real.settings).or(&server.checks);
    let mut source = Source::new();
    if let Some(bind) = check.bindto {
        source = source
            .address(SocketAddr::new(bind.value, check.bind_port.map_or(0, |port| port.value)));
    } else if let Some(port) = check.bind_port {
        let any: IpAddr = if address.is_ipv4() {
            core::net::Ipv4Addr::UNSPECIFIED.into()
        } else {
            core::net::Ipv6Addr::UNSPECIFIED.into()
        };
        source = source.address(SocketAddr::new(any, port.value));
    }
    if let Some(interface) = &check.bind_interface {
        source = source.interface(&interface.value);
    }
    if let Some(mark) = check.firewall_mark.filter(|mark| mark.value != 0) {
        source = source.mark(mark.value);
    }
    Check::new(SocketAddr::new(address, port), Kind::Tcp).source(source).timing(timing(&settings))
}

/// keepalived's times: the first check after one second and up to `warmup` more; the first failure ever counts without
/// retries; each level may set them, the innermost stands.
fn timing(settings: &CheckSettings) -> Timing {
    let seconds = |time: Option<keepalived_conf::Spanned<Duration>>, default: u64| {
        time.map_or(Duration::from_secs(default), |time| time.value)
    };
    let interval = seconds(settings.delay_loop, 60);
    let alpha = settings.alpha.is_some_and(|alpha| alpha.value);
    Timing::new()
        .interval(interval)
        .timeout(seconds(settings.connect_timeout, 5))
        .retries(settings.retry.map_or(1, |retry| retry.value))
        .retry_interval(seconds(settings.delay_before_retry, 1))
        .start_delay(Duration::from_secs(1))
        .start_jitter(settings.warmup.map_or(interval, |warmup| warmup.value))
        .initial(if alpha { Outcome::Down } else { Outcome::Up })
        .first_failure_decides(true)
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
