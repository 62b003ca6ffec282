use core::{fmt, time::Duration};

use fastrand::Rng;

/// How likely something is, in parts per million: 0 never, 1,000,000 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Chance(u32);

impl Chance {
    /// It does not happen.
    pub const NEVER: Self = Self(0);
    /// It happens every time.
    pub const ALWAYS: Self = Self(1_000_000);

    /// Percent, 0–100; more counts as 100.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self::ppm(percent.saturating_mul(10_000))
    }

    /// Parts per million; more than a million counts as a million.
    #[must_use]
    pub const fn ppm(ppm: u32) -> Self {
        if ppm > Self::ALWAYS.0 { Self::ALWAYS } else { Self(ppm) }
    }

    /// Parts per million, 0–1,000,000.
    #[must_use]
    pub const fn as_ppm(self) -> u32 {
        self.0
    }

    /// Throws the dice. Draws no number when the answer is certain.
    pub(crate) fn happens(self, rng: &mut Rng) -> bool {
        match self {
            Self::NEVER => false,
            Self::ALWAYS => true,
            Self(ppm) => rng.u32(0..Self::ALWAYS.0) < ppm,
        }
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04} %", self.0 / 10_000, self.0 % 10_000)
    }
}

/// A duration from zero up to and including `most`, all equally likely.
pub(crate) fn up_to(rng: &mut Rng, most: Duration) -> Duration {
    if most.is_zero() {
        return Duration::ZERO;
    }
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.u64(0..=nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certainty_draws_no_number() {
        let (mut used, mut fresh) = (Rng::with_seed(1), Rng::with_seed(1));
        assert!(!Chance::NEVER.happens(&mut used));
        assert!(Chance::ALWAYS.happens(&mut used));
        assert_eq!(used.u64(..), fresh.u64(..));
    }

    #[test]
    fn a_fifth_is_about_a_fifth() {
        let mut rng = Rng::with_seed(2);
        let hits = (0..10_000).filter(|_| Chance::percent(20).happens(&mut rng)).count();
        assert!((1_850..2_150).contains(&hits), "{hits}");
        assert_eq!(Chance::percent(20).to_string(), "20.0000 %");
    }
}
