//! The TCP check: a server is up when it completes the handshake; over TLS, when it completes that one, too.

use core::time::Duration;

use crate::ending::Ending;
use crate::{Failure, Machine, Output};

/// One run of the TCP check: done when connected.
#[derive(Debug, Default)]
pub struct TcpCheck {
    ending: Ending,
}

impl TcpCheck {
    /// A run that waits for its connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Machine for TcpCheck {
    fn handle_connected(&mut self) {
        self.ending.decide(Ok(()));
    }

    fn handle_data(&mut self, _bytes: &[u8]) {
        self.ending.decide(Ok(())); // data needs a connection
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.ending.closed(failure);
    }

    fn handle_timeout(&mut self, after: Duration) {
        self.ending.timed_out(after);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        self.ending.poll_output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(input: impl FnOnce(&mut TcpCheck)) -> Vec<String> {
        let mut machine = TcpCheck::new();
        assert_eq!(machine.poll_output(), None);
        input(&mut machine);
        // Whatever comes after the first input changes nothing.
        machine.handle_timeout(Duration::ZERO);
        machine.handle_connected();
        core::iter::from_fn(|| machine.poll_output().map(|output| format!("{output:?}"))).collect()
    }

    #[test]
    fn every_first_input_decides_once() {
        assert_eq!(outputs(Machine::handle_connected), ["Close", "Done(Ok(()))"]);
        assert_eq!(outputs(|m| m.handle_data(b"220 hello")), ["Close", "Done(Ok(()))"]);
        assert_eq!(outputs(|m| m.handle_closed(None)), ["Done(Err(Closed))"]);
        assert_eq!(outputs(|m| m.handle_closed(Some(Failure::Refused))), ["Done(Err(Refused))"]);
        let after = Duration::from_secs(5);
        assert_eq!(
            outputs(|m| m.handle_timeout(after)),
            ["Close", "Done(Err(TimedOut { after: 5s }))"]
        );
    }
}
