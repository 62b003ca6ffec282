//! Health checks: does this server answer? Thousands of them on one thread, with no thread, task or allocation for each run.
//!
//! Three layers, each usable alone:
//!
//! - [`Machine`]: one run of one check as a pure function of bytes: `connected`, `data`, `closed`, `timeout` in;
//!   `Transmit`, `Close`, `Done` out. [`TcpCheck`] is done when the connection is, [`ExchangeCheck`] when the answer begins
//!   as expected. It knows no socket, so the same machine
//!   runs over any transport.
//! - [`Schedule`]: when to run, and what a row of results means: how often, how soon again after a failure, how many failures make a
//!   server [`Outcome::Down`] and how many successes [`Outcome::Up`]. Pure too: time is an argument.
//! - [`Driver`]: opens the connections and steps all machines and schedules from one epoll descriptor. It is step-able: put
//!   its descriptor into any loop, call [`Driver::process`] when it is readable or [`Driver::poll_timeout`] is due, and then drain
//!   [`Driver::poll_event`].
//!
//! ```
//! use core::time::Duration;
//! use healthcheck::{Check, CheckId, Driver, Kind, Outcome, Timing};
//! use reactor::{Clock, Events, Interest, Reactor, Token};
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let mut driver = Driver::new(1)?;
//! let timing = Timing::new().interval(Duration::from_secs(2)).start_jitter(Duration::ZERO);
//! driver.add(Clock::now(), CheckId(1), Check::new(listener.local_addr()?, Kind::Tcp).timing(timing));
//!
//! // Any loop will do; this one is the reactor's.
//! let mut reactor = Reactor::new()?;
//! reactor.register(&driver, Interest::Readable, Token(0))?;
//! let mut events = Events::with_capacity(8);
//! let event = loop {
//!     reactor.wait(driver.poll_timeout(), &mut events)?;
//!     driver.process(Clock::now())?;
//!     if let Some(event) = driver.poll_event() {
//!         break event;
//!     }
//! };
//! assert_eq!((event.id, event.outcome), (CheckId(1), Outcome::Up));
//! # Ok(())
//! # }
//! ```
//!
//! What it does not do: resolve names, start threads, log, or act on an outcome; that is the `lvs` crate.

mod check;
mod connection;
mod datagram;
mod dns;
mod driver;
mod ending;
mod exchange;
mod file;
mod http;
mod machine;
mod outcome;
mod ping;
pub mod process;
mod schedule;
mod script;
mod smtp;
mod sys;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod udp;

pub use check::{Check, CheckId, Kind, Source};
pub use dns::{DnsCheck, DnsNameError, DnsQuery, RecordType, UnknownRecordType};
pub use driver::{Driver, Event, Status, Watchdog};
pub use exchange::ExchangeCheck;
pub use file::{FileCheck, NumberRule};
#[cfg(feature = "regex")]
pub use http::{BodyMatch, PatternError};
pub use http::{Digest, Http, HttpCheck, HttpVersion, Method, Request, RequestError};
pub use machine::{Machine, Output};
pub use outcome::{Failure, Local, Outcome};
pub use ping::PingCheck;
pub use schedule::{Change, Schedule, Timing};
pub use script::Script;
pub use smtp::{HelloNameError, Smtp, SmtpCheck};
pub use tcp::TcpCheck;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
pub use udp::{Reply, Udp, UdpCheck};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
