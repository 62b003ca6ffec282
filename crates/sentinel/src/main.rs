//! The helper program of the `vrrp` crate: outlives a router that was killed, and says farewell for it.
#![forbid(unsafe_code)]

use core::sync::atomic::AtomicBool;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

fn main() -> ExitCode {
    // Whoever stops a router and all that belongs to it must not stop this first.
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))) {
            say(&format!("a signal cannot be ignored: {error}"));
        }
    }
    let worker = std::env::args().next_back().and_then(|argument| argument.parse().ok());
    match vrrp::serve_as_sentinel(worker.unwrap_or(0)) {
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
    drop(writeln!(std::io::stderr(), "vrrp-sentinel: {text}"));
}
