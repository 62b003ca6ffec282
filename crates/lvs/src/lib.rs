//! A Linux Virtual Server director inside your process: it checks real servers and keeps the kernel's IPVS table to those
//! that answer.
//!
//! # Mental model
//!
//! ```text
//!   Config ──> pool: health of every real server ──> what is wanted ──> ipvs::plan ──> Kernel
//!                ▲                                                             │
//!   healthcheck::Driver: outcomes                 what is there, and is ours: journal
//! ```
//!
//! - A [`Config`] holds services, their real servers, and the checks of each. Several services, by address or firewall mark, may share one
//!   pool ([`ServiceConfig::also`]). The pool is a pure machine: it turns outcomes into the table that is wanted; only what differs goes to the
//!   kernel, in an order that leaves no service without a server on the way.
//! - **A pool** has a quorum with a hysteresis, in weights ([`ServiceConfig::quorum`]); a server of last resort ([`SorryServer`]); a cap on how
//!   much of it checks may take out at once ([`ServiceConfig::max_ejected_percent`]); a slow start ([`SlowStart`]). What is down is removed,
//!   quiesced or drained ([`WhenDown`]).
//! - **Weights** are what is configured, what a check says ([`WeightRule`]: exit code of a script, number in a file) or what is set
//!   ([`Handle::set_weight`]). [`Handle::drain`] takes a real server out when its connections have ended.
//! - [`Director::apply`] exchanges the configuration: what does not differ keeps its health and costs the kernel nothing, connections stay.
//!   [`Director::set_state`] says whether this director is Master: the kernel's sync daemon follows ([`SyncConfig`]).
//! - [`Director::why`] says why a real server stands in the table as it does, [`Director::status`] and [`Director::statistics`] the rest.
//! - The [`Director`] steps all of it. It is step-able like everything in this family of crates: wait until its descriptor is
//!   readable or [`Director::poll_timeout`] is due, call [`Director::process`]; or let [`Director::spawn`] do that on a thread.
//! - **Ownership.** The kernel does not know who made a service. The director writes the keys of its services into a journal (a
//!   locked file in the run directory) before it makes them. It removes them when it stops or is dropped. A successor of a killed director
//!   finds the journal, adopts what is still configured without touching connections, and removes the rest. Nothing else is
//!   ever changed. [`Foreign`] decides about a service of somebody else under a configured key.
//! - **Trouble.** A command that the kernel refuses becomes an [`EventKind::Refused`], once; everything else is done, and the
//!   refused part is tried again after 1, 2, 4 ... 60 s. The kernel's table is read only when something did not go as
//!   expected, by [`Director::repair`], and as often as [`DirectorBuilder::audit`] says: else an operator's change by hand stays.
//! - **Events** are bounded: nobody has to read them, the oldest are dropped and counted.
//!
//! # Example
//!
//! The kernel's place is taken by a [`MemoryKernel`] here; without that line it is the real one, which needs root and `ip_vs`.
//!
//! ```
//! use core::time::Duration;
//! use ipvs::{Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey};
//! use lvs::{Config, Director, EventKind, MemoryKernel, Outcome, RealServer, ServiceConfig, Timing};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let run_directory = directory.path();
//! let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let address = DestinationKey::from(server.local_addr()?);
//! let service = ServiceKey::tcp("192.0.2.1".parse()?, 80);
//! let timing = Timing::new().interval(Duration::from_millis(50)).retries(0);
//! let web = ServiceConfig::new(Service::new(service, Scheduler::RoundRobin))
//!     .real_server(RealServer::new(Destination::new(address, ForwardingMethod::Masquerade)).tcp_check(timing));
//!
//! let kernel = MemoryKernel::new();
//! let director = Director::builder(Config::new().service(web))
//!     .run_directory(run_directory) // the default is /run/lvs
//!     .kernel(kernel.clone())
//!     .start()?;
//! assert!(kernel.table().service(&service).unwrap().destination(&address).is_some());
//!
//! drop(server); // the real server stops ...
//! let event = director.events().recv().unwrap();
//! assert!(matches!(event.kind, EventKind::RealServer { outcome: Outcome::Down, .. }));
//! assert!(kernel.table().service(&service).unwrap().destination(&address).is_none()); // ... and is out of the table
//!
//! director.stop()?;
//! assert!(kernel.table().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! Elect which director is active (the `vrrp` crate), configure addresses or sysctls, read configuration files, log (see
//! [`Events::log_all`]), or hand existing connections of a dead server over to another.

#![forbid(unsafe_code)]

mod builder;
mod config;
mod director;
mod error;
mod event;
mod kernel;
mod memory;
mod owner;
mod pool;
mod running;
mod status;
mod why;

pub use builder::DirectorBuilder;
pub use config::{
    Config, ConfigError, RealServer, ServiceConfig, SlowStart, SorryServer, SyncConfig, WeightRule,
    WhenDown,
};
pub use director::{Director, OnDrift};
pub use error::{ApplyError, BuildError, OrderError, StatisticsError, StopError, Stopped};
pub use event::{DrainEnd, Event, EventKind, Events, WeightSource};
pub use healthcheck::{Check, Failure, Kind, Outcome, Source, Timing};
pub use kernel::{DestinationTraffic, Kernel, KernelError, Traffic};
pub use memory::MemoryKernel;
pub use owner::Foreign;
pub use running::{Handle, RunningDirector};
pub use status::{CheckStatus, HealthChange, RealServerStatus, ServiceStatus, Status};
pub use why::{DrainCause, FailedCheck, Reason, Why};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
