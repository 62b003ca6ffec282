//! A small event loop for one thread: epoll with nanosecond timeouts, a waker, and a heap of deadlines.
//!
//! It is what the assemblies of this project wait on, and nothing more: no tasks, no futures, no callbacks.
//!
//! - [`Reactor`] holds the epoll instance. [`Reactor::register`] names a descriptor with a [`Token`] and returns a
//!   [`Registration`], which carries a generation: an event of a descriptor that was closed earlier in the same batch is
//!   dropped instead of being delivered to whoever got the slot next.
//! - [`Timers`] is a heap of deadlines by key with update and cancellation in O(log n). It knows no clock: the caller passes
//!   `now`, and gives [`Timers::next_deadline`] to [`Reactor::wait`].
//! - [`Waker`] ends a wait from another thread.
//! - [`Clock`] is the only reader of the clock.
//!
//! A reactor is itself a pollable descriptor ([`AsFd`](std::os::fd::AsFd)), so that something built on one can be stepped from a foreign
//! loop: readable means that [`Reactor::poll`] has events.
//!
//! ```
//! use core::time::Duration;
//! use reactor::{Clock, Events, Interest, Reactor, Timers, Token};
//!
//! # fn main() -> std::io::Result<()> {
//! let (mut near, far) = std::os::unix::net::UnixStream::pair()?;
//! let mut reactor = Reactor::new()?;
//! let mut events = Events::with_capacity(64);
//! reactor.register(&far, Interest::Readable, Token(7))?;
//!
//! let mut timers = Timers::new();
//! timers.set("give up", Clock::now() + Duration::from_secs(5));
//!
//! std::io::Write::write_all(&mut near, b"x")?;
//! reactor.wait(timers.next_deadline(), &mut events)?;
//! let event = events.next(&reactor).expect("one byte is waiting");
//! assert_eq!((event.token(), event.readable()), (Token(7), true));
//! assert_eq!(timers.pop_due(Clock::now()), None);
//! # Ok(())
//! # }
//! ```
//!
//! Linux 5.11 or newer (`epoll_pwait2`). Deadlines are exact: they go through a timer descriptor. Not for: many threads on one loop, file I/O, other systems.

#![forbid(unsafe_code)]

mod clock;
mod events;
mod hash;
mod poll;
mod timers;
mod waker;

pub use clock::Clock;
pub use events::{Event, Events};
pub use hash::{KeyHash, KeyHasher};
pub use poll::{Interest, Reactor, Registration, Token};
pub use timers::Timers;
pub use waker::Waker;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
