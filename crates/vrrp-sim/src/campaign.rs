//! Many scenarios in a row, and what all of them together have proved.

use core::{fmt, time::Duration};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use vrrp_fsm::ConfigError;

use crate::{
    Counterexample, Scenario, Simulation, Subject, Tally, Timeline, Violation, discard_names,
};

/// What a campaign has done so far: the sum of all runs.
///
/// ```
/// use vrrp_sim::{Report, Scenario};
///
/// let mut report = Report::default();
/// report.run_counterexamples(0)?;
/// for seed in 0..50 {
///     if let Some(failure) = report.run(&Scenario::random(seed))? {
///         let failure = failure.shrink();
///         panic!("{failure}\n{}", failure.scenario.to_rust());
///     }
/// }
/// assert_eq!(report.scenarios, 78);
/// // These are not enough to see everything.
/// println!("{report}never happened: {:?}", report.missing());
/// # Ok::<(), vrrp_sim::vrrp_fsm::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What happened how often.
    pub tally: Tally,
    /// How many scenarios ran.
    pub scenarios: u64,
    /// The time they covered, times the number of their routers.
    pub router_time: Duration,
    /// Inputs of the machines, each followed by all checks.
    pub events: u64,
}

/// A scenario that breaks an invariant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// The scenario.
    pub scenario: Scenario,
    /// What it breaks.
    pub violation: Violation,
}

impl Report {
    /// Runs one scenario, without a timeline. Returns what it broke, if anything.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration that cannot be used.
    pub fn run(&mut self, scenario: &Scenario) -> Result<Option<Failure>, ConfigError> {
        self.run_in(scenario, Simulation::new(scenario.seed).without_timeline())
    }

    /// The same in a simulation that you have prepared, such as one that is
    /// [watched](Simulation::watched).
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration that cannot be used.
    pub fn run_in(
        &mut self,
        scenario: &Scenario,
        simulation: Simulation,
    ) -> Result<Option<Failure>, ConfigError> {
        let (simulation, result) = scenario.run(simulation)?;
        self.tally.merge(simulation.tally());
        self.scenarios += 1;
        self.router_time += simulation.router_time();
        self.events += simulation.events();
        Ok(result.err().map(|violation| Failure { scenario: scenario.clone(), violation }))
    }

    /// Runs a [scenario](Counterexample::scenario) of every counterexample, without and with what
    /// excludes it. Returns what they broke, if anything.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration that cannot be used.
    pub fn run_counterexamples(&mut self, seed: u64) -> Result<Option<Failure>, ConfigError> {
        for counterexample in Counterexample::ALL {
            for hardened in [false, true] {
                if let Some(failure) = self.run(&counterexample.scenario(seed, hardened))? {
                    return Ok(Some(failure));
                }
            }
        }
        Ok(None)
    }

    /// Adds another report.
    pub fn merge(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        self.scenarios += other.scenarios;
        self.router_time += other.router_time;
        self.events += other.events;
    }

    /// What [random scenarios](Scenario::random) and [those of
    /// counterexamples](Self::run_counterexamples) reach and these have not: nothing is proved about
    /// it. A campaign is large enough when this is empty.
    #[must_use]
    pub fn missing(&self) -> Vec<(Subject, &'static str)> {
        let discards = discard_names().map(|name| (Subject::Discard, name));
        let counterexamples = Counterexample::ALL.map(Counterexample::name);
        let counterexamples = counterexamples.map(|name| (Subject::Counterexample, name));
        self.tally.missing(EXPECTED.iter().copied().chain(discards).chain(counterexamples))
    }
}

/// The tally, and how much it is the sum of.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.tally)?;
        writeln!(
            f,
            "{} scenarios, {} router-seconds, {} events",
            self.scenarios,
            self.router_time.as_secs(),
            self.events
        )
    }
}

impl Failure {
    /// The timeline of the scenario.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        let simulation = Simulation::new(self.scenario.seed);
        let run = self.scenario.run(simulation).ok();
        run.and_then(|(simulation, _)| simulation.timeline).unwrap_or_default()
    }

    /// Writes the scenario as a [program](Scenario::to_rust) and its [picture](Timeline::svg) into a
    /// directory, which is made if there is none. Returns the files.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, directory: &Path) -> io::Result<[PathBuf; 2]> {
        fs::create_dir_all(directory)?;
        let name = format!("{:?}-{}", self.violation.invariant, self.scenario.seed);
        let file = |extension| directory.join(format!("{name}.{extension}").to_lowercase());
        let files = [file("rs"), file("svg")];
        let [program, picture] = &files;
        fs::write(program, self.scenario.to_rust())?;
        fs::write(picture, self.timeline().svg())?;
        Ok(files)
    }
}

/// The violation, and the timeline that led to it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n{}", self.violation, self.timeline())
    }
}

impl core::error::Error for Failure {}

/// What random scenarios reach, discards apart.
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
    (Subject::Network, "copies"),
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
    (Subject::Fault, "path failed"),
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
    (Subject::Bound, "one master, and it stays"),
    (Subject::Bound, "takeover after a crash"),
    (Subject::Bound, "takeover after a release"),
    (Subject::Bound, "two masters became one"),
    (Subject::Bound, "many masters became one"),
    (Subject::Bound, "some master"),
    (Subject::Bound, "one master despite a failed path"),
    (Subject::Bound, "the best of those that preempt"),
    (Subject::Bound, "only the best takes over"),
    (Subject::Bound, "answers come to an end"),
    (Subject::Output, "ask promotion"),
    (Subject::Output, "group command"),
    (Subject::Output, "group state"),
    (Subject::Reason, "sync group"),
    (Subject::Fault, "guard agrees"),
    (Subject::Fault, "guard vetoes"),
    (Subject::Fault, "guard hangs"),
    (Subject::Fault, "effect hangs"),
    (Subject::Fault, "disguise"),
];
