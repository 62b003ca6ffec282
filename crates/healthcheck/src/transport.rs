//! What is below a machine: it turns what happens on a descriptor into inputs.

use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd};

use reactor::Interest;

use crate::check::{Kind, Server};
use crate::connection::Connection;
use crate::datagram::Datagrams;
use crate::machine::Machine;
use crate::{Failure, Local};

/// Reads of one transport in one event; more come with the next, so that no server can hold the loop.
pub(crate) const READS: usize = 4;

/// Why a transport was not opened, or does not send.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Our side: not a result.
    Local(Local),
    /// The network's side, known at once.
    Failed(Failure),
}

/// What a read gave.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    Data(&'a [u8]),
    /// Nothing for now.
    Nothing,
    /// The end: in good order, or not.
    End(Option<Failure>),
}

/// Nothing more comes from this transport.
#[derive(Debug)]
pub(crate) struct Ended(pub(crate) Option<Failure>);

/// An open transport.
#[derive(Debug)]
pub(crate) enum Transport {
    Stream(Connection),
    Datagrams(Datagrams),
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stream(connection) => connection.as_fd(),
            Self::Datagrams(datagrams) => datagrams.as_fd(),
        }
    }
}

impl Transport {
    /// Opens what the check of `server` runs over.
    pub(crate) fn open(server: &Server) -> Result<Self, Trouble> {
        let (target, source) = (server.target, &server.source);
        Ok(match &server.kind {
            Kind::Udp(_) | Kind::Dns(_) => Self::Datagrams(Datagrams::udp(target, source)?),
            Kind::Ping => Self::Datagrams(Datagrams::icmp(target, source)?),
            Kind::Tcp | Kind::Exchange { .. } | Kind::Smtp(_) | Kind::Http(_) => {
                #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "TLS changes it"))]
                let mut connection = Connection::open(target, source)?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &server.tls {
                    connection.secure(tls.session(target).map_err(Trouble::Failed)?);
                }
                Self::Stream(connection)
            }
        })
    }

    /// Whether bytes can be sent from the start.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self, Self::Datagrams(_))
    }

    pub(crate) fn interest(&self) -> Interest {
        match self {
            Self::Stream(connection) => connection.interest(),
            Self::Datagrams(_) => Interest::Readable,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        match self {
            Self::Stream(connection) => connection.send(bytes).map_err(Trouble::Failed),
            Self::Datagrams(datagrams) => datagrams.send(bytes),
        }
    }

    /// The descriptor is ready, `after` the start of the run.
    pub(crate) fn handle_ready(
        &mut self,
        after: Duration,
        writable: bool,
        buffer: &mut [u8],
        machine: &mut dyn Machine,
    ) -> Result<(), Ended> {
        match self {
            Self::Stream(connection) => connection.handle_ready(after, writable, buffer, machine),
            Self::Datagrams(datagrams) => {
                for _ in 0..READS {
                    match datagrams.receive(buffer) {
                        Received::Data(bytes) => machine.handle_data(bytes),
                        Received::Nothing => break,
                        Received::End(failure) => return Err(Ended(failure)),
                    }
                }
                Ok(())
            }
        }
    }
}
