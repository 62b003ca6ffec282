//! Random faults on pairs of real routers on the real kernel, with verdicts from outside: a capture on the switch, a netlink
//! monitor on each host, a client. `cargo xtask soak` runs it; docs/faults.md says what it promises.

mod campaign;
mod client;
mod faults;
mod kind;
mod naive;
mod pair;
mod router;
mod rules;
mod stall;
mod tally;
mod timeline;
mod trial;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::campaign::Campaign;
use crate::kind::Kind;

#[derive(Debug, Parser)]
#[command(name = "soak", about = "Random faults on pairs of real routers")]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    /// How many faults
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    faults: usize,
    /// How many pairs at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = 1..)]
    pairs: i64,
    /// The seed of the first pair; each further one has the next [default: of the clock]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Which kinds of faults [default: all]
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Stop processes for up to ten seconds now and then
    #[arg(long)]
    long: bool,
    /// Do without the protection against each of the kinds: every one must be noticed
    #[arg(long)]
    control: bool,
}

#[derive(Debug, Subcommand)]
enum Task {
    #[command(hide = true)]
    Router(router::Arguments),
    #[command(hide = true)]
    Sentinel { worker: String },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.task {
        Some(Task::Router(router)) => return router::run(router),
        Some(Task::Sentinel { worker }) => return vrrp_sentinel::serve(worker),
        None => {}
    }
    let kinds = if arguments.kinds.is_empty() { Kind::all() } else { arguments.kinds };
    if kinds.contains(&Kind::ClockStep) && !lab::uml::is_inside() {
        println!(
            "soak: clock-step steps the clock of the whole machine: only inside user-mode Linux"
        );
        return ExitCode::FAILURE;
    }
    let needs: &[&str] =
        if kinds.contains(&Kind::OneWayLoss) { &["netns", "nftables"] } else { &["netns"] };
    if !lab::need::all(needs) {
        println!("soak: nothing was tested");
        return ExitCode::FAILURE;
    }
    let seed = arguments.seed.unwrap_or_else(|| u64::from(lab::now().subsec_micros()));
    if arguments.control {
        return campaign::control(&kinds, seed);
    }
    let pairs = usize::try_from(arguments.pairs).unwrap_or(1);
    Campaign { faults: arguments.faults, pairs, seed, kinds, long: arguments.long }.run()
}
