//! Which of two daemons is master, when, and of what: sync groups, and the owner's priority. keepalived is the judge.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use lab::peers::Daemon;
use lab::{Bridge, Capture, Filter, Frame, Node, Process};

const PATIENCE: Duration = Duration::from_secs(15);

/// Two hosts on two switches: `eth0` 192.0.2.1 and .2, `eth1` 10.0.0.1 and .2; ports `port-a` and `port-b`.
struct Pair {
    a: Node,
    b: Node,
    outside: Bridge,
    inside: Bridge,
    directory: tempfile::TempDir,
}

const OUTSIDE: &str = "192.0.2.100/24";
const INSIDE: &str = "10.0.0.100/24";

impl Pair {
    fn new() -> Self {
        let (a, b) = (Node::new().unwrap(), Node::new().unwrap());
        let (outside, inside) = (Bridge::new().unwrap(), Bridge::new().unwrap());
        for (node, port, last) in [(&a, "port-a", 1), (&b, "port-b", 2)] {
            outside.attach(node, "eth0", port).unwrap();
            inside.attach(node, "eth1", port).unwrap();
            node.ip(&format!("addr add 192.0.2.{last}/24 dev eth0")).unwrap();
            node.ip(&format!("addr add 10.0.0.{last}/24 dev eth1")).unwrap();
        }
        Self { a, b, outside, inside, directory: tempfile::tempdir().unwrap() }
    }

    fn start(&self, daemon: &Daemon, node: &Node, file: &str, text: &str) -> Process {
        let path = self.directory.path().join(file);
        std::fs::write(&path, text).unwrap();
        daemon.start(node, &path).unwrap()
    }

    /// A gateway of both links on each host, host `a` the better one; waits until it is master.
    fn gateways(&self, daemons: [&Daemon; 2], group: &str) -> [Process; 2] {
        let text = |priority| {
            instance("outside", 51, "eth0", priority, OUTSIDE)
                + &instance("inside", 52, "eth1", priority, INSIDE)
                + group
        };
        let a = self.start(daemons[0], &self.a, "a.conf", &text(200));
        wait(&self.a, &[OUTSIDE, INSIDE], true, &a);
        let b = self.start(daemons[1], &self.b, "b.conf", &text(100));
        [a, b]
    }
}

const GROUP: &str = "vrrp_sync_group gateway {\ngroup {\noutside\ninside\n}\n}\n";

fn vipd() -> Daemon {
    Daemon::Vipd(PathBuf::from(env!("CARGO_BIN_EXE_vipd")))
}

fn instance(name: &str, vrid: u8, interface: &str, priority: u8, address: &str) -> String {
    format!(
        "vrrp_instance {name} {{\nversion 3\nstate BACKUP\ninterface {interface}\nvirtual_router_id {vrid}\npriority {priority}\nadvert_int 0.1\nvirtual_ipaddress {{\n{address}\n}}\n}}\n"
    )
}

fn has(node: &Node, address: &str) -> bool {
    let shown = node.output(Command::new("ip").args(["-o", "addr"])).unwrap();
    String::from_utf8_lossy(&shown.stdout).contains(&format!(" {address} "))
}

fn wait(node: &Node, addresses: &[&str], present: bool, daemon: &Process) {
    for address in addresses {
        let seen = lab::eventually(PATIENCE, || (has(node, address) == present).then_some(()));
        assert!(seen.is_some(), "{address} present: {present}? {}", daemon.log());
    }
}

/// When, VRID and priority of an IPv4 advertisement.
fn advertisement(frame: &Frame) -> Option<(Duration, u8, u8)> {
    let is_one =
        frame.is_vrrp() && frame.ethertype() == 0x0800 && frame.payload().first() == Some(&0x45);
    let message = frame.payload().get(20..).filter(|_| is_one)?;
    Some((frame.at, *message.get(1)?, *message.get(2)?))
}

fn one_link_moves_both(daemons: [&Daemon; 2]) {
    let pair = Pair::new();
    let [mut a, mut b] = pair.gateways(daemons, GROUP);
    let both = [OUTSIDE, INSIDE];
    for link in [&pair.outside, &pair.inside] {
        link.unplug("port-a").unwrap();
        wait(&pair.b, &both, true, &b);
        wait(&pair.a, &both, false, &a);
        link.plug("port-a").unwrap();
        wait(&pair.a, &both, true, &a);
        wait(&pair.b, &both, false, &b);
    }
    assert_eq!(a.terminate().unwrap().code(), Some(0), "{}", a.log());
    wait(&pair.b, &both, true, &b);
    assert_eq!(b.terminate().unwrap().code(), Some(0), "{}", b.log());
    assert!(both.iter().all(|address| !has(&pair.a, address) && !has(&pair.b, address)));
}

#[test]
fn the_loss_of_one_link_moves_the_addresses_of_the_group() {
    lab::need!(netns);
    one_link_moves_both([&vipd(), &vipd()]);
}

#[test]
fn the_loss_of_one_link_moves_the_addresses_of_the_group_to_keepalived() {
    lab::need!(netns, keepalived);
    one_link_moves_both([&vipd(), &Daemon::Keepalived]);
}

#[test]
fn the_loss_of_one_link_moves_the_addresses_of_the_group_from_keepalived() {
    lab::need!(netns, keepalived);
    one_link_moves_both([&Daemon::Keepalived, &vipd()]);
}

/// The control: without the group the healthy link stays where it is.
#[test]
fn without_a_group_only_the_address_of_the_lost_link_moves() {
    lab::need!(netns);
    let pair = Pair::new();
    let [a, b] = pair.gateways([&vipd(), &vipd()], "");
    pair.outside.unplug("port-a").unwrap();
    wait(&pair.b, &[OUTSIDE], true, &b);
    wait(&pair.a, &[OUTSIDE], false, &a);
    let capture = Capture::open_all(pair.inside.namespace(), Filter::Failover).unwrap();
    for _ in 0..20 {
        let seen = capture.find(PATIENCE, advertisement).unwrap();
        assert!(matches!(seen, Some((_, 52, 200))), "{seen:?}");
    }
    assert!(has(&pair.a, INSIDE) && !has(&pair.b, INSIDE), "in here, out there");
}

/// One daemon with three instances of priority 255 and an interval of 1 s: with `state MASTER`, without, and with `state BACKUP`.
fn who_waits_with_priority_255(daemon: &Daemon) {
    let pair = Pair::new();
    let _lock = lab::time_lock();
    let capture = Capture::open_all(pair.outside.namespace(), Filter::Failover).unwrap();
    let owner = |name: &str, vrid: u8, state: &str| {
        instance(name, vrid, "eth0", 255, &format!("192.0.2.{vrid}"))
            .replace("advert_int 0.1", "advert_int 1")
            .replace("state BACKUP\n", state)
    };
    let text = owner("master", 101, "state MASTER\n")
        + &owner("silent", 102, "")
        + &owner("backup", 103, "state BACKUP\n");
    let process = pair.start(daemon, &pair.a, "a.conf", &text);
    let mut first = BTreeMap::new();
    while first.len() < 3 {
        let seen = capture.find(PATIENCE, advertisement).unwrap();
        let Some((at, vrid, priority)) = seen else { break };
        assert_eq!(priority, 255);
        first.entry(vrid).or_insert(at);
    }
    let [Some(master), Some(silent), Some(backup)] = [101, 102, 103].map(|vrid| first.get(&vrid))
    else {
        unreachable!("{first:?} {}", process.log())
    };
    let second = Duration::from_secs(1);
    assert!(silent.abs_diff(*master) < second, "{first:?}");
    // Three intervals and the skew time, 1/256 s.
    assert!((second * 3..second * 4).contains(&backup.saturating_sub(*master)), "{first:?}");
}

#[test]
fn priority_255_waits_with_state_backup_only() {
    lab::need!(netns);
    who_waits_with_priority_255(&vipd());
}

#[test]
fn priority_255_waits_with_state_backup_only_in_keepalived() {
    lab::need!(netns, keepalived);
    who_waits_with_priority_255(&Daemon::Keepalived);
}

/// In version 2, where the owner of RFC 3768 is deaf. (Of two owners keepalived lowers itself to 254, whatever its address.)
#[test]
fn of_two_owners_the_greater_address_remains() {
    lab::need!(netns);
    let pair = Pair::new();
    let text = instance("web", 51, "eth0", 255, OUTSIDE)
        .replace("version 3\nstate BACKUP", "version 2\nstate MASTER")
        .replace("advert_int 0.1", "advert_int 1");
    let a = pair.start(&vipd(), &pair.a, "a.conf", &text);
    wait(&pair.a, &[OUTSIDE], true, &a);
    let b = pair.start(&vipd(), &pair.b, "b.conf", &text);
    wait(&pair.b, &[OUTSIDE], true, &b);
    wait(&pair.a, &[OUTSIDE], false, &a);
    assert!(has(&pair.b, OUTSIDE), "{}", b.log());
}
