#![doc = include_str!("../README.md")]
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use core::sync::atomic::AtomicBool;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The whole program, for programs that are their own sentinel: call it first when started as one. `worker` is the last
/// argument that the router gave, see [`vrrp::Sentinel`]. It ignores SIGTERM, SIGINT and SIGHUP from then on, and says what it did on
/// standard error.
#[must_use]
pub fn serve(worker: &str) -> ExitCode {
    // Whoever stops a router and all that belongs to it must not stop this first.
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))) {
            say(&format!("a signal cannot be ignored: {error}"));
        }
    }
    match vrrp::serve_as_sentinel(worker.parse().unwrap_or(0)) {
        Ok(served) => {
            if served.died {
                say(&served.to_string());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody may read it any more.
    drop(writeln!(std::io::stderr(), "sentinel: {text}"));
}
