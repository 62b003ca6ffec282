use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::{SlowStart, SorryServer, WhenDown};

const SORRY: u16 = 999;

/// What a pool is configured with; servers have the ports 1 and up.
#[derive(Clone, Debug)]
struct Setup {
    weights: Vec<(u16, bool, u8)>,
    quorum: u32,
    hysteresis: u32,
    sorry: Option<(bool, bool)>,
    percent: u8,
    slow: bool,
    drain_removed: bool,
    services: u16,
}

fn setup() -> impl Strategy<Value = Setup> {
    let server = (0..12_u16, prop::bool::weighted(0.8), 0..3_u8);
    (
        prop::collection::vec(server, 0..6),
        1..12_u32,
        0..4_u32,
        prop::option::of((any::<bool>(), any::<bool>())),
        prop_oneof![Just(100_u8), 1..=100_u8],
        any::<bool>(),
        any::<bool>(),
        1..3_u16,
    )
        .prop_map(
            |(weights, quorum, hysteresis, sorry, percent, slow, drain_removed, services)| {
                let total: u32 = weights.iter().map(|(weight, ..)| u32::from(*weight)).sum();
                let quorum = quorum.min(total.max(1));
                let hysteresis = hysteresis.min(quorum - 1);
                Setup { weights, quorum, hysteresis, sorry, percent, slow, drain_removed, services }
            },
        )
}

impl Setup {
    fn config(&self) -> Config {
        let mut config = service(80).quorum(self.quorum).hysteresis(self.hysteresis);
        for extra in 1..self.services {
            let key = ServiceKey::tcp([192, 0, 2, 1].into(), 80 + extra);
            config = config.also(Service::new(key, Scheduler::WeightedRoundRobin));
        }
        config = config.max_ejected_percent(self.percent);
        if let Some((standby, keep)) = self.sorry {
            let sorry = Destination::new(real(SORRY), ForwardingMethod::DirectRoute);
            config = config
                .sorry_server(SorryServer::new(sorry).standby(standby).keep_connections(keep));
        }
        if self.slow {
            config = config.slow_start(SlowStart::over(Duration::from_secs(90)));
        }
        if self.drain_removed {
            config = config.drain_removed(Duration::from_secs(30));
        }
        for ((weight, up, rule), port) in self.weights.iter().zip(1..) {
            let rule = match rule {
                0 => WhenDown::Remove,
                1 => WhenDown::Quiesce,
                _ => WhenDown::Drain(Duration::from_secs(20)),
            };
            let initial = if *up { Outcome::Up } else { Outcome::Down };
            config = config.real_server(server(port, *weight, initial).when_down(rule));
        }
        Config::new().service(config)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Outcome(u16, bool),
    Weight(u16, Option<u16>),
    Drain(u16, Option<u64>),
    Pass(u64),
    Connections(u8),
    Apply(Setup),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..7_u16, any::<bool>()).prop_map(|(port, up)| Step::Outcome(port, up)),
        1 => (1..7_u16, prop::option::of(0..5_u16)).prop_map(|(port, weight)| Step::Weight(port, weight)),
        1 => (1..7_u16, prop::option::of(0..40_u64)).prop_map(|(port, most)| Step::Drain(port, most)),
        2 => (0..40_u64).prop_map(Step::Pass),
        1 => any::<u8>().prop_map(Step::Connections),
        1 => setup().prop_map(Step::Apply),
    ]
}

/// What is known of the pool from outside: from its inputs and from what it told.
struct Watch {
    bench: Bench,
    setup: Setup,
    quorum: bool,
    /// When draining servers have to be out at the latest.
    drains: BTreeMap<u16, Instant>,
}

impl Watch {
    fn new(setup: Setup) -> Self {
        let bench = Bench::new(setup.config());
        let quorum = bench.pool.groups().next().unwrap().quorum;
        Self { bench, setup, quorum, drains: BTreeMap::new() }
    }

    /// Does one step, not drained.
    fn step(&mut self, step: Step) {
        let now = self.bench.now;
        match step {
            Step::Outcome(port, up) => {
                self.bench.outcome(port, if up { Outcome::Up } else { Outcome::Down });
                self.bench.drain();
            }
            Step::Weight(port, weight) => {
                let weight = weight.map(Weight::from);
                self.bench.pool.handle_weight(now, &key(80), &real(port), weight);
                self.bench.drain();
            }
            Step::Drain(port, most) => {
                let most = most.map(Duration::from_secs);
                self.bench.pool.handle_drain(now, &key(80), &real(port), most);
                self.bench.drain();
            }
            Step::Pass(seconds) => self.bench.pass(Duration::from_secs(seconds)),
            Step::Connections(seed) => {
                let group = self.bench.pool.groups().next().unwrap();
                let counts: Vec<_> = group
                    .servers
                    .keys()
                    .map(|server| (key(80), *server, u64::from(seed) * u64::from(server.port) % 3))
                    .collect();
                self.bench.pool.handle_connections(now, &key(80), &counts);
                self.bench.drain();
            }
            Step::Apply(setup) => {
                self.bench.apply(setup.config());
                self.setup = setup;
            }
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let now = self.bench.now;
        let told = core::mem::take(&mut self.bench.told);
        for event in &told {
            // Quorum: told when it changes, never twice.
            if let EventKind::QuorumLost { .. } = event {
                prop_assert!(self.quorum, "lost twice");
                self.quorum = false;
            } else if let EventKind::QuorumGained { .. } = event {
                prop_assert!(!self.quorum, "gained twice");
                self.quorum = true;
            } else if let EventKind::Draining { destination, at_most, .. } = event {
                self.drains.insert(destination.port, now + *at_most);
            }
        }
        let group = self.bench.pool.groups().next().unwrap();
        prop_assert_eq!(group.quorum, self.quorum, "every change is told");
        // The band between the thresholds keeps what was; outside it there is one answer.
        let alive = group.alive();
        let (quorum, hysteresis) = (u64::from(self.setup.quorum), u64::from(self.setup.hysteresis));
        if alive == 0 || alive < quorum - hysteresis {
            prop_assert!(!group.quorum);
        } else if alive >= quorum + hysteresis {
            prop_assert!(group.quorum);
        }
        let serving = |port: u16| {
            self.bench.weights(80).contains(&(port, 0))
                || !self.bench.weights(80).iter().any(|(p, _)| *p == port)
        };
        let weights = self.bench.weights(80);
        // Never a moment without servers when one is healthy.
        let usable = group
            .servers
            .values()
            .any(|server| server.is_up() && !server.is_leaving() && server.weight().value() > 0);
        let sorry_serves = !group.quorum && self.setup.sorry.is_some();
        if usable || sorry_serves {
            prop_assert!(weights.iter().any(|(_, weight)| *weight > 0), "{weights:?}");
        }
        prop_assert_eq!(
            sorry_serves,
            weights.iter().any(|(port, weight)| *port == SORRY && *weight > 0)
        );
        // The cap.
        let most = (self.setup.weights.len() * usize::from(self.setup.percent) / 100).max(1);
        let out = group.servers.iter().filter(|(key, server)| {
            server.is_ejectable() && server.weight().value() > 0 && serving(key.port)
        });
        if !sorry_serves {
            prop_assert!(out.count() <= group.most_ejected(), "more are out than may be");
            // Who has asked to leave counts no more.
            prop_assert!(group.most_ejected() <= most.max(1));
        }
        // Who is up serves with its weight, unless somebody wants it out or the sorry server serves.
        for (key, server) in &group.servers {
            let weight =
                weights.iter().find(|(port, _)| *port == key.port).map(|(_, weight)| *weight);
            if server.is_up() && !server.is_leaving() && !sorry_serves {
                let full = server.weight().value();
                let weight = weight.unwrap_or_else(|| panic!("{key} is up and absent"));
                prop_assert!(weight <= full && (weight > 0 || full == 0), "{weight} of {full}");
                if !self.setup.slow {
                    prop_assert_eq!(weight, full);
                }
            }
        }
        // Drains end.
        for (port, until) in &self.drains {
            let drain = group.servers.get(&real(*port)).and_then(|server| server.drain);
            if let Some(drain) = drain.filter(|drain| !drain.done) {
                prop_assert!(drain.deadline > now, "{port} still drains after {until:?}");
            }
        }
        // All services of a group have the same pool.
        for (_, entry) in self.bench.table.iter() {
            let own: Vec<_> =
                entry.destinations().map(|d| (d.key().port, d.weight().value())).collect();
            prop_assert_eq!(&own, &weights);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn what_holds_at_any_moment(first in setup(), steps in prop::collection::vec(step(), 0..50)) {
        let mut watch = Watch::new(first);
        watch.check()?;
        for step in steps {
            let before = watch.bench.table.clone();
            watch.bench.commands.clear();
            watch.step(step);
            watch.check()?;
            // On the way, too: after no single command is a service without a server that takes connections, if it has one before and
            // after.
            let serves = |table: &Table, key: &ServiceKey| {
                table.service(key).is_some_and(|entry| entry.destinations().any(|d| d.weight().value() > 0))
            };
            let mut way = before.clone();
            for command in core::mem::take(&mut watch.bench.commands) {
                way.execute(&command).unwrap();
                // A step that passes time makes several changes; each is looked at by its own ends in `rules`.
                for key in before.keys().filter(|key| serves(&before, key) && serves(&watch.bench.table, key)) {
                    let usable = watch.bench.pool.groups().next().unwrap().servers.values()
                        .any(|server| server.is_up() && !server.is_leaving() && server.weight().value() > 0);
                    prop_assert!(!usable || serves(&way, key), "{key} has nobody after {command}");
                }
            }
        }
        // In the end, when nothing more happens, nothing more is going on.
        watch.bench.pass(Duration::from_secs(1000));
        watch.check()?;
        prop_assert_eq!(watch.bench.pool.poll_timeout(), None, "all ramps and drains have ended");
    }
}
