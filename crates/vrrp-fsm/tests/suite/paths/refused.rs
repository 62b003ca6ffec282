//! Configurations of paths and peers that make no sense.

use vrrp_fsm::{
    Config, ConfigError, PathConfig, PeerConfig, TrailerConfig, VirtualRouter,
    vrrp_proto::{AddressFamily, TrailerKey},
};

use super::{B, C, peer, two_paths};
use crate::host::*;

fn verdict(config: Config) -> Result<(), ConfigError> {
    VirtualRouter::new(config, SEED).map(drop)
}

fn named(addresses: &[&str]) -> PeerConfig {
    PeerConfig::new("x", addresses.iter().map(|text| address(text)).collect())
}

#[test]
fn each_mistake_has_its_error() {
    let with = |peers| verdict(two_paths(100, peers));
    let paths = |count| vec![PathConfig::multicast(); count];
    let many = (0..=255_u8).map(|number| {
        let addresses = vec![[10, 0, 0, number].into(), [10, 0, 1, number].into()];
        PeerConfig::new(format!("peer {number}"), addresses)
    });
    for (found, expected) in [
        (verdict(config(100).paths(paths(2))), ConfigError::PathsNeedPeers { count: 2 }),
        (verdict(config(100).paths(paths(9))), ConfigError::TooManyPaths { count: 9 }),
        (verdict(config(100).paths(paths(0)).peers(vec![peer("b", B)])), ConfigError::NoPath),
        (with(vec![]), ConfigError::PathsNeedPeers { count: 2 }),
        (with(many.collect()), ConfigError::TooManyPeers { count: 256 }),
        (with(vec![peer("b", B), peer("", C)]), ConfigError::NamelessPeer { peer: 1 }),
        (with(vec![peer("b", B), peer("b", C)]), ConfigError::DuplicatePeer { peer: 1 }),
        (
            with(vec![peer("b", B), named(&["192.0.2.4"])]),
            ConfigError::PeerAddresses { peer: 1, addresses: 1, paths: 2 },
        ),
        (
            with(vec![named(&["192.0.2.4", "192.0.2.5", "192.0.2.6"])]),
            ConfigError::PeerAddresses { peer: 0, addresses: 3, paths: 2 },
        ),
        (
            with(vec![named(&["192.0.2.4", "fe80::1"])]),
            ConfigError::WrongFamily {
                field: "peers",
                address: address("fe80::1"),
                family: AddressFamily::Ipv4,
            },
        ),
        (
            with(vec![named(&["192.0.2.4", "224.0.0.18"])]),
            ConfigError::NotAHost { field: "peers", address: address("224.0.0.18") },
        ),
        (
            with(vec![named(&["192.0.2.4", "192.0.2.4"])]),
            ConfigError::Duplicate { field: "peers", address: address("192.0.2.4") },
        ),
        (
            with(vec![peer("b", B), peer("c", [C[0], B[1]])]),
            ConfigError::Duplicate { field: "peers", address: address(B[1]) },
        ),
        (
            with(vec![peer("b", B), peer("c", [C[0], B[0]])]),
            ConfigError::Duplicate { field: "peers", address: address(B[0]) },
        ),
        (
            verdict(
                two_paths(100, vec![peer("b", B)])
                    .paths(vec![PathConfig::multicast(), PathConfig::unicast(vec![address(B[1])])]),
            ),
            ConfigError::PeersTwice { path: 1 },
        ),
    ] {
        assert_eq!(found, Err(expected), "{expected}");
    }
    let eight = PeerConfig::new("x", (1..=8).map(|host| [10, 0, 0, host].into()).collect());
    assert_eq!(verdict(config(100).paths(paths(8)).peers(vec![eight])), Ok(()));
}

#[test]
fn link_local_addresses_may_repeat_where_no_numbers_are_counted_by_them() {
    let same = || {
        let paths = vec![PathConfig::multicast(), PathConfig::multicast()];
        config_v6(100).paths(paths).peers(vec![named(&["fe80::2", "fe80::2"])])
    };
    assert_eq!(verdict(same()), Ok(()));
    let signed = same().trailer(Some(TrailerConfig::new(TrailerKey::new(1, &[7; 32]).unwrap())));
    let duplicate = |text| Err(ConfigError::Duplicate { field: "peers", address: address(text) });
    assert_eq!(verdict(signed), duplicate("fe80::2"));
    let global = same().peers(vec![named(&["2001:db8::2", "2001:db8::2"])]);
    assert_eq!(verdict(global), duplicate("2001:db8::2"));
    let two = same().peers(vec![named(&["fe80::2", "fe80::3"]), {
        PeerConfig::new("y", vec![address("fe80::2"), address("fe80::4")])
    }]);
    assert_eq!(verdict(two), duplicate("fe80::2"));
}
