//! Why a real server stands in the table as it does.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use healthcheck::Failure;
use ipvs::{DestinationKey, ServiceKey, Weight};

use crate::pool::{DrainReason, Group, Place, Pool, Server};

/// How a real server stands in the table, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Why {
    /// The pool: the first service of the group.
    pub service: ServiceKey,
    /// The real server.
    pub destination: DestinationKey,
    /// The weight that it shall have; `None`: it shall not be in the table.
    pub weight: Option<Weight>,
    /// Why.
    pub reason: Reason,
    /// For how long its health has been what it is.
    pub unchanged_for: Duration,
}

/// The reason for a real server's place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It has no checks: it is always up.
    Unchecked,
    /// Nothing is known yet; until its first results it counts as up.
    AssumedUp,
    /// Nothing is known yet; until its first results it counts as down.
    AssumedDown,
    /// All its checks pass.
    Healthy,
    /// All its checks pass, and its weight is on the way to this.
    SlowStart {
        /// The full weight.
        full: Weight,
    },
    /// Its weight was set to 0.
    WeightZero,
    /// A check fails.
    Failed(FailedCheck),
    /// A check fails, and it serves on because too many others are out.
    HeldByCap {
        /// The check.
        failed: FailedCheck,
        /// How many real servers are down and out.
        ejected: usize,
    },
    /// It is up, and the server of last resort serves: those that are up do not make a quorum.
    NoQuorum {
        /// What those that are up weigh together.
        alive: u64,
        /// The quorum.
        quorum: u32,
    },
    /// Its connections are waited for.
    Draining {
        /// Why it drains.
        cause: DrainCause,
        /// How many there were when they were last counted.
        connections: Option<u64>,
        /// How much longer.
        remaining: Duration,
    },
    /// It was drained.
    Drained {
        /// Why it was.
        cause: DrainCause,
    },
}

/// A check that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedCheck {
    /// What is checked.
    pub target: Option<SocketAddr>,
    /// Why it fails.
    pub cause: Option<Failure>,
}

/// Why a real server drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DrainCause {
    /// Its checks fail.
    Down,
    /// [`Handle::drain`](crate::Handle::drain).
    Order,
    /// It is not configured any more.
    Removed,
}

impl From<DrainReason> for DrainCause {
    fn from(reason: DrainReason) -> Self {
        match reason {
            DrainReason::Down => Self::Down,
            DrainReason::Asked => Self::Order,
            DrainReason::Removed => Self::Removed,
        }
    }
}

impl Why {
    pub(crate) fn of(
        now: Instant,
        pool: &Pool,
        service: &ServiceKey,
        destination: &DestinationKey,
    ) -> Option<Self> {
        let group = pool.group_of(service)?;
        let server = group.servers.get(destination)?;
        Some(Self {
            service: group.name,
            destination: *destination,
            weight: group.placed_weight(now, server),
            reason: reason(now, group, server),
            unchanged_for: now.saturating_duration_since(server.history.since),
        })
    }
}

fn reason(now: Instant, group: &Group, server: &Server) -> Reason {
    match group.place(server) {
        Place::Serving | Place::SlowStart if server.weight().value() == 0 => Reason::WeightZero,
        Place::Serving if server.checks.is_empty() => Reason::Unchecked,
        Place::Serving if !server.checks.iter().any(|check| check.has_run) => Reason::AssumedUp,
        Place::Serving => Reason::Healthy,
        Place::SlowStart => Reason::SlowStart { full: server.weight() },
        Place::Held => Reason::HeldByCap { failed: failed(server), ejected: group.ejected },
        Place::Displaced { .. } => {
            Reason::NoQuorum { alive: group.alive(), quorum: group.config.quorum }
        }
        Place::Quiesced | Place::Out => {
            let down =
                server.checks.iter().find(|check| check.outcome == healthcheck::Outcome::Down);
            if down.is_some_and(|check| !check.has_run) {
                Reason::AssumedDown
            } else {
                Reason::Failed(failed(server))
            }
        }
        Place::Draining(cause) => Reason::Draining {
            cause: cause.into(),
            connections: server.connections,
            remaining: server
                .drain
                .map_or(Duration::ZERO, |drain| drain.deadline.saturating_duration_since(now)),
        },
        Place::Drained(cause) => Reason::Drained { cause: cause.into() },
    }
}

fn failed(server: &Server) -> FailedCheck {
    let check = server.checks.iter().find(|check| check.outcome == healthcheck::Outcome::Down);
    FailedCheck {
        target: check.and_then(|check| check.config.check.target()),
        cause: check.and_then(|check| check.cause),
    }
}

impl fmt::Display for FailedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the check")?;
        if let Some(target) = self.target {
            write!(f, " of {target}")?;
        }
        f.write_str(" fails")?;
        if let Some(cause) = self.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DrainCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "it is down",
            Self::Order => "somebody asked for it",
            Self::Removed => "it is not configured any more",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: real server {} ", self.service, self.destination)?;
        match self.weight {
            Some(weight) => write!(f, "has weight {weight}: ")?,
            None => f.write_str("is not in the table: ")?,
        }
        self.reason.fmt(f)?;
        write!(f, " (for {:.1?})", self.unchanged_for)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchecked => f.write_str("it has no checks"),
            Self::AssumedUp => f.write_str("no check has ended yet, and it is assumed up"),
            Self::AssumedDown => f.write_str("no check has passed yet, and it is assumed down"),
            Self::Healthy => f.write_str("all its checks pass"),
            Self::SlowStart { full } => {
                write!(f, "all its checks pass, and its weight grows to {full}")
            }
            Self::WeightZero => f.write_str("its weight was set to 0"),
            Self::Failed(failed) => failed.fmt(f),
            Self::HeldByCap { failed, ejected } => {
                write!(f, "{failed}, and it serves on because {ejected} others are out")
            }
            Self::NoQuorum { alive, quorum } => {
                write!(
                    f,
                    "no quorum: real servers that are up weigh {alive}, the quorum is {quorum}"
                )
            }
            Self::Draining { cause, connections: Some(connections), remaining } => write!(
                f,
                "it drains because {cause}: {connections} connections, {remaining:.1?} remain"
            ),
            Self::Draining { cause, connections: None, remaining } => {
                write!(f, "it drains because {cause}: {remaining:.1?} remain")
            }
            Self::Drained { cause } => write!(f, "it was drained because {cause}"),
        }
    }
}
