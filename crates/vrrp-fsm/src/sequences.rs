//! The sequence numbers of authentication headers: ours, and what others may still use.

use alloc::vec::Vec;
use core::{net::Ipv4Addr, time::Duration};

use vrrp_proto::{Authentication, AuthenticationError};

use crate::Instant;

/// How many senders are remembered. Of more than these, one that was not heard for long is
/// forgotten, as if it had been silent.
const MAX_SENDERS: usize = 16;

/// RFC 2402 §3.3.2 and §3.4.3, by the rules of keepalived where manual keys leave it open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sequences {
    /// The greatest number that was sent by us or accepted from others. keepalived accepts from
    /// anyone only what is greater than the greatest of all, so ours go on from there.
    greatest: u32,
    /// Never more than `MAX_SENDERS`, with room for all of them once headers are used.
    senders: Vec<Sender>,
}

/// With the same room: a copy of a machine does not allocate either.
impl Clone for Sequences {
    fn clone(&self) -> Self {
        let mut senders = Vec::with_capacity(self.senders.capacity());
        senders.extend_from_slice(&self.senders);
        Self { greatest: self.greatest, senders }
    }
}

/// One security association: a source, which is also its SPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sender {
    source: Ipv4Addr,
    last: u32,
    at: Instant,
}

impl Sequences {
    pub(crate) fn new(authentication: &Authentication) -> Self {
        let mut sequences = Self { greatest: 0, senders: Vec::new() };
        sequences.make_room(authentication);
        sequences
    }

    /// Allocates what `authentication` needs, so that nothing else has to.
    pub(crate) fn make_room(&mut self, authentication: &Authentication) {
        if authentication.header_key().is_some() {
            self.senders.reserve_exact(MAX_SENDERS.saturating_sub(self.senders.len()));
        }
    }

    /// See [`VirtualRouter::canonicalize`](crate::VirtualRouter::canonicalize).
    pub(crate) fn canonicalize(&mut self, now: Instant, authentication: &Authentication) {
        let Self { greatest, senders } = self;
        if authentication.header_key().is_none() {
            *greatest = 0;
            senders.clear();
        }
        for Sender { source: _, last: _, at } in senders {
            at.canonicalize(now);
        }
    }

    /// The number of our next advertisement; the first is 1. After 2^32 they start again, and the
    /// others ignore us for a master-down interval.
    pub(crate) fn next(&mut self) -> u32 {
        self.greatest = self.greatest.checked_add(1).unwrap_or(1);
        self.greatest
    }

    /// Uses up a number of an advertisement whose check value is right. After `silence` without an
    /// accepted one a sender counts as restarted and may begin with any: before that, a copy of an
    /// old packet must not keep a dead Master alive.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        silence: Duration,
        source: Ipv4Addr,
        sequence: u32,
    ) -> Result<(), AuthenticationError> {
        let heard = Sender { source, last: sequence, at: now };
        let has_room = self.senders.len() < MAX_SENDERS;
        match self.senders.iter_mut().find(|sender| sender.source == source) {
            Some(Sender { last, at, .. }) if sequence <= *last && now < *at + silence => {
                return Err(AuthenticationError::Replayed { sequence, last: *last });
            }
            Some(sender) => *sender = heard,
            None if has_room => self.senders.push(heard),
            None => {
                if let Some(oldest) = self.senders.iter_mut().min_by_key(|sender| sender.at) {
                    *oldest = heard;
                }
            }
        }
        self.greatest = self.greatest.max(sequence);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vrrp_proto::{HeaderKey, Password};

    use super::*;

    const SILENCE: Duration = Duration::from_nanos(100);
    const SENDER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);

    fn sequences() -> Sequences {
        Sequences::new(&Authentication::Header(HeaderKey::new(Password::truncated(b"k3y"))))
    }

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn numbers_of_a_sender_grow_until_it_was_silent() {
        let mut sequences = sequences();
        let replayed = |sequence, last| Err(AuthenticationError::Replayed { sequence, last });
        let mut accept = |now, sequence| sequences.accept(at(now), SILENCE, SENDER, sequence);
        assert_eq!(accept(0, 7), Ok(()));
        assert_eq!(accept(1, 7), replayed(7, 7));
        assert_eq!(accept(2, 0), replayed(0, 7));
        assert_eq!(accept(3, 9), Ok(()));
        assert_eq!(accept(4, 8), replayed(8, 9));
        // What was refused does not prolong the wait.
        assert_eq!(accept(102, 1), replayed(1, 9));
        assert_eq!(accept(103, 1), Ok(()));
        assert_eq!(accept(104, 1), replayed(1, 1));
    }

    #[test]
    fn our_numbers_go_on_from_the_greatest_of_all() {
        let mut sequences = sequences();
        assert_eq!((sequences.next(), sequences.next()), (1, 2));
        sequences.accept(at(0), SILENCE, SENDER, 100).unwrap();
        assert_eq!(sequences.next(), 101);
        // A restarted sender does not set us back.
        sequences.accept(at(100), SILENCE, SENDER, 1).unwrap();
        assert_eq!(sequences.next(), 102);
        sequences.accept(at(100), SILENCE, SENDER, u32::MAX).unwrap();
        assert_eq!((sequences.next(), sequences.next()), (1, 2));
    }

    #[test]
    fn senders_are_apart_and_the_one_unheard_for_longest_makes_room() {
        let mut sequences = sequences();
        let sender = |number: usize| Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap());
        let room = sequences.senders.capacity();
        for (number, now) in (0..MAX_SENDERS).zip(0..) {
            sequences.accept(at(now), SILENCE, sender(number), 5).unwrap();
        }
        sequences.accept(at(50), SILENCE, sender(0), 6).unwrap();
        sequences.accept(at(51), SILENCE, sender(MAX_SENDERS), 5).unwrap();
        for number in (0..=MAX_SENDERS).filter(|number| *number != 1) {
            assert!(sequences.accept(at(52), SILENCE, sender(number), 5).is_err(), "{number}");
        }
        sequences.accept(at(53), SILENCE, sender(1), 5).unwrap();
        assert_eq!(sequences.senders.len(), MAX_SENDERS);
        assert_eq!(sequences.senders.capacity(), room);
    }

    #[test]
    fn a_router_without_headers_needs_no_memory_for_them() {
        let mut sequences = Sequences::new(&Authentication::None);
        assert_eq!(sequences.senders.capacity(), 0);
        sequences.make_room(&Authentication::Header(HeaderKey::new(Password::truncated(b""))));
        assert_eq!(sequences.senders.capacity(), MAX_SENDERS);
    }
}
