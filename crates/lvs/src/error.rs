//! Errors, one type for each thing a caller does.

use std::io;

use ipvs::{DestinationKey, ServiceKey};
use journal::JournalError;
use thiserror::Error;

use crate::config::ConfigError;
use crate::kernel::KernelError;

/// Why services could not be made ours.
#[derive(Debug, Error)]
pub(crate) enum ClaimError {
    #[error("foreign service {service}")]
    Foreign { service: ServiceKey },
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a configuration was not taken. Nothing has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The configuration cannot be run.
    #[error("the configuration cannot be run")]
    Config(#[from] ConfigError),
    /// Somebody else has made a service that is configured.
    #[error(
        "the service {service} exists already and is not ours: remove it (ipvsadm -D), or let the director take it over \
         (Foreign::Adopt)"
    )]
    Foreign {
        /// The service.
        service: ServiceKey,
    },
    /// The kernel's table cannot be read.
    #[error("the kernel's IPVS table cannot be read")]
    Kernel(#[source] KernelError),
    /// Services cannot be written down, so they are not made either.
    #[error("the journal cannot be written")]
    Journal(#[source] JournalError),
    /// The director has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<ClaimError> for ApplyError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Foreign { service } => Self::Foreign { service },
            ClaimError::Kernel(source) => Self::Kernel(source),
            ClaimError::Journal(source) => Self::Journal(source),
        }
    }
}

/// Why a director cannot be made. The kernel is unchanged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration was not taken.
    #[error(transparent)]
    Configuration(#[from] ApplyError),
    /// Another director of this name runs, or the run directory cannot be used.
    #[error("the director's journal cannot be opened")]
    Journal(#[from] JournalError),
    /// IPVS cannot be used.
    #[error(transparent)]
    Open(#[from] ipvs::OpenError),
    /// The event loop cannot be opened.
    #[error("the event loop cannot be opened")]
    Loop {
        /// What the kernel said.
        source: io::Error,
    },
    /// The thread cannot be started.
    #[error("the director's thread cannot be started")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        Self::Configuration(error.into())
    }
}

/// The director has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the director has ended")]
#[non_exhaustive]
pub struct Stopped;

/// Why an order about a real server was not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OrderError {
    /// No such real server is configured.
    #[error("the service {service} has no real server {real_server}")]
    NoRealServer {
        /// The service.
        service: ServiceKey,
        /// The address and port.
        real_server: DestinationKey,
    },
    /// The director has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why there are no statistics.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// The kernel's table cannot be read.
    #[error("the kernel's IPVS table cannot be read")]
    Kernel(#[from] KernelError),
    /// The director has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a stop was not complete. What is left is in the journal: the next director of the same name removes it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StopError {
    /// The kernel refused to remove services.
    #[error("not everything was removed: {}", errors.join("; "))]
    Refused {
        /// What was refused, and why.
        errors: Vec<String>,
    },
    /// The kernel's table cannot be read, so nothing was removed.
    #[error("the kernel's IPVS table cannot be read, so nothing was removed")]
    Unreadable {
        /// What the kernel said.
        source: KernelError,
    },
    /// The event loop failed.
    #[error("the event loop failed")]
    Loop {
        /// What the system said.
        source: io::Error,
    },
    /// The director's thread panicked; it removed what it could while it unwound.
    #[error("the director's thread panicked")]
    Panicked,
}
