//! Two routers on one cable or switch, watched from outside.

use core::time::Duration;

use lab::{Capture, Filter, Frame, Namespace};
use vrrp::{RouterBuilder, VirtualRouter, Vrid};

/// The VRID of the tests.
pub(crate) const VRID: u8 = 51;
/// Long enough for anything; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

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

    /// A capture of everything on the switch.
    pub(crate) fn capture(&self) -> Capture {
        Capture::open_all(self.switch.namespace(), Filter::Failover).unwrap()
    }

    pub(crate) fn builder(&self) -> RouterBuilder {
        vrrp::Router::builder().run_directory(self.run.path())
    }
}

/// A virtual router of priority `priority` with an interval of 50 ms and 192.0.2.100.
pub(crate) fn web(priority: u8) -> VirtualRouter {
    VirtualRouter::new("web", Vrid::new(VRID).unwrap(), "eth0")
        .priority(priority)
        .advertisement_interval(Duration::from_millis(50))
        .address("192.0.2.100/24".parse().unwrap())
        .candidate(true)
}

/// Whether the kernel of this namespace has the address.
pub(crate) fn has(namespace: &Namespace, address: &str) -> bool {
    addresses(namespace).contains(&format!(" {address}"))
}

/// What `ip address` shows.
pub(crate) fn addresses(namespace: &Namespace) -> String {
    let output = namespace.output(std::process::Command::new("ip").args(["-o", "addr"])).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the kernel has, or has no more, the address.
pub(crate) fn wait(namespace: &Namespace, address: &str, present: bool) {
    let seen = lab::eventually(PATIENCE, || (has(namespace, address) == present).then_some(()));
    assert!(seen.is_some(), "{address} present: {present}?\n{}", addresses(namespace));
}

/// The IPv4 advertisements among the frames that came in: source's last octet, VRID, priority.
pub(crate) fn advertisement(frame: &Frame) -> Option<(u8, u8, u8)> {
    let packet = frame.payload();
    let header = usize::from(*packet.first()? & 0x0f) * 4;
    (!frame.outgoing && frame.is_vrrp() && frame.ethertype() == 0x0800)
        .then(|| Some((*packet.get(15)?, *packet.get(header + 1)?, *packet.get(header + 2)?)))?
}
