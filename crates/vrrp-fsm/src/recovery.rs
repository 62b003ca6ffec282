//! Faults of the machine's own finding: how long it stays away, and how it comes back.

use core::time::Duration;

use crate::{Fault, Instant};

/// When to try again after a mastership that failed, and what has to be proven first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Recovery {
    at: Option<Instant>,
    attempts: u32,
    sending_unproven: bool,
    addresses_unproven: bool,
    /// State of a xorshift generator; never zero.
    random: u64,
}

/// The pause doubles from at least this to 64 times as much.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 6;

impl Recovery {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            at: None,
            attempts: 0,
            sending_unproven: false,
            addresses_unproven: false,
            random: mixed(seed) | 1,
        }
    }

    /// See [`VirtualRouter::canonicalize`](crate::VirtualRouter::canonicalize).
    pub(crate) fn canonicalize(&mut self, now: Instant) {
        let Self { at, attempts, sending_unproven: _, addresses_unproven: _, random: _ } = self;
        if let Some(at) = at {
            at.canonicalize(now);
        }
        *attempts = (*attempts).min(MAX_DOUBLINGS);
    }

    /// When the faults of our own finding are cleared for another attempt.
    pub(crate) const fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether the last mastership failed and none has succeeded since.
    pub(crate) const fn is_unproven(&self) -> bool {
        self.sending_unproven || self.addresses_unproven
    }

    pub(crate) const fn is_sending_unproven(&self) -> bool {
        self.sending_unproven
    }

    /// Plans another attempt, later each time, and not at the same moment as other routers.
    pub(crate) fn failed(&mut self, now: Instant, fault: Fault, master_down_interval: Duration) {
        self.sending_unproven |= fault == Fault::CannotAdvertise;
        self.addresses_unproven |= fault == Fault::AddressesFailed;
        let pause = master_down_interval.max(MIN_PAUSE) * (1 << self.attempts.min(MAX_DOUBLINGS));
        self.attempts = self.attempts.saturating_add(1);
        let eighths = u32::try_from(self.draw() % 256).unwrap_or_default();
        self.at = Some(now + pause + pause / 8 * eighths / 256);
    }

    /// Time to try again: whether it has come.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        self.at.take_if(|at| now >= *at).is_some()
    }

    /// There is no fault left to be cleared; what is unproven stays so.
    pub(crate) const fn end_pause(&mut self) {
        self.at = None;
    }

    /// Someone else says that it works again.
    pub(crate) fn cleared(&mut self, fault: Fault) {
        match fault {
            Fault::CannotAdvertise => self.sending_unproven = false,
            Fault::AddressesFailed => self.addresses_unproven = false,
            Fault::LinkDown
            | Fault::NoSourceAddress
            | Fault::NotReady
            | Fault::Tracker
            | Fault::TrackerUnknown
            | Fault::SyncGroup => return,
        }
        self.settle();
    }

    pub(crate) fn sending_works(&mut self) {
        self.sending_unproven = false;
        self.settle();
    }

    pub(crate) fn addresses_work(&mut self) {
        self.addresses_unproven = false;
        self.settle();
    }

    fn settle(&mut self) {
        if !self.is_unproven() {
            self.attempts = 0;
            self.at = None;
        }
    }

    /// Marsaglia's xorshift64: spreads, does not protect.
    pub(crate) fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// The finalizer of splitmix64: seeds that differ a little give numbers that differ a lot.
const fn mixed(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(seed: u64) -> Vec<u64> {
        let mut recovery = Recovery::new(seed);
        (0..10)
            .map(|_| {
                recovery.failed(Instant::ZERO, Fault::CannotAdvertise, Duration::ZERO);
                recovery.at().unwrap().as_nanos() / 1_000_000
            })
            .collect()
    }

    #[test]
    fn the_pause_grows_to_a_bound_and_differs_between_routers() {
        let first = pauses(1);
        assert!(first.windows(2).take(6).all(|pair| pair[1] > pair[0]), "{first:?}");
        assert!(first.iter().all(|pause| (1_000..=72_000).contains(pause)), "{first:?}");
        assert_ne!(first, pauses(2));
        assert_eq!(first, pauses(1));
    }

    #[test]
    fn success_makes_the_next_pause_short_again() {
        let mut recovery = Recovery::new(7);
        for _ in 0..5 {
            recovery.failed(Instant::ZERO, Fault::AddressesFailed, Duration::ZERO);
        }
        assert!(recovery.is_unproven());
        recovery.addresses_work();
        assert!(!recovery.is_unproven());
        assert_eq!(recovery.at(), None);
        recovery.failed(Instant::ZERO, Fault::AddressesFailed, Duration::ZERO);
        assert!(recovery.at().unwrap() <= Instant::ZERO + Duration::from_millis(1_125));
    }
}
