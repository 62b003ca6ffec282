//! What happened, in one list that every watcher adds to and every step waits on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Since the Unix epoch.
    pub(crate) at: Duration,
    pub(crate) who: Who,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The person at the keyboard: the script.
    Operator,
    /// 0 or 1.
    Director(usize),
    Client,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A deed of the operator.
    Did(String),
    /// The virtual address came or went.
    Address { added: bool },
    /// A VRRP advertisement: the first of this router's series, or any of priority 0.
    Advertises { priority: u8 },
    /// The first gratuitous ARP for the virtual address after a while.
    Announces,
    /// The IPVS table changed; the text says how.
    Table(Change),
    /// The client's answers come from somebody else than before.
    Served { by: String },
    /// The client's requests began to fail.
    Failing { why: String },
}

/// A change of an IPVS table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    ServiceAdded(String),
    ServiceRemoved(String),
    ServerAdded(String),
    ServerRemoved(String),
}

/// An advertisement on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advertisement {
    pub(crate) at: Duration,
    /// 0 or 1.
    pub(crate) director: usize,
    pub(crate) priority: u8,
}

/// The list. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    events: Mutex<Vec<Event>>,
    /// Every advertisement, to explain events by.
    advertisements: Mutex<Vec<Advertisement>>,
    more: Condvar,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.shared.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, at: Duration, who: Who, what: What) {
        self.lock().push(Event { at, who, what });
        self.shared.more.notify_all();
    }

    pub(crate) fn advertisement(&self, advertisement: Advertisement) {
        self.shared
            .advertisements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(advertisement);
    }

    /// All advertisements so far in the order of their times.
    pub(crate) fn advertisements(&self) -> Vec<Advertisement> {
        self.shared.advertisements.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All events so far in the order of their times.
    pub(crate) fn all(&self) -> Vec<Event> {
        let mut events = self.lock().clone();
        events.sort_by_key(|event| event.at);
        events
    }

    /// Waits for an event of `since` or later that is `wanted`; says when it was.
    pub(crate) fn wait(
        &self,
        since: Duration,
        patience: Duration,
        mut wanted: impl FnMut(Who, &What) -> bool,
    ) -> Option<Duration> {
        let end = Instant::now() + patience;
        let mut seen = 0;
        let mut events = self.lock();
        loop {
            let mut new = events.iter().skip(seen);
            if let Some(event) =
                new.find(|event| event.at >= since && wanted(event.who, &event.what))
            {
                return Some(event.at);
            }
            seen = events.len();
            let left = end.checked_duration_since(Instant::now())?;
            events = self
                .shared
                .more
                .wait_timeout(events, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
