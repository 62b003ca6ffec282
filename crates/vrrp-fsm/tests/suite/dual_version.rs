//! A router that speaks version 3 and version 2 (RFC 9568 §8.4), and what it is for: moving the
//! routers of a link from version 2 to version 3 one by one.

use core::time::Duration;

use crate::{host::*, network::*};
use vrrp_fsm::{
    Config, ConfigError, Counter, Discard, Output, SendFailed, State,
    vrrp_proto::{
        Advertisement, Authentication, HeaderKey, Ipv4Packet, Password, Priority, Version,
    },
};

fn v2(priority: u8) -> Config {
    config(priority).version(Version::V2)
}

fn dual(priority: u8) -> Config {
    config(priority).also_version_2(true)
}

fn password() -> Authentication {
    Authentication::SimplePassword(Password::truncated(b"secret"))
}

/// Version, priority and interval of each packet, in order.
fn read(host: &Host) -> Vec<(Version, u8, Duration)> {
    let read = |packet: &Packet| {
        let packet = Ipv4Packet::parse(&packet.bytes).unwrap();
        let sent = Advertisement::parse(packet.payload(), packet.pseudo_header()).unwrap();
        (sent.version(), sent.priority().get(), sent.interval().as_duration())
    };
    host.wire.iter().map(read).collect()
}

#[test]
fn every_advertisement_goes_out_in_both_versions_at_the_configured_rate() {
    let config = dual(100).advertisement_interval(SECOND * 2);
    let (mut host, now) = Host::master(config, "192.0.2.5");
    host.run_until(now + SECOND * 4);
    let pair = [(Version::V3, 100, SECOND * 2), (Version::V2, 100, SECOND * 2)];
    assert_eq!(read(&host), [pair, pair].concat());
    host.wire.clear();
    host.router.handle_shutdown(now + SECOND * 5);
    host.carry_out(now + SECOND * 5);
    let zero = [(Version::V3, 0, SECOND * 2), (Version::V2, 0, SECOND * 2)];
    assert_eq!(read(&host), zero);
    let statistics = host.router.statistics();
    assert_eq!((statistics.advertisements_sent, statistics.priority_zero_sent), (8, 2));
}

#[test]
fn the_authentication_is_that_of_version_2_only() {
    let (mut host, _) = Host::master(dual(100).authentication(password()), "192.0.2.5");
    host.step().unwrap();
    let authentication = |packet: &Packet| {
        let packet = Ipv4Packet::parse(&packet.bytes).unwrap();
        let sent = Advertisement::parse(packet.payload(), packet.pseudo_header()).unwrap();
        (sent.version(), password().verify(&sent).is_ok(), sent.authentication().is_some())
    };
    let sent: Vec<_> = host.wire.iter().map(authentication).collect();
    assert_eq!(sent, [(Version::V3, true, false), (Version::V2, true, true)]);

    let mut host = Host::started(dual(100).authentication(password()), "192.0.2.5");
    let v2 =
        |authentication| advertisement(v2(100).authentication(authentication), "192.0.2.9", 150);
    let refused = host.receive(at(1), &v2(Authentication::None));
    assert!(matches!(refused, Err(Discard::Authentication(_))), "{refused:?}");
    assert_eq!(host.receive(at(2), &v2(password())), Ok(()));
    assert_eq!(host.receive(at(3), &advertisement(config(100), "192.0.2.9", 150)), Ok(()));
}

#[test]
fn an_authentication_header_is_for_version_2_only() {
    let key = Authentication::Header(HeaderKey::new(Password::truncated(b"secret")));
    let mut host = Host::started(dual(100).authentication(key), "192.0.2.5");
    let v3 = advertisement(config(100), "192.0.2.9", 150);
    assert_eq!(host.receive(at(1), &v3), Ok(()));
    let bare = advertisement(v2(100), "192.0.2.8", 150);
    assert!(matches!(host.receive(at(2), &bare), Err(Discard::Authentication(_))));
    let right = advertisement(v2(100).authentication(key), "192.0.2.8", 150);
    assert_eq!(host.receive(at(3), &right), Ok(()));
    // And it can send both.
    let (mut host, _) = Host::master(dual(100).authentication(key), "192.0.2.5");
    host.step().unwrap();
    let protocols: Vec<u8> = host.wire.iter().map(|packet| packet.bytes[9]).collect();
    assert_eq!(protocols, [112, 51]);
}

#[test]
fn a_backup_times_out_by_what_the_master_advertises_in_either_version() {
    for version in [Version::V2, Version::V3] {
        let mut host = Host::started(dual(100), "192.0.2.5");
        let master = config(100).version(version).advertisement_interval(SECOND * 5);
        host.receive(at(0), &advertisement(master, "192.0.2.9", 150)).unwrap();
        let heard = host.router.master().unwrap();
        assert_eq!((heard.version, heard.interval), (version, SECOND * 5));
        let skew = SECOND * 5 * 156 / 256;
        assert_eq!(host.router.poll_timeout(), Some(at(0) + SECOND * 15 + skew), "{version:?}");
        assert_eq!(host.router.statistics().interval_noted, 1);
    }
}

#[test]
fn version_2_of_a_master_that_sends_version_3_is_ignored_and_counted() {
    let mut host = Host::started(dual(100), "192.0.2.5");
    let (v3, v2) =
        (advertisement(config(100), "192.0.2.9", 150), advertisement(v2(100), "192.0.2.9", 150));
    host.receive(at(0), &v3).unwrap();
    let deadline = host.router.poll_timeout();
    let ignored = Err(Discard::AlsoInVersion3 { source_address: address("192.0.2.9") });
    assert_eq!(host.receive(at(1), &v2), ignored);
    assert_eq!(host.receive(at(0) + Duration::from_nanos(499_999_999), &v2), ignored);
    assert_eq!(host.router.poll_timeout(), deadline, "no timer was touched");
    assert_eq!(host.router.statistics().discarded(Counter::AlsoInVersion3), 2);
    // Another router's, and what has no version 3 beside it, are not.
    let other = advertisement(self::v2(100), "192.0.2.8", 150);
    assert_eq!(host.receive(at(2), &other), Ok(()));
    assert_eq!(host.receive(at(0) + SECOND / 2, &v2), Ok(()));
}

#[test]
fn the_master_may_go_back_to_version_2_or_lose_every_version_3_packet() {
    let mut host = Host::started(dual(100).missed_advertisements(1), "192.0.2.5");
    host.receive(at(0), &advertisement(config(100), "192.0.2.9", 150)).unwrap();
    let mut now = at(0);
    for _ in 0..10 {
        now += SECOND;
        host.run_until(now);
        host.receive(now, &advertisement(v2(100), "192.0.2.9", 150)).unwrap();
    }
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(host.router.statistics().master_transitions, 0);
}

#[test]
fn a_release_in_both_versions_counts_once() {
    let mut host = Host::started(dual(100), "192.0.2.5");
    host.receive(at(0), &advertisement(config(100), "192.0.2.9", 150)).unwrap();
    host.receive(at(0) + SECOND, &advertisement(config(100), "192.0.2.9", 0)).unwrap();
    let deadline = host.router.poll_timeout();
    let twin = host.receive(at(0) + SECOND * 5 / 4, &advertisement(v2(100), "192.0.2.9", 0));
    assert!(matches!(twin, Err(Discard::AlsoInVersion3 { .. })));
    assert_eq!(host.router.poll_timeout(), deadline);
}

#[test]
fn whoever_speaks_one_version_ignores_the_other() {
    for (ours, theirs) in [(v2(100), config(100)), (config(100), v2(100))] {
        let mut host = Host::started(ours, "192.0.2.5");
        let packet = advertisement(theirs, "192.0.2.9", 150);
        assert!(matches!(host.receive(at(1), &packet), Err(Discard::Version { .. })));
    }
}

#[test]
fn one_version_that_cannot_be_sent_is_no_silence() {
    let (mut host, now) = Host::master(dual(100), "192.0.2.5");
    let path = vrrp_fsm::PathId::FIRST;
    for second in 1..20 {
        let now = now + SECOND * second;
        host.router.handle_timeout(now);
        let mut first = true;
        while let Some(output) = host.router.poll_output() {
            if matches!(output, Output::Send(_)) {
                let result = if first { Ok(()) } else { Err(SendFailed) };
                host.router.handle_send(now, path, result);
                first = false;
            }
        }
    }
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn the_interval_has_to_be_valid_in_both_and_the_rest_to_make_sense() {
    let ok = |config: Config| Host::new(config, "192.0.2.5").router.config().also_version_2;
    assert!(ok(dual(100).advertisement_interval(SECOND * 40)));
    for millis in [10, 500, 1_500, 41_000] {
        let config = dual(100).advertisement_interval(Duration::from_millis(millis));
        let refused = vrrp_fsm::VirtualRouter::new(config, SEED).unwrap_err();
        assert!(matches!(refused, ConfigError::Interval(_)), "{millis}: {refused}");
    }
    let refused = |config: Config| vrrp_fsm::VirtualRouter::new(config, SEED).unwrap_err();
    assert_eq!(refused(v2(100).also_version_2(true)), ConfigError::AlsoVersion2NeedsVersion3);
    assert_eq!(refused(config_v6(100).also_version_2(true)), ConfigError::AlsoVersion2NeedsIpv4);
    assert_eq!(
        refused(config(100).authentication(password())),
        ConfigError::AuthenticationNeedsVersion2
    );
}

/// The routers of a link, of which one at a time gets another configuration.
fn fleet(first: &Config, second: &Config) -> Wire {
    let mut wire = Wire::new([("192.0.2.2", first.clone()), ("192.0.2.3", second.clone())]);
    wire.run_for(SECOND * 10);
    wire
}

fn reconfigure(wire: &mut Wire, host: usize, config: Config) {
    wire.with(host, |host, now| host.router.handle_config(now, config).unwrap());
}

/// Nobody but the first was Master since the beginning, and nobody had to become it again.
fn assert_undisturbed(wire: &Wire) {
    assert_eq!((wire.masters(), wire.holders()), (vec![0], vec![0]));
    assert_eq!(wire.longest_double, Duration::ZERO);
    assert_eq!(wire.hosts[0].router.term(), 1);
    assert_eq!(wire.hosts[1].router.term(), 0);
}

const PRIORITIES: [u8; 2] = [150, 100];

/// Both routers, one at a time in this order, with a while between.
fn migrate(order: [usize; 2], steps: &[fn(u8) -> Config], authentication: Authentication) -> Wire {
    let begin = |host: usize| v2(PRIORITIES[host]).authentication(authentication);
    let mut wire = fleet(&begin(0), &begin(1));
    for step in steps {
        for host in order {
            let config = step(PRIORITIES[host]);
            let speaks_version_2 = config.version == Version::V2 || config.also_version_2;
            let config =
                if speaks_version_2 { config.authentication(authentication) } else { config };
            reconfigure(&mut wire, host, config);
            // Longer than anybody waits for a Master.
            wire.run_for(SECOND * 10 + Duration::from_millis(370));
            assert_undisturbed(&wire);
        }
    }
    wire
}

#[test]
fn a_pair_moves_to_version_3_and_back_without_a_moment_of_two_masters() {
    for authentication in [Authentication::None, password()] {
        for order in [[0, 1], [1, 0]] {
            let wire = migrate(order, &[dual, config, dual, v2], authentication);
            assert_eq!(wire.hosts[0].router.config().version, Version::V2);
        }
    }
}

#[test]
fn without_the_step_between_there_are_two_masters() {
    for order in [0, 1] {
        // The control: what the detour is for.
        let mut wire = fleet(&v2(150), &v2(100));
        reconfigure(&mut wire, order, config(PRIORITIES[order]));
        wire.run_for(SECOND * 10);
        assert_eq!(wire.masters(), [0, 1]);
    }
}

#[test]
fn in_every_step_the_other_one_takes_over_and_gives_back() {
    let stages: [(Config, Config); 5] = [
        (v2(150), dual(100)),
        (dual(150), v2(100)),
        (dual(150), dual(100)),
        (config(150), dual(100)),
        (dual(150), config(100)),
    ];
    for (first, second) in stages {
        let mut wire = fleet(&first, &second);
        assert_eq!(wire.masters(), [0]);
        // An orderly end is heard in the version they share: one skew time.
        wire.with(0, |host, now| host.router.handle_shutdown(now));
        wire.run_for(LATENCY + Duration::from_micros(609_375));
        assert_eq!((wire.masters(), wire.holders()), (vec![1], vec![1]));
        wire.with(0, |host, now| host.router.handle_startup(now));
        wire.run_for(SECOND * 10);
        assert_eq!((wire.masters(), wire.holders()), (vec![0], vec![0]));
        // Taking back: the better one advertises, and the other has heard it one latency later.
        assert!(wire.longest_double <= LATENCY, "{:?}", wire.longest_double);
        // A crash is noticed by its silence.
        wire.cut = |_, _| true;
        wire.run_for(SECOND * 4);
        assert_eq!(wire.masters(), [0, 1]);
        wire.cut = |_, _| false;
        wire.run_for(SECOND * 2);
        assert_eq!(wire.masters(), [0]);
    }
}

#[test]
fn a_fleet_of_three_moves_while_one_of_them_fails() {
    let begin = [("192.0.2.2", v2(200)), ("192.0.2.3", v2(150)), ("192.0.2.4", v2(100))];
    let mut wire = Wire::new(begin);
    wire.run_for(SECOND * 10);
    let priorities = [200, 150, 100];
    let steps: [fn(u8) -> Config; 2] = [dual, config];
    for step in steps {
        for host in [2, 0, 1] {
            reconfigure(&mut wire, host, step(priorities[host]));
            wire.run_for(SECOND * 10);
            assert_eq!(wire.masters(), [0]);
            wire.with(0, |host, now| host.router.handle_shutdown(now));
            wire.run_for(SECOND * 10);
            assert_eq!(wire.masters(), [1]);
            wire.with(0, |host, now| host.router.handle_startup(now));
            wire.run_for(SECOND * 10);
            assert_eq!(wire.masters(), [0]);
        }
    }
    assert!(wire.longest_double <= LATENCY, "{:?}", wire.longest_double);
}

#[test]
fn two_owners_of_both_versions_settle_by_address() {
    let mut wire = Wire::new([("192.0.2.2", dual(255)), ("192.0.2.3", dual(255))]);
    wire.run_for(SECOND * 10);
    assert_eq!(wire.masters(), [1]);
    assert_eq!(wire.hosts[1].router.priority(), Priority::OWNER);
}

#[test]
fn a_late_wake_counts_from_when_a_backup_of_version_2_may_have_expired() {
    // The skew of priority 254 is 7.8 ms in version 2, and 78 ms in version 3 at this interval.
    for (config, yields) in [(config(100), false), (dual(100), true)] {
        let (mut host, _) = Host::master(config.advertisement_interval(SECOND * 10), "192.0.2.5");
        let due = host.router.poll_timeout().unwrap();
        host.timeout(due + SECOND * 20 + Duration::from_millis(10));
        assert_eq!(host.router.state() == State::Backup, yields);
    }
}
