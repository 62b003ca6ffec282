//! The virtual MAC address, as the switch and a host on it see it (RFC 9568 §7.3, §8.1.2, §8.2.2).

use std::process::Command;

use lab::{Frame, Namespace};
use vrrp::{VirtualMac, VirtualRouter, Vrid};

use crate::child::Child;
use crate::neighbours::{answers, host, is_arp_reply, is_solicited};
use crate::support::{
    INTERVAL, PATIENCE, Pair, VIP, VRID, Wire, addresses, advertisement, has, next, wait, web,
};

const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, VRID];
const MAC6: [u8; 6] = [0, 0, 0x5e, 0, 2, 6];

fn with_mac(priority: u8) -> VirtualRouter {
    web(priority).virtual_mac(VirtualMac::new())
}

fn links(namespace: &Namespace) -> String {
    let output = namespace.output(Command::new("ip").args(["-o", "link"])).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn value(namespace: &Namespace, name: &str) -> String {
    let read = || std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}")).unwrap();
    namespace.run(read).trim().to_owned()
}

/// The sources of all frames queued that `wanted` picks.
fn sources(wire: &Wire, wanted: impl Fn(&Frame) -> bool) -> Vec<[u8; 6]> {
    let mut macs: Vec<[u8; 6]> =
        wire.drain().iter().filter(|frame| wanted(frame)).filter_map(Frame::source_mac).collect();
    macs.sort_unstable();
    macs.dedup();
    macs
}

#[test]
fn advertisements_announcements_and_answers_carry_the_virtual_mac() {
    lab::need!(netns, macvlan);
    let pair = Pair::new();
    let host = host(&pair);
    let wire = pair.capture();
    let (a, b) = (pair.start_a(with_mac(200)), pair.start_b(with_mac(100)));
    wait(&pair.a, VIP, true);
    assert!(addresses(&pair.a).contains("vrrp.51    inet 192.0.2.100/24"), "on its own interface");
    let announcement = |frame: &Frame| {
        let arp = frame.payload();
        (frame.is_arp() && arp[14..18] == [192, 0, 2, 100] && arp[24..28] == arp[14..18])
            .then(|| (frame.source_mac().unwrap(), <[u8; 6]>::try_from(&arp[8..14]).unwrap()))
    };
    assert_eq!(wire.find(announcement), Some((MAC, MAC)), "the gratuitous ARP");
    for _ in 0..3 {
        next(&wire, 1, 200);
    }
    assert!(!has(&pair.b, VIP), "the Backup hears a Master with its own virtual MAC address");
    wire.drain();
    assert!(answers(&host, "192.0.2.100"));
    next(&wire, 1, 200);
    // Asked again: broadcasts reach the real interface, too.
    host.ip("neighbour flush dev eth0").unwrap();
    assert!(answers(&host, "192.0.2.100"));
    let frames = wire.drain();
    let replies: Vec<_> = frames.iter().filter(|frame| is_arp_reply(frame)).collect();
    assert!(!replies.is_empty());
    assert!(
        replies
            .iter()
            .all(|frame| { frame.source_mac() == Some(MAC) && frame.payload()[8..14] == MAC })
    );
    let advertisements: Vec<_> =
        frames.iter().filter(|frame| advertisement(frame).is_some()).collect();
    assert!(advertisements.iter().all(|frame| frame.source_mac() == Some(MAC)));
    // The address and its MAC address move; the host asks nobody.
    host.ip("neighbour replace 192.0.2.100 lladdr 00:00:5e:00:01:33 nud permanent dev eth0")
        .unwrap();
    a.shutdown().unwrap();
    wait(&pair.b, VIP, true);
    let served = lab::eventually(PATIENCE, || answers(&host, "192.0.2.100").then_some(()));
    assert!(served.is_some(), "with the same MAC address at another host");
    assert!(!links(&pair.a).contains("vrrp.51"), "nothing is left:\n{}", links(&pair.a));
    for key in ["arp_ignore", "arp_filter", "arp_announce"] {
        assert_eq!(value(&pair.a, &format!("eth0/{key}")), "0", "{key} is as it was");
        assert_ne!(value(&pair.b, &format!("eth0/{key}")), "0", "{key}");
    }
    b.shutdown().unwrap();
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn ipv6_has_its_own_virtual_mac() {
    lab::need!(netns, macvlan);
    let pair = Pair::new();
    let host = host(&pair);
    let six = |priority| {
        VirtualRouter::new("six", Vrid::new(6).unwrap(), "eth0")
            .virtual_mac(VirtualMac::new().interface("six0"))
            .priority(priority)
            .advertisement_interval(INTERVAL)
            .address("fe80::100/64".parse().unwrap())
            .address("2001:db8::100/64".parse().unwrap())
            .candidate(true)
    };
    let wire = pair.capture();
    let (a, b) = (pair.start_a(six(200)), pair.start_b(six(100)));
    wait(&pair.a, "2001:db8::100/64", true);
    assert!(links(&pair.a).contains("six0@eth0"));
    assert!(answers(&host, "2001:db8::100"));
    assert!(!has(&pair.b, "2001:db8::100/64"));
    let frames = wire.drain();
    let from = |wanted: &dyn Fn(&Frame) -> bool| {
        let mut macs: Vec<_> =
            frames.iter().filter(|frame| wanted(frame)).filter_map(Frame::source_mac).collect();
        macs.dedup();
        macs
    };
    assert_eq!(from(&|frame| frame.is_vrrp()), [MAC6]);
    assert_eq!(from(&|frame| is_solicited(frame)), [MAC6]);
    let unsolicited = |frame: &Frame| {
        let packet = frame.payload();
        frame.is_ip_protocol(58)
            && packet[40] == 136
            && packet[24..40] == [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
            && packet[48..50] == [0x20, 0x01]
    };
    assert_eq!(from(&unsolicited), [MAC6]);
    a.shutdown().unwrap();
    wait(&pair.b, "2001:db8::100/64", true);
    b.shutdown().unwrap();
}

#[test]
fn advertisements_may_leave_with_the_real_mac() {
    lab::need!(netns, macvlan);
    let pair = Pair::new();
    let host = host(&pair);
    let wire = pair.capture();
    let real = |priority| web(priority).virtual_mac(VirtualMac::new().advertise_from_parent(true));
    let (a, b) = (pair.start_a(real(200)), pair.start_b(real(100)));
    wait(&pair.a, VIP, true);
    for _ in 0..4 {
        let advertised = |frame: &Frame| advertisement(frame).and(frame.source_mac());
        assert_ne!(wire.find(advertised).expect("an advertisement"), MAC);
    }
    assert!(!has(&pair.b, VIP));
    assert!(answers(&host, "192.0.2.100"));
    assert_eq!(sources(&wire, is_arp_reply), [MAC]);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

/// The control: without it the frames come from the interface's own MAC address.
#[test]
fn without_a_virtual_mac_the_real_one_is_seen() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    let wire = pair.capture();
    next(&wire, 1, 200);
    wait(&pair.a, VIP, true);
    assert!(!sources(&wire, |frame| frame.is_arp() || frame.is_vrrp()).contains(&MAC));
    a.shutdown().unwrap();
}

#[test]
fn what_a_killed_process_left_is_removed_and_made_anew() {
    lab::need!(netns, macvlan);
    let pair = Pair::new();
    let mut child = Child::start_kind(&pair.a, pair.run.path(), 200, "mac");
    wait(&pair.a, VIP, true);
    child.kill();
    assert!(has(&pair.a, VIP) && links(&pair.a).contains("vrrp.51@eth0"));
    // Without one: the interface goes, and the settings are put back.
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    assert!(!links(&pair.a).contains("vrrp.51"));
    assert_eq!(value(&pair.a, "eth0/arp_ignore"), "0");
    a.shutdown().unwrap();
    let mut child = Child::start_kind(&pair.a, pair.run.path(), 200, "mac");
    wait(&pair.a, VIP, true);
    child.kill();
    // With one: it is made anew, and the settings are ours again.
    let a = pair.start_a(with_mac(200));
    wait(&pair.a, VIP, true);
    assert_eq!(value(&pair.a, "eth0/arp_ignore"), "1");
    a.shutdown().unwrap();
    assert_eq!(value(&pair.a, "eth0/arp_ignore"), "0");
    assert!(!links(&pair.a).contains("vrrp.51") && !has(&pair.a, VIP));
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn an_interface_that_is_deleted_with_the_one_below_comes_back_with_it() {
    lab::need!(netns, macvlan);
    let pair = Pair::new();
    let a = pair.start_a(with_mac(200));
    wait(&pair.a, VIP, true);
    // Only the one of the virtual MAC address: it is made again at once.
    pair.a.ip("link del vrrp.51").unwrap();
    let back = || addresses(&pair.a).contains("vrrp.51    inet 192.0.2.100/24");
    lab::eventually(PATIENCE, || back().then_some(())).expect("the address is back");
    // Both.
    pair.a.ip("link del eth0").unwrap();
    wait(&pair.a, VIP, false);
    pair.switch.attach(&pair.a, "eth0", "port-n").unwrap();
    pair.a.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    lab::eventually(PATIENCE, || back().then_some(())).expect("the address is back");
    let wire = pair.capture();
    next(&wire, 1, 200);
    assert!(sources(&wire, Frame::is_vrrp).iter().all(|mac| *mac == MAC));
    a.shutdown().unwrap();
    assert!(!links(&pair.a).contains("vrrp.51"));
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn a_name_that_is_taken_is_told_and_nothing_is_left() {
    lab::need!(netns, macvlan);
    let pair = Pair::new();
    pair.a.ip("link add vrrp.51 type veth").unwrap();
    let before = links(&pair.a);
    let error = pair
        .a
        .run(|| pair.builder().virtual_router(with_mac(200)).build().map(drop))
        .expect_err("the name is taken");
    let text = format!("{error}: {}", core::error::Error::source(&error).unwrap());
    assert!(text.contains("there is another interface of that name"), "{text}");
    assert_eq!(links(&pair.a), before);
    assert_eq!(value(&pair.a, "eth0/arp_ignore"), "0");
}

#[test]
fn one_that_is_taken_out_of_service_takes_its_interface_along() {
    lab::need!(netns, macvlan, nftables);
    let pair = Pair::new();
    let other = VirtualRouter::new("other", Vrid::new(52).unwrap(), "eth0")
        .virtual_mac(VirtualMac::new())
        .advertisement_interval(INTERVAL)
        .address("192.0.2.101/24".parse().unwrap())
        .candidate(true);
    let both = || pair.builder().virtual_routers([with_mac(200).accept_mode(false), other]).start();
    let a = pair.a.run(both).unwrap();
    wait(&pair.a, VIP, true);
    wait(&pair.a, "192.0.2.101/24", true);
    a.handle().remove("web").unwrap();
    assert!(!links(&pair.a).contains("vrrp.51") && links(&pair.a).contains("vrrp.52"));
    assert_eq!(value(&pair.a, "eth0/arp_ignore"), "1", "the other one needs it");
    // Another router can run it, and take packets for its address.
    let host = host(&pair);
    let again = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    assert!(answers(&host, "192.0.2.100"));
    again.shutdown().unwrap();
    a.shutdown().unwrap();
    assert_eq!(value(&pair.a, "eth0/arp_ignore"), "0");
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn a_master_forwards_what_comes_to_the_virtual_mac() {
    lab::need!(netns, macvlan);
    let pair = Pair::new();
    let (host, beyond) = (host(&pair), Namespace::new().unwrap());
    lab::veth(&pair.a, "eth1", &beyond, "eth0").unwrap();
    pair.a.sysctl("net/ipv4/ip_forward", "1").unwrap();
    pair.a.ip("addr add 203.0.113.1/24 dev eth1").unwrap();
    beyond
        .ip_batch(["addr add 203.0.113.2/24 dev eth0", "route add default via 203.0.113.1"])
        .unwrap();
    host.ip("route add 203.0.113.0/24 via 192.0.2.100").unwrap();
    let a = pair.start_a(with_mac(200));
    wait(&pair.a, VIP, true);
    let sent = lab::Capture::open(&host, "eth0", lab::Filter::All).unwrap();
    let answered = lab::eventually(PATIENCE, || answers(&host, "203.0.113.2").then_some(()));
    assert!(answered.is_some(), "the virtual router is a router");
    let to_beyond = |frame: &Frame| {
        let packet = frame.payload();
        let wanted = frame.ethertype() == 0x0800 && packet.get(16..20) == Some(&[203, 0, 113, 2]);
        (frame.outgoing && wanted).then(|| frame.bytes[..6].to_vec())
    };
    let receiver = sent.drain().unwrap().iter().find_map(to_beyond).expect("a packet");
    assert_eq!(receiver, MAC, "it went to the virtual MAC address");
    a.shutdown().unwrap();
}
