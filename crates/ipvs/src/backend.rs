//! What carries out commands: the kernel, or something that stands in for it.

use core::fmt;
use std::collections::BTreeSet;

use crate::apply::{self, Report};
use crate::client::Client;
use crate::command::Command;
use crate::daemon::{Information, SyncDaemon, Timeouts};
use crate::error::{CommandError, ReadError};
use crate::key::ServiceKey;
use crate::reply::{DestinationStatus, ServiceStatus};
use crate::table::Table;

/// An IPVS table that can be read and changed: the kernel's ([`Client`]) or one in memory ([`FakeKernel`](crate::FakeKernel)).
///
/// Code that is written for `&mut dyn Backend` can be tested without privilege and without `ip_vs`.
pub trait Backend: fmt::Debug {
    /// Version and size.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn information(&mut self) -> Result<Information, ReadError>;

    /// The timeouts of connections.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn timeouts(&mut self) -> Result<Timeouts, ReadError>;

    /// The running sync daemons, at most one of each role, the master first.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, ReadError>;

    /// Every service with its counters, in no particular order.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn services(&mut self) -> Result<Vec<ServiceStatus>, ReadError>;

    /// One service with its counters, if it exists.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn service(&mut self, key: &ServiceKey) -> Result<Option<ServiceStatus>, ReadError>;

    /// The destinations of a service with their counters, in no particular order. A service that does not exist has none.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn destinations(&mut self, key: &ServiceKey) -> Result<Vec<DestinationStatus>, ReadError>;

    /// Does commands in order; the result at index `i` belongs to `commands[i]`. Commands after a failed one are still done.
    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), CommandError>>;

    /// The services that `of_interest` picks by their keys, with their destinations.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn table(
        &mut self,
        of_interest: &mut dyn FnMut(&ServiceKey) -> bool,
    ) -> Result<Table, ReadError> {
        let mut table = Table::new();
        for ServiceStatus { service, .. } in self.services()? {
            let key = service.key();
            if of_interest(&key) {
                let destinations = self.destinations(&key)?;
                let entry = table.insert(service);
                for DestinationStatus { destination, .. } in destinations {
                    entry.insert(destination);
                }
            }
        }
        Ok(table)
    }

    /// Reads the services that are in `desired` or `owned`, makes a [`plan`](crate::plan) and carries it out.
    ///
    /// Only what is in `owned`, or did not exist, is ever changed: a service of somebody else that differs from what is desired is reported as
    /// [`CommandError::Foreign`], also one that appears between our reading and writing. Afterwards the keys in
    /// [`Report::created`] belong to `owned`.
    ///
    /// A service or destination that is already as desired gets no command, so that a second call does nothing.
    /// That others add or remove the same object meanwhile is no error: the table is read again.
    /// One object's failure does not keep the others from being done.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the table cannot be read; nothing more is changed then. Failures of single objects are in the
    /// [`Report`].
    fn apply(
        &mut self,
        desired: &Table,
        owned: &BTreeSet<ServiceKey>,
    ) -> Result<Report, ReadError> {
        apply::apply(self, desired, owned)
    }
}

impl Backend for Client {
    fn information(&mut self) -> Result<Information, ReadError> {
        Self::information(self)
    }

    fn timeouts(&mut self) -> Result<Timeouts, ReadError> {
        Self::timeouts(self)
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, ReadError> {
        Self::daemons(self)
    }

    fn services(&mut self) -> Result<Vec<ServiceStatus>, ReadError> {
        Self::services(self)
    }

    fn service(&mut self, key: &ServiceKey) -> Result<Option<ServiceStatus>, ReadError> {
        Self::service(self, key)
    }

    fn destinations(&mut self, key: &ServiceKey) -> Result<Vec<DestinationStatus>, ReadError> {
        Self::destinations(self, key)
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), CommandError>> {
        Self::execute(self, commands)
    }
}
