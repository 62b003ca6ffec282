//! What many virtual routers cost, how soon they start and how soon they are taken over, beside keepalived in the same run.
//!
//! ```text
//! cargo xtask bench scale                or: scale VIPD [RUNS] [calls|cpu|memory|start|takeover]...
//! ```
//!
//! Two hosts with cables between them (network namespaces), up to 255 virtual routers on each cable, version 3. Both run `vipd`, or
//! both run keepalived, in turn, on the same configuration. Only the ratio of both means anything: the machine may be slow, or busy.
//!
//! - `calls`: system calls for each advertisement, counted by strace.
//! - `cpu`: processor time of the Master and of the Backup of all, announcements not included.
//! - `memory`: proportional set size of all processes of the daemon, as Master and as Backup.
//! - `start`: the last first advertisement after the start of a lone host, over the time that the protocol takes.
//! - `takeover`: the same after `kill -9` of the Master of all, over the time that each has to wait since its last advertisement.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use benches::daemons::{
    Hosts, PRIORITIES, Plan, Result, Used, calls, kill_tree, master_line, median, number, pass,
    tail, tree, used, wait_for,
};
use lab::peers::Daemon;
use lab::{Capture, Filter, Frame};

const RUNS: usize = 3;
const SECOND: Duration = Duration::from_secs(1);
const FAST: Duration = Duration::from_millis(100);
/// How long processor time and system calls are counted.
const WINDOW: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);

/// One comparison: what, at what size, and what ours may be of keepalived's.
#[derive(Clone, Copy)]
struct Case {
    what: What,
    size: usize,
    interval: Duration,
    /// Of the Master, or of the only one.
    bar: Bar,
    /// Of the Backup.
    second: Option<Bar>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Calls,
    Cpu,
    Memory,
    Start,
    Takeover,
}

#[derive(Clone, Copy)]
enum Bar {
    /// Of keepalived's figure.
    Ratio(f64),
    AtMost(f64),
}

const fn case(what: What, size: usize, interval: Duration, bar: f64) -> Case {
    Case { what, size, interval, bar: Bar::Ratio(bar), second: None }
}

const fn both(what: What, size: usize, interval: Duration, bars: [f64; 2]) -> Case {
    Case { what, size, interval, bar: Bar::Ratio(bars[0]), second: Some(Bar::Ratio(bars[1])) }
}

const CALLS: f64 = 1.2;

const CASES: [Case; 10] = [
    Case {
        what: What::Calls,
        size: 255,
        interval: SECOND,
        bar: Bar::AtMost(CALLS),
        second: Some(Bar::AtMost(CALLS)),
    },
    both(What::Cpu, 255, SECOND, [0.4, 0.5]),
    both(What::Cpu, 255, FAST, [0.4, 0.5]),
    both(What::Cpu, 1000, FAST, [0.4, 0.5]),
    both(What::Memory, 1, SECOND, [0.6, 0.6]),
    both(What::Memory, 1000, SECOND, [0.9, 0.9]),
    case(What::Start, 1000, SECOND, 0.3),
    case(What::Start, 255, SECOND, 0.3),
    case(What::Takeover, 255, SECOND, 1.0),
    case(What::Takeover, 1000, SECOND, 0.6),
];

impl What {
    const ALL: [(&'static str, Self); 5] = [
        ("calls", Self::Calls),
        ("cpu", Self::Cpu),
        ("memory", Self::Memory),
        ("start", Self::Start),
        ("takeover", Self::Takeover),
    ];

    const fn unit(self) -> &'static str {
        match self {
            Self::Calls => "system calls/advertisement",
            Self::Cpu => "CPU, ms/s",
            Self::Memory => "PSS, KiB",
            Self::Start => "start, last one late by ms",
            Self::Takeover => "takeover, last one late by ms",
        }
    }
}

fn main() -> ExitCode {
    match arguments().and_then(|(vipd, runs, wanted)| measure(&vipd, runs, &wanted)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<(std::path::PathBuf, usize, Vec<What>)> {
    let mut words = std::env::args().skip(1);
    let vipd =
        words.next().ok_or("usage: scale VIPD [RUNS] [calls|cpu|memory|start|takeover]...")?;
    let (mut runs, mut wanted) = (RUNS, Vec::new());
    for word in words {
        let named = What::ALL.into_iter().find(|(name, _)| *name == word);
        match named {
            Some((_, what)) => wanted.push(what),
            None => {
                runs = word.parse().map_err(|_| format!("{word}: neither a number nor a figure"))?
            }
        }
    }
    Ok((vipd.into(), runs, wanted))
}

fn measure(vipd: &Path, runs: usize, wanted: &[What]) -> Result<bool> {
    let daemons = [Daemon::Vipd(vipd.to_owned()), Daemon::Keepalived];
    let version = Daemon::Keepalived.version().ok_or("keepalived is not installed")?;
    println!("scale: version 3, {runs} runs of each in turn, medians\n");
    let theirs = format!("keepalived {version}");
    println!("{:<56}{:>10}{theirs:>20}{:>8}{:>10}", "", "vipd", "ratio", "bar");
    let mut good = true;
    for case in CASES {
        if !wanted.is_empty() && !wanted.contains(&case.what) {
            continue;
        }
        let mut figures: [Vec<[f64; 2]>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..runs {
            for (daemon, figures) in daemons.iter().zip(&mut figures) {
                figures.push(once(daemon, case)?);
            }
        }
        let bars = [Some(case.bar), case.second];
        for ((role, name), bar) in ["Master", "Backup"].into_iter().enumerate().zip(bars) {
            let Some(bar) = bar else { continue };
            let of = |figures: &Vec<[f64; 2]>| {
                let all = figures.iter().filter_map(|both| both.get(role).copied()).collect();
                median(all).ok_or("no runs")
            };
            let (ours, theirs) = (of(&figures[0])?, of(&figures[1])?);
            let role = if case.second.is_some() { name } else { "" };
            let interval = case.interval;
            let title = format!("{:>4} at {interval:?}, {} {role}", case.size, case.what.unit());
            let (met, shown) = match bar {
                Bar::Ratio(bar) => (ours <= theirs * bar, format!("{bar:.1} x")),
                Bar::AtMost(bar) => (ours <= bar, format!("{bar:.1}")),
            };
            let verdict = if met { "" } else { "  MISSED" };
            println!(
                "{title:<56}{ours:>10.2}{theirs:>20.2}{:>8.2}{shown:>10}{verdict}",
                ours / theirs
            );
            good &= met;
        }
    }
    println!("\n{}", if good { "PASS" } else { "FAIL" });
    Ok(good)
}

fn once(daemon: &Daemon, case: Case) -> Result<[f64; 2]> {
    let is_quiet = !matches!(case.what, What::Start | What::Takeover);
    let plan = Plan { size: case.size, interval: case.interval, is_quiet };
    let hosts = Hosts::new(plan)?;
    match case.what {
        What::Calls | What::Cpu | What::Memory => steady(&hosts, daemon, plan, case.what),
        What::Start => start(&hosts, daemon, plan).map(|late| [late; 2]),
        What::Takeover => takeover(&hosts, daemon, plan).map(|late| [late; 2]),
    }
}

/// Both run and nothing happens.
fn steady(hosts: &Hosts, daemon: &Daemon, plan: Plan, what: What) -> Result<[f64; 2]> {
    let mut running = hosts.start_both(daemon)?;
    let processes = [tree(&running[0])?, tree(&running[1])?];
    let all = |figure: &dyn Fn(&[u32]) -> Result<f64>| -> Result<[f64; 2]> {
        Ok([figure(&processes[0])?, figure(&processes[1])?])
    };
    let figures = match what {
        What::Calls => {
            let sent = number(u64::try_from(plan.size)?) * WINDOW.div_duration_f64(plan.interval);
            all(&|processes| Ok(calls(processes, WINDOW)?.ok_or("strace is missing")? / sent))?
        }
        What::Memory => all(&|processes| Ok(used(processes)?.memory))?,
        What::Cpu | What::Start | What::Takeover => {
            let before: Vec<Used> =
                processes.iter().map(|each| used(each)).collect::<Result<_>>()?;
            pass(WINDOW);
            let mut figures = [0.0; 2];
            for ((figure, processes), before) in figures.iter_mut().zip(&processes).zip(&before) {
                *figure = (used(processes)?.processor - before.processor) / WINDOW.as_secs_f64();
            }
            figures
        }
    };
    for process in &mut running {
        process.terminate()?;
    }
    Ok(figures)
}

/// How late the last of all becomes Master on a lone host, ms.
fn start(hosts: &Hosts, daemon: &Daemon, plan: Plan) -> Result<f64> {
    let capture = Capture::open_all(hosts.node(1), Filter::Failover)?;
    let begun = lab::now();
    let mut process = hosts.start(daemon, 0)?;
    let mut wire = Wire::new(capture, hosts)?;
    let heard = wire.first_of_all(plan, PRIORITIES[0], &process)?;
    let last = heard.values().max().ok_or("no advertisement")?;
    process.terminate()?;
    Ok(milliseconds(*last) - milliseconds(begun + plan.master_down(PRIORITIES[0])))
}

/// How late the last of all is taken over from a Master that was killed, ms.
fn takeover(hosts: &Hosts, daemon: &Daemon, plan: Plan) -> Result<f64> {
    let capture = Capture::open_all(hosts.node(1), Filter::Failover)?;
    let [mut master, mut backup] = hosts.start_both(daemon)?;
    // The second announcement of each address, five seconds after the first, is over, too.
    pass(Duration::from_secs(3));
    let mut wire = Wire::new(capture, hosts)?;
    wire.capture.drain()?;
    wire.first_of_all(plan, PRIORITIES[0], &master)?;
    kill_tree(&mut master)?;
    let heard = wire.first_of_all(plan, PRIORITIES[1], &backup)?;
    wait_for(&backup, master_line(daemon))?;
    let due = plan.master_down(PRIORITIES[1]);
    let late = |(router, at): (&(u32, u8), &Duration)| {
        Some(milliseconds(*at) - milliseconds(*wire.last.get(router)? + due))
    };
    let late = heard.iter().filter_map(late).fold(f64::MIN, f64::max);
    kill_tree(&mut backup)?;
    Ok(late)
}

/// What the second host hears and says.
struct Wire {
    capture: Capture,
    loopback: u32,
    /// When the first host advertised last, by link and VRID.
    last: BTreeMap<(u32, u8), Duration>,
}

impl Wire {
    fn new(capture: Capture, hosts: &Hosts) -> Result<Self> {
        let loopback = hosts.node(1).link_index("lo")?;
        Ok(Self { capture, loopback, last: BTreeMap::new() })
    }

    /// When each advertised first with this priority.
    fn first_of_all(
        &mut self,
        plan: Plan,
        priority: u8,
        process: &lab::Process,
    ) -> Result<BTreeMap<(u32, u8), Duration>> {
        let mut heard = BTreeMap::new();
        while heard.len() < plan.size {
            let (loopback, patience) = (self.loopback, PATIENCE + plan.interval * 4);
            let advertisement = |frame: &Frame| {
                let packet = frame.payload();
                let wanted = frame.link != loopback && frame.is_vrrp();
                wanted.then(|| Some((frame.link, *packet.get(21)?, *packet.get(22)?, frame.at)))?
            };
            let (link, vrid, seen, at) =
                self.capture.find(patience, advertisement)?.ok_or_else(|| {
                    format!("{} of {} advertise\n{}", heard.len(), plan.size, tail(process))
                })?;
            if seen == PRIORITIES[0] {
                self.last.insert((link, vrid), at);
            }
            if seen == priority {
                heard.entry((link, vrid)).or_insert(at);
            }
        }
        Ok(heard)
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
