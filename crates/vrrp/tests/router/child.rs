//! A router in a process of its own, to be killed.

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
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child::run", "--ignored", "--nocapture"]);
        command.env(PRIORITY, priority.to_string()).env(RUN, run).env(KIND, kind);
        Self(Process::start(namespace, "router", &mut command).unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
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
    let router = vrrp::Router::builder()
        .virtual_router(virtual_router)
        .run_directory(directory)
        .start()
        .unwrap();
    for event in router.events().iter() {
        println!("{event}");
    }
}
