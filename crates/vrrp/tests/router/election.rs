//! Two routers elect one of them.

use core::time::Duration;

use vrrp::EventKind;

use crate::child::Child;
use crate::support::{
    INTERVAL, Pair, VIP, advertisement, assert_after, has, next, skew, until_first_from, wait, web,
};

#[test]
fn the_higher_priority_wins_and_a_shutdown_hands_over_after_the_skew() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let wire = pair.capture();
    let b = pair.start_b(web(100));
    wait(&pair.b, VIP, true);
    let a = pair.start_a(web(200));
    // Preemption: the lower one yields to the higher one's first advertisement.
    wait(&pair.a, VIP, true);
    wait(&pair.b, VIP, false);
    wire.drain();

    a.shutdown().unwrap();
    assert!(!has(&pair.a, VIP));
    let released = next(&wire, 1, 0);
    let taken = next(&wire, 2, 100);
    assert_after(released.at, taken.at, skew(100));
    wait(&pair.b, VIP, true);
    b.shutdown().unwrap();
    assert!(!has(&pair.b, VIP));
}

#[test]
fn a_killed_master_is_replaced_after_three_intervals_and_the_skew() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let mut master = Child::start(&pair.a, pair.run.path(), 200);
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100));
    let wire = pair.capture();
    // It must have been heard, else the Backup waits from its own start.
    next(&wire, 1, 200);
    let last = next(&wire, 1, 200);
    master.kill();
    let seen = until_first_from(&wire, last, 2);
    let [.., last, taken] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(last.from, 1);
    assert_after(last.at, taken.at, INTERVAL * 3 + skew(100));
    wait(&pair.b, VIP, true);
    b.shutdown().unwrap();
}

#[test]
fn without_preemption_the_lower_priority_stays_master() {
    lab::need!(netns);
    let pair = Pair::new();
    let b = pair.start_b(web(100));
    wait(&pair.b, VIP, true);
    let a = pair.start_a(web(200).preempt_mode(false));
    // The higher one hears it for more than a master-down interval and stays Backup.
    let wire = pair.capture();
    for _ in 0..10 {
        let seen = wire.find(advertisement).unwrap();
        assert_eq!((seen.from, seen.priority), (2, 100));
    }
    assert!(!has(&pair.a, VIP) && has(&pair.b, VIP));
    b.shutdown().unwrap();
    wait(&pair.a, VIP, true);
    a.shutdown().unwrap();
}

#[test]
fn addresses_are_announced_five_times_and_before_they_are_needed() {
    lab::need!(netns);
    let pair = Pair::new();
    let wire = pair.capture();
    let addresses = (100..110).map(|host| format!("192.0.2.{host}/24").parse().unwrap());
    let a = pair.start_a(
        vrrp::VirtualRouter::new("web", vrrp::Vrid::new(51).unwrap(), "eth0")
            .advertisement_interval(INTERVAL)
            .addresses(addresses)
            .announcements(
                vrrp::Announcements::default().again_after(Some(Duration::from_millis(300))),
            )
            .candidate(true),
    );
    let mut order = Vec::new();
    while order.len() < 100 {
        let arp = |frame: &lab::Frame| {
            (frame.is_arp()).then(|| (frame.at, frame.payload()[17], frame.bytes[..6].to_vec()))
        };
        let (at, address, to) = wire.find(arp).expect("100 gratuitous ARPs");
        assert_eq!(to, [0xff; 6], "broadcast");
        order.push((at, address));
    }
    for round in order.chunks(10) {
        let mut addresses: Vec<u8> = round.iter().map(|(_, address)| *address).collect();
        addresses.sort_unstable();
        assert_eq!(
            addresses,
            (100..110).collect::<Vec<u8>>(),
            "in turn, none twice before all once"
        );
    }
    let (first, fiftieth, next) = (order[0].0, order[49].0, order[50].0);
    assert!(
        fiftieth - first < Duration::from_millis(250),
        "the first burst at once: {:?}",
        fiftieth - first
    );
    assert!(
        next - first >= Duration::from_millis(295),
        "the second burst later: {:?}",
        next - first
    );
    assert!(!has(&pair.b, VIP));
    a.shutdown().unwrap();
}

#[test]
fn events_tell_the_story_in_order() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    let events = a.events();
    wait(&pair.a, VIP, true);
    a.shutdown().unwrap();
    let changes: Vec<String> = events
        .iter()
        .filter_map(|event| {
            let EventKind::StateChanged { from, to, .. } = event.kind else { return None };
            Some(format!("{from}-{to}"))
        })
        .collect();
    assert_eq!(changes, ["initialize-backup", "backup-master", "master-initialize"]);
}
