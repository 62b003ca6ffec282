//! Options of an instance whose effect is seen outside, by keepalived 2.2.7 and by vipd on one file.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod scene;

use std::process::Command;

use lab::peers::Daemon;
use lab::{Capture, Filter, Frame, Namespace, Node, Process};

use scene::{Advertisement, PATIENCE, fast, vipd};

struct Running {
    node: Node,
    _outside: Namespace,
    capture: Capture,
    process: Process,
    _directory: tempfile::TempDir,
}

fn start(daemon: &Daemon, lines: &str) -> Running {
    let (node, outside) = (Node::new().unwrap(), Namespace::new().unwrap());
    lab::veth(&node, "eth0", &outside, "eth0").unwrap();
    node.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    let capture = Capture::open(&outside, "eth0", Filter::Failover).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.conf");
    let lines = format!("{lines}\nadvert_int");
    std::fs::write(&path, fast("web", 9, "192.0.2.109/24").replace("advert_int", &lines)).unwrap();
    let process = daemon.start(&node, &path).unwrap();
    Running { node, _outside: outside, capture, process, _directory: directory }
}

impl Running {
    fn shown(&self, arguments: &str) -> String {
        let mut ip = Command::new("ip");
        let shown = self.node.output(ip.args(arguments.split(' '))).unwrap();
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    /// Waits until `ip ARGUMENTS` shows this, or does not.
    fn wait(&self, arguments: &str, text: &str, present: bool) {
        let there = || (self.shown(arguments).contains(text) == present).then_some(());
        let seen = lab::eventually(PATIENCE, there);
        assert!(seen.is_some(), "{text:?} in {}{}", self.shown(arguments), self.process.log());
    }
}

fn both() -> [Daemon; 2] {
    [Daemon::Keepalived, Daemon::Vipd(vipd())]
}

#[test]
fn routes_and_rules_come_and_go_with_the_addresses() {
    lab::need!(netns, root, keepalived);
    let lines = "virtual_routes {\n10.1.0.0/16 via 192.0.2.254 dev eth0 metric 5\nblackhole 10.2.0.0/16\nsrc 192.0.2.109 to 10.3.0.0/16 via 192.0.2.253\n}\nvirtual_rules {\nfrom 10.9.0.0/24 table 100 priority 77\n}\n";
    for daemon in both() {
        let mut running = start(&daemon, lines);
        for route in [
            "10.1.0.0/16 via 192.0.2.254 dev eth0 proto keepalived metric 5",
            "blackhole 10.2.0.0/16 proto keepalived",
            "10.3.0.0/16 via 192.0.2.253 dev eth0 proto keepalived src 192.0.2.109",
        ] {
            running.wait("route show", route, true);
        }
        running.wait("rule show", "77:\tfrom 10.9.0.0/24 lookup 100", true);
        assert_eq!(
            running.process.terminate().unwrap().code(),
            Some(0),
            "{}",
            running.process.log()
        );
        running.wait("route show", "keepalived", false);
        running.wait("rule show", "77:", false);
    }
}

#[test]
fn a_virtual_mac_address_carries_advertisements_and_addresses() {
    lab::need!(netns, root, keepalived, macvlan);
    for daemon in both() {
        for (lines, name) in [("use_vmac", "vrrp.9"), ("use_vmac web0", "web0")] {
            let mut running = start(&daemon, lines);
            let of = |frame: &Frame| Advertisement::of(frame).map(|_| frame.source_mac());
            let source = running.capture.find(PATIENCE, of).unwrap();
            assert_eq!(source, Some(Some([0, 0, 0x5e, 0, 1, 9])), "{}", running.process.log());
            running.wait(&format!("-o addr show dev {name}"), "192.0.2.109/24", true);
            assert_eq!(
                running.process.terminate().unwrap().code(),
                Some(0),
                "{}",
                running.process.log()
            );
            running.wait("link show", name, false);
        }
    }
}
