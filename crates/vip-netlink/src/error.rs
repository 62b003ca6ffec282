//! What can go wrong, one type per operation, with what to do about it.

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeMap;
use std::io;

use netlink::RequestError;
use netlink::errno::{EAFNOSUPPORT, ENODEV, EOPNOTSUPP, EPERM};

use crate::object::{InvalidObject, Object};

/// Why the kernel's tables cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No netlink socket.
    #[error("cannot open a netlink socket to the kernel's links and addresses")]
    Open(#[source] RequestError),
    /// The interfaces cannot be listed.
    #[error("cannot list the network interfaces")]
    Links(#[source] RequestError),
    /// The addresses cannot be listed.
    #[error("cannot list the addresses of the network interfaces")]
    Addresses(#[source] RequestError),
    /// The routes cannot be listed.
    #[error("cannot list the routes")]
    Routes(#[source] RequestError),
    /// The routing rules cannot be listed.
    #[error("cannot list the routing rules")]
    Rules(#[source] RequestError),
    /// There is no interface of this name.
    #[error("there is no network interface {name:?}; there are: {}", existing.join(", "))]
    NoSuchInterface {
        /// The name asked for.
        name: String,
        /// The names that exist.
        existing: Vec<String>,
    },
}

/// What was to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it is added or removed")]
pub enum Action {
    /// Add it.
    Add,
    /// Remove it.
    Remove,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Remove => "remove",
        })
    }
}

/// Why an address, a route or a rule could not be added or removed: the object, the operation, the reason with what to do about it, and, as
/// [`source`](core::error::Error::source), the kernel's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action} {}: {reason}", shown(object, interface.as_deref()))]
pub struct ChangeError {
    action: Action,
    object: Box<Object>,
    interface: Option<String>,
    reason: Reason,
    source: Option<Box<RequestError>>,
}

/// Why the kernel, or already we, refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It cannot be asked of any kernel.
    #[error(transparent)]
    Invalid(InvalidObject),
    /// A privilege is missing.
    #[error("it needs CAP_NET_ADMIN in this network namespace, run as root or grant it")]
    NoPermission,
    /// The interface does not exist.
    #[error("there is no such interface (any more); there are: {}", existing.join(", "))]
    NoSuchInterface {
        /// The names that exist.
        existing: Vec<String>,
    },
    /// The interface is switched off; routes need it on.
    #[error("the interface is switched off, set it up first")]
    InterfaceDown,
    /// IPv6 is switched off on the interface.
    #[error(
        "IPv6 is switched off there, set the sysctl net/ipv6/conf/{interface}/disable_ipv6 to 0"
    )]
    Ipv6Off {
        /// The interface.
        interface: String,
    },
    /// The kernel has no IPv6.
    #[error("the kernel has no IPv6, boot it without ipv6.disable=1")]
    NoIpv6,
    /// The gateway is no neighbour.
    #[error(
        "the gateway is on no network of this host: add an address of its network first, or mark the next hop as on the link"
    )]
    GatewayUnreachable,
    /// Another object is in its place: the same address, table and metric, another next hop.
    #[error("another one is in its place: {present}; remove that, or give ours another metric")]
    Conflict {
        /// What is there.
        present: Box<Object>,
    },
    /// The kernel would take another rule for it.
    #[error("the kernel would remove {present} instead: give our rule a priority of its own")]
    Ambiguous {
        /// What the kernel would remove.
        present: Box<Object>,
    },
    /// Something else; the kernel's words.
    #[error("{0}")]
    Refused(Box<RequestError>),
}

impl ChangeError {
    pub(crate) fn new(
        action: Action,
        object: Object,
        names: &BTreeMap<u32, String>,
        source: RequestError,
    ) -> Self {
        let mut error = Self::without_kernel(action, object, names, Reason::NoPermission);
        error.reason = error.reason_of(&source, names);
        error.source = Some(Box::new(source));
        error
    }

    pub(crate) fn without_kernel(
        action: Action,
        object: Object,
        names: &BTreeMap<u32, String>,
        reason: Reason,
    ) -> Self {
        let interface = object.interface().and_then(|index| names.get(&index).cloned());
        Self { action, object: Box::new(object), interface, reason, source: None }
    }

    fn reason_of(&self, source: &RequestError, names: &BTreeMap<u32, String>) -> Reason {
        let index = self.object.interface();
        let gone = index.is_some_and(|index| !names.contains_key(&index));
        let ipv6 = self.object.is_ipv6();
        match source.errno() {
            Some(EPERM) => Reason::NoPermission,
            Some(ENODEV | libc::ESRCH) if gone => {
                Reason::NoSuchInterface { existing: names.values().cloned().collect() }
            }
            Some(libc::EACCES) if ipv6 && self.interface.is_some() => {
                Reason::Ipv6Off { interface: self.interface.clone().unwrap_or_default() }
            }
            Some(EAFNOSUPPORT | EOPNOTSUPP) if ipv6 => Reason::NoIpv6,
            Some(libc::ENETDOWN) => Reason::InterfaceDown,
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH)
                if matches!(*self.object, Object::Route(_)) =>
            {
                Reason::GatewayUnreachable
            }
            _ => Reason::Refused(Box::new(source.clone())),
        }
    }

    /// What was to be done.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// With what.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Why not, and what to do about it.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The kernel's error number, if it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.source.as_deref().and_then(RequestError::errno)
    }

    /// The kernel's own words about it (`NLMSGERR_ATTR_MSG`), if it had any.
    #[must_use]
    pub fn kernel_message(&self) -> Option<&str> {
        self.source.as_deref().and_then(RequestError::message)
    }
}

/// The object with the interface's name, for people.
fn shown(object: &Object, interface: Option<&str>) -> String {
    match (object, interface) {
        (Object::Address(address), Some(name)) => {
            format!("{}/{} on {name}", address.ip(), address.prefix_len())
        }
        (Object::Address(address), None) => format!(
            "{}/{} on the interface with index {}",
            address.ip(),
            address.prefix_len(),
            address.interface()
        ),
        (object, Some(name)) => format!("{object} (on {name})"),
        (object, None) => object.to_string(),
    }
}

/// Why an address cannot be announced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// No packet socket.
    #[error(
        "cannot open a packet socket to announce addresses: it needs CAP_NET_RAW in this network namespace, run as root or grant it"
    )]
    Open(#[source] io::Error),
    /// The frame was not sent.
    #[error("cannot announce {address} on {interface}: {}", announce_remedy(source))]
    Send {
        /// The address.
        address: IpAddr,
        /// The interface's name, or `interface INDEX` if there is none.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
}

fn announce_remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENXIO | libc::ENODEV) => "the interface does not exist (any more)",
        Some(libc::ENETDOWN) => "the interface is down",
        Some(libc::EAGAIN | libc::ENOBUFS) => "its transmit queue is full, try again later",
        Some(libc::EPERM) => "a firewall dropped the frame",
        _ => "the kernel did not send the frame",
    }
}
