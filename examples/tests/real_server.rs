//! The example `real_server` in a network namespace of its own, watched from outside.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lab::{Capture, Filter, Namespace, Node, Process, eventually, veth};

const PATIENCE: Duration = Duration::from_secs(10);
const ADDRESSES: [&str; 2] = ["192.168.1.100", "2001:db8::100"];

/// `cargo test` builds the examples of a package beside its tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/real_server");
    assert!(
        program.exists(),
        "{} is missing: cargo build -p examples --examples",
        program.display()
    );
    program
}

fn start(node: &Node) -> Process {
    let server =
        Process::start(node, "real_server", Command::new(program()).args(ADDRESSES)).unwrap();
    assert!(server.wait_line("holding", PATIENCE).is_some(), "{}", server.log());
    server
}

/// What `ip` shows on `lo`, and the four sysctls.
fn state(node: &Node) -> (Vec<bool>, String) {
    let shown =
        node.output(Command::new("ip").args(["-oneline", "address", "show", "dev", "lo"])).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let held = ADDRESSES.iter().map(|address| shown.contains(&format!(" {address}/"))).collect();
    let sysctl =
        |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}")).unwrap();
    let names = ["all/arp_ignore", "all/arp_announce", "lo/arp_ignore", "lo/arp_announce"];
    (held, node.run(|| names.map(|name| sysctl(name).trim().to_owned()).join(" ")))
}

fn before() -> (Vec<bool>, String) {
    (vec![false; 2], "0 0 0 0".to_owned())
}

fn holding() -> (Vec<bool>, String) {
    (vec![true; 2], "1 2 1 2".to_owned())
}

#[test]
fn sigterm_leaves_everything_as_it_was() {
    lab::need!(netns);
    let node = Node::new().unwrap();
    assert_eq!(state(&node), before());
    let mut server = start(&node);
    assert_eq!(state(&node), holding());
    assert!(server.terminate().unwrap().success(), "{}", server.log());
    assert_eq!(state(&node), before());
    node.run(|| assert!(!std::path::Path::new("/run/real_server.journal").exists()));
}

#[test]
fn after_a_kill_the_next_start_takes_over_and_cleans_up() {
    lab::need!(netns);
    let node = Node::new().unwrap();
    start(&node).kill().unwrap();
    assert_eq!(state(&node), holding(), "nobody could clean up");
    let mut server = start(&node);
    assert!(
        server.wait_line("undoing what was left: 192.168.1.100/32", PATIENCE).is_some(),
        "{}",
        server.log()
    );
    assert_eq!(state(&node), holding());
    assert!(server.terminate().unwrap().success(), "{}", server.log());
    assert_eq!(state(&node), before());
}

#[test]
fn what_an_administrator_set_stays() {
    lab::need!(netns);
    let node = Node::new().unwrap();
    node.ip("address add 192.168.1.100/32 dev lo").unwrap();
    node.sysctl("net/ipv4/conf/all/arp_ignore", "1").unwrap();
    let mut server = start(&node);
    assert_eq!(state(&node), holding());
    assert!(server.terminate().unwrap().success(), "{}", server.log());
    assert_eq!(state(&node), (vec![true, false], "1 0 0 0".to_owned()));
}

#[test]
fn a_second_one_names_the_first() {
    lab::need!(netns);
    let node = Node::new().unwrap();
    let server = start(&node);
    let second = node.output(Command::new(program()).arg("192.168.1.101")).unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        !second.status.success() && said.contains(&format!("in use by process {}", server.id())),
        "{said}"
    );
}

/// Makes `client` ask by ARP for the virtual address and then for the server's own; who answers until the second is answered?
fn answers(client: &Namespace) -> Vec<[u8; 4]> {
    let capture = Capture::open(client, "eth1", Filter::Failover).unwrap();
    client.ip("neighbour flush dev eth1").unwrap();
    client.run(|| {
        let socket = UdpSocket::bind("192.168.1.1:0").unwrap();
        for address in ["192.168.1.100:9", "192.168.1.2:9"] {
            socket.send_to(b"?", address).unwrap();
        }
    });
    let mut answers = Vec::new();
    while answers.last() != Some(&[192, 168, 1, 2]) {
        let reply = |message: &[u8]| {
            (message.get(7) == Some(&2)).then(|| message[14..18].try_into().unwrap())
        };
        let answer = capture
            .find(PATIENCE, |frame| if frame.is_arp() { reply(frame.payload()) } else { None });
        answers.push(answer.unwrap().expect("the server answers for its own address"));
    }
    answers
}

#[test]
fn arp_is_answered_for_the_own_address_only() {
    lab::need!(netns);
    let (node, client) = (Node::new().unwrap(), Namespace::new().unwrap());
    veth(&node, "eth0", &client, "eth1").unwrap();
    node.ip("address add 192.168.1.2/24 dev eth0").unwrap();
    client.ip("address add 192.168.1.1/24 dev eth1").unwrap();
    // Until the kernel has noticed the carrier at both ends it loses frames without a word.
    for (end, name) in [(&*node, "eth0"), (&client, "eth1")] {
        let mut kernel = end.run(vip_netlink::Client::open).unwrap();
        eventually(PATIENCE, || kernel.link(name).unwrap().up.then_some(())).expect(name);
    }
    // Without the example's sysctls the address on `lo` would be answered for.
    node.ip("address add 192.168.1.100/32 dev lo").unwrap();
    assert_eq!(answers(&client), [[192, 168, 1, 100], [192, 168, 1, 2]]);
    node.ip("address del 192.168.1.100/32 dev lo").unwrap();
    let _server = start(&node);
    assert_eq!(answers(&client), [[192, 168, 1, 2]]);
}
