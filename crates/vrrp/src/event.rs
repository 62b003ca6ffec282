//! What a running router tells: a bounded queue that the router's thread can never wait on.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use feed::{Feed, FeedSink, Report};
use reactor::Clock;
use vrrp_fsm::vrrp_proto::Priority;
use vrrp_fsm::{AddressesLostPolicy, Conflict, Discard, Fault, Reason, State};

/// Something happened to a virtual router.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When, by the wall clock: for people to read, never to compare with.
    pub at: SystemTime,
    /// The name of the virtual router; of the sync group for [`EventKind::SyncGroupChanged`].
    pub virtual_router: Arc<str>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The election's state changed. `Master` is reported once all addresses are present, `Initialize`
    /// once all are gone.
    StateChanged {
        /// The state before.
        from: State,
        /// The state now.
        to: State,
        /// Why.
        reason: Reason,
        /// Orders the masterships of this process; not a fencing token.
        term: u64,
        /// The effective priority at this moment.
        priority: Priority,
    },
    /// All members of a sync group are in another state than before.
    SyncGroupChanged {
        /// The state before.
        from: State,
        /// The state now.
        to: State,
    },
    /// There are, or were, two Masters; ours has more right to it and announces its addresses again at the end.
    Contended {
        /// Who remains: our source address.
        winner: IpAddr,
        /// Who has to give up.
        loser: IpAddr,
        /// How long both advertised, so far.
        duration: Duration,
        /// Whether the other one still does; then this is told again every master-down interval.
        ongoing: bool,
    },
    /// Another router has what only one may have: our source address, or the ownership of the addresses. Told of at once, and
    /// then at most once a minute.
    Conflict {
        /// What it is.
        conflict: Conflict,
        /// How many advertisements showed a conflict of this kind since the start.
        total: u64,
    },
    /// Something keeps the virtual router from taking part.
    Fault(Fault),
    /// It does not any more.
    FaultCleared(Fault),
    /// The kernel refused an address, or it could not be journalled; the machine decides whether to try again. After sixteen of
    /// these no more are told until all addresses could be installed.
    AddressFailed {
        /// The address.
        address: String,
        /// What the kernel said.
        error: String,
    },
    /// Somebody else removed or moved addresses that we held as Master. Told of at once, and then at most once a second: who
    /// removes them in a loop fills no log.
    AddressLost {
        /// The address; of many the first three, and how many more.
        address: String,
        /// The interface that has the first of them now, if it was moved.
        now_on: Option<String>,
        /// What this router does about it ([`VirtualRouter::addresses_lost`](crate::VirtualRouter::addresses_lost)).
        response: AddressesLostPolicy,
        /// How often it has happened to this virtual router so far.
        total: u64,
    },
    /// Addresses that a dead process of ours had left were removed at start.
    LeftoverRemoved {
        /// The address; of many the first three, and how many more.
        address: String,
    },
    /// Before we were Master, and not because of us, addresses of ours are on this host: traffic for them may come here while
    /// another host is Master. We will hold them as Master, and remove them afterwards.
    AddressAlreadyPresent {
        /// The address; of many the first three, and how many more.
        address: String,
    },
    /// Advertisements were lost because the receive queue of the interface was full: told once a second, for a few of the virtual
    /// routers there.
    ReceiveQueueOverflow,
    /// Datagrams for this virtual router are discarded for this cause. Told of the first at once, and then at most once a
    /// minute: the statistics have the exact numbers at any time.
    Discarded {
        /// What is wrong with the last one.
        discard: Discard,
        /// How many were discarded for the same cause ([`Discard::counter`]) since the start.
        total: u64,
    },
    /// Another router of this virtual router is configured otherwise, which version 3 tolerates (RFC 9568 §7.1). Told of as
    /// seldom as [`Discarded`](Self::Discarded).
    Differs {
        /// The other router.
        source: IpAddr,
        /// What its advertisements say.
        difference: Difference,
        /// How many such advertisements were received since the start.
        total: u64,
    },
}

/// What an advertisement can say that is not our configuration and is no reason to discard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Difference {
    /// It lists other addresses.
    AddressList,
    /// It comes at another interval.
    Interval,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressList => "other addresses",
            Self::Interval => "another interval",
        })
    }
}

impl EventKind {
    /// How loud a log should be about it.
    #[must_use]
    pub const fn level(&self) -> log::Level {
        match self {
            Self::StateChanged { .. } | Self::SyncGroupChanged { .. } | Self::FaultCleared(_) => {
                log::Level::Info
            }
            Self::Conflict { .. } => log::Level::Error,
            Self::Contended { .. }
            | Self::Fault(_)
            | Self::AddressFailed { .. }
            | Self::AddressLost { .. }
            | Self::LeftoverRemoved { .. }
            | Self::AddressAlreadyPresent { .. }
            | Self::ReceiveQueueOverflow
            | Self::Discarded { .. }
            | Self::Differs { .. } => log::Level::Warn,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.virtual_router, self.kind)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateChanged { from, to: to @ State::Master, reason, term, priority: _ } => {
                write!(f, "{from} -> {to}: {reason} (term {term})")
            }
            Self::StateChanged { from, to, reason, term: _, priority: _ } => {
                write!(f, "{from} -> {to}: {reason}")
            }
            Self::SyncGroupChanged { from, to } => write!(f, "{from} -> {to}: all members"),
            Self::Contended { winner, loser, duration, ongoing: true } => {
                write!(
                    f,
                    "two Masters for {duration:.1?} already: {winner} (ours) and {loser}, which may not hear us"
                )
            }
            Self::Contended { winner, loser, duration, ongoing: false } => {
                write!(
                    f,
                    "two Masters for {duration:.1?}: {winner} (ours) remains, {loser} gave up"
                )
            }
            Self::Conflict { conflict, total } => write!(f, "{conflict} ({total} so far)"),
            Self::Fault(fault) => write!(f, "cannot take part: {fault}"),
            Self::FaultCleared(fault) => write!(f, "no longer the case: {fault}"),
            Self::AddressFailed { address, error } => write!(f, "{address}: {error}"),
            Self::AddressLost { address, now_on, response, total } => {
                write!(f, "{address} was removed by somebody else")?;
                if let Some(interface) = now_on {
                    write!(f, " and is on {interface} now")?;
                }
                f.write_str(match response {
                    AddressesLostPolicy::StepDown => ": gives up being Master",
                    AddressesLostPolicy::Reinstall | _ => ": takes it back",
                })?;
                if *total > 1 { write!(f, " ({total} times so far)") } else { Ok(()) }
            }
            Self::LeftoverRemoved { address } => {
                write!(f, "{address} was left by a process that died; removed")
            }
            Self::AddressAlreadyPresent { address } => {
                write!(f, "{address} is on this host already, configured by somebody else")
            }
            Self::ReceiveQueueOverflow => {
                f.write_str("advertisements were lost: receive queue full")
            }
            Self::Discarded { discard, total } => {
                write!(f, "discarded a packet: {discard} ({}: {total} so far)", discard.counter())
            }
            Self::Differs { source, difference, total } => {
                write!(f, "{source} advertises {difference} than this router ({total} so far)")
            }
        }
    }
}

/// A receiver of [`Event`]s, until the router has ended. It is bounded; the oldest are dropped and counted.
pub type Events = Feed<Event>;

impl Report for Event {
    fn level(&self) -> log::Level {
        self.kind.level()
    }
}

/// The router's end of the queue.
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
    pub(crate) fn emit(&self, virtual_router: &Arc<str>, kind: EventKind) {
        let at = Clock::wall();
        self.0.emit(Event { at, virtual_router: Arc::clone(virtual_router), kind });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest() {
        let sink = EventSink::new(2);
        let events = sink.events();
        let name: Arc<str> = Arc::from("web");
        for fault in [Fault::LinkDown, Fault::NoSourceAddress, Fault::NotReady] {
            sink.emit(&name, EventKind::Fault(fault));
        }
        assert_eq!(events.dropped(), 1);
        drop(sink);
        let texts: Vec<String> = events.iter().map(|event| event.to_string()).collect();
        assert_eq!(texts.len(), 2);
        assert!(texts[1].contains("not ready"), "{texts:?}");
    }
}
