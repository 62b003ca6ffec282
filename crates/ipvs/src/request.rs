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

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::{Persistence, Scheduler, ServiceFlags, Thresholds, Weight};

    /// Octets of one attribute, spelled out.
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn nested(kind: u16, inner: &[Vec<u8>]) -> Vec<u8> {
        attribute(kind | 0x8000, &inner.concat())
    }

    fn v4(last: u8) -> [u8; 16] {
        [192, 0, 2, last, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn payload(command: &Command) -> Vec<u8> {
        change(30, command).payload().to_vec()
    }

    #[test]
    fn a_persistent_ipv4_service() {
        let persistence = Persistence::new(
            Duration::from_secs(600),
            Netmask::prefix(AddressFamily::Ipv4, 24).unwrap(),
        )
        .unwrap();
        let service =
            Service::new(ServiceKey::tcp([192, 0, 2, 1].into(), 80), Scheduler::SourceHash)
                .with_flags(ServiceFlags::HASH_PORT)
                .with_persistence(persistence.with_engine("sip".parse().unwrap()))
                .unwrap();
        let expected = [
            vec![1, 1, 0, 0],
            nested(
                1,
                &[
                    attribute(1, &2_u16.to_ne_bytes()),
                    attribute(2, &6_u16.to_ne_bytes()),
                    attribute(3, &v4(1)),
                    attribute(4, &[0, 80]),
                    attribute(6, b"sh\0"),
                    attribute(11, b"sip\0"),
                    attribute(7, &[0x11_u32.to_ne_bytes(), 0x3d_u32.to_ne_bytes()].concat()),
                    attribute(8, &600_u32.to_ne_bytes()),
                    attribute(9, &[255, 255, 255, 0]),
                ],
            ),
        ];
        assert_eq!(payload(&Command::NewService(service)), expected.concat());
    }

    #[test]
    fn an_ipv6_firewall_mark_service_has_no_address() {
        let key = ServiceKey::firewall_mark(AddressFamily::Ipv6, 7.try_into().unwrap());
        let expected = [
            vec![2, 1, 0, 0],
            nested(
                1,
                &[
                    attribute(1, &10_u16.to_ne_bytes()),
                    attribute(5, &7_u32.to_ne_bytes()),
                    attribute(6, b"wlc\0"),
                    attribute(7, &[0_u32.to_ne_bytes(), 0x3d_u32.to_ne_bytes()].concat()),
                    attribute(8, &0_u32.to_ne_bytes()),
                    attribute(9, &128_u32.to_ne_bytes()),
                ],
            ),
        ];
        let service = Service::new(key, Scheduler::WeightedLeastConnections);
        assert_eq!(payload(&Command::SetService(service)), expected.concat());
    }

    #[test]
    fn a_gue_destination() {
        let service = ServiceKey::udp([192, 0, 2, 1].into(), 53);
        let method = ForwardingMethod::Tunnel(Tunnel::Gue {
            port: 5555.try_into().unwrap(),
            checksum: TunnelChecksum::RemoteOffload,
        });
        let destination = Destination::new(DestinationKey::new([192, 0, 2, 9].into(), 53), method)
            .with_weight(Weight::from(5))
            .with_thresholds(Thresholds::new(100, 50).unwrap());
        let key = [
            attribute(1, &2_u16.to_ne_bytes()),
            attribute(2, &17_u16.to_ne_bytes()),
            attribute(3, &v4(1)),
            attribute(4, &[0, 53]),
        ];
        let expected = [
            vec![5, 1, 0, 0],
            nested(1, &key),
            nested(
                2,
                &[
                    attribute(11, &2_u16.to_ne_bytes()),
                    attribute(1, &v4(9)),
                    attribute(2, &[0, 53]),
                    attribute(3, &2_u32.to_ne_bytes()),
                    attribute(4, &5_u32.to_ne_bytes()),
                    attribute(5, &100_u32.to_ne_bytes()),
                    attribute(6, &50_u32.to_ne_bytes()),
                    attribute(13, &[1]),
                    attribute(14, &5555_u16.to_be_bytes()),
                    attribute(15, &2_u16.to_ne_bytes()),
                ],
            ),
        ];
        assert_eq!(payload(&Command::NewDestination(service, destination)), expected.concat());
        let removal = [
            vec![7, 1, 0, 0],
            nested(1, &key),
            nested(
                2,
                &[
                    attribute(11, &2_u16.to_ne_bytes()),
                    attribute(1, &v4(9)),
                    attribute(2, &[0, 53]),
                ],
            ),
        ];
        assert_eq!(payload(&Command::DelDestination(service, destination.key())), removal.concat());
    }

    #[test]
    fn a_sync_daemon() {
        let mut daemon = SyncDaemon::new(SyncRole::Backup, "eth0".parse().unwrap(), 42);
        daemon.group = Some([239, 1, 2, 3].into());
        daemon.port = Some(8849);
        let expected = [
            vec![9, 1, 0, 0],
            nested(
                3,
                &[
                    attribute(1, &2_u32.to_ne_bytes()),
                    attribute(2, b"eth0\0"),
                    attribute(3, &42_u32.to_ne_bytes()),
                    attribute(5, &[239, 1, 2, 3]),
                    attribute(7, &8849_u16.to_ne_bytes()),
                ],
            ),
        ];
        assert_eq!(payload(&Command::StartDaemon(daemon)), expected.concat());
    }

    #[test]
    fn commands_without_objects_are_a_bare_header() {
        assert_eq!(payload(&Command::Flush), [17, 1, 0, 0]);
        assert_eq!(payload(&Command::Zero(None)), [16, 1, 0, 0]);
        assert_eq!(ask(30, command::GET_INFO).payload(), [15, 1, 0, 0]);
    }
}
