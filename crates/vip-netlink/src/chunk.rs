//! How many objects to hand over at a time: sized by time, since a kernel takes 10 to 600 us
//! for an address depending on family, count and load, and a loop must come back to its timers. Pure.

use core::time::Duration;

/// A request that took longer makes the next one half as large.
const SLOW: Duration = Duration::from_millis(1);
/// A request that took less makes the next one twice as large.
const FAST: Duration = Duration::from_micros(250);
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
/// size.handle_duration(Duration::from_millis(3)); // the chunk took so long
/// assert_eq!(size.get(), 8);
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

    /// A chunk of this size took so long.
    pub fn handle_duration(&mut self, took: Duration) {
        if took > SLOW {
            self.0 = (self.0 / 2).max(1);
        } else if took < FAST {
            self.0 = self.0.saturating_mul(2).min(LARGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_when_slow_and_never_reaches_zero() {
        let mut size = ChunkSize::default();
        let sizes: Vec<usize> = (0..6)
            .map(|_| {
                size.handle_duration(Duration::from_micros(1001));
                size.get()
            })
            .collect();
        assert_eq!(sizes, [8, 4, 2, 1, 1, 1]);
        for _ in 0..10 {
            size.handle_duration(Duration::from_micros(100));
        }
        assert_eq!(size.get(), LARGEST);
        size.handle_duration(Duration::from_millis(1));
        assert_eq!(size.get(), LARGEST, "between the two nothing changes");
    }
}
