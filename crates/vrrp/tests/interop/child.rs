//! Our router in a process of its own, so that it can be stopped and killed as the others are.

use std::path::Path;
use std::process::Command;

use lab::{Namespace, Process};

use crate::combination::{Auth, Combination, Peer, Rank};

const PLAN: &str = "VRRP_INTEROP_PLAN";

/// Starts this test binary with nothing but [`run`].
pub(crate) fn start(
    namespace: &Namespace,
    combination: &Combination,
    rank: Rank,
    run: &Path,
) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::run", "--ignored", "--nocapture"]);
    command.env(PLAN, plan(combination, rank, run));
    Process::start(namespace, "router", &mut command).unwrap()
}

/// What the process is told, as words.
fn plan(combination: &Combination, rank: Rank, run: &Path) -> String {
    let Combination { version, six, auth, unicast, interval, message_only, old_checksum, .. } =
        combination;
    let auth = match auth {
        Auth::None => 0,
        Auth::Pass => 1,
        Auth::Ah => 2,
    };
    let Rank { priority, preempt } = rank;
    let flag = |on: bool| u8::from(on);
    format!(
        "{version} {} {auth} {} {} {} {priority} {} {}",
        flag(*six),
        flag(*unicast),
        interval.as_millis(),
        flag(*message_only) + 2 * flag(*old_checksum),
        flag(preempt),
        run.display()
    )
}

#[test]
#[ignore = "not a test: the process that other tests start, stop and kill"]
fn run() {
    let Ok(plan) = std::env::var(PLAN) else { return };
    let words: Vec<&str> = plan.splitn(9, ' ').collect();
    let number = |index: usize| words[index].parse::<u64>().unwrap();
    let flag = |index: usize| number(index) == 1;
    let combination = Combination {
        version: if number(0) == 2 { 2 } else { 3 },
        six: flag(1),
        auth: [Auth::None, Auth::Pass, Auth::Ah][usize::try_from(number(2)).unwrap()],
        unicast: flag(3),
        message_only: flag(5),
        old_checksum: number(5) == 2,
        ..Combination::new(Peer::Keepalived).every(number(4))
    };
    let rank = Rank { priority: u8::try_from(number(6)).unwrap(), preempt: flag(7) };
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).unwrap();
    let router = vrrp::Router::builder()
        .virtual_router(combination.ours(rank))
        .run_directory(words[8])
        .start()
        .unwrap();
    let events = router.events();
    std::thread::spawn(move || {
        for event in events.iter() {
            println!("{event}");
        }
    });
    println!("started");
    signals.forever().next();
    router.shutdown().unwrap();
}
