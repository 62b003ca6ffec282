//! What is below a machine: it turns what happens on a descriptor into inputs.

use core::net::SocketAddr;
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd};

use reactor::Interest;

use crate::check::{Kind, Source};
use crate::connection::Connection;
use crate::machine::Machine;
use crate::{Failure, Local};

/// Reads of one transport in one event; more come with the next, so that no server can hold the loop.
const READS: usize = 4;

/// Why a transport was not opened.
#[derive(Debug)]
pub(crate) enum OpenError {
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

/// What is over for good: nothing more comes from this transport.
#[derive(Debug)]
pub(crate) struct Ended(pub(crate) Option<Failure>);

/// An open transport.
#[derive(Debug)]
pub(crate) enum Transport {
    Stream(Connection),
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stream(connection) => connection.as_fd(),
        }
    }
}

impl Transport {
    /// Opens what a machine of this kind runs over.
    pub(crate) fn open(
        target: SocketAddr,
        _kind: &Kind,
        source: &Source,
    ) -> Result<Self, OpenError> {
        Connection::open(target, source).map(Self::Stream)
    }

    /// Whether bytes can be sent from the start.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Stream(connection) => connection.is_connected(),
        }
    }

    pub(crate) fn interest(&self) -> Interest {
        match self {
            Self::Stream(connection) => connection.interest(),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stream(connection) => connection.send(bytes),
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
            Self::Stream(connection) => {
                if !connection.is_connected() {
                    connection.finish_connect(after).map_err(|failure| Ended(Some(failure)))?;
                    machine.handle_connected();
                    return Ok(());
                }
                if writable {
                    connection.flush().map_err(|failure| Ended(Some(failure)))?;
                }
                for _ in 0..READS {
                    match connection.receive(buffer) {
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
