//! Whether a driver is still being stepped, for another thread to ask.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use reactor::Clock;

/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// Tells how late a [`Driver`](crate::Driver) is. A thread that hangs cannot say so itself: ask from another one.
///
/// Every run has a deadline, so a driver with checks always has a next step; when that is long past, nobody steps it, and no server's
/// death is noticed any more. A check that is stepped and still gives no result is told as an [`Event`](crate::Event) with `silent`.
#[derive(Clone, Debug)]
pub struct Watchdog {
    base: Instant,
    /// When the next step is due, in nanoseconds after `base`.
    due: Arc<AtomicU64>,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        Self { base: Clock::now(), due: Arc::new(AtomicU64::new(NEVER)) }
    }

    pub(super) fn expect(&self, due: Option<Instant>) {
        let nanoseconds = due.and_then(|due| {
            u64::try_from(due.saturating_duration_since(self.base).as_nanos()).ok()
        });
        self.due.store(nanoseconds.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// How long ago the driver should have been stepped; zero when it is on time.
    #[must_use]
    pub fn late(&self, now: Instant) -> Duration {
        match self.due.load(Ordering::Relaxed) {
            NEVER => Duration::ZERO,
            due => {
                now.saturating_duration_since(self.base).saturating_sub(Duration::from_nanos(due))
            }
        }
    }
}
