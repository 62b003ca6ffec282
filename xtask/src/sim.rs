//! `cargo xtask sim`: elections in virtual time, as many as fit into the router-seconds asked for.

use crate::host::{self, Outcome};

/// Run random scenarios with every invariant checked at every step; fails when one breaks, or something never happened
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How much virtual time, times routers: 40 million take a minute or less, 10 billion about an hour on two processors
    #[arg(long, value_name = "N", default_value_t = 40_000_000)]
    router_seconds: u64,
    /// The seed of the first scenario; each further one has the next
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// How many scenarios at a time [default: one a processor]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// The advertisement interval in milliseconds; `any` for all sorts
    #[arg(long, value_name = "MS", default_value = "1000")]
    interval: String,
    /// Run the scenario of this seed alone and draw its timeline
    #[arg(long, value_name = "SEED", conflicts_with_all = ["router_seconds", "seed", "jobs"])]
    replay: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut campaign = host::cargo();
    campaign.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "vrrp-sim",
        "--example",
        "campaign",
        "--",
    ]);
    campaign.args(["--interval", &arguments.interval]);
    if let Some(seed) = arguments.replay {
        campaign.args(["--replay", &seed.to_string()]);
    } else {
        campaign.args(["--router-seconds", &arguments.router_seconds.to_string()]);
        campaign.args(["--seed", &arguments.seed.to_string()]);
    }
    if let Some(jobs) = arguments.jobs {
        campaign.args(["--jobs", &jobs.to_string()]);
    }
    Ok(host::exit_code(host::status(&mut campaign)?))
}
