//! Against the running kernel, in network namespaces of their own.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test should stop at once"
)]

mod addresses;
mod announcements;
mod events;
mod macvlans;
mod outside;
mod routes;
mod rules;
mod silence;
mod sysctls;
mod watching;
