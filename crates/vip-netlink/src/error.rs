//! What can go wrong, one type per operation, with what to do about it.

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeMap;
use std::io;

use netlink::RequestError;
use netlink::errno::{EAFNOSUPPORT, ENODEV, EOPNOTSUPP, EPERM};

use crate::address::Address;

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
    /// There is no interface of this name.
    #[error("there is no network interface {name:?}; there are: {}", existing.join(", "))]
    NoSuchInterface {
        /// The name asked for.
        name: String,
        /// The names that exist.
        existing: Vec<String>,
    },
}

/// What was to be done with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an address is added or removed")]
pub enum Action {
    /// Add it.
    Add,
    /// Remove it.
    Remove,
}

/// Why an address could not be added or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} {}/{} {interface}: {}", verb(*action), address.ip(), address.prefix_len(), remedy(self))]
pub struct AddressError {
    action: Action,
    address: Box<Address>,
    interface: Interface,
    source: RequestError,
}

impl AddressError {
    pub(crate) fn new(
        action: Action,
        address: &Address,
        names: &BTreeMap<u32, String>,
        source: RequestError,
    ) -> Self {
        let index = address.interface();
        let interface = names.get(&index).map_or_else(
            || Interface::Unknown { index, existing: names.values().cloned().collect() },
            |name| Interface::Named(name.clone()),
        );
        Self { action, address: Box::new(address.clone()), interface, source }
    }

    /// What was to be done.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The kernel's error number, if it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.source.errno()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Interface {
    Named(String),
    Unknown { index: u32, existing: Vec<String> },
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "on {name}"),
            Self::Unknown { index, .. } => write!(f, "on the interface with index {index}"),
        }
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Add => "add",
        Action::Remove => "remove",
    }
}

fn remedy(error: &AddressError) -> String {
    match (error.source.errno(), &error.interface) {
        (Some(EPERM), _) => {
            "it needs CAP_NET_ADMIN in this network namespace, run as root or grant it".to_owned()
        }
        (Some(ENODEV), Interface::Unknown { existing, .. }) => {
            format!("there is no such interface (any more); there are: {}", existing.join(", "))
        }
        (Some(libc::EACCES), Interface::Named(name)) if error.address.ip().is_ipv6() => {
            format!(
                "IPv6 is switched off there, set the sysctl net/ipv6/conf/{name}/disable_ipv6 to 0"
            )
        }
        (Some(EAFNOSUPPORT | EOPNOTSUPP), _) if error.address.ip().is_ipv6() => {
            "the kernel has no IPv6, boot it without ipv6.disable=1".to_owned()
        }
        _ => error.source.to_string(),
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
