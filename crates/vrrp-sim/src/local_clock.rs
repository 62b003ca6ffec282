//! Each router's own clock: its epoch and its speed are its own.

use vrrp_fsm::Instant;

/// Turns the time of the simulation into the time one router sees, and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalClock {
    epoch: u64,
    /// Parts per million that it is faster (or slower) than the simulation.
    drift_ppm: i32,
}

const MILLION: i128 = 1_000_000;

impl LocalClock {
    pub(crate) const fn new(epoch: u64, drift_ppm: i32) -> Self {
        Self { epoch, drift_ppm }
    }

    /// What the router's clock shows at this moment.
    pub(crate) fn local(self, at: Instant) -> Instant {
        if self.drift_ppm == 0 {
            return Instant::from_nanos(self.epoch + at.as_nanos());
        }
        let elapsed = i128::from(at.as_nanos()) * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        Instant::from_nanos(self.epoch + u64::try_from(elapsed).unwrap_or(u64::MAX - self.epoch))
    }

    /// The earliest moment at which the router's clock shows at least `local`.
    pub(crate) fn global(self, local: Instant) -> Instant {
        let elapsed = local.as_nanos().saturating_sub(self.epoch);
        if self.drift_ppm == 0 {
            return Instant::from_nanos(elapsed);
        }
        let speed = MILLION + i128::from(self.drift_ppm);
        let at = (i128::from(elapsed) * MILLION + speed - 1) / speed;
        Instant::from_nanos(u64::try_from(at).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_when_the_simulation_gets_there() {
        for drift_ppm in [-100, 0, 1, 250] {
            let clock = LocalClock::new(1 << 40, drift_ppm);
            for at in [0, 1, 999_999, 1_000_000, 3_609_375_001] {
                let local = clock.local(Instant::from_nanos(at));
                let global = clock.global(local);
                assert!(clock.local(global) >= local, "{drift_ppm} {at}");
                assert!(global.as_nanos() <= at, "{drift_ppm} {at}");
            }
        }
    }

    #[test]
    fn a_fast_clock_shows_more() {
        let clock = LocalClock::new(0, 100);
        assert_eq!(clock.local(Instant::from_nanos(1_000_000)).as_nanos(), 1_000_100);
    }
}
