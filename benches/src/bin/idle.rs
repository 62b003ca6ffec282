//! What virtual routers cost while nothing happens: wake-ups, system calls, processor time and memory of a Master and of its
//! Backup.
//!
//! ```text
//! cargo xtask bench idle                 or: idle VIPD [RUNS]
//! ```
//!
//! Two hosts with a cable between them (network namespaces), version 3, one advertisement a second from each virtual router. Both run `vipd`,
//! or both run keepalived, in turn, on the same configuration. The least that is possible: a Master wakes once for each
//! advertisement that it sends, a Backup once for each that it hears; when many come at the same time, less often.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use benches::daemons::{Hosts, Plan, Result, calls, median, number, pass, tree, used};
use lab::peers::Daemon;

const RUNS: usize = 3;
/// How many virtual routers.
const SIZES: [usize; 2] = [1, 255];
/// How long is counted: as many advertisements of each virtual router.
const WINDOW: u32 = 10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [vipd] => measure(Path::new(vipd), RUNS),
        [vipd, runs] => {
            runs.parse().map_err(Into::into).and_then(|runs| measure(Path::new(vipd), runs))
        }
        _ => Err("usage: idle VIPD [RUNS]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("idle: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What one daemon, with all its processes, used in a second.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    wakeups: f64,
    /// None without strace.
    calls: Option<f64>,
    /// Milliseconds of processor time.
    processor: f64,
    /// KiB, not in a second but at all.
    memory: f64,
}

/// The daemons of one run: first the Master, then the Backup.
type Costs = [Cost; 2];

fn measure(vipd: &Path, runs: usize) -> Result<bool> {
    let ours = Daemon::Vipd(vipd.to_owned());
    let mut daemons = vec![ours];
    daemons.extend(lab::need::find_program("keepalived").map(|_| Daemon::Keepalived));
    if lab::need::find_program("strace").is_none() {
        println!("system calls are not counted: apt-get install strace");
    }
    println!("idle: version 3, 1 s, {WINDOW} s counted, {runs} runs of each in turn, medians\n");
    println!(
        "{:<34}{:>12}{:>14}{:>14}{:>12}",
        "", "wake-ups/s", "sys. calls/s", "CPU ms/s", "PSS KiB"
    );
    let mut good = true;
    for size in SIZES {
        let mut all: Vec<Vec<Costs>> = vec![Vec::new(); daemons.len()];
        for _ in 0..runs {
            for (daemon, costs) in daemons.iter().zip(&mut all) {
                costs.push(once(daemon, size)?);
            }
        }
        for (role, name) in ["master", "backup"].into_iter().enumerate() {
            for (daemon, costs) in daemons.iter().zip(&all) {
                let of = |pick: fn(&Cost) -> Option<f64>| {
                    median(costs.iter().filter_map(|costs| pick(costs.get(role)?)).collect())
                };
                let wakeups = of(|cost| Some(cost.wakeups)).unwrap_or(f64::MAX);
                println!(
                    "{:<34}{wakeups:>12.1}{:>14}{:>14}{:>12}",
                    format!("{size:>3} x {name}, {}", daemon.name()),
                    show(of(|cost| cost.calls), 1),
                    show(of(|cost| Some(cost.processor)), 2),
                    show(of(|cost| Some(cost.memory)), 0),
                );
                // An advertisement more or less falls into the window, and a foreign one may come by.
                good &= *daemon == Daemon::Keepalived
                    || wakeups <= number(u64::try_from(size)?) * 1.1 + 0.1;
            }
        }
    }
    let verdict = if good { "PASS" } else { "FAIL" };
    println!("\n{verdict}: vipd wakes at most once for each advertisement (median)");
    Ok(good)
}

fn once(daemon: &Daemon, size: usize) -> Result<Costs> {
    let plan = Plan { size, interval: Duration::from_secs(1), is_quiet: true };
    let hosts = Hosts::new(plan)?;
    let mut running = hosts.start_both(daemon)?;
    let processes = [tree(&running[0])?, tree(&running[1])?];
    let before = [used(&processes[0])?, used(&processes[1])?];
    pass(Duration::from_secs(1) * WINDOW);
    let after = [used(&processes[0])?, used(&processes[1])?];
    let mut costs = [Cost::default(); 2];
    for (((cost, before), after), processes) in
        costs.iter_mut().zip(&before).zip(&after).zip(&processes)
    {
        let seconds = f64::from(WINDOW);
        let traced = Duration::from_secs(5);
        *cost = Cost {
            wakeups: (after.wakeups - before.wakeups) / seconds,
            processor: (after.processor - before.processor) / seconds,
            memory: after.memory,
            calls: calls(processes, traced)?.map(|calls| calls / traced.as_secs_f64()),
        };
    }
    for process in &mut running {
        process.terminate()?;
    }
    Ok(costs)
}

fn show(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
