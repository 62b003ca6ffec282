//! Starting a program and watching it end: for checks, and for whoever has to run a script without waiting for it.
//!
//! A [`Program`] says what runs, as whom, with what environment and for how long. [`Program::spawn`] starts it as the leader of a
//! process group of its own; the [`Child`] is step-able: its descriptor becomes readable when the program has ended,
//! [`Child::poll_timeout`] says when [`Child::process`] must be called at the latest.
//!
//! - **It never hangs on a descriptor.** Standard input is `/dev/null`; output goes there, too, or into a bounded file in memory, never into a
//!   pipe. So a script that starts a server and ends has ended, whatever the server inherited, and the server never writes into
//!   a pipe that nobody reads.
//! - **It ends when its process ends.** What it started lives on, except after a timeout: then the whole group gets
//!   `SIGTERM`, and `SIGKILL` after the grace time or when the leader is gone. Who leaves the group (`setsid`) escapes this.
//! - **No shell**, unless [`Program::shell`] asks for one.
//!
//! ```
//! use core::time::Duration;
//! use healthcheck::process::{Exit, Program};
//! use reactor::{Clock, Events, Interest, Reactor, Token};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let program = Program::new("/bin/echo").argument("hello").timeout(Duration::from_secs(60)).keep_output(4096);
//! let mut child = program.spawn(Clock::now())?;
//!
//! let (mut reactor, mut events) = (Reactor::new()?, Events::with_capacity(1));
//! reactor.register(&child, Interest::Readable, Token(0))?;
//! let exit = loop {
//!     reactor.wait(child.poll_timeout(), &mut events)?;
//!     if let Some(exit) = child.process(Clock::now()) {
//!         break exit;
//!     }
//! };
//! assert_eq!(exit, Exit::Code(0));
//! assert_eq!(child.output(), b"hello\n");
//! # Ok(())
//! # }
//! ```

mod child;

use core::time::Duration;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use thiserror::Error;

pub use child::{Child, Exit};

/// Between `SIGTERM` and `SIGKILL`, unless set otherwise.
const GRACE: Duration = Duration::from_secs(2);

/// Who runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the two numbers are what a process has")]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The group's number. Supplementary groups are dropped.
    pub gid: u32,
}

/// A program to run. Names of users are not looked up here, and the path is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    user: Option<User>,
    directory: Option<PathBuf>,
    clear_environment: bool,
    /// Set (`Some`) or taken out (`None`), in order.
    environment: Vec<(OsString, Option<OsString>)>,
    keep_output: usize,
    timeout: Option<Duration>,
    grace: Duration,
}

/// Why a program did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The file cannot be executed (missing, no permission, not a program), or not as this user.
    #[error("cannot be run: {}", io::Error::from_raw_os_error(*errno))]
    CannotRun {
        /// The error number.
        errno: i32,
    },
    /// This machine lacks a descriptor, memory or a process at the moment (`EMFILE`, `ENFILE`, `ENOMEM`, `EAGAIN`), or the file is
    /// being written (`ETXTBSY`): it says nothing about the program.
    #[error("cannot start a process now: {}", io::Error::from_raw_os_error(*errno))]
    Local {
        /// The error number.
        errno: i32,
    },
}

impl SpawnError {
    fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(
                errno @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::TXTBSY),
            ) => Self::Local { errno: errno.raw_os_error() },
            // No error number: a NUL byte in a string.
            other => Self::CannotRun { errno: other.unwrap_or(Errno::INVAL).raw_os_error() },
        }
    }
}

impl Program {
    /// The program at `path`, run as it is, without a shell and without a search in `PATH`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            user: None,
            directory: None,
            clear_environment: false,
            environment: Vec::new(),
            keep_output: 0,
            timeout: None,
            grace: GRACE,
        }
    }

    /// A line for the system's shell: `/bin/sh -c LINE`.
    #[must_use]
    pub fn shell(line: impl Into<OsString>) -> Self {
        Self::new("/bin/sh").argument("-c").argument(line)
    }

    /// One more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Who runs it; else who runs us.
    #[must_use]
    pub fn user(self, user: User) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Its working directory; else ours.
    #[must_use]
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), Some(value.into())));
        self
    }

    /// Takes a variable out of the environment it inherits, such as `LD_PRELOAD`.
    #[must_use]
    pub fn without_environment(mut self, name: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), None));
        self
    }

    /// Inherit no environment.
    #[must_use]
    pub fn clear_environment(self) -> Self {
        Self { clear_environment: true, ..self }
    }

    /// Keeps the first `bytes` of what it prints on standard output and standard error, for [`Child::output`]. They are in a file
    /// in memory that cannot grow: what is printed beyond them fails (`EPERM`) at the writer and nowhere else. 0, the default: `/dev/null`.
    #[must_use]
    pub fn keep_output(self, bytes: usize) -> Self {
        Self { keep_output: bytes, ..self }
    }

    /// How long it may run; without it, for ever.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// How long it has between `SIGTERM` and `SIGKILL`: 2 s unless set.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is called with.
    pub fn argument_list(&self) -> impl Iterator<Item = &OsStr> {
        self.arguments.iter().map(OsString::as_os_str)
    }

    /// Starts it. Returns when the program has been loaded, or could not be; a file on a server that does not answer delays this.
    pub fn spawn(&self, now: Instant) -> Result<Child, SpawnError> {
        let output = match self.keep_output {
            0 => None,
            _ => Some(bounded_file(self.keep_output).map_err(|error| SpawnError::of(&error))?),
        };
        let sink = || -> io::Result<Stdio> {
            output.as_ref().map_or(Ok(Stdio::null()), |file| Ok(file.try_clone()?.into()))
        };
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).stdin(Stdio::null()).process_group(0);
        let streams = (sink(), sink());
        let (Ok(first), Ok(second)) = streams else {
            return Err(SpawnError::Local { errno: Errno::MFILE.raw_os_error() });
        };
        command.stdout(first).stderr(second);
        if self.clear_environment {
            command.env_clear();
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if let Some(User { uid, gid }) = self.user {
            command.uid(uid).gid(gid);
        }
        let child = command.spawn().map_err(|error| SpawnError::of(&error))?;
        let deadline = self.timeout.and_then(|timeout| now.checked_add(timeout));
        Child::watch(child, output.map(|file| (file, self.keep_output)), deadline, self.grace)
    }
}

/// A file in memory that holds this much and cannot grow. The kernel refuses the whole part of a write that falls into the page of
/// the end, so the end is at that of a page, whatever its size here.
fn bounded_file(bytes: usize) -> io::Result<File> {
    let bytes = bytes.checked_next_multiple_of(64 << 10).unwrap_or(bytes);
    let file = memfd_create(c"output", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, u64::try_from(bytes).unwrap_or(u64::MAX))?;
    fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file.into())
}
