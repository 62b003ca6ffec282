//! A campaign of random scenarios on all processors; `cargo xtask sim` runs it.
//!
//! ```text
//! cargo run --release -p vrrp-sim --example campaign -- --router-seconds 40000000
//! cargo run --release -p vrrp-sim --example campaign -- --replay 4711
//! ```
//!
//! A scenario that breaks an invariant is shrunk and drawn; its program and picture are written into
//! `target/vrrp-sim`. What should have happened and never did is a failure, too.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program that prints, and measures its own speed"
)]

use core::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use std::{path::PathBuf, process::ExitCode, sync::Mutex, thread, time::Instant};

use vrrp_sim::{Failure, Report, Scenario, Simulation, vrrp_fsm::ConfigError};

const USAGE: &str = "campaign [--router-seconds N] [--seed FIRST] [--jobs N] [--interval MILLISECONDS | --interval any] [--out DIRECTORY] [--replay SEED]";

/// Smaller campaigns do not have to see everything.
const WHOLE: u64 = 10_000_000;

/// So many random scenarios for each round of counterexamples.
const COUNTEREXAMPLES: u64 = 1_000;

fn main() -> ExitCode {
    let result = Options::parse(std::env::args().skip(1)).and_then(|options| options.run());
    result.unwrap_or_else(|error| {
        eprintln!("campaign: {error}\n{USAGE}");
        ExitCode::from(2)
    })
}

struct Options {
    router_seconds: u64,
    seed: u64,
    jobs: usize,
    /// `None`: all sorts.
    interval: Option<Duration>,
    out: PathBuf,
    replay: Option<u64>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            router_seconds: 40_000_000,
            seed: 0,
            jobs: thread::available_parallelism()?.get(),
            interval: Some(Duration::from_secs(1)),
            out: "target/vrrp-sim".into(),
            replay: None,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--router-seconds" => options.router_seconds = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                "--jobs" => options.jobs = value.parse::<usize>()?.max(1),
                "--interval" if value == "any" => options.interval = None,
                "--interval" => options.interval = Some(Duration::from_millis(value.parse()?)),
                "--out" => options.out = value.into(),
                "--replay" => options.replay = Some(value.parse()?),
                other => return Err(format!("there is no {other}").into()),
            }
        }
        Ok(options)
    }

    fn scenario(&self, seed: u64) -> Scenario {
        match self.interval {
            Some(interval) => Scenario::random_at(seed, interval),
            None => Scenario::random(seed),
        }
    }

    fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        if let Some(seed) = self.replay {
            return self.replay(seed);
        }
        let started = Instant::now();
        let (report, failure) = self.campaign()?;
        let took = started.elapsed();
        println!("{report}");
        println!(
            "seeds {} to {}, {} jobs, {took:.1?}: {:.1} million events/s, {:.1} million router-seconds a minute",
            self.seed,
            self.seed + report.scenarios.saturating_sub(1),
            self.jobs,
            rate(report.events, took),
            rate(report.router_time.as_secs(), took) * 60.0,
        );
        if let Some(used) = processor_time() {
            println!(
                "{used:.1?} of processor time: {:.1} million events/s, {:.1} million router-seconds a minute on one core",
                rate(report.events, used),
                rate(report.router_time.as_secs(), used) * 60.0,
            );
        }
        if let Some(failure) = failure {
            return self.tell(&failure);
        }
        let missing = report.missing();
        if missing.is_empty() {
            println!("every invariant and bound held");
            return Ok(ExitCode::SUCCESS);
        }
        println!("never happened: {missing:?}");
        Ok(if self.router_seconds < WHOLE { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// One scenario after the other until there are enough router-seconds or one fails.
    fn campaign(&self) -> Result<(Report, Option<Failure>), ConfigError> {
        let (next, done) = (AtomicU64::new(self.seed), AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        let failures = Mutex::new(Vec::new());
        let work = || -> Result<Report, ConfigError> {
            let mut report = Report::default();
            while done.load(Ordering::Relaxed) < self.router_seconds
                && !stop.load(Ordering::Relaxed)
            {
                let before = report.router_time.as_secs();
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let mut failure = report.run(&self.scenario(seed))?;
                if failure.is_none() && seed.is_multiple_of(COUNTEREXAMPLES) {
                    failure = report.run_counterexamples(seed)?;
                }
                if let Some(failure) = failure {
                    stop.store(true, Ordering::Relaxed);
                    failures
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push(failure);
                }
                done.fetch_add(report.router_time.as_secs() - before, Ordering::Relaxed);
            }
            Ok(report)
        };
        let mut all = Report::default();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                let report = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                all.merge(&report?);
            }
            Ok::<(), ConfigError>(())
        })?;
        let failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok((all, failures.into_iter().min_by_key(|failure| failure.scenario.seed)))
    }

    fn replay(&self, seed: u64) -> Result<ExitCode, Box<dyn Error>> {
        let scenario = self.scenario(seed);
        let (simulation, result) = scenario.run(Simulation::new(seed))?;
        println!("{}", simulation.timeline().ok_or("no timeline")?);
        match (result, Report::default().run(&scenario)?) {
            (Err(_), Some(failure)) => self.tell(&failure),
            _ => Ok(ExitCode::SUCCESS),
        }
    }

    /// What failed, made small.
    fn tell(&self, failure: &Failure) -> Result<ExitCode, Box<dyn Error>> {
        println!("{}", failure.violation);
        let seed = failure.scenario.seed;
        if failure.scenario == self.scenario(seed) {
            println!("replay: --replay {seed} (with the same --interval)\n");
        }
        let small = failure.shrink();
        let [program, picture] = small.save(&self.out)?;
        println!("shrunk to:\n\n{}\n{small}", small.scenario.to_rust());
        println!("program: {}\npicture: {}", program.display(), picture.display());
        Ok(ExitCode::FAILURE)
    }
}

/// What this process has used so far, on all processors: other work on the machine does not matter to
/// it. `None` where there is no such file.
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The fields after the name: user and system time are the 12th and 13th, in hundredths of seconds.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().ok());
    Some(Duration::from_millis(ticks.sum::<Option<u64>>()? * 10))
}

/// Millions a second.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a number to be read")]
fn rate(number: u64, took: Duration) -> f64 {
    number as f64 / took.as_secs_f64() / 1e6
}
