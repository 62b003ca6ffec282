//! The VRRP election as a pure state machine: no I/O, no clock, no threads.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod contention;
mod datagram;
mod demux;
mod discard;
mod effects;
mod encode;
mod fault;
mod output;
mod reason;
mod receive;
mod recovery;
mod state;
mod statistics;
mod time;
mod timers;
mod virtual_router;
mod why;

pub use config::{
    AddressListPolicy, AddressesLostPolicy, ChecksumPolicy, Config, ConfigError, HopLimitPolicy,
    PathConfig, PathId, PathMode, ReleasePolicy, SendFailurePolicy,
};
pub use datagram::Datagram;
pub use demux::{Demux, Key, Route};
pub use discard::{Counter, Discard};
pub use encode::{EncodeError, MAX_DATAGRAM_LEN};
pub use fault::{Fault, Faults};
pub use output::{EffectFailed, EffectId, Output, Send, SendFailed, Wanted};
pub use reason::Reason;
pub use state::{Heard, State};
pub use statistics::Statistics;
pub use time::Instant;
pub use virtual_router::VirtualRouter;
pub use vrrp_proto;
pub use why::Why;
