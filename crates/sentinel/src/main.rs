//! The helper program of the `vrrp` crate: outlives a router that was killed, and says farewell for it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    vrrp_sentinel::serve(&std::env::args().next_back().unwrap_or_default())
}
