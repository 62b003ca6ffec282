//! What a third host that throws packets at a pair does to it, beside keepalived in the same run.
//!
//! ```text
//! cargo xtask bench flood                or: flood VIPD
//! ```
//!
//! Three hosts on a switch (network namespaces): Master, Backup and one that sends advertisements of their virtual router with a wrong
//! checksum, at growing rates; the last one is what one processor can send. Both of the pair run `vipd`, or both run keepalived, in turn.
//! Counted are takeovers, as the kernel of the Backup tells of the virtual address; the lines of both logs; and the processor time of
//! both for each packet that was sent, without that of a quiet time.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use benches::daemons::{
    PRIORITIES, Result, backup_line, master_line, number, pass, tail, tree, used, wait_for,
};
use lab::peers::Daemon;
use lab::{AddressMonitor, Bridge, Namespace, Node};
use socket2::{Domain, Protocol, Socket, Type};

const INTERVAL: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_secs(3);
/// Packets a second; 0: as many as possible.
const RATES: [u32; 5] = [10, 100, 1_000, 10_000, 0];
/// At this one the processor time is compared: neither of them loses packets.
const COMPARED: u32 = 10_000;
const BAR: f64 = 0.7;
/// Log lines a second.
const MOST_LINES: f64 = 10.0;
const VIRTUAL: &str = "192.0.2.100";
/// Version 3, VRID 51, priority 250, one address, a wrong checksum.
const MESSAGE: [u8; 12] = [0x31, 51, 250, 1, 0, 10, 0xde, 0xad, 192, 0, 2, 100];

fn main() -> ExitCode {
    let vipd = std::env::args().nth(1).ok_or("usage: flood VIPD".into());
    match vipd.and_then(|vipd| measure(Path::new(&vipd))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("flood: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What came of one rate.
#[derive(Clone, Copy, Default)]
struct Outcome {
    packets: f64,
    takeovers: usize,
    lines: f64,
    /// Of both hosts, in µs for each packet.
    processor: f64,
}

fn measure(vipd: &Path) -> Result<bool> {
    let ours = all_rates(&Daemon::Vipd(vipd.to_owned()))?;
    let theirs = all_rates(&Daemon::Keepalived)?;
    println!("flood: version 3, {INTERVAL:?}, wrong checksums for {WINDOW:?} at each rate\n");
    println!(
        "{:>12}{:>12}{:>12}{:>14}{:>16}",
        "", "packets/s", "takeovers", "log lines/s", "CPU µs/packet"
    );
    let mut good = true;
    for ((rate, ours), theirs) in RATES.into_iter().zip(&ours).zip(&theirs) {
        for (name, outcome) in [("vipd", ours), ("keepalived", theirs)] {
            let Outcome { packets, takeovers, lines, processor } = *outcome;
            println!("{name:>12}{packets:>12.0}{takeovers:>12}{lines:>14.1}{processor:>16.2}");
        }
        good &= ours.takeovers == 0 && ours.lines <= MOST_LINES;
        if rate == COMPARED {
            let ratio = ours.processor / theirs.processor;
            println!("{:>54}{ratio:>10.2} x", "ratio");
            good &= ratio <= BAR;
        }
    }
    let verdict = if good { "PASS" } else { "FAIL" };
    println!(
        "\n{verdict}: no takeovers, at most {MOST_LINES} lines a second at any rate, at most {BAR} x the processor time"
    );
    Ok(good)
}

fn all_rates(daemon: &Daemon) -> Result<Vec<Outcome>> {
    RATES.into_iter().map(|rate| once(daemon, rate)).collect()
}

fn once(daemon: &Daemon, rate: u32) -> Result<Outcome> {
    let (switch, files) = (Bridge::new()?, tempfile::tempdir()?);
    let nodes = [Node::new()?, Node::new()?];
    let flooder = Namespace::new()?;
    for (number, node) in (1..).zip(&nodes) {
        switch.attach(node, "eth0", &format!("port-{number}"))?;
        node.ip(&format!("address add 192.0.2.{number}/24 dev eth0"))?;
    }
    switch.attach(&flooder, "eth0", "port-f")?;
    flooder.ip("address add 192.0.2.66/24 dev eth0")?;

    let mut running = Vec::new();
    let lines = [master_line(daemon), backup_line(daemon)];
    for ((node, priority), line) in nodes.iter().zip(PRIORITIES).zip(lines) {
        let file = files.path().join(format!("{priority}.conf"));
        fs::write(&file, conf(priority))?;
        let process = daemon.start(node, &file)?;
        wait_for(&process, line)?;
        running.push(process);
    }
    // The second announcement comes after five seconds.
    pass(Duration::from_secs(6));
    let processes: Vec<u32> =
        running.iter().map(tree).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let cost_of = |job: &dyn Fn() -> Result<u32>| -> Result<(f64, u32)> {
        let before = used(&processes)?.processor;
        let result = job()?;
        Ok((used(&processes)?.processor - before, result))
    };
    let (quiet, _) = cost_of(&|| {
        pass(WINDOW);
        Ok(0)
    })?;
    let mut addresses = AddressMonitor::open(&nodes[1])?;
    let printed = || running.iter().map(|process| process.lines().len()).sum::<usize>();
    let before = printed();
    let (flooded, packets) = cost_of(&|| throw(&flooder, rate))?;
    // What they still have to read and to say.
    pass(Duration::from_secs(1));
    let said = printed() - before;
    let mut takeovers = 0;
    while let Some(event) = addresses.next(Duration::ZERO)? {
        takeovers += usize::from(event.added && event.address.to_string() == VIRTUAL);
    }
    for process in &mut running {
        process.terminate().map_err(|error| format!("{error}\n{}", tail(process)))?;
    }
    let packets = f64::from(packets);
    Ok(Outcome {
        packets: packets / WINDOW.as_secs_f64(),
        takeovers,
        lines: number(u64::try_from(said)?) / (WINDOW.as_secs_f64() + 1.0),
        processor: (flooded - quiet) * 1e3 / packets,
    })
}

/// Sends at this rate; how many packets.
fn throw(namespace: &Namespace, rate: u32) -> Result<u32> {
    let sent = namespace.run(|| -> std::io::Result<u32> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))?;
        socket.set_multicast_ttl_v4(255)?;
        socket.set_multicast_if_v4(&Ipv4Addr::new(192, 0, 2, 66))?;
        let group = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 18), 0).into();
        let (start, mut sent) = (lab::now(), 0);
        loop {
            let passed = lab::now() - start;
            if passed >= WINDOW {
                return Ok(sent);
            }
            if rate > 0 {
                let due = Duration::from_secs(1) * sent / rate;
                pass(due.saturating_sub(passed));
            }
            for _ in 0..if rate > 1_000 || rate == 0 { 10 } else { 1 } {
                sent += u32::from(socket.send_to(&MESSAGE, &group).is_ok());
            }
        }
    });
    Ok(sent?)
}

fn conf(priority: u8) -> String {
    let interval = INTERVAL.as_secs_f64();
    format!(
        "vrrp_instance web {{\n state BACKUP\n interface eth0\n version 3\n virtual_router_id 51\n \
         priority {priority}\n advert_int {interval}\n virtual_ipaddress {{\n  {VIRTUAL}\n }}\n}}\n"
    )
}
