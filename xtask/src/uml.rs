//! `cargo xtask uml -- COMMAND`: one command in user-mode Linux.

use std::path::PathBuf;
use std::time::Duration;

use crate::host::{self, Outcome};
use crate::packages;

/// Run a command under a kernel that has `ip_vs`, on this machine's files (copy on write)
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds for boot and command together
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// A directory in which changes are kept
    #[arg(long, value_name = "DIR")]
    rw: Vec<PathBuf>,
    /// The command and its arguments
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    packages::ensure(&packages::UML)?;
    let (program, rest) = arguments.command.split_first().ok_or("no command")?;
    let guest = lab::uml::Guest::new().timeout(Duration::from_secs(arguments.timeout));
    let guest = arguments.rw.iter().fold(guest, |guest, directory| guest.writable(directory));
    Ok(host::exit_code(host::status(guest.command(program.as_ref()).args(rest))?))
}
