//! The VRRP election as a pure state machine: no I/O, no clock, no threads.
//!
//! A VRRP router shares virtual addresses with others on its link: one of them, the Master, answers
//! for the addresses and advertises; the others, the Backups, take over when its advertisements
//! stay away. This crate is the part that decides (RFC 9568 §6, RFC 3768 §6), for one virtual
//! router or many. RFC 9568 calls the Master Active; everything else in the field says Master.
//!
//! # Mental model
//!
//! ```text
//!             Datagram ----.                          .---> Output::Send ----> encode() -> bytes
//!   (Demux finds the      |     +----------------+    |
//!    virtual router)      +---->| VirtualRouter  |----+---> Output::SetAddresses --.
//!   handle_timeout(now) --+     |  Config        |    |                           |
//!   handle_fault(..) -----+     |  State, timers |    +---> Output::Announce      |
//!   handle_effect(..) <---+-.   +----------------+    `---> Output::StateChanged  |
//!                           |          |                                          |
//!                           |          `-> poll_timeout() -> the next deadline    |
//!                           `-----------------------------------------------------'
//! ```
//!
//! - [`VirtualRouter`] is one election. Its documentation has the state diagram and the contract
//!   between it and its caller: what to call when, in which order outputs come, what happens to
//!   failures.
//! - [`Config`] is what an operator decides; it is validated as a whole.
//! - [`Datagram`] is what came from a raw socket, unchecked: the whole receive ladder is in here.
//!   What does not pass is a [`Discard`], and each cause has a [`Counter`] in [`Statistics`].
//! - [`PathConfig`] and [`PeerConfig`] make it reach the others over more than one network.
//! - [`GuardConfig`] gives a third party a say before a silent Master is replaced.
//! - [`Output`] is what has to be done, in order; results come back as inputs.
//! - [`SyncGroup`] makes several virtual routers change state together.
//! - [`Demux`] finds the virtual router a datagram is for.
//! - [`Tracking`] makes an effective priority and faults of the state of watched objects.
//! - [`Instant`] is a moment of the caller's monotonic clock. Everything between moments is a
//!   [`Duration`](core::time::Duration), computed in nanoseconds.
//!
//! # Example
//!
//! Two routers on a link that delivers at once: the one with priority 200 becomes Master, and the
//! other one when the first leaves.
//!
//! ```
//! use vrrp_fsm::{Config, Datagram, Instant, MAX_DATAGRAM_LEN, Output, PathId, State, VirtualRouter};
//! use vrrp_fsm::vrrp_proto::{AddressFamily, Priority, Vrid};
//! # type Result<T> = core::result::Result<T, Box<dyn std::error::Error>>;
//!
//! fn router(source: &str, priority: u8) -> Result<VirtualRouter> {
//!     let config = Config::new(Vrid::new(51)?, AddressFamily::Ipv4)
//!         .priority(Priority::new(priority))
//!         .virtual_addresses(vec!["192.0.2.1".parse()?]);
//!     let mut router = VirtualRouter::new(config, u64::from(priority))?;
//!     router.handle_source_address(Instant::ZERO, PathId::FIRST, Some(source.parse()?));
//!     router.handle_startup(Instant::ZERO);
//!     Ok(router)
//! }
//!
//! /// Carries out what `router` wants: its packets go to `other`, its effects succeed.
//! fn carry_out(router: &mut VirtualRouter, other: &mut VirtualRouter, now: Instant) -> Result<()> {
//!     let mut buffer = [0; MAX_DATAGRAM_LEN];
//!     while let Some(output) = router.poll_output() {
//!         match output {
//!             Output::Send(send) => {
//!                 for to in router.destinations(PathId::FIRST) {
//!                     let packet = router.encode(&send, PathId::FIRST, to, &mut buffer)?;
//!                     other.handle_datagram(now, Datagram::ipv4(PathId::FIRST, packet)?)?;
//!                 }
//!                 router.handle_send(now, PathId::FIRST, Ok(()));
//!             }
//!             Output::SetAddresses { id, .. } => router.handle_effect(now, id, Ok(())),
//!             Output::Announce
//!             | Output::AskPromotion { .. }
//!             | Output::StateChanged { .. }
//!             | Output::Contended { .. }
//!             | Output::Conflict { .. } => {}
//!         }
//!     }
//!     Ok(())
//! }
//!
//! let (mut a, mut b) = (router("192.0.2.7", 200)?, router("192.0.2.8", 100)?);
//! let mut now = Instant::ZERO;
//! for _ in 0..10 {
//!     now = a.poll_timeout().ok_or("no timer")?;
//!     a.handle_timeout(now);
//!     carry_out(&mut a, &mut b, now)?;
//! }
//! assert_eq!((a.state(), b.state()), (State::Master, State::Backup));
//!
//! a.handle_shutdown(now); // leaves with priority 0, so that b need not wait three intervals
//! carry_out(&mut a, &mut b, now)?;
//! let deadline = b.poll_timeout().ok_or("no timer")?;
//! assert_eq!(deadline, now + core::time::Duration::from_micros(609_375));
//! assert_eq!(b.why(now).to_string(), "192.0.2.7 has left, replaces it in 609.4ms");
//! b.handle_timeout(deadline);
//! assert_eq!(b.state(), State::Master);
//! # Result::Ok(())
//! ```
//!
//! # Against two Masters at once
//!
//! Whoever hears nothing of a Master cannot know whether it is dead. Three things help, and they can
//! be combined:
//!
//! - **More lines.** With several paths in [`Config::paths`] one broken line, one blocked port, one
//!   full queue is not enough: see [`PathConfig`].
//! - **A third opinion.** With [`Config::guard`] somebody is asked before a *silent* Master is
//!   replaced, such as a probe whether it still answers for its addresses:
//!
//!   ```
//!   use core::time::Duration;
//!   use vrrp_fsm::{Config, GuardConfig, Instant, Output, PathId, State, Verdict, VirtualRouter};
//!   use vrrp_fsm::vrrp_proto::{AddressFamily, Vrid};
//!
//!   let guard = GuardConfig::new(Duration::from_millis(20), Verdict::Veto);
//!   let config = Config::new(Vrid::new(51)?, AddressFamily::Ipv4)
//!       .virtual_addresses(vec!["192.0.2.1".parse()?])
//!       .guard(Some(guard));
//!   let mut router = VirtualRouter::new(config, 0)?;
//!   router.handle_source_address(Instant::ZERO, PathId::FIRST, Some("192.0.2.7".parse()?));
//!   router.handle_startup(Instant::ZERO);
//!   while router.poll_output().is_some() {}
//!
//!   let now = router.poll_timeout().ok_or("no timer")?; // a master-down interval of silence
//!   router.handle_timeout(now);
//!   let Some(Output::AskPromotion { ticket, .. }) = router.poll_output() else { panic!() };
//!   assert_eq!(
//!       router.why(now).to_string(),
//!       "no master was heard; waits for the guard's verdict, at most 20.0ms"
//!   );
//!   router.handle_verdict(now, ticket, Verdict::Promote); // it does not answer
//!   assert_eq!(router.state(), State::Master);
//!   # Ok::<(), Box<dyn std::error::Error>>(())
//!   ```
//!
//!   What happens while it is asked is [here](VirtualRouter#guards). A [`SyncGroup`] asks
//!   [once for all its members](SyncGroup#guard).
//! - **A loser that stops.** A Master whose advertisements do not leave, or that wakes up too late,
//!   releases the addresses: see [`VirtualRouter`](VirtualRouter#when-effects-fail).
//!
//! # What it does not do
//!
//! It opens no socket, changes no address and reads no clock: the crate `vrrp` does, and `vrrp-sim`
//! does so in simulated time. Nobody here watches what [`Tracking`] is told of.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

/// Compiles and runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod canonical;
mod config;
mod config_error;
mod conflict;
mod contention;
mod copies;
mod datagram;
mod demux;
mod dialect;
mod discard;
mod effects;
mod encode;
mod farewell;
mod fault;
mod guard;
mod inputs;
mod membership;
mod output;
mod path;
mod peer;
mod policy;
mod reason;
mod receive;
mod recovery;
mod refresh;
mod sequences;
mod state;
mod statistics;
mod sync_group;
mod time;
mod timers;
mod tracking;
mod trailer;
mod validate;
mod virtual_router;
mod why;

pub use config::Config;
pub use config_error::ConfigError;
pub use conflict::Conflict;
pub use datagram::Datagram;
pub use demux::{Demux, Key, Route};
pub use discard::{Counter, Discard};
pub use encode::{EncodeError, MAX_DATAGRAM_LEN};
pub use fault::{Fault, Faults};
pub use guard::{GuardConfig, Ticket, Verdict};
pub use membership::{GroupCommand, Standing};
pub use output::{EffectFailed, EffectId, Output, Send, SendFailed, Wanted};
pub use path::{MAX_PATHS, PathConfig, PathId, PathMode, PathStatus, Paths};
pub use peer::PeerConfig;
pub use policy::{
    AddressListPolicy, AddressesLostPolicy, ChecksumPolicy, HopLimitPolicy, OwnerReception,
    ReleasePolicy, SendFailurePolicy, TrailingOctetsPolicy,
};
pub use reason::Reason;
pub use state::{Heard, State};
pub use statistics::Statistics;
pub use sync_group::{EmptySyncGroup, MemberId, SyncGroup, SyncGroupOutput};
pub use time::Instant;
pub use tracking::{
    Condition, Influence, Tracker, TrackerId, Tracking, TrackingOutput, WeightError,
};
pub use trailer::{AntiReplay, TrailerConfig, TrailerMode};
pub use virtual_router::VirtualRouter;
pub use vrrp_proto;
pub use why::Why;
