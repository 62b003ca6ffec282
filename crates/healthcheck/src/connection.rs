//! The TCP transport below a machine: a non-blocking connection, with TLS in between if asked for.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use reactor::Interest;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::transport::{Ended, READS, Received, Trouble};
use crate::{Failure, Machine, Source};

/// An open connection, or one that is being opened.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    target: SocketAddr,
    /// The connect has ended well.
    connected: bool,
    /// What the socket would not take yet.
    unsent: Vec<u8>,
    #[cfg(feature = "tls")]
    session: Option<Box<crate::tls::Session>>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

pub(crate) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Applies where packets are to come from.
pub(crate) fn prepare(socket: &Socket, source: &Source) -> Result<(), Trouble> {
    let apply = || -> io::Result<()> {
        let (address, interface, mark) = source.parts();
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
    apply().map_err(|error| Trouble::of_source(&error))
}

impl Connection {
    /// Starts to connect. Closing it sends a reset: no state is left on either side, whatever the number of checks.
    pub(crate) fn open(target: SocketAddr, source: &Source) -> Result<Self, Trouble> {
        let socket = Socket::new(
            Domain::for_address(target),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )
        .map_err(|error| Trouble::of_socket(errno(&error)))?;
        socket.set_linger(Some(Duration::ZERO)).map_err(|error| Trouble::of_source(&error))?;
        prepare(&socket, source)?;
        match socket.connect(&SockAddr::from(target)) {
            // Finished when found writable, even if it is already.
            Ok(()) => {}
            Err(error) if matches!(errno(&error), Errno::INPROGRESS | Errno::INTR) => {}
            Err(error) => return Err(Trouble::of_connect(&error)),
        }
        Ok(Self {
            socket,
            target,
            connected: false,
            unsent: Vec::new(),
            #[cfg(feature = "tls")]
            session: None,
        })
    }

    /// Speaks TLS from the start.
    #[cfg(feature = "tls")]
    pub(crate) fn secure(&mut self, session: crate::tls::Session) {
        self.session = Some(Box::new(session));
    }

    /// The connect has ended, `after` this long: how?
    fn finish_connect(&mut self, after: Duration) -> Result<(), Failure> {
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
        let local = self.socket.local_addr().ok().and_then(|local| local.as_socket());
        local.is_some_and(|local| {
            (local.ip(), local.port()) == (self.target.ip(), self.target.port())
        })
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
        #[cfg(feature = "tls")]
        if let Some(session) = &mut self.session {
            session.send(bytes, &mut self.unsent)?;
            return self.flush();
        }
        self.unsent.extend_from_slice(bytes);
        self.flush()
    }

    /// The descriptor is ready, `after` the start of the run.
    pub(crate) fn handle_ready(
        &mut self,
        after: Duration,
        writable: bool,
        buffer: &mut [u8],
        machine: &mut dyn Machine,
    ) -> Result<(), Ended> {
        let ended = |failure| Ended(Some(failure));
        if !self.connected {
            self.finish_connect(after).map_err(ended)?;
            #[cfg(feature = "tls")]
            if let Some(session) = &mut self.session {
                session.flush_into(&mut self.unsent);
                return self.flush().map_err(ended);
            }
            machine.handle_connected();
            return Ok(());
        }
        if writable {
            self.flush().map_err(ended)?;
        }
        #[cfg(feature = "tls")]
        if self.session.is_some() {
            return self.handle_secured(buffer, machine);
        }
        for _ in 0..READS {
            match self.receive(buffer) {
                Received::Data(bytes) => machine.handle_data(bytes),
                Received::Nothing => break,
                Received::End(failure) => return Err(Ended(failure)),
            }
        }
        Ok(())
    }

    #[cfg(feature = "tls")]
    fn handle_secured(
        &mut self,
        buffer: &mut [u8],
        machine: &mut dyn Machine,
    ) -> Result<(), Ended> {
        let ended = |failure| Ended(Some(failure));
        let (sealed, plain) = buffer.split_at_mut(buffer.len() / 2);
        for _ in 0..READS {
            let bytes = match self.receive(sealed) {
                Received::Data(bytes) => bytes,
                Received::Nothing => break,
                Received::End(failure) => return Err(Ended(failure)),
            };
            let Some(session) = &mut self.session else { break };
            let closed = session.receive(bytes, plain, &mut self.unsent, machine).map_err(ended)?;
            self.flush().map_err(ended)?;
            if closed {
                return Err(Ended(None));
            }
        }
        Ok(())
    }

    /// Sends what was kept.
    fn flush(&mut self) -> Result<(), Failure> {
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
    fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b> {
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
