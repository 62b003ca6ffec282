use core::{fmt, num::NonZeroU8, time::Duration};

use crate::Version;

const NANOS_PER_CENTISECOND: u128 = 10_000_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// VRRPv3's Max Advertise Interval: 12 bits, centiseconds, 1–4095 (RFC 9568 §5.2.7; zero is
/// refused, erratum 8301).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxAdvertiseInterval(u16);

/// VRRPv2's Adver Int: 8 bits, seconds, 1–255 (RFC 3768 §5.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdverInt(NonZeroU8);

/// The interval an advertisement carries, in the unit of its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "one variant a version of the protocol")]
pub enum Interval {
    /// VRRPv2, whole seconds.
    Seconds(AdverInt),
    /// VRRPv3, centiseconds.
    Centiseconds(MaxAdvertiseInterval),
}

/// An interval that cannot be written into an advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntervalError {
    /// Zero, or more than the field holds.
    #[error(
        "an advertisement interval of {version} is between {min:?} and {max:?}, not {interval:?}"
    )]
    OutOfRange {
        /// What was asked for.
        interval: Duration,
        /// The shortest interval of this version.
        min: Duration,
        /// The longest interval of this version.
        max: Duration,
        /// The version whose field this is.
        version: Version,
    },
    /// Between two values of the field.
    #[error("an advertisement interval of {version} is a multiple of {unit:?}, not {interval:?}")]
    NotAMultiple {
        /// What was asked for.
        interval: Duration,
        /// The unit of the field.
        unit: Duration,
        /// The version whose field this is.
        version: Version,
    },
}

impl MaxAdvertiseInterval {
    /// One centisecond.
    pub const MIN: Self = Self(1);
    /// 4095 centiseconds.
    pub const MAX: Self = Self(4095);
    /// 100 centiseconds, the default of RFC 9568 §6.1.
    pub const DEFAULT: Self = Self(100);

    /// An interval from centiseconds, 1–4095.
    ///
    /// # Errors
    /// [`IntervalError::OutOfRange`] for every other number.
    pub const fn from_centiseconds(centiseconds: u16) -> Result<Self, IntervalError> {
        match centiseconds {
            1..=4095 => Ok(Self(centiseconds)),
            _ => Err(IntervalError::OutOfRange {
                interval: centiseconds_as_duration(centiseconds),
                min: Self::MIN.as_duration(),
                max: Self::MAX.as_duration(),
                version: Version::V3,
            }),
        }
    }

    /// An interval from a duration that is an exact number of centiseconds.
    ///
    /// # Errors
    /// [`IntervalError::OutOfRange`] below 10 ms or above 40.95 s, [`IntervalError::NotAMultiple`]
    /// between two centiseconds: an interval is never rounded silently.
    pub fn from_duration(interval: Duration) -> Result<Self, IntervalError> {
        let centiseconds = interval.as_nanos() / NANOS_PER_CENTISECOND;
        let field = u16::try_from(centiseconds).ok().filter(|field| (1..=4095).contains(field));
        let Some(field) = field else {
            return Err(IntervalError::OutOfRange {
                interval,
                min: Self::MIN.as_duration(),
                max: Self::MAX.as_duration(),
                version: Version::V3,
            });
        };
        if !interval.as_nanos().is_multiple_of(NANOS_PER_CENTISECOND) {
            return Err(IntervalError::NotAMultiple {
                interval,
                unit: Self::MIN.as_duration(),
                version: Version::V3,
            });
        }
        Self::from_centiseconds(field)
    }

    /// The number on the wire, centiseconds, 1–4095.
    #[must_use]
    pub const fn as_centiseconds(self) -> u16 {
        self.0
    }

    /// The interval as a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        centiseconds_as_duration(self.0)
    }
}

impl AdverInt {
    /// One second, the default of RFC 3768 §6.1.
    pub const MIN: Self = Self(NonZeroU8::MIN);
    /// 255 seconds.
    pub const MAX: Self = Self(NonZeroU8::MAX);

    /// An interval from seconds, 1–255.
    ///
    /// # Errors
    /// [`IntervalError::OutOfRange`] for 0.
    pub const fn from_seconds(seconds: u8) -> Result<Self, IntervalError> {
        match NonZeroU8::new(seconds) {
            Some(seconds) => Ok(Self(seconds)),
            None => Err(IntervalError::OutOfRange {
                interval: Duration::ZERO,
                min: Self::MIN.as_duration(),
                max: Self::MAX.as_duration(),
                version: Version::V2,
            }),
        }
    }

    /// An interval from a duration that is an exact number of seconds.
    ///
    /// # Errors
    /// [`IntervalError::OutOfRange`] below 1 s or above 255 s, [`IntervalError::NotAMultiple`]
    /// between two seconds: an interval is never rounded silently.
    pub fn from_duration(interval: Duration) -> Result<Self, IntervalError> {
        let Some(seconds) = u8::try_from(interval.as_secs()).ok().and_then(NonZeroU8::new) else {
            return Err(IntervalError::OutOfRange {
                interval,
                min: Self::MIN.as_duration(),
                max: Self::MAX.as_duration(),
                version: Version::V2,
            });
        };
        if !interval.as_nanos().is_multiple_of(NANOS_PER_SECOND) {
            return Err(IntervalError::NotAMultiple {
                interval,
                unit: Self::MIN.as_duration(),
                version: Version::V2,
            });
        }
        Ok(Self(seconds))
    }

    /// The number on the wire, seconds, 1–255.
    #[must_use]
    pub const fn as_seconds(self) -> u8 {
        self.0.get()
    }

    /// The interval as a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        // `u64::from` is not const.
        #[expect(clippy::as_conversions, reason = "u8 to u64 in const")]
        Duration::from_secs(self.0.get() as u64)
    }
}

impl Interval {
    /// The interval as a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        match self {
            Self::Seconds(interval) => interval.as_duration(),
            Self::Centiseconds(interval) => interval.as_duration(),
        }
    }

    /// The version that counts in this unit.
    #[must_use]
    pub const fn version(self) -> Version {
        match self {
            Self::Seconds(_) => Version::V2,
            Self::Centiseconds(_) => Version::V3,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_duration())
    }
}

const fn centiseconds_as_duration(centiseconds: u16) -> Duration {
    // `u64::from` is not const.
    #[expect(clippy::as_conversions, reason = "u16 to u64 in const")]
    Duration::from_millis(centiseconds as u64 * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centiseconds_are_exact_and_in_range() {
        for (millis, expected) in [(10, 1), (1_000, 100), (40_950, 4095)] {
            let interval = MaxAdvertiseInterval::from_duration(Duration::from_millis(millis));
            assert_eq!(interval.unwrap().as_centiseconds(), expected);
            assert_eq!(interval.unwrap().as_duration(), Duration::from_millis(millis));
        }
        for millis in [0, 9, 40_960, 1 << 40] {
            let interval = Duration::from_millis(millis);
            let error = MaxAdvertiseInterval::from_duration(interval).unwrap_err();
            assert!(matches!(error, IntervalError::OutOfRange { .. }), "{error}");
        }
        let between = Duration::from_millis(15);
        let error = MaxAdvertiseInterval::from_duration(between).unwrap_err();
        assert_eq!(
            error.to_string(),
            "an advertisement interval of VRRPv3 is a multiple of 10ms, not 15ms"
        );
        assert!(MaxAdvertiseInterval::from_centiseconds(4096).is_err());
        assert!(MaxAdvertiseInterval::from_centiseconds(0).is_err());
    }

    #[test]
    fn seconds_are_exact_and_in_range() {
        for seconds in [1, 255] {
            let interval = AdverInt::from_duration(Duration::from_secs(seconds)).unwrap();
            assert_eq!(interval.as_duration(), Duration::from_secs(seconds));
        }
        for millis in [0, 999, 256_000] {
            let error = AdverInt::from_duration(Duration::from_millis(millis)).unwrap_err();
            assert!(matches!(error, IntervalError::OutOfRange { .. }), "{error}");
        }
        let error = AdverInt::from_duration(Duration::from_millis(1_500)).unwrap_err();
        assert!(matches!(error, IntervalError::NotAMultiple { .. }), "{error}");
        assert!(AdverInt::from_seconds(0).is_err());
    }
}
