//! The machine as its users see it. One binary, because linking takes longer than testing.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod authentication_header;
mod bad_input;
mod checksums;
mod conflict;
mod delays;
mod dual_version;
mod election;
mod failures;
mod farewell;
mod guards;
mod hardening;
mod host;
mod network;
mod options;
mod paths;
mod properties;
mod receive;
mod reconfigure;
mod reconfigure_table;
mod refused;
mod sync_group;
mod tracking;
mod trailer;
mod transitions;
mod vectors;
mod wire;
