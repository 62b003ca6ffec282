//! From commands to messages. Pure.

use core::net::IpAddr;
use core::time::Duration;

use netlink::{Flags, Payload, Request};

use crate::attrs::{self, command, daemon, dest, service, top};
use crate::command::Command;
use crate::daemon::{SyncDaemon, SyncRole, Timeouts};
use crate::destination::{Destination, ForwardingMethod, Tunnel, TunnelChecksum};
use crate::key::{AddressFamily, DestinationKey, ServiceKey};
use crate::service::{Netmask, Persistence, Service};

/// Octets of the kernel's `union nf_inet_addr`: IPv4 addresses are padded with zeros.
const ADDRESS_LEN: usize = 16;

/// The message for a command, to the family numbered `family`.
pub(crate) fn change(family: u16, wanted: &Command) -> Request {
    let payload = match wanted {
        Command::NewService(service) => {
            start(command::NEW_SERVICE).nest(top::SERVICE, |p| whole_service(p, service))
        }
        Command::SetService(service) => {
            start(command::SET_SERVICE).nest(top::SERVICE, |p| whole_service(p, service))
        }
        Command::DelService(key) => {
            start(command::DEL_SERVICE).nest(top::SERVICE, |p| service_key(p, key))
        }
        Command::NewDestination(key, destination) => start(command::NEW_DEST)
            .nest(top::SERVICE, |p| service_key(p, key))
            .nest(top::DEST, |p| whole_destination(p, destination)),
        Command::SetDestination(key, destination) => start(command::SET_DEST)
            .nest(top::SERVICE, |p| service_key(p, key))
            .nest(top::DEST, |p| whole_destination(p, destination)),
        Command::DelDestination(key, destination) => start(command::DEL_DEST)
            .nest(top::SERVICE, |p| service_key(p, key))
            .nest(top::DEST, |p| destination_key(p, destination)),
        Command::Zero(Some(key)) => {
            start(command::ZERO).nest(top::SERVICE, |p| service_key(p, key))
        }
        Command::Zero(None) => start(command::ZERO),
        Command::Flush => start(command::FLUSH),
        Command::SetTimeouts(timeouts) => set_timeouts(start(command::SET_CONFIG), timeouts),
        Command::StartDaemon(daemon) => {
            start(command::NEW_DAEMON).nest(top::DAEMON, |p| whole_daemon(p, daemon))
        }
        Command::StopDaemon(role) => {
            start(command::DEL_DAEMON).nest(top::DAEMON, |p| p.u32(daemon::STATE, state(*role)))
        }
    };
    Request::new(family, Flags::NONE, payload)
}

/// A question without arguments: `GET_SERVICE` (dump), `GET_DAEMON` (dump), `GET_CONFIG`, `GET_INFO`.
pub(crate) fn ask(family: u16, number: u8) -> Request {
    Request::new(family, Flags::NONE, start(number))
}

/// A question about one service: `GET_SERVICE`, `GET_DEST` (dump).
pub(crate) fn ask_service(family: u16, number: u8, key: &ServiceKey) -> Request {
    Request::new(family, Flags::NONE, start(number).nest(top::SERVICE, |p| service_key(p, key)))
}

fn start(number: u8) -> Payload {
    Payload::generic(number, attrs::VERSION)
}

fn service_key(payload: Payload, key: &ServiceKey) -> Payload {
    let payload = payload.u16(service::AF, key.family().number());
    match key {
        ServiceKey::Address { protocol, address, port } => payload
            .u16(service::PROTOCOL, protocol.number())
            .attribute(service::ADDR, &address_octets(*address))
            .u16_be(service::PORT, *port),
        ServiceKey::FirewallMark { mark, .. } => payload.u32(service::FWMARK, mark.get()),
    }
}

fn whole_service(payload: Payload, wanted: &Service) -> Payload {
    let persistence = wanted.persistence();
    let persistent = if persistence.is_some() { attrs::FLAG_PERSISTENT } else { 0 };
    let flags = wanted.flags().bits() | persistent;
    let flags = [flags.to_ne_bytes(), attrs::FLAGS_MASK.to_ne_bytes()].concat();
    let netmask =
        persistence.map_or_else(|| Netmask::host(wanted.key().family()), Persistence::netmask);
    let payload =
        service_key(payload, &wanted.key()).text(service::SCHED_NAME, wanted.scheduler().name());
    let payload = match persistence.and_then(Persistence::engine) {
        Some(engine) => payload.text(service::PE_NAME, engine.as_str()),
        None => payload,
    };
    payload
        .attribute(service::FLAGS, &flags)
        .u32(service::TIMEOUT, persistence.map_or(0, Persistence::seconds))
        .attribute(service::NETMASK, &netmask.to_attribute())
}

fn destination_key(payload: Payload, key: &DestinationKey) -> Payload {
    payload
        .u16(dest::ADDR_FAMILY, AddressFamily::of(&key.address).number())
        .attribute(dest::ADDR, &address_octets(key.address))
        .u16_be(dest::PORT, key.port)
}

fn whole_destination(payload: Payload, wanted: &Destination) -> Payload {
    let (method, tunnel) = match wanted.method() {
        ForwardingMethod::Masquerade => (attrs::METHOD_MASQ, None),
        ForwardingMethod::Local => (attrs::METHOD_LOCALNODE, None),
        ForwardingMethod::Tunnel(tunnel) => (attrs::METHOD_TUNNEL, Some(tunnel)),
        ForwardingMethod::DirectRoute => (attrs::METHOD_DROUTE, None),
        ForwardingMethod::Bypass => (attrs::METHOD_BYPASS, None),
        ForwardingMethod::Other(number) => (number.into(), None),
    };
    let payload = destination_key(payload, &wanted.key())
        .u32(dest::FWD_METHOD, method)
        .u32(dest::WEIGHT, wanted.weight().value())
        .u32(dest::U_THRESH, wanted.thresholds().upper())
        .u32(dest::L_THRESH, wanted.thresholds().lower());
    match tunnel {
        // Leaving the attributes out resets them, and suits kernels that do not know them.
        None | Some(Tunnel::Ipip) => payload,
        Some(Tunnel::Gue { port, checksum }) => payload
            .u8(dest::TUN_TYPE, attrs::TUNNEL_GUE)
            .u16_be(dest::TUN_PORT, port.get())
            .u16(dest::TUN_FLAGS, tunnel_flags(checksum)),
        Some(Tunnel::Gre { checksum }) => payload
            .u8(dest::TUN_TYPE, attrs::TUNNEL_GRE)
            .u16(dest::TUN_FLAGS, tunnel_flags(checksum)),
        Some(Tunnel::Other { kind }) => payload.u8(dest::TUN_TYPE, kind),
    }
}

const fn tunnel_flags(checksum: TunnelChecksum) -> u16 {
    match checksum {
        TunnelChecksum::None => attrs::TUNNEL_NOCSUM,
        TunnelChecksum::Full => attrs::TUNNEL_CSUM,
        TunnelChecksum::RemoteOffload => attrs::TUNNEL_REMCSUM,
    }
}

fn set_timeouts(payload: Payload, timeouts: &Timeouts) -> Payload {
    // A number that is too large for the attribute is too large for the kernel, which says so.
    let seconds = |timeout: Duration| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
    payload
        .u32(top::TIMEOUT_TCP, seconds(timeouts.tcp))
        .u32(top::TIMEOUT_TCP_FIN, seconds(timeouts.tcp_fin))
        .u32(top::TIMEOUT_UDP, seconds(timeouts.udp))
}

const fn state(role: SyncRole) -> u32 {
    match role {
        SyncRole::Master => attrs::STATE_MASTER,
        SyncRole::Backup => attrs::STATE_BACKUP,
    }
}

fn whole_daemon(payload: Payload, wanted: &SyncDaemon) -> Payload {
    let mut payload = payload
        .u32(daemon::STATE, state(wanted.role))
        .text(daemon::MCAST_IFN, wanted.interface.as_str())
        .u32(daemon::SYNC_ID, wanted.sync_id.into());
    if let Some(len) = wanted.max_message_len {
        payload = payload.u16(daemon::SYNC_MAXLEN, len);
    }
    payload = match wanted.group {
        Some(IpAddr::V4(group)) => payload.attribute(daemon::MCAST_GROUP, &group.octets()),
        Some(IpAddr::V6(group)) => payload.attribute(daemon::MCAST_GROUP6, &group.octets()),
        None => payload,
    };
    if let Some(port) = wanted.port {
        // Unlike every other port of this family in host order.
        payload = payload.u16(daemon::MCAST_PORT, port);
    }
    if let Some(ttl) = wanted.ttl {
        payload = payload.u8(daemon::MCAST_TTL, ttl);
    }
    payload
}

fn address_octets(address: IpAddr) -> [u8; ADDRESS_LEN] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}
