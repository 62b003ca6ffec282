//! The exchange check: say something, and the answer must begin as expected.

use core::time::Duration;
use std::sync::Arc;

use crate::{Failure, Machine, Output};

/// One run of the exchange check, for protocols whose greeting or answer to one line tells enough: `PING` and `+PONG`, `220 `.
#[derive(Debug)]
pub struct ExchangeCheck {
    send: Arc<[u8]>,
    expect: Arc<[u8]>,
    /// How many bytes of `expect` have been seen.
    seen: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Connecting,
    Send,
    Listen,
    Close(Result<(), Failure>),
    Report(Result<(), Failure>),
    Finished,
}

impl ExchangeCheck {
    /// A run that sends `send` when connected and succeeds when the first bytes of the answer are `expect`.
    #[must_use]
    pub fn new(send: Arc<[u8]>, expect: Arc<[u8]>) -> Self {
        Self { send, expect, seen: 0, phase: Phase::Connecting }
    }

    fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Send | Phase::Listen)
    }

    fn fail(&mut self, failure: Failure) {
        if self.is_running() {
            self.phase = Phase::Report(Err(failure));
        }
    }
}

impl Machine for ExchangeCheck {
    fn handle_connected(&mut self) {
        if matches!(self.phase, Phase::Connecting) {
            self.phase = if self.expect.is_empty() {
                Phase::Close(Ok(()))
            } else if self.send.is_empty() {
                Phase::Listen
            } else {
                Phase::Send
            };
        }
    }

    fn handle_data(&mut self, bytes: &[u8]) {
        if !self.is_running() {
            return;
        }
        let missing = self.expect.get(self.seen..).unwrap_or_default();
        let common = missing.len().min(bytes.len());
        if missing.get(..common) != bytes.get(..common) {
            self.phase = Phase::Close(Err(Failure::Unexpected));
        } else if common == missing.len() {
            self.phase = Phase::Close(Ok(()));
        } else {
            self.seen = self.seen.saturating_add(common);
        }
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.fail(failure.unwrap_or(Failure::Closed));
    }

    fn handle_timeout(&mut self, after: Duration) {
        self.fail(Failure::TimedOut { after });
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        match self.phase {
            Phase::Connecting | Phase::Listen | Phase::Finished => None,
            Phase::Send => {
                self.phase = Phase::Listen;
                Some(Output::Transmit(&self.send))
            }
            Phase::Close(result) => {
                self.phase = Phase::Report(result);
                Some(Output::Close)
            }
            Phase::Report(result) => {
                self.phase = Phase::Finished;
                Some(Output::Done(result))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> ExchangeCheck {
        ExchangeCheck::new((*b"PING\r\n").into(), (*b"+PONG").into())
    }

    fn outputs(machine: &mut ExchangeCheck) -> Vec<String> {
        core::iter::from_fn(|| machine.poll_output().map(|output| format!("{output:?}"))).collect()
    }

    #[test]
    fn an_answer_in_pieces_is_put_together() {
        let mut machine = ping();
        machine.handle_connected();
        assert_eq!(outputs(&mut machine), ["Transmit([80, 73, 78, 71, 13, 10])"]);
        machine.handle_data(b"+PO");
        assert_eq!(outputs(&mut machine), [""; 0]);
        machine.handle_data(b"NG\r\nmore");
        assert_eq!(outputs(&mut machine), ["Close", "Done(Ok(()))"]);
        machine.handle_timeout(Duration::ZERO);
        assert_eq!(outputs(&mut machine), [""; 0]);
    }

    #[test]
    fn another_answer_an_early_end_and_silence_fail() {
        let mut machine = ping();
        machine.handle_connected();
        assert_eq!(outputs(&mut machine).len(), 1);
        machine.handle_data(b"+PANG");
        assert_eq!(outputs(&mut machine), ["Close", "Done(Err(Unexpected))"]);

        let mut machine = ping();
        machine.handle_connected();
        machine.handle_data(b"+");
        machine.handle_closed(None);
        assert_eq!(outputs(&mut machine), ["Done(Err(Closed))"]);

        let mut machine = ping();
        machine.handle_timeout(Duration::from_secs(1));
        assert_eq!(outputs(&mut machine), ["Done(Err(TimedOut { after: 1s }))"]);
    }

    #[test]
    fn a_server_that_speaks_first_is_listened_to() {
        let mut machine = ExchangeCheck::new((*b"").into(), (*b"220 ").into());
        machine.handle_connected();
        assert_eq!(outputs(&mut machine), [""; 0]);
        machine.handle_data(b"220 mail.example.com");
        assert_eq!(outputs(&mut machine), ["Close", "Done(Ok(()))"]);
    }

    #[test]
    fn expecting_nothing_is_the_tcp_check() {
        let mut machine = ExchangeCheck::new((*b"x").into(), (*b"").into());
        machine.handle_connected();
        assert_eq!(outputs(&mut machine), ["Close", "Done(Ok(()))"]);
    }
}
