//! Unicast, IPv6, version 2.

use core::time::Duration;

use vrrp::{TrailerConfig, TrailerKey, Version, VirtualRouter, Vrid};

use crate::support::{INTERVAL, Pair, VIP, advertisement, next, wait, web};

#[test]
fn unicast_peers_elect_without_any_multicast() {
    lab::need!(netns);
    let pair = Pair::new();
    let wire = pair.capture();
    let (first, second) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let a = pair.start_a(web(200).unicast([second]));
    let b = pair.start_b(web(100).unicast([first]));
    wait(&pair.a, VIP, true);
    let seen = next(&wire, 1, 200);
    assert_eq!(seen.to, 2, "to the peer");
    a.shutdown().unwrap();
    wait(&pair.b, VIP, true);
    assert_eq!(next(&wire, 2, 100).to, 1);
    b.shutdown().unwrap();
    let multicast =
        wire.drain().iter().filter_map(advertisement).filter(|seen| seen.to == 18).count();
    assert_eq!(multicast, 0);
}

#[test]
fn version_2_with_a_password_speaks_and_hears() {
    lab::need!(netns);
    let pair = Pair::new();
    let wire = pair.capture();
    let second = Duration::from_secs(1);
    let v2 = |priority, password: &str| {
        web(priority).version(Version::V2).advertisement_interval(second).password(password)
    };
    let a = pair.start_a(v2(254, "secret"));
    assert_eq!(next(&wire, 1, 254).version, 2);
    let b = pair.start_b(v2(100, "another"));
    // Two advertisements with a password it does not know: each is counted, none is heard.
    next(&wire, 1, 254);
    next(&wire, 1, 254);
    let status = b.status().unwrap();
    let statistics = status.virtual_router("web").unwrap().statistics;
    assert!(statistics.discarded(vrrp::Counter::AuthenticationFailure) >= 1, "{statistics:?}");
    assert_eq!(statistics.advertisements_received, 0);
    b.shutdown().unwrap();
    let b = pair.start_b(v2(100, "secret"));
    next(&wire, 1, 254);
    next(&wire, 1, 254);
    let received =
        || b.status().unwrap().virtual_router("web").unwrap().statistics.advertisements_received;
    assert!(received() >= 1);
    a.shutdown().unwrap();
    wait(&pair.b, VIP, true);
    b.shutdown().unwrap();
}

/// Dated by the hosts' wall clock: with a clock that is not told, nothing would be fresh.
#[test]
fn signed_advertisements_are_made_and_believed() {
    lab::need!(netns);
    let pair = Pair::new();
    let wire = pair.capture();
    let signed = |priority, secret| {
        let key = TrailerKey::new(7, &[secret; 32]).unwrap();
        web(priority).trailer(TrailerConfig::new(key))
    };
    let a = pair.start_a(signed(254, 1));
    next(&wire, 1, 254);
    let b = pair.start_b(signed(100, 2));
    // The control: two advertisements signed with another secret are counted, and not heard.
    next(&wire, 1, 254);
    next(&wire, 1, 254);
    let statistics = b.status().unwrap().virtual_router("web").unwrap().statistics;
    assert!(statistics.discarded(vrrp::Counter::AuthenticationFailure) >= 1, "{statistics:?}");
    assert_eq!(statistics.advertisements_received, 0);
    b.shutdown().unwrap();
    let b = pair.start_b(signed(100, 1));
    next(&wire, 1, 254);
    next(&wire, 1, 254);
    let statistics = b.status().unwrap().virtual_router("web").unwrap().statistics;
    assert!(statistics.advertisements_received >= 1, "{statistics:?}");
    assert_eq!(statistics.unsigned_received, 0);
    a.shutdown().unwrap();
    wait(&pair.b, VIP, true);
    assert_eq!(
        b.status().unwrap().virtual_router("web").unwrap().statistics.priority_zero_received,
        1
    );
    b.shutdown().unwrap();
}

#[test]
fn ipv6_elects_announces_and_moves_the_addresses() {
    lab::need!(netns);
    let pair = Pair::new();
    let six = |priority| {
        VirtualRouter::new("six", Vrid::new(6).unwrap(), "eth0")
            .priority(priority)
            .advertisement_interval(INTERVAL)
            .address("fe80::100/64".parse().unwrap())
            .address("2001:db8::100/64".parse().unwrap())
            .candidate(true)
    };
    let wire = pair.capture();
    let (a, b) = (pair.start_a(six(200)), pair.start_b(six(100)));
    wait(&pair.a, "2001:db8::100/64", true);
    wait(&pair.a, "fe80::100/64", true);
    let advertisement = |frame: &lab::Frame| {
        let packet = frame.payload();
        // Hop limit 255, to ff02::12, priority 200, not from the virtual address.
        (frame.is_vrrp() && frame.ethertype() == 0x86dd && packet[42] == 200)
            .then(|| (packet[7], packet[24..26].to_vec(), packet[39], packet[8..24].to_vec()))
    };
    let (hops, group, last, source) = wire.find(advertisement).expect("an advertisement");
    assert_eq!((hops, group, last), (255, vec![0xff, 0x02], 0x12));
    assert!(source.starts_with(&[0xfe, 0x80]) && source[15..] != [0x00], "{source:x?}");
    let announced = |frame: &lab::Frame| {
        let packet = frame.payload();
        let neighbour_advertisement = frame.is_ip_protocol(58) && packet.get(40) == Some(&136);
        (neighbour_advertisement && packet[48..50] == [0x20, 0x01]).then_some(packet[44])
    };
    let flags = wire.find(announced).expect("a neighbour advertisement of 2001:db8::100");
    assert_eq!(flags, 0x20, "override, not solicited, not a router");
    a.shutdown().unwrap();
    wait(&pair.a, "2001:db8::100/64", false);
    wait(&pair.b, "2001:db8::100/64", true);
    b.shutdown().unwrap();
    wait(&pair.b, "fe80::100/64", false);
}
