//! The kernel's table in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use ipvs::{Backend as _, Command, FakeKernel, ServiceKey, SyncDaemon, Table};

use crate::kernel::{self, Kernel, KernelError, Traffic};

/// An [`ipvs::FakeKernel`] that a test shares with its director: for tests, dry runs, and machines without IPVS. Clones share the table.
#[derive(Clone, Debug, Default)]
pub struct MemoryKernel {
    fake: Arc<Mutex<FakeKernel>>,
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
        // A kernel that refuses to be read shows nothing.
        self.with(|fake| fake.table(&mut |_| true)).unwrap_or_default()
    }

    /// Does what another program would do.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn change(&self, command: &Command) -> Result<(), KernelError> {
        let result = self.with(|fake| fake.execute(core::slice::from_ref(command)).pop());
        result.map_or(Ok(()), |result| Ok(result?))
    }

    /// Looks at the kernel in memory, or changes what it is: its counters, its modules, its refusals.
    pub fn with<T>(&self, look: impl FnOnce(&mut FakeKernel) -> T) -> T {
        look(&mut self.fake.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kernel for MemoryKernel {
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError> {
        self.with(|fake| kernel::read(fake, services))
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>> {
        self.with(|fake| kernel::execute(fake, commands))
    }

    fn traffic(
        &mut self,
        services: &BTreeSet<ServiceKey>,
    ) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
        self.with(|fake| kernel::traffic(fake, services))
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, KernelError> {
        self.with(|fake| Ok(fake.daemons()?))
    }
}
