//! When to run a check, and what a row of results means.

use core::num::NonZeroU32;
use core::time::Duration;
use std::time::Instant;

use crate::Outcome;

/// The least pause between two runs: a schedule of zeros must not become a busy loop.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// The times and counts of one check.
///
/// ```
/// use core::time::Duration;
/// use healthcheck::{Outcome, Timing};
///
/// let timing = Timing::new()
///     .interval(Duration::from_secs(6))
///     .timeout(Duration::from_secs(3))
///     .retries(3)
///     .retry_interval(Duration::from_secs(1))
///     .initial(Outcome::Down);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    interval: Duration,
    timeout: Duration,
    retries: u32,
    retry_interval: Duration,
    rise: NonZeroU32,
    start_delay: Duration,
    start_jitter: Duration,
    initial: Outcome,
    first_failure_decides: bool,
    first_success_decides: bool,
    jitter: Duration,
    from_start: bool,
    silence: Option<Duration>,
}

impl Default for Timing {
    fn default() -> Self {
        Self::new()
    }
}

impl Timing {
    /// Every 5 s, 2 s to answer, one retry after 1 s, one success to come back; the first run within a second; up until then.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            retries: 1,
            retry_interval: Duration::from_secs(1),
            rise: NonZeroU32::MIN,
            start_delay: Duration::ZERO,
            start_jitter: Duration::from_secs(1),
            initial: Outcome::Up,
            first_failure_decides: true,
            first_success_decides: false,
            jitter: Duration::ZERO,
            from_start: false,
            silence: None,
        }
    }

    /// From the end of a run to the start of the next; 1 ms at least. A run may start a hundredth of this (10 ms at most) early, to start with
    /// others.
    #[must_use]
    pub const fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// How long a run may take.
    #[must_use]
    pub const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How many further failures in a row, after the first, make an up server down.
    #[must_use]
    pub const fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// How many failures in a row make an up server down: `retries` and one.
    #[must_use]
    pub const fn fall(self, fall: NonZeroU32) -> Self {
        Self { retries: fall.get() - 1, ..self }
    }

    /// keepalived's rule of its checkers: an up server has `retry` more attempts, `delay_before_retry` apart, after a first failure; the
    /// very first run has none; one success makes a down server up.
    #[must_use]
    pub const fn keepalived_retry(self, retry: u32, delay_before_retry: Duration) -> Self {
        Self {
            retries: retry,
            retry_interval: delay_before_retry,
            rise: NonZeroU32::MIN,
            first_failure_decides: true,
            ..self
        }
    }

    /// From the end of a run to the start of the next while a change is being confirmed, and after a run that could not be made; 1 ms
    /// at least.
    #[must_use]
    pub const fn retry_interval(self, retry_interval: Duration) -> Self {
        Self { retry_interval, ..self }
    }

    /// How many successes in a row make a down server up.
    #[must_use]
    pub const fn rise(self, rise: NonZeroU32) -> Self {
        Self { rise, ..self }
    }

    /// The least time from the start of the schedule to the first run.
    #[must_use]
    pub const fn start_delay(self, start_delay: Duration) -> Self {
        Self { start_delay, ..self }
    }

    /// The first run comes up to this much later than the start delay, by chance, so that checks added together spread out.
    #[must_use]
    pub const fn start_jitter(self, start_jitter: Duration) -> Self {
        Self { start_jitter, ..self }
    }

    /// What holds until a run says otherwise: `Up` serves from the start, `Down` waits for the first success.
    #[must_use]
    pub const fn initial(self, initial: Outcome) -> Self {
        Self { initial, ..self }
    }

    /// Whether a failure of the very first run makes the server down at once, without retries.
    #[must_use]
    pub const fn first_failure_decides(self, first_failure_decides: bool) -> Self {
        Self { first_failure_decides, ..self }
    }

    /// Whether a success of the very first run makes the server up at once, whatever [`Timing::rise`] says: for checks that start
    /// [`Outcome::Down`] only because nothing is known yet.
    #[must_use]
    pub const fn first_success_decides(self, first_success_decides: bool) -> Self {
        Self { first_success_decides, ..self }
    }

    /// Every pause is up to this much longer, by chance, so that checks which fell into step part again.
    #[must_use]
    pub const fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Whether intervals are counted from the start of a run instead of its end, as for keepalived's scripts. A run that takes
    /// longer than the interval lets starts go by; it is never overtaken.
    #[must_use]
    pub const fn from_start(self, from_start: bool) -> Self {
        Self { from_start, ..self }
    }

    /// How long a check may go without any result before it is reported as silent; three intervals and timeouts, and 10 s at least,
    /// unless set.
    #[must_use]
    pub const fn silence(self, silence: Duration) -> Self {
        Self { silence: Some(silence), ..self }
    }

    pub(crate) fn silence_limit(&self) -> Duration {
        let span = self.interval.max(self.retry_interval).saturating_add(self.timeout);
        self.silence.unwrap_or_else(|| span.saturating_mul(3).max(Duration::from_secs(10)))
    }

    /// How much too early a run may start, to start with others.
    pub(crate) fn early(&self) -> Duration {
        self.interval.min(self.retry_interval) / 100
    }

    pub(crate) const fn assumed(&self) -> Outcome {
        self.initial
    }
}

/// What a result did to the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Change {
    /// Nothing, and it was not the first result.
    None,
    /// The outcome was assumed and is known now; it is as assumed.
    Confirmed,
    /// The outcome is a new one.
    To(Outcome),
}

/// The schedule of one check: pure, time is an argument.
///
/// [`Schedule::poll_timeout`] says when the next run is due. The caller calls [`Schedule::handle_started`] when it starts one, and then
/// either [`Schedule::handle_result`] or, when the run could not be made at all, [`Schedule::handle_deferred`].
#[derive(Clone, Debug)]
pub struct Schedule {
    timing: Timing,
    outcome: Outcome,
    /// Results in a row that speak against `outcome`.
    against: u32,
    has_run: bool,
    next: Option<Instant>,
    started: Instant,
    random: fastrand::Rng,
}

impl Schedule {
    /// A schedule that starts `now`; `seed` decides the jitter of the first run.
    #[must_use]
    pub fn new(now: Instant, timing: Timing, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let jitter = up_to(&mut random, timing.start_jitter);
        let first = now
            .checked_add(timing.start_delay)
            .and_then(|at| at.checked_add(jitter))
            .unwrap_or(now);
        Self {
            outcome: timing.initial,
            timing,
            against: 0,
            has_run: false,
            next: Some(first),
            started: now,
            random,
        }
    }

    /// When the next run is due; `None` while one is under way.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// What holds at present.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether a run has ended with a result; until then the outcome is assumed.
    #[must_use]
    pub fn has_run(&self) -> bool {
        self.has_run
    }

    /// The times and counts.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// A run starts; returns when its time is up.
    pub fn handle_started(&mut self, now: Instant) -> Instant {
        self.next = None;
        self.started = now;
        now.checked_add(self.timing.timeout).unwrap_or(now)
    }

    /// A run ended with a result.
    pub fn handle_result(&mut self, now: Instant, result: Outcome) -> Change {
        let first = !self.has_run;
        self.has_run = true;
        if result == self.outcome {
            self.against = 0;
            self.run_after(now, self.timing.interval);
            return if first { Change::Confirmed } else { Change::None };
        }
        self.against = self.against.saturating_add(1);
        let needed = match result {
            Outcome::Up if first && self.timing.first_success_decides => 1,
            Outcome::Up => self.timing.rise.get(),
            Outcome::Down if first && self.timing.first_failure_decides => 1,
            Outcome::Down => self.timing.retries.saturating_add(1),
        };
        if self.against < needed {
            self.run_after(now, self.timing.retry_interval);
            return Change::None;
        }
        self.against = 0;
        self.outcome = result;
        self.run_after(now, self.timing.interval);
        Change::To(result)
    }

    /// The run could not be made, for a local reason: no result, tried again after the retry interval.
    pub fn handle_deferred(&mut self, now: Instant) {
        self.run_after(now, self.timing.retry_interval);
    }

    /// Runs at once, unless a run is under way.
    pub fn hasten(&mut self, now: Instant) {
        self.next = self.next.map(|next| next.min(now));
    }

    fn run_after(&mut self, now: Instant, delay: Duration) {
        let delay = delay.max(LEAST_PAUSE);
        let pause = if self.timing.from_start {
            let gone = now.saturating_duration_since(self.started);
            // The start that comes next on the grid of starts.
            let into = gone.as_nanos().checked_rem(delay.as_nanos()).unwrap_or(0);
            delay.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX)))
        } else {
            delay
        };
        let pause = pause.saturating_add(up_to(&mut self.random, self.timing.jitter));
        self.next = Some(now.checked_add(pause).unwrap_or(now));
    }
}

fn up_to(random: &mut fastrand::Rng, most: Duration) -> Duration {
    if most.is_zero() {
        return most;
    }
    Duration::from_nanos(random.u64(0..=u64::try_from(most.as_nanos()).unwrap_or(u64::MAX)))
}
