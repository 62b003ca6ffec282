//! Benchmarks: `README.md` says how to run them and what they found.
#![allow(clippy::print_stdout, reason = "for programs for people")]

pub mod daemons;
pub mod subjects;
pub mod timing;
