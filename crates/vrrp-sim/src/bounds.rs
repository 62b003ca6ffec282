//! How soon the protocol has to be done, computed from the configurations.

use core::time::Duration;

use vrrp_fsm::{State, VirtualRouter};
use vrrp_proto::Version;

use crate::{RouterId, Simulation, host::Host, invariants::down_interval};

/// How soon things have to happen in a quiet network, computed from the configurations.
///
/// With A the longest advertisement interval, k how many may be missed, S the skew time, D the
/// longest delay of a packet and g the longest delay of a timer, all of them as long as the slowest
/// of the routers' clocks makes them:
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Until there is a Master: the longest kA + S, and D.
    pub some_master: Duration,
    /// Until exactly one Master is left: the longest kA + S, and A + D.
    pub one_master: Duration,
    /// Until no better router waits any more to preempt, after that: the longest preempt delay, and
    /// what it takes to expire when it is over. As much if there are guards: a worse Master that is
    /// heard while one is asked is replaced after another master-down interval.
    pub best_master: Duration,
    /// Until the addresses are where they belong, after that.
    pub addresses: Duration,
}

/// Answers to losing advertisements are at least so far apart.
const ANSWER_INTERVAL: Duration = Duration::from_millis(10);

const MILLION: u32 = 1_000_000;

/// Clocks and the bounds here are rounded to nanoseconds.
const ROUNDING: Duration = Duration::from_micros(1);

impl Simulation {
    /// The bounds for the routers and links as they are.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        // Also of those that do not run: somebody may still go by their interval.
        let interval = self.hosts.iter().map(interval).max().unwrap_or_default();
        let down = self.hosts.iter().filter_map(|host| {
            let machine = host.machine.as_ref()?;
            let wait = down_interval(&host.config, machine.priority(), learned(host, interval));
            Some(wait + guard_deadline(host))
        });
        let conditions = self.hosts.iter().map(|host| host.conditions);
        let work = conditions.map(|conditions| conditions.install.max(conditions.remove)).max();
        let down = down.max().unwrap_or_default();
        // Whoever asks in vain asks again after another such time.
        let down = if self.groups.is_empty() { down } else { down * 3 };
        let delay = self.hosts.iter().map(|host| host.config.preempt_delay).max();
        // Who hears a worse Master while it asks a guard waits once more, and then preempts.
        let asks = self.hosts.iter().any(|host| host.config.guard.is_some());
        let delay = delay.filter(|delay| asks || !delay.is_zero());
        Bounds {
            some_master: self.stretched(down) + self.slack(),
            one_master: self.stretched(down + interval) + self.slack(),
            best_master: delay.map_or(Duration::ZERO, |delay| {
                self.stretched(delay + down + interval * 2) + self.slack() * 2
            }),
            addresses: work.unwrap_or_default() * 2 + self.slack(),
        }
    }

    /// D, and what timers and clocks are off by.
    pub(crate) fn slack(&self) -> Duration {
        let wakes = self.hosts.iter().map(|host| host.conditions.wake_latency);
        self.network.longest() + wakes.max().unwrap_or_default() * 2 + ROUNDING
    }

    /// How long the slowest of the clocks takes for `timers`.
    pub(crate) fn stretched(&self, timers: Duration) -> Duration {
        let drifts = self.hosts.iter().map(|host| host.clock.drift_ppm());
        let slowest = drifts.min().unwrap_or_default().min(0).unsigned_abs();
        timers * MILLION / MILLION.saturating_sub(slowest).max(1)
    }

    /// The shortest time that any Backup waits, and D; `None` if there is no Backup.
    pub(crate) fn backups_wait(
        &self,
        wait: impl Fn(&Host, &VirtualRouter) -> Duration,
    ) -> Option<Duration> {
        let backups = self.candidates().filter(|(_, machine)| machine.state() == State::Backup);
        let timers = backups.map(|(host, machine)| wait(host, machine)).min()?;
        Some(self.stretched(timers) + self.slack())
    }

    /// The Backup of the highest priority, if it is sure to expire before all others because it waits
    /// less by more than packets and timers can be late and clocks apart.
    pub(crate) fn clearly_best(&self, interval: Duration) -> Option<RouterId> {
        let mut waits: Vec<(Duration, Duration, RouterId)> = self
            .routers()
            .filter_map(|id| {
                let host = self.host(id)?;
                let machine = host.machine.as_ref()?;
                let takes_part = machine.is_candidate() && machine.state() == State::Backup;
                let wait = down_interval(&host.config, machine.priority(), learned(host, interval));
                let speed = MILLION.saturating_add_signed(host.clock.drift_ppm()).max(1);
                let least = wait * MILLION / speed;
                let most = (wait + guard_deadline(host)) * MILLION / speed;
                takes_part.then_some((least, most, id))
            })
            .collect();
        waits.sort_unstable();
        let priority = |id: RouterId| self.machine(id).map(VirtualRouter::priority);
        let best = match waits.as_slice() {
            [(_, most, best), (least, ..), ..] if *most + self.slack() * 2 < *least => *best,
            [(.., only)] => *only,
            _ => return None,
        };
        // Whoever may miss more may be worse, and is replaced afterwards.
        let others = waits.iter().all(|(.., other)| priority(*other) <= priority(best));
        others.then_some(best)
    }

    /// How long the present Masters may coexist.
    pub(crate) fn dual_bound(&self) -> Duration {
        let mut masters: Vec<_> = self
            .candidates()
            .filter(|(_, machine)| machine.state() == State::Master)
            .map(|(host, machine)| (machine.priority(), host.source, host))
            .collect();
        masters.sort_unstable_by_key(|(priority, source, _)| (*priority, *source));
        let slack = self.slack();
        match masters.as_slice() {
            [(.., loser), (.., winner)] if answers(winner) => {
                let answered = self.stretched(interval(loser) + ANSWER_INTERVAL) + slack;
                self.stretched(interval(winner)).min(answered) + slack
            }
            [.., (.., winner)] => self.stretched(interval(winner)) + slack,
            [] => Duration::ZERO,
        }
    }
}

/// Whether a Master answers a losing advertisement at once; an owner of version 2 does not hear any.
fn answers(host: &Host) -> bool {
    let deaf = host.config.version == Version::V2 && host.config.priority.is_owner();
    host.config.immediate_answer && !deaf
}

/// How much longer a guard may make it wait.
pub(crate) fn guard_deadline(host: &Host) -> Duration {
    host.config.guard.map_or(Duration::ZERO, |guard| guard.deadline)
}

pub(crate) fn interval(host: &Host) -> Duration {
    host.config.advertisement_interval
}

/// The interval a Backup goes by when the Master's is `interval`.
pub(crate) fn learned(host: &Host, interval: Duration) -> Duration {
    match host.config.version {
        Version::V2 => host.config.advertisement_interval,
        Version::V3 => interval,
    }
}
