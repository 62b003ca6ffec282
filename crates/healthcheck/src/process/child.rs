//! A program that runs.

use core::fmt;
use core::time::Duration;
use std::fs::File;
use std::io::{self, Seek as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::SpawnError;

/// A process in the middle of a system call may outlive `SIGKILL`; dropping a [`Child`] waits this long for it.
const DROP_WAIT: Duration = Duration::from_secs(1);
/// `SIGKILL` again, should the first have hit a process that could not die yet.
const KILL_AGAIN: Duration = Duration::from_secs(10);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// By itself, with this code: 0 to 255.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody knows: somebody else took its status (this process ignores `SIGCHLD`, or waits for any child).
    Lost,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Lost => f.write_str("exit status lost"),
        }
    }
}

impl Exit {
    fn of(status: ExitStatus) -> Self {
        match status.code() {
            Some(code) => Self::Code(code),
            None => Self::Signal(status.signal().unwrap_or(0)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Terminating,
    Killing,
    Ended(Exit),
}

/// A running program, as [`Program::spawn`](super::Program::spawn) started it. Dropping it kills the group; see [`Child::detach`].
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    /// The process, and so the group, of which it is the leader. Valid until the child is reaped.
    pid: Pid,
    pidfd: OwnedFd,
    /// Where it prints, and how much of that is kept.
    output: Option<(File, usize)>,
    phase: Phase,
    timed_out: bool,
    deadline: Option<Instant>,
    grace: Duration,
}

impl AsFd for Child {
    /// Readable when the program has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Child {
    pub(super) fn watch(
        mut child: std::process::Child,
        output: Option<(File, usize)>,
        deadline: Option<Instant>,
        grace: Duration,
    ) -> Result<Self, SpawnError> {
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => {
                let phase = Phase::Running;
                Ok(Self {
                    process: child,
                    pid,
                    pidfd,
                    output,
                    phase,
                    timed_out: false,
                    deadline,
                    grace,
                })
            }
            Err(error) => {
                // Unwatched it must not run: whoever asked would never know that it ended.
                let _gone = kill_process_group(pid, Signal::KILL);
                let _reaped = child.wait();
                Err(SpawnError::Local { errno: error.raw_os_error() })
            }
        }
    }

    /// The number of the process, which is also that of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// When [`Child::process`] must be called at the latest; `None` when there is no timeout, or it has ended.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether its time was up before it ended.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }

    /// Looks whether it has ended, and does what is due. `Some` from its end on.
    pub fn process(&mut self, now: Instant) -> Option<Exit> {
        if let Phase::Ended(exit) = self.phase {
            return Some(exit);
        }
        if self.has_ended() {
            if self.phase != Phase::Running {
                // The leader is not reaped yet, so the group's number is still its own. What outlived the leader of a group that
                // had to be terminated goes now.
                self.signal(Signal::KILL);
            }
            let ended = match self.process.try_wait() {
                Ok(Some(status)) => Some(Exit::of(status)),
                Ok(None) => None,
                Err(_) => Some(Exit::Lost),
            };
            if let Some(exit) = ended {
                self.phase = Phase::Ended(exit);
                self.deadline = None;
                return Some(exit);
            }
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.timed_out |= self.phase == Phase::Running;
            self.escalate(now);
        }
        None
    }

    /// Ends it and its group before its time: `SIGTERM`, and after the grace time `SIGKILL`. Goes on until [`Child::process`]
    /// returns its end.
    pub fn terminate(&mut self, now: Instant) {
        if self.phase == Phase::Running {
            self.escalate(now);
        }
    }

    /// What it has printed until now, if that is kept: as much as [`Program::keep_output`](super::Program::keep_output) says.
    #[must_use]
    pub fn output(&self) -> Vec<u8> {
        let read = |mut file: &File, most: usize| -> io::Result<Vec<u8>> {
            // The program writes through the same open file, whose position is where it got to.
            let written = usize::try_from(file.stream_position()?).unwrap_or(usize::MAX);
            let mut bytes = vec![0; written.min(most)];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        self.output.as_ref().and_then(|(file, most)| read(file, *most).ok()).unwrap_or_default()
    }

    /// Lets it run on with nobody watching. When it has ended, its entry stays in the process table until this process ends.
    pub fn detach(mut self) {
        self.phase = Phase::Ended(Exit::Code(0));
    }

    fn has_ended(&self) -> bool {
        let mut wait = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut wait, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn escalate(&mut self, now: Instant) {
        let (signal, phase, wait) = match self.phase {
            Phase::Running => (Signal::TERM, Phase::Terminating, self.grace),
            Phase::Terminating | Phase::Killing => (Signal::KILL, Phase::Killing, KILL_AGAIN),
            Phase::Ended(_) => return,
        };
        self.signal(signal);
        self.phase = phase;
        self.deadline = Some(now.checked_add(wait).unwrap_or(now));
    }

    fn signal(&self, signal: Signal) {
        // Fails only when the group is gone or its members belong to others by now: then there is nothing to do.
        let _gone = kill_process_group(self.pid, signal);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        self.signal(Signal::KILL);
        let mut wait = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let limit = Timespec::try_from(DROP_WAIT).ok();
        let _ended = poll(&mut wait, limit.as_ref());
        let _reaped = self.process.try_wait();
    }
}
