//! What is tempting to believe of VRRP, and what shows that it is not so; and that hardening
//! excludes what it says it does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use vrrp_sim::{Act, Counterexample, Scenario, Simulation, Subject};

const SEEDS: core::ops::Range<u64> = 0..200;

/// How often a scenario shows it. Everything else holds meanwhile.
fn shown(counterexample: Counterexample, scenario: &Scenario) -> u64 {
    let simulation = Simulation::new(scenario.seed).without_timeline();
    let (simulation, result) = scenario.run(simulation).unwrap();
    result.unwrap();
    simulation.tally().count(Subject::Counterexample, counterexample.name())
}

/// In how many of the worlds it is shown.
fn worlds(counterexample: Counterexample, hardened: bool) -> usize {
    let scenarios = SEEDS.map(|seed| counterexample.scenario(seed, hardened));
    scenarios.filter(|scenario| shown(counterexample, scenario) > 0).count()
}

/// Reachable, in every world.
fn always(counterexample: Counterexample) {
    assert_eq!(worlds(counterexample, false), SEEDS.count(), "{counterexample}");
    assert_eq!(counterexample.hardening(), None);
}

/// Reachable in every world, and in none with the hardening.
fn unless_hardened(counterexample: Counterexample) {
    assert!(counterexample.hardening().is_some());
    assert_eq!(worlds(counterexample, false), SEEDS.count(), "{counterexample}");
    assert_eq!(worlds(counterexample, true), 0, "{counterexample} with hardening");
}

#[test]
fn a_cut_makes_two_masters() {
    always(Counterexample::CutOff);
}

#[test]
fn lost_advertisements_make_two_masters() {
    always(Counterexample::LostAdvertisements);
}

#[test]
fn a_master_that_stands_still_is_one_of_two() {
    always(Counterexample::StandsStill);
}

#[test]
fn timers_that_expire_together_make_two_masters() {
    always(Counterexample::AtTheSameTime);
}

#[test]
fn after_a_crash_there_is_no_master() {
    always(Counterexample::NoMaster);
}

#[test]
fn a_worse_master_stays_where_nobody_preempts() {
    always(Counterexample::WorseMaster);
}

#[test]
fn a_master_that_cannot_tell_its_own_address_answers_itself() {
    unless_hardened(Counterexample::AnswersItself);
}

#[test]
fn a_late_farewell_is_believed_if_everybodys_is() {
    unless_hardened(Counterexample::LateFarewell);
}

#[test]
fn of_equal_priorities_the_lower_address_stays() {
    always(Counterexample::LowerAddress);
}

#[test]
fn over_a_one_way_link_two_masters_stay() {
    always(Counterexample::OneWay);
}

#[test]
fn a_newcomer_with_a_shorter_interval_is_impatient() {
    always(Counterexample::Impatient);
}

#[test]
fn a_master_that_resumes_goes_on_without_the_late_wake_rule() {
    unless_hardened(Counterexample::LateWake);
}

#[test]
fn two_owners_of_version_2_are_deaf_to_each_other() {
    unless_hardened(Counterexample::TwoOwners);
}

#[test]
fn terms_do_not_order_masterships() {
    always(Counterexample::EqualTerms);
}

/// The cause survives shrinking, and is the cause: a random scenario in which a Master goes on after
/// a pause becomes small, keeps the rule off, and is cured by switching it on.
#[test]
fn a_counterexample_shrinks_to_its_cause() {
    let shows = |scenario: &Scenario| {
        let simulation = Simulation::new(scenario.seed).without_timeline();
        let Ok((simulation, Ok(()))) = scenario.run(simulation) else { return false };
        simulation.tally().count(Subject::Counterexample, Counterexample::LateWake.name()) > 0
    };
    let acts = |scenario: &Scenario| scenario.rounds.iter().map(|r| r.acts.len()).sum::<usize>();
    let mut scenarios = (0..20_000).map(Scenario::random);
    let large = scenarios.find(|scenario| acts(scenario) > 15 && shows(scenario)).unwrap();
    let mut small = large.shrink(shows);
    let program = small.to_rust();
    assert!(small.routers.len() == 2 && acts(&small) <= 3, "{program}");
    assert!(program.contains(".late_wake_rule(false)"), "{program}");
    let mut acts = small.rounds.iter().flat_map(|round| &round.acts);
    assert!(acts.any(|(_, act)| matches!(act, Act::Pause(_))), "{program}");
    for router in &mut small.routers {
        router.config.late_wake_rule = true;
    }
    assert!(!shows(&small), "{program}");
}
