//! What happened to a pair, as seen from outside, and what the campaign did to it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::rules::{Side, VIPS};

/// Something that was seen or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An advertisement came in at the switch's port.
    Advertisement { from: Side, priority: u8 },
    /// A gratuitous ARP for a virtual address came in at the switch's port.
    Announcement { mac: [u8; 6], vip: usize },
    /// A host's kernel has a virtual address, or has it no longer.
    Address { on: Side, vip: usize, present: bool },
    /// The campaign did something.
    Act(String),
    /// A router said something: for people, never for a verdict.
    Said { side: Side, line: String },
}

/// With its time, of the clock of [`lab::now`].
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advertisement { from, priority } => {
                write!(f, "{from} advertises priority {priority}")
            }
            Self::Announcement { mac, vip } => {
                write!(f, "{mac:02x?} announces {}", VIPS[*vip])
            }
            Self::Address { on, vip, present: true } => write!(f, "{on} has {}", VIPS[*vip]),
            Self::Address { on, vip, present: false } => {
                write!(f, "{on} has {} no longer", VIPS[*vip])
            }
            Self::Act(act) => write!(f, "*** {act}"),
            Self::Said { side, line } => write!(f, "{side} says: {line}"),
        }
    }
}

/// Which host has which virtual address.
pub(crate) type Held = [[bool; VIPS.len()]; 2];

#[derive(Debug, Default)]
struct Inner {
    /// Before the first event.
    base: Held,
    events: VecDeque<Event>,
}

/// The latest events of one pair.
#[derive(Debug, Default)]
pub(crate) struct Timeline(Mutex<Inner>);

impl Timeline {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, at: Duration, what: What) {
        self.lock().events.push_back(Event { at, what });
    }

    /// Notes what the campaign did; when.
    pub(crate) fn act(&self, what: impl Into<String>) -> Duration {
        let at = lab::now();
        self.push(at, What::Act(what.into()));
        at
    }

    /// Forgets what is older.
    pub(crate) fn forget_before(&self, at: Duration) {
        let mut inner = self.lock();
        while let Some(event) = inner.events.front().filter(|event| event.at < at) {
            if let What::Address { on, vip, present } = event.what {
                inner.base[on.index()][vip] = present;
            }
            inner.events.pop_front();
        }
    }

    /// What happened after `from` and not after `to`, in order of time.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Vec<Event> {
        let inner = self.lock();
        let inside = inner.events.iter().filter(|event| event.at > from && event.at <= to);
        let mut events: Vec<Event> = inside.cloned().collect();
        events.sort_by_key(|event| event.at);
        events
    }

    /// Which host has which address at a moment.
    pub(crate) fn held(&self, at: Duration) -> Held {
        let mut held = self.lock().base;
        for event in self.between(Duration::ZERO, at) {
            if let What::Address { on, vip, present } = event.what {
                held[on.index()][vip] = present;
            }
        }
        held
    }

    /// The advertisements of a host that mean mastership, in a time.
    pub(crate) fn advertisements(
        &self,
        from: Side,
        after: Duration,
        until: Duration,
    ) -> Vec<Duration> {
        self.between(after, until)
            .into_iter()
            .filter(|event| {
                matches!(event.what, What::Advertisement { from: who, priority: 1.. } if who == from)
            })
            .map(|event| event.at)
            .collect()
    }

    /// As people read it, times in seconds relative to `origin`: everything since `from`, and what was done and said before.
    pub(crate) fn draw(
        &self,
        from: Duration,
        to: Duration,
        origin: Duration,
        also: Vec<Event>,
    ) -> String {
        let mut events = self.between(Duration::ZERO, to);
        events.extend(also);
        events.retain(|event| {
            event.at > from || matches!(event.what, What::Act(_) | What::Said { .. })
        });
        events.sort_by_key(|event| event.at);
        let line = |event: Event| {
            let seconds = event.at.as_secs_f64() - origin.as_secs_f64();
            format!("    {seconds:>9.4}  {}\n", event.what)
        };
        events.into_iter().map(line).collect()
    }
}
