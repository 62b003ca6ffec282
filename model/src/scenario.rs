//! What is checked: which routers, which network, which faults, and the expected verdicts.

use core::{net::IpAddr, time::Duration};

use vrrp_fsm::{
    Config, ReleasePolicy,
    vrrp_proto::{AddressFamily, Priority, Vrid},
};

use self::Fault::{Crash, Drop, Duplicate, Partition, Pause, Shutdown};
use crate::observation::Observation::{
    self, Dual, Incumbent, Newcomer, NoMaster, OneMaster, StaleRelease, TwoMasters, Zombie,
};

/// The time between two moments that are told apart. Also the least time between two answers.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Ticks of the short interval: so the skews of priorities 64, 128 and 192 are whole ticks.
pub(crate) const SHORT: u8 = 8;

#[derive(Debug, Clone)]
pub(crate) struct Router {
    pub(crate) priority: u8,
    /// Ticks between two advertisements.
    pub(crate) interval: u8,
    pub(crate) preempt: bool,
    /// The last octet of its address.
    pub(crate) host: u8,
}

/// What may go wrong, each time at the cost of one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A packet is lost.
    Drop,
    /// A copy of a packet arrives at any time.
    Duplicate,
    /// A router stops without a word, and may be started again.
    Crash,
    /// A router does nothing for up to four intervals.
    Pause,
    /// The link is cut in two, and may heal.
    Partition,
    /// A router's priority changes.
    Priority,
    /// A router leaves with priority 0, and may be started again.
    Shutdown,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) routers: Vec<Router>,
    /// Ticks within which a packet arrives.
    pub(crate) delay: u8,
    pub(crate) faults: &'static [Fault],
    /// How many of them.
    pub(crate) budget: u8,
    /// Whether all start at the same moment, otherwise each at any.
    pub(crate) together: bool,
    /// Whether the answer to a wish for addresses can wait for other things to happen.
    pub(crate) slow_effects: bool,
    pub(crate) late_wake_rule: bool,
    pub(crate) immediate_answer: bool,
    /// Whether two Masters have to hear of each other as fast as with immediate answers anyway.
    pub(crate) judged_by_immediate_answer: bool,
    pub(crate) release_from: ReleasePolicy,
    /// What must be reachable, or the model shows nothing.
    pub(crate) reachable: &'static [Observation],
    /// What may be, and is not judged.
    pub(crate) open: &'static [Observation],
}

/// The counterexamples that no rule of VRRP excludes.
const USUAL: &[Observation] = &[TwoMasters, NoMaster];

impl Scenario {
    fn new(name: &'static str, priorities: &[u8]) -> Self {
        let routers = priorities.iter().zip(1..).map(|(&priority, host)| Router {
            priority,
            interval: SHORT,
            preempt: true,
            host,
        });
        Self {
            name,
            routers: routers.collect(),
            delay: 1,
            faults: &[],
            budget: 0,
            together: false,
            slow_effects: false,
            late_wake_rule: true,
            immediate_answer: true,
            judged_by_immediate_answer: false,
            release_from: ReleasePolicy::RecordedMaster,
            reachable: USUAL,
            open: &[],
        }
    }

    fn faults(self, budget: u8, faults: &'static [Fault]) -> Self {
        Self { faults, budget, ..self }
    }

    fn together(self) -> Self {
        Self { together: true, ..self }
    }

    fn router(mut self, index: usize, change: impl FnOnce(&mut Router)) -> Self {
        change(&mut self.routers[index]);
        self
    }

    /// Whether it must happen, must not, or is left open.
    pub(crate) fn expects(&self, observation: Observation) -> Expected {
        if self.reachable.contains(&observation) {
            Expected::Reachable
        } else if self.open.contains(&observation) {
            Expected::Open
        } else {
            Expected::Never
        }
    }

    pub(crate) fn config(&self, index: usize) -> Config {
        let router = &self.routers[index];
        let vrid = Vrid::new(51).expect("not zero");
        Config::new(vrid, AddressFamily::Ipv4)
            .priority(Priority::new(router.priority))
            .advertisement_interval(TICK * u32::from(router.interval))
            .preempt_mode(router.preempt)
            .late_wake_rule(self.late_wake_rule)
            .immediate_answer(self.immediate_answer)
            .release_from(self.release_from)
            .virtual_addresses(vec![IpAddr::from([192, 0, 2, 100])])
    }

    pub(crate) fn address(&self, index: usize) -> IpAddr {
        IpAddr::from([192, 0, 2, self.routers[index].host])
    }

    /// Whether it takes about a second.
    pub(crate) fn is_quick(&self) -> bool {
        !["pair", "four", "release by anyone"].contains(&self.name)
    }

    fn longest_interval(&self) -> u8 {
        self.routers.iter().map(|router| router.interval).max().unwrap_or_default()
    }

    /// Ticks after the last disturbance within which everything settles (L2).
    pub(crate) fn settle_time(&self) -> u8 {
        let longest = self.longest_interval();
        let worst = self.routers.iter().map(|router| router.priority).min().unwrap_or(1);
        // The least a priority can be changed to.
        let worst = if self.faults.contains(&Fault::Priority) { worst.min(64) } else { worst };
        let skew = (u32::from(longest) * (256 - u32::from(worst))).div_ceil(256);
        3 * longest + u8::try_from(skew).expect("less than an interval") + longest + self.delay
    }

    /// Ticks after which a paused router goes on at the latest.
    pub(crate) fn longest_pause(&self) -> u8 {
        4 * self.longest_interval()
    }
}

/// What is known of an observation before the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Never,
    Reachable,
    Open,
}

/// What is checked, and with `full` also what takes longer.
pub(crate) fn all(full: bool) -> Vec<Scenario> {
    let mut scenarios = everything_goes_wrong();
    scenarios.extend(assumptions());
    scenarios.extend(rules_and_their_absence());
    if full {
        scenarios.extend(longer());
    }
    scenarios
}

const EVERYTHING: &[Fault] = &[Drop, Duplicate, Crash, Pause, Partition, Fault::Priority, Shutdown];

fn everything_goes_wrong() -> Vec<Scenario> {
    vec![
        Scenario {
            reachable: &[TwoMasters, NoMaster, Incumbent],
            ..Scenario::new("pair", &[192, 128]).faults(2, EVERYTHING)
        },
        Scenario {
            reachable: &[TwoMasters, NoMaster, Incumbent],
            ..Scenario::new("three", &[192, 128, 64]).together().faults(1, EVERYTHING)
        },
        Scenario::new("four", &[255, 192, 128, 64]).together().faults(1, &[Crash, Shutdown]),
    ]
}

/// What the promises take for granted, and what comes of it otherwise.
fn assumptions() -> Vec<Scenario> {
    let slow = |router: &mut Router| router.interval = 2 * SHORT;
    vec![
        Scenario {
            reachable: &[TwoMasters, NoMaster, Incumbent],
            ..Scenario::new("mixed", &[192, 128, 128])
                .together()
                .faults(1, &[Crash, Shutdown])
                .router(0, |router| router.preempt = false)
                .router(1, slow)
        },
        Scenario {
            reachable: &[TwoMasters, Newcomer],
            ..Scenario::new("newcomer", &[192, 128]).router(0, |router| router.interval = 4 * SHORT)
        },
        Scenario {
            // Both for ever, but quietly.
            reachable: &[TwoMasters, OneMaster, Dual],
            ..Scenario::new("one address twice", &[128, 128]).router(1, |router| router.host = 1)
        },
        Scenario { slow_effects: true, ..Scenario::new("slow addresses", &[192, 128]) }
            .faults(1, &[Crash, Pause, Partition, Shutdown]),
    ]
}

/// Each rule beyond the RFC without which something happens, and what happens.
fn rules_and_their_absence() -> Vec<Scenario> {
    const STRAY: &[Fault] = &[Duplicate, Shutdown];
    let released = |name| Scenario {
        delay: 0,
        ..Scenario::new(name, &[192, 128, 64]).together().faults(2, STRAY)
    };
    let slow = |router: &mut Router| router.interval = 2 * SHORT;
    let healed = |name| Scenario::new(name, &[192, 128]).router(0, slow).faults(1, &[Partition]);
    let late_answer = |name| Scenario { immediate_answer: false, ..healed(name) };
    vec![
        released("release"),
        Scenario {
            release_from: ReleasePolicy::Anyone,
            reachable: &[TwoMasters, NoMaster, StaleRelease],
            ..released("release by anyone")
        },
        Scenario {
            late_wake_rule: false,
            reachable: &[TwoMasters, Zombie],
            ..Scenario::new("no late wake rule", &[192, 128]).faults(1, &[Pause])
        },
        Scenario { reachable: &[TwoMasters], ..healed("answer") },
        Scenario { reachable: &[TwoMasters], ..late_answer("answer of 5798") },
        Scenario {
            judged_by_immediate_answer: true,
            reachable: &[TwoMasters, Dual],
            ..late_answer("no answer")
        },
    ]
}

fn longer() -> Vec<Scenario> {
    let reachable = &[TwoMasters, NoMaster, Incumbent];
    vec![
        Scenario {
            reachable,
            ..Scenario::new("three at any time", &[192, 128, 64]).faults(1, EVERYTHING)
        },
        Scenario {
            reachable,
            ..Scenario::new("three, two faults", &[192, 128, 64]).together().faults(2, EVERYTHING)
        },
        Scenario {
            reachable,
            delay: 2,
            ..Scenario::new("pair, slow network", &[192, 128]).faults(2, EVERYTHING)
        },
    ]
}
