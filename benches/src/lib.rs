//! Benchmarks: `README.md` says how to run them and what they found.
#![allow(clippy::print_stdout, reason = "for programs for people")]

pub mod checkers;
pub mod daemons;
pub mod sink;
pub mod subjects;
pub mod timing;
