//! Cables and switches: veth pairs and bridges.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::namespace::Namespace;

/// Lays a cable: `left_name` in `left` and `right_name` in `right`, both up.
pub fn veth(
    left: &Namespace,
    left_name: &str,
    right: &Namespace,
    right_name: &str,
) -> io::Result<()> {
    let path = right.path();
    left.ip_batch([
        format!("link add {left_name} type veth peer name {right_name} netns {path}").as_str(),
        format!("link set {left_name} up").as_str(),
    ])?;
    right.ip(&format!("link set {right_name} up"))
}

/// The index of the next port. Linux tells of a carrier at once where an interface and its other end have different indices, and else
/// not more than once a second (`linkwatch_urgent_event`, `net/core/link_watch.c`): two namespaces that count from 1 may agree.
static NEXT_PORT: AtomicU32 = AtomicU32::new(10_001);

/// A switch: a bridge in a namespace of its own, without spanning tree or learning delays.
#[derive(Debug)]
pub struct Bridge {
    namespace: Namespace,
}

impl Bridge {
    /// A switch without cables.
    pub fn new() -> io::Result<Self> {
        let namespace = Namespace::new()?;
        namespace.ip_batch([
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            "link set br0 up",
        ])?;
        Ok(Self { namespace })
    }

    /// Plugs `node` in: its interface is `name`, the switch's port is `port` (15 letters at most).
    pub fn attach(&self, node: &Namespace, name: &str, port: &str) -> io::Result<()> {
        let (path, index) = (node.path(), NEXT_PORT.fetch_add(1, Ordering::Relaxed));
        self.namespace.ip_batch([
            format!("link add {port} index {index} type veth peer name {name} netns {path}")
                .as_str(),
            format!("link set {port} master br0 up").as_str(),
        ])?;
        node.ip(&format!("link set {name} up"))
    }

    /// Pulls the cable out of `port`: the node sees its carrier go.
    pub fn unplug(&self, port: &str) -> io::Result<()> {
        self.namespace.ip(&format!("link set {port} down"))
    }

    /// Puts the cable back into `port`.
    pub fn plug(&self, port: &str) -> io::Result<()> {
        self.namespace.ip(&format!("link set {port} up"))
    }

    /// The namespace of the switch, for captures on its ports.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}
