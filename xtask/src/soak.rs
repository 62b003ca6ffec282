//! `cargo xtask soak`: random faults on pairs of real routers, on the real kernel.

use std::process::Command;

use crate::host::{self, Outcome};
use crate::packages;

/// Inflict random faults on pairs of routers, and watch from outside that each time one Master remains (docs/faults.md)
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many faults: about 300 a minute and 8 pairs
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    faults: u64,
    /// How many pairs of routers at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    pairs: u32,
    /// The seed of the first pair; each further one has the next [default: of the clock, and printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Which kinds of faults, with commas between [default: all]
    #[arg(long, value_name = "KIND")]
    kinds: Option<String>,
    /// No pause of a process is longer than ten intervals; else some take ten seconds
    #[arg(long)]
    short: bool,
    /// Switch the protection against each kind off instead: the campaign has to notice every time
    #[arg(long, conflicts_with_all = ["faults", "pairs", "short"])]
    control: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    packages::ensure(&[packages::IP, packages::NFT])?;
    let mut soak = Command::new(host::build_binary("soak", "soak", true)?);
    if arguments.control {
        soak.arg("--control");
    } else {
        soak.args(["--faults", &arguments.faults.to_string()]);
        soak.args(["--pairs", &arguments.pairs.to_string()]);
        if !arguments.short {
            soak.arg("--long");
        }
    }
    if let Some(seed) = arguments.seed {
        soak.args(["--seed", &seed.to_string()]);
    }
    if let Some(kinds) = &arguments.kinds {
        soak.args(["--kinds", kinds]);
    }
    host::status(&mut soak).map(host::exit_code)
}
