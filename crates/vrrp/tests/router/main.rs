//! Running routers in network namespaces of their own. Verdicts come from outside: from captures on the switch and from the
//! kernels' address tables, not from what the routers say.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]
#![allow(clippy::allow_attributes, reason = "not every one of them occurs at any time")]

mod accept_mode;
mod apply;
mod budget;
mod campaign;
mod child;
mod conflict;
mod crowd;
mod election;
mod errors;
mod faults;
mod flood;
mod guard;
mod guards;
mod hostile;
mod namespace;
mod neighbours;
mod order;
mod paths;
mod remove;
mod restart;
mod routes;
mod scheduling;
mod support;
mod sync_group;
mod theft;
mod told;
mod trackers;
mod transport;
mod virtual_mac;
