//! Many random scenarios. Set `VRRP_SIM_SEED` to run one of them alone and see its timeline,
//! `VRRP_SIM_RUNS` for another number of them. `cargo xtask sim` runs as many as you like.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, reports by printing, and measures its own speed"
)]

use std::{env, path::Path, time::Instant};

use vrrp_sim::{Failure, Report, Scenario, Simulation};

/// Fixed, so that a failure in one place is a failure everywhere.
const FIRST_SEED: u64 = 0;

const RUNS: u64 = 3_000;

#[test]
fn random_scenarios_keep_every_invariant_and_bound() {
    if let Some(seed) = number("VRRP_SIM_SEED") {
        let scenario = Scenario::random(seed);
        println!("{}", scenario.to_rust());
        let (simulation, result) = scenario.run(Simulation::new(seed)).unwrap();
        println!("{}", simulation.timeline().unwrap());
        return result.unwrap();
    }
    let runs = number("VRRP_SIM_RUNS").unwrap_or(RUNS);
    let started = Instant::now();
    let mut report = Report::default();
    if let Some(failure) = report.run_counterexamples(FIRST_SEED).unwrap() {
        tell(&failure);
    }
    for seed in FIRST_SEED..FIRST_SEED + runs {
        if let Some(failure) = report.run(&Scenario::random(seed)).unwrap() {
            tell(&failure);
        }
    }
    println!("{report}in {:.1?}", started.elapsed());
    let missing = report.missing();
    assert!(runs < RUNS || missing.is_empty(), "never happened: {missing:?}");
}

fn tell(failure: &Failure) {
    println!("{}\nseed {}; the smallest like it:\n", failure.violation, failure.scenario.seed);
    let small = failure.shrink();
    let files = small.save(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    println!("{}\n{files:?}", small.scenario.to_rust());
    panic!("{small}");
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}
