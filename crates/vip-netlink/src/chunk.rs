//! How many objects to hand over at a time: sized by time, since a kernel takes 10 to 600 us
//! for an address depending on family, count and load, and a loop must come back to its timers. Pure.

use core::time::Duration;

/// What a request is to take.
const AIM: Duration = Duration::from_micros(800);
const LARGEST: usize = 64;
const FIRST: usize = 16;

/// How many objects to give to the next [`Client::add`](crate::Client::add) or [`remove`](crate::Client::remove), so that it takes about a
/// millisecond: 1 to 64, 16 at first.
///
/// ```
/// use core::time::Duration;
/// use vip_netlink::ChunkSize;
///
/// let mut size = ChunkSize::default();
/// assert_eq!(size.get(), 16);
/// size.handle_duration(Duration::from_millis(1)); // the chunk took so long
/// assert_eq!(size.get(), 12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize(usize);

impl Default for ChunkSize {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl ChunkSize {
    /// The size of the next chunk.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }

    /// A chunk of this size took so long: the next one is as large as fits into 0.8 ms at that rate, and at most twice as large or half as
    /// large as this one.
    pub fn handle_duration(&mut self, took: Duration) {
        let took = took.as_nanos().max(1);
        let fits = AIM.as_nanos().saturating_mul(u128::try_from(self.0).unwrap_or(1)) / took;
        let fits = usize::try_from(fits).unwrap_or(LARGEST);
        self.0 = fits.clamp(self.0.div_ceil(2), self.0.saturating_mul(2)).clamp(1, LARGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_rate_and_never_reaches_zero() {
        let mut size = ChunkSize::default();
        let mut take = |each: u64| {
            let took = Duration::from_micros(each * u64::try_from(size.get()).unwrap());
            size.handle_duration(took);
            size.get()
        };
        assert_eq!([take(100), take(100), take(100)], [8, 8, 8], "0.8 ms at this rate");
        assert_eq!(
            [take(10), take(10), take(10), take(10)],
            [16, 32, 64, 64],
            "at most twice, and the largest"
        );
        assert_eq!([take(5_000), take(5_000), take(5_000)], [32, 16, 8], "at most half");
        assert_eq!([take(5_000), take(5_000), take(5_000), take(5_000)], [4, 2, 1, 1]);
    }

    #[test]
    fn any_duration_will_do() {
        let mut size = ChunkSize::default();
        for took in [Duration::ZERO, Duration::MAX, Duration::ZERO] {
            size.handle_duration(took);
            assert!((1..=LARGEST).contains(&size.get()));
        }
    }
}
