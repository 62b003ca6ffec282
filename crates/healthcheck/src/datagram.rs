//! The datagram transports below a machine: UDP and ICMP, on connected sockets.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::connection::{errno, prepare};
use crate::transport::{Received, Trouble};
use crate::{Failure, Local, Source, sys};

/// A connected datagram socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: Socket,
    /// What is received begins with an IPv4 header.
    has_header: bool,
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Datagrams {
    pub(crate) fn udp(target: SocketAddr, source: &Source) -> Result<Self, Trouble> {
        let socket = Socket::new(
            Domain::for_address(target),
            Type::DGRAM.nonblocking(),
            Some(Protocol::UDP),
        )
        .map_err(|error| Trouble::of_socket(errno(&error)))?;
        Self::connect(socket, target, source, false)
    }

    /// A ping socket, which the system must allow to our group (`net.ipv4.ping_group_range`), else a raw one, which needs
    /// `CAP_NET_RAW`.
    pub(crate) fn icmp(target: SocketAddr, source: &Source) -> Result<Self, Trouble> {
        let domain = Domain::for_address(target);
        let protocol = if target.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
        let open = |kind: Type| Socket::new(domain, kind.nonblocking(), Some(protocol));
        let (socket, raw) = match open(Type::DGRAM) {
            Ok(socket) => (socket, false),
            Err(error) => match errno(&error) {
                Errno::ACCESS | Errno::PERM | Errno::PROTONOSUPPORT => {
                    let raw = open(Type::RAW).map_err(|error| Trouble::of_socket(errno(&error)))?;
                    (raw, true)
                }
                other => return Err(Trouble::of_socket(other)),
            },
        };
        let target = SocketAddr::new(target.ip(), 0);
        Self::connect(socket, target, source, raw && target.is_ipv4())
    }

    fn connect(
        socket: Socket,
        target: SocketAddr,
        source: &Source,
        has_header: bool,
    ) -> Result<Self, Trouble> {
        prepare(&socket, source)?;
        sys::report_errors(&socket, target.is_ipv6())
            .map_err(|error| Trouble::of_socket(errno(&error)))?;
        match socket.connect(&SockAddr::from(target)) {
            Ok(()) => Ok(Self { socket, has_header }),
            Err(error) => Err(Trouble::of_connect(&error)),
        }
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Trouble> {
        let local = |error: Errno| Err(Trouble::of_socket(error));
        loop {
            match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                // Our own queue is full, or our own packet filter refuses.
                Err(error @ (Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM)) => return local(error),
                Err(error @ (Errno::PERM | Errno::ACCESS)) => {
                    return Err(Trouble::Local(Local::Source { errno: error.raw_os_error() }));
                }
                Err(error) => return Err(Trouble::Failed(Failure::of(error, Duration::ZERO))),
            }
        }
    }

    /// Receives one datagram into `buffer`.
    pub(crate) fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b> {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((count, _)) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    return Received::Data(if self.has_header {
                        after_header(bytes)
                    } else {
                        bytes
                    });
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Received::Nothing,
                Err(error) => return Received::End(Some(Failure::of(error, Duration::ZERO))),
            }
        }
    }
}

/// What follows an IPv4 header, whose length is in its first byte (RFC 791 §3.1).
fn after_header(packet: &[u8]) -> &[u8] {
    let words = packet.first().map_or(0, |byte| usize::from(byte & 0x0f));
    packet.get(words.saturating_mul(4)..).unwrap_or_default()
}

/// Errors of opening sockets, named once.
impl Trouble {
    pub(crate) fn of_socket(error: Errno) -> Self {
        Self::Local(Local::Socket { errno: error.raw_os_error() })
    }

    pub(crate) fn of_source(error: &io::Error) -> Self {
        Self::Local(Local::Source { errno: errno(error).raw_os_error() })
    }

    /// What an immediate error of `connect` means.
    pub(crate) fn of_connect(error: &io::Error) -> Self {
        match errno(error) {
            // No free port; the source address has gone since the bind; our own packet filter refuses.
            Errno::ADDRNOTAVAIL | Errno::AGAIN | Errno::ADDRINUSE | Errno::PERM => {
                Self::of_source(error)
            }
            errno @ (Errno::NOBUFS | Errno::NOMEM) => Self::of_socket(errno),
            other => Self::Failed(Failure::of(other, Duration::ZERO)),
        }
    }
}
