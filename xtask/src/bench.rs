//! `cargo xtask bench`: how soon the other router takes over, against what the protocol allows; what it costs to wait for that;
//! what the codec and the state machine cost.

use std::process::Command;

use crate::host::{self, Outcome};
use crate::packages;

/// Measure, the daemon side by side with keepalived in namespaces of this machine
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure
    what: What,
    /// Further arguments for the measurement itself
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Time from a master's end to the virtual address on the other router
    Failover,
    /// Thousands of addresses of one virtual router beside keepalived: present, announced, released
    Addresses,
    /// What daemons use while nothing happens: wake-ups, system calls, processor time, memory
    Idle,
    /// Many virtual routers beside keepalived: system calls, processor time, memory, start, takeover
    Scale,
    /// Health checks beside keepalived: processor time, memory, detection of dying servers
    Checks,
    /// A third host throws packets at a pair beside keepalived: takeovers, log lines, processor time for each
    Flood,
    /// Programming a kernel's IPVS, beside ipvsadm and keepalived
    Ipvs,
    /// Time to read and to write an advertisement
    Codec,
    /// Time that an election takes for an input and what follows from it
    Election,
    /// Time and memory of 100,000 and 1,000,000 elections
    Crowd,
    /// What a director of many services costs: configurations applied again, servers that fail together
    Director,
    /// What guards and the sentinel do to the failover time
    Guards,
    /// Instructions of codec and election, counted by valgrind
    Instructions,
}

/// The version of gungraun's runner, which has to be the one of the library.
const RUNNER: &str = "0.20.0";

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let name = match arguments.what {
        What::Instructions => return instructions(&arguments.rest),
        What::Failover => "failover",
        What::Addresses => "addresses",
        What::Idle => "idle",
        What::Scale => "scale",
        What::Flood => "flood",
        What::Checks => "checks",
        What::Ipvs => "ipvs",
        What::Codec => "codec",
        What::Election => "election",
        What::Crowd => "crowd",
        What::Director => "director",
        What::Guards => "guards",
    };
    if matches!(
        arguments.what,
        What::Failover | What::Addresses | What::Idle | What::Scale | What::Flood
    ) {
        packages::ensure(&[packages::IP, packages::KEEPALIVED, packages::STRACE])?;
    }
    if arguments.what == What::Checks {
        packages::ensure(&[packages::IP, packages::KEEPALIVED, packages::CC])?;
    }
    if arguments.what == What::Ipvs {
        packages::ensure(&[packages::IP, packages::IPVSADM, packages::KEEPALIVED])?;
        if lab::need::check("ipvs").is_err() {
            packages::ensure(&packages::UML)?;
        }
    }
    let mut bench = Command::new(host::build_binary("benches", name, true)?);
    if matches!(arguments.what, What::Idle | What::Scale | What::Flood) {
        bench.arg(host::build_binary("vipd", "vipd", true)?);
    }
    Ok(host::exit_code(host::status(bench.args(&arguments.rest))?))
}

fn instructions(rest: &[String]) -> Outcome {
    packages::ensure(&[packages::VALGRIND])?;
    if !host::succeeds(Command::new("gungraun-runner").arg("--version")) {
        host::install_crate("gungraun-runner", RUNNER)?;
    }
    let mut bench = host::cargo();
    bench.args(["bench", "--quiet", "--package", "benches", "--bench", "instructions", "--"]);
    Ok(host::exit_code(host::status(bench.args(rest))?))
}
