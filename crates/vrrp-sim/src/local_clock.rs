//! Each router's own clock: its epoch and its speed are its own.

use vrrp_fsm::Instant;

/// Turns the time of the simulation into the time one router sees, and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalClock {
    /// When it got its present speed, on the simulation's clock, and what it showed then.
    since: Instant,
    shown: u64,
    /// Parts per million that it is faster (or slower) than the simulation.
    drift_ppm: i32,
}

const MILLION: i128 = 1_000_000;

/// No clock is so wrong that it stands still or runs at twice the speed.
const WORST_PPM: i32 = 900_000;

impl LocalClock {
    pub(crate) const fn new(epoch: u64, drift_ppm: i32) -> Self {
        Self { since: Instant::ZERO, shown: epoch, drift_ppm }
    }

    /// Runs at another speed from now on; what it shows does not jump.
    pub(crate) fn set_drift(&mut self, now: Instant, drift_ppm: i32) {
        let drift_ppm = drift_ppm.clamp(-WORST_PPM, WORST_PPM);
        if drift_ppm != self.drift_ppm {
            *self = Self { since: now, shown: self.local(now).as_nanos(), drift_ppm };
        }
    }

    pub(crate) const fn drift_ppm(self) -> i32 {
        self.drift_ppm
    }

    /// What the router's clock shows at this moment.
    pub(crate) fn local(self, at: Instant) -> Instant {
        let elapsed = at.as_nanos().saturating_sub(self.since.as_nanos());
        if self.drift_ppm == 0 {
            return Instant::from_nanos(self.shown + elapsed);
        }
        let elapsed = i128::from(elapsed) * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        Instant::from_nanos(self.shown + u64::try_from(elapsed).unwrap_or(u64::MAX - self.shown))
    }

    /// The earliest moment at which the router's clock shows at least `local`; for what it showed
    /// before it got its present speed, the moment when it did.
    pub(crate) fn global(self, local: Instant) -> Instant {
        let elapsed = local.as_nanos().saturating_sub(self.shown);
        if self.drift_ppm == 0 {
            return Instant::from_nanos(self.since.as_nanos() + elapsed);
        }
        let speed = MILLION + i128::from(self.drift_ppm);
        let after = (i128::from(elapsed) * MILLION + speed - 1) / speed;
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        Instant::from_nanos(self.since.as_nanos().saturating_add(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_when_the_simulation_gets_there() {
        for drift_ppm in [-20_000, -100, 0, 1, 250] {
            let mut clock = LocalClock::new(1 << 40, drift_ppm);
            for (at, change) in [(0, 1), (1, 0), (999_999, 5), (1_000_000, -7), (3_609_375_001, 0)]
            {
                let local = clock.local(Instant::from_nanos(at));
                let global = clock.global(local);
                assert!(clock.local(global) >= local, "{drift_ppm} {at}");
                assert!(global.as_nanos() <= at, "{drift_ppm} {at}");
                clock.set_drift(Instant::from_nanos(at), drift_ppm + change);
                assert_eq!(clock.local(Instant::from_nanos(at)), local, "it does not jump");
            }
        }
    }

    #[test]
    fn a_fast_clock_shows_more() {
        let mut clock = LocalClock::new(0, 100);
        assert_eq!(clock.local(Instant::from_nanos(1_000_000)).as_nanos(), 1_000_100);
        clock.set_drift(Instant::from_nanos(1_000_000), -500);
        assert_eq!(clock.local(Instant::from_nanos(2_000_000)).as_nanos(), 1_999_600);
    }
}
