//! Linux IPVS, the kernel's layer-4 load balancer, over generic netlink.
//!
//! A **service** ([`ServiceKey`]: an address and port, or a firewall mark) distributes connections to its
//! **destinations** ([`DestinationKey`]: the real servers) by a [`Scheduler`]. A [`Table`] is a set of services with their
//! destinations, as a value: what the kernel has ([`Client::table`]) or what it shall have.
//! [`plan`] is the pure difference of two tables, a list of [`Command`]s; [`Client::apply`] reads, plans and
//! carries out.
//!
//! ```text
//!  desired: Table --+
//!                   +-> plan -> [Command] -> Client::execute -> kernel
//!  current: Table --+
//! ```
//!
//! The kernel does not note who made a service, so the caller names the keys it **owns**: only those, and desired ones that do not
//! exist yet, are ever touched, so that several programs can share a kernel. Write the desired keys down before `apply`, and own
//! afterwards those in [`Report::created`]; keys can be written and read ([`core::fmt::Display`], [`core::str::FromStr`]). To take over
//! what another program made, name it as owned.
//!
//! # Example
//!
//! ```no_run
//! use ipvs::{Client, Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey, Table};
//! use std::collections::BTreeSet;
//!
//! let service = ServiceKey::tcp("192.0.2.1".parse()?, 80);
//! let mut desired = Table::new();
//! let entry = desired.insert(Service::new(service, Scheduler::RoundRobin));
//! for server in ["10.0.0.11", "10.0.0.12"] {
//!     let key = DestinationKey::new(server.parse()?, 80);
//!     entry.insert(Destination::new(key, ForwardingMethod::DirectRoute));
//! }
//!
//! let report = Client::open()?.apply(&desired, &BTreeSet::new())?;
//! for failure in &report.failures {
//!     eprintln!("{failure}"); // names the object and what helps
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! And to take it away again: `client.apply(&Table::new(), &owned)`.
//!
//! The same without a kernel, which is how to test code that uses this crate: [`FakeKernel`] answers as the kernel does (a test of this
//! crate compares the two), and both are a [`Backend`].
//!
//! ```
//! # use ipvs::*;
//! # use std::collections::BTreeSet;
//! let mut desired = Table::new();
//! desired.insert(Service::new("udp/192.0.2.1:53".parse()?, Scheduler::SourceHash));
//! let mut kernel: Box<dyn Backend> = Box::new(FakeKernel::new());
//! let report = kernel.apply(&desired, &BTreeSet::new()).unwrap();
//! assert_eq!(report.commands[0].to_string(), "add service udp/192.0.2.1:53 (sh)");
//! assert_eq!(kernel.table(&mut |_| true).unwrap(), desired);
//! # Ok::<(), ParseKeyError>(())
//! ```
//!
//! # Which type for what
//!
//! | | identity | settings | as the kernel has it |
//! |---|---|---|---|
//! | service | [`ServiceKey`] | [`Service`], checked by [`ServiceBuilder`] | [`ServiceStatus`], with counters |
//! | destination | [`DestinationKey`] | [`Destination`] | [`DestinationStatus`], with counters and connections |
//! | sync daemon | [`SyncRole`] | [`SyncDaemon`] | [`SyncDaemon`] |
//!
//! [`Connections`] are the kernel's connection table. [`codec`] has the octets of every message.
//!
//! # What it does not do
//!
//! No health checks, no threads, no events (the kernel has none for IPVS), no sysctls, and nothing of the older
//! `setsockopt` interface. It needs `CAP_NET_ADMIN` in the initial user namespace, also to read.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod apply;
mod attrs;
mod backend;
mod builder;
mod client;
pub mod codec;
mod command;
mod connection;
mod daemon;
mod destination;
mod error;
mod fake;
mod key;
mod namespace;
mod plan;
mod reply;
mod request;
mod scheduler;
mod service;
mod statistics;
mod table;
#[cfg(test)]
mod testing;

pub use apply::Report;
pub use backend::Backend;
pub use builder::{MismatchError, ServiceBuilder, ServiceError};
pub use client::Client;
pub use command::Command;
pub use connection::{Connection, ConnectionState, Connections, Origin};
pub use daemon::{Information, SyncDaemon, SyncRole, Timeouts};
pub use destination::{
    Destination, DestinationError, ForwardingMethod, Thresholds, Tunnel, TunnelChecksum, Weight,
};
pub use error::{CommandError, OpenError, ReadError};
pub use fake::FakeKernel;
pub use key::{AddressFamily, DestinationKey, ParseKeyError, Protocol, ServiceKey};
pub use plan::{foreign, plan};
pub use reply::{DestinationStatus, ReplyError, ServiceStatus};
pub use scheduler::{Name, NameError, Scheduler};
pub use service::{Netmask, Persistence, PersistenceError, Service, ServiceFlags};
pub use statistics::Statistics;
pub use table::{Entry, Table};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
