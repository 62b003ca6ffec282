//! `cargo xtask director`: real servers that die and return at random behind a director, on a real kernel.

use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::host::{self, Outcome};
use crate::packages;

/// Let real servers die and return at random behind a director; no client may notice it beyond the time that detection takes
///
/// On the running kernel if it has `ip_vs`, else in user-mode Linux. A control without checks runs first, for 30 s at most, and has to
/// notice.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// The seed of what happens [default: of the clock, and printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let has_ipvs = lab::need::check("ipvs").is_ok();
    packages::ensure(&[packages::IP, packages::IPVSADM])?;
    if !has_ipvs {
        packages::ensure(&packages::UML)?;
    }
    let mut cargo = host::cargo();
    cargo.args(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    cargo.args(["--package", "lvs", "--test", "ipvs_campaign"]);
    let built = host::artifacts(&mut cargo)?;
    let test = built.iter().find(|artifact| artifact.test).ok_or("the campaign was not built")?;
    let seconds = arguments.minutes.saturating_mul(60);
    let mut last = ExitCode::FAILURE;
    for name in ["without_checks_clients_notice", "clients_notice_no_death_beyond_its_detection"] {
        let mut campaign = if has_ipvs {
            Command::new(&test.executable)
        } else {
            // The last round and the end of the clients take a while.
            let limit = Duration::from_secs(seconds.saturating_add(300));
            lab::uml::Guest::new().timeout(limit).command(&test.executable)
        };
        campaign.args(["--exact", name, "--nocapture"]);
        campaign.env("REQUIRE", "ipvs,ipvsadm").env("LVS_CAMPAIGN_SECONDS", seconds.to_string());
        if let Some(seed) = arguments.seed {
            campaign.env("LVS_CAMPAIGN_SEED", seed.to_string());
        }
        let status = host::status(&mut campaign)?;
        last = host::exit_code(status);
        if !status.success() {
            break;
        }
    }
    Ok(last)
}
