//! Somebody else takes the virtual addresses away from their Master.

use core::time::Duration;

use vrrp::{AddressesLostPolicy, Event, EventKind, RunningRouter, VirtualAddress, VirtualRouter};

use crate::support::{
    INTERVAL, PATIENCE, Pair, VIP, advertisement, has, next, observer, wait, web,
};

/// The next event about lost addresses.
fn told(router: &RunningRouter) -> Event {
    let events = router.events();
    loop {
        let event = events.recv_timeout(PATIENCE).expect("an event about lost addresses");
        if matches!(event.kind, EventKind::AddressLost { .. }) {
            return event;
        }
    }
}

/// A Master for some time already, so that taking back is not put off.
fn settled(pair: &Pair, router: VirtualRouter) -> RunningRouter {
    let wire = pair.capture();
    let router = pair.start_a(router);
    wait(&pair.a, VIP, true);
    wire.drain();
    for _ in 0..4 {
        wire.find(advertisement).expect("an advertisement");
    }
    router
}

#[test]
fn an_address_that_is_moved_to_another_interface_is_taken_back() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = settled(&pair, web(200));
    let del = format!("addr del {VIP} dev eth0");
    let add = format!("addr add {VIP} dev lo");
    pair.a.ip_batch([add.as_str(), del.as_str()]).unwrap();
    let event = told(&a);
    let EventKind::AddressLost { now_on, response, total, .. } = &event.kind else { panic!() };
    assert_eq!((now_on.as_deref(), *total), (Some("lo"), 1));
    assert_eq!(*response, AddressesLostPolicy::Reinstall);
    assert_eq!(
        event.to_string(),
        format!("web: {VIP} dev eth0 was removed by somebody else and is on lo now: takes it back")
    );
    let back = || crate::support::addresses(&pair.a).contains("eth0    inet 192.0.2.100/24");
    lab::eventually(PATIENCE, || back().then_some(())).expect("it is back on eth0");
    a.shutdown().unwrap();
    assert!(has(&pair.a, VIP), "what is on the other interface is not ours to remove");
}

/// The control: without the protection the address stays lost, and the Master a Master of nothing.
#[test]
fn an_address_that_is_not_watched_stays_lost() {
    lab::need!(netns);
    let pair = Pair::new();
    let unwatched = VirtualRouter::new("web", vrrp::Vrid::new(51).unwrap(), "eth0")
        .priority(200)
        .advertisement_interval(INTERVAL)
        .address(VIP.parse::<VirtualAddress>().unwrap().watched(false))
        .candidate(true);
    let a = settled(&pair, unwatched);
    let wire = pair.capture();
    pair.a.ip(&format!("addr del {VIP} dev eth0")).unwrap();
    for _ in 0..6 {
        next(&wire, 1, 200);
    }
    assert!(!has(&pair.a, VIP));
    a.shutdown().unwrap();
}

#[test]
fn a_master_that_is_told_to_gives_up_when_its_address_is_taken() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = settled(&pair, web(100).addresses_lost(AddressesLostPolicy::StepDown));
    // Faster than the one that gives up, and content until then.
    let b = pair.start_b(web(200).preempt_mode(false));
    let wire = pair.capture();
    for _ in 0..3 {
        next(&wire, 1, 100);
    }
    pair.a.ip(&format!("addr del {VIP} dev eth0")).unwrap();
    next(&wire, 1, 0);
    wait(&pair.b, VIP, true);
    assert!(!has(&pair.a, VIP));
    assert!(told(&a).to_string().ends_with(": gives up being Master"));
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn a_fight_over_an_address_is_fought_with_moderation() {
    lab::need!(netns);
    let pair = Pair::new();
    // A busy machine may wake it up late, which is not the point.
    let a = settled(&pair, web(200).late_wake_rule(false));
    let events = a.events();
    let wire = pair.capture();
    let mut monitor = lab::AddressMonitor::open(&pair.a).unwrap();
    let (begin, mut taken_back) = (lab::now(), 0_u32);
    let fight = Duration::from_secs(2);
    let delete = format!("addr del {VIP} dev eth0");
    while lab::now() < begin + fight {
        // Gone already, or not back yet: the next one meets it.
        drop(pair.a.ip(&delete));
        while let Some(event) = monitor.next(Duration::ZERO).unwrap() {
            taken_back += u32::from(event.added);
        }
    }
    // One in 100 ms.
    assert!((2..=24).contains(&taken_back), "{taken_back} times in {fight:?}");
    let told = core::iter::from_fn(|| events.try_recv())
        .filter(|event| matches!(event.kind, EventKind::AddressLost { .. }))
        .count();
    assert!((1..=4).contains(&told), "told of {told} times");
    let advertisements = wire.drain().iter().filter_map(advertisement).count();
    assert!(advertisements > 10, "{advertisements}: the fight does not silence the Master");
    wait(&pair.a, VIP, true);
    assert_eq!(a.status().unwrap().virtual_router("web").unwrap().term, 1);
    a.shutdown().unwrap();
}

/// What is lost while nobody campaigns is nobody's loss.
#[test]
fn a_backup_does_not_mind() {
    lab::need!(netns);
    let pair = Pair::new();
    let (a, b) = (settled(&pair, web(200)), pair.start_b(observer(100)));
    pair.b
        .ip_batch(
            [format!("addr add {VIP} dev eth0"), format!("addr del {VIP} dev eth0")]
                .iter()
                .map(String::as_str),
        )
        .unwrap();
    let wire = pair.capture();
    for _ in 0..3 {
        next(&wire, 1, 200);
    }
    assert!(!has(&pair.b, VIP));
    assert_eq!(b.status().unwrap().virtual_router("web").unwrap().statistics.addresses_lost, 0);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

/// Linux removes the secondary addresses of a subnet with its primary one, and where `/proc/sys` cannot be written nothing keeps it
/// from that.
#[test]
fn an_address_that_goes_with_another_one_of_ours_is_taken_back() {
    lab::need!(netns);
    let (node, switch) = (lab::Node::new().unwrap(), lab::Bridge::new().unwrap());
    switch.attach(&node, "eth0", "port-a").unwrap();
    node.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    node.sysctl("net/ipv4/conf/eth0/promote_secondaries", "0").unwrap();
    let read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys";
    let mounted = node.output(std::process::Command::new("sh").args(["-c", read_only])).unwrap();
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    let run = tempfile::tempdir().unwrap();
    let one = |name: &str, vrid, address: &str| {
        VirtualRouter::new(name, vrrp::Vrid::new(vrid).unwrap(), "eth0")
            .advertisement_interval(INTERVAL)
            .address(address.parse().unwrap())
            .candidate(true)
    };
    let (first, second) = ("198.51.100.1/24", "198.51.100.2/24");
    let start = |router| {
        let builder = vrrp::Router::builder().run_directory(run.path()).virtual_router(router);
        builder.virtual_router(one("second", 2, second).start_delay(INTERVAL * 8)).start()
    };
    let router = node.run(|| start(one("first", 1, first))).unwrap();
    wait(&node, first, true);
    wait(&node, second, true);
    assert!(crate::support::addresses(&node).contains("198.51.100.2/24 scope global secondary"));
    let events = router.events();
    router.handle().remove("first").unwrap();
    wait(&node, second, true);
    let lost = |event: Event| matches!(event.kind, EventKind::AddressLost { .. }).then_some(());
    core::iter::from_fn(|| events.recv_timeout(PATIENCE)).find_map(lost).expect("it was away");
    wait(&node, second, true);
    assert!(!has(&node, first));
    router.shutdown().unwrap();
}
