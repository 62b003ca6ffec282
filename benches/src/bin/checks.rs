//! What health checks cost, beside keepalived.
//!
//! ```text
//! cargo xtask bench checks            or: checks [RUNS] [WINDOW]
//! ```
//!
//! Both check the same servers in a network namespace, in turn; the servers are in another process and are not counted. keepalived's
//! kernel needs no IPVS here: a preloaded library answers in its place. Our side is the `Driver` of `lvs-healthcheck` in a process of its own.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::process::ExitCode;
use std::time::Duration;

use benches::checkers::{self, Checker, Load};
use benches::daemons::{Result, median, number, pass, used};
use benches::sink::Sink;
use lab::Node;
use reactor::Clock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const RUNS: usize = 3;
/// Seconds that are counted.
const WINDOW: u32 = 8;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["drive", kind, targets, interval] => match Load::of(kind, targets, interval) {
            Some(load) => checkers::drive(load).map(|()| true),
            None => Err("drive KIND TARGETS INTERVAL".into()),
        },
        ["floor", kind, targets, interval] => match Load::of(kind, targets, interval) {
            Some(load) => checkers::floor(load).map(|()| true),
            None => Err("floor KIND TARGETS INTERVAL".into()),
        },
        [] => measure(RUNS, WINDOW),
        [runs] => runs.parse().map_err(Into::into).and_then(|runs| measure(runs, WINDOW)),
        [runs, window] => (runs.parse().map_err(Into::into)).and_then(|runs| {
            window.parse().map_err(Into::into).and_then(|window| measure(runs, window))
        }),
        _ => Err("usage: checks [RUNS] [WINDOW]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("checks: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What one checker did in one run.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// Checks in a second.
    rate: f64,
    /// Of one processor, 0 to 1.
    share: f64,
    /// Processor time of one check, microseconds.
    each: f64,
    /// PSS, MiB.
    memory: f64,
    /// From the servers' death to the last server's verdict, milliseconds.
    detection: f64,
}

fn measure(runs: usize, window: u32) -> Result<bool> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    println!("checks: {window} s counted, {runs} runs of each in turn, medians\n");
    println!(
        "{:<50}{:>10}{:>10}{:>12}{:>10}{:>14}",
        "", "checks/s", "% of CPU", "us each", "PSS MiB", "all down, ms"
    );
    let second = Duration::from_secs(1);
    let tcp = Load { pages: false, targets: 5_000, interval: second };
    let http = Load { pages: true, targets: 1_000, interval: second };
    let many = Load { pages: false, targets: 50_000, interval: second * 5 };
    let [ours, theirs, floor] = compare("5,000 x TCP each second", tcp, runs, window)?;
    let mut good = bar("CPU for a TCP check", ours.each / theirs.each, 0.6);
    println!("     of the kernel's own share of it: {:.3}", ours.each / floor.each);
    good &= bar("PSS with 5,000 targets", ours.memory / theirs.memory, 1.0);
    // Both find out within one interval; a hundredth of it is how exactly that can be seen from outside.
    good &= bar("last of 5,000 dying servers found", ours.detection / theirs.detection, 1.01);
    let [ours, theirs, _] = compare("1,000 x HTTP each second", http, runs, window)?;
    good &= bar("CPU for an HTTP check", ours.each / theirs.each, 0.5);
    let costs = (0..runs).map(|_| once(Checker::Ours, many, window)).collect::<Result<Vec<_>>>()?;
    let cost = middle(&costs).ok_or("no runs")?;
    show("50,000 x TCP each 5 s, lvs-healthcheck", cost);
    println!();
    good &= bar("50,000 targets, share of one processor", cost.share, 0.6);
    good &= bar("50,000 targets, MiB", cost.memory, 100.0);
    good &= bar(
        "50,000 targets, part of the checks not made in time",
        1.0 - cost.rate / 10_000.0,
        0.02,
    );
    println!("\n{}", if good { "PASS" } else { "FAIL" });
    Ok(good)
}

/// Ours, keepalived, and the floor of a TCP check.
fn compare(title: &str, load: Load, runs: usize, window: u32) -> Result<[Cost; 3]> {
    let all = [Checker::Ours, Checker::Keepalived, Checker::Floor];
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..runs {
        for (checker, costs) in all.into_iter().zip(&mut costs) {
            if checker != Checker::Floor || !load.pages {
                costs.push(once(checker, load, window)?);
            }
        }
    }
    for (checker, costs) in all.iter().zip(&costs) {
        if let Some(cost) = middle(costs) {
            show(&format!("{title}, {}", checker.name()), cost);
        }
    }
    println!();
    let [ours, theirs, floor] = costs;
    let ours = middle(&ours).ok_or("no runs")?;
    Ok([ours, middle(&theirs).ok_or("no runs")?, middle(&floor).unwrap_or(ours)])
}

fn once(checker: Checker, load: Load, window: u32) -> Result<Cost> {
    let node = Node::new()?;
    node.ip("route add local 10.100.0.0/16 dev lo")?;
    let sink = Sink::new(&node, load.pages)?;
    let running = checker.start(&node, load)?;
    // Every server has been checked once, and the checks are spread out.
    pass(load.interval * 2 + Duration::from_secs(2));
    let processes = running.tree()?;
    let (checks, before, start) = (sink.accepted(), used(&processes)?, Clock::now());
    pass(Duration::from_secs(1) * window);
    let (checks, after) = (sink.accepted() - checks, used(&processes)?);
    let seconds = start.elapsed().as_secs_f64();
    let processor = after.processor - before.processor;

    if checker == Checker::Floor {
        running.stop()?;
        sink.die();
        let detection = f64::NAN;
        return Ok(cost(checks, processor, seconds, after.memory, detection));
    }
    let unfounded = running.down().len();
    if unfounded > 0 {
        return Err(format!("{} found {unfounded} servers dead that lived", checker.name()).into());
    }
    let death = Clock::now();
    sink.die();
    let patience = Clock::now() + load.interval * 2 + Duration::from_secs(20);
    let targets = usize::try_from(load.targets)?;
    while running.down().len() < targets {
        if Clock::now() > patience {
            let found = running.down().len();
            return Err(
                format!("{} found {found} of {targets} dead servers", checker.name()).into()
            );
        }
        pass(Duration::from_millis(50));
    }
    let last = running.down().into_iter().max().ok_or("nobody died")?;
    running.stop()?;
    let detection = last.duration_since(death).as_secs_f64() * 1e3;
    Ok(cost(checks, processor, seconds, after.memory, detection))
}

/// `processor` in milliseconds, `memory` in KiB.
fn cost(checks: u64, processor: f64, seconds: f64, memory: f64, detection: f64) -> Cost {
    Cost {
        rate: number(checks) / seconds,
        share: processor / 1e3 / seconds,
        each: processor * 1e3 / number(checks),
        memory: memory / 1024.0,
        detection,
    }
}

fn middle(costs: &[Cost]) -> Option<Cost> {
    let of = |pick: fn(&Cost) -> f64| median(costs.iter().map(pick).collect());
    Some(Cost {
        rate: of(|cost| cost.rate)?,
        share: of(|cost| cost.share)?,
        each: of(|cost| cost.each)?,
        memory: of(|cost| cost.memory)?,
        detection: of(|cost| cost.detection)?,
    })
}

fn show(title: &str, cost: Cost) {
    let detection =
        if cost.detection.is_nan() { "-".to_owned() } else { format!("{:.0}", cost.detection) };
    println!(
        "{title:<50}{:>10.0}{:>10.1}{:>12.1}{:>10.1}{detection:>14}",
        cost.rate,
        cost.share * 100.0,
        cost.each,
        cost.memory
    );
}

fn bar(what: &str, figure: f64, most: f64) -> bool {
    let good = figure <= most;
    println!("{} {what}: {figure:.3} (bar {most})", if good { "PASS" } else { "FAIL" });
    good
}
