//! Several routers on one wire in memory, with latency, loss and partitions.

use core::{net::IpAddr, time::Duration};

use crate::{host::*, network::*};
use vrrp_fsm::{
    ChecksumPolicy, Config, Fault, Output, PathConfig,
    vrrp_proto::{Authentication, ChecksumForm, Password, Priority, Version},
};

fn pair(first: u8, second: u8) -> Wire {
    Wire::new([("192.0.2.2", config(first)), ("192.0.2.3", config(second))])
}

#[test]
fn the_greater_priority_wins_and_takes_back() {
    let mut wire = pair(150, 100);
    wire.run_for(SECOND * 10);
    assert_eq!((wire.masters(), wire.holders()), (vec![0], vec![0]));
    // Its link goes down, comes back, and it preempts.
    wire.with(0, |host, now| host.router.handle_fault(now, Fault::LinkDown));
    wire.run_for(SECOND * 2);
    assert_eq!((wire.masters(), wire.holders()), (vec![1], vec![1]));
    wire.with(0, |host, now| host.router.handle_fault_cleared(now, Fault::LinkDown));
    wire.run_for(SECOND * 10);
    assert_eq!((wire.masters(), wire.holders()), (vec![0], vec![0]));
}

#[test]
fn without_preemption_the_one_that_serves_goes_on_serving() {
    let mut wire =
        Wire::new([("192.0.2.2", config(150).preempt_mode(false)), ("192.0.2.3", config(100))]);
    wire.run_for(SECOND * 10);
    wire.with(0, |host, now| host.router.handle_shutdown(now));
    wire.run_for(SECOND * 2);
    wire.with(0, |host, now| host.router.handle_startup(now));
    wire.run_for(SECOND * 60);
    assert_eq!(wire.masters(), [1]);
}

#[test]
fn an_orderly_hand_over_takes_the_skew_time() {
    let mut wire = pair(150, 100);
    wire.run_for(SECOND * 10);
    wire.with(0, |host, now| host.router.handle_shutdown(now));
    let skew = Duration::from_micros(609_375);
    wire.run_for(LATENCY + skew - LATENCY / 100);
    assert!(wire.masters().is_empty());
    wire.run_for(LATENCY / 100);
    assert_eq!((wire.masters(), wire.holders()), (vec![1], vec![1]));
}

#[test]
fn a_crash_is_noticed_after_a_master_down_interval() {
    let mut wire = pair(150, 100);
    wire.run_for(SECOND * 10);
    // From its last advertisement on it is neither heard nor has time.
    let last = wire.hosts[0].router.poll_timeout().unwrap().saturating_sub(SECOND);
    wire.cut = |_, _| true;
    wire.run_until(last + LATENCY + Duration::from_micros(3_609_374));
    assert_eq!(wire.masters(), [0]);
    wire.run_until(last + LATENCY + Duration::from_micros(3_609_375));
    assert_eq!(wire.masters(), [0, 1]);
}

#[test]
fn routers_that_expire_together_agree_within_a_round_trip() {
    let mut wire = pair(100, 100);
    wire.run_until(at(3_609_375_000));
    assert_eq!(wire.masters(), [0, 1]);
    wire.run_for(LATENCY);
    assert_eq!((wire.masters(), wire.holders()), (vec![1], vec![1]), "the greater address");
}

#[test]
fn a_healed_partition_has_one_master_within_a_round_trip_of_the_first_packet() {
    let mut wire = pair(150, 100);
    wire.run_for(SECOND * 10);
    wire.cut = |_, _| true;
    wire.run_for(SECOND * 10);
    assert_eq!(wire.masters(), [0, 1]);
    // Healed just after the winner has advertised: the loser is the next to speak.
    let advertised = wire.hosts[0].router.poll_timeout().unwrap();
    wire.run_until(advertised);
    wire.hosts[0].take_log();
    wire.cut = |_, _| false;
    let loser_speaks = wire.hosts[1].router.poll_timeout().unwrap();
    assert!(loser_speaks < advertised + SECOND);
    // L5: it is answered at once, not at the winner's next advertisement.
    wire.run_until(loser_speaks + LATENCY * 2);
    assert_eq!((wire.masters(), wire.holders()), (vec![0], vec![0]));
    assert!(matches!(wire.hosts[0].log[..], [Output::Send(_), Output::Announce]));
    wire.run_for(SECOND * 10);
    let reported = wire.hosts[0].log.iter().any(|output| {
        matches!(output, Output::Contended { duration: Duration::ZERO, ongoing: false, .. })
    });
    assert!(reported, "{:?}", wire.hosts[0].log);
}

#[test]
fn one_deaf_router_is_reported_by_the_other() {
    let mut wire = pair(150, 100);
    wire.cut = |from, to| (from, to) == (0, 1);
    wire.run_for(SECOND * 60);
    // N7: nothing the protocol could do about it.
    assert_eq!(wire.masters(), [0, 1]);
    let reports = wire.hosts[0]
        .log
        .iter()
        .filter(|output| matches!(output, Output::Contended { ongoing: true, .. }));
    assert!(reports.count() > 5);
}

#[test]
fn equal_routers_with_equal_addresses_do_not_storm() {
    // N4: each discards the other as its own echo.
    let mut wire = Wire::new([("192.0.2.2", config(100)), ("192.0.2.2", config(100))]);
    wire.run_for(SECOND * 60);
    assert!(wire.packets < 2 * 60, "{} packets in a minute", wire.packets);
}

#[test]
fn two_owners_settle_by_address() {
    let mut wire = pair(255, 255);
    wire.run_for(LATENCY * 3);
    assert_eq!(wire.masters(), [1]);
    wire.run_for(SECOND * 60);
    assert_eq!((wire.masters(), wire.holders()), (vec![1], vec![1]));
}

#[test]
fn a_stopped_master_does_not_come_back_as_one() {
    let mut wire = pair(150, 100);
    wire.run_for(SECOND * 10);
    // Stopped: its queue fills, its deadlines pass.
    let stopped = wire.hosts.remove(0);
    wire.flying.clear();
    wire.run_for(SECOND * 10);
    assert_eq!(wire.masters(), [0]);
    let woken = wire.now;
    wire.hosts.insert(0, stopped);
    // It runs its deadlines without having read a packet: the worst case.
    wire.with(0, |host, _| host.router.handle_timeout(woken));
    assert_eq!((wire.masters(), wire.holders()), (vec![1], vec![1]));
    wire.run_for(SECOND * 10);
    assert_eq!(wire.masters(), [0], "it preempts in an orderly way");
}

/// Every dialect in which two routers can agree.
fn dialects() -> Vec<(&'static str, [&'static str; 2], [Config; 2])> {
    let v4 = ["192.0.2.2", "192.0.2.3"];
    let v6 = ["fe80::2", "fe80::3"];
    let both = |make: &dyn Fn(u8) -> Config| [make(150), make(100)];
    let v2 = |priority| config(priority).version(Version::V2);
    let password = Authentication::SimplePassword(Password::new(b"secret").unwrap());
    let sent = |form| move |priority| config(priority).checksum(ChecksumPolicy::Strict(form));
    let peers = |text: [&str; 2]| text.map(|peer| vec![PathConfig::unicast(vec![address(peer)])]);
    let [to_second, to_first] = peers([v4[1], v4[0]]);
    let [to_second_v6, to_first_v6] = peers([v6[1], v6[0]]);
    let fast = Duration::from_millis(10);
    vec![
        ("version 3, IPv4", v4, both(&config)),
        ("version 3, IPv6", v6, both(&config_v6)),
        ("version 2", v4, both(&v2)),
        ("version 2, password", v4, both(&|priority| v2(priority).authentication(password))),
        ("pseudo-header", v4, both(&sent(ChecksumForm::PseudoHeader))),
        ("message only", v4, both(&sent(ChecksumForm::MessageOnly))),
        (
            "mixed checksums",
            v4,
            [
                config(150),
                config(100).checksum(ChecksumPolicy::AcceptAny { send: ChecksumForm::MessageOnly }),
            ],
        ),
        ("unicast", v4, [config(150).paths(to_second), config(100).paths(to_first)]),
        (
            "unicast, IPv6",
            v6,
            [config_v6(150).paths(to_second_v6), config_v6(100).paths(to_first_v6)],
        ),
        ("different intervals", v4, [config(150).advertisement_interval(SECOND * 3), config(100)]),
        ("smallest interval", v4, both(&|priority| config(priority).advertisement_interval(fast))),
    ]
}

#[test]
fn every_dialect_elects_hands_over_and_takes_back() {
    for (name, sources, configs) in dialects() {
        let mut wire = Wire::new(sources.into_iter().zip(configs));
        wire.run_for(SECOND * 20);
        assert_eq!(wire.masters(), [0], "{name}");
        wire.with(0, |host, now| host.router.handle_shutdown(now));
        wire.run_for(SECOND * 4);
        assert_eq!(wire.masters(), [1], "{name}");
        wire.with(0, |host, now| host.router.handle_startup(now));
        wire.run_for(SECOND * 20);
        assert_eq!((wire.masters(), wire.holders()), (vec![0], vec![0]), "{name}");
        for host in &wire.hosts {
            let discards: u64 = host.router.statistics().discards().map(|(_, number)| number).sum();
            let not_running = host.router.statistics().discarded(vrrp_fsm::Counter::NotRunning);
            assert_eq!(discards, not_running, "{name}");
        }
    }
}

#[test]
fn any_number_of_routers_has_one_master() {
    let routers = (1..=20_u8).map(|host| {
        let source: &'static str = Box::leak(format!("192.0.2.{}", 100 + host).into_boxed_str());
        (source, config(host * 10))
    });
    let mut wire = Wire::new(routers);
    wire.run_for(SECOND * 20);
    for leaving in (0..20).rev() {
        assert_eq!((wire.masters(), wire.holders()), (vec![leaving], vec![leaving]));
        wire.with(leaving, |host, now| host.router.handle_shutdown(now));
        wire.run_for(SECOND * 10);
    }
    assert!(wire.masters().is_empty());
}

#[test]
fn a_priority_that_tracking_lowers_hands_the_addresses_over() {
    let mut wire = pair(150, 100);
    wire.run_for(SECOND * 10);
    wire.with(0, |host, now| host.router.handle_priority(now, Priority::new(50)));
    wire.run_for(SECOND * 5);
    assert_eq!(wire.masters(), [1]);
    let sources: Vec<IpAddr> = wire.hosts.iter().map(|host| host.source).collect();
    assert_eq!(wire.hosts[0].router.master().unwrap().source, sources[1]);
}
