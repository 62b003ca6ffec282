//! Two routers with one address, two owners, and both versions at once.

use core::time::Duration;

use lab::Frame;
use vrrp::{Conflict, Counter, EventKind, Events, Version};

use crate::support::{PATIENCE, Pair, VIP, advertisement, has, wait, web};

fn conflict(events: &Events) -> Conflict {
    loop {
        let event = events.recv_timeout(PATIENCE).expect("a conflict");
        if let EventKind::Conflict { conflict, total: 1 } = event.kind {
            return conflict;
        }
    }
}

#[test]
fn two_routers_with_one_address_both_shout() {
    lab::need!(netns);
    let pair = Pair::new();
    // Otherwise Linux keeps IPv4 packets from our own address to itself.
    for host in [&pair.a, &pair.b] {
        host.run(|| std::fs::write("/proc/sys/net/ipv4/conf/eth0/accept_local", "1")).unwrap();
    }
    pair.b.ip_batch(["addr del 192.0.2.2/24 dev eth0", "addr add 192.0.2.1/24 dev eth0"]).unwrap();
    let (a, b) = (pair.start_a(web(100)), pair.start_b(web(100)));
    for router in [&a, &b] {
        let expected = Conflict::SourceAddress { address: "192.0.2.1".parse().unwrap() };
        assert_eq!(conflict(&router.events()), expected);
        let status = router.status().unwrap();
        let statistics = &status.virtual_router("web").unwrap().statistics;
        assert!(statistics.discarded(Counter::AddressConflict) > 0);
    }
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn two_owners_both_shout_and_one_remains() {
    lab::need!(netns);
    let pair = Pair::new();
    // Whose address is there before belongs to the host: this one does not.
    let (a, b) = (pair.start_a(web(255)), pair.start_b(web(255)));
    let other = |address: &str| Conflict::Owner { other: address.parse().unwrap() };
    assert_eq!(conflict(&a.events()), other("192.0.2.2"));
    assert_eq!(conflict(&b.events()), other("192.0.2.1"));
    wait(&pair.b, VIP, true);
    wait(&pair.a, VIP, false);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn a_router_of_both_versions_is_heard_by_either() {
    lab::need!(netns);
    for version in [Version::V2, Version::V3] {
        let pair = Pair::new();
        let wire = pair.capture();
        let second = Duration::from_secs(1);
        let both = web(200).advertisement_interval(second).also_version_2(true);
        let one = web(100).advertisement_interval(second).version(version);
        let a = pair.start_a(both);
        wait(&pair.a, VIP, true);
        let b = pair.start_b(one);
        for expected in [3, 2, 3, 2, 3, 2, 3, 2] {
            let seen = |frame: &Frame| advertisement(frame).map(|seen| (seen.from, seen.version));
            assert_eq!(wire.find(seen), Some((1, expected)), "nobody else speaks");
        }
        assert!(!has(&pair.b, VIP));
        a.shutdown().unwrap();
        wait(&pair.b, VIP, true);
        b.shutdown().unwrap();
    }
}
