//! Who answers for the virtual addresses, as a host on the same link finds out: the Master, and nobody else (RFC 9568 §6.4.2,
//! §6.4.3).

use core::net::SocketAddr;
use core::time::Duration;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::Command;

use lab::{Frame, Namespace};
use vrrp::{VirtualRouter, Vrid};

use crate::support::{INTERVAL, Pair, VIP, Wire, wait, web};

/// A third host on the switch.
pub(crate) fn host(pair: &Pair) -> Namespace {
    let host = Namespace::new().unwrap();
    pair.switch.attach(&host, "eth0", "port-c").unwrap();
    host.ip_batch(["addr add 192.0.2.3/24 dev eth0", "addr add 2001:db8::3/64 dev eth0 nodad"])
        .unwrap();
    host
}

/// Whether somebody takes packets for this address: a connection is refused then, within a second.
pub(crate) fn answers(host: &Namespace, address: &str) -> bool {
    let to = SocketAddr::new(address.parse().unwrap(), 9);
    let error = host.run(|| TcpStream::connect_timeout(&to, Duration::from_secs(1)).unwrap_err());
    error.kind() == ErrorKind::ConnectionRefused
}

fn mac(namespace: &Namespace) -> String {
    let output = namespace.output(Command::new("ip").args(["-o", "link", "show", "eth0"])).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = text.split_once("link/ether ").unwrap();
    rest.split(' ').next().unwrap().to_owned()
}

/// The ports that answers to "who has this address?" came in at.
fn ports(pair: &Pair, wire: &Wire, is_answer: impl Fn(&Frame) -> bool) -> Vec<&'static str> {
    let switch = pair.switch.namespace();
    let name = |frame: &Frame| {
        let is = |port: &&&str| switch.link_index(port).unwrap() == frame.link;
        *["port-a", "port-b", "port-c"].iter().find(is).expect("one of the ports")
    };
    let mut ports: Vec<_> =
        wire.drain().iter().filter(|frame| is_answer(frame)).map(name).collect();
    ports.dedup();
    ports
}

/// An ARP reply about 192.0.2.100.
pub(crate) fn is_arp_reply(frame: &Frame) -> bool {
    let message = frame.payload();
    frame.is_arp() && message[7] == 2 && message[14..18] == [192, 0, 2, 100]
}

/// A solicited neighbour advertisement of `2001:db8::100`.
pub(crate) fn is_solicited(frame: &Frame) -> bool {
    let packet = frame.payload();
    frame.is_ip_protocol(58)
        && packet[40] == 136
        && packet[44] & 0x40 != 0
        && packet[48..50] == [0x20, 0x01]
        && packet[62..64] == [0x01, 0x00]
}

#[test]
fn only_the_master_answers_arp_requests() {
    lab::need!(netns);
    let pair = Pair::new();
    let host = host(&pair);
    let (a, b) = (pair.start_a(web(200)), pair.start_b(web(100)));
    wait(&pair.a, VIP, true);
    wait(&pair.b, VIP, false);
    let wire = pair.capture();
    assert!(answers(&host, "192.0.2.100"));
    assert_eq!(ports(&pair, &wire, is_arp_reply), ["port-a"]);
    a.shutdown().unwrap();
    wait(&pair.b, VIP, true);
    host.ip("neighbour flush dev eth0").unwrap();
    wire.drain();
    assert!(answers(&host, "192.0.2.100"));
    assert_eq!(ports(&pair, &wire, is_arp_reply), ["port-b"]);
    b.shutdown().unwrap();
}

#[test]
fn only_the_master_takes_packets_for_the_addresses() {
    lab::need!(netns);
    let pair = Pair::new();
    let host = host(&pair);
    let (a, b) = (pair.start_a(web(200)), pair.start_b(web(100)));
    wait(&pair.a, VIP, true);
    wait(&pair.b, VIP, false);
    // Whoever the host believes to have the address.
    for (router, taken) in [(&pair.a, true), (&pair.b, false)] {
        let neighbour =
            format!("neighbour replace 192.0.2.100 lladdr {} nud permanent dev eth0", mac(router));
        host.ip(&neighbour).unwrap();
        assert_eq!(answers(&host, "192.0.2.100"), taken, "{neighbour}");
    }
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn only_the_master_answers_neighbour_solicitations() {
    lab::need!(netns);
    let pair = Pair::new();
    let host = host(&pair);
    let six = |priority| {
        VirtualRouter::new("six", Vrid::new(6).unwrap(), "eth0")
            .priority(priority)
            .advertisement_interval(INTERVAL)
            .address("fe80::100/64".parse().unwrap())
            .address("2001:db8::100/64".parse().unwrap())
            .candidate(true)
    };
    let (a, b) = (pair.start_a(six(200)), pair.start_b(six(100)));
    wait(&pair.a, "2001:db8::100/64", true);
    wait(&pair.b, "2001:db8::100/64", false);
    let wire = pair.capture();
    assert!(answers(&host, "2001:db8::100"));
    assert_eq!(ports(&pair, &wire, is_solicited), ["port-a"]);
    a.shutdown().unwrap();
    wait(&pair.b, "2001:db8::100/64", true);
    host.ip("neighbour flush dev eth0").unwrap();
    wire.drain();
    assert!(answers(&host, "2001:db8::100"));
    assert_eq!(ports(&pair, &wire, is_solicited), ["port-b"]);
    b.shutdown().unwrap();
}
