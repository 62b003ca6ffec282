//! Another network namespace than the caller's.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, by a descriptor of it.
#[derive(Debug)]
pub(crate) struct Namespace(OwnedFd);

impl Namespace {
    pub(crate) const fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Moves the calling thread there, for good.
    pub(crate) fn enter(&self) -> io::Result<()> {
        enter(&self.0)
    }

    /// Does something there, and comes back. What comes to pass if there is no way back is an error; the thread is still there then.
    pub(crate) fn visit<T>(&self, job: impl FnOnce() -> T) -> io::Result<T> {
        let home = File::open("/proc/thread-self/ns/net")?;
        self.enter()?;
        let result = job();
        enter(&home)?;
        Ok(result)
    }
}

fn enter(namespace: &impl AsFd) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}
