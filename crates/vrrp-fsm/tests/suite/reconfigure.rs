//! A new configuration for a running virtual router.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{
    Config, ConfigError, Output, PathConfig, PathId, SendFailed, SendFailurePolicy, State, Wanted,
    vrrp_proto::{Advertisement, Ipv4Packet, Priority, Version, Vrid},
};

fn reconfigure(host: &mut Host, now: vrrp_fsm::Instant, config: Config) {
    host.router.handle_config(now, config).unwrap();
    host.carry_out(now);
}

#[test]
fn a_master_stays_and_says_at_once_what_is_new() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    let now = now + SECOND / 4;
    let new = config(120).advertisement_interval(SECOND / 2);
    reconfigure(&mut host, now, new);
    assert!(matches!(host.log[..], [Output::Send(send)] if send.priority == Priority::new(120)));
    assert_eq!(host.router.poll_timeout(), Some(now + SECOND / 2));
    let packet = Ipv4Packet::parse(&host.wire[0].bytes).unwrap();
    let sent = Advertisement::parse(packet.payload(), packet.pseudo_header()).unwrap();
    assert_eq!(sent.interval().as_duration(), SECOND / 2);
    assert_eq!(host.router.term(), 1);
}

#[test]
fn new_addresses_are_installed_and_advertised() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    let addresses = vec![address("192.0.2.1"), address("192.0.2.77")];
    reconfigure(&mut host, now, config(100).virtual_addresses(addresses));
    assert!(matches!(
        host.log[..],
        [Output::Send(_), Output::SetAddresses { wanted: Wanted::All, .. }]
    ));
    assert_eq!(host.router.reported_state(), State::Master, "and nobody is told otherwise");
    let packet = Ipv4Packet::parse(&host.wire[0].bytes).unwrap();
    let sent = Advertisement::parse(packet.payload(), packet.pseudo_header()).unwrap();
    assert_eq!(sent.addresses().len(), 2);
}

#[test]
fn a_backup_keeps_its_master_and_never_waits_longer_than_a_new_one() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let better = advertisement(config(100), "192.0.2.3", 200);
    host.receive(at(0), &better).unwrap();
    let now = at(0) + SECOND;
    reconfigure(&mut host, now, config(100).missed_advertisements(10));
    assert_eq!(host.router.poll_timeout(), Some(at(0) + Duration::from_micros(10_609_375)));
    reconfigure(&mut host, now, config(100).missed_advertisements(1));
    assert_eq!(host.router.poll_timeout(), Some(at(0) + Duration::from_micros(1_609_375)));
    assert!(host.router.master().is_some());
    // What was learned from the Master in version 3 stays learned.
    reconfigure(&mut host, now, config(100).advertisement_interval(SECOND * 20));
    assert_eq!(host.router.poll_timeout(), Some(at(0) + Duration::from_micros(3_609_375)));
    assert_eq!(host.log.len(), 1, "{:?}", host.log);
}

#[test]
fn in_version_2_the_interval_is_ours() {
    let v2 = |seconds| {
        config(100).version(Version::V2).advertisement_interval(Duration::from_secs(seconds))
    };
    let mut host = Host::started(v2(1), "192.0.2.2");
    host.receive(at(0), &advertisement(v2(1), "192.0.2.3", 200)).unwrap();
    reconfigure(&mut host, at(0) + SECOND, v2(5));
    assert_eq!(host.router.poll_timeout(), Some(at(0) + Duration::from_micros(15_609_375)));
}

#[test]
fn the_effective_priority_becomes_the_configured_one() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.router.handle_priority(at(1), Priority::new(7));
    reconfigure(&mut host, at(1), config(90));
    assert_eq!(host.router.priority(), Priority::new(90));
}

#[test]
fn what_makes_it_another_virtual_router_is_refused_and_changes_nothing() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    let mut other_vrid = config(100);
    other_vrid.vrid = Vrid::new(52).unwrap();
    for other in [other_vrid, config_v6(100)] {
        let refused = host.router.handle_config(now, other);
        assert_eq!(refused, Err(ConfigError::IdentityChanged));
    }
    let refused = host.router.handle_config(now, config(100).virtual_addresses(vec![]));
    assert_eq!(refused, Err(ConfigError::NoAddresses));
    assert_eq!(host.router.poll_output(), None);
    assert_eq!(*host.router.config(), config(100));
}

#[test]
fn peers_take_the_place_of_the_group() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    let peers = vec![address("192.0.2.3"), address("192.0.2.4")];
    reconfigure(&mut host, now, config(100).paths(vec![PathConfig::unicast(peers.clone())]));
    let sent: Vec<_> = host.wire.iter().map(|packet| packet.destination).collect();
    assert_eq!(sent, peers);
    assert!(host.router.destinations(PathId::new(1)).next().is_none());
}

#[test]
fn a_master_that_waits_to_be_heard_stops_waiting_when_told_to_stay_anyway() {
    let (mut host, start) = Host::master(config(100), "192.0.2.2");
    host.sending = Err(SendFailed);
    host.run_until(start + SECOND * 4);
    let back = host.router.poll_timeout().unwrap();
    host.timeout(back);
    let promoted = host.router.poll_timeout().unwrap();
    host.router.handle_timeout(promoted);
    // Before the result of the first transmission is known.
    let keep = config(100).send_failure(SendFailurePolicy::Keep);
    host.router.handle_config(promoted, keep).unwrap();
    host.carry_out(promoted);
    assert!(host.installed);
    assert_eq!(host.router.reported_state(), State::Master);
}
