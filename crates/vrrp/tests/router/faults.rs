//! What goes wrong around a router: links, thieves, floods, pauses.

use core::time::Duration;

use vrrp::{Counter, Fault};

use crate::child::Child;
use crate::flood::{flood, flooder, oversized};
use crate::support::{
    INTERVAL, PATIENCE, Pair, SLACK, VIP, advertisement, assert_after, has, next, skew, wait, web,
};

#[test]
fn link_down_releases_and_the_other_takes_over_and_link_up_brings_it_back() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100));
    pair.switch.unplug("port-a").unwrap();
    wait(&pair.a, VIP, false);
    wait(&pair.b, VIP, true);
    let status = a.status().unwrap();
    assert!(status.virtual_router("web").unwrap().faults.contains(Fault::LinkDown));
    pair.switch.plug("port-a").unwrap();
    wait(&pair.a, VIP, true);
    wait(&pair.b, VIP, false);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn an_interface_that_is_deleted_and_made_again_is_used_again() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    pair.a.ip("link del eth0").unwrap();
    lab::eventually(PATIENCE, || {
        let status = a.status().unwrap();
        status.virtual_router("web").unwrap().faults.contains(Fault::LinkDown).then_some(())
    })
    .expect("the fault");
    pair.switch.attach(&pair.a, "eth0", "port-c").unwrap();
    pair.a.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    wait(&pair.a, VIP, true);
    let wire = pair.capture();
    next(&wire, 1, 200);
    a.shutdown().unwrap();
    assert!(!has(&pair.a, VIP));
}

#[test]
fn an_interface_that_is_made_again_while_nothing_can_be_opened_is_used_later() {
    lab::need!(netns);
    let pair = Pair::new();
    let router = Child::start(&pair.a, pair.run.path(), 200);
    wait(&pair.a, VIP, true);
    let process = rustix::process::Pid::from_raw(i32::try_from(router.id()).unwrap());
    let limit = |current| {
        let limit = rustix::process::Rlimit { current: Some(current), maximum: Some(1024) };
        rustix::process::prlimit(process, rustix::process::Resource::Nofile, limit).unwrap()
    };
    limit(0);
    pair.a.ip("link del eth0").unwrap();
    router.wait_line("the link is down");
    pair.switch.attach(&pair.a, "eth0", "port-c").unwrap();
    pair.a.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    // Nobody tells a process that it may open files again.
    router.wait_line("no address to send from");
    limit(1024);
    wait(&pair.a, VIP, true);
    next(&pair.capture(), 1, 200);
}

#[test]
fn a_virtual_address_deleted_by_hand_is_back_at_once() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let wire = pair.capture();
    // Some time after the installation: who deletes in a loop waits 100 ms.
    for _ in 0..4 {
        next(&wire, 1, 200);
    }
    let mut monitor = lab::AddressMonitor::open(&pair.a).unwrap();
    pair.a.ip(&format!("addr del {VIP} dev eth0")).unwrap();
    let removed = monitor.next(PATIENCE).unwrap().expect("the removal");
    let added = monitor.next(PATIENCE).unwrap().expect("the addition");
    assert!(!removed.added && added.added, "{removed:?} {added:?}");
    assert!(added.at - removed.at < SLACK, "{:?}", added.at - removed.at);
    let arp = |frame: &lab::Frame| (frame.is_arp() && frame.payload()[17] == 100).then_some(());
    wire.find(arp).expect("and announced again");
    assert_eq!(a.status().unwrap().virtual_router("web").unwrap().term, 1, "mastership went on");
    a.shutdown().unwrap();
}

#[test]
fn the_source_address_follows_the_interface() {
    lab::need!(netns);
    let pair = Pair::new();
    pair.a.sysctl("net/ipv4/conf/eth0/promote_secondaries", "1").unwrap();
    pair.a.ip("addr del 192.0.2.1/24 dev eth0").unwrap();
    let a = pair.start_a(web(200));
    let status = a.status().unwrap();
    assert!(status.virtual_router("web").unwrap().faults.contains(Fault::NoSourceAddress));
    pair.a.ip("addr add 192.0.2.7/24 dev eth0").unwrap();
    let wire = pair.capture();
    next(&wire, 7, 200);
    pair.a.ip("addr add 192.0.2.8/24 dev eth0").unwrap();
    pair.a.ip("addr del 192.0.2.7/24 dev eth0").unwrap();
    next(&wire, 8, 200);
    assert!(has(&pair.a, VIP));
    a.shutdown().unwrap();
    assert!(!has(&pair.a, VIP));
}

#[test]
fn a_flood_of_broken_and_foreign_packets_changes_nothing_and_is_counted() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let flooder = flooder(&pair);
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100));
    let wire = pair.capture();
    next(&wire, 1, 200);
    // A thousandth of this is enough to make keepalived 2.2.7 have two Masters.
    let sent = flood(&flooder, 10_000, INTERVAL * 20);
    assert!(sent > 5000, "{sent} packets are no flood");
    let frames = wire.drain();
    let seen: Vec<_> =
        frames.iter().filter_map(advertisement).filter(|seen| seen.from != 66).collect();
    assert!(seen.iter().all(|seen| seen.from == 1), "one Master: {seen:?}");
    let longest = seen.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap();
    assert!(longest < INTERVAL * 3, "the longest gap is {longest:?}");
    assert!(has(&pair.a, VIP) && !has(&pair.b, VIP));
    let status = b.status().unwrap();
    let web = status.virtual_router("web").unwrap();
    let (discards, unclaimed) = (web.statistics, &status.unclaimed);
    assert_eq!(discards.discarded(Counter::Checksum), u64::from(sent / 4));
    assert_eq!(discards.discarded(Counter::PacketLength), u64::from(sent / 4));
    assert_eq!(discards.discarded(Counter::Version), u64::from(sent / 4));
    // The kernel's filter keeps VRID 52 away.
    assert_eq!(unclaimed.iter().map(|(_, number)| number).sum::<u64>(), 0, "{unclaimed:?}");
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn oversized_packets_are_counted() {
    lab::need!(netns);
    let pair = Pair::new();
    let flooder = flooder(&pair);
    let b = pair.start_b(web(100));
    wait(&pair.b, VIP, true);
    oversized(&flooder, 9000, "192.0.2.2");
    let counted = || {
        let status = b.status().unwrap();
        let unclaimed: u64 = status.unclaimed.iter().map(|(_, number)| number).sum();
        let discarded =
            status.virtual_router("web").unwrap().statistics.discarded(Counter::PacketLength);
        (unclaimed + discarded == 1).then_some(())
    };
    lab::eventually(PATIENCE, counted).expect("it is counted");
    assert!(has(&pair.b, VIP));
    b.shutdown().unwrap();
}

#[test]
fn a_flood_beyond_all_measure_does_not_silence_the_master() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let flooder = flooder(&pair);
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    // A machine that is busy with something else gets three chances.
    let sent_all = |_| {
        let before = next(&pair.capture(), 1, 200); // no capture during the flood: it would overflow
        let sent = flood(&flooder, u32::MAX, INTERVAL * 20);
        let after = next(&pair.capture(), 1, 200);
        let advertisements = u128::from(after.identification.wrapping_sub(before.identification));
        let due = (after.at - before.at).as_millis() / INTERVAL.as_millis();
        println!("{advertisements} of {due} advertisements, while {sent} packets were thrown");
        advertisements + 2 >= due
    };
    assert!((0..3).any(sent_all));
    assert!(has(&pair.a, VIP));
    a.shutdown().unwrap();
}

#[test]
fn a_paused_master_comes_back_as_a_backup() {
    lab::need!(netns);
    let pair = Pair::new();
    let paused = Child::start(&pair.a, pair.run.path(), 100);
    wait(&pair.a, VIP, true);
    // The other has no higher priority: only the rule makes the sleeper yield, and no preemption brings it back.
    let b = pair.start_b(web(100));
    let wire = pair.capture();
    next(&wire, 1, 100);
    paused.pause();
    wait(&pair.b, VIP, true);
    for _ in 0..5 {
        next(&wire, 2, 100);
    }
    wire.drain();
    paused.resume();
    wait(&pair.a, VIP, false);
    for _ in 0..5 {
        let seen = wire.find(advertisement).unwrap();
        assert_eq!(seen.from, 2, "the sleeper said nothing before it heard the other");
    }
    assert!(has(&pair.b, VIP));
    b.shutdown().unwrap();
}

#[test]
fn a_paused_backup_does_not_take_over_from_a_master_that_lives() {
    lab::need!(netns);
    let pair = Pair::new();
    let paused = Child::start(&pair.a, pair.run.path(), 100);
    paused.wait_line("initialize -> backup");
    let b = pair.start_b(web(200));
    wait(&pair.b, VIP, true);
    let wire = pair.capture();
    for _ in 0..3 {
        next(&wire, 2, 200);
    }
    wait(&pair.a, VIP, false);
    paused.pause();
    for _ in 0..10 {
        next(&wire, 2, 200);
    }
    paused.resume();
    for _ in 0..10 {
        let seen = wire.find(advertisement).unwrap();
        assert_eq!((seen.from, seen.priority), (2, 200));
    }
    b.shutdown().unwrap();
}

#[test]
fn thousands_of_addresses_do_not_interrupt_the_advertisements() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let many = (0..2000_u32).map(|number| {
        let [.., high, low] = number.to_be_bytes();
        let address = core::net::Ipv4Addr::new(198, 18, high, low);
        vrrp::VirtualAddress::from(core::net::IpAddr::V4(address)).advertised(false)
    });
    let wire = pair.capture();
    let a = pair
        .start_a(web(200).addresses(many).announcements(vrrp::Announcements::default().count(1)));
    wait(&pair.a, "198.18.7.207/32", true);
    let arps = |frame: &lab::Frame| (frame.is_arp()).then_some(frame.at);
    let frames = wire.drain();
    let announced: Vec<Duration> = frames.iter().filter_map(arps).collect();
    assert!(announced.len() > 1000, "{} announced", announced.len());
    let advertised: Vec<Duration> =
        frames.iter().filter_map(advertisement).map(|seen| seen.at).collect();
    assert!(
        announced[0] - advertised[0] < SLACK,
        "the first is announced before the last is added"
    );
    let gaps = advertised.windows(2).map(|pair| pair[1] - pair[0]);
    let longest = gaps.max().unwrap_or_default();
    assert!(
        longest < INTERVAL + SLACK,
        "the longest gap is {longest:?} of {} advertisements",
        advertised.len()
    );
    a.shutdown().unwrap();
    assert!(!addresses_left(&pair), "all are gone when shutdown returns");
}

#[test]
fn a_shutdown_in_the_middle_of_an_installation_cancels_it() {
    lab::need!(netns);
    let pair = Pair::new();
    let many = (0..5000_u32).map(|number| {
        let [.., high, low] = number.to_be_bytes();
        let address = core::net::Ipv4Addr::new(198, 18, high, low);
        vrrp::VirtualAddress::from(core::net::IpAddr::V4(address)).advertised(false)
    });
    let wire = pair.capture();
    let arp = |frame: &lab::Frame| (frame.is_arp() && frame.payload()[14] == 198).then_some(());
    let once = vrrp::Announcements::default().count(1);
    let a = pair.start_a(web(200).addresses(many).announcements(once));
    wire.find(arp).expect("the first of them is announced");
    a.shutdown().unwrap();
    assert!(!addresses_left(&pair), "all are gone when shutdown returns");
    // Each is announced as soon as it is present, so this is how far it came.
    let announced = wire.drain().iter().filter_map(arp).count();
    assert!(announced < 4000, "it went on: {announced} of 5000");
}

#[test]
fn an_interface_that_comes_back_hears_its_addresses_again() {
    lab::need!(netns);
    let pair = Pair::new();
    let far = lab::Namespace::new().unwrap();
    lab::veth(&pair.a, "lan0", &far, "lan0").unwrap();
    let capture = lab::Capture::open(&far, "lan0", lab::Filter::Failover).unwrap();
    let elsewhere: vrrp::VirtualAddress = "198.51.100.7".parse().unwrap();
    let once = vrrp::Announcements::default().count(1).again_after(None);
    let a = pair.start_a(web(200).addresses([elsewhere.interface("lan0")]).announcements(once));
    let arp = |frame: &lab::Frame| {
        (frame.is_arp() && frame.payload()[14..18] == [198, 51, 100, 7]).then_some(())
    };
    wait(&pair.a, "198.51.100.7/32", true);
    // Maybe lost on a cable that does not carry yet; after the flap there is one for sure.
    for _ in 0..2 {
        far.ip("link set lan0 down").unwrap();
        drop(capture.drain().unwrap());
        far.ip("link set lan0 up").unwrap();
        let heard = capture.find(Duration::from_secs(10), arp).unwrap();
        assert!(heard.is_some(), "not announced again");
    }
    a.shutdown().unwrap();
}

#[test]
fn a_new_mac_address_is_announced() {
    lab::need!(netns);
    let pair = Pair::new();
    let once = vrrp::Announcements::default().count(1).again_after(None);
    let a = pair.start_a(web(200).announcements(once));
    wait(&pair.a, VIP, true);
    let wire = pair.capture();
    next(&wire, 1, 200);
    pair.a.ip("link set eth0 address 02:00:00:00:00:77").unwrap();
    let arp = |frame: &lab::Frame| {
        frame
            .is_arp()
            .then(|| frame.payload())
            .filter(|arp| arp[17] == 100)
            .map(|arp| arp[8..14].to_vec())
    };
    assert_eq!(wire.find(arp).expect("an announcement"), [2, 0, 0, 0, 0, 0x77]);
    a.shutdown().unwrap();
}

#[test]
fn news_lost_by_an_overrun_are_found_by_reading_again() {
    lab::need!(netns);
    let pair = Pair::new();
    let router = Child::start(&pair.a, pair.run.path(), 200);
    wait(&pair.a, VIP, true);
    router.pause();
    // More news than the queue has room for, then the one that matters.
    let churn = ["addr add 10.9.9.9/32 dev lo", "addr del 10.9.9.9/32 dev lo"];
    let churn = churn.into_iter().cycle().take(30_000);
    pair.a.ip_batch(churn).unwrap();
    pair.switch.unplug("port-a").unwrap();
    let dropped = std::fs::read_to_string(format!("/proc/{}/net/netlink", router.id())).unwrap();
    let dropped: u64 = dropped
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(8)?.parse::<u64>().ok())
        .sum();
    assert!(dropped > 0, "the queue had room for everything: this test tests nothing");
    router.resume();
    router.wait_line("the link is down");
    wait(&pair.a, VIP, false);
    pair.switch.plug("port-a").unwrap();
    wait(&pair.a, VIP, true);
}

fn addresses_left(pair: &Pair) -> bool {
    crate::support::addresses(&pair.a).contains(" 198.18.")
}

#[test]
fn a_master_that_cannot_be_heard_lets_go() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    // No route and no interface to send from stands for a firewall: the send fails.
    let wire = pair.capture();
    let blocked = pair.a.output(
        std::process::Command::new("nft").arg("add table ip t; add chain ip t o { type filter hook output priority 0; }; add rule ip t o ip protocol 112 drop"),
    );
    if !blocked.is_ok_and(|output| output.status.success()) {
        // This kernel or machine has no nftables; iptables says the same to sendto(2).
        let iptables = ["-I", "OUTPUT", "-p", "112", "-j", "DROP"];
        let output = pair.a.output(std::process::Command::new("iptables").args(iptables));
        assert!(
            output.is_ok_and(|output| output.status.success()),
            "neither nft nor iptables works here"
        );
    }
    wait(&pair.a, VIP, false);
    drop(wire);
    let status = a.status().unwrap();
    assert!(status.virtual_router("web").unwrap().statistics.send_failures > 0);
    a.shutdown().unwrap();
}

#[test]
fn a_service_that_stops_being_ready_hands_over() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100));
    let wire = pair.capture();
    next(&wire, 1, 200);
    let last = next(&wire, 1, 200);
    a.handle().set_ready("web", false).unwrap();
    let released = next(&wire, 1, 0);
    assert!(released.at > last.at);
    let taken = next(&wire, 2, 100);
    assert_after(released.at, taken.at, skew(100));
    a.handle().set_ready("web", true).unwrap();
    wait(&pair.a, VIP, true);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}
