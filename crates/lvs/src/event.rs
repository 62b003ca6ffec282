//! What a director tells: a bounded queue that its thread never waits on.

use core::fmt;
use std::time::SystemTime;

use feed::{Feed, FeedSink, Report};
use healthcheck::{Failure, Outcome};
use ipvs::{DestinationKey, ServiceKey};
use reactor::Clock;

/// Something happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When, by the wall clock: for people to read, never to compare with.
    pub at: SystemTime,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A real server goes down or comes up.
    RealServer {
        /// The service.
        service: ServiceKey,
        /// The real server.
        destination: DestinationKey,
        /// What it is now.
        outcome: Outcome,
        /// Why it is down, as the last failed check says.
        cause: Option<Failure>,
    },
    /// The kernel refused a change. It is tried again, later and later, until the table is as wanted or something else is wanted.
    Refused {
        /// The service it is about.
        service: Option<ServiceKey>,
        /// What was refused, why, and what helps.
        error: String,
    },
    /// The table cannot be read. It is tried again.
    Unreadable {
        /// What the kernel said.
        error: String,
    },
    /// After a refusal: the table is as wanted again.
    Converged,
    /// A service that is not configured (any more) was removed: a director that died may have left it.
    Removed {
        /// The service.
        service: ServiceKey,
    },
    /// A service that was there already, ours or not, was taken over without interruption.
    Adopted {
        /// The service.
        service: ServiceKey,
    },
}

impl EventKind {
    /// How loud a log should be about it.
    #[must_use]
    pub const fn level(&self) -> log::Level {
        match self {
            Self::RealServer { outcome: Outcome::Up, .. }
            | Self::Converged
            | Self::Adopted { .. }
            | Self::Removed { .. } => log::Level::Info,
            Self::RealServer { .. } | Self::Refused { .. } | Self::Unreadable { .. } => {
                log::Level::Warn
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RealServer { service, destination, outcome, cause: Some(cause) } => {
                write!(f, "{service}: real server {destination} is {outcome}: {cause}")
            }
            Self::RealServer { service, destination, outcome, cause: None } => {
                write!(f, "{service}: real server {destination} is {outcome}")
            }
            Self::Refused { error, .. } | Self::Unreadable { error } => f.write_str(error),
            Self::Converged => f.write_str("the IPVS table is as wanted again"),
            Self::Removed { service } => write!(f, "{service} is not configured any more; removed"),
            Self::Adopted { service } => write!(f, "{service} was there already; taken over"),
        }
    }
}

/// A receiver of [`Event`]s, until the director has ended. It is bounded; the oldest are dropped and counted.
pub type Events = Feed<Event>;

impl Report for Event {
    fn level(&self) -> log::Level {
        self.kind.level()
    }
}

/// The director's end of the queue.
#[derive(Debug)]
pub(crate) struct EventSink(FeedSink<Event>);

impl EventSink {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(FeedSink::new(capacity))
    }

    pub(crate) fn events(&self) -> Events {
        self.0.feed()
    }

    /// Puts an event into the queue; never waits.
    pub(crate) fn emit(&self, kind: EventKind) {
        self.0.emit(Event { at: Clock::wall(), kind });
    }
}
