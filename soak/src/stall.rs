//! When the machine itself stood still: measured from outside, by threads that only sleep.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How long a sleep is; that late it may end without being noted.
const NAP: Duration = Duration::from_millis(2);
const NOTED: Duration = Duration::from_millis(10);
/// A verdict whose time has a stall of this length is void, should it be bad.
pub(crate) const EXCUSE: Duration = Duration::from_millis(25);

/// Stalls: begin and end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stalls(Arc<Mutex<VecDeque<(Duration, Duration)>>>);

impl Stalls {
    /// Starts a thread for each processor; they run as long as the process.
    pub(crate) fn watch() -> std::io::Result<Self> {
        let stalls = Self::default();
        let all = sched_getaffinity(None)?;
        for processor in (0..CpuSet::MAX_CPU).filter(|processor| all.is_set(*processor)) {
            let stalls = stalls.clone();
            std::thread::Builder::new().name(format!("watchdog {processor}")).spawn(move || {
                let mut one = CpuSet::new();
                one.set(processor);
                // Where it cannot be bound to its processor it watches the one it happens to be on.
                sched_setaffinity(None, &one).ok();
                loop {
                    // The wall clock may be what is being tested.
                    let before = Instant::now();
                    std::thread::sleep(NAP);
                    let (took, after) = (before.elapsed(), lab::now());
                    if took > NAP + NOTED {
                        stalls.note(after.saturating_sub(took.saturating_sub(NAP)), after);
                    }
                }
            })?;
        }
        Ok(stalls)
    }

    fn note(&self, from: Duration, to: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back((from, to));
        if all.len() > 10_000 {
            all.pop_front();
        }
    }

    /// The longest stall that overlaps with this time.
    pub(crate) fn longest(&self, from: Duration, to: Duration) -> Duration {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = all.iter().filter(|(begin, end)| *end >= from && *begin <= to);
        inside.map(|(begin, end)| end.saturating_sub(*begin)).max().unwrap_or_default()
    }
}
