//! What a router does at one moment, and why.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use vrrp_fsm::vrrp_proto::{AddressFamily, Priority, Vrid};
use vrrp_fsm::{Condition, Counter, Faults, Influence, State, Statistics, Why};

/// A snapshot of a [`Router`](crate::Router).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The virtual routers, in the order they were added in.
    pub virtual_routers: Vec<VirtualRouterStatus>,
    /// The sync groups, in the order they were added in.
    pub sync_groups: Vec<SyncGroupStatus>,
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

    /// The sync group of this name.
    #[must_use]
    pub fn sync_group(&self, name: &str) -> Option<&SyncGroupStatus> {
        self.sync_groups.iter().find(|status| status.name.as_ref() == name)
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
    /// The source of its advertisements on the first path.
    pub source: Option<IpAddr>,
    /// The ways on which it and the others hear each other.
    pub paths: Vec<PathStatus>,
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

/// A snapshot of one path.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PathStatus {
    /// Its interface.
    pub interface: String,
    /// The source of our advertisements there.
    pub source: Option<IpAddr>,
    /// How long ago one left there.
    pub sent: Option<Duration>,
    /// How long ago one of others was accepted there.
    pub heard: Option<Duration>,
    /// Whether the latest could not be sent.
    pub is_failing: bool,
    /// How many could not be sent.
    pub send_failures: u64,
}

/// A snapshot of one sync group: the answer to "for whom does it wait?".
///
/// `Display` gives one sentence for an operator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncGroupStatus {
    /// Its name.
    pub name: Arc<str>,
    /// The latest state that all members had.
    pub state: State,
    /// The virtual routers in it.
    pub members: Vec<Arc<str>>,
    /// Those that cannot take part, and keep the others from it: their own [`VirtualRouterStatus::why`] tells why.
    pub unable: Vec<Arc<str>>,
    /// Those that would be Master, and wait for the others.
    pub asking: Vec<Arc<str>>,
}

impl fmt::Display for SyncGroupStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        let is_waited_for = |member: &&Arc<str>| !self.asking.contains(member);
        let waited_for: Vec<&str> =
            self.members.iter().filter(is_waited_for).map(AsRef::as_ref).collect();
        if !self.unable.is_empty() {
            write!(f, "; cannot take part: {}", self.unable.join(", "))
        } else if !self.asking.is_empty() {
            write!(f, "; waits for {}", waited_for.join(", "))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_tells_for_whom_it_waits() {
        let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        let status = |unable: &[&str], asking: &[&str]| SyncGroupStatus {
            name: Arc::from("gateway"),
            state: State::Backup,
            members: names(&["outside", "inside"]),
            unable: names(unable),
            asking: names(asking),
        };
        assert_eq!(status(&[], &[]).to_string(), "backup");
        assert_eq!(status(&[], &["inside"]).to_string(), "backup; waits for outside");
        let unable = status(&["outside"], &["inside"]).to_string();
        assert_eq!(unable, "backup; cannot take part: outside");
    }
}
