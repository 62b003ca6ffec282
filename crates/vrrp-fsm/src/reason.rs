use core::{fmt, net::IpAddr, time::Duration};

use vrrp_proto::Priority;

use crate::Fault;

/// What caused a change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The router became a candidate, or its last fault cleared (RFC 9568 §6.4.1).
    Startup,
    /// The owner of the addresses started (RFC 9568 §6.4.1).
    Owner,
    /// Nobody advertised for a master-down interval (RFC 9568 §6.4.2).
    MasterSilent,
    /// The Master left with priority 0 (RFC 9568 §6.4.2).
    MasterReleased {
        /// Who left.
        source: IpAddr,
    },
    /// A Master of a lower priority was replaced (RFC 9568 §6.4.2, `Preempt_Mode`).
    Preempted {
        /// Who was replaced.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// A router with more right to be Master advertised (RFC 9568 §6.4.3).
    BetterAdvertisement {
        /// Who did.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// The router is no longer a candidate (RFC 9568 §6.4.2, §6.4.3).
    Shutdown,
    /// A fault appeared.
    Fault(Fault),
    /// The router woke up so late that another one may be Master by now.
    LateWake {
        /// How late.
        late: Duration,
    },
    /// Someone else deleted the virtual addresses.
    AddressesLost,
    /// Another member of the sync group is no longer Master.
    SyncGroup,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Startup => f.write_str("started"),
            Self::Owner => f.write_str("started as the owner of the addresses"),
            Self::MasterSilent => f.write_str("no master was heard"),
            Self::MasterReleased { source } => write!(f, "master {source} left"),
            Self::Preempted { source, priority } => {
                write!(f, "master {source} has only priority {priority}")
            }
            Self::BetterAdvertisement { source, priority } => {
                write!(f, "{source} advertises with priority {priority}")
            }
            Self::Shutdown => f.write_str("shut down"),
            Self::Fault(fault) => fault.fmt(f),
            Self::SyncGroup => f.write_str("another member of the sync group is not master"),
            Self::LateWake { late } => write!(f, "woke up {late:.1?} too late"),
            Self::AddressesLost => {
                f.write_str("the virtual addresses were deleted by someone else")
            }
        }
    }
}
