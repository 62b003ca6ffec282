//! Wall time of what takes nanoseconds: the median of many batches.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Batches that are measured; an odd number, so that there is one in the middle.
const BATCHES: usize = 501;

/// One batch takes about so long: a thousand times what reading the clock costs, and short enough for most batches to be
/// undisturbed by other processes.
const BATCH: Duration = Duration::from_micros(200);

/// What one repetition takes.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// In the middle of all batches, in nanoseconds.
    pub median: f64,
    /// In the fastest batch, in nanoseconds.
    pub fastest: f64,
}

/// Measures `repeat`, which does its work as often as it is told and returns something that depends on all of it.
pub fn measure<T>(mut repeat: impl FnMut(u32) -> T) -> Sample {
    let mut repetitions = 1;
    while time(&mut repeat, repetitions) < BATCH {
        repetitions *= 2;
    }
    let mut batches: Vec<_> = (0..BATCHES).map(|_| time(&mut repeat, repetitions)).collect();
    batches.sort_unstable();
    let each = |batch: Option<&Duration>| {
        batch.map_or(f64::NAN, |batch| batch.as_secs_f64() * 1e9 / f64::from(repetitions))
    };
    Sample { median: each(batches.get(BATCHES / 2)), fastest: each(batches.first()) }
}

/// Prints a line of the table, with the bar that the median is held against. Returns whether it is met.
pub fn line(what: &str, sample: Sample, bar: Option<f64>) -> bool {
    let met = bar.is_none_or(|bar| sample.median <= bar);
    let judgement = bar.map_or(String::new(), |bar| {
        format!("  bar {bar:>5.1} ns {}", if met { "met" } else { "MISSED" })
    });
    println!(
        "{what:<44} median {:>7.1} ns, fastest {:>7.1} ns{judgement}",
        sample.median, sample.fastest
    );
    met
}

#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn time<T>(repeat: &mut impl FnMut(u32) -> T, repetitions: u32) -> Duration {
    let begin = Instant::now();
    black_box(repeat(black_box(repetitions)));
    begin.elapsed()
}
