//! Two routers with one source address, and two owners.

use core::time::Duration;

use crate::{host::*, network::*};
use vrrp_fsm::{
    Conflict, Counter, Discard, Instant, Output, OwnerReception, State,
    vrrp_proto::{Authentication, HeaderKey, Password, Priority, Version, Vrid},
};

const OWN: &str = "192.0.2.5";

/// What another router with our source address sends; another seed is another router.
fn twin(config: vrrp_fsm::Config, source: &str) -> Packet {
    let mut host = Host::seeded(config.priority(Priority::OWNER), source, 7);
    host.router.handle_startup(at(0));
    host.carry_out(at(0));
    host.wire.pop_front().unwrap()
}

fn conflicts(log: &[Output]) -> Vec<(Conflict, u64)> {
    log.iter()
        .filter_map(|output| match output {
            Output::Conflict { conflict, total } => Some((*conflict, *total)),
            _ => None,
        })
        .collect()
}

fn shouted(host: &mut Host, now: Instant, packet: &Packet) -> usize {
    host.log.clear();
    assert!(host.receive(now, packet).is_err());
    conflicts(&host.log).len()
}

#[test]
fn an_echo_is_no_conflict() {
    for config in [config(100), config(100).version(Version::V2), config_v6(100)] {
        let own = if config == config_v6(100) { "fe80::5" } else { OWN };
        let mut host = Host::started(config, own);
        let mut now = at(0);
        while host.wire.len() < 20 {
            now = host.step().unwrap();
        }
        // The last ones, more than once, as a loop makes it.
        for packet in host.wire.clone().iter().rev().take(1).cycle().take(10) {
            let result = host.receive(now + SECOND / 2, packet);
            assert!(matches!(result, Err(Discard::OwnSource { .. })), "{result:?}");
        }
        assert_eq!(conflicts(&host.log), []);
        assert_eq!(host.router.statistics().discarded(Counter::OwnSource), 10);
        assert_eq!(host.router.statistics().discarded(Counter::AddressConflict), 0);
    }
}

#[test]
fn a_number_that_was_not_used_yet_is_no_echo() {
    let mut host = Host::started(config(100), OWN);
    let mut now = at(0);
    while host.wire.is_empty() {
        now = host.step().unwrap();
    }
    let mut next = host.wire.pop_front().unwrap();
    let used = u16::from_be_bytes([next.bytes[4], next.bytes[5]]);
    next.bytes[4..6].copy_from_slice(&(used + 1).to_be_bytes());
    assert_eq!(shouted(&mut host, now, &next), 1);
}

#[test]
fn an_echo_to_a_former_master_is_no_conflict() {
    let mut host = Host::started(config(100), OWN);
    let mut now = at(0);
    while host.wire.is_empty() {
        now = host.step().unwrap();
    }
    let sent = host.wire.pop_front().unwrap();
    host.receive(now, &advertisement(config(100), "192.0.2.9", 200)).unwrap();
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(shouted(&mut host, now + SECOND / 10, &sent), 0);
    // A second later it is none that an echo would take so long for.
    host.receive(now + SECOND, &advertisement(config(100), "192.0.2.9", 200)).unwrap();
    assert_eq!(shouted(&mut host, now + SECOND + Duration::from_nanos(1), &sent), 1);
}

#[test]
fn a_master_tells_a_twin_from_an_echo_by_the_identification() {
    let (mut host, now) = Host::master(config(100), OWN);
    let packet = twin(config(100), OWN);
    let deadline = host.router.poll_timeout();
    let result = host.receive(now, &packet);
    assert_eq!(result, Err(Discard::AddressConflict { source_address: address(OWN) }));
    let conflict = Conflict::SourceAddress { address: address(OWN) };
    assert_eq!(conflicts(&host.log), [(conflict, 1)]);
    assert_eq!(conflict.to_string(), "another router advertises from our own address 192.0.2.5");
    // Nothing else has changed.
    assert_eq!(host.log.len(), 1);
    assert_eq!((host.router.state(), host.router.poll_timeout()), (State::Master, deadline));
    assert_eq!(host.router.statistics().discarded(Counter::AddressConflict), 1);
    assert_eq!(host.router.statistics().discarded(Counter::OwnSource), 0);
}

#[test]
fn a_master_that_has_long_sent_nothing_hears_no_echo() {
    let slow = config(100).advertisement_interval(SECOND * 10);
    let (mut host, now) = Host::master(slow, OWN);
    let own = {
        let (mut same, _) = Host::master(config(100).advertisement_interval(SECOND * 10), OWN);
        same.step().unwrap();
        same.wire.pop_front().unwrap()
    };
    assert_eq!(shouted(&mut host, now + SECOND * 2, &own), 1, "sent, but not by us");
}

#[test]
fn over_ipv6_a_twin_is_told_by_what_it_says() {
    let (mut host, now) = Host::master(config_v6(100), "fe80::5");
    let same = advertisement(config_v6(100), "fe80::5", 100);
    assert_eq!(shouted(&mut host, now, &same), 0, "cannot be told from an echo");
    let other = advertisement(config_v6(100), "fe80::5", 90);
    assert_eq!(shouted(&mut host, now, &other), 1);
}

#[test]
fn over_ipv6_another_interval_is_another_routers() {
    let (mut host, now) = Host::master(config_v6(100), "fe80::5");
    let other = advertisement(config_v6(100).advertisement_interval(SECOND * 2), "fe80::5", 100);
    assert_eq!(shouted(&mut host, now, &other), 1);
}

#[test]
fn a_backup_shouts_in_every_dialect() {
    let key = HeaderKey::new(Password::truncated(b"secret"));
    let v2 = config(100).version(Version::V2);
    for (config, own) in [
        (config(100), OWN),
        (v2.clone(), OWN),
        (v2.clone().authentication(Authentication::Header(key)), OWN),
        (config_v6(100), "fe80::5"),
    ] {
        let mut host = Host::started(config.clone(), own);
        assert_eq!(shouted(&mut host, at(1), &twin(config, own)), 1);
        assert_eq!(host.router.state(), State::Backup);
    }
}

#[test]
fn what_is_no_advertisement_of_this_election_is_no_conflict() {
    let mut host = Host::started(config(100), OWN);
    let mut other_vrid = config(100);
    other_vrid.vrid = Vrid::new(52).unwrap();
    assert_eq!(shouted(&mut host, at(1), &twin(other_vrid, OWN)), 0);
    let mut broken = twin(config(100), OWN);
    *broken.bytes.last_mut().unwrap() ^= 1;
    assert_eq!(shouted(&mut host, at(1), &broken), 0);
    assert_eq!(host.router.statistics().discarded(Counter::OwnSource), 2);
    // Whoever takes no part has nothing to say about it.
    let mut stopped = Host::new(config(100), OWN);
    assert_eq!(shouted(&mut stopped, at(1), &twin(config(100), OWN)), 0);
}

#[test]
fn at_most_one_shout_a_minute() {
    let mut host = Host::started(config(100), OWN);
    let packet = twin(config(100), OWN);
    let mut shouts = Vec::new();
    for tenth in 0..1_300_u64 {
        let now = at(0) + Duration::from_millis(tenth * 100);
        host.run_until(now);
        if shouted(&mut host, now, &packet) > 0 {
            shouts.push(tenth / 10);
        }
    }
    assert_eq!(shouts, [0, 60, 120]);
    assert_eq!(host.router.statistics().discarded(Counter::AddressConflict), 1_300);
}

#[test]
fn both_routers_of_one_address_shout_and_neither_storms() {
    let mut wire = Wire::new([(OWN, config(100)), (OWN, config(100))]);
    wire.hosts[1] = Host::seeded(config(100), OWN, 99);
    wire.hosts[1].router.handle_startup(at(0));
    wire.run_for(SECOND * 150);
    for host in &wire.hosts {
        let told = conflicts(&host.log);
        assert!((2..=3).contains(&told.len()), "{told:?}");
        assert!(
            told.iter().all(|(conflict, _)| matches!(conflict, Conflict::SourceAddress { .. }))
        );
    }
    assert!(wire.packets <= 2 * 150, "{} packets", wire.packets);
}

#[test]
fn two_owners_both_shout_and_the_address_decides() {
    let mut wire = Wire::new([("192.0.2.2", config(255)), ("192.0.2.3", config(255))]);
    wire.run_for(SECOND * 150);
    assert_eq!((wire.masters(), wire.holders()), (vec![1], vec![1]));
    let other = |host: &Host| match conflicts(&host.log)[..] {
        [(Conflict::Owner { other }, _), ..] => other,
        ref none => panic!("{none:?}"),
    };
    assert_eq!(other(&wire.hosts[0]), address("192.0.2.3"));
    assert_eq!(other(&wire.hosts[1]), address("192.0.2.2"));
    assert!(conflicts(&wire.hosts[0].log).len() <= 3, "at most one a minute");
    assert!(wire.hosts[0].router.statistics().owner_conflicts > 100, "the loser goes on hearing");
}

#[test]
fn an_owner_that_starts_later_and_wins_at_once_hears_of_the_other() {
    let mut wire = Wire::new([("192.0.2.2", config(255))]);
    wire.run_for(SECOND * 10 + SECOND / 2);
    let mut late = Host::new(config(255), "192.0.2.3");
    late.router.handle_startup(wire.now);
    late.carry_out(wire.now);
    wire.hosts.push(late);
    // Nothing but the first advertisements of the new one, before the next of the old one.
    wire.with(1, |_, _| {});
    wire.run_for(LATENCY * 3);
    assert_eq!(wire.masters(), [1]);
    for (host, other) in [(0, "192.0.2.3"), (1, "192.0.2.2")] {
        let expected = Conflict::Owner { other: address(other) };
        assert_eq!(conflicts(&wire.hosts[host].log), [(expected, 1)]);
    }
    // Ordinary routers yield in silence.
    let (mut host, now) = Host::master(config(100), OWN);
    host.receive(now, &advertisement(config(100), "192.0.2.9", 255)).unwrap();
    assert_eq!(host.wire.len(), 0);
}

#[test]
fn whether_an_owner_listens_is_the_operators_decision_and_it_shouts_in_any_case() {
    for (version, reception, listens) in [
        (Version::V3, OwnerReception::ByVersion, true),
        (Version::V3, OwnerReception::Always, true),
        (Version::V3, OwnerReception::Never, false),
        (Version::V2, OwnerReception::ByVersion, false),
        (Version::V2, OwnerReception::Always, true),
        (Version::V2, OwnerReception::Never, false),
    ] {
        let config = config(255).version(version).owner_reception(reception);
        let mut host = Host::started(config.clone(), OWN);
        let rival = advertisement(config.clone(), "192.0.2.9", 255);
        let result = host.receive(at(1), &rival);
        assert_eq!(result, if listens { Ok(()) } else { Err(Discard::Owner) });
        let state = if listens { State::Backup } else { State::Master };
        assert_eq!(host.router.state(), state, "{version:?} {reception:?}");
        let expected = Conflict::Owner { other: address("192.0.2.9") };
        assert_eq!(conflicts(&host.log), [(expected, 1)]);
        // One of a lower priority is no owner.
        let mut host = Host::started(config.clone(), OWN);
        let _listens = host.receive(at(1), &advertisement(config, "192.0.2.9", 254));
        assert_eq!(conflicts(&host.log), []);
    }
}

#[test]
fn a_stranger_without_the_password_is_no_owner() {
    let password = |text: &[u8]| Authentication::SimplePassword(Password::truncated(text));
    let v2 = config(255).version(Version::V2);
    let mut host = Host::started(v2.clone().authentication(password(b"ours")), OWN);
    let rival = advertisement(v2.authentication(password(b"theirs")), "192.0.2.9", 255);
    assert_eq!(host.receive(at(1), &rival), Err(Discard::Owner));
    assert_eq!(conflicts(&host.log), []);
    assert_eq!(host.router.statistics().owner_conflicts, 0);
}
