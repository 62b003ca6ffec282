//! The exchange check: say something, and the answer must begin as expected.

use core::time::Duration;
use std::sync::Arc;

use crate::ending::Ending;
use crate::{Failure, Machine, Output};

/// One run of the exchange check, for protocols whose greeting or answer to one line tells enough: `PING` and `+PONG`, `220 `.
#[derive(Debug)]
pub struct ExchangeCheck {
    send: Arc<[u8]>,
    expect: Arc<[u8]>,
    /// How many bytes of `expect` have been seen.
    seen: usize,
    unsent: bool,
    ending: Ending,
}

impl ExchangeCheck {
    /// A run that sends `send` when connected and succeeds when the first bytes of the answer are `expect`.
    #[must_use]
    pub fn new(send: Arc<[u8]>, expect: Arc<[u8]>) -> Self {
        Self { send, expect, seen: 0, unsent: false, ending: Ending::Running }
    }
}

impl Machine for ExchangeCheck {
    fn handle_connected(&mut self) {
        if self.expect.is_empty() {
            self.ending.decide(Ok(()));
        }
        self.unsent = !self.send.is_empty();
    }

    fn handle_data(&mut self, bytes: &[u8]) {
        let missing = self.expect.get(self.seen..).unwrap_or_default();
        let common = missing.len().min(bytes.len());
        if missing.get(..common) != bytes.get(..common) {
            self.ending.decide(Err(Failure::Unexpected));
        } else if common == missing.len() {
            self.ending.decide(Ok(()));
        } else {
            self.seen = self.seen.saturating_add(common);
        }
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.ending.closed(failure);
    }

    fn handle_timeout(&mut self, after: Duration) {
        self.ending.timed_out(after);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        if self.ending.is_running() && core::mem::take(&mut self.unsent) {
            return Some(Output::Transmit(&self.send));
        }
        self.ending.poll_output()
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
        assert_eq!(outputs(&mut machine), ["Close", "Done(Err(TimedOut { after: 1s }))"]);
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
