//! VRRP elections in virtual time: real state machines over lossy links, seeded and replayable.
//!
//! What happens to your service when a cable loses packets one way for five seconds while the standby
//! is paused? A [`Simulation`] tells in microseconds, and tells the same every time. Its routers are
//! `vrrp_fsm::VirtualRouter`s, stepped as an adapter on a host would step them: octets from `encode`
//! travel over a simulated wire into `handle_datagram`, addresses take time to install and may fail
//! to, timers are served late, clocks drift.
//!
//! # The model
//!
//! ```text
//!   Simulation = seed + virtual clock + queue of what is under way
//!     |-- routers: a real machine each, Conditions around it (how long, how likely, how late)
//!     |-- Links between them, one a direction: delay, jitter, reordering, loss, duplication, cuts
//!     |-- Invariants, checked after every step; Bounds, checked when the network is quiet
//!     |-- Counterexamples, seen when they happen; what you watch yourself
//!     `-- Tally of what happened how often; Timeline of what happened when, with a drawing
//! ```
//!
//! Time only passes in [`run_for`](Simulation::run_for) and its like. Everything that steps a machine
//! returns the [`Violation`] it led to, with the seed that leads there again.
//!
//! # Example
//!
//! ```
//! use core::{net::IpAddr, time::Duration};
//! use vrrp_sim::{Simulation, vrrp_fsm::{Config, vrrp_proto::{AddressFamily, Priority, Vrid}}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = |priority| {
//!     Ok::<_, Box<dyn std::error::Error>>(
//!         Config::new(Vrid::new(51)?, AddressFamily::Ipv4)
//!             .priority(Priority::new(priority))
//!             .virtual_addresses(vec![IpAddr::from([192, 0, 2, 1])]),
//!     )
//! };
//! let mut sim = Simulation::new(42);
//! let left = sim.add_router("left", config(200)?, IpAddr::from([192, 0, 2, 2]))?;
//! let right = sim.add_router("right", config(100)?, IpAddr::from([192, 0, 2, 3]))?;
//! sim.start_all()?;
//! assert_eq!(sim.settle()?, Some(left));
//!
//! sim.partition(&[&[left], &[right]]);
//! sim.run_for(Duration::from_secs(5))?;
//! assert_eq!(sim.masters().count(), 2); // which no protocol without a third party can prevent
//!
//! assert_eq!(sim.settle()?, Some(left)); // heals, and checks that it is over in time
//! let takeover = sim.fail_over()?.expect("right takes over");
//! assert!(takeover.after < Duration::from_millis(3_700));
//! println!("{}", sim.timeline().expect("recorded by default"));
//! # Ok(()) }
//! ```
//!
//! # A campaign
//!
//! One world proves little. [`Scenario::random`] makes as many as there are seeds, [`Report`] runs them
//! and says what happened how often, and what never did. One that breaks something becomes as small
//! as it gets, then a program to keep and a picture to look at:
//!
//! ```
//! use vrrp_sim::{Report, Scenario};
//!
//! let mut report = Report::default();
//! for seed in 0..20 {
//!     if let Some(failure) = report.run(&Scenario::random(seed))? {
//!         let small = failure.shrink();
//!         println!("{small}{}", small.scenario.to_rust()); // or small.save(directory)
//!         panic!("{}", failure.violation);
//!     }
//! }
//! println!("{report}");
//! # Ok::<(), vrrp_sim::vrrp_fsm::ConfigError>(())
//! ```
//!
//! What one would like to believe of VRRP and is not so is a [`Counterexample`]: each can be made to
//! happen, is counted when it does, and breaks an invariant where it is supposed to be excluded.
//!
//! # Your own service
//!
//! A service that follows the election can be stepped along: [`Simulation::watched`] shows the
//! simulation to it after every step, and what it complains about is a broken invariant like any
//! other. Here it is the belief that at most one router has the addresses:
//!
//! ```
//! use vrrp_sim::{Invariant, Scenario, Simulation};
//!
//! let alone = |sim: &Simulation| match sim.holders().count() {
//!     0 | 1 => Ok(()),
//!     many => Err(format!("{many} routers have the addresses")),
//! };
//! let fails = |scenario: &Scenario| {
//!     let (_, result) = scenario.run(Simulation::new(scenario.seed).watched(alone)).ok()?;
//!     result.err().filter(|violation| violation.invariant == Invariant::Watched)
//! };
//! let scenario = (0..).map(Scenario::random).find(|scenario| fails(scenario).is_some());
//! let small = scenario.expect("any partition does").shrink(|scenario| fails(scenario).is_some());
//! assert_eq!(small.routers.len(), 2);
//! println!("{}{}", fails(&small).expect("still"), small.to_rust());
//! ```
//!
//! The example `service_failover` in the repository goes on from there: a replicated counter that
//! loses counts as long as it takes mastership for a lock, and none with a fencing token.
//!
//! # What it does not do
//!
//! - Routers have one path each, all of them on one link. Several virtual routers in one process are
//!   [joined](Simulation::join) from several routers, as a sync group.
//! - There are no hosts that learn ARP entries: who has the addresses is known, who is reached is not.
//! - A host is either well, paused, crashed, or its process killed; it does not run slowly.
#![forbid(unsafe_code)]

mod acts;
mod bounds;
mod campaign;
mod chance;
mod counterexample;
mod forge;
mod host;
mod input;
mod invariants;
mod local_clock;
mod network;
mod process;
mod queue;
mod random;
mod scenario;
mod settle;
mod shrink;
mod simulation;
mod source;
mod step;
mod svg;
mod tally;
mod timeline;
mod witness;

pub use bounds::Bounds;
pub use campaign::{Failure, Report};
pub use chance::Chance;
pub use counterexample::Counterexample;
pub use forge::Forgery;
pub use host::{Conditions, RouterId};
pub use invariants::{Invariant, Violation};
pub use network::Link;
pub use scenario::{Act, End, Participant, Round, Scenario};
pub use settle::Takeover;
pub use simulation::Simulation;
pub use step::discard_names;
pub use tally::{Subject, Tally};
pub use timeline::{Note, Timeline, What};
pub use vrrp_fsm;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
