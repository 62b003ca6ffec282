//! A scenario that fails becomes small, a program and a picture.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::time::Duration;
use std::fs;

use vrrp_sim::{
    Act, Conditions, Failure, Invariant, Report, Scenario, Simulation, Subject,
    vrrp_fsm::{ChecksumPolicy, vrrp_proto::ChecksumForm},
};

/// Routers that do not understand each other's checksums: keepalived's first and RFC 9568's last.
fn at_odds(seed: u64) -> Scenario {
    let mut scenario = Scenario::random_at(seed, Duration::from_millis(100));
    let last = scenario.routers.len() - 1;
    for (index, router) in scenario.routers.iter_mut().enumerate() {
        let form =
            if index < last { ChecksumForm::PseudoHeader } else { ChecksumForm::MessageOnly };
        router.config.checksum = ChecksumPolicy::Strict(form);
    }
    scenario
}

fn failure(scenario: &Scenario) -> Option<Failure> {
    Report::default().run(scenario).unwrap()
}

#[test]
fn routers_at_odds_are_found_and_shrunk_to_two_that_start() {
    let failures: Vec<_> = (0..60).filter_map(|seed| failure(&at_odds(seed))).collect();
    let large = |failure: &&Failure| {
        let found = failure.violation.invariant == Invariant::OneMaster;
        found && failure.scenario.routers.len() > 2 && size(&failure.scenario) > 10
    };
    let failure = failures.iter().find(large).unwrap();
    let small = failure.shrink();
    assert_eq!(small.violation.invariant, Invariant::OneMaster);
    assert_eq!(small.scenario.routers.len(), 2, "{}", small.scenario.to_rust());
    assert_eq!(size(&small.scenario), 0, "{}", small.scenario.to_rust());
    assert_eq!(small.scenario.rounds.len(), 1);
    // The cause is still there.
    let checksums: Vec<_> = small.scenario.routers.iter().map(|r| r.config.checksum).collect();
    assert_eq!(
        checksums,
        [ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly].map(ChecksumPolicy::Strict)
    );
    let drawing = small.to_string();
    assert!(drawing.contains('█') && drawing.contains("OneMaster broken"), "{drawing}");
}

fn size(scenario: &Scenario) -> usize {
    scenario.rounds.iter().map(|round| round.acts.len()).sum()
}

/// Whether a Master notices that it was away for too long.
fn wakes_late(scenario: &Scenario) -> bool {
    let (simulation, result) = scenario.run(Simulation::new(scenario.seed)).unwrap();
    result.is_ok() && simulation.tally().count(Subject::Reason, "late wake") > 0
}

#[test]
fn any_property_can_be_shrunk_for() {
    let mut scenarios = (0..1_000).map(Scenario::random);
    let scenario = scenarios.find(|s| size(s) > 20 && wakes_late(s)).unwrap();
    let small = scenario.shrink(wakes_late);
    assert!(wakes_late(&small));
    let program = small.to_rust();
    assert!(small.routers.len() <= 2, "{program}");
    // It stands still, and something happens later.
    let acts: Vec<_> = small.rounds.iter().flat_map(|round| &round.acts).collect();
    assert!(
        acts.len() <= 2 && acts.iter().any(|(_, act)| matches!(act, Act::Pause(_))),
        "{program}"
    );
    assert!(small.routers.iter().all(|router| router.config.late_wake_rule), "{program}");
    assert!(small.routers.iter().all(|router| router.conditions == Conditions::default()));
}

#[test]
fn a_failure_is_saved_as_a_program_and_a_picture() {
    let failure = (0..).find_map(|seed| failure(&at_odds(seed))).unwrap();
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("saved");
    let [program, picture] = failure.save(&directory).unwrap();
    assert_eq!(fs::read_to_string(program).unwrap(), failure.scenario.to_rust());
    let picture = fs::read_to_string(picture).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    for router in 0..failure.scenario.routers.len() {
        let name = format!(">{router} (");
        assert!(picture.contains(&name), "{picture}");
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn every_scenario_is_written_as_a_program_without_gaps() {
    for seed in 0..2_000 {
        let program = Scenario::random(seed).to_rust();
        assert!(!program.contains("// ."), "{program}");
    }
}
