//! What a run, and a row of runs, say about a server.

use core::fmt;
use core::time::Duration;
use std::io;

use rustix::io::Errno;
use thiserror::Error;

/// What the checks say about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a server is up or down; a third answer must not compile unnoticed"
)]
pub enum Outcome {
    /// It answers.
    Up,
    /// It does not answer.
    Down,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// Why one run failed. Each of these is the server's (or the path's) doing; what is ours is [`Local`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody listens on the port (`ECONNREFUSED`).
    #[error("connection refused")]
    Refused,
    /// The network or a router says that there is no way to the host (`ENETUNREACH`, `EHOSTUNREACH`, `EHOSTDOWN`, `ENETDOWN`).
    #[error("unreachable: {}", io::Error::from_raw_os_error(*errno))]
    Unreachable {
        /// The error number.
        errno: i32,
    },
    /// No answer within the check's timeout, or the kernel gave up before it (`ETIMEDOUT`).
    #[error("timed out after {after:?}")]
    TimedOut {
        /// How long the run took.
        after: Duration,
    },
    /// The server closed or reset the connection before the check was done.
    #[error("connection closed by the server")]
    Closed,
    /// The server answered something else than expected.
    #[error("unexpected answer")]
    Unexpected,
    /// The answer breaks the rules of its protocol.
    #[error("malformed answer: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The answer goes on beyond what is read of it.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// How much is read.
        limit: usize,
    },
    /// A reply code (HTTP, SMTP) that is not one of the wanted.
    #[error("reply code {code}")]
    Reply {
        /// The code.
        code: u16,
    },
    /// The body has another digest.
    #[error("the body has another digest")]
    Digest,
    /// The body does not match, or matches what it must not.
    #[error("the body is not as it must be")]
    Body,
    /// The name server answered with an error.
    #[error("response code {code}")]
    ResponseCode {
        /// The code (RFC 1035 §4.1.1): 2 server failure, 3 no such name, 5 refused, ...
        code: u8,
    },
    /// The name server answered without a record.
    #[error("an answer without a record")]
    NoRecord,
    /// TLS did not come about.
    #[error("tls: {what}")]
    Tls {
        /// What went wrong.
        what: &'static str,
    },
    /// The program ended with an exit code that is no success.
    #[error("exit code {code}")]
    Exit {
        /// The code.
        code: i32,
    },
    /// The program was ended by a signal.
    #[error("ended by signal {signal}")]
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// The program cannot be run: missing, not executable, not as this user.
    #[error("cannot be run: {}", io::Error::from_raw_os_error(*errno))]
    CannotRun {
        /// The error number.
        errno: i32,
    },
    /// The file cannot be read.
    #[error("cannot be read: {}", io::Error::from_raw_os_error(*errno))]
    Unreadable {
        /// The error number.
        errno: i32,
    },
    /// The file begins with no number, or with one beyond 64 bits.
    #[error("no number in the file")]
    NoNumber,
    /// The number is one that means down.
    #[error("the number {value} means down")]
    Number {
        /// The number.
        value: i64,
    },
    /// Any other error of the connection.
    #[error("{}", io::Error::from_raw_os_error(*errno))]
    Os {
        /// The error number.
        errno: i32,
    },
}

impl Failure {
    /// Names the error of a connect or of an open connection, `after` this long.
    pub(crate) fn of(error: Errno, after: Duration) -> Self {
        match error {
            Errno::CONNREFUSED => Self::Refused,
            Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NETDOWN => {
                Self::Unreachable { errno: error.raw_os_error() }
            }
            Errno::TIMEDOUT => Self::TimedOut { after },
            Errno::CONNRESET | Errno::PIPE => Self::Closed,
            other => Self::Os { errno: other.raw_os_error() },
        }
    }
}

/// A run that could not be made, for a reason on this machine: it says nothing about the server and is tried again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Local {
    /// No descriptor or memory for a socket (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`).
    #[error("cannot open a socket: {}", io::Error::from_raw_os_error(*errno))]
    Socket {
        /// The error number.
        errno: i32,
    },
    /// No process, memory or descriptor for a program (`EAGAIN`, `ENOMEM`, `EMFILE`, `ENFILE`), or its file is being written (`ETXTBSY`), or
    /// somebody else took its exit status (`ECHILD`).
    #[error("cannot run a process: {}", io::Error::from_raw_os_error(*errno))]
    Process {
        /// The error number.
        errno: i32,
    },
    /// The program of the last run, whose time was up, has not ended yet.
    #[error("the program of the last run has not ended yet")]
    StillRunning,
    /// The source address, interface or mark cannot be used, or no local port is free.
    #[error("cannot use the configured source: {}", io::Error::from_raw_os_error(*errno))]
    Source {
        /// The error number.
        errno: i32,
    },
}
