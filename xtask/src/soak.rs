//! `cargo xtask soak`: random faults on pairs of real routers, on the real kernel.

use std::path::Path;
use std::process::{Command, ExitCode};

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
    /// Step the wall clock instead, ten times by up to years, inside user-mode Linux; then the same with a router that believes it
    #[arg(long, conflicts_with_all = ["faults", "pairs", "short", "kinds", "control"])]
    clock: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    packages::ensure(&[packages::IP, packages::NFT])?;
    let binary = host::build_binary("soak", "soak", true)?;
    if arguments.clock {
        return step_clock(&binary, arguments.seed);
    }
    let mut soak = Command::new(binary);
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

/// Only a machine of its own has a clock of its own.
fn step_clock(binary: &Path, seed: Option<u64>) -> Outcome {
    packages::ensure(&packages::UML)?;
    let mut last = ExitCode::FAILURE;
    for variant in [["--faults", "10"].as_slice(), ["--control"].as_slice()] {
        let mut soak = lab::uml::Guest::new().command(binary);
        soak.args(["--kinds", "clock-step", "--pairs", "1"]).args(variant);
        if let Some(seed) = seed {
            soak.args(["--seed", &seed.to_string()]);
        }
        let status = host::status(&mut soak)?;
        last = host::exit_code(status);
        if !status.success() {
            break;
        }
    }
    Ok(last)
}
