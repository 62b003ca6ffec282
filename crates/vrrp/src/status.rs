//! What a router does at one moment, and why.

use core::net::IpAddr;
use std::sync::Arc;

use vrrp_fsm::vrrp_proto::{AddressFamily, Priority, Vrid};
use vrrp_fsm::{Condition, Counter, Faults, Influence, State, Statistics, Why};

/// A snapshot of a [`Router`](crate::Router).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The virtual routers, in the order they were added in.
    pub virtual_routers: Vec<VirtualRouterStatus>,
    /// Datagrams that belong to none of the virtual routers, by cause. The kernel's filter keeps those of foreign VRIDs away,
    /// so that they are not even counted.
    pub unclaimed: Vec<(Counter, u64)>,
    /// Times at which a receive queue was found to have lost datagrams.
    pub receive_queue_overflows: u64,
    /// Events that were dropped because nobody read them.
    pub events_dropped: u64,
}

impl Status {
    /// The virtual router of this name.
    #[must_use]
    pub fn virtual_router(&self, name: &str) -> Option<&VirtualRouterStatus> {
        self.virtual_routers.iter().find(|status| status.name.as_ref() == name)
    }
}

/// A snapshot of one virtual router.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VirtualRouterStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its number.
    pub vrid: Vrid,
    /// Its address family.
    pub family: AddressFamily,
    /// The interface that carries its advertisements.
    pub interface: String,
    /// The state of the election.
    pub state: State,
    /// Why it is in this state.
    pub why: Why,
    /// What keeps it from taking part.
    pub faults: Faults,
    /// Whether it stands for election.
    pub candidate: bool,
    /// The number of its present or last mastership.
    pub term: u64,
    /// Its effective priority.
    pub priority: Priority,
    /// The source of its advertisements.
    pub source: Option<IpAddr>,
    /// The addresses that it holds in the kernel, as `ip address` would show them.
    pub addresses: Vec<String>,
    /// What it tracks, in the order it was added in.
    pub trackers: Vec<TrackerStatus>,
    /// Everything it has counted, the discarded datagrams by cause among them.
    pub statistics: Statistics,
}

/// A snapshot of one tracker: the answer to "which of them is it?".
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrackerStatus {
    /// Its name.
    pub name: Arc<str>,
    /// What it was last told to be.
    pub condition: Condition,
    /// What that does to the virtual router.
    pub influence: Influence,
}
