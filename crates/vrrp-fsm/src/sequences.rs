//! The sequence numbers of authentication headers and trailers: ours, and what others may still use.

use alloc::vec::Vec;
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{AuthenticationError, TrailerSequence};

use crate::{Config, Instant, VirtualRouter};

/// How many senders are remembered. Of more than these, the one that was not heard for longest is
/// forgotten, as if it had been silent.
const MAX_SENDERS: usize = 16;

/// RFC 2402 §3.3.2 and §3.4.3, by the rules of keepalived where manual keys leave it open, and
/// keepalived's rules for trailers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sequences {
    /// Of headers: the greatest number that was sent by us or accepted from others. keepalived
    /// accepts from anyone only what is greater than the greatest of all, so ours go on from there.
    greatest: u32,
    /// Of trailers: our latest one.
    newest: Option<TrailerSequence>,
    /// What the nanoseconds of an [`Instant`] lack to those since 1970, modulo 2^64.
    utc_offset: u64,
    /// Never more than `MAX_SENDERS`, with room for all of them once they are used.
    senders: Vec<Sender>,
}

/// With the same room: a copy of a machine does not allocate either.
impl Clone for Sequences {
    fn clone(&self) -> Self {
        let Self { greatest, newest, utc_offset, .. } = *self;
        let mut senders = Vec::with_capacity(self.senders.capacity());
        senders.extend_from_slice(&self.senders);
        Self { greatest, newest, utc_offset, senders }
    }
}

/// One sender: of headers, its address is also the SPI of a security association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sender {
    source: IpAddr,
    last: u64,
    at: Instant,
}

impl Sequences {
    pub(crate) fn new(used: bool) -> Self {
        let mut sequences = Self { greatest: 0, newest: None, utc_offset: 0, senders: Vec::new() };
        sequences.make_room(used);
        sequences
    }

    /// Allocates what is needed to remember senders, so that nothing else has to.
    pub(crate) fn make_room(&mut self, used: bool) {
        if used {
            self.senders.reserve_exact(MAX_SENDERS.saturating_sub(self.senders.len()));
        }
    }

    /// See [`VirtualRouter::canonicalize`](crate::VirtualRouter::canonicalize).
    pub(crate) fn canonicalize(&mut self, now: Instant, config: &Config) {
        let Self { greatest, newest, utc_offset, senders } = self;
        if config.authentication.header_key().is_none() {
            *greatest = 0;
        }
        if config.trailer.is_some() {
            // The wall clock goes on: states with trailers are not finite.
            let passed = now.as_nanos().wrapping_sub(VirtualRouter::CANONICAL_NOW.as_nanos());
            *utc_offset = utc_offset.wrapping_add(passed);
        } else {
            (*newest, *utc_offset) = (None, 0);
        }
        if !config.remembers_senders() {
            senders.clear();
        }
        for Sender { source: _, last: _, at } in senders {
            at.canonicalize(now);
        }
    }

    /// Headers and trailers do not count alike.
    pub(crate) fn forget_senders(&mut self) {
        self.senders.clear();
    }

    pub(crate) fn set_utc(&mut self, now: Instant, utc: Duration) {
        self.utc_offset = (Instant::ZERO + utc).as_nanos().wrapping_sub(now.as_nanos());
    }

    /// The number a trailer made now would have.
    fn clock(&self, now: Instant) -> TrailerSequence {
        TrailerSequence::at(Duration::from_nanos(now.as_nanos().wrapping_add(self.utc_offset)))
    }

    /// The number of our next header; the first is 1. After 2^32 they start again, and the others
    /// ignore us for a master-down interval.
    pub(crate) fn next(&mut self) -> u32 {
        self.greatest = self.greatest.checked_add(1).unwrap_or(1);
        self.greatest
    }

    /// A number of a header that is greater than all so far, the same for about `block` (a power of two) of them.
    pub(crate) fn ahead(&self, block: u64) -> u32 {
        let next = (u64::from(self.greatest) | (block - 1)) + 1;
        u32::try_from(next).unwrap_or(u32::MAX)
    }

    /// The number of our next trailer: that of the moment, unless it would not be newer than the
    /// last.
    pub(crate) fn next_signature(&mut self, now: Instant) -> TrailerSequence {
        let clock = self.clock(now);
        let next = match self.newest {
            Some(newest) if !clock.is_newer_than(newest) => newest.next(),
            Some(_) | None => clock,
        };
        self.newest = Some(next);
        next
    }

    /// Uses up a number of a header whose check value is right. After `silence` without an accepted
    /// one a sender counts as restarted and may begin with any: before that, a copy of an old packet
    /// must not keep a dead Master alive.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        silence: Duration,
        source: IpAddr,
        sequence: u32,
    ) -> Result<(), AuthenticationError> {
        if let Some(Sender { last, at, .. }) = self.last_of(source) {
            // Numbers of headers have 32 bits.
            let last = u32::try_from(last).unwrap_or(u32::MAX);
            if sequence <= last && now < at + silence {
                return Err(AuthenticationError::Replayed { sequence, last });
            }
        }
        self.remember(Sender { source, last: u64::from(sequence), at: now });
        self.greatest = self.greatest.max(sequence);
        Ok(())
    }

    /// Uses up a number of a trailer whose check value is right. It has to be newer than the
    /// sender's last, however long ago that was, and of this moment, give or take `window`.
    pub(crate) fn accept_signature(
        &mut self,
        now: Instant,
        window: Option<Duration>,
        source: IpAddr,
        sequence: TrailerSequence,
    ) -> Result<(), AuthenticationError> {
        let clock = self.clock(now);
        let distance = sequence.distance(clock);
        if let Some(window) = window.filter(|window| distance > *window) {
            let future = sequence.is_newer_than(clock);
            return Err(AuthenticationError::OutsideTimeWindow { distance, future, window });
        }
        if let Some(Sender { last, .. }) = self.last_of(source) {
            let last = TrailerSequence::from_bits(last);
            if !sequence.is_newer_than(last) {
                return Err(AuthenticationError::TrailerReplayed { sequence, last });
            }
        }
        self.remember(Sender { source, last: sequence.to_bits(), at: now });
        Ok(())
    }

    fn last_of(&self, source: IpAddr) -> Option<Sender> {
        self.senders.iter().find(|sender| sender.source == source).copied()
    }

    fn remember(&mut self, heard: Sender) {
        let has_room = self.senders.len() < MAX_SENDERS;
        match self.senders.iter_mut().find(|sender| sender.source == heard.source) {
            Some(sender) => *sender = heard,
            None if has_room => self.senders.push(heard),
            None => {
                if let Some(oldest) = self.senders.iter_mut().min_by_key(|sender| sender.at) {
                    *oldest = heard;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_nanos(100);
    const SENDER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 3));

    fn sequences() -> Sequences {
        Sequences::new(true)
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
        let sender = |number: usize| IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()]);
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
        let mut sequences = Sequences::new(false);
        assert_eq!(sequences.senders.capacity(), 0);
        sequences.make_room(true);
        assert_eq!(sequences.senders.capacity(), MAX_SENDERS);
    }

    fn seconds(seconds: u64) -> TrailerSequence {
        TrailerSequence::at(Duration::from_secs(seconds))
    }

    #[test]
    fn our_trailers_are_of_the_moment_and_grow_even_if_the_clock_does_not() {
        let mut sequences = sequences();
        let now = at(5_000_000_000);
        assert_eq!(sequences.next_signature(now), seconds(5));
        sequences.set_utc(now, Duration::from_secs(1_700_000_000));
        assert_eq!(sequences.next_signature(now), seconds(1_700_000_000));
        assert_eq!(sequences.next_signature(now), seconds(1_700_000_000).next());
        assert_eq!(sequences.next_signature(at(7_000_000_000)), seconds(1_700_000_002));
        // Set back, by whatever.
        sequences.set_utc(now, Duration::from_secs(3));
        assert_eq!(sequences.next_signature(now), seconds(1_700_000_002).next());
        // A first one in the second half of the range.
        let mut sequences = self::sequences();
        sequences.set_utc(now, Duration::from_secs(3_000_000_000));
        assert_eq!(sequences.next_signature(now), seconds(3_000_000_000));
    }

    #[test]
    fn a_trailer_is_of_this_moment_give_or_take_the_window() {
        let window = Duration::from_secs(5);
        for (made_at, accepted, future) in
            [(94, false, false), (95, true, false), (105, true, true), (106, false, true)]
        {
            let mut sequences = sequences();
            sequences.set_utc(at(7), Duration::from_secs(100));
            let accept = sequences.accept_signature(at(7), Some(window), SENDER, seconds(made_at));
            let distance = Duration::from_secs(6);
            let error = AuthenticationError::OutsideTimeWindow { distance, future, window };
            assert_eq!(accept, if accepted { Ok(()) } else { Err(error) });
            sequences.accept_signature(at(7), None, SENDER, seconds(made_at + 1)).unwrap();
        }
    }

    #[test]
    fn a_trailer_is_used_once_however_long_ago() {
        let mut sequences = sequences();
        let mut accept = |now, sequence| sequences.accept_signature(now, None, SENDER, sequence);
        let replayed =
            |sequence, last| Err(AuthenticationError::TrailerReplayed { sequence, last });
        assert_eq!(accept(at(0), seconds(100)), Ok(()));
        assert_eq!(accept(at(u64::MAX), seconds(100)), replayed(seconds(100), seconds(100)));
        assert_eq!(accept(at(u64::MAX), seconds(99)), replayed(seconds(99), seconds(100)));
        assert_eq!(accept(at(1), seconds(100).next()), Ok(()));
        assert_eq!(accept(at(2), seconds(100)), replayed(seconds(100), seconds(100).next()));
    }
}
