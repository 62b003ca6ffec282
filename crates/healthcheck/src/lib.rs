//! Health checks: does this server answer? Tens of thousands of them on one thread, with no thread and no task for any.
//!
//! Three layers, each usable alone:
//!
//! - [`Machine`]: one run of one check as a pure function of bytes: `connected`, `data`, `closed`, `timeout` in;
//!   `Transmit`, `Close`, `Reconnect`, `Done` out. [`TcpCheck`], [`ExchangeCheck`], [`HttpCheck`], [`SmtpCheck`], [`UdpCheck`], [`DnsCheck`],
//!   [`PingCheck`]. They know no socket: HTTPS is [`HttpCheck`] over another transport.
//! - [`Schedule`]: when to run, and what a row of results means: how often, how soon again in doubt, how many failures make a
//!   server [`Outcome::Down`] and how many successes [`Outcome::Up`]. Pure too: time is an argument.
//! - [`Driver`]: opens transports (TCP, TLS, UDP, ICMP, a program, a file) and steps all machines and schedules from one epoll descriptor. It is
//!   step-able: put its descriptor into any loop, call [`Driver::process`] when it is readable or [`Driver::poll_timeout`] is due, and then drain
//!   [`Driver::poll_event`].
//!
//! | what | how |
//! |---|---|
//! | a port accepts connections; a service greets or answers as expected | [`Kind::Tcp`], [`Kind::Exchange`] |
//! | a page: status, digest, pattern; several pages; virtual hosts | [`Kind::Http`] |
//! | the same, or any of the above, over TLS | `Check::tls` (feature `tls`) |
//! | a mail server, a name server, a datagram service, a host | [`Kind::Smtp`], [`Kind::Dns`], [`Kind::Udp`], [`Kind::Ping`] |
//! | a program's exit code | [`Check::script`], and [`process`] to start programs without a driver |
//! | a number that somebody else writes into a file | [`Check::file`] |
//!
//! **What a result is.** A [`Failure`] is the server's, or the path's. What fails on this machine (no descriptor, no process, a source address that
//! is gone) is a [`Local`] reason: no result, tried again later, and an [`Event`] with `silent` when it lasts. A driver that is not stepped
//! any more is found by its [`Watchdog`], from another thread.
//!
//! **Equal checks are one.** However many services ask for the same check of the same server, it runs once, and everybody hears of it.
//!
//! **Bounds.** A head of 16 KiB, a reply line of 1 KiB, a body as long as [`Request::body_limit`], what a program prints up to
//! [`Program::keep_output`](process::Program::keep_output); every run ends with its time. One event reads four pieces of 16 KiB of one
//! connection at most, so that no server holds the loop.
//!
//! **Through the forwarding path.** A check with [`Source::mark`] whose target is the virtual address goes where packets with
//! that mark go: with a routing rule, or a service of IPVS by that mark with one server, to the one real server as its clients' packets do (direct
//! routing, tunnel). So the check proves that the real server has the address, too.
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
//! What it does not do: resolve names (an address is an address; resolve before there is a check), start threads, log, or act on an outcome; that is the
//! `lvs` crate. TLS is 1.2 and 1.3: servers with nothing newer than TLS 1.1 or without forward secrecy fail. Patterns are those of the `regex`
//! crate, which have no look-around. A program is loaded by a blocking call: keep it on a local file system; so is a file read.

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
