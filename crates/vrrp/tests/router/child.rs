//! A router in a process of its own, to be killed.

use core::error::Error as _;
use std::path::Path;
use std::process::Command;

use lab::{Namespace, Process};
use rustix::process::Signal;

use crate::support::{PATIENCE, web};

const PRIORITY: &str = "VRRP_TEST_PRIORITY";
const KIND: &str = "VRRP_TEST_KIND";
const RUN: &str = "VRRP_TEST_RUN_DIRECTORY";

/// This test binary, running nothing but [`run`].
pub(crate) struct Child(Process);

impl Child {
    /// Starts a router with [`web`] of this priority.
    pub(crate) fn start(namespace: &Namespace, run: &Path, priority: u8) -> Self {
        Self::start_kind(namespace, run, priority, "")
    }

    /// The same with something more: `refusing` has no `Accept_Mode`, `mac` a virtual MAC address,
    /// `routes` routes and a rule.
    pub(crate) fn start_kind(namespace: &Namespace, run: &Path, priority: u8, kind: &str) -> Self {
        Self::start_by(namespace, run, priority, kind, &[])
    }

    /// The same behind a command that starts what follows it.
    pub(crate) fn start_by(
        namespace: &Namespace,
        run: &Path,
        priority: u8,
        kind: &str,
        by: &[&str],
    ) -> Self {
        let this = std::env::current_exe().unwrap();
        let words = ["--exact", "child::run", "--ignored", "--nocapture"];
        let all = by.iter().map(AsRef::as_ref).chain([this.as_os_str()]);
        let all: Vec<_> = all.chain(words.iter().map(AsRef::as_ref)).collect();
        let mut command = Command::new(all[0]);
        command.args(&all[1..]);
        command.env(PRIORITY, priority.to_string()).env(RUN, run).env(KIND, kind);
        Self(Process::start(namespace, "router", &mut command).unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn log(&self) -> String {
        self.0.log()
    }

    /// Kills it: no release, no clean-up.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    /// Stops it as a debugger or a frozen cgroup would.
    pub(crate) fn pause(&self) {
        self.0.signal(Signal::STOP).unwrap();
    }

    pub(crate) fn resume(&self) {
        self.0.signal(Signal::CONT).unwrap();
    }

    /// Waits for a line of its log.
    pub(crate) fn wait_line(&self, text: &str) {
        assert!(
            self.0.wait_line(text, PATIENCE).is_some(),
            "no line {text:?} in\n{}",
            self.0.log()
        );
    }
}

#[test]
#[ignore = "not a test: the process that other tests start and kill"]
fn run() {
    let (Ok(priority), Ok(directory)) = (std::env::var(PRIORITY), std::env::var(RUN)) else {
        return;
    };
    let plain = web(priority.parse().unwrap());
    let virtual_router = match std::env::var(KIND).as_deref() {
        Ok("refusing") => plain.accept_mode(false),
        Ok("mac") => plain.virtual_mac(vrrp::VirtualMac::new()),
        Ok("routes") => crate::routes::routed(plain),
        _ => plain,
    };
    let mut builder =
        vrrp::Router::builder().virtual_router(virtual_router).run_directory(directory);
    if let Ok(wanted) = std::env::var(KIND)
        && let Some(scheduling) = crate::scheduling::named(&wanted)
    {
        builder = builder.scheduling(scheduling);
    }
    let router = match builder.start() {
        Ok(router) => router,
        Err(error) => {
            println!("{error}: {}", error.source().unwrap());
            return;
        }
    };
    for event in router.events().iter() {
        println!("{event}");
    }
}
