//! A netlink socket for programs that configure the kernel: requests, dumps, batches and events.
//!
//! The crate does the *envelope* and nothing else: message headers, sequence numbers,
//! acknowledgements, extended error texts, interrupted dumps, lost events. What a message says
//! (an address, a link, a load-balancer service) are bytes to it, written with [`Payload`] and
//! read with [`Attributes`]. No type of another crate appears in its interface.
//!
//! ```text
//!  Payload --> Request --> Socket::request   one message, its acknowledgement
//!                          Socket::query     one message, data replies, acknowledgement
//!                          Socket::dump      a whole table, each entry once, consistent
//!                          Socket::batch     thousands of messages, one result for each
//!                          Socket::transaction     netfilter: all of them or none
//!  Monitor::poll  <-- the kernel's notifications; says when some were lost
//! ```
//!
//! Everything blocks only as long as the kernel works on the message: the kernel handles netlink
//! requests inside `send`, so an answer that is not there afterwards is an error and not a wait.
//!
//! # Example
//!
//! ```
//! use netlink::{Attributes, Flags, Payload, Protocol, Request, Socket, message_type};
//!
//! // struct ifinfomsg, zeroed: every link of this network namespace.
//! let dump = Request::new(message_type::RTM_GETLINK, Flags::NONE, Payload::with_header(&[0; 16]));
//! let mut names = Vec::new();
//! Socket::open(Protocol::Route)?.dump(&dump, |_, link| {
//!     let name = Attributes::after(link, 16).first(3 /* IFLA_IFNAME */);
//!     names.extend(name.and_then(|name| name.text()).map(str::to_owned));
//! })?;
//! assert!(names.iter().any(|name| name == "lo"));
//! # Ok::<(), netlink::RequestError>(())
//! ```
//!
//! # What it does not do
//!
//! It knows no message of any family beyond the generic-netlink family look-up, makes no threads,
//! reads no clock and does not log.

#![cfg(target_os = "linux")]

mod attribute;
mod dump;
mod error;
mod exchange;
mod family;
mod message;
mod monitor;
mod payload;
mod request;
mod socket;
mod sys;
mod transport;

pub use attribute::{Attribute, Attributes};
pub use error::{DecodeError, MonitorError, Refusal, RequestError, TransactionError, errno};
pub use message::{Message, Messages};
pub use monitor::{Group, Monitor, Progress};
pub use payload::Payload;
pub use request::{Flags, Request, message_type};
pub use socket::{Protocol, Socket};

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    //! What the fuzzer reaches and nobody else.

    /// Reads every message of a datagram as an acknowledgement.
    pub fn acknowledgement(datagram: &[u8]) {
        for message in crate::Messages::new(datagram).flatten() {
            drop(message.acknowledgement());
        }
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
