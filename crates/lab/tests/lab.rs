//! The lab itself: what the other crates' tests rely on.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use lab::{Bridge, Capture, Filter, Namespace, Node, Process, need, veth};

const PATIENCE: Duration = Duration::from_secs(10);

/// Two nodes on a cable, 192.0.2.1 and 192.0.2.2, both on `eth0`.
fn pair() -> (Namespace, Namespace) {
    let (left, right) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    veth(&left, "eth0", &right, "eth0").unwrap();
    left.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    right.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
    (left, right)
}

#[test]
fn sockets_stay_in_the_namespace_they_were_made_in() {
    need!(netns);
    let (left, right) = pair();
    assert_ne!(left.inode(), right.inode());
    let bind = |port| move || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let (sender, receiver) = (left.run(bind(0)), right.run(bind(9000)));
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    sender.send_to(b"hello", (Ipv4Addr::new(192, 0, 2, 2), 9000)).unwrap();
    let mut buffer = [0; 16];
    let (length, from) = receiver.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from.ip()), (&b"hello"[..], Ipv4Addr::new(192, 0, 2, 1).into()));
}

#[test]
fn a_capture_sees_only_what_its_filter_passes_and_when() {
    need!(netns);
    let (left, right) = pair();
    let capture = Capture::open(&right, "eth0", Filter::Failover).unwrap();
    let before = lab::now();
    // The datagram needs an ARP exchange first; only that passes the filter.
    let socket = left.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    socket.send_to(b"x", (Ipv4Addr::new(192, 0, 2, 2), 9000)).unwrap();
    let request =
        capture.find(PATIENCE, |frame| frame.is_arp().then(|| frame.clone())).unwrap().unwrap();
    assert!(!request.outgoing && request.link == right.link_index("eth0").unwrap());
    assert!(request.at >= before && request.at <= lab::now());
    let reply =
        capture.find(PATIENCE, |frame| frame.is_arp().then(|| frame.clone())).unwrap().unwrap();
    assert!(reply.outgoing && reply.at >= request.at);
    assert!(
        capture.drain().unwrap().iter().all(|frame| frame.is_arp() || frame.is_ip_protocol(58))
    );
}

#[test]
fn a_node_has_a_run_directory_of_its_own() {
    need!(netns);
    let (one, two) = (Node::new().unwrap(), Node::new().unwrap());
    let path = format!("/run/lab-{}.pid", std::process::id());
    one.run(|| std::fs::write(&path, "1")).unwrap();
    assert!(one.run(|| std::fs::exists(&path)).unwrap());
    assert!(!two.run(|| std::fs::exists(&path)).unwrap());
    assert!(!std::fs::exists(&path).unwrap());
}

#[test]
fn a_pulled_cable_takes_the_carrier_away() {
    need!(netns);
    let (switch, node) = (Bridge::new().unwrap(), Namespace::new().unwrap());
    switch.attach(&node, "ens33", "port1").unwrap();
    let carrier = |wanted: &str| {
        lab::eventually(PATIENCE, || {
            let shown =
                node.output(Command::new("ip").args(["-o", "link", "show", "ens33"])).unwrap();
            String::from_utf8_lossy(&shown.stdout).contains(wanted).then_some(())
        })
    };
    assert!(carrier("LOWER_UP").is_some());
    switch.unplug("port1").unwrap();
    assert!(carrier("NO-CARRIER").is_some());
    switch.plug("port1").unwrap();
    assert!(carrier("LOWER_UP").is_some());
}

#[test]
fn a_process_ends_with_its_owner() {
    need!(netns);
    let node = Namespace::new().unwrap();
    let shell = "echo ready; echo oops >&2; exec sleep 1000";
    let mut process =
        Process::start(&node, "sleeper", Command::new("sh").args(["-c", shell])).unwrap();
    assert!(process.wait_line("ready", PATIENCE).is_some());
    assert!(process.wait_line("oops", PATIENCE).is_some());
    assert!(process.ended().unwrap().is_none());
    assert!(!process.terminate().unwrap().success());
    let second = Process::start(&node, "sleeper", Command::new("sleep").arg("1000")).unwrap();
    let path = format!("/proc/{}", second.id());
    assert!(std::fs::exists(&path).unwrap());
    drop(second);
    assert!(!std::fs::exists(&path).unwrap());
}

#[test]
fn a_guest_kernel_has_ip_vs_and_hands_back_the_status() {
    need!(uml);
    let mut shell =
        lab::uml::Guest::new().timeout(Duration::from_secs(120)).command("/bin/sh".as_ref());
    let output =
        shell.args(["-c", "test -e /proc/net/ip_vs && echo $UML_RUN; exit 7"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
}
