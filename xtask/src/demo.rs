//! `cargo xtask demo`: a tutorial's own steps, played on real kernels with real daemons and watched from outside.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lab::peers::Daemon;

use crate::demo::play::Play;
use crate::demo::scene::Scene;
use crate::demo::stage::Stage;
use crate::host::{self, Outcome};
use crate::packages;

mod chart;
mod client;
mod events;
mod play;
mod report;
mod scene;
mod stage;
mod tutorial_003;
mod tutorial_004;
mod watch;

/// Play a tutorial: two directors on its unchanged configuration files, a failover, a client that watches
///
/// Tutorial 004 is two LVS directors before two nginx real servers; where the running kernel has no `ip_vs` it is
/// played in user-mode Linux. Tutorial 003 is two machines that share an address. Ends with a timeline, the gaps in
/// service as the client saw them, and one line PASS or FAIL a step.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which tutorial
    #[arg(long, default_value = "004", value_parser = ["003", "004"])]
    tutorial: String,
    /// Put this daemon in place of director 2
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// Put the peer in place of director 1 instead
    #[arg(long, requires = "peer")]
    swap: bool,
    /// Put this daemon in both places: a control run, without vipd
    #[arg(long, value_enum, conflicts_with = "peer", hide = true)]
    both: Option<Peer>,
    /// The vipd to run, instead of building it
    #[arg(long, value_name = "FILE")]
    vipd: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Peer {
    /// Debian's keepalived
    Keepalived,
}

/// How long a guest may take for boot and play.
const PATIENCE: Duration = Duration::from_secs(400);

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let scene = Scene::of(&arguments.tutorial);
    if lab::uml::is_inside() {
        return play(&scene, daemons(arguments, &arguments.vipd.clone().unwrap_or_default()));
    }
    let balances = !scene.servers.is_empty();
    let mut programs = vec![packages::IP, packages::NGINX];
    if balances {
        programs.push(packages::IPVSADM);
    }
    if arguments.peer.is_some() || arguments.both.is_some() {
        programs.push(packages::KEEPALIVED);
    }
    let guest = if balances { lab::need::check("ipvs").err() } else { None };
    if guest.is_some() {
        programs.extend(packages::UML);
    }
    packages::ensure(&programs).map_err(|missing| match &guest {
        Some(why) => format!("{missing}\n(tutorial {} needs IPVS, and {why})", scene.tutorial),
        None => missing,
    })?;
    let vipd = match (&arguments.vipd, arguments.both) {
        (Some(path), _) => {
            std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?
        }
        (None, Some(_)) => PathBuf::new(),
        (None, None) => {
            println!("building vipd");
            host::build_binary("vipd", "vipd", false)?
        }
    };
    if let Some(why) = guest {
        return play_in_guest(arguments, &vipd, &why);
    }
    lab::need::check("netns").map_err(|why| format!("the lab needs network namespaces: {why}"))?;
    play(&scene, daemons(arguments, &vipd))
}

/// The daemons of director 1 and director 2.
fn daemons(arguments: &Arguments, vipd: &std::path::Path) -> [Daemon; 2] {
    let ours = || Daemon::Vipd(vipd.to_owned());
    match (arguments.both, arguments.peer, arguments.swap) {
        (Some(Peer::Keepalived), _, _) => [Daemon::Keepalived, Daemon::Keepalived],
        (None, Some(Peer::Keepalived), false) => [ours(), Daemon::Keepalived],
        (None, Some(Peer::Keepalived), true) => [Daemon::Keepalived, ours()],
        (None, None, _) => [ours(), ours()],
    }
}

/// The same task again, under a kernel that has what this one lacks.
fn play_in_guest(arguments: &Arguments, vipd: &std::path::Path, why: &str) -> Outcome {
    lab::need::check("uml").map_err(|missing| {
        format!(
            "tutorial {} needs IPVS: {why}.\nUser-mode Linux would do instead, but {missing}",
            arguments.tutorial
        )
    })?;
    let reason = if std::path::Path::new("/proc/net/ip_vs").exists() {
        "IPVS of the running kernel is for root of the machine"
    } else {
        "the running kernel has no ip_vs"
    };
    println!(
        "{reason}: playing in user-mode Linux (a kernel as a process; it takes a few seconds to boot)"
    );
    let program =
        std::env::current_exe().map_err(|error| format!("the running program: {error}"))?;
    let mut command = lab::uml::Guest::new().timeout(PATIENCE).command(&program);
    command.args(std::env::args_os().skip(1));
    if arguments.vipd.is_none() && arguments.both.is_none() {
        command.arg("--vipd").arg(vipd);
    }
    Ok(host::exit_code(host::status(&mut command)?))
}

fn play(scene: &Scene, daemons: [Daemon; 2]) -> Outcome {
    println!("{}", report::opening(scene, &daemons));
    let stage = Stage::build(scene, daemons)
        .map_err(|error| format!("the lab cannot be built: {error}"))?;
    let mut play = Play::new(stage);
    match scene.tutorial {
        "003" => tutorial_003::play(&mut play),
        _ => tutorial_004::play(&mut play),
    }
    let passed = play.end(scene);
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
