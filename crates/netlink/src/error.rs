//! What can go wrong, one type per operation.

use core::fmt;
use std::io;

/// Error numbers that callers compare with, as [`RequestError::errno`] returns them.
pub mod errno {
    use rustix::io::Errno;

    /// Operation not permitted: `CAP_NET_ADMIN` is missing.
    pub const EPERM: i32 = Errno::PERM.raw_os_error();
    /// No such object.
    pub const ENOENT: i32 = Errno::NOENT.raw_os_error();
    /// No such object, as IPVS says of services.
    pub const ESRCH: i32 = Errno::SRCH.raw_os_error();
    /// The object exists already.
    pub const EEXIST: i32 = Errno::EXIST.raw_os_error();
    /// No such interface.
    pub const ENODEV: i32 = Errno::NODEV.raw_os_error();
    /// A value is malformed or out of range.
    pub const EINVAL: i32 = Errno::INVAL.raw_os_error();
    /// A value is out of range.
    pub const ERANGE: i32 = Errno::RANGE.raw_os_error();
    /// The message is too long.
    pub const EMSGSIZE: i32 = Errno::MSGSIZE.raw_os_error();
    /// The kernel does not know the request.
    pub const EOPNOTSUPP: i32 = Errno::OPNOTSUPP.raw_os_error();
    /// The address family is not supported.
    pub const EAFNOSUPPORT: i32 = Errno::AFNOSUPPORT.raw_os_error();
    /// The interface has no such address.
    pub const EADDRNOTAVAIL: i32 = Errno::ADDRNOTAVAIL.raw_os_error();
    /// The facility is being taken away.
    pub const ENOPROTOOPT: i32 = Errno::NOPROTOOPT.raw_os_error();
    /// The receive buffer overflowed.
    pub const ENOBUFS: i32 = Errno::NOBUFS.raw_os_error();
}

/// The kernel's answer "no": `NLMSG_ERROR` with an error number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Positive error number, see [`errno`].
    pub errno: i32,
    /// The kernel's own words (`NLMSGERR_ATTR_MSG`), if it had any.
    pub message: Option<String>,
    /// Offset of the attribute at fault in the request, in octets from the message header
    /// (`NLMSGERR_ATTR_OFFS`).
    pub offset: Option<u32>,
}

impl Refusal {
    /// A refusal with this (positive) error number and no words, as most of the kernel's are: for what stands in for a kernel.
    #[must_use]
    pub const fn new(errno: i32) -> Self {
        Self { errno, message: None, offset: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Refusal {}

/// Why a request has no good result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The kernel refused the request; nothing of it was done.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A call on the socket itself failed; the request did not reach the kernel.
    #[error("netlink {call}: {}", io::Error::from_raw_os_error(*.errno))]
    Socket {
        /// The system call.
        call: &'static str,
        /// Positive error number.
        errno: i32,
    },
    /// The request does not fit a netlink message and was not sent.
    #[error("netlink message does not fit: {len} octets of payload")]
    Oversize {
        /// Octets of payload.
        len: usize,
    },
    /// The receive buffer overflowed: the request may have been done or not.
    #[error("netlink receive buffer overflowed, the outcome is unknown")]
    Lost,
    /// The kernel handled the request and sent no answer: it may have been done or not.
    #[error("no answer from the kernel, the outcome is unknown")]
    NoAnswer,
    /// The table changed under every attempt to read it.
    #[error("table changed during each of {attempts} attempts to read it")]
    Interrupted {
        /// Attempts made.
        attempts: u32,
    },
    /// The answer is not netlink.
    #[error("unreadable answer from the kernel")]
    Malformed(#[from] DecodeError),
    /// No generic-netlink family of this name, not even after the kernel tried to load its module.
    #[error("kernel has no generic netlink family {name:?}")]
    UnknownFamily {
        /// The name asked for.
        name: String,
    },
}

impl RequestError {
    /// The error number, where the kernel gave one (as refusal or from a call on the socket).
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused(Refusal { errno, .. }) | Self::Socket { errno, .. } => Some(*errno),
            Self::Oversize { .. } => Some(errno::EMSGSIZE),
            Self::Lost => Some(errno::ENOBUFS),
            Self::UnknownFamily { .. } => Some(errno::ENOENT),
            Self::NoAnswer | Self::Interrupted { .. } | Self::Malformed(_) => None,
        }
    }

    /// The kernel's own words, if it had any.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.message.as_deref(),
            Self::Socket { .. }
            | Self::Oversize { .. }
            | Self::Lost
            | Self::NoAnswer
            | Self::Interrupted { .. }
            | Self::Malformed(_)
            | Self::UnknownFamily { .. } => None,
        }
    }

    /// Whether the request may have been done although it failed: look before repeating it.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Lost | Self::NoAnswer | Self::Malformed(_))
    }
}

/// Why a transaction was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{source}")]
pub struct TransactionError {
    /// The index of the first request that was refused; `None` if it was all of them together.
    pub request: Option<usize>,
    /// Why.
    pub source: RequestError,
}

impl From<RequestError> for io::Error {
    fn from(error: RequestError) -> Self {
        let kind = error
            .errno()
            .map_or(io::ErrorKind::Other, |errno| Self::from_raw_os_error(errno).kind());
        Self::new(kind, error)
    }
}

/// Why bytes from the kernel cannot be read as netlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer octets than a message header has.
    #[error("{len} octets where a 16 octet message header should be")]
    ShortHeader {
        /// Octets left.
        len: usize,
    },
    /// The header's length field is below 16 or beyond the datagram.
    #[error("message claims {claimed} octets, {len} are there")]
    Length {
        /// The length field.
        claimed: u32,
        /// Octets left in the datagram.
        len: usize,
    },
    /// An acknowledgement without an error number.
    #[error("acknowledgement of {len} octets has no error number")]
    ShortAcknowledgement {
        /// Octets of payload.
        len: usize,
    },
    /// The datagram is longer than the buffer.
    #[error("datagram of {len} octets cut to {buffer}")]
    Truncated {
        /// Length of the datagram.
        len: usize,
        /// Length of the buffer.
        buffer: usize,
    },
    /// The answer to one request exceeds what any table of the kernel needs.
    #[error("answer of more than {octets} octets")]
    Endless {
        /// The limit that was exceeded.
        octets: usize,
    },
}

/// Why the stream of notifications has a gap or an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// Notifications were lost, and those still queued were thrown away with them: dump the table
    /// now. What [`Monitor::poll`](crate::Monitor::poll) hands out afterwards is newer than the gap.
    #[error("notifications were lost: read the table again")]
    Overrun,
    /// A call on the socket failed.
    #[error("netlink {call}: {}", io::Error::from_raw_os_error(*.errno))]
    Socket {
        /// The system call.
        call: &'static str,
        /// Positive error number.
        errno: i32,
    },
}
