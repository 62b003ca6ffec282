//! Making a scenario that fails as small as it gets.

use core::time::Duration;

use vrrp_fsm::{Config, PathConfig};

use crate::{Act, Conditions, End, Failure, Link, RouterId, Scenario, Simulation};

/// After so many runs the smallest scenario found so far has to do.
const MOST_RUNS: u32 = 5_000;

/// Whether a router less is the same story is a matter of luck, too: these are tried as well.
const OTHER_SEEDS: [u64; 3] = [0, 1, 2];

impl Failure {
    /// The smallest scenario found that breaks the same invariant. What you
    /// [watch](Simulation::watched) yourself is not known here: use [`Scenario::shrink`] for that.
    #[must_use]
    pub fn shrink(&self) -> Self {
        let violation = |scenario: &Scenario| {
            let simulation = Simulation::new(scenario.seed).without_timeline();
            scenario.run(simulation).ok()?.1.err()
        };
        let invariant = self.violation.invariant;
        let scenario = self
            .scenario
            .shrink(|scenario| violation(scenario).is_some_and(|v| v.invariant == invariant));
        let violation = violation(&scenario).unwrap_or_else(|| self.violation.clone());
        Self { scenario, violation }
    }
}

impl Scenario {
    /// The smallest scenario found for which `fails` still says so: fewer rounds, acts and routers, less
    /// time between them, plainer links, surroundings and configurations.
    ///
    /// `fails` is asked up to some thousand times. Nothing can be left out of the result, or be made
    /// plainer, alone.
    #[must_use]
    pub fn shrink(&self, fails: impl FnMut(&Self) -> bool) -> Self {
        let mut search = Search { best: self.clone(), fails, runs: 0, found: 0 };
        loop {
            let found = search.found;
            search.rounds();
            search.acts();
            search.routers();
            search.duller();
            search.plainer();
            search.sooner();
            if search.found == found || search.runs >= MOST_RUNS {
                return search.best;
            }
        }
    }
}

struct Search<F> {
    best: Scenario,
    fails: F,
    runs: u32,
    found: u32,
}

impl<F: FnMut(&Scenario) -> bool> Search<F> {
    /// Takes what `change` makes of the best scenario if it still fails.
    fn attempt(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        if candidate == self.best || self.runs >= MOST_RUNS {
            return false;
        }
        self.runs += 1;
        let fails = (self.fails)(&candidate);
        if fails {
            self.found += 1;
            self.best = candidate;
        }
        fails
    }

    /// The same with other luck, too.
    fn attempt_with_luck(&mut self, change: impl Fn(&mut Scenario)) -> bool {
        self.attempt(&change)
            || OTHER_SEEDS.into_iter().any(|seed| {
                self.attempt(|scenario| {
                    scenario.seed = seed;
                    change(scenario);
                })
            })
    }

    /// Leaves out ever smaller parts of `len` things (Zeller's delta debugging).
    fn leave_out(&mut self, len: fn(&Scenario) -> usize, drop: fn(&mut Scenario, usize, usize)) {
        let mut size = len(&self.best);
        while size > 0 {
            let mut at = 0;
            while at < len(&self.best) {
                if !self.attempt_with_luck(|scenario| drop(scenario, at, size)) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn rounds(&mut self) {
        self.leave_out(
            |scenario| scenario.rounds.len(),
            |scenario, at, size| {
                let mut index = 0..;
                scenario.rounds.retain(|_| index.next().is_none_or(|i| i < at || i >= at + size));
            },
        );
    }

    fn acts(&mut self) {
        self.leave_out(
            |scenario| scenario.rounds.iter().map(|round| round.acts.len()).sum(),
            |scenario, at, size| {
                let mut index = 0..;
                for round in &mut scenario.rounds {
                    // The others stay when they were.
                    let mut waited = Duration::ZERO;
                    round.acts.retain_mut(|(after, _)| {
                        waited += *after;
                        let kept = index.next().is_none_or(|i| i < at || i >= at + size);
                        if kept {
                            *after = core::mem::take(&mut waited);
                        }
                        kept
                    });
                }
            },
        );
    }

    fn routers(&mut self) {
        for index in (0..self.best.routers.len()).rev() {
            self.attempt_with_luck(|scenario| scenario.remove_router(index));
        }
    }

    /// Rounds that only settle, acts that only take time.
    fn duller(&mut self) {
        for index in 0..self.best.rounds.len() {
            self.attempt(|scenario| {
                if let Some(round) = scenario.rounds.get_mut(index) {
                    round.end = End::Settle;
                }
            });
        }
        let acts = self.best.rounds.iter().map(|round| round.acts.len()).sum();
        for index in 0..acts {
            self.attempt(|scenario| {
                let acts = scenario.rounds.iter_mut().flat_map(|round| &mut round.acts);
                if let Some((_, act)) = acts.into_iter().nth(index) {
                    *act = Act::Wait;
                }
            });
        }
    }

    fn plainer(&mut self) {
        self.attempt(|scenario| scenario.link = Link::default());
        self.attempt(|scenario| scenario.more_links.clear());
        for change in PLAINER_LINKS {
            self.attempt(|scenario| change(&mut scenario.link));
        }
        // What all routers have to have in common, all at once.
        for change in PLAINER_CONFIGS {
            self.attempt(|scenario| {
                for router in &mut scenario.routers {
                    let plain = Config::new(router.config.vrid, router.config.family);
                    change(&mut router.config, &plain);
                }
            });
        }
        self.attempt(|scenario| {
            for router in &mut scenario.routers {
                router.more_sources.truncate(router.config.paths.len().saturating_sub(1));
            }
        });
        for index in 0..self.best.routers.len() {
            for change in PLAINER_CONFIGS {
                self.attempt(|scenario| {
                    let Some(router) = scenario.routers.get_mut(index) else { return };
                    let plain = Config::new(router.config.vrid, router.config.family);
                    change(&mut router.config, &plain);
                });
            }
            for change in PLAINER_CONDITIONS {
                self.attempt(|scenario| {
                    let Some(router) = scenario.routers.get_mut(index) else { return };
                    change(&mut router.conditions);
                });
            }
        }
        for change in PLAINER_LINKS {
            self.attempt(|scenario| {
                for (_, act) in scenario.rounds.iter_mut().flat_map(|round| &mut round.acts) {
                    if let Act::SetLinks(link) | Act::SetPathLinks(_, link) = act {
                        change(link);
                    }
                }
            });
        }
        for change in PLAINER_CONDITIONS {
            self.attempt(|scenario| {
                for (_, act) in scenario.rounds.iter_mut().flat_map(|round| &mut round.acts) {
                    if let Act::SetConditions(_, conditions) = act {
                        change(conditions);
                    }
                }
            });
        }
    }

    /// Less time, or at least a time that is good to read.
    fn sooner(&mut self) {
        let units = [1_000, 100, 10, 1].map(Duration::from_millis);
        for round in 0..self.best.rounds.len() {
            let acts = self.best.rounds.get(round).map_or(0, |round| round.acts.len());
            for act in 0..acts {
                let mut set = |shorten: &dyn Fn(Duration) -> Duration| {
                    self.attempt(|scenario| {
                        let round = scenario.rounds.get_mut(round);
                        if let Some((after, _)) = round.and_then(|round| round.acts.get_mut(act)) {
                            *after = shorten(*after);
                        }
                    })
                };
                if set(&|_| Duration::ZERO) {
                    continue;
                }
                while set(&|after| after / 2) {}
                // Down to whole units, otherwise up.
                let rounded = |unit: Duration| {
                    let whole = move |after: Duration| {
                        unit * u32::try_from(after.as_nanos() / unit.as_nanos()).unwrap_or(0)
                    };
                    set(&whole) || set(&|after| whole(after + unit))
                };
                let _found = units.into_iter().any(rounded);
            }
        }
    }
}

const PLAINER_LINKS: &[fn(&mut Link)] = &[
    |link| link.loss = Link::default().loss,
    |link| link.duplication = Link::default().duplication,
    |link| link.reordering = Link::default().reordering,
    |link| link.held_back = Link::default().held_back,
    |link| link.jitter = Link::default().jitter,
    |link| link.delay = Link::default().delay,
];

const PLAINER_CONDITIONS: &[fn(&mut Conditions)] = &[
    |conditions| *conditions = Conditions::default(),
    |conditions| conditions.install = Conditions::default().install,
    |conditions| conditions.remove = Conditions::default().remove,
    |conditions| conditions.install_fails = Conditions::default().install_fails,
    |conditions| conditions.remove_fails = Conditions::default().remove_fails,
    |conditions| conditions.effects_hang = Conditions::default().effects_hang,
    |conditions| conditions.guard_takes = Conditions::default().guard_takes,
    |conditions| conditions.guard_vetoes = Conditions::default().guard_vetoes,
    |conditions| conditions.guard_hangs = Conditions::default().guard_hangs,
    |conditions| conditions.send_fails = Conditions::default().send_fails,
    |conditions| conditions.wake_latency = Conditions::default().wake_latency,
    |conditions| conditions.spurious_wakes = Conditions::default().spurious_wakes,
    |conditions| conditions.receive_queue = Conditions::default().receive_queue,
    |conditions| conditions.clock_drift = Conditions::default().clock_drift,
];

/// Each makes one thing what [`Config::new`] makes it.
const PLAINER_CONFIGS: &[fn(&mut Config, &Config)] = &[
    |config, plain| {
        let addresses = config.virtual_addresses.iter().take(1).copied().collect();
        *config = plain.clone().priority(config.priority).virtual_addresses(addresses);
    },
    |config, _| config.virtual_addresses.truncate(1),
    |config, plain| config.also_version_2 = plain.also_version_2,
    |config, plain| config.version = plain.version,
    |config, plain| config.authentication = plain.authentication,
    |config, plain| config.trailer.clone_from(&plain.trailer),
    |config, plain| config.checksum = plain.checksum,
    |config, _| {
        config.paths = vec![PathConfig::multicast()];
        config.peers.clear();
    },
    |config, plain| config.advertisement_interval = plain.advertisement_interval,
    |config, plain| config.missed_advertisements = plain.missed_advertisements,
    |config, plain| config.preempt_mode = plain.preempt_mode,
    |config, plain| config.preempt_delay = plain.preempt_delay,
    |config, plain| config.start_delay = plain.start_delay,
    |config, plain| config.also_version_2 = plain.also_version_2,
    |config, plain| config.owner_skips_backup = plain.owner_skips_backup,
    |config, plain| config.owner_reception = plain.owner_reception,
    |config, plain| config.advertise_before_yielding = plain.advertise_before_yielding,
    |config, plain| config.announce_refresh = plain.announce_refresh,
    |config, plain| config.effect_deadline = plain.effect_deadline,
    |config, plain| config.guard = plain.guard,
    |config, plain| config.immediate_answer = plain.immediate_answer,
    |config, plain| config.release_from = plain.release_from,
    |config, plain| config.late_wake_rule = plain.late_wake_rule,
    |config, plain| config.send_failure = plain.send_failure,
    |config, plain| config.addresses_lost = plain.addresses_lost,
    |config, plain| config.priority = plain.priority,
];

impl Scenario {
    /// Leaves out a router. Of what is done to it, the time it takes stays.
    fn remove_router(&mut self, index: usize) {
        if self.routers.len() <= 1 || index >= self.routers.len() {
            return;
        }
        self.routers.remove(index);
        for (_, act) in self.rounds.iter_mut().flat_map(|round| &mut round.acts) {
            *act = act.without(index).unwrap_or(Act::Wait);
        }
        for members in &mut self.processes {
            let moved = members.iter().filter_map(|id| without(*id, index)).collect();
            *members = moved;
        }
        self.processes.retain(|members| !members.is_empty());
    }
}

/// The same router in a world without the one of this index.
fn without(id: RouterId, index: usize) -> Option<RouterId> {
    match id.index() {
        at if at == index => None,
        at if at > index => Some(RouterId::from_index(at - 1)),
        _ => Some(id),
    }
}

impl Act {
    /// The same in a world without the router of this index; `None` if it is about that one.
    fn without(self, index: usize) -> Option<Self> {
        let moved = |id: RouterId| without(id, index);
        Some(match self {
            Self::Start(id) => Self::Start(moved(id)?),
            Self::Crash(id) => Self::Crash(moved(id)?),
            Self::Kill(id) => Self::Kill(moved(id)?),
            Self::Pause(id) => Self::Pause(moved(id)?),
            Self::Resume(id) => Self::Resume(moved(id)?),
            Self::ShutDown(id) => Self::ShutDown(moved(id)?),
            Self::StartUp(id) => Self::StartUp(moved(id)?),
            Self::LinkDown(id) => Self::LinkDown(moved(id)?),
            Self::LinkUp(id) => Self::LinkUp(moved(id)?),
            Self::SetPriority(id, priority) => Self::SetPriority(moved(id)?, priority),
            Self::StealAddresses(id) => Self::StealAddresses(moved(id)?),
            Self::SendForgery(id, forgery) => Self::SendForgery(moved(id)?, forgery),
            Self::Replay(id, after) => Self::Replay(moved(id)?, after),
            Self::Partition(first) if first > index => Self::Partition(first - 1),
            Self::FailPath(path, first, loss) if first > index => {
                Self::FailPath(path, first - 1, loss)
            }
            Self::Cut(from, to) => Self::Cut(moved(from)?, moved(to)?),
            Self::SetConditions(id, conditions) => Self::SetConditions(moved(id)?, conditions),
            same @ (Self::Wait
            | Self::Partition(_)
            | Self::Heal
            | Self::SetLinks(_)
            | Self::SetPathLinks(..)
            | Self::FailPath(..)
            | Self::SetEcho(_)
            | Self::SetDisguise(_)) => same,
        })
    }
}
