//! Connection synchronisation between directors, and the timeouts of connections.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::scheduler::Name;

/// Which way a sync daemon works. A director may run one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has these two daemons")]
pub enum SyncRole {
    /// Sends connections to the others.
    Master,
    /// Receives them.
    Backup,
}

impl fmt::Display for SyncRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// A sync daemon, a kernel thread. `None` means the kernel's default (Linux 4.3 for those).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncDaemon {
    /// Which way it works.
    pub role: SyncRole,
    /// The interface it uses.
    pub interface: Name,
    /// Groups of directors on one link differ by it; a backup with 0 takes all.
    pub sync_id: u8,
    /// Octets of UDP payload in a message; default: what the link carries.
    pub max_message_len: Option<u16>,
    /// Multicast group, default 224.0.0.81.
    pub group: Option<IpAddr>,
    /// UDP port, default 8848.
    pub port: Option<u16>,
    /// Time to live of the messages, default 1.
    pub ttl: Option<u8>,
}

impl SyncDaemon {
    /// A daemon with the kernel's defaults.
    #[must_use]
    pub const fn new(role: SyncRole, interface: Name, sync_id: u8) -> Self {
        Self { role, interface, sync_id, max_message_len: None, group: None, port: None, ttl: None }
    }
}

/// How long an idle connection is kept, whole seconds. When setting, zero keeps the present value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the kernel has these three")]
pub struct Timeouts {
    /// Established TCP connections.
    pub tcp: Duration,
    /// TCP connections after a FIN.
    pub tcp_fin: Duration,
    /// UDP.
    pub udp: Duration,
}

/// What the kernel says of its IPVS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Information {
    /// Major, minor and patch number of IPVS, 1.2.1 for the last decades.
    pub version: (u8, u8, u8),
    /// Buckets of the connection table.
    pub connection_table_size: u32,
}
