//! One real server: its health, its weight, its drain.

use core::time::Duration;
use std::time::Instant;

use healthcheck::{CheckId, Failure, Outcome, Script};
use ipvs::{Destination, Weight};

use super::history::History;
use crate::config::{SlowStart, WeighingCheck, WeightRule, WhenDown};

#[derive(Debug)]
pub(crate) struct PooledCheck {
    pub(crate) id: CheckId,
    pub(crate) config: WeighingCheck,
    pub(crate) outcome: Outcome,
    /// Whether the outcome comes from a run, and is not assumed.
    pub(crate) has_run: bool,
    /// Why the outcome is down.
    pub(crate) cause: Option<Failure>,
    /// What the check says about the weight, by its rule.
    said: Option<i64>,
}

impl PooledCheck {
    pub(crate) fn new(id: CheckId, config: WeighingCheck) -> Self {
        let outcome = config.check.assumed();
        Self { id, config, outcome, has_run: false, cause: None, said: None }
    }

    /// A run has ended so.
    pub(crate) fn take(&mut self, outcome: Outcome, cause: Option<Failure>, value: Option<i64>) {
        (self.outcome, self.cause, self.has_run) = (outcome, cause, true);
        self.said = match self.config.rule {
            WeightRule::Ignored => None,
            WeightRule::ExitCode => value.and_then(Script::weight).map(i64::from).or(self.said),
            WeightRule::Number => value.or(self.said),
            WeightRule::Added(times) => {
                value.map(|value| value.saturating_mul(times.into())).or(self.said)
            }
        };
    }
}

/// Why a real server is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DrainReason {
    /// It is down, and [`WhenDown::Drain`] says so.
    Down,
    /// Somebody asked for it.
    Asked,
    /// It is not configured any more.
    Removed,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    pub(crate) reason: DrainReason,
    pub(crate) deadline: Instant,
    /// Its connections have ended, or the deadline has passed.
    pub(crate) done: bool,
}

/// How a real server stands in the table, and so why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is up and has its weight.
    Serving,
    /// It is up and its weight grows.
    SlowStart,
    /// It is down, and serves because too many others are.
    Held,
    /// It is up, and the server of last resort serves: weight 0, or absent.
    Displaced { keeps_connections: bool },
    /// It is down: weight 0.
    Quiesced,
    /// It is down: absent.
    Out,
    /// Weight 0 until its connections have ended.
    Draining(DrainReason),
    /// Drained: absent.
    Drained(DrainReason),
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) destination: Destination,
    pub(crate) when_down: WhenDown,
    pub(crate) checks: Vec<PooledCheck>,
    pub(crate) health: Outcome,
    pub(crate) history: History,
    /// Whether it has ever been up: only then its going down is an ejection.
    was_up: bool,
    /// The number of its last going down: who failed first is ejected first.
    pub(crate) fell: u64,
    /// Down beyond the cap.
    pub(crate) held: bool,
    /// Since when its weight grows.
    pub(crate) rising_since: Option<Instant>,
    pub(crate) set_weight: Option<Weight>,
    pub(crate) drain: Option<Drain>,
    pub(crate) connections: Option<u64>,
    /// Or it only stays to be drained.
    pub(crate) is_configured: bool,
}

impl Server {
    pub(crate) fn new(
        now: Instant,
        destination: Destination,
        when_down: WhenDown,
        checks: Vec<PooledCheck>,
    ) -> Self {
        let health = fold(&checks);
        Self {
            destination,
            when_down,
            checks,
            health,
            history: History::new(now),
            was_up: health == Outcome::Up,
            fell: 0,
            held: false,
            rising_since: None,
            set_weight: None,
            drain: None,
            connections: None,
            is_configured: true,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.health == Outcome::Up
    }

    /// Folds its checks again; returns the health if it has changed.
    pub(crate) fn judge(&mut self, now: Instant, fall: u64) -> Option<Outcome> {
        let health = fold(&self.checks);
        if health == self.health {
            return None;
        }
        self.health = health;
        self.history.push(now, health, self.cause());
        match health {
            Outcome::Up => {
                self.was_up = true;
                self.rising_since = Some(now);
            }
            Outcome::Down => {
                self.fell = fall;
                self.rising_since = None;
            }
        }
        Some(health)
    }

    /// Why it is down, as its first failed check says.
    pub(crate) fn cause(&self) -> Option<Failure> {
        self.checks
            .iter()
            .find(|check| check.outcome == Outcome::Down)
            .and_then(|check| check.cause)
    }

    /// Whether taking it out would be an ejection.
    pub(crate) fn is_ejectable(&self) -> bool {
        !self.is_up() && self.was_up && !self.is_leaving()
    }

    /// Whether it is configured no more, or was asked out.
    pub(crate) fn is_leaving(&self) -> bool {
        self.drain.is_some_and(|drain| drain.reason != DrainReason::Down)
    }

    /// Its full weight: what was set, else the least that its checks say, else what is configured.
    pub(crate) fn weight(&self) -> Weight {
        self.set_weight.unwrap_or_else(|| {
            let configured = self.destination.weight();
            let adds = |check: &&PooledCheck| matches!(check.config.rule, WeightRule::Added(_));
            let said = |check: &PooledCheck| check.said;
            let absolute = self.checks.iter().filter(|check| !adds(check)).filter_map(said).min();
            let added =
                self.checks.iter().filter(adds).filter_map(said).fold(0, i64::saturating_add);
            let weight =
                absolute.unwrap_or_else(|| configured.value().into()).saturating_add(added);
            let weight = weight.clamp(0, Weight::MAX.value().into());
            u32::try_from(weight)
                .ok()
                .and_then(|weight| Weight::new(weight).ok())
                .unwrap_or(configured)
        })
    }

    /// What it counts for the quorum.
    pub(crate) fn alive_weight(&self) -> u64 {
        if self.is_up() && !self.is_leaving() { self.weight().value().into() } else { 0 }
    }

    pub(crate) fn place(&self, displaced: Option<bool>) -> Place {
        match (self.drain, self.health) {
            (Some(Drain { reason, done: false, .. }), _) => Place::Draining(reason),
            (Some(Drain { reason, done: true, .. }), _) => Place::Drained(reason),
            (None, Outcome::Up) => match displaced {
                Some(keep) => {
                    let keeps_connections = keep || self.when_down == WhenDown::Quiesce;
                    Place::Displaced { keeps_connections }
                }
                None if self.rising_since.is_some() => Place::SlowStart,
                None => Place::Serving,
            },
            (None, Outcome::Down) if self.held && displaced.is_none() => Place::Held,
            (None, Outcome::Down) => match self.when_down {
                WhenDown::Quiesce => Place::Quiesced,
                // A drain begins with the ejection; before its first time up there is nothing to drain.
                WhenDown::Remove | WhenDown::Drain(_) => Place::Out,
            },
        }
    }

    /// Its weight in the table; `None`: it is not in it.
    pub(crate) fn placed_weight(
        &self,
        now: Instant,
        displaced: Option<bool>,
        slow_start: Option<SlowStart>,
    ) -> Option<Weight> {
        match self.place(displaced) {
            Place::Serving | Place::Held => Some(self.weight()),
            Place::SlowStart => Some(self.ramped(now, slow_start)),
            Place::Displaced { keeps_connections: true } | Place::Quiesced | Place::Draining(_) => {
                Some(Weight::QUIESCED)
            }
            Place::Displaced { keeps_connections: false } | Place::Out | Place::Drained(_) => None,
        }
    }

    fn ramped(&self, now: Instant, slow_start: Option<SlowStart>) -> Weight {
        let full = self.weight();
        let (Some(slow_start), Some(since)) = (slow_start, self.rising_since) else { return full };
        let tenths = tenths(slow_start, now.saturating_duration_since(since));
        let part =
            u64::from(full.value()).saturating_mul(tenths.into()) / u64::from(SlowStart::STEPS);
        let least = u64::from(full.value().min(1));
        u32::try_from(part.max(least)).ok().and_then(|part| Weight::new(part).ok()).unwrap_or(full)
    }

    /// When its weight grows next; ends the ramp when it is at its end.
    pub(crate) fn next_step(
        &mut self,
        now: Instant,
        slow_start: Option<SlowStart>,
    ) -> Option<Instant> {
        let since = self.rising_since?;
        let tenths = slow_start
            .map_or(SlowStart::STEPS, |slow| tenths(slow, now.saturating_duration_since(since)));
        if tenths >= SlowStart::STEPS {
            self.rising_since = None;
            return None;
        }
        since.checked_add(slow_start?.duration.checked_mul(tenths)?.checked_div(STEPS_BETWEEN)?)
    }
}

const STEPS_BETWEEN: u32 = SlowStart::STEPS.saturating_sub(1);

/// 1 at the beginning, 10 at the end.
fn tenths(slow_start: SlowStart, elapsed: Duration) -> u32 {
    let whole = slow_start.duration.as_nanos();
    let passed = elapsed.as_nanos().saturating_mul(STEPS_BETWEEN.into());
    let steps = passed.checked_div(whole).and_then(|steps| u32::try_from(steps).ok());
    steps.unwrap_or(STEPS_BETWEEN).min(STEPS_BETWEEN).saturating_add(1)
}

/// Up while all checks are.
fn fold(checks: &[PooledCheck]) -> Outcome {
    if checks.iter().all(|check| check.outcome == Outcome::Up) {
        Outcome::Up
    } else {
        Outcome::Down
    }
}
