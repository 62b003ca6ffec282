//! Configurations that are refused: every field, at the ends of its range.

use core::time::Duration;

use crate::{host::*, reconfigure_table::fields};
use vrrp_fsm::{
    AntiReplay, Config, GuardConfig, PathConfig, PeerConfig, TrailerConfig, Verdict, VirtualRouter,
    vrrp_proto::{AddressFamily, Authentication, Password, TrailerKey, Version},
};

const NANOSECOND: Duration = Duration::from_nanos(1);

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn v2() -> Config {
    config(100).version(Version::V2)
}

fn password() -> Authentication {
    Authentication::SimplePassword(Password::truncated(b"secret"))
}

fn addresses(number: u16) -> Vec<core::net::IpAddr> {
    (0..number).map(|host| [10, 0, host.to_be_bytes()[0], host.to_be_bytes()[1]].into()).collect()
}

fn trailer(window: Option<Duration>) -> TrailerConfig {
    let trailer = TrailerConfig::new(TrailerKey::new(1, &[7; 32]).unwrap());
    trailer.anti_replay(AntiReplay::Time { window })
}

fn guard(deadline: Duration) -> GuardConfig {
    GuardConfig::new(deadline, Verdict::Promote)
}

fn peers(number: u8) -> Vec<PeerConfig> {
    let peer = |host| PeerConfig::new(format!("peer {host}"), vec![[10, 0, 0, host].into()]);
    (1..=number).map(peer).collect()
}

/// The field, the value, what the error says about the value, and about the range.
#[expect(clippy::too_many_lines, reason = "a table")]
fn mistakes() -> Vec<(&'static str, Config, &'static str, &'static str)> {
    let interval = |interval| config(100).advertisement_interval(interval);
    vec![
        ("version", config_v6(100).version(Version::V2), "2", "version 3"),
        ("also_version_2", v2().also_version_2(true), "", "version 3"),
        ("also_version_2", config_v6(100).also_version_2(true), "", "IPv4"),
        ("priority", config(0), "0", "1 to 255"),
        ("advertisement_interval", interval(Duration::ZERO), "0ns", "10ms and 40.95s"),
        ("advertisement_interval", interval(Duration::from_millis(9)), "9ms", "10ms and 40.95s"),
        ("advertisement_interval", interval(Duration::from_millis(40_960)), "40.96s", "40.95s"),
        ("advertisement_interval", interval(Duration::from_millis(15)), "15ms", "multiple of 10ms"),
        ("advertisement_interval", interval(Duration::MAX), "18446744073709551615.9", "40.95s"),
        (
            "advertisement_interval",
            v2().advertisement_interval(Duration::ZERO),
            "0ns",
            "1s and 255s",
        ),
        ("advertisement_interval", v2().advertisement_interval(seconds(256)), "256s", "255s"),
        (
            "advertisement_interval",
            v2().advertisement_interval(Duration::from_millis(1_500)),
            "1.5s",
            "multiple of 1s",
        ),
        (
            "advertisement_interval",
            interval(Duration::from_millis(500)).also_version_2(true),
            "500ms",
            "1s and 255s",
        ),
        ("missed_advertisements", config(100).missed_advertisements(0), "0", "1 to 100"),
        ("missed_advertisements", config(100).missed_advertisements(101), "101", "1 to 100"),
        (
            "preempt_delay",
            config(100).preempt_delay(seconds(65_535) + NANOSECOND),
            "65535.000000001s",
            "0 s to 65535 s",
        ),
        (
            "start_delay",
            config(100).start_delay(Duration::MAX),
            "18446744073709551615.9",
            "65535 s",
        ),
        ("guard", config(100).guard(Some(guard(Duration::ZERO))), "0ns", "60 s"),
        (
            "guard",
            config(100).guard(Some(guard(seconds(60) + NANOSECOND))),
            "60.000000001s",
            "60 s",
        ),
        ("guard", config(255).guard(Some(guard(SECOND))), "255", "1 to 254"),
        ("guard", config(100).sync_group(true).guard(Some(guard(SECOND))), "", "group"),
        ("announce_refresh", config(100).announce_refresh(Some(Duration::ZERO)), "0ns", "1 s"),
        (
            "announce_refresh",
            config(100).announce_refresh(Some(seconds(86_401))),
            "86401s",
            "1 s to 86400 s",
        ),
        ("effect_deadline", config(100).effect_deadline(Duration::ZERO), "0ns", "1 s to 3600 s"),
        ("effect_deadline", config(100).effect_deadline(seconds(3_601)), "3601s", "3600 s"),
        ("authentication", config(100).authentication(password()), "", "version 2"),
        (
            "trailer",
            v2().authentication(password()).trailer(Some(trailer(None))),
            "",
            "authentication",
        ),
        (
            "trailer",
            config(100).trailer(Some(trailer(Some(Duration::ZERO)))),
            "0ns",
            "1 s to 300 s",
        ),
        ("trailer", config(100).trailer(Some(trailer(Some(seconds(301))))), "301s", "1 s to 300 s"),
        ("virtual_addresses", config(100).virtual_addresses(vec![]), "no address", "1 to 255"),
        ("virtual_addresses", config(100).virtual_addresses(addresses(256)), "256", "1 to 255"),
        ("virtual_addresses", config(100).virtual_addresses(vec![address("::1")]), "::1", "IPv4"),
        (
            "virtual_addresses",
            config(100).virtual_addresses(vec![address("224.0.0.18")]),
            "224.0.0.18",
            "host",
        ),
        (
            "virtual_addresses",
            config(100).virtual_addresses(vec![address("192.0.2.1"); 2]),
            "192.0.2.1",
            "twice",
        ),
        (
            "virtual_addresses",
            config_v6(100).virtual_addresses(vec![address("2001:db8::1")]),
            "2001:db8::1",
            "link-local",
        ),
        ("paths", config(100).paths(vec![]), "no path", "1 to 8"),
        ("paths", config(100).paths(vec![PathConfig::multicast(); 9]), "9 paths", "1 to 8"),
        ("paths", config(100).paths(vec![PathConfig::unicast(vec![])]), "", "at least one peer"),
        (
            "paths",
            config(100).paths(vec![PathConfig::unicast(vec![address("0.0.0.0")])]),
            "0.0.0.0",
            "host",
        ),
        ("peers", config(100).paths(vec![PathConfig::multicast(); 2]), "2 paths", "named peers"),
        (
            "peers",
            config(100).peers(vec![PeerConfig::new("", vec![address("10.0.0.1")])]),
            "number 0",
            "no name",
        ),
    ]
}

#[test]
fn each_error_names_the_field_the_value_and_the_range() {
    for (field, config, value, range) in mistakes() {
        let error = VirtualRouter::new(config, SEED).map(drop).unwrap_err().to_string();
        assert!(error.starts_with(field), "{field}: {error}");
        assert!(error.contains(value), "{value}: {error}");
        assert!(error.contains(range), "{range}: {error}");
    }
}

#[test]
fn a_running_router_refuses_the_same_and_stays_as_it_is() {
    for (_, wrong, ..) in mistakes() {
        let right = if wrong.family == AddressFamily::Ipv4 { config(100) } else { config_v6(100) };
        let source = if wrong.family == AddressFamily::Ipv4 { "192.0.2.5" } else { "fe80::5" };
        let (mut host, now) = Host::master(right.clone(), source);
        let deadline = host.router.poll_timeout();
        let refused = host.router.handle_config(now, wrong);
        assert!(refused.is_err());
        assert_eq!(*host.router.config(), right);
        assert_eq!((host.router.poll_output(), host.router.poll_timeout()), (None, deadline));
    }
}

#[test]
fn the_ends_of_each_range_are_in_it() {
    for config in [
        config(1),
        config(254),
        config(255),
        config(100).advertisement_interval(Duration::from_millis(10)),
        config(100).advertisement_interval(Duration::from_millis(40_950)),
        v2().advertisement_interval(seconds(1)),
        v2().advertisement_interval(seconds(255)),
        config(100).also_version_2(true).advertisement_interval(seconds(40)),
        config(100).missed_advertisements(1),
        config(100).missed_advertisements(100),
        config(100).preempt_delay(seconds(65_535)),
        config(100).start_delay(seconds(65_535)),
        config(100).guard(Some(guard(NANOSECOND))),
        config(100).guard(Some(guard(seconds(60)))),
        config(100).announce_refresh(Some(seconds(1))),
        config(100).announce_refresh(Some(seconds(86_400))),
        config(100).effect_deadline(seconds(1)),
        config(100).effect_deadline(seconds(3_600)),
        config(100).trailer(Some(trailer(Some(seconds(1))))),
        config(100).trailer(Some(trailer(Some(seconds(300))))),
        config(100).virtual_addresses(addresses(255).split_off(1)),
        config(100).peers(peers(254)),
    ] {
        assert_eq!(VirtualRouter::new(config.clone(), SEED).map(drop), Ok(()), "{config:?}");
    }
}

#[test]
fn every_field_has_a_mistake_or_none_that_could_be_made() {
    // Of an enumeration, a switch, or checked when it is made.
    let cannot_be_wrong = [
        "vrid",
        "family",
        "preempt_mode",
        "owner_skips_backup",
        "owner_reception",
        "sync_group",
        "accept_mode",
        "link_local_first",
        "checksum",
        "trailing_octets",
        "address_list_mismatch",
        "immediate_answer",
        "advertise_before_yielding",
        "release_from",
        "late_wake_rule",
        "send_failure",
        "addresses_lost",
        "unicast_hop_limit",
    ];
    let wrong: Vec<&str> = mistakes().into_iter().map(|(field, ..)| field).collect();
    for field in fields(&config(100)) {
        let listed = wrong.contains(&&*field);
        assert!(listed != cannot_be_wrong.contains(&&*field), "{field}");
    }
}
