//! The seam to the kernel's table.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use ipvs::{
    Backend, Client, Command, CommandError, DestinationKey, ReadError, ServiceKey, Statistics,
    SyncDaemon, Table,
};
use rustix::io::Errno;
use thiserror::Error;

/// What a director needs of the kernel. [`ipvs::Client`] has it; [`MemoryKernel`](crate::MemoryKernel) stands in for it in tests.
pub trait Kernel: Send + fmt::Debug {
    /// Reads those of `services` that exist, with their destinations.
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError>;

    /// Executes the commands in order, each by itself whatever becomes of the others. One result for each.
    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>>;

    /// Reads the counters of those of `services` that exist, and the connections of their destinations.
    fn traffic(
        &mut self,
        services: &BTreeSet<ServiceKey>,
    ) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError>;

    /// The sync daemons that run.
    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, KernelError>;
}

/// What goes through one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever stands in for the kernel makes it")]
pub struct Traffic {
    /// The service's counters.
    pub statistics: Statistics,
    /// Its destinations.
    pub destinations: BTreeMap<DestinationKey, DestinationTraffic>,
}

/// What goes to one destination of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever stands in for the kernel makes it")]
pub struct DestinationTraffic {
    /// Connections that exchange data.
    pub active_connections: u32,
    /// Connections that have ended or not begun, and those of quiet clients.
    pub inactive_connections: u32,
    /// Clients bound to the destination by persistence.
    pub persistent_connections: u32,
    /// The destination's counters.
    pub statistics: Statistics,
}

impl DestinationTraffic {
    /// Connections that it still has to serve: active and inactive ones.
    #[must_use]
    pub fn connections(&self) -> u64 {
        u64::from(self.active_connections).saturating_add(self.inactive_connections.into())
    }
}

/// The kernel refused, or could not be asked. The text names the object and, where something is known to help, says what.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct KernelError {
    errno: Option<i32>,
    text: String,
}

impl KernelError {
    /// A refusal of `command` with this (positive) error number.
    #[must_use]
    pub fn refused(command: &Command, errno: i32) -> Self {
        Self {
            errno: Some(errno),
            text: format!("cannot {command}: {}", io::Error::from_raw_os_error(errno)),
        }
    }

    /// The table cannot be read, with this (positive) error number.
    #[must_use]
    pub fn unreadable(errno: i32) -> Self {
        Self {
            errno: Some(errno),
            text: format!("cannot read services: {}", io::Error::from_raw_os_error(errno)),
        }
    }

    /// `command` was not given because it could not be written down first.
    pub(crate) fn not_recorded(command: &Command, error: &journal::JournalError) -> Self {
        Self { errno: None, text: format!("cannot {command}: {error}") }
    }

    /// The error number, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }

    /// Whether the object was there already, or was not there: the table is not what we took it for.
    pub(crate) fn is_surprise(&self) -> bool {
        [Errno::EXIST, Errno::NOENT, Errno::SRCH]
            .map(|errno| Some(errno.raw_os_error()))
            .contains(&self.errno)
    }
}

impl From<CommandError> for KernelError {
    fn from(error: CommandError) -> Self {
        Self { errno: error.errno(), text: error.to_string() }
    }
}

impl From<ReadError> for KernelError {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method's type belongs to a crate that is none of our dependencies"
    )]
    fn from(error: ReadError) -> Self {
        let errno = error.request_error().and_then(|cause| cause.errno());
        Self { errno, text: error.to_string() }
    }
}

impl Kernel for Client {
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError> {
        read(self, services)
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>> {
        execute(self, commands)
    }

    fn traffic(
        &mut self,
        services: &BTreeSet<ServiceKey>,
    ) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
        traffic(self, services)
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, KernelError> {
        Ok(Self::daemons(self)?)
    }
}

pub(crate) fn read(
    backend: &mut impl Backend,
    services: &BTreeSet<ServiceKey>,
) -> Result<Table, KernelError> {
    if services.is_empty() {
        return Ok(Table::new());
    }
    Ok(backend.table(&mut |key| services.contains(key))?)
}

pub(crate) fn execute(
    backend: &mut impl Backend,
    commands: &[Command],
) -> Vec<Result<(), KernelError>> {
    backend.execute(commands).into_iter().map(|result| Ok(result?)).collect()
}

pub(crate) fn traffic(
    backend: &mut impl Backend,
    services: &BTreeSet<ServiceKey>,
) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
    let mut traffic = BTreeMap::new();
    // One question for all is cheaper than one for each, once there are a few.
    let found = if services.len() < 8 {
        let mut found = Vec::new();
        for key in services {
            found.extend(backend.service(key)?);
        }
        found
    } else {
        backend.services()?
    };
    for found in found {
        let key = found.service.key();
        if !services.contains(&key) {
            continue;
        }
        let destinations = backend.destinations(&key)?.into_iter().map(|status| {
            let traffic = DestinationTraffic {
                active_connections: status.active_connections,
                inactive_connections: status.inactive_connections,
                persistent_connections: status.persistent_connections,
                statistics: status.statistics,
            };
            (status.destination.key(), traffic)
        });
        let destinations = destinations.collect();
        traffic.insert(key, Traffic { statistics: found.statistics, destinations });
    }
    Ok(traffic)
}
