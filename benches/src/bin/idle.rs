//! What virtual routers cost while nothing happens: wake-ups, system calls, processor time and memory of a Master and of its
//! Backup.
//!
//! ```text
//! cargo xtask bench idle                 or: idle VIPD [RUNS]
//! ```
//!
//! Two hosts on a switch (network namespaces), version 3, one advertisement a second from each virtual router. Both run `vipd`,
//! or both run keepalived, in turn, on the same configuration. The least that is possible: a Master wakes once for each
//! advertisement that it sends, a Backup once for each that it hears; when many come at the same time, less often.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use lab::peers::Daemon;
use lab::{Bridge, Node, Process, Usage};

const RUNS: usize = 3;
/// How many virtual routers.
const SIZES: [u8; 2] = [1, 255];
const PATIENCE: Duration = Duration::from_secs(30);
/// How long is counted: as many advertisements of each virtual router.
const WINDOW: u32 = 10;
const PRIORITIES: [u8; 2] = [150, 100];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

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
                good &= *daemon == Daemon::Keepalived || wakeups <= f64::from(size) * 1.1 + 0.1;
            }
        }
    }
    let verdict = if good { "PASS" } else { "FAIL" };
    println!("\n{verdict}: vipd wakes at most once for each advertisement (median)");
    Ok(good)
}

fn once(daemon: &Daemon, size: u8) -> Result<Costs> {
    let switch = Bridge::new()?;
    let files = tempfile::tempdir()?;
    let mut running: Vec<(Process, Node)> = Vec::new();
    for (number, priority) in (1..).zip(PRIORITIES) {
        let node = Node::new()?;
        switch.attach(&node, "eth0", &format!("port-{number}"))?;
        node.ip(&format!("address add 192.0.2.{number}/24 dev eth0"))?;
        let file = files.path().join(format!("{priority}.conf"));
        fs::write(&file, conf(size, priority)?)?;
        let process = daemon.start(&node, &file)?;
        if number == 1 {
            settled(&process, daemon, size)?;
        }
        running.push((process, node));
    }
    let [(master, _), (backup, _)] = running.as_slice() else { return Err("two nodes".into()) };
    started(backup, daemon, size)?;
    // Duplicate address detection, announcements and the first advertisements pass by.
    pass(Duration::from_secs(3));
    let processes = [tree(master)?, tree(backup)?];
    let before = [used(&processes[0])?, used(&processes[1])?];
    pass(Duration::from_secs(1) * WINDOW);
    let after = [used(&processes[0])?, used(&processes[1])?];
    let mut costs = [Cost::default(); 2];
    for (((cost, before), after), processes) in
        costs.iter_mut().zip(&before).zip(&after).zip(&processes)
    {
        let seconds = f64::from(WINDOW);
        *cost = Cost {
            wakeups: (after.wakeups - before.wakeups) / seconds,
            processor: (after.processor - before.processor) / seconds,
            memory: after.memory,
            calls: calls(processes, files.path())?,
        };
    }
    for (process, _) in &mut running {
        process.terminate()?;
    }
    Ok(costs)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a length of time in which nothing happens is what is measured"
)]
fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// Waits until all virtual routers are Masters.
fn settled(process: &Process, daemon: &Daemon, size: u8) -> Result<()> {
    let text = if *daemon == Daemon::Keepalived { "Entering MASTER STATE" } else { "-> master" };
    seen(process, text, size)
}

/// Waits until all virtual routers are Backups.
fn started(process: &Process, daemon: &Daemon, size: u8) -> Result<()> {
    let text = if *daemon == Daemon::Keepalived {
        "Entering BACKUP STATE"
    } else {
        "initialize -> backup"
    };
    seen(process, text, size)
}

fn seen(process: &Process, text: &str, size: u8) -> Result<()> {
    let all = || {
        let lines = process.lines();
        let count = lines.iter().filter(|line| line.text.contains(text)).count();
        (count >= usize::from(size)).then_some(())
    };
    lab::eventually(PATIENCE, all)
        .ok_or_else(|| format!("no {size} x {text:?}\n{}", process.log()).into())
}

/// The ids of a daemon's processes.
fn tree(process: &Process) -> Result<Vec<u32>> {
    let mut all = process.children()?;
    all.push(process.id());
    Ok(all)
}

/// What all of them used so far: wake-ups, milliseconds, KiB.
fn used(processes: &[u32]) -> Result<Cost> {
    let mut sum = Cost::default();
    for process in processes {
        let usage = Usage::of(*process)?;
        sum.wakeups += number(usage.wakeups());
        sum.processor += usage.processor.as_secs_f64() * 1e3;
        sum.memory += number(usage.memory);
    }
    Ok(sum)
}

fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// The system calls of all of them in a second. For itself, because it slows them down.
fn calls(processes: &[u32], directory: &Path) -> Result<Option<f64>> {
    let Some(strace) = lab::need::find_program("strace") else { return Ok(None) };
    let file = directory.join("calls");
    let mut command = Command::new(strace);
    command.args(["-f", "-q", "-c", "-U", "calls,name", "-o"]).arg(&file);
    for process in processes {
        command.arg("-p").arg(process.to_string());
    }
    let mut tracing = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let length = Duration::from_secs(5);
    pass(length);
    let id = rustix::process::Pid::from_child(&tracing);
    rustix::process::kill_process(id, rustix::process::Signal::INT)?;
    tracing.wait()?;
    let text = fs::read_to_string(&file)?;
    let total = text.lines().find_map(|line| line.trim().strip_suffix("total"));
    let total = total.and_then(|total| total.trim().parse::<f64>().ok());
    Ok(Some(total.unwrap_or(0.0) / length.as_secs_f64()))
}

/// The same words for both: `size` virtual routers with an address each.
fn conf(size: u8, priority: u8) -> Result<String> {
    let mut text =
        "global_defs {\n vrrp_garp_master_delay 0\n vrrp_garp_master_repeat 1\n}\n".to_owned();
    for vrid in 1..=size {
        write!(
            text,
            "vrrp_instance router-{vrid} {{\n state BACKUP\n interface eth0\n version 3\n \
             virtual_router_id {vrid}\n priority {priority}\n advert_int 1\n \
             virtual_ipaddress {{\n  198.51.100.{vrid}\n }}\n}}\n"
        )?;
    }
    Ok(text)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn show(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
