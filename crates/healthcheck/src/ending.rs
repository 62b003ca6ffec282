//! How every run ends: the connection is closed, the result is told, nothing follows.

use core::time::Duration;

use crate::{Failure, Output};

/// The common last part of all machines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Ending {
    #[default]
    Running,
    Close(Result<(), Failure>),
    Report(Result<(), Failure>),
    Finished,
}

impl Ending {
    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Running)
    }

    /// The run is decided. Only the first decision counts.
    pub(crate) fn decide(&mut self, result: Result<(), Failure>) {
        if self.is_running() {
            *self = Self::Close(result);
        }
    }

    /// The transport is gone: there is nothing to close.
    pub(crate) fn closed(&mut self, failure: Option<Failure>) {
        match self {
            Self::Running => *self = Self::Report(Err(failure.unwrap_or(Failure::Closed))),
            Self::Close(result) => *self = Self::Report(*result),
            Self::Report(_) | Self::Finished => {}
        }
    }

    pub(crate) fn timed_out(&mut self, after: Duration) {
        self.decide(Err(Failure::TimedOut { after }));
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output<'static>> {
        let (output, next) = match *self {
            Self::Running | Self::Finished => return None,
            Self::Close(result) => (Output::Close, Self::Report(result)),
            Self::Report(result) => (Output::Done(result), Self::Finished),
        };
        *self = next;
        Some(output)
    }
}
