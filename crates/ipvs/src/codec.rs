//! The octets of the kernel's `IPVS` family, without a kernel: for tools that record, replay or inspect messages, and for sockets other
//! than [`Client`](crate::Client)'s.
//!
//! All of it is what stands behind `nlmsghdr`: `genlmsghdr` and attributes. The message type is the number of the family, which the
//! kernel's `nlctrl` tells. Numbers are in the machine's order, as netlink has them.
//!
//! ```
//! use ipvs::{Command, Scheduler, Service, codec};
//!
//! let service = Service::new("tcp/192.0.2.1:80".parse()?, Scheduler::RoundRobin);
//! let octets = codec::command(&Command::NewService(service.clone()));
//! // The kernel describes a service as one asks for it, and adds counters.
//! assert_eq!(codec::service(&octets).unwrap().service, service);
//! # Ok::<(), ipvs::ParseKeyError>(())
//! ```

use crate::attrs::command;
use crate::command::Command;
use crate::daemon::{Information, SyncDaemon, Timeouts};
use crate::key::{AddressFamily, ServiceKey};
use crate::reply::{self, DestinationStatus, ReplyError, ServiceStatus};
use crate::request;

/// What the kernel can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Question {
    /// `GET_INFO`; the answer is read by [`information`].
    Information,
    /// `GET_CONFIG`; the answer is read by [`timeouts`].
    Timeouts,
    /// `GET_DAEMON`, a dump; each answer is read by [`daemon`].
    Daemons,
    /// `GET_SERVICE`, a dump; each answer is read by [`service`].
    Services,
    /// `GET_SERVICE` of one; the answer is read by [`service`].
    Service(ServiceKey),
    /// `GET_DEST`, a dump; each answer is read by [`destination`].
    Destinations(ServiceKey),
}

impl Question {
    /// Whether the request needs `NLM_F_DUMP`. The kernel refuses the other form.
    #[must_use]
    pub const fn is_dump(&self) -> bool {
        matches!(self, Self::Daemons | Self::Services | Self::Destinations(_))
    }
}

/// The message of a command.
#[must_use]
pub fn command(command: &Command) -> Vec<u8> {
    request::change(0, command).payload().to_vec()
}

/// The message of a question.
#[must_use]
pub fn question(question: &Question) -> Vec<u8> {
    let request = match question {
        Question::Information => request::ask(0, command::GET_INFO),
        Question::Timeouts => request::ask(0, command::GET_CONFIG),
        Question::Daemons => request::ask(0, command::GET_DAEMON),
        Question::Services => request::ask(0, command::GET_SERVICE),
        Question::Service(key) => request::ask_service(0, command::GET_SERVICE, key),
        Question::Destinations(key) => request::ask_service(0, command::GET_DEST, key),
    };
    request.payload().to_vec()
}

/// Reads a service.
///
/// # Errors
///
/// [`ReplyError`] names the attribute that is missing or malformed.
pub fn service(message: &[u8]) -> Result<ServiceStatus, ReplyError> {
    reply::service(message)
}

/// Reads a destination. `family` is its service's, for kernels before 3.18, which do not tell a destination's own.
///
/// # Errors
///
/// [`ReplyError`] names the attribute that is missing or malformed.
pub fn destination(message: &[u8], family: AddressFamily) -> Result<DestinationStatus, ReplyError> {
    reply::destination(message, family)
}

/// Reads a sync daemon.
///
/// # Errors
///
/// [`ReplyError`] names the attribute that is missing or malformed.
pub fn daemon(message: &[u8]) -> Result<SyncDaemon, ReplyError> {
    reply::daemon(message)
}

/// Reads the timeouts of connections.
///
/// # Errors
///
/// [`ReplyError`] names the attribute that is missing or malformed.
pub fn timeouts(message: &[u8]) -> Result<Timeouts, ReplyError> {
    reply::timeouts(message)
}

/// Reads version and size.
///
/// # Errors
///
/// [`ReplyError`] names the attribute that is missing or malformed.
pub fn information(message: &[u8]) -> Result<Information, ReplyError> {
    reply::information(message)
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;
    use crate::{
        ForwardingMethod, Scheduler, ServiceFlags, SyncRole, Tunnel, TunnelChecksum, Weight,
    };

    /// What Linux 6.1 has sent; a test on a real kernel compares.
    fn known(name: &str) -> Vec<u8> {
        let known = include_str!("../tests/data/linux-6.1.txt");
        let line = known.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let digits = line.unwrap().as_bytes();
        let octet = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| octet(pair).unwrap()).collect()
    }

    #[test]
    fn services_as_a_kernel_describes_them() {
        let web = service(&known("service")).unwrap().service;
        assert_eq!(web.key().to_string(), "tcp/192.0.2.1:80");
        assert_eq!(
            (web.scheduler(), web.flags()),
            (&Scheduler::RoundRobin, ServiceFlags::ONE_PACKET)
        );
        let persistence = web.persistence().unwrap();
        assert_eq!(persistence.timeout().as_secs(), 600);
        assert_eq!(persistence.netmask().to_attribute(), [255, 255, 255, 0]);
        assert_eq!(persistence.engine().unwrap().as_str(), "sip");
        let marked = service(&known("service-by-mark")).unwrap().service;
        assert_eq!(marked.key().to_string(), "fwmark/7/ipv6");
        assert_eq!(
            (marked.scheduler(), marked.flags()),
            (&Scheduler::MaglevHash, ServiceFlags::HASH_PORT)
        );
        assert_eq!(marked.persistence(), None);
    }

    #[test]
    fn destinations_as_a_kernel_describes_them() {
        let tunnelled =
            destination(&known("destination"), AddressFamily::Ipv4).unwrap().destination;
        let checksum = TunnelChecksum::RemoteOffload;
        let gue = Tunnel::Gue { port: 5555.try_into().unwrap(), checksum };
        assert_eq!(tunnelled.key().to_string(), "10.0.0.11:80");
        assert_eq!(tunnelled.method(), ForwardingMethod::Tunnel(gue));
        assert_eq!(tunnelled.weight(), Weight::from(5));
        assert_eq!((tunnelled.thresholds().upper(), tunnelled.thresholds().lower()), (100, 50));
        let six = destination(&known("destination-ipv6"), AddressFamily::Ipv6).unwrap();
        assert_eq!(six.destination.key().to_string(), "[2001:db8::11]:0");
        assert_eq!(six.destination.method(), ForwardingMethod::Masquerade);
    }

    #[test]
    fn the_rest_as_a_kernel_describes_it() {
        let daemon = daemon(&known("daemon")).unwrap();
        assert_eq!(
            (daemon.role, daemon.interface.as_str(), daemon.sync_id),
            (SyncRole::Master, "eth0", 3)
        );
        assert_eq!(daemon.group, Some("ff05::82".parse().unwrap()));
        assert_eq!(
            (daemon.port, daemon.ttl, daemon.max_message_len),
            (Some(8848), Some(1), Some(1452))
        );
        let timeouts = timeouts(&known("timeouts")).unwrap();
        assert_eq!((timeouts.tcp.as_secs(), timeouts.udp.as_secs()), (900, 300));
        let information = information(&known("information")).unwrap();
        assert_eq!((information.version, information.connection_table_size), ((1, 2, 1), 4096));
    }
}
