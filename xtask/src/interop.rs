//! `cargo xtask interop`: elections with other implementations, as a table.

use crate::host::{self, Outcome};
use crate::packages;

/// Run our router against keepalived and FRR in every role and print what happened
///
/// The same tests are part of `cargo xtask test`, which shows no tables.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Put the tables into docs/interop.md
    #[arg(long)]
    write: bool,
    /// Only the lines of the matrix that contain this, such as 'FRR | 3 | IPv6'
    #[arg(long, value_name = "TEXT", conflicts_with = "write")]
    only: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    packages::ensure(&[packages::FRR, packages::IP, packages::KEEPALIVED, packages::NFT])?;
    let mut cargo = host::cargo();
    cargo.args(["test", "--package", "vrrp", "--test", "interop", "--", "--nocapture"]);
    if arguments.write {
        cargo.env("INTEROP_WRITE", "1");
    }
    if let Some(only) = &arguments.only {
        cargo.env("INTEROP_ONLY", only).arg("every_role_with_every_peer");
    }
    cargo.env("REQUIRE", "netns,keepalived,frr,nftables");
    host::status(&mut cargo).map(host::exit_code)
}
