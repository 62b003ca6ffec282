//! What a director tells: a bounded queue that its thread never waits on.

use core::fmt;
use core::time::Duration;
use std::time::SystemTime;

use feed::{Feed, FeedSink, Report};
use healthcheck::{Failure, Outcome};
use ipvs::{DestinationKey, ServiceKey, SyncRole, Weight};
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
    /// A check of a real server has had no result for long: its health is what it was, which may not be true any more.
    Silent {
        /// The service, the first of its group.
        service: ServiceKey,
        /// The real server.
        destination: DestinationKey,
    },
    /// What the real servers that are up weigh together does not suffice any more.
    QuorumLost {
        /// The service, the first of its group.
        service: ServiceKey,
        /// What those that are up weigh.
        alive: u64,
        /// The quorum.
        quorum: u32,
    },
    /// What the real servers that are up weigh together suffices again.
    QuorumGained {
        /// The service, the first of its group.
        service: ServiceKey,
        /// What those that are up weigh.
        alive: u64,
        /// The quorum.
        quorum: u32,
    },
    /// The server of last resort begins or ceases to serve.
    SorryServer {
        /// The service, the first of its group.
        service: ServiceKey,
        /// The server of last resort.
        destination: DestinationKey,
        /// Whether it serves now.
        serving: bool,
    },
    /// So many real servers are down that some of them serve on.
    CapHolds {
        /// The service, the first of its group.
        service: ServiceKey,
        /// How many are down and serve on.
        held: usize,
        /// How many are down and out.
        ejected: usize,
    },
    /// No real server that is down serves any more.
    CapReleased {
        /// The service, the first of its group.
        service: ServiceKey,
    },
    /// A real server gets no new connections; it is taken out when it has none.
    Draining {
        /// The service, the first of its group.
        service: ServiceKey,
        /// The real server.
        destination: DestinationKey,
        /// How long its connections are waited for.
        at_most: Duration,
    },
    /// A real server that was drained is taken out.
    Drained {
        /// The service, the first of its group.
        service: ServiceKey,
        /// The real server.
        destination: DestinationKey,
        /// Why now.
        end: DrainEnd,
    },
    /// The full weight of a real server is another.
    Weight {
        /// The service, the first of its group.
        service: ServiceKey,
        /// The real server.
        destination: DestinationKey,
        /// The weight.
        weight: Weight,
        /// Who says so.
        source: WeightSource,
    },
    /// A sync daemon runs now, in place of the other if there was one.
    SyncDaemon {
        /// Which.
        role: SyncRole,
    },
    /// Somebody else has changed our services in the kernel.
    Drift {
        /// The service.
        service: ServiceKey,
        /// What would have to be done to undo it.
        difference: String,
        /// Whether it is being undone.
        restored: bool,
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
            | Self::QuorumGained { .. }
            | Self::SorryServer { .. }
            | Self::CapReleased { .. }
            | Self::Draining { .. }
            | Self::Drained { .. }
            | Self::Weight { .. }
            | Self::SyncDaemon { .. }
            | Self::Converged
            | Self::Adopted { .. }
            | Self::Removed { .. } => log::Level::Info,
            Self::RealServer { .. }
            | Self::Silent { .. }
            | Self::QuorumLost { .. }
            | Self::CapHolds { .. }
            | Self::Drift { .. }
            | Self::Refused { .. }
            | Self::Unreadable { .. } => log::Level::Warn,
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
            Self::Silent { service, destination } => {
                write!(
                    f,
                    "{service}: a check of real server {destination} has had no result for long"
                )
            }
            Self::QuorumLost { service, alive, quorum } => {
                write!(
                    f,
                    "{service}: quorum lost: real servers that are up weigh {alive}, the quorum is {quorum}"
                )
            }
            Self::QuorumGained { service, alive, quorum } => {
                write!(
                    f,
                    "{service}: quorum gained: real servers that are up weigh {alive}, the quorum is {quorum}"
                )
            }
            Self::SorryServer { service, destination, serving: true } => {
                write!(f, "{service}: sorry server {destination} serves")
            }
            Self::SorryServer { service, destination, serving: false } => {
                write!(f, "{service}: sorry server {destination} serves no more")
            }
            Self::CapHolds { service, held, ejected } => write!(
                f,
                "{service}: too many real servers are down: {ejected} are out, {held} serve on in spite of their checks"
            ),
            Self::CapReleased { service } => {
                write!(f, "{service}: no real server that is down serves any more")
            }
            Self::Draining { service, destination, at_most } => {
                write!(f, "{service}: real server {destination} drains, for {at_most:?} at most")
            }
            Self::Drained { service, destination, end } => {
                write!(f, "{service}: real server {destination} is drained: {end}")
            }
            Self::Weight { service, destination, weight, source } => {
                write!(f, "{service}: real server {destination} has weight {weight} {source}")
            }
            Self::SyncDaemon { role } => write!(f, "the {role} sync daemon runs"),
            Self::Drift { service, difference, restored } => {
                let done = if *restored { "put back" } else { "left alone" };
                write!(f, "{service}: changed by somebody else, {done}; to undo: {difference}")
            }
            Self::Refused { error, .. } | Self::Unreadable { error } => f.write_str(error),
            Self::Converged => f.write_str("the IPVS table is as wanted again"),
            Self::Removed { service } => write!(f, "{service} is not configured any more; removed"),
            Self::Adopted { service } => write!(f, "{service} was there already; taken over"),
        }
    }
}

/// Why a drained server is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DrainEnd {
    /// Its connections have ended.
    Idle,
    /// The deadline has passed.
    Deadline {
        /// The connections it still has; `None`: they could not be counted.
        connections: Option<u64>,
    },
}

impl fmt::Display for DrainEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("its connections have ended"),
            Self::Deadline { connections: Some(left) } => {
                write!(f, "its time is up, with {left} connections left")
            }
            Self::Deadline { connections: None } => f.write_str("its time is up"),
        }
    }
}

/// Who says the weight of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightSource {
    /// A check: the exit code of a script, a file.
    Check,
    /// [`Handle::set_weight`](crate::Handle::set_weight).
    Order,
}

impl fmt::Display for WeightSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check => "by its check",
            Self::Order => "by order",
        })
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
