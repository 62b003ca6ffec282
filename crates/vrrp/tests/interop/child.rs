//! Our router in a process of its own, so that it can be stopped and killed as the others are.

use core::time::Duration;
use std::path::Path;
use std::process::Command;

use lab::{Namespace, Process};
use vrrp::{
    Authentication, ChecksumForm, ChecksumPolicy, HeaderKey, Password, Version, VirtualRouter, Vrid,
};

use crate::combination::{Auth, Rank, VRID};

const PLAN: &str = "VRRP_INTEROP_PLAN";

/// What the router is told.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) version: u8,
    pub(crate) auth: Auth,
    pub(crate) secret: &'static str,
    pub(crate) interval: Duration,
    pub(crate) unicast: Option<&'static str>,
    pub(crate) checksum: Checksum,
    pub(crate) addresses: &'static [&'static str],
    pub(crate) virtual_mac: bool,
}

/// Our interface with the virtual MAC address.
pub(crate) const VMAC: &str = "ours";

/// Which checksum it sends. It takes every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    PseudoHeader,
    MessageOnly,
    /// The one it hears.
    Heard,
}

/// Starts this test binary with nothing but [`run`].
pub(crate) fn start(namespace: &Namespace, plan: &Plan, rank: Rank, run: &Path) -> Process {
    let Plan { version, auth, secret, interval, unicast, checksum, addresses, virtual_mac } = plan;
    let Rank { priority, preempt } = rank;
    let words = format!(
        "{version} {auth:?} {secret} {} {} {checksum:?} {} {priority} {preempt} {virtual_mac} {}",
        interval.as_millis(),
        unicast.unwrap_or("-"),
        addresses.join(","),
        run.display()
    );
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::run", "--ignored", "--nocapture"]).env(PLAN, words);
    Process::start(namespace, "router", &mut command).unwrap()
}

#[test]
#[ignore = "not a test: the process that other tests start, stop and kill"]
fn run() {
    let Ok(plan) = std::env::var(PLAN) else { return };
    let words: Vec<&str> = plan.split(' ').collect();
    let [
        version,
        auth,
        secret,
        milliseconds,
        unicast,
        checksum,
        addresses,
        priority,
        preempt,
        virtual_mac,
        run,
    ] = words[..]
    else {
        panic!("{plan}")
    };
    let secret = secret.to_owned();
    let web = VirtualRouter::new("web", Vrid::new(VRID).unwrap(), "eth0")
        .priority(priority.parse().unwrap())
        .preempt_mode(preempt.parse().unwrap())
        .version(if version == "2" { Version::V2 } else { Version::V3 })
        .advertisement_interval(Duration::from_millis(milliseconds.parse().unwrap()))
        .addresses(addresses.split(',').map(|address| address.parse().unwrap()))
        .unicast((unicast != "-").then(|| unicast.parse().unwrap()))
        .checksum(match checksum {
            "MessageOnly" => ChecksumPolicy::AcceptAny { send: ChecksumForm::MessageOnly },
            "Heard" => ChecksumPolicy::Auto { initially: ChecksumForm::PseudoHeader },
            _ => ChecksumPolicy::AcceptAny { send: ChecksumForm::PseudoHeader },
        })
        .candidate(true);
    let web = match virtual_mac {
        "true" => web.virtual_mac(vrrp::VirtualMac::new().interface(VMAC)),
        _ => web,
    };
    let web = match auth {
        "Pass" => web.password(secret),
        "Ah" => {
            let key = HeaderKey::new(Password::new(secret.as_bytes()).unwrap());
            web.authentication(Authentication::Header(key))
        }
        _ => web,
    };
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).unwrap();
    let router = vrrp::Router::builder().virtual_router(web).run_directory(run).start();
    let router = router.unwrap_or_else(|error| {
        println!("refused: {error}");
        std::process::exit(1);
    });
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
