//! The seam to the kernel's table.

use core::fmt;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipvs::{Client, Command, CommandError, ReadError, ServiceKey, Table};
use rustix::io::Errno;
use thiserror::Error;

/// What a director needs of the kernel. [`ipvs::Client`] has it; [`MemoryKernel`] stands in for it in tests.
pub trait Kernel: Send + fmt::Debug {
    /// Reads those of `services` that exist, with their destinations.
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError>;

    /// Executes the commands in order, each by itself whatever becomes of the others. One result for each.
    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>>;
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
        if services.is_empty() {
            return Ok(Table::new());
        }
        Ok(self.table(|key| services.contains(key))?)
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>> {
        Self::execute(self, commands).into_iter().map(|result| Ok(result?)).collect()
    }
}

/// A table in memory that behaves like the kernel's: for tests, dry runs, and machines without IPVS. Clones share the
/// table.
#[derive(Clone, Debug, Default)]
pub struct MemoryKernel {
    table: Arc<Mutex<Table>>,
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
        self.lock().clone()
    }

    /// Does what another program would do.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn change(&self, command: &Command) -> Result<(), KernelError> {
        self.lock().execute(command).map_err(|errno| KernelError::refused(command, errno))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
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
}
