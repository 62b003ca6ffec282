//! Two hosts that run the same daemon, ours or keepalived, with any number of virtual routers.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab::peers::Daemon;
use lab::{Node, Process, Usage};
use rustix::process::{Pid, Signal, kill_process};

/// Anything that goes wrong.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The priorities of the two hosts.
pub const PRIORITIES: [u8; 2] = [150, 100];

/// Virtual routers on one cable.
pub const MOST_ON_A_LINK: usize = 255;

/// How long a daemon may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the virtual routers of a measurement are like.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many there are.
    pub size: usize,
    /// Time between advertisements.
    pub interval: Duration,
    /// Whether new Masters announce their address once only, instead of five times twice.
    pub is_quiet: bool,
}

impl Plan {
    /// The number of cables that this needs.
    #[must_use]
    pub const fn links(self) -> usize {
        self.size.div_ceil(MOST_ON_A_LINK)
    }

    /// The cable and VRID of each.
    pub fn each(self) -> impl Iterator<Item = (usize, usize)> {
        let links = self.links();
        (0..self.size).map(move |number| (number % links, number / links + 1))
    }

    /// The configuration of one host, the same words for both daemons.
    pub fn conf(self, priority: u8) -> Result<String> {
        let interval = self.interval.as_secs_f64();
        let mut text = String::new();
        if self.is_quiet {
            text.push_str(
                "global_defs {\n vrrp_garp_master_delay 0\n vrrp_garp_master_repeat 1\n}\n",
            );
        }
        for (link, vrid) in self.each() {
            write!(
                text,
                "vrrp_instance router-{link}-{vrid} {{\n state BACKUP\n interface eth{link}\n version 3\n \
                 virtual_router_id {vrid}\n priority {priority}\n advert_int {interval}\n \
                 virtual_ipaddress {{\n  198.51.{link}.{vrid}\n }}\n}}\n"
            )?;
        }
        Ok(text)
    }

    /// The time after which a host of this priority is Master when it hears nothing (RFC 9568 §6.1).
    #[must_use]
    pub fn master_down(self, priority: u8) -> Duration {
        self.interval * 3 + self.interval * (256 - u32::from(priority)) / 256
    }
}

/// Two hosts and the cables between them: `eth0`, `eth1` and so on.
#[derive(Debug)]
pub struct Hosts {
    nodes: [Node; 2],
    plan: Plan,
    files: tempfile::TempDir,
}

impl Hosts {
    /// Lays the cables.
    pub fn new(plan: Plan) -> Result<Self> {
        let nodes = [Node::new()?, Node::new()?];
        for link in 0..plan.links() {
            let name = format!("eth{link}");
            lab::veth(&nodes[0], &name, &nodes[1], &name)?;
            for (number, node) in (1..).zip(&nodes) {
                node.ip(&format!("address add 10.0.{link}.{number}/24 dev {name}"))?;
            }
        }
        Ok(Self { nodes, plan, files: tempfile::tempdir()? })
    }

    /// The first host, of the better priority, or the second.
    #[must_use]
    pub fn node(&self, host: usize) -> &Node {
        &self.nodes[host % 2]
    }

    /// Starts a daemon on one of them.
    pub fn start(&self, daemon: &Daemon, host: usize) -> Result<Process> {
        let priority = PRIORITIES[host % 2];
        let file = self.files.path().join(format!("{priority}.conf"));
        fs::write(&file, self.plan.conf(priority)?)?;
        Ok(daemon.start(self.node(host), &file)?)
    }

    /// Starts both, waits until the first is Master and the second Backup of all, and then until announcements and duplicate
    /// address detection are over.
    pub fn start_both(&self, daemon: &Daemon) -> Result<[Process; 2]> {
        let master = self.start(daemon, 0)?;
        wait_for(&master, master_line(daemon))?;
        let backup = self.start(daemon, 1)?;
        wait_for(&backup, backup_line(daemon))?;
        pass(Duration::from_secs(2));
        Ok([master, backup])
    }
}

/// What a daemon prints when a virtual router becomes Master.
#[must_use]
pub fn master_line(daemon: &Daemon) -> &'static str {
    if *daemon == Daemon::Keepalived { "Entering MASTER STATE" } else { "-> master" }
}

/// What a daemon prints when a virtual router becomes Backup at the start.
#[must_use]
pub fn backup_line(daemon: &Daemon) -> &'static str {
    if *daemon == Daemon::Keepalived { "Entering BACKUP STATE" } else { "initialize -> backup" }
}

/// Waits until a line contains the text, and then until the daemon has said nothing for a second: of very many lines that are printed
/// at once some may be left out.
pub fn wait_for(process: &Process, text: &str) -> Result<()> {
    let found = process.wait_line(text, PATIENCE);
    found.ok_or_else(|| format!("no {text:?}\n{}", tail(process)))?;
    let mut seen = 0;
    loop {
        let lines = process.lines().len();
        if lines == seen {
            return Ok(());
        }
        seen = lines;
        pass(Duration::from_secs(1));
    }
}

/// The last lines of a daemon.
#[must_use]
pub fn tail(process: &Process) -> String {
    let lines = process.lines();
    let last = lines.iter().skip(lines.len().saturating_sub(20));
    last.map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// How many lines contain the text.
#[must_use]
pub fn count_lines(process: &Process, text: &str) -> usize {
    process.lines().iter().filter(|line| line.text.contains(text)).count()
}

/// Lets time pass.
#[expect(
    clippy::disallowed_methods,
    reason = "a length of time in which nothing happens is what is measured"
)]
pub fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// The ids of a daemon's processes.
pub fn tree(process: &Process) -> Result<Vec<u32>> {
    let mut all = process.children()?;
    all.push(process.id());
    Ok(all)
}

/// What the processes of a daemon have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Wake-ups of all their threads.
    pub wakeups: f64,
    /// Processor time, milliseconds.
    pub processor: f64,
    /// Memory (PSS), KiB: at this moment.
    pub memory: f64,
}

/// What all of these processes used so far.
pub fn used(processes: &[u32]) -> Result<Used> {
    let mut sum = Used::default();
    for process in processes {
        let usage = Usage::of(*process)?;
        sum.wakeups += number(usage.wakeups());
        sum.processor += usage.processor.as_secs_f64() * 1e3;
        sum.memory += number(usage.memory);
    }
    Ok(sum)
}

/// The system calls of all of them in `length`; none when `strace` is missing. For itself, because it slows them down.
pub fn calls(processes: &[u32], length: Duration) -> Result<Option<f64>> {
    let Some(strace) = lab::need::find_program("strace") else { return Ok(None) };
    let directory = tempfile::tempdir()?;
    let file: PathBuf = directory.path().join("calls");
    let mut command = Command::new(strace);
    command.args(["-f", "-q", "-c", "-U", "calls,name", "-o"]).arg(&file);
    for process in processes {
        command.arg("-p").arg(process.to_string());
    }
    let mut tracing = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
    pass(length);
    kill_process(Pid::from_child(&tracing), Signal::INT)?;
    tracing.wait()?;
    let text = fs::read_to_string(&file)?;
    let total = text.lines().find_map(|line| line.trim().strip_suffix("total"));
    Ok(Some(total.and_then(|total| total.trim().parse::<f64>().ok()).unwrap_or(0.0)))
}

/// Kills a process and its children without letting any of them notice the death of another: keepalived's children
/// would say goodbye for it.
pub fn kill_tree(process: &mut Process) -> Result<()> {
    let children: Vec<Pid> = process
        .children()?
        .into_iter()
        .filter_map(|child| Pid::from_raw(child.try_into().ok()?))
        .collect();
    process.signal(Signal::STOP)?;
    for child in &children {
        kill_process(*child, Signal::STOP)?;
    }
    for child in &children {
        kill_process(*child, Signal::KILL)?;
    }
    process.kill()?;
    Ok(())
}

/// The middle one.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// A count as a floating-point number.
#[must_use]
pub fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
