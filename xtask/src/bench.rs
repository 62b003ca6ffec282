//! `cargo xtask bench failover | idle`: how soon the other router takes over, against what the protocol allows; what it costs to
//! wait for that.

use crate::host::{self, Outcome};
use crate::packages;

/// Measure, in namespaces of this machine, side by side with keepalived
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure
    what: What,
    /// Further arguments for the measurement itself
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// Time from a master's end to the virtual address on the other router
    Failover,
    /// What daemons use while nothing happens: wake-ups, system calls, processor time, memory
    Idle,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let name = match arguments.what {
        What::Failover => "failover",
        What::Idle => "idle",
    };
    packages::ensure(&[packages::IP, packages::KEEPALIVED, packages::STRACE])?;
    let mut bench = std::process::Command::new(host::build_binary("benches", name, true)?);
    if matches!(arguments.what, What::Idle) {
        bench.arg(host::build_binary("vipd", "vipd", true)?);
    }
    Ok(host::exit_code(host::status(bench.args(&arguments.rest))?))
}
