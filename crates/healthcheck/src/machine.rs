//! The shape every check machine has.

use core::fmt;
use core::time::Duration;

use crate::Failure;

/// What a machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[expect(
    clippy::exhaustive_enums,
    reason = "a transport that ignores a new output must not compile"
)]
pub enum Output<'a> {
    /// Send these bytes: a piece of a stream, or one whole datagram.
    Transmit(&'a [u8]),
    /// Close the connection; no answer comes.
    Close,
    /// Close the connection, if there is one, and open another to the same place.
    Reconnect,
    /// The run has ended. Nothing follows.
    Done(Result<(), Failure>),
}

/// One run of one check, knowing bytes only.
///
/// The transport below (a TCP connection, TLS over one, a connected datagram socket, a child process) turns what happens
/// into inputs and outputs into actions. After every input, [`Machine::poll_output`] is drained to `None`. A machine
/// starts unconnected and says [`Output::Done`] exactly once; inputs after that change nothing.
pub trait Machine: fmt::Debug {
    /// The transport is ready for bytes.
    fn handle_connected(&mut self);

    /// Bytes arrived: a piece of a stream, or one whole datagram.
    fn handle_data(&mut self, bytes: &[u8]);

    /// The transport is gone: in good order (`None`) or by an error.
    fn handle_closed(&mut self, failure: Option<Failure>);

    /// The run's time is up, `after` this long.
    fn handle_timeout(&mut self, after: Duration);

    /// The next thing to do.
    fn poll_output(&mut self) -> Option<Output<'_>>;
}
