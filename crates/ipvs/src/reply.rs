//! From messages to values. Pure; arbitrary bytes give an error and nothing worse.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::{NonZeroU16, NonZeroU32};
use core::time::Duration;

use netlink::{Attribute, Attributes};

use crate::attrs::{self, daemon, dest, info, service, stats, top};
use crate::daemon::{Information, SyncDaemon, SyncRole, Timeouts};
use crate::destination::{
    Destination, ForwardingMethod, Thresholds, Tunnel, TunnelChecksum, Weight,
};
use crate::key::{AddressFamily, DestinationKey, Protocol, ServiceKey};
use crate::service::{Netmask, Persistence, Service, ServiceFlags};
use crate::statistics::Statistics;

/// A service as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// The service.
    pub service: Service,
    /// Its counters.
    pub statistics: Statistics,
}

/// A destination as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DestinationStatus {
    /// The destination.
    pub destination: Destination,
    /// Connections that exchange data.
    pub active_connections: u32,
    /// Connections that have ended or not begun, and those of quiet clients.
    pub inactive_connections: u32,
    /// Clients bound to the destination by persistence.
    pub persistent_connections: u32,
    /// Its counters.
    pub statistics: Statistics,
}

/// An answer without something it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("answer without a readable {attribute}")]
pub struct ReplyError {
    attribute: &'static str,
}

impl ReplyError {
    /// The attribute that is missing or malformed.
    #[must_use]
    pub const fn attribute(&self) -> &'static str {
        self.attribute
    }
}

/// Reads attributes by name.
struct Nest<'a>(Attributes<'a>);

impl<'a> Nest<'a> {
    fn optional(&self, kind: u16) -> Option<Attribute<'a>> {
        self.0.first(kind)
    }

    fn read<T>(
        &self,
        kind: u16,
        attribute: &'static str,
        read: impl FnOnce(Attribute<'a>) -> Option<T>,
    ) -> Result<T, ReplyError> {
        self.optional(kind).and_then(read).ok_or(ReplyError { attribute })
    }

    fn u32(&self, kind: u16, attribute: &'static str) -> Result<u32, ReplyError> {
        self.read(kind, attribute, |a| a.u32())
    }
}

fn nest<'a>(payload: &'a [u8], kind: u16, attribute: &'static str) -> Result<Nest<'a>, ReplyError> {
    Nest(Attributes::after(payload, attrs::HEADER))
        .read(kind, attribute, |a| Some(Nest(a.nested())))
}

/// Reads the answer to `GET_SERVICE`.
pub(crate) fn service(payload: &[u8]) -> Result<ServiceStatus, ReplyError> {
    let nest = nest(payload, top::SERVICE, "SERVICE")?;
    let family = family(nest.read(service::AF, "AF", |a| a.u16())?)?;
    let key = match nest.optional(service::FWMARK).and_then(|a| NonZeroU32::new(a.u32()?)) {
        Some(mark) => ServiceKey::FirewallMark { family, mark },
        None => ServiceKey::Address {
            protocol: Protocol::from_number(nest.read(service::PROTOCOL, "PROTOCOL", |a| a.u16())?),
            address: nest.read(service::ADDR, "ADDR", |a| address(family, a))?,
            port: nest.read(service::PORT, "PORT", |a| a.u16_be())?,
        },
    };
    let scheduler = nest.read(service::SCHED_NAME, "SCHED_NAME", |a| a.text()?.parse().ok())?;
    let bits = nest.u32(service::FLAGS, "FLAGS")?;
    let mut service =
        Service::new(key, scheduler).with_flags(ServiceFlags::from_bits_truncate(bits));
    if bits & attrs::FLAG_PERSISTENT != 0 {
        let netmask = nest.read(service::NETMASK, "NETMASK", |a| a.value.first_chunk().copied())?;
        let engine = nest.optional(service::PE_NAME).and_then(|a| a.text()?.parse().ok());
        let netmask = Netmask::from_attribute(family, netmask);
        let persistence =
            Persistence::of_kernel(nest.u32(service::TIMEOUT, "TIMEOUT")?, netmask, engine);
        service = service
            .with_persistence(persistence)
            .map_err(|_| ReplyError { attribute: "NETMASK" })?;
    }
    Ok(ServiceStatus { service, statistics: statistics(&nest, service::STATS64, service::STATS) })
}

/// Reads an answer to `GET_DEST` for a service of `service_family`.
pub(crate) fn destination(
    payload: &[u8],
    service_family: AddressFamily,
) -> Result<DestinationStatus, ReplyError> {
    let nest = nest(payload, top::DEST, "DEST")?;
    let family = match nest.optional(dest::ADDR_FAMILY).and_then(|a| a.u16()) {
        // Kernels before 3.18 do not say; 0 means the service's, too.
        None | Some(0) => service_family,
        Some(number) => family(number)?,
    };
    let key = DestinationKey {
        address: nest.read(dest::ADDR, "ADDR", |a| address(family, a))?,
        port: nest.read(dest::PORT, "PORT", |a| a.u16_be())?,
    };
    let method = match nest.u32(dest::FWD_METHOD, "FWD_METHOD")? & attrs::METHOD_MASK {
        attrs::METHOD_MASQ => ForwardingMethod::Masquerade,
        attrs::METHOD_LOCALNODE => ForwardingMethod::Local,
        attrs::METHOD_TUNNEL => ForwardingMethod::Tunnel(tunnel(&nest)?),
        attrs::METHOD_DROUTE => ForwardingMethod::DirectRoute,
        attrs::METHOD_BYPASS => ForwardingMethod::Bypass,
        other => ForwardingMethod::Other(u8::try_from(other).unwrap_or(u8::MAX)),
    };
    let upper = nest.u32(dest::U_THRESH, "U_THRESH")?;
    let thresholds = Thresholds::of_kernel(upper, nest.u32(dest::L_THRESH, "L_THRESH")?);
    Ok(DestinationStatus {
        destination: Destination::new(key, method)
            .with_weight(Weight::of_kernel(nest.u32(dest::WEIGHT, "WEIGHT")?))
            .with_thresholds(thresholds),
        active_connections: nest.u32(dest::ACTIVE_CONNS, "ACTIVE_CONNS")?,
        inactive_connections: nest.u32(dest::INACT_CONNS, "INACT_CONNS")?,
        persistent_connections: nest.u32(dest::PERSIST_CONNS, "PERSIST_CONNS")?,
        statistics: statistics(&nest, dest::STATS64, dest::STATS),
    })
}

/// Reads an answer to `GET_DAEMON`.
pub(crate) fn daemon(payload: &[u8]) -> Result<SyncDaemon, ReplyError> {
    let nest = nest(payload, top::DAEMON, "DAEMON")?;
    let role = nest.read(daemon::STATE, "STATE", |a| match a.u32()? {
        attrs::STATE_MASTER => Some(SyncRole::Master),
        attrs::STATE_BACKUP => Some(SyncRole::Backup),
        _ => None,
    })?;
    let interface = nest.read(daemon::MCAST_IFN, "MCAST_IFN", |a| a.text()?.parse().ok())?;
    let sync_id = nest.read(daemon::SYNC_ID, "SYNC_ID", |a| u8::try_from(a.u32()? & 0xff).ok())?;
    let group = nest.optional(daemon::MCAST_GROUP).and_then(|a| address(AddressFamily::Ipv4, a));
    let group6 =
        || nest.optional(daemon::MCAST_GROUP6).and_then(|a| address(AddressFamily::Ipv6, a));
    Ok(SyncDaemon {
        max_message_len: nest.optional(daemon::SYNC_MAXLEN).and_then(|a| a.u16()),
        group: group.or_else(group6),
        port: nest.optional(daemon::MCAST_PORT).and_then(|a| a.u16()),
        ttl: nest.optional(daemon::MCAST_TTL).and_then(|a| a.u8()),
        ..SyncDaemon::new(role, interface, sync_id)
    })
}

/// Reads the answer to `GET_CONFIG`.
pub(crate) fn timeouts(payload: &[u8]) -> Result<Timeouts, ReplyError> {
    let nest = Nest(Attributes::after(payload, attrs::HEADER));
    let seconds = |kind, name| Ok(Duration::from_secs(nest.u32(kind, name)?.into()));
    Ok(Timeouts {
        tcp: seconds(top::TIMEOUT_TCP, "TIMEOUT_TCP")?,
        tcp_fin: seconds(top::TIMEOUT_TCP_FIN, "TIMEOUT_TCP_FIN")?,
        udp: seconds(top::TIMEOUT_UDP, "TIMEOUT_UDP")?,
    })
}

/// Reads the answer to `GET_INFO`.
pub(crate) fn information(payload: &[u8]) -> Result<Information, ReplyError> {
    let nest = Nest(Attributes::after(payload, attrs::HEADER));
    let [_, major, minor, patch] = nest.u32(info::VERSION, "VERSION")?.to_be_bytes();
    let connection_table_size = nest.u32(info::CONN_TAB_SIZE, "CONN_TAB_SIZE")?;
    Ok(Information { version: (major, minor, patch), connection_table_size })
}

fn family(number: u16) -> Result<AddressFamily, ReplyError> {
    AddressFamily::from_number(number).ok_or(ReplyError { attribute: "AF" })
}

fn address(family: AddressFamily, attribute: Attribute<'_>) -> Option<IpAddr> {
    match family {
        AddressFamily::Ipv4 => {
            attribute.value.first_chunk::<4>().map(|&octets| Ipv4Addr::from(octets).into())
        }
        AddressFamily::Ipv6 => {
            attribute.value.first_chunk::<16>().map(|&octets| Ipv6Addr::from(octets).into())
        }
    }
}

fn tunnel(nest: &Nest<'_>) -> Result<Tunnel, ReplyError> {
    let checksum = match nest.optional(dest::TUN_FLAGS).and_then(|a| a.u16()).unwrap_or_default() {
        attrs::TUNNEL_NOCSUM => TunnelChecksum::None,
        attrs::TUNNEL_REMCSUM => TunnelChecksum::RemoteOffload,
        _ => TunnelChecksum::Full,
    };
    // Kernels before 5.2 do not say.
    Ok(match nest.optional(dest::TUN_TYPE).and_then(|a| a.u8()).unwrap_or(attrs::TUNNEL_IPIP) {
        attrs::TUNNEL_IPIP => Tunnel::Ipip,
        attrs::TUNNEL_GUE => {
            let port = nest.read(dest::TUN_PORT, "TUN_PORT", |a| NonZeroU16::new(a.u16_be()?))?;
            Tunnel::Gue { port, checksum }
        }
        attrs::TUNNEL_GRE => Tunnel::Gre { checksum },
        kind => Tunnel::Other { kind },
    })
}

/// Counters of 64 bits, else (before Linux 4.1) of 32.
fn statistics(nest: &Nest<'_>, wide: u16, narrow: u16) -> Statistics {
    let mut statistics = Statistics::default();
    let Some(counters) = nest.optional(wide).or_else(|| nest.optional(narrow)) else {
        return statistics;
    };
    for counter in counters.nested() {
        let Some(value) = counter.u64().or_else(|| counter.u32().map(u64::from)) else {
            continue;
        };
        match counter.kind {
            stats::CONNS => statistics.connections = value,
            stats::INPKTS => statistics.incoming_packets = value,
            stats::OUTPKTS => statistics.outgoing_packets = value,
            stats::INBYTES => statistics.incoming_bytes = value,
            stats::OUTBYTES => statistics.outgoing_bytes = value,
            stats::CPS => statistics.connections_per_second = value,
            stats::INPPS => statistics.incoming_packets_per_second = value,
            stats::OUTPPS => statistics.outgoing_packets_per_second = value,
            stats::INBPS => statistics.incoming_bytes_per_second = value,
            stats::OUTBPS => statistics.outgoing_bytes_per_second = value,
            _ => {}
        }
    }
    statistics
}

#[cfg(test)]
mod tests {
    use netlink::Payload;
    use proptest::prelude::*;

    use super::*;
    use crate::attrs::command;
    use crate::request::change;
    use crate::{Command, Scheduler};

    /// A service as Linux 6.1 describes it: nests without the nested flag, addresses of 16 octets.
    fn kernel_service(statistics: impl FnOnce(Payload) -> Payload) -> Payload {
        let inner = Payload::new()
            .u16(service::AF, 2)
            .u16(service::PROTOCOL, 6)
            .attribute(service::ADDR, &[192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            .u16_be(service::PORT, 80)
            .text(service::SCHED_NAME, "wrr")
            .attribute(service::FLAGS, &[0x2_u32.to_ne_bytes(), [0xff; 4]].concat())
            .u32(service::TIMEOUT, 0)
            .attribute(service::NETMASK, &[255; 4]);
        let inner = statistics(inner);
        Payload::generic(command::NEW_SERVICE, 1).attribute(top::SERVICE, inner.as_bytes())
    }

    fn counters(payload: Payload, put: impl Fn(Payload, u16, u16) -> Payload) -> Payload {
        (stats::CONNS..=stats::OUTBPS).fold(payload, |payload, kind| put(payload, kind, kind))
    }

    #[test]
    fn a_service_with_64_bit_counters_before_32_bit_ones() {
        let narrow = counters(Payload::new(), |p, kind, n| p.u32(kind, u32::from(n)));
        let wide = counters(Payload::new(), |p, kind, n| p.flag(11).u64(kind, u64::from(n) << 40));
        let payload = kernel_service(|p| {
            p.attribute(service::STATS, narrow.as_bytes())
                .attribute(service::STATS64, wide.as_bytes())
        });
        let status = service(payload.as_bytes()).unwrap();
        let key = ServiceKey::tcp([192, 0, 2, 1].into(), 80);
        assert_eq!(status.service, Service::new(key, Scheduler::WeightedRoundRobin));
        assert_eq!(status.statistics.connections, 1 << 40);
        assert_eq!(status.statistics.outgoing_bytes_per_second, 10 << 40);
    }

    #[test]
    fn without_64_bit_counters_the_32_bit_ones_count() {
        let narrow = counters(Payload::new(), |p, kind, n| match kind {
            stats::INBYTES | stats::OUTBYTES => p.u64(kind, 1 << 33),
            _ => p.u32(kind, u32::from(n)),
        });
        let payload = kernel_service(|p| p.attribute(service::STATS, narrow.as_bytes()));
        let statistics = service(payload.as_bytes()).unwrap().statistics;
        assert_eq!((statistics.incoming_packets, statistics.incoming_bytes), (2, 1 << 33));
        let none = kernel_service(|p| p);
        assert_eq!(service(none.as_bytes()).unwrap().statistics, Statistics::default());
    }

    fn destination_payload(kinds: impl Fn(u16) -> bool) -> Payload {
        let inner = [
            (dest::ADDR, vec![192, 0, 2, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (dest::PORT, 8080_u16.to_be_bytes().to_vec()),
            (dest::FWD_METHOD, 0x102_u32.to_ne_bytes().to_vec()),
            (dest::WEIGHT, 3_u32.to_ne_bytes().to_vec()),
            (dest::U_THRESH, 20_u32.to_ne_bytes().to_vec()),
            (dest::L_THRESH, 10_u32.to_ne_bytes().to_vec()),
            (dest::ACTIVE_CONNS, 4_u32.to_ne_bytes().to_vec()),
            (dest::INACT_CONNS, 5_u32.to_ne_bytes().to_vec()),
            (dest::PERSIST_CONNS, 6_u32.to_ne_bytes().to_vec()),
            (dest::ADDR_FAMILY, 2_u16.to_ne_bytes().to_vec()),
            (dest::TUN_TYPE, vec![1]),
            (dest::TUN_PORT, 5555_u16.to_be_bytes().to_vec()),
            (dest::TUN_FLAGS, 1_u16.to_ne_bytes().to_vec()),
        ];
        let inner = inner
            .iter()
            .filter(|(kind, _)| kinds(*kind))
            .fold(Payload::new(), |payload, (kind, value)| payload.attribute(*kind, value));
        Payload::generic(command::NEW_DEST, 1).attribute(top::DEST, inner.as_bytes())
    }

    #[test]
    fn a_destination_of_a_new_and_of_an_old_kernel() {
        let status =
            destination(destination_payload(|_| true).as_bytes(), AddressFamily::Ipv6).unwrap();
        let gue = Tunnel::Gue { port: 5555.try_into().unwrap(), checksum: TunnelChecksum::Full };
        assert_eq!(status.destination.method(), ForwardingMethod::Tunnel(gue));
        assert_eq!(status.destination.key().to_string(), "192.0.2.10:8080");
        assert_eq!(status.destination.weight().value(), 3);
        assert_eq!(
            (status.destination.thresholds().upper(), status.destination.thresholds().lower()),
            (20, 10)
        );
        assert_eq!(
            (status.active_connections, status.inactive_connections, status.persistent_connections),
            (4, 5, 6)
        );

        let old = destination_payload(|kind| kind < dest::ADDR_FAMILY);
        let status = destination(old.as_bytes(), AddressFamily::Ipv4).unwrap();
        assert_eq!(status.destination.method(), ForwardingMethod::Tunnel(Tunnel::Ipip));
        assert_eq!(status.destination.key().to_string(), "192.0.2.10:8080");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (kind, name) in
            [(dest::ADDR, "ADDR"), (dest::WEIGHT, "WEIGHT"), (dest::TUN_PORT, "TUN_PORT")]
        {
            let payload = destination_payload(|present| present != kind);
            let error = destination(payload.as_bytes(), AddressFamily::Ipv4).unwrap_err();
            assert_eq!(error.attribute(), name);
        }
        assert_eq!(
            service(&[1, 1, 0, 0]).unwrap_err().to_string(),
            "answer without a readable SERVICE"
        );
        assert_eq!(timeouts(&[]).unwrap_err().attribute(), "TIMEOUT_TCP");
    }

    #[test]
    fn information_and_timeouts() {
        let info =
            Payload::generic(14, 1).u32(info::VERSION, 0x01_02_01).u32(info::CONN_TAB_SIZE, 4096);
        let info = information(info.as_bytes()).unwrap();
        assert_eq!((info.version, info.connection_table_size), ((1, 2, 1), 4096));
        let config =
            Payload::generic(12, 1).u32(top::TIMEOUT_TCP, 900).u32(top::TIMEOUT_TCP_FIN, 120);
        let config = timeouts(config.u32(top::TIMEOUT_UDP, 300).as_bytes()).unwrap();
        assert_eq!(config.tcp_fin, Duration::from_secs(120));
    }

    proptest! {
        #[test]
        fn a_service_reads_back_as_it_was_written(wanted in crate::testing::service()) {
            let request = change(30, &Command::NewService(wanted.clone()));
            prop_assert_eq!(service(request.payload()).unwrap().service, wanted);
        }

        #[test]
        fn a_destination_reads_back_as_it_was_written(
            key in crate::testing::service_key(), wanted in crate::testing::destination(),
        ) {
            let request = change(30, &Command::NewDestination(key, wanted));
            let sent = Attributes::after(request.payload(), attrs::HEADER).first(top::DEST).unwrap();
            let kernel = [dest::ACTIVE_CONNS, dest::INACT_CONNS, dest::PERSIST_CONNS];
            let kernel = kernel.iter().fold(Payload::new(), |payload, kind| payload.u32(*kind, 0));
            let answer = Payload::generic(5, 1).attribute(top::DEST, &[sent.value, kernel.as_bytes()].concat());
            prop_assert_eq!(destination(answer.as_bytes(), key.family()).unwrap().destination, wanted);
        }

        #[test]
        fn arbitrary_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = (service(&bytes), destination(&bytes, AddressFamily::Ipv4), daemon(&bytes), timeouts(&bytes), information(&bytes));
        }

        /// Well-formed attributes with arbitrary values get past the walk.
        #[test]
        fn arbitrary_attributes_never_panic(
            attributes in proptest::collection::vec((0_u16..18, proptest::collection::vec(any::<u8>(), 0..20)), 0..16),
            outer in 1_u16..4,
        ) {
            let inner = attributes.iter().fold(Payload::new(), |payload, (kind, value)| payload.attribute(*kind, value));
            let answer = Payload::generic(1, 1).attribute(outer, inner.as_bytes());
            let bytes = answer.as_bytes();
            let _read = (service(bytes), destination(bytes, AddressFamily::Ipv6), daemon(bytes), timeouts(bytes), information(bytes));
        }
    }
}
