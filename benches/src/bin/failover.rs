//! How late the virtual address is on the other host, against the time that the protocol itself takes: `Skew_Time` after a
//! Master that says goodbye, three intervals and `Skew_Time` after one that is killed (RFC 9568 §6.1).
//!
//! ```text
//! cargo xtask bench failover             or: failover [RUNS]
//! ```
//!
//! Two hosts on a switch (network namespaces), version 3, 100 ms. Both run the `vrrp` crate, or both run keepalived, in turn, so
//! that both are measured on the same machine in the same minutes. All moments are the kernel's: frames as they pass the
//! switch, and the address as its netlink socket tells of it. Where other programs compete for the processors, both get
//! theirs late; `chrt --fifo 10` in front of the command leaves that out.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use benches::daemons::{Result, kill_tree};
use lab::peers::Daemon;
use lab::{AddressMonitor, Bridge, Capture, Filter, Frame, Node, Process};

const RUNS: usize = 15;
const INTERVAL: Duration = Duration::from_millis(100);
const PRIORITIES: [u8; 2] = [150, 100];
const VIRTUAL: &str = "192.0.2.100";
const PATIENCE: Duration = Duration::from_secs(10);
/// What the median may be late.
const TARGET: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", priority] => serve(priority).map(|()| true),
        [] => measure(RUNS),
        [runs] => runs.parse().map_err(Into::into).and_then(measure),
        _ => Err("usage: failover [RUNS]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("failover: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One of the two hosts, ours.
fn serve(priority: &str) -> Result<()> {
    let web = vrrp::VirtualRouter::new("web", vrrp::Vrid::new(51)?, "eth0")
        .priority(priority.parse()?)
        .advertisement_interval(INTERVAL)
        .address(VIRTUAL.parse()?)
        .candidate(true);
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    let router = vrrp::Router::builder().virtual_router(web).start()?;
    let events = router.events();
    std::thread::spawn(move || events.iter().for_each(|event| println!("{event}")));
    signals.forever().next();
    Ok(router.shutdown()?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Implementation {
    Ours,
    Keepalived,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Term,
    Kill,
}

impl End {
    /// The time that the protocol takes.
    fn due(self) -> Duration {
        let skew = INTERVAL * (256 - u32::from(PRIORITIES[1])) / 256;
        match self {
            Self::Term => skew,
            Self::Kill => INTERVAL * 3 + skew,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM: skew",
            Self::Kill => "SIGKILL: 3 intervals and skew",
        }
    }
}

/// How late three things were, seconds; negative: early.
#[derive(Clone, Copy)]
struct Late {
    advertisement: f64,
    address: f64,
    announcement: f64,
}

fn measure(runs: usize) -> Result<bool> {
    let version = keepalived_version();
    println!(
        "failover: version 3, {INTERVAL:?}, priorities {PRIORITIES:?}, {runs} runs of each, in turn\n"
    );
    let mut results: Vec<(End, Implementation, Vec<Late>)> = Vec::new();
    for end in [End::Term, End::Kill] {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for run in 0..runs {
            // The phase between the last advertisement and the end is a different one in each run.
            let phase = INTERVAL * u32::try_from(run % 10)? / 10;
            ours.push(once(Implementation::Ours, end, phase)?);
            if version.is_some() {
                theirs.push(once(Implementation::Keepalived, end, phase)?);
            }
        }
        results.push((end, Implementation::Ours, ours));
        results.push((end, Implementation::Keepalived, theirs));
    }
    let other =
        version.as_deref().unwrap_or("keepalived (not installed: apt-get install keepalived)");
    println!("{:<44}{:>22}{:>26}", "ms late: median / p90 / max", "vrrp", other);
    let mut good = true;
    for end in [End::Term, End::Kill] {
        println!("after {} = {:.2} ms", end.title(), end.due().as_secs_f64() * 1e3);
        let of = |who| {
            results
                .iter()
                .find(|(at, by, _)| (*at, *by) == (end, who))
                .map(|(.., all)| all.as_slice())
        };
        let row = |name: &str, pick: fn(&Late) -> f64| {
            let [ours, theirs] = [Implementation::Ours, Implementation::Keepalived]
                .map(|who| show(of(who).unwrap_or_default(), pick));
            println!("  {name:<38}{ours:>26}{theirs:>26}");
        };
        row("advertisement of the other", |late| late.advertisement);
        row("virtual address in its kernel", |late| late.address);
        row("gratuitous ARP on the wire", |late| late.announcement);
        let median =
            quantile(of(Implementation::Ours).unwrap_or_default(), |late| late.address, 0.5);
        good &= median.is_some_and(|median| median <= TARGET.as_secs_f64());
    }
    let verdict = if good { "PASS" } else { "FAIL" };
    println!("\n{verdict}: the virtual address at most {TARGET:?} late (median)");
    if !good && busy() {
        println!(
            "this machine has more to do than it has processors; to leave that out: chrt --fifo 10 {}",
            std::env::current_exe()?.display()
        );
    }
    Ok(good)
}

/// Whether others compete for the processors: then the scheduler's delays are measured, too.
fn busy() -> bool {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().and_then(|load| load.parse::<f64>().ok());
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    load.zip(u32::try_from(processors).ok()).is_some_and(|(load, all)| load > f64::from(all))
}

/// One failover.
fn once(who: Implementation, end: End, phase: Duration) -> Result<Late> {
    let switch = Bridge::new()?;
    let directory = tempfile::tempdir()?;
    let mut nodes = Vec::new();
    for (number, _) in (1..).zip(PRIORITIES) {
        let node = Node::new()?;
        switch.attach(&node, "eth0", &format!("port-{number}"))?;
        node.ip(&format!("address add 192.0.2.{number}/24 dev eth0"))?;
        nodes.push(node);
    }
    let [one, two] = nodes.as_slice() else { return Err("two nodes".into()) };
    let bridge = switch.namespace().link_index("br0")?;
    let wire = Wire { capture: Capture::open_all(switch.namespace(), Filter::Failover)?, bridge };

    let mut master = start(who, one, directory.path(), PRIORITIES[0])?;
    wire.advertisement(1, PRIORITIES[0])?;
    let mut backup = start(who, two, directory.path(), PRIORITIES[1])?;
    let line = match who {
        Implementation::Ours => "initialize -> backup",
        Implementation::Keepalived => "Entering BACKUP STATE",
    };
    backup.wait_line(line, PATIENCE).ok_or_else(|| backup.log())?;
    wire.capture.drain()?;
    let mut last = Duration::ZERO;
    for _ in 0..4 {
        last = wire.advertisement(1, PRIORITIES[0])?;
    }
    wire.capture.find(phase, |_| None::<()>)?;
    let mut addresses = AddressMonitor::open(two)?;
    match end {
        End::Term => master.signal_stop()?,
        End::Kill => kill_tree(&mut master)?,
    }
    let address = loop {
        let event =
            addresses.next(PATIENCE)?.ok_or_else(|| format!("no takeover\n{}", backup.log()))?;
        if event.added && event.address.to_string() == VIRTUAL {
            break event.at;
        }
    };
    // What the Master still said, and the first words of the other.
    let mut released = None;
    let advertisement = loop {
        match wire.next_advertisement()? {
            (2, _, at) => break at,
            (1, 0, at) => released = released.or(Some(at)),
            (_, _, at) => last = last.max(at),
        }
    };
    let announcement = wire.announcement()?;
    let start = match end {
        End::Term => released.ok_or("no advertisement with priority 0")?,
        End::Kill => last,
    };
    if end == End::Term {
        master.wait(PATIENCE)?;
    }
    match who {
        Implementation::Ours => drop(backup.terminate()?),
        Implementation::Keepalived => kill_tree(&mut backup)?,
    }
    let late = |at: Duration| at.as_secs_f64() - (start + end.due()).as_secs_f64();
    Ok(Late {
        advertisement: late(advertisement),
        address: late(address),
        announcement: late(announcement),
    })
}

fn start(who: Implementation, node: &Node, directory: &Path, priority: u8) -> Result<Process> {
    match who {
        Implementation::Ours => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["serve", &priority.to_string()]);
            Ok(Process::start(node, "vrrp", &mut command)?)
        }
        Implementation::Keepalived => {
            let file: PathBuf = directory.join(format!("{priority}.conf"));
            fs::write(&file, keepalived_conf(priority))?;
            Ok(Daemon::Keepalived.start(node, &file)?)
        }
    }
}

fn keepalived_conf(priority: u8) -> String {
    let interval = INTERVAL.as_secs_f64();
    format!(
        "vrrp_instance web {{\n state BACKUP\n interface eth0\n version 3\n virtual_router_id 51\n \
         priority {priority}\n advert_int {interval}\n virtual_ipaddress {{\n  {VIRTUAL}\n }}\n}}\n"
    )
}

fn keepalived_version() -> Option<String> {
    let program = lab::need::find_program("keepalived")?;
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(1)?.trim_start_matches('v').to_owned();
    Some(format!("keepalived {version}"))
}

/// What comes in at the switch's ports.
struct Wire {
    capture: Capture,
    bridge: u32,
}

impl Wire {
    /// The next advertisement: who (last octet), priority, when.
    fn next_advertisement(&self) -> Result<(u8, u8, Duration)> {
        let advertisement = |frame: &Frame| {
            let packet = frame.payload();
            let came_in = !frame.outgoing && frame.link != self.bridge;
            let wanted = came_in && frame.is_vrrp() && frame.ethertype() == 0x0800;
            wanted.then(|| Some((*packet.get(15)?, *packet.get(22)?, frame.at)))?
        };
        Ok(self.capture.find(PATIENCE, advertisement)?.ok_or("no advertisement in 10 s")?)
    }

    /// When the next advertisement of this host with this priority came.
    fn advertisement(&self, from: u8, priority: u8) -> Result<Duration> {
        loop {
            if let (seen, seen_priority, at) = self.next_advertisement()?
                && (seen, seen_priority) == (from, priority)
            {
                return Ok(at);
            }
        }
    }

    /// When the next ARP message about the virtual address came.
    fn announcement(&self) -> Result<Duration> {
        let arp = |frame: &Frame| {
            let came_in = !frame.outgoing && frame.link != self.bridge;
            (came_in && frame.is_arp() && frame.payload().get(17) == Some(&100)).then_some(frame.at)
        };
        Ok(self.capture.find(PATIENCE, arp)?.ok_or("no gratuitous ARP in 10 s")?)
    }
}

fn show(all: &[Late], pick: fn(&Late) -> f64) -> String {
    let value = |at| {
        quantile(all, pick, at).map_or_else(|| "-".to_owned(), |late| format!("{:.2}", late * 1e3))
    };
    format!("{} / {} / {}", value(0.5), value(0.9), value(1.0))
}

/// The value below which this share of all lies.
fn quantile(all: &[Late], pick: fn(&Late) -> f64, share: f64) -> Option<f64> {
    let mut values: Vec<f64> = all.iter().map(pick).collect();
    values.sort_by(f64::total_cmp);
    let mut left = share * values.iter().map(|_| 1.0).sum::<f64>();
    values.iter().copied().find(|_| {
        left -= 1.0;
        left <= 0.0
    })
}
