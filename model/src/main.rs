//! Model checking of elections: two, three and four real `vrrp_fsm::VirtualRouter`s on a network that
//! loses, delays, copies and reorders packets, with hosts that crash, pause and are cut off, in every
//! order that there is.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    election::Election,
    observation::Observation,
    scenario::{Expected, Scenario},
};

mod election;
mod forge;
mod machines;
mod observation;
mod rules;
mod scenario;
mod state;
mod timeline;

/// Checks every state that the elections of a few routers can reach
#[derive(Debug, Parser)]
struct Arguments {
    /// Also what takes longer
    #[arg(long)]
    full: bool,
    /// Only what takes a few seconds, up to the first wrong verdict
    #[arg(long, conflicts_with_all = ["full", "scenarios"])]
    quick: bool,
    /// Prints a shortest path to everything that is to be reachable
    #[arg(long)]
    paths: bool,
    /// Only these scenarios
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut scenarios = scenario::all(arguments.full);
    if !arguments.scenarios.is_empty() {
        scenarios = scenario::all(true);
        scenarios.retain(|scenario| arguments.scenarios.iter().any(|name| name == scenario.name));
    }
    if arguments.quick {
        scenarios.retain(Scenario::is_quick);
    }
    let mut reports = Vec::new();
    println!(
        "{:<22} {:>7} {:>13} {:>6} {:>8} {:>9}  verdict",
        "scenario", "routers", "unique states", "depth", "seconds", "machines"
    );
    for scenario in scenarios {
        let report = check(&scenario);
        println!("{}", report.line());
        if arguments.paths {
            for observation in Observation::ALL {
                if scenario.expects(observation) == Expected::Reachable {
                    let timeline = shortest(&scenario, observation).unwrap_or_default();
                    println!("{}:\n{timeline}", observation.name());
                }
            }
        }
        let stop = arguments.quick && !report.wrong.is_empty();
        reports.push(report);
        if stop {
            break;
        }
    }
    let states: usize = reports.iter().map(|report| report.states).sum();
    let seconds: f64 = reports.iter().map(|report| report.seconds).sum();
    println!("{:<22} {:>7} {states:>13} {:>6} {seconds:>8.1}\n", "all", "", "");
    print_verdicts(&reports);
    let mut failed = reports.is_empty();
    for report in &reports {
        for &wrong in &report.wrong {
            failed = true;
            println!("\n{}: {}", report.scenario.name, wrong.name());
            match report.scenario.expects(wrong) {
                Expected::Never => {
                    let short =
                        if arguments.quick { None } else { shortest(&report.scenario, wrong) };
                    println!("{}", short.unwrap_or_else(|| report.timelines.join("\n")));
                }
                Expected::Reachable | Expected::Open => {
                    println!("  is never reached: the model does not show what it has to");
                }
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Report {
    scenario: Scenario,
    states: usize,
    depth: usize,
    seconds: f64,
    machines: usize,
    /// What turned out otherwise than expected.
    wrong: Vec<Observation>,
    /// How it came to it.
    timelines: Vec<String>,
}

fn check(scenario: &Scenario) -> Report {
    let begin = Instant::now();
    let checker = Election::new(scenario.clone())
        .checker()
        .threads(threads())
        // To the end, unless something is wrong.
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    let seconds = begin.elapsed().as_secs_f64();
    let discoveries = checker.discoveries();
    let is_wrong = |observation: &Observation| {
        let seen = discoveries.contains_key(observation.name());
        match scenario.expects(*observation) {
            Expected::Never => seen,
            Expected::Reachable => !seen,
            Expected::Open => false,
        }
    };
    let mut wrong: Vec<_> = Observation::ALL.into_iter().filter(is_wrong).collect();
    // Whatever was not reached by then may have been later.
    let stopped = wrong.iter().any(|wrong| scenario.expects(*wrong) == Expected::Never);
    wrong.retain(|wrong| !stopped || scenario.expects(*wrong) == Expected::Never);
    let timelines = wrong
        .iter()
        .filter_map(|wrong| checker.discovery(wrong.name()))
        .map(|path| timeline::draw(scenario, path))
        .collect();
    Report {
        timelines,
        scenario: scenario.clone(),
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        seconds,
        machines: checker.model().machines.counts().0,
        wrong,
    }
}

impl Report {
    fn line(&self) -> String {
        let verdict = if self.wrong.is_empty() { "as expected" } else { "WRONG" };
        format!(
            "{:<22} {:>7} {:>13} {:>6} {:>8.1} {:>9}  {verdict}",
            self.scenario.name,
            self.scenario.routers.len(),
            self.states,
            self.depth,
            self.seconds,
            self.machines,
        )
    }
}

/// How it comes to it, in about as few steps as there are, if that can be found soon.
fn shortest(scenario: &Scenario, observation: Observation) -> Option<String> {
    let checker = Election::new(scenario.clone())
        .checker()
        .threads(threads())
        .timeout(PATIENCE)
        .finish_when(HasDiscoveries::AnyOf([observation.name()].into()))
        .spawn_bfs()
        .join();
    let path = checker.discovery(observation.name())?;
    Some(timeline::draw(scenario, path))
}

/// How long a shorter path is looked for.
const PATIENCE: Duration = Duration::from_secs(30);

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// One row a property, one column a scenario.
fn print_verdicts(reports: &[Report]) {
    for observation in Observation::ALL {
        let verdicts = reports.iter().map(|report| {
            let wrong = report.wrong.contains(&observation);
            match report.scenario.expects(observation) {
                Expected::Open => "-",
                Expected::Never if wrong => "VIOLATED",
                Expected::Never => "never",
                Expected::Reachable if wrong => "UNREACHED",
                Expected::Reachable => "reached",
            }
        });
        let verdicts: Vec<_> = verdicts.map(|verdict| format!("{verdict:<9}")).collect();
        println!("{:<52} {}", observation.name(), verdicts.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &str) -> Scenario {
        let mut all = scenario::all(true);
        all.retain(|scenario| scenario.name == name);
        all.remove(0)
    }

    #[test]
    fn what_is_expected_is_found() {
        let report = check(&scenario("one address twice"));
        assert_eq!(report.wrong, []);
        assert!(report.states > 1_000, "{}", report.states);
    }

    #[test]
    fn what_must_not_be_is_told_with_its_timeline() {
        let scenario = Scenario { reachable: &[], ..scenario("one address twice") };
        let report = check(&scenario);
        assert!(report.wrong.contains(&Observation::TwoMasters), "{:?}", report.wrong);
        let timeline = shortest(&scenario, Observation::TwoMasters).unwrap();
        assert!(timeline.contains("the timer expires; router .1 (128) is Master"), "{timeline}");
    }

    #[test]
    fn what_is_never_reached_is_told() {
        let scenario = Scenario {
            reachable: &[Observation::Zombie],
            open: &[Observation::TwoMasters, Observation::OneMaster, Observation::Dual],
            ..scenario("one address twice")
        };
        assert_eq!(check(&scenario).wrong, [Observation::Zombie]);
    }

    #[test]
    fn scenarios_have_names_of_their_own() {
        let mut names: Vec<_> = scenario::all(true).iter().map(|scenario| scenario.name).collect();
        let number = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), number);
    }
}
