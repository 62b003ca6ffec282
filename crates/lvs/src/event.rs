//! What a director tells: a bounded queue that its thread never waits on.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use healthcheck::{Failure, Outcome};
use ipvs::{DestinationKey, ServiceKey};

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

/// A receiver of [`Event`]s. Clones share one queue: each event goes to one of them.
///
/// The queue is bounded; when nobody reads it the oldest events are dropped and counted.
#[derive(Clone, Debug)]
pub struct Events {
    receiver: Receiver<Event>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// Waits for the next event; `None` when the director has ended and all its events are read.
    #[must_use]
    pub fn recv(&self) -> Option<Event> {
        self.receiver.recv().ok()
    }

    /// Waits for the next event, but not longer than `timeout`; `None` also when the director has ended.
    #[must_use]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.receiver.recv_timeout(timeout).ok()
    }

    /// The next event if there is one already.
    #[must_use]
    pub fn try_recv(&self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }

    /// Events as they come, until the director has ended.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        self.receiver.iter()
    }

    /// The channel itself, for `crossbeam_channel::select!`.
    #[must_use]
    pub const fn receiver(&self) -> &Receiver<Event> {
        &self.receiver
    }

    /// Reads all events and writes each to the `log` facade, until the director has ended. For a thread of yours: the
    /// director's own never logs, because a log can block.
    pub fn log_all(&self) {
        for event in self.iter() {
            log::log!(event.kind.level(), "{event}");
        }
    }

    /// How many events were dropped because nobody read them in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The director's end of the queue.
#[derive(Debug)]
pub(crate) struct EventSink {
    sender: Sender<Event>,
    queue: Events,
}

impl EventSink {
    pub(crate) fn new(capacity: usize) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(capacity.max(1));
        Self { sender, queue: Events { receiver, dropped: Arc::default() } }
    }

    pub(crate) fn events(&self) -> Events {
        self.queue.clone()
    }

    /// Puts an event into the queue; never waits.
    pub(crate) fn emit(&self, kind: EventKind) {
        let mut event = Event { at: reactor::Clock::wall(), kind };
        while let Err(TrySendError::Full(refused)) = self.sender.try_send(event) {
            event = refused;
            if self.queue.receiver.try_recv().is_ok() {
                self.queue.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest() {
        let sink = EventSink::new(2);
        let events = sink.events();
        for port in [1, 2, 3] {
            sink.emit(EventKind::Adopted { service: ServiceKey::tcp([192, 0, 2, 1].into(), port) });
        }
        assert_eq!(events.dropped(), 1);
        drop(sink);
        let texts: Vec<String> = events.iter().map(|event| event.to_string()).collect();
        assert_eq!(
            texts,
            [
                "tcp/192.0.2.1:2 was there already; taken over",
                "tcp/192.0.2.1:3 was there already; taken over"
            ]
        );
    }
}
