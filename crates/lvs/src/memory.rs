//! The kernel's table in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipvs::{Command, DestinationKey, ServiceKey, SyncDaemon, Table};
use rustix::io::Errno;

use crate::kernel::{DestinationTraffic, Kernel, KernelError, Traffic};

/// A table in memory that behaves like the kernel's: for tests, dry runs, and machines without IPVS. Clones share the
/// table.
#[derive(Clone, Debug, Default)]
pub struct MemoryKernel {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    daemons: Vec<SyncDaemon>,
    connections: BTreeMap<(ServiceKey, DestinationKey), u32>,
}

impl MemoryKernel {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of the table.
    #[must_use]
    pub fn table(&self) -> Table {
        self.lock().table.clone()
    }

    /// The sync daemons that run.
    #[must_use]
    pub fn sync_daemons(&self) -> Vec<SyncDaemon> {
        self.lock().daemons.clone()
    }

    /// Does what another program would do.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn change(&self, command: &Command) -> Result<(), KernelError> {
        self.lock().execute(command).map_err(|errno| KernelError::refused(command, errno))
    }

    /// Pretends that a destination has so many active connections.
    pub fn set_connections(&self, service: ServiceKey, destination: DestinationKey, active: u32) {
        self.lock().connections.insert((service, destination), active);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn execute(&mut self, command: &Command) -> Result<(), i32> {
        match command {
            Command::StartDaemon(daemon) => {
                if self.daemons.iter().any(|running| running.role == daemon.role) {
                    return Err(Errno::EXIST.raw_os_error());
                }
                self.daemons.push(daemon.clone());
            }
            Command::StopDaemon(role) => {
                let at = self.daemons.iter().position(|running| running.role == *role);
                self.daemons.swap_remove(at.ok_or(Errno::SRCH.raw_os_error())?);
            }
            Command::NewService(_)
            | Command::SetService(_)
            | Command::DelService(_)
            | Command::NewDestination(..)
            | Command::SetDestination(..)
            | Command::DelDestination(..)
            | Command::Zero(_)
            | Command::Flush
            | Command::SetTimeouts(_) => self.table.execute(command)?,
        }
        Ok(())
    }
}

impl Kernel for MemoryKernel {
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError> {
        let mut table = self.table();
        let others: Vec<_> = table.keys().filter(|key| !services.contains(key)).copied().collect();
        for key in others {
            table.remove(&key);
        }
        Ok(table)
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>> {
        commands.iter().map(|command| self.change(command)).collect()
    }

    fn traffic(
        &mut self,
        services: &BTreeSet<ServiceKey>,
    ) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
        let state = self.lock();
        let of = |key: &ServiceKey| {
            let destinations = state.table.service(key)?.destinations().map(|destination| {
                let destination = destination.key();
                let active = state.connections.get(&(*key, destination)).copied().unwrap_or(0);
                (
                    destination,
                    DestinationTraffic { active_connections: active, ..Default::default() },
                )
            });
            Some((*key, Traffic { destinations: destinations.collect(), ..Default::default() }))
        };
        Ok(services.iter().filter_map(of).collect())
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, KernelError> {
        Ok(self.sync_daemons())
    }
}
