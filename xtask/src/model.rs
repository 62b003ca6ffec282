//! `cargo xtask model`: every state that the elections of a few routers can reach.

use crate::host::{self, Outcome};

/// Check every reachable state of elections between two, three and four real state machines: at least ten million of them
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// More than a hundred million: some minutes on idle processors, and two gigabytes of memory
    #[arg(long)]
    full: bool,
    /// Print a short path to everything that is expected to be reachable
    #[arg(long)]
    paths: bool,
    /// Which scenarios [default: all]
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let model = host::build_binary("model", "model", true)?;
    let mut command = std::process::Command::new(model);
    if arguments.full {
        command.arg("--full");
    }
    if arguments.paths {
        command.arg("--paths");
    }
    command.args(&arguments.scenarios);
    host::status(&mut command).map(host::exit_code)
}
