//! A batch of events.

use core::fmt;
use std::io;

use rustix::buffer::{SpareCapacity, spare_capacity};
use rustix::event::epoll;

use crate::poll::{Reactor, Registration, Token};

/// What happened to one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    token: Token,
    registration: Registration,
    flags: epoll::EventFlags,
}

impl Event {
    /// The name given at registration.
    #[must_use]
    pub fn token(self) -> Token {
        self.token
    }

    /// The registration the event belongs to.
    #[must_use]
    pub fn registration(self) -> Registration {
        self.registration
    }

    /// A read would not block; it may also report the end or an error.
    #[must_use]
    pub fn readable(self) -> bool {
        self.flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP) || self.closed()
    }

    /// A write would not block, or a connect has ended; it may also report an error.
    #[must_use]
    pub fn writable(self) -> bool {
        self.flags.contains(epoll::EventFlags::OUT) || self.closed()
    }

    /// An error is pending, or both directions are closed.
    #[must_use]
    pub fn closed(self) -> bool {
        self.flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP)
    }
}

/// A reusable batch of events, filled by [`Reactor::wait`] and emptied by [`Events::next`].
pub struct Events {
    buffer: Vec<epoll::Event>,
    next: usize,
    woken: bool,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("len", &self.buffer.len())
            .field("next", &self.next)
            .field("woken", &self.woken)
            .finish_non_exhaustive()
    }
}

impl Events {
    /// Room for `capacity` events a wait, at least one; more stay in the kernel for the next.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: Vec::with_capacity(capacity.max(1)), next: 0, woken: false }
    }

    /// The next event of the batch whose registration is still valid.
    pub fn next(&mut self, reactor: &Reactor) -> Option<Event> {
        while let Some(event) = self.buffer.get(self.next) {
            self.next = self.next.saturating_add(1);
            let (flags, data) = (event.flags, event.data); // copies: the kernel's struct is packed
            let registration = Registration::of(data);
            if let Some(token) = reactor.token(registration) {
                return Some(Event { token, registration, flags });
            }
        }
        None
    }

    /// Whether a [`Waker`](crate::Waker) ended the wait.
    #[must_use]
    pub fn woken(&self) -> bool {
        self.woken
    }

    pub(crate) fn fill(
        &mut self,
        wait: impl FnOnce(SpareCapacity<'_, epoll::Event>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.buffer.clear();
        self.next = 0;
        self.woken = false;
        wait(spare_capacity(&mut self.buffer))?;
        self.woken = self.buffer.iter().any(|event| {
            let data = event.data; // a copy: the kernel's struct is packed
            Registration::of(data).is_waker()
        });
        Ok(())
    }
}
