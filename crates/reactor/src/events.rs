//! A batch of events.

use core::mem::MaybeUninit;
use std::io;

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

/// The most events a wait returns; more stay in the kernel for the next.
const MOST: usize = 256;

/// A reusable batch of events, filled by [`Reactor::wait`] and emptied by [`Events::next`].
#[derive(Debug)]
pub struct Events {
    /// Copies, because the kernel's struct holds a union with a pointer and could not be sent to another thread.
    buffer: Vec<(Registration, epoll::EventFlags)>,
    capacity: usize,
    next: usize,
    woken: bool,
}

impl Events {
    /// Room for `capacity` events a wait, 1 to 256; more stay in the kernel for the next.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, MOST);
        Self { buffer: Vec::with_capacity(capacity), capacity, next: 0, woken: false }
    }

    /// The next event of the batch whose registration is still valid.
    pub fn next(&mut self, reactor: &Reactor) -> Option<Event> {
        while let Some(&(registration, flags)) = self.buffer.get(self.next) {
            self.next = self.next.saturating_add(1);
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
        wait: impl FnOnce(&mut [MaybeUninit<epoll::Event>]) -> io::Result<&mut [epoll::Event]>,
    ) -> io::Result<()> {
        self.buffer.clear();
        self.next = 0;
        self.woken = false;
        let mut raw = [const { MaybeUninit::uninit() }; MOST];
        for event in wait(raw.get_mut(..self.capacity).unwrap_or_default())? {
            let (flags, data) = (event.flags, event.data); // copies: the kernel's struct is packed
            let registration = Registration::of(data);
            self.woken |= registration.is_waker();
            self.buffer.push((registration, flags));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_and_its_reactor_can_move_to_another_thread() {
        fn assert_send<T: Send>() {}
        assert_send::<(Reactor, Events)>();
    }
}
