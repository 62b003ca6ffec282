//! What a Master leaves to be said when its process has died.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{
    Config, Instant, MAX_DATAGRAM_LEN, PathId, State, TrailerConfig,
    vrrp_proto::{Authentication, HeaderKey, Password, Priority, TrailerKey, Version},
};

/// Farewells as they would be sent now.
fn farewells(host: &mut Host, now: Instant) -> Vec<Vec<u8>> {
    let sends: Vec<_> = host.router.farewell(now).collect();
    let group = address("224.0.0.18");
    let encode = |send: &_| {
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        host.router.encode(send, PathId::FIRST, group, &mut buffer).unwrap().to_vec()
    };
    sends.iter().map(encode).collect()
}

fn kinds() -> Vec<(&'static str, Config)> {
    let password = Password::new(b"s3cret").unwrap();
    let key = TrailerKey::new(1, &[7; 32]).unwrap();
    let version_2 = |authentication| {
        move |config: Config| config.version(Version::V2).authentication(authentication)
    };
    vec![
        ("plain", config(200)),
        ("password", version_2(Authentication::SimplePassword(password))(config(200))),
        ("header", version_2(Authentication::Header(HeaderKey::new(password)))(config(200))),
        ("trailer", config(200).trailer(Some(TrailerConfig::new(key)))),
    ]
}

/// After any number of advertisements a Backup that has heard them takes over at its skew time.
#[test]
fn a_farewell_is_obeyed_whenever_it_was_made() {
    for (kind, config) in kinds() {
        for sent in [1, 2, 1023, 1024, 1025, 1500] {
            let (mut master, _) = Host::master(config.clone(), "192.0.2.9");
            let mut now = Instant::ZERO;
            let mut backup =
                Host::started(config.clone().priority(Priority::new(100)), "192.0.2.5");
            for _ in 0..sent {
                now = master.step().unwrap();
                let packet = master.wire.pop_back().unwrap();
                master.wire.clear();
                backup.receive(now, &packet).unwrap();
            }
            let [farewell] = &farewells(&mut master, now)[..] else { panic!("{kind}: one") };
            let packet = Packet {
                path: PathId::FIRST,
                source: master.source,
                destination: address("224.0.0.18"),
                hop_limit: 255,
                bytes: farewell.clone(),
            };
            backup.receive(now, &packet).unwrap_or_else(|why| panic!("{kind}, {sent}: {why}"));
            let skew = backup.router.poll_timeout().unwrap().saturating_duration_since(now);
            assert!(skew < Duration::from_secs(1), "{kind}, {sent}: {skew:?}");
        }
    }
}

#[test]
fn only_a_master_has_one_and_it_changes_nothing() {
    for (kind, config) in kinds() {
        let mut backup = Host::started(config.clone(), "192.0.2.5");
        assert_eq!(farewells(&mut backup, at(1)), Vec::<Vec<u8>>::new(), "{kind}");
        let (mut master, now) = Host::master(config, "192.0.2.5");
        let due = master.router.poll_timeout();
        farewells(&mut master, now);
        assert_eq!((master.router.poll_timeout(), master.router.state()), (due, State::Master));
        assert!(master.router.poll_output().is_none());
    }
    // In both versions.
    let both = config(200).also_version_2(true);
    let (mut master, now) = Host::master(both, "192.0.2.5");
    let versions: Vec<u8> =
        farewells(&mut master, now).iter().map(|packet| packet[20] >> 4).collect();
    assert_eq!(versions, [3, 2]);
}

/// Who keeps it up to date writes it seldom.
#[test]
fn it_stays_the_same_for_about_a_thousand_advertisements() {
    for (kind, config) in kinds().into_iter().filter(|(kind, _)| *kind != "trailer") {
        let (mut master, mut now) = Host::master(config, "192.0.2.5");
        let (mut changes, mut last) = (0, farewells(&mut master, now));
        for _ in 0..3000 {
            now = master.step().unwrap();
            master.wire.clear();
            let next = farewells(&mut master, now);
            changes += usize::from(next != last);
            last = next;
        }
        let expected = if kind == "header" { 2..=3 } else { 0..=0 };
        assert!(expected.contains(&changes), "{kind}: {changes}");
    }
}
