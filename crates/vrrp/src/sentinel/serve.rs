//! The sentinel's side: waits for the worker's death, then does what the testament says.

use core::fmt;
use core::time::Duration;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use journal::{Journal, JournalError};
use reactor::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use vip_netlink::{Client, Entry};
use vrrp_fsm::vrrp_proto::AddressFamily;

use super::testament::read_all;
use super::{Farewell, Will};
use crate::socket::{Device, SendSocket};
use crate::sys::Outgoing;

/// What it says when it is ready, without the end of the line.
pub(super) const READY: &str = "ready";
/// What the worker says when it ends in order.
pub(super) const GOODBYE: &[u8] = b"bye\n";

/// How long a journal's lock is waited for: the worker's death has closed it, unless a child of it has inherited it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// What a sentinel has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// The worker died. False: it ended in order, and nothing had to be done.
    pub died: bool,
    /// Packets of priority 0 that were sent.
    pub farewells: usize,
    /// Things that were removed from the kernel.
    pub removed: usize,
    /// What went wrong, in words.
    pub failures: Vec<String>,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.died {
            return f.write_str("the worker has ended in order");
        }
        let Self { farewells, removed, .. } = self;
        write!(f, "the worker has died: {farewells} farewells sent, {removed} things removed")?;
        for failure in &self.failures {
            write!(f, "; {failure}")?;
        }
        Ok(())
    }
}

/// Why there can be no sentinel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It was not started by a router.
    #[error("this program is started by a VRRP router, not by hand: {0}")]
    NotStartedByRouter(&'static str),
    /// Sockets are refused.
    #[error(
        "a sentinel needs {needs}, as its router does (systemd: AmbientCapabilities; a file capability of the router's program does not reach it)"
    )]
    Permission {
        /// The capability.
        needs: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// Something else.
    #[error("the sentinel cannot {what}")]
    Failed {
        /// What it was about to do.
        what: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Serves as the sentinel of the process that started this one: what a program does that was named to
/// [`RouterBuilder::sentinel`](crate::RouterBuilder::sentinel), first and last. `worker` is the process identifier in its last argument.
///
/// Returns when the worker has ended. If it ended in order, nothing is done. If it died, the Masters among its virtual routers
/// say farewell on every path, and what their journals list is removed. The caller's process should ignore SIGTERM, SIGINT and SIGHUP, so
/// that whoever stops both does not stop this one first.
///
/// # Errors
///
/// [`ServeError`]; the router that started it is told as well.
pub fn serve_as_sentinel(worker: u32) -> Result<Served, ServeError> {
    let mut link = UnixStream::from(duplicate(io::stdout().as_fd())?);
    let post = match Post::open(worker) {
        Ok(post) => post,
        Err(error) => {
            let cause = core::error::Error::source(&error);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            drop(writeln!(link, "{error}{cause}"));
            return Err(error);
        }
    };
    writeln!(link, "{READY}").map_err(failed("say that it is ready"))?;
    if post.wait(&mut link).map_err(failed("wait for its router"))? {
        return Ok(Served::default());
    }
    post.act().map_err(failed("read the testament"))
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::Failed { what, source }
}

fn duplicate(fd: std::os::fd::BorrowedFd<'_>) -> Result<OwnedFd, ServeError> {
    fd.try_clone_to_owned().map_err(failed("use its descriptors"))
}

/// A sentinel on its post.
struct Post {
    testament: File,
    /// The worker's process identifier.
    pid: u32,
    /// None if the worker had died before.
    worker: Option<OwnedFd>,
    kernel: Client,
}

impl Post {
    fn open(worker: u32) -> Result<Self, ServeError> {
        let testament = File::from(duplicate(io::stdin().as_fd())?);
        read_all(&testament)
            .map_err(|_| ServeError::NotStartedByRouter("its standard input is not a testament"))?;
        // Nobody's terminal, and no directory that somebody wants to unmount.
        rustix::process::setsid().map_err(|errno| failed("leave the terminal")(errno.into()))?;
        rustix::process::chdir("/").map_err(|errno| failed("change to /")(errno.into()))?;
        let pid = i32::try_from(worker).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(ServeError::NotStartedByRouter("no such process identifier"))?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok();
        // If it is not our parent any more, it has died, and the descriptor is another one's.
        let descriptor = descriptor.filter(|_| getppid() == Some(pid));
        // Now, to say so now: when the worker has died it is too late.
        let loopback = Device { name: "lo".to_owned(), index: 1, parent: None };
        SendSocket::open(&loopback, AddressFamily::Ipv4)
            .map(drop)
            .map_err(|source| ServeError::Permission { needs: "CAP_NET_RAW", source })?;
        let kernel =
            Client::open().map_err(|error| failed("ask the kernel")(io::Error::other(error)))?;
        Ok(Self { testament, pid: worker, worker: descriptor, kernel })
    }

    /// Waits until the worker has ended; whether it said goodbye.
    fn wait(&self, link: &mut UnixStream) -> io::Result<bool> {
        let Some(worker) = &self.worker else { return said_goodbye(link) };
        loop {
            let mut both = [PollFd::new(worker, PollFlags::IN), PollFd::new(&*link, PollFlags::IN)];
            match poll(&mut both, None) {
                // Whoever says something closes the link next; whoever dies closes it, too.
                Ok(_) => return said_goodbye(link),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn act(mut self) -> io::Result<Served> {
        let mut served = Served { died: true, ..Served::default() };
        let (mut journals, mut late) = (Vec::new(), Vec::new());
        for will in read_all(&self.testament)? {
            // Whoever is started in the worker's place waits for the lock. Either we have it, or the dying worker still does, whose packet
            // sockets take the kernel some milliseconds: the farewell does not wait for them. Or the successor runs: then it is too late.
            match open_existing(&will) {
                None => {}
                Some(Ok(locked)) => journals.push(locked),
                Some(Err(JournalError::Held { pid, .. })) if pid == Some(self.pid) => {
                    late.push(will.clone());
                }
                Some(Err(error)) => {
                    served.failures.push(format!("{}: {error}", will.name));
                    continue;
                }
            }
            for farewell in &will.farewells {
                match send(farewell) {
                    Ok(()) => served.farewells += 1,
                    Err(error) => served.failures.push(format!(
                        "{}: no farewell to {} on {}: {error}",
                        will.name, farewell.destination, farewell.interface
                    )),
                }
            }
        }
        for will in late {
            match lock(&will) {
                Ok(journal) => journals.extend(journal),
                Err(error) => served.failures.push(format!("{}: {error}", will.name)),
            }
        }
        for (mut journal, entries) in journals {
            // The last one first, as they depend on each other.
            for text in entries.into_iter().rev() {
                let undone = match text.parse::<Entry>() {
                    Ok(entry) => {
                        self.kernel.undo(&entry).map(drop).map_err(|error| error.to_string())
                    }
                    Err(error) => Err(error.to_string()),
                };
                match undone {
                    Ok(()) => {
                        served.removed += 1;
                        drop(journal.forget(&text));
                    }
                    // It stays listed, for whoever runs this virtual router next.
                    Err(error) => served.failures.push(format!("{text}: {error}")),
                }
            }
        }
        Ok(served)
    }
}

/// What the worker said last, if anything. The link tells nothing while it lives.
fn said_goodbye(link: &mut UnixStream) -> io::Result<bool> {
    link.set_nonblocking(true)?;
    let mut said = [0; GOODBYE.len()];
    match link.read(&mut said) {
        Ok(length) => Ok(said.get(..length) == Some(GOODBYE)),
        // The worker's children have inherited nothing of ours, but a process may die before its descriptors are closed.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
        Err(error) => Err(error),
    }
}

type Locked = (Journal, Vec<String>);

/// The journal of a virtual router, unless it is gone; opening one that is not there would make it.
fn open_existing(will: &Will) -> Option<Result<Locked, JournalError>> {
    will.journal.exists().then(|| Journal::open(&will.journal))
}

/// The same, when its lock is free. An error if somebody else has it.
fn lock(will: &Will) -> Result<Option<Locked>, JournalError> {
    let end = Clock::now() + LOCK_TIMEOUT;
    loop {
        match open_existing(will) {
            Some(Err(JournalError::Held { .. })) if Clock::now() < end => pause(),
            result => return result.transpose(),
        }
    }
}

/// There is no event for a lock that is given back.
pub(crate) fn pause() {
    if let Ok(time) = Timespec::try_from(LOCK_PAUSE) {
        // Shorter is as good.
        poll(&mut [], Some(&time)).unwrap_or_default();
    }
}

fn send(farewell: &Farewell) -> io::Result<()> {
    let Farewell { interface, index, source, destination, packet } = farewell;
    let device = Device { name: interface.clone(), index: *index, parent: None };
    let socket = SendSocket::open(&device, AddressFamily::of(destination))?;
    let source = match source {
        core::net::IpAddr::V6(source) => Some(*source),
        core::net::IpAddr::V4(_) => None,
    };
    let message = Outgoing { bytes: packet, source, destination: *destination };
    match socket.send(destination.is_multicast(), [message])? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}
