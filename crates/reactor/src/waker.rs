//! Ending a wait from another thread.

use core::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// Ends the present or next wait of the [`Reactor`](crate::Reactor) it came from. Cheap to clone, usable from any thread and from a
/// signal handler's thread; wakes that come before the reactor waits are merged into one.
#[derive(Clone)]
pub struct Waker(Arc<OwnedFd>);

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waker").field(&self.0).finish()
    }
}

impl Waker {
    pub(crate) fn new(descriptor: Arc<OwnedFd>) -> Self {
        Self(descriptor)
    }

    pub(crate) fn descriptor() -> io::Result<OwnedFd> {
        Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
    }

    /// Ends the wait. It cannot fail: the only error of the write is a full counter, and then a wake is pending anyway.
    pub fn wake(&self) {
        let written = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
        debug_assert!(
            matches!(written, Ok(8) | Err(Errno::AGAIN)),
            "write to an eventfd: {written:?}"
        );
    }

    pub(crate) fn drain(descriptor: &OwnedFd) -> io::Result<()> {
        match rustix::io::read(descriptor, &mut [0_u8; 8]) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
