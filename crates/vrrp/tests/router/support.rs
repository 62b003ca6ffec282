//! Two routers on one switch, watched from outside.

use core::time::Duration;
use std::process::Command;

use lab::{Capture, Filter, Frame, Namespace};
use vrrp::{RouterBuilder, RunningRouter, VirtualRouter, Vrid};

/// The VRID of the tests.
pub(crate) const VRID: u8 = 51;
/// The virtual address of the tests.
pub(crate) const VIP: &str = "192.0.2.100/24";
/// The advertisement interval of the tests.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// Long enough for anything; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// What a busy machine may add to a deadline: less than what tells a skew time from a master-down interval. How late we
/// really are is measured by `cargo xtask bench failover`.
pub(crate) const SLACK: Duration = Duration::from_millis(100);

/// Two namespaces on a switch, `eth0` in each with 192.0.2.1 or .2, ports `port-a` and `port-b`.
pub(crate) struct Pair {
    pub(crate) a: Namespace,
    pub(crate) b: Namespace,
    pub(crate) switch: lab::Bridge,
    pub(crate) run: tempfile::TempDir,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let (a, b) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let switch = lab::Bridge::new().unwrap();
        switch.attach(&a, "eth0", "port-a").unwrap();
        switch.attach(&b, "eth0", "port-b").unwrap();
        a.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        b.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
        Self { a, b, switch, run: tempfile::tempdir().unwrap() }
    }

    /// A capture of what comes in at the switch's ports.
    pub(crate) fn capture(&self) -> Wire {
        let switch = self.switch.namespace();
        Wire::new(Capture::open_all(switch, Filter::Failover).unwrap(), switch)
    }

    pub(crate) fn builder(&self) -> RouterBuilder {
        vrrp::Router::builder().run_directory(self.run.path())
    }

    pub(crate) fn start_a(&self, virtual_router: VirtualRouter) -> RunningRouter {
        self.a.run(|| self.builder().virtual_router(virtual_router).start()).unwrap()
    }

    pub(crate) fn start_b(&self, virtual_router: VirtualRouter) -> RunningRouter {
        self.b.run(|| self.builder().virtual_router(virtual_router).start()).unwrap()
    }
}

/// Frames that came in at the switch's ports.
pub(crate) struct Wire {
    capture: Capture,
    bridge: u32,
}

impl Wire {
    /// A frame is seen on its port and, if it is for all, on the bridge itself once more.
    pub(crate) fn new(capture: Capture, switch: &Namespace) -> Self {
        Self { capture, bridge: switch.link_index("br0").unwrap() }
    }

    /// The first frame for which `wanted` gives something, within [`PATIENCE`].
    pub(crate) fn find<T>(&self, wanted: impl Fn(&Frame) -> Option<T>) -> Option<T> {
        let came_in = |frame: &Frame| !frame.outgoing && frame.link != self.bridge;
        self.capture
            .find(PATIENCE, |frame| came_in(frame).then(|| wanted(frame)).flatten())
            .unwrap()
    }

    /// All that are queued now.
    pub(crate) fn drain(&self) -> Vec<Frame> {
        let mut frames = self.capture.drain().unwrap();
        frames.retain(|frame| !frame.outgoing && frame.link != self.bridge);
        frames
    }
}

/// A virtual router `web` on `eth0` with [`VIP`] that stands for election from the start.
pub(crate) fn web(priority: u8) -> VirtualRouter {
    observer(priority).candidate(true)
}

/// The same, which waits for a campaign.
pub(crate) fn observer(priority: u8) -> VirtualRouter {
    VirtualRouter::new("web", Vrid::new(VRID).unwrap(), "eth0")
        .priority(priority)
        .advertisement_interval(INTERVAL)
        .address(VIP.parse().unwrap())
}

/// `Skew_Time` of version 3 at [`INTERVAL`] (RFC 9568 §6.1).
pub(crate) fn skew(priority: u8) -> Duration {
    INTERVAL * (256 - u32::from(priority)) / 256
}

/// What `ip address` shows.
pub(crate) fn addresses(namespace: &Namespace) -> String {
    let output = namespace.output(Command::new("ip").args(["-o", "addr"])).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether the kernel of this namespace has the address, given with its prefix length.
pub(crate) fn has(namespace: &Namespace, address: &str) -> bool {
    addresses(namespace).contains(&format!(" {address} "))
}

/// Waits until the kernel has, or has no more, the address.
pub(crate) fn wait(namespace: &Namespace, address: &str, present: bool) {
    let seen = lab::eventually(PATIENCE, || (has(namespace, address) == present).then_some(()));
    assert!(seen.is_some(), "{address} present: {present}?\n{}", addresses(namespace));
}

/// An IPv4 advertisement that came in at the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The last octet of its source.
    pub(crate) from: u8,
    /// The last octet of its destination.
    pub(crate) to: u8,
    pub(crate) version: u8,
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
    /// The IPv4 identification, one more with each advertisement of one router.
    pub(crate) identification: u16,
    pub(crate) at: Duration,
}

/// The frame as an IPv4 advertisement.
pub(crate) fn advertisement(frame: &Frame) -> Option<Seen> {
    if !frame.is_vrrp() || frame.ethertype() != 0x0800 {
        return None;
    }
    let packet = frame.payload();
    let message = packet.get(usize::from(*packet.first()? & 0x0f) * 4..)?;
    Some(Seen {
        from: *packet.get(15)?,
        to: *packet.get(19)?,
        version: *message.first()? >> 4,
        vrid: *message.get(1)?,
        priority: *message.get(2)?,
        identification: u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]),
        at: frame.at,
    })
}

/// The next advertisement from this host with this priority.
pub(crate) fn next(wire: &Wire, from: u8, priority: u8) -> Seen {
    let wanted = |frame: &Frame| {
        advertisement(frame).filter(|seen| (seen.from, seen.priority) == (from, priority))
    };
    let seen = wire.find(wanted);
    seen.unwrap_or_else(|| panic!("no advertisement from .{from} with priority {priority}"))
}

/// `last` and all advertisements after it, until the first from this host.
pub(crate) fn until_first_from(wire: &Wire, last: Seen, from: u8) -> Vec<Seen> {
    let mut all = vec![last];
    loop {
        let seen = wire.find(advertisement);
        let seen = seen.unwrap_or_else(|| panic!("no advertisement from .{from}: {all:?}"));
        all.push(seen);
        if seen.from == from {
            return all;
        }
    }
}

/// Asserts that `later` is `expected` after `earlier`: never too early, and late by little.
pub(crate) fn assert_after(earlier: Duration, later: Duration, expected: Duration) {
    let took = later.saturating_sub(earlier);
    // The moments are those of the frames; the timer started when the earlier one was read.
    let early = Duration::from_micros(500);
    assert!(took + early >= expected, "{took:?}, {expected:?} are due: too early");
    assert!(took <= expected + SLACK, "{took:?}, {expected:?} are due: too late");
}
