//! The TCP transport below a machine: a non-blocking connection.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use reactor::Interest;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::transport::{OpenError, Received};
use crate::{Failure, Local, Source};

/// An open connection, or one that is being opened.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    /// The connect has ended well.
    connected: bool,
    /// What the socket would not take yet.
    unsent: Vec<u8>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

fn source_error(error: &io::Error) -> OpenError {
    OpenError::Local(Local::Source { errno: errno(error).raw_os_error() })
}

impl Connection {
    /// Starts to connect. Closing it sends a reset: no state is left on either side, whatever the number of checks.
    pub(crate) fn open(target: SocketAddr, source: &Source) -> Result<Self, OpenError> {
        let socket = Socket::new(
            Domain::for_address(target),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )
        .map_err(|error| OpenError::Local(Local::Socket { errno: errno(&error).raw_os_error() }))?;
        let prepare = || -> io::Result<()> {
            let (address, interface, mark) = source.parts();
            socket.set_linger(Some(Duration::ZERO))?;
            if let Some(mark) = mark {
                socket.set_mark(mark)?;
            }
            if let Some(name) = interface {
                socket.bind_device(Some(name.as_bytes()))?;
            }
            if let Some(address) = address {
                socket.bind(&SockAddr::from(address))?;
            }
            Ok(())
        };
        prepare().map_err(|error| source_error(&error))?;
        match socket.connect(&SockAddr::from(target)) {
            Ok(()) => Ok(Self { socket, connected: false, unsent: Vec::new() }), // finished when found writable
            Err(error) => match errno(&error) {
                Errno::INPROGRESS | Errno::INTR => {
                    Ok(Self { socket, connected: false, unsent: Vec::new() })
                }
                // No free port; the source address has gone since the bind.
                Errno::ADDRNOTAVAIL | Errno::AGAIN | Errno::ADDRINUSE => Err(source_error(&error)),
                Errno::NOBUFS | Errno::NOMEM => {
                    Err(OpenError::Local(Local::Socket { errno: errno(&error).raw_os_error() }))
                }
                other => Err(OpenError::Failed(Failure::of(other, Duration::ZERO))),
            },
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The connect has ended, `after` this long: how?
    pub(crate) fn finish_connect(&mut self, after: Duration) -> Result<(), Failure> {
        match self.socket.take_error() {
            Ok(None) if self.is_connected_to_itself() => Err(Failure::Refused),
            Ok(None) => {
                self.connected = true;
                Ok(())
            }
            Ok(Some(error)) | Err(error) => Err(Failure::of(errno(&error), after)),
        }
    }

    /// A connect to a port of this host where nobody listens succeeds when the kernel chooses that very port as the source.
    fn is_connected_to_itself(&self) -> bool {
        match (self.socket.local_addr(), self.socket.peer_addr()) {
            (Ok(local), Ok(peer)) => local.as_socket() == peer.as_socket(),
            _ => false,
        }
    }

    /// What to wait for next.
    pub(crate) fn interest(&self) -> Interest {
        match (self.connected, self.unsent.is_empty()) {
            (false, _) => Interest::Writable,
            (true, false) => Interest::ReadableWritable,
            (true, true) => Interest::Readable,
        }
    }

    /// Sends `bytes`, or keeps what the socket does not take at once.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.unsent.extend_from_slice(bytes);
        self.flush()
    }

    /// Sends what was kept.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        while !self.unsent.is_empty() {
            match send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.unsent.drain(..count.min(self.unsent.len()))),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(Failure::of(error, Duration::ZERO)),
            }
        }
        Ok(())
    }

    /// Reads once into `buffer`.
    pub(crate) fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b> {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Received::End(None),
                Ok((count, _)) => return Received::Data(buffer.get(..count).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Received::Nothing,
                Err(error) => return Received::End(Some(Failure::of(error, Duration::ZERO))),
            }
        }
    }
}
