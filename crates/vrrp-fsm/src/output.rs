use alloc::boxed::Box;
use core::{fmt, net::IpAddr, num::NonZeroU16, time::Duration};

use vrrp_proto::{Priority, Version};

use crate::{Conflict, Reason, State, Ticket};

/// Something the caller has to do or may want to know, in the order in which it has to happen.
///
/// Exhaustive on purpose: a caller that does not know a new effect must not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an output that is not carried out leaves the machine and the host at odds"]
#[expect(clippy::exhaustive_enums, reason = "a caller has to handle every effect")]
pub enum Output {
    /// Transmit one advertisement to every destination of every path, then report each path's
    /// result by [`handle_send`](crate::VirtualRouter::handle_send).
    Send(Send),
    /// Make the virtual addresses present and announced, or absent, then report by
    /// [`handle_effect`](crate::VirtualRouter::handle_effect).
    ///
    /// Level-triggered: work on an older id stops, its result no longer matters. What is already
    /// there, or already gone, is a success.
    SetAddresses {
        /// What to reach.
        wanted: Wanted,
        /// What the result refers to.
        id: EffectId,
    },
    /// Announce the virtual addresses again: gratuitous ARP (RFC 9568 §8.1.2) or unsolicited
    /// neighbour advertisements (§8.2.2). No result is expected.
    Announce,
    /// Ask the guard of [`Config::guard`](crate::Config::guard) whether the silent Master may be
    /// replaced, and hand its verdict to
    /// [`handle_verdict`](crate::VirtualRouter::handle_verdict), at once or later.
    ///
    /// What is asked twice, or no longer matters, does no harm: only the latest ticket counts.
    AskPromotion {
        /// What the verdict refers to.
        ticket: Ticket,
        /// Why the router would be Master.
        reason: Reason,
    },
    /// The state that counts for users of the addresses has changed.
    ///
    /// `to: Master` follows the installation of the addresses, `to: Initialize` their removal, and
    /// `to: Backup` precedes it.
    StateChanged {
        /// The state before.
        from: State,
        /// The state from now on.
        to: State,
        /// What caused it.
        reason: Reason,
        /// Which mastership of this machine it is about, see
        /// [`VirtualRouter::term`](crate::VirtualRouter::term).
        term: u64,
    },
    /// Another router advertised as Master while we were, with less right to it.
    Contended {
        /// Our source address.
        winner: IpAddr,
        /// The other router's source address.
        loser: IpAddr,
        /// From its first losing advertisement to the last.
        duration: Duration,
        /// Whether it goes on: the loser may not hear us. Then a report comes every master-down
        /// interval.
        ongoing: bool,
    },
    /// Another router has what only one may have. At most one a minute of each kind.
    Conflict {
        /// What it is.
        conflict: Conflict,
        /// How many advertisements showed a conflict of this kind so far.
        total: u64,
    },
}

/// One advertisement of ours; [`VirtualRouter::encode`](crate::VirtualRouter::encode) makes its
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Send {
    /// The protocol version it is made for; with
    /// [`Config::also_version_2`](crate::Config::also_version_2) there is one of each.
    pub version: Version,
    /// Our priority in it; 0 when we leave (RFC 9568 §6.4.3).
    pub priority: Priority,
    /// The IPv4 identification of its packets, so that encoding twice gives the same bytes.
    pub identification: NonZeroU16,
    /// The sequence number of its authentication header (32 bits) or of its trailer (see
    /// [`TrailerSequence`](vrrp_proto::TrailerSequence)), for the same reason. Without either
    /// nothing depends on it.
    pub sequence: u64,
}

/// Whether the virtual addresses are to be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "addresses move together: all or none")]
pub enum Wanted {
    /// All of them, announced.
    All,
    /// None of them.
    None,
}

/// Ties the result of [`Output::SetAddresses`] to its request. Later requests have greater ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EffectId(u64);

impl EffectId {
    pub(crate) const fn first() -> Self {
        Self(0)
    }

    /// Not one that anybody who waits for an older one holds.
    pub(crate) const fn canonical() -> Self {
        Self(1 << 50)
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The addresses could not all be installed, or removed. The machine decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, thiserror::Error)]
#[error("the virtual addresses are not as wanted")]
#[expect(clippy::exhaustive_structs, reason = "the caller makes it")]
pub struct EffectFailed;

/// An advertisement could not be sent on a path. The machine decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, thiserror::Error)]
#[error("the advertisement was not sent")]
#[expect(clippy::exhaustive_structs, reason = "the caller makes it")]
pub struct SendFailed;

/// How many outputs can wait. One input makes at most six.
pub(crate) const CAPACITY: usize = 8;

/// The outputs that wait for the caller, oldest first, in a fixed ring.
///
/// It is apart from the machine, because it is nearly always empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outputs {
    first: usize,
    len: usize,
    ring: Box<[Option<Output>; CAPACITY]>,
}

impl Outputs {
    /// Appends an output. Returns false if an older one had to make room, which only happens to a
    /// caller that does not drain: the wish for addresses is superseded by the newer one, and for
    /// the rest the latest counts most.
    pub(crate) fn push(&mut self, output: Output) -> bool {
        let room = self.len < CAPACITY;
        if !room {
            self.make_room();
        }
        if let Some(slot) = self.ring.get_mut((self.first + self.len) % CAPACITY) {
            *slot = Some(output);
            self.len += 1;
        }
        room
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Output> {
        if self.len == 0 {
            return None;
        }
        let output = self.ring.get_mut(self.first).and_then(Option::take);
        self.first = (self.first + 1) % CAPACITY;
        self.len -= 1;
        output
    }

    /// Forgets all, and where in the ring they were.
    pub(crate) fn clear(&mut self) {
        (self.first, self.len) = (0, 0);
        *self.ring = [None; CAPACITY];
    }

    /// Drops the oldest output that a later one replaces: everything but the last `SetAddresses`.
    fn make_room(&mut self) {
        let mut wishes = (0..self.len).filter(|offset| {
            let output = self.ring.get((self.first + offset) % CAPACITY);
            matches!(output, Some(Some(Output::SetAddresses { .. })))
        });
        if (wishes.next(), wishes.next()) == (Some(0), None) {
            self.ring.swap(self.first, (self.first + 1) % CAPACITY);
        }
        let _dropped = self.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(number: u64) -> Output {
        Output::SetAddresses { wanted: Wanted::All, id: EffectId(number) }
    }

    #[test]
    fn outputs_come_in_order() {
        let mut outputs = Outputs::default();
        for round in 0..40 {
            assert!(outputs.push(wish(round)));
            assert!(outputs.push(Output::Announce));
            assert_eq!(outputs.pop(), Some(wish(round)));
            assert_eq!(outputs.pop(), Some(Output::Announce));
            assert_eq!(outputs.pop(), None);
        }
    }

    #[test]
    fn a_full_ring_keeps_the_latest_wish_for_addresses() {
        let mut outputs = Outputs::default();
        assert!(outputs.push(wish(1)));
        assert!(outputs.push(wish(2)));
        for _ in 2..CAPACITY {
            assert!(outputs.push(Output::Announce));
        }
        for _ in 0..3 * CAPACITY {
            assert!(!outputs.push(Output::Announce));
        }
        let rest: Vec<Output> = core::iter::from_fn(|| outputs.pop()).collect();
        assert_eq!(rest.len(), CAPACITY);
        assert_eq!(rest[0], wish(2));
        assert!(!rest.contains(&wish(1)));
    }
}
