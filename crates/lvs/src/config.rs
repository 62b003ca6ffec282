//! What a director is told to do.

mod real_server;
mod service;
mod validate;

use ipvs::{Name, SyncDaemon, SyncRole};

pub use real_server::{RealServer, WeightRule, WhenDown};
pub use service::{ServiceConfig, SlowStart, SorryServer};
pub use validate::ConfigError;

pub(crate) use real_server::{WeighingCheck, serving_port};

/// Everything a director runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    services: Vec<ServiceConfig>,
    sync: Option<SyncConfig>,
}

impl Config {
    /// No services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service.
    #[must_use]
    pub fn service(mut self, service: ServiceConfig) -> Self {
        self.services.push(service);
        self
    }

    /// Tells other directors of connections, or listens to theirs, as [`Handle::set_state`](crate::Handle::set_state) says.
    #[must_use]
    pub fn sync(self, sync: SyncConfig) -> Self {
        Self { sync: Some(sync), ..self }
    }

    pub(crate) fn services(&self) -> &[ServiceConfig] {
        &self.services
    }

    pub(crate) const fn has_sync(&self) -> bool {
        self.sync.is_some()
    }

    pub(crate) fn into_parts(self) -> (Vec<ServiceConfig>, Option<SyncConfig>) {
        (self.services, self.sync)
    }
}

/// The kernel's connection synchronisation. One daemon runs at a time: the master's while this director is Master, else the
/// backup's; none until the first [`Handle::set_state`](crate::Handle::set_state).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncConfig {
    daemon: SyncDaemon,
}

impl SyncConfig {
    /// With the kernel's defaults on this interface; directors of one group have the same `sync_id`.
    #[must_use]
    pub const fn new(interface: Name, sync_id: u8) -> Self {
        Self { daemon: SyncDaemon::new(SyncRole::Backup, interface, sync_id) }
    }

    /// With these settings; the role in them counts for nothing.
    #[must_use]
    pub const fn of(daemon: SyncDaemon) -> Self {
        Self { daemon }
    }

    pub(crate) fn daemon(&self, role: SyncRole) -> SyncDaemon {
        let mut daemon = self.daemon.clone();
        daemon.role = role;
        daemon
    }
}
