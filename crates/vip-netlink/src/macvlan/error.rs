//! What can go wrong with interfaces of one's own.

use netlink::RequestError;

use crate::error::QueryError;

/// Why a macvlan cannot be made, set up or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MacvlanError {
    /// No interface can have that name.
    #[error(
        "{name:?} cannot be the name of an interface: 1 to 15 bytes without slashes, colons and white space"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// No interface can have that MAC address.
    #[error("{mac} cannot be the MAC address of an interface: it is a multicast one, or zero")]
    Mac {
        /// The MAC address.
        mac: String,
    },
    /// The text is not what `Display` writes.
    #[error("text is not NAME on INDEX mac MAC mode MODE")]
    Text,
    /// The interface it shall be on does not exist.
    #[error("cannot create {name} on the interface with index {parent}: there is no such interface (any more); there are: {}", existing.join(", "))]
    NoParent {
        /// The name.
        name: String,
        /// Index of the interface it shall be on.
        parent: u32,
        /// The names that exist.
        existing: Vec<String>,
    },
    /// Another interface has the name.
    #[error(
        "cannot create {name}: there is another interface of that name ({present}); remove it, or take another name"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// What is there.
        present: String,
    },
    /// Another interface on the same wire has the MAC address.
    #[error("cannot set {name} up: {} has its MAC address already; two virtual routers of one VRID on one interface, or one left behind", holder.as_deref().unwrap_or("another interface on the same parent"))]
    MacInUse {
        /// The name.
        name: String,
        /// The one that has it.
        holder: Option<String>,
    },
    /// The kernel has no macvlan.
    #[error(
        "cannot create {name}: the kernel has no macvlan interfaces, load its module (modprobe macvlan) or build it with CONFIG_MACVLAN"
    )]
    NotSupported {
        /// The name.
        name: String,
        /// What the kernel said.
        source: RequestError,
    },
    /// A privilege is missing.
    #[error(
        "cannot {operation} {name}: it needs CAP_NET_ADMIN in this network namespace, run as root or grant it"
    )]
    NoPermission {
        /// What was to be done.
        operation: &'static str,
        /// The name.
        name: String,
        /// What the kernel said.
        source: RequestError,
    },
    /// The kernel refused for another reason.
    #[error("cannot {operation} {name}: {source}")]
    Refused {
        /// What was to be done.
        operation: &'static str,
        /// The name.
        name: String,
        /// What the kernel said.
        source: RequestError,
    },
    /// The interfaces cannot be listed.
    #[error("cannot look at the interfaces")]
    Query(#[from] QueryError),
}
