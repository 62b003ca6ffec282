//! The only file of the workspace's assemblies that reads the clock.

use core::num::NonZeroU64;
use core::time::Duration;
use std::io;
use std::time::Instant;

/// The monotonic clock, and the translation between [`Instant`] and plain nanoseconds.
///
/// Pure machines take nanoseconds of their own newtype, the system calls take [`Instant`]. A `Clock` fixes once which
/// nanosecond belongs to which `Instant` and then translates both ways without loss. The nanoseconds are those of
/// `CLOCK_MONOTONIC`, so that they mean the same in every process of one boot.
///
/// ```
/// use core::time::Duration;
/// use reactor::Clock;
///
/// let clock = Clock::new();
/// let now = Clock::now();
/// let nanos = clock.nanos_of(now);
/// assert_eq!(clock.instant_of(nanos + 1_000), now + Duration::from_micros(1));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    origin_nanos: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// Reads the clock and fixes the translation.
    #[must_use]
    pub fn new() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Self {
            origin: Self::now(),
            origin_nanos: seconds.saturating_mul(1_000_000_000).saturating_add(nanos),
        }
    }

    /// The present moment.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the monotonic clock"
    )]
    #[must_use]
    pub fn now() -> Instant {
        Instant::now()
    }

    /// The present wall-clock time, for records that people read. Never compare it with a deadline.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    #[must_use]
    pub fn wall() -> std::time::SystemTime {
        std::time::SystemTime::now()
    }

    /// The present moment in nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn now_nanos(&self) -> u64 {
        self.nanos_of(Self::now())
    }

    /// `instant` in nanoseconds of `CLOCK_MONOTONIC`; saturates at 0 and `u64::MAX` (584 years).
    #[must_use]
    pub fn nanos_of(&self, instant: Instant) -> u64 {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        match instant.checked_duration_since(self.origin) {
            Some(later) => self.origin_nanos.saturating_add(nanos(later)),
            None => self
                .origin_nanos
                .saturating_sub(nanos(self.origin.saturating_duration_since(instant))),
        }
    }

    /// The [`Instant`] at `nanos` nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn instant_of(&self, nanos: u64) -> Instant {
        match nanos.checked_sub(self.origin_nanos) {
            Some(later) => self.origin.checked_add(Duration::from_nanos(later)),
            None => self
                .origin
                .checked_sub(Duration::from_nanos(self.origin_nanos.saturating_sub(nanos))),
        }
        .unwrap_or(self.origin)
    }

    /// Asks the kernel to end the calling thread's waits at most `nanos` nanoseconds late by its own choice
    /// (`PR_SET_TIMERSLACK`; the default of 50,000 lets it group wake-ups). 1 is the least.
    pub fn set_timer_slack(nanos: NonZeroU64) -> io::Result<()> {
        Ok(rustix::thread::set_current_timer_slack(Some(nanos))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translation_is_exact_both_ways() {
        let clock = Clock::new();
        let now = clock.now_nanos();
        for nanos in [now, now + 1, now + 3_600_000_000_000, now - now / 2] {
            assert_eq!(clock.nanos_of(clock.instant_of(nanos)), nanos);
        }
    }

    #[test]
    fn nanoseconds_are_those_of_the_kernel_clock() {
        let clock = Clock::new();
        let kernel = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let kernel = u64::try_from(kernel.tv_sec).unwrap() * 1_000_000_000
            + u64::try_from(kernel.tv_nsec).unwrap();
        assert!(kernel.abs_diff(clock.now_nanos()) < 1_000_000_000);
    }

    #[test]
    fn slack_is_set_for_this_thread() {
        Clock::set_timer_slack(NonZeroU64::MIN).unwrap();
        assert_eq!(rustix::thread::current_timer_slack().unwrap(), 1);
    }
}
