//! What can be asked of the kernel.

use core::fmt;

use crate::daemon::{SyncDaemon, SyncRole, Timeouts};
use crate::destination::Destination;
use crate::key::{DestinationKey, ServiceKey};
use crate::service::Service;

/// One change of the kernel's table (`IPVS_CMD_*`). Shown as a phrase: `add service tcp/192.0.2.1:80 (rr)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever stands in for the kernel must know every command"
)]
pub enum Command {
    /// Adds a service.
    NewService(Service),
    /// Changes scheduler, flags and persistence of a service; destinations and connections stay.
    SetService(Service),
    /// Removes a service with its destinations.
    DelService(ServiceKey),
    /// Adds a destination.
    NewDestination(ServiceKey, Destination),
    /// Changes method, weight and thresholds of a destination; connections stay.
    SetDestination(ServiceKey, Destination),
    /// Removes a destination. Its connections lead nowhere from then on, unless
    /// `net.ipv4.vs.expire_nodest_conn` ends them; weight 0 keeps them.
    DelDestination(ServiceKey, DestinationKey),
    /// Zeroes the counters of one service, or of all.
    Zero(Option<ServiceKey>),
    /// Removes every service of the network namespace, whoever made it.
    Flush,
    /// Sets the timeouts of connections.
    SetTimeouts(Timeouts),
    /// Starts a sync daemon.
    StartDaemon(SyncDaemon),
    /// Stops a sync daemon.
    StopDaemon(SyncRole),
}

impl Command {
    /// The service it is about.
    #[must_use]
    pub fn service(&self) -> Option<ServiceKey> {
        match self {
            Self::NewService(service) | Self::SetService(service) => Some(service.key()),
            Self::DelService(key)
            | Self::NewDestination(key, _)
            | Self::SetDestination(key, _)
            | Self::DelDestination(key, _)
            | Self::Zero(Some(key)) => Some(*key),
            Self::Zero(None)
            | Self::Flush
            | Self::SetTimeouts(_)
            | Self::StartDaemon(_)
            | Self::StopDaemon(_) => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewService(service) => {
                write!(f, "add service {} ({})", service.key(), service.scheduler())
            }
            Self::SetService(service) => {
                write!(f, "change service {} ({})", service.key(), service.scheduler())
            }
            Self::DelService(key) => write!(f, "remove service {key}"),
            Self::NewDestination(key, destination) => write!(
                f,
                "add destination {} ({}, weight {}) to service {key}",
                destination.key(),
                destination.method(),
                destination.weight()
            ),
            Self::SetDestination(key, destination) => write!(
                f,
                "change destination {} ({}, weight {}) of service {key}",
                destination.key(),
                destination.method(),
                destination.weight()
            ),
            Self::DelDestination(key, destination) => {
                write!(f, "remove destination {destination} of service {key}")
            }
            Self::Zero(Some(key)) => write!(f, "zero counters of service {key}"),
            Self::Zero(None) => f.write_str("zero counters"),
            Self::Flush => f.write_str("remove all services"),
            Self::SetTimeouts(timeouts) => write!(
                f,
                "set timeouts of connections to {:?} (tcp), {:?} (tcp fin), {:?} (udp)",
                timeouts.tcp, timeouts.tcp_fin, timeouts.udp
            ),
            Self::StartDaemon(daemon) => {
                write!(f, "start {} sync daemon on {}", daemon.role, daemon.interface)
            }
            Self::StopDaemon(role) => write!(f, "stop {role} sync daemon"),
        }
    }
}
