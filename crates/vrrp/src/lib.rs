//! High availability inside your process: VRRP (RFC 9568, RFC 3768) elects one of several hosts, and the elected one holds the
//! virtual IP addresses.
//!
//! # Mental model
//!
//! ```text
//!  VirtualRouter   what you say: name, VRID, interface, addresses, priority, ...
//!       | RouterBuilder::build                     | RouterBuilder::start
//!       v                                          v
//!  Router          any number of virtual routers   RunningRouter   the same in a thread of its own
//!                  AsFd, poll_timeout, process     |
//!       | handle                                   | election("web")
//!       v                                          v
//!  Handle          orders from any thread          Election -- campaign() --> Leadership
//!                  status, ready, priority            ready(fn)               lost(), term(); drop resigns
//!
//!  Events          what happened, bounded, the oldest dropped and counted
//! ```
//!
//! A virtual router first *observes*: it holds nothing and stands for nothing. [`Election::campaign`] makes it a candidate and
//! waits until it is Master and its addresses are present. The [`Leadership`] it returns says when that
//! ends; dropping it resigns. A daemon, which has nobody to wait, sets [`VirtualRouter::candidate`] instead.
//!
//! # Example
//!
//! ```no_run
//! use vrrp::{Router, VirtualRouter, Vrid};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0").priority(100).address("192.0.2.100/24".parse()?);
//! let router = Router::builder().virtual_router(web).start()?;
//! let leadership = router.election("web")?.campaign()?;
//! // Serve on 192.0.2.100 until:
//! let lost = leadership.lost().recv();
//! println!("no longer Master: {lost:?}");
//! drop(leadership);
//! router.shutdown()?;
//! # Ok(())
//! # }
//! ```
//!
//! # In your own event loop
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut router = vrrp::Router::builder().build()?;
//! # fn poll(_: &impl std::os::fd::AsFd, _: Option<std::time::Instant>) {}
//! loop {
//!     poll(&router, router.poll_timeout()); // readable, or due
//!     router.process()?;
//! }
//! # }
//! ```
//!
//! # More than one virtual router, more than one configuration
//!
//! A gateway with two links has two virtual routers, which [`RouterBuilder::sync_group`] makes Master together or not at all.
//! [`Handle::apply`] gives one that runs another configuration, without leaving the election.
//!
//! # What protects an election
//!
//! - Queued datagrams are read before any deadline is acted upon, so that a process that was stopped hears the present Master
//!   before it believes in its silence; a receive queue that overflowed counts as having heard something. A
//!   hypervisor that stops the guest's clock is not covered.
//! - A flood cannot silence a Master: due advertisements go out after every 64 datagrams. Nor does it delay another interface: at most
//!   1,024 datagrams of a socket are read before the others have their turn.
//! - What is due together leaves by one system call, before anything that takes longer. A Master may advertise up to a hundredth of
//!   its interval, and a millisecond at most, before its time to leave with the others; never later.
//! - Real-time priority, locked memory and a small timer slack, if asked for: [`Scheduling`].
//! - Several [`Path`]s to [named peers](VirtualRouter::peer): one broken line between two hosts makes no second Master.
//! - A [guard](VirtualRouter::guard), on a thread of its own, is asked before a Master that has fallen silent is replaced: ready-made
//!   ones are [`VipProbe`], [`PeerPing`], [`GatewayPing`] and [`LockFile`].
//! - A kernel filter passes our VRIDs only; advertisements of foreign ones cost no wake-up (and are not counted).
//! - A [sentinel](RouterBuilder::sentinel), a small process beside this one, says farewell for a Master that was killed.
//! - Thousands of addresses are added in chunks of about a millisecond, each announced as soon as it is present, with timers and
//!   sockets served in between.
//! - Whatever is configured is listed in a journal first (`<run directory>/<namespace>-<interface>-<ip version>-<vrid>.journal`). Its
//!   lock keeps a second process from running the same virtual router, and the successor of a killed process removes what is listed.
//!   An address that somebody else had configured is adopted by a Master (and leaves with its mastership), and not touched before. The
//!   owner (priority 255) never removes what was there before.
//!
//! # What is on the link
//!
//! By default addresses move to the interface's own MAC address, as with keepalived, and every host on the link learns it from gratuitous ARPs and unsolicited
//! neighbour advertisements. [`VirtualMac`] moves the virtual MAC address of RFC 9568 §7.3 along with them. A Master takes packets
//! for its addresses unless [`VirtualRouter::accept_mode`] is false. What somebody else takes away is taken back, or given up: [`EventKind::AddressLost`].
//!
//! # Names
//!
//! *Master*, *Backup* and *Initialize* are the states of RFC 3768; RFC 9568 calls the Master *Active*. What
//! keepalived calls FAULT is `Initialize` with a non-empty set of [`Faults`].
//!
//! # What it does not do
//!
//! Consensus: in a partition both sides may be Master. See the README for more.

#![cfg(target_os = "linux")]

mod address;
mod addresses;
mod announce;
mod apply;
mod builder;
mod devices;
mod election;
mod error;
mod event;
mod guard;
mod handle;
mod instance;
mod kernel;
mod links;
mod namespace;
mod orders;
mod orphans;
mod outbox;
mod path;
mod port;
mod promotion;
mod refusal;
mod reports;
mod route;
mod router;
mod running;
mod scheduling;
mod sentinel;
mod socket;
mod status;
mod sync_group;
mod sys;
mod virtual_mac;
mod virtual_router;
mod watch;

pub use address::{VirtualAddress, VirtualAddressError};
pub use apply::ApplyError;
pub use builder::RouterBuilder;
pub use devices::VirtualMacError;
pub use election::{Election, Leadership};
pub use error::{
    BuildError, CampaignError, RemoveError, SetTrackerError, ShutdownError, Stopped,
    UnknownVirtualRouter,
};
pub use event::{Difference, Event, EventKind, Events};
pub use guard::{
    AllOf, AnyOf, GatewayPing, Guard, LockFile, LockFileError, PeerPing, Question, VipProbe,
};
pub use handle::{Handle, Lost};
pub use journal::JournalError;
pub use orphans::{Orphan, remove_orphans};
pub use path::Path;
pub use route::VirtualRoute;
pub use router::Router;
pub use running::RunningRouter;
pub use scheduling::{Scheduling, SchedulingError};
pub use sentinel::{Sentinel, ServeError, Served, serve_as_sentinel};
pub use status::{PathStatus, Status, SyncGroupStatus, TrackerStatus, VirtualRouterStatus};
pub use vip_netlink::{Announcements, Metric, NextHop, Route, RouteKind, Rule, RuleAction};
pub use virtual_mac::VirtualMac;
pub use virtual_router::VirtualRouter;
pub use watch::Restarts;

pub use vrrp_fsm::vrrp_proto::{
    AddressFamily, Authentication, ChecksumForm, HeaderKey, Password, Priority, TrailerKey,
    TrailerKeyError, TtlCoverage, Version, Vrid,
};
pub use vrrp_fsm::{
    AddressListPolicy, AddressesLostPolicy, AntiReplay, ChecksumPolicy, Condition, ConfigError,
    Conflict, Counter, Discard, Fault, Faults, GuardConfig, HopLimitPolicy, Influence,
    OwnerReception, Reason, ReleasePolicy, SendFailurePolicy, State, Statistics, Tracker,
    TrailerConfig, TrailerMode, TrailingOctetsPolicy, Verdict, WeightError, Why,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
