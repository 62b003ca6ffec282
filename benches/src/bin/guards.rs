//! What guards and the sentinel do to the failover time: the first advertisement of the new Master after its predecessor's last, in
//! paired runs.
//!
//! ```text
//! cargo xtask bench guards             or: guards [RUNS]
//! ```
//!
//! Two hosts and a gateway on a switch (network namespaces), version 3, 100 ms. The Master is killed and its host unplugged in the same
//! moment, so that nobody answers for it. In each run every guard has its turn, beside a Backup without one. With a
//! sentinel only the process is killed. All moments are those of frames as they pass the switch. Where other programs
//! compete for the processors everything is late; `chrt --fifo 10` in front of the command leaves that out.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use core::error::Error;
use core::time::Duration;
use std::path::Path;
use std::process::{Command, ExitCode};

use lab::{Bridge, Capture, Filter, Frame, Namespace, Process};
use vrrp::{
    AllOf, GatewayPing, GuardConfig, LockFile, PeerPing, Router, Sentinel, Verdict, VipProbe,
    VirtualRouter, Vrid,
};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

const RUNS: usize = 15;
const INTERVAL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
const KINDS: [&str; 7] = [
    "none",
    "VipProbe",
    "PeerPing",
    "GatewayPing",
    "LockFile",
    "AllOf(VipProbe, GatewayPing)",
    "sentinel",
];
/// Below the master-down interval.
const LEASE: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["sentinel", _] = words[..] {
        return match vrrp::serve_as_sentinel(words[1].parse().unwrap_or(0)) {
            Ok(_) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let result = match words[..] {
        ["serve", kind, role, directory] => serve(kind, role, Path::new(directory)),
        [] => measure(RUNS),
        [runs] => runs.parse().map_err(Into::into).and_then(measure),
        _ => Err("usage: guards [RUNS]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guards: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One of the two hosts.
fn serve(kind: &str, role: &str, directory: &Path) -> Result<()> {
    let is_master = role == "master";
    let mut web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
        .priority(if is_master { 200 } else { 100 })
        .advertisement_interval(INTERVAL)
        .address("192.0.2.100/24".parse()?)
        .candidate(true);
    let config = GuardConfig::new(Duration::from_secs(2), Verdict::Veto);
    let gateway = "192.0.2.254".parse()?;
    let limit = Duration::from_secs(1);
    web = match kind {
        // The Master of the others needs none.
        "LockFile" => web.guarded_by(config, LockFile::open(directory.join("lease"), role, LEASE)?),
        _ if is_master => web,
        "VipProbe" => web.guarded_by(config, VipProbe::new()),
        "PeerPing" => web.guarded_by(config, PeerPing::new(["192.0.2.1".parse()?])),
        "GatewayPing" => web.guarded_by(config, GatewayPing::new([gateway])),
        "AllOf(VipProbe, GatewayPing)" => {
            let all = AllOf::new().and(VipProbe::new(), limit, Verdict::Veto);
            web.guarded_by(config, all.and(GatewayPing::new([gateway]), limit, Verdict::Veto))
        }
        _ => web,
    };
    let mut builder = Router::builder().virtual_router(web).run_directory(directory.join(role));
    if kind == "sentinel" && is_master {
        builder = builder.sentinel(Sentinel::new(std::env::current_exe()?).argument("sentinel"));
    }
    let router = builder.start()?;
    router.events().iter().for_each(|event| println!("{event}"));
    Ok(())
}

fn measure(runs: usize) -> Result<()> {
    let mut late: Vec<Vec<Duration>> = KINDS.iter().map(|_| Vec::new()).collect();
    for _ in 0..runs {
        for (kind, late) in KINDS.iter().zip(&mut late) {
            late.push(once(kind)?);
        }
    }
    println!(
        "{runs} runs, A = {INTERVAL:?}; sentinel: over the skew time after the kill, the others: over 3 A + skew"
    );
    for (kind, mut late) in KINDS.iter().zip(late) {
        late.sort_unstable();
        let at = |percent: usize| late.get(late.len() * percent / 100).copied().unwrap_or_default();
        println!("{kind:30} median {:9.3?}  p90 {:9.3?}", at(50), at(90));
    }
    Ok(())
}

/// How late the Backup's first advertisement is.
fn once(kind: &str) -> Result<Duration> {
    let (a, b, gateway) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
    let switch = Bridge::new()?;
    for (host, port, last) in [(&a, "port-a", 1), (&b, "port-b", 2), (&gateway, "port-gw", 254)] {
        switch.attach(host, "eth0", port)?;
        host.ip(&format!("address add 192.0.2.{last}/24 dev eth0"))?;
    }
    let directory = tempfile::tempdir()?;
    let start = |host: &Namespace, role: &str| -> Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", kind, role]).arg(directory.path());
        Ok(Process::start(host, role, &mut command)?)
    };
    let wire = Capture::open_all(switch.namespace(), Filter::Failover)?;
    let next = |from: u8, priority: u8| -> Result<Frame> {
        let found = wire.find(PATIENCE, |frame| {
            let packet = frame.payload();
            let is_it = frame.is_vrrp()
                && !frame.outgoing
                && (packet.get(15), packet.get(22)) == (Some(&from), Some(&priority));
            is_it.then(|| frame.clone())
        })?;
        found.ok_or_else(|| format!("{kind}: no advertisement from .{from}").into())
    };
    let mut master = start(&a, "master")?;
    next(1, 200)?;
    let backup = start(&b, "backup")?;
    backup.wait_line("backup", PATIENCE).ok_or("the backup does not start")?;
    drop(wire.drain()?);
    let (skew, interval) = (INTERVAL * 156 / 256, INTERVAL);
    // So that the lease was renewed, and the Backup has seen it.
    for _ in 0..3 {
        next(1, 200)?;
    }
    let (since, due) = if kind == "sentinel" {
        let since = lab::now();
        master.kill()?;
        (since, skew)
    } else {
        let last = next(1, 200)?;
        switch.unplug("port-a")?;
        master.kill()?;
        (last.at, interval * 3 + skew)
    };
    let first = next(2, 100)?;
    Ok(first.at.saturating_sub(since).saturating_sub(due))
}
