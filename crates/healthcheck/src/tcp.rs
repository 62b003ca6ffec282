//! The TCP check: a server is up when it completes the handshake.

use core::time::Duration;

use crate::{Failure, Machine, Output};

/// One run of the TCP check: done when connected.
#[derive(Debug, Default)]
pub struct TcpCheck {
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Connecting,
    Close,
    Report(Result<(), Failure>),
    Finished,
}

impl TcpCheck {
    /// A run that waits for its connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn end(&mut self, phase: Phase) {
        if matches!(self.phase, Phase::Connecting) {
            self.phase = phase;
        }
    }
}

impl Machine for TcpCheck {
    fn handle_connected(&mut self) {
        self.end(Phase::Close);
    }

    fn handle_data(&mut self, _bytes: &[u8]) {
        self.end(Phase::Close); // data needs a connection
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.end(Phase::Report(Err(failure.unwrap_or(Failure::Closed))));
    }

    fn handle_timeout(&mut self, after: Duration) {
        self.end(Phase::Report(Err(Failure::TimedOut { after })));
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        let (output, next) = match self.phase {
            Phase::Connecting | Phase::Finished => return None,
            Phase::Close => (Output::Close, Phase::Report(Ok(()))),
            Phase::Report(result) => (Output::Done(result), Phase::Finished),
        };
        self.phase = next;
        Some(output)
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
        machine.handle_closed(None);
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
        assert_eq!(outputs(|m| m.handle_timeout(after)), ["Done(Err(TimedOut { after: 5s }))"]);
    }
}
