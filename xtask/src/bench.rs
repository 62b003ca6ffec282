//! `cargo xtask bench failover`: how soon the other router takes over, against what the protocol allows.

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
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let name = match arguments.what {
        What::Failover => "failover",
    };
    packages::ensure(&[packages::IP, packages::KEEPALIVED])?;
    let binary = host::build_binary("benches", name, true)?;
    let mut bench = std::process::Command::new(binary);
    Ok(host::exit_code(host::status(bench.args(&arguments.rest))?))
}
