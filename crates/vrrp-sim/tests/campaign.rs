//! Many random scenarios. Set `VRRP_SIM_SEED` to run one of them alone and see its timeline,
//! `VRRP_SIM_RUNS` for another number of them.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, reports by printing, and measures its own speed"
)]

use core::time::Duration;
use std::{env, time::Instant};

use vrrp_sim::{Scenario, Simulation, Subject, Tally, discard_names};

/// Fixed, so that a failure in one place is a failure everywhere.
const FIRST_SEED: u64 = 0;

const RUNS: u64 = 3_000;

/// What has to happen at least once; otherwise the campaign has proved nothing about it.
const EXPECTED: &[(Subject, &str)] = &[
    (Subject::Output, "send"),
    (Subject::Output, "send priority 0"),
    (Subject::Output, "install addresses"),
    (Subject::Output, "remove addresses"),
    (Subject::Output, "announce"),
    (Subject::Output, "state initialize"),
    (Subject::Output, "state backup"),
    (Subject::Output, "state master"),
    (Subject::Output, "contended"),
    (Subject::Output, "contended still"),
    (Subject::Reason, "startup"),
    (Subject::Reason, "owner"),
    (Subject::Reason, "master silent"),
    (Subject::Reason, "master released"),
    (Subject::Reason, "preempted"),
    (Subject::Reason, "better advertisement"),
    (Subject::Reason, "shutdown"),
    (Subject::Reason, "link down"),
    (Subject::Reason, "cannot advertise"),
    (Subject::Reason, "addresses failed"),
    (Subject::Reason, "late wake"),
    (Subject::Reason, "addresses lost"),
    (Subject::Network, "delivered"),
    (Subject::Network, "lost"),
    (Subject::Network, "duplicated"),
    (Subject::Network, "reordered"),
    (Subject::Fault, "addresses stolen"),
    (Subject::Fault, "clock drift"),
    (Subject::Fault, "crash"),
    (Subject::Fault, "link up"),
    (Subject::Fault, "forgery"),
    (Subject::Fault, "heal"),
    (Subject::Fault, "installing failed"),
    (Subject::Fault, "kill"),
    (Subject::Fault, "link down"),
    (Subject::Fault, "one-way cut"),
    (Subject::Fault, "partition"),
    (Subject::Fault, "pause"),
    (Subject::Fault, "priority change"),
    (Subject::Fault, "receive queue overflow"),
    (Subject::Fault, "removing failed"),
    (Subject::Fault, "replay"),
    (Subject::Fault, "resume"),
    (Subject::Fault, "send failed"),
    (Subject::Fault, "shut down"),
    (Subject::Fault, "spurious wake"),
    (Subject::Fault, "start"),
    (Subject::Fault, "start up"),
    (Subject::Fault, "superseded request answered"),
    (Subject::Seen, "leftovers removed"),
    (Subject::Seen, "no master"),
    (Subject::Seen, "two masters"),
    (Subject::Bound, "one master, and it stays"),
    (Subject::Bound, "takeover after a crash"),
    (Subject::Bound, "takeover after a release"),
    (Subject::Bound, "two masters became one"),
];

#[test]
fn random_scenarios_keep_every_invariant_and_bound() {
    if let Some(seed) = number("VRRP_SIM_SEED") {
        run_and_tell(seed);
        return;
    }
    let runs = number("VRRP_SIM_RUNS").unwrap_or(RUNS);
    let started = Instant::now();
    let mut tally = Tally::default();
    let mut routers = Duration::ZERO;
    for seed in FIRST_SEED..FIRST_SEED + runs {
        let scenario = Scenario::random(seed);
        let (simulation, result) = scenario.run(Simulation::new(seed).without_timeline()).unwrap();
        if let Err(violation) = result {
            println!("{violation}");
            run_and_tell(seed);
            panic!("{violation}");
        }
        tally.merge(simulation.tally());
        routers += simulation.router_time();
    }
    let took = started.elapsed();
    println!("{tally}");
    println!(
        "{runs} scenarios, {:.0} router-seconds in {took:.1?}: {:.2} million router-seconds a minute",
        routers.as_secs_f64(),
        routers.as_secs_f64() / took.as_secs_f64() * 60.0 / 1e6,
    );
    let discards: Vec<_> = discard_names().map(|name| (Subject::Discard, name)).collect();
    let missing = [tally.missing(EXPECTED), tally.missing(&discards)].concat();
    assert!(runs < RUNS || missing.is_empty(), "never happened: {missing:?}");
}

fn run_and_tell(seed: u64) {
    let scenario = Scenario::random(seed);
    println!("{scenario:#?}");
    let (simulation, result) = scenario.run(Simulation::new(seed)).unwrap();
    println!("{}", simulation.timeline().unwrap());
    result.unwrap();
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}
