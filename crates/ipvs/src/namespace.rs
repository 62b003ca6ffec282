//! Network namespaces other than the caller's.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Stat, fstat};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::connection::Connections;

/// The namespace of the calling thread.
pub(crate) fn current() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// Does something on a thread of its own that is in `namespace`; the caller stays where it is.
pub(crate) fn inside<T: Send>(
    namespace: BorrowedFd<'_>,
    job: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("ipvs-netns".to_owned());
        let thread = thread.spawn_scoped(scope, || {
            move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
            Ok(job())
        })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Reads a connection table of `namespace`.
pub(crate) fn connections(
    namespace: BorrowedFd<'_>,
    file: &str,
    limit: usize,
) -> io::Result<Connections> {
    let read = || {
        let file = File::open(format!("/proc/thread-self/net/{file}"))?;
        Connections::read(BufReader::new(file), limit)
    };
    if is_same(current()?.as_fd(), namespace)? { read() } else { inside(namespace, read)? }
}

fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
    Ok(identity(fstat(one)?) == identity(fstat(other)?))
}
