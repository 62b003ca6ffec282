//! The receive ladder where the vectors do not reach: unicast, policies, authentication.

use core::{net::Ipv6Addr, time::Duration};

use crate::host::*;
use vrrp_fsm::{
    AddressListPolicy, ChecksumPolicy, Config, Counter, Datagram, Demux, Discard, HopLimitPolicy,
    Key, PathConfig, PathId, Route, State,
    vrrp_proto::{
        AddressFamily, Authentication, ChecksumForm, PacketError, Password, Version, Vrid,
    },
};

fn unicast(priority: u8) -> Config {
    let peers = vec![address("192.0.2.3"), address("198.51.100.3")];
    config(priority).paths(vec![PathConfig::unicast(peers)])
}

/// An IPv4 packet with other values in its header. The header checksum is the kernel's to look at.
fn readdressed(mut packet: Packet, destination: [u8; 4], ttl: u8) -> Packet {
    packet.bytes[8] = ttl;
    packet.bytes[16..20].copy_from_slice(&destination);
    packet.destination = destination.into();
    packet
}

/// From a peer, to us. The sender leaves the destination out of its checksum.
fn from_peer(source: &str, ttl: u8) -> Packet {
    let sender = config(200).checksum(ChecksumPolicy::Strict(ChecksumForm::MessageOnly));
    readdressed(advertisement(sender, source, 200), [192, 0, 2, 5], ttl)
}

#[track_caller]
fn assert_discarded(config: Config, packet: &Packet, counter: Counter) {
    let mut host = Host::started(config, "192.0.2.5");
    let deadline = host.router.poll_timeout();
    let discard = host.receive(at(5), packet).unwrap_err();
    assert_eq!(discard.counter(), counter, "{discard}");
    assert_eq!(host.router.statistics().discarded(counter), 1);
    assert_eq!(host.router.poll_timeout(), deadline);
    assert_eq!(host.router.master(), None);
}

#[track_caller]
fn assert_accepted(config: Config, packet: &Packet) {
    let mut host = Host::started(config, "192.0.2.5");
    host.receive(at(5), packet).unwrap();
    assert_eq!(host.router.master().unwrap().source, packet.source);
}

#[test]
fn unicast_goes_to_every_peer_and_comes_from_peers_only() {
    let (host, _) = Host::master(unicast(100), "192.0.2.5");
    let peers: Vec<_> = host.router.destinations(PathId::FIRST).collect();
    assert_eq!(peers, [address("192.0.2.3"), address("198.51.100.3")]);
    assert_accepted(unicast(100), &from_peer("192.0.2.3", 255));
    assert_accepted(unicast(100), &from_peer("198.51.100.3", 255));
    assert_discarded(unicast(100), &from_peer("192.0.2.4", 255), Counter::UnknownPeer);
}

#[test]
fn unicast_and_multicast_do_not_mix() {
    let group = advertisement(config(200), "192.0.2.3", 200);
    assert_discarded(unicast(100), &group, Counter::Destination);
    assert_discarded(config(100), &from_peer("192.0.2.3", 255), Counter::Destination);
    let six = advertisement(config_v6(200), "fe80::3", 200);
    for destination in ["fe80::5", "ff02::1"].map(address) {
        let packet = Packet { destination, ..six.clone() };
        let discard = Host::started(config_v6(100), "fe80::5").receive(at(5), &packet);
        assert_eq!(discard, Err(Discard::Destination { destination }));
    }
}

#[test]
fn unicast_may_pass_routers_as_far_as_the_policy_says() {
    for ttl in [255, 64, 1] {
        assert_accepted(unicast(100), &from_peer("192.0.2.3", ttl));
    }
    let near = || unicast(100).unicast_hop_limit(HopLimitPolicy::AtLeast(254));
    assert_accepted(near(), &from_peer("192.0.2.3", 254));
    assert_discarded(near(), &from_peer("192.0.2.3", 253), Counter::HopLimit);
}

#[test]
fn what_a_router_has_forwarded_to_the_group_is_discarded() {
    let four = advertisement(config(200), "192.0.2.3", 200);
    let six = advertisement(config_v6(200), "fe80::3", 200);
    for hop_limit in 0..=254 {
        let four = readdressed(four.clone(), [224, 0, 0, 18], hop_limit);
        assert_discarded(config(100), &four, Counter::HopLimit);
        let mut host = Host::started(config_v6(100), "fe80::5");
        let six = Packet { hop_limit, ..six.clone() };
        let least = 255;
        let discard = Discard::HopLimit { found: Some(hop_limit), least };
        assert_eq!(host.receive(at(5), &six), Err(discard));
    }
    assert_accepted(config(100), &four);
    Host::started(config_v6(100), "fe80::5").receive(at(5), &six).unwrap();
}

#[test]
fn an_unknown_hop_limit_is_good_enough_for_unicast_only() {
    let peer: Ipv6Addr = "2001:db8::3".parse().unwrap();
    let own: Ipv6Addr = "2001:db8::5".parse().unwrap();
    let group: Ipv6Addr = "ff02::12".parse().unwrap();
    let unicast =
        |priority| config_v6(priority).paths(vec![PathConfig::unicast(vec![peer.into()])]);
    for (config, destination, accepted) in
        [(unicast(100), own, true), (config_v6(100), group, false)]
    {
        let mut sender = Host::started(config.clone().priority(255.into()), "2001:db8::3");
        let Some(vrrp_fsm::Output::Send(send)) = sender.take_log().first().copied() else {
            panic!("an owner advertises at once");
        };
        let mut buffer = [0; 100];
        let path = PathId::FIRST;
        let message = sender.router.encode(&send, path, destination.into(), &mut buffer).unwrap();
        let mut host = Host::started(config, "2001:db8::5");
        let datagram = Datagram::ipv6(path, peer, destination, None, message);
        let result = host.router.handle_datagram(at(5), datagram);
        assert_eq!(result.is_ok(), accepted, "{result:?}");
        if !accepted {
            assert_eq!(result, Err(Discard::HopLimit { found: None, least: 255 }));
        }
    }
}

#[test]
fn our_own_echo_is_not_answered() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    let echo = advertisement(config(100), "192.0.2.5", 100);
    let discard = host.receive(now, &echo).unwrap_err();
    assert_eq!(discard.to_string(), "sent from our own address 192.0.2.5");
    assert!(host.wire.is_empty());
    // A loop of another VRRP router's packet under our address, even of a greater priority.
    host.receive(now, &advertisement(config(100), "192.0.2.5", 255)).unwrap_err();
    assert_eq!(host.router.state(), State::Master);
    assert_eq!(host.router.statistics().discarded(Counter::OwnSource), 2);
}

#[test]
fn each_checksum_form_is_accepted_unless_it_is_excluded() {
    let form = |form| config(200).checksum(ChecksumPolicy::Strict(form));
    let forms = [ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly];
    for sent in forms {
        let packet = advertisement(form(sent), "192.0.2.3", 200);
        let mut host = Host::started(config(100), "192.0.2.5");
        host.receive(at(5), &packet).unwrap();
        assert_eq!(host.router.master().unwrap().checksum, Some(sent));
        for required in forms {
            if sent == required {
                assert_accepted(form(required), &packet);
            } else {
                assert_discarded(form(required), &packet, Counter::Checksum);
            }
        }
    }
}

fn password(text: &str) -> Config {
    let password = Password::new(text.as_bytes()).unwrap();
    config(100).version(Version::V2).authentication(Authentication::SimplePassword(password))
}

#[test]
fn a_password_has_to_be_the_same() {
    let packet = advertisement(password("secret"), "192.0.2.3", 200);
    assert_accepted(password("secret"), &packet);
    assert_discarded(password("Secret"), &packet, Counter::AuthenticationFailure);
    let none = config(100).version(Version::V2);
    assert_discarded(none.clone(), &packet, Counter::AuthenticationTypeMismatch);
    let packet = advertisement(none, "192.0.2.3", 200);
    assert_discarded(password("secret"), &packet, Counter::AuthenticationTypeMismatch);
}

#[test]
fn without_authentication_its_data_does_not_matter() {
    let none = || config(100).version(Version::V2);
    let mut packet = advertisement(none(), "192.0.2.3", 200);
    // Eight octets behind one address, and what they add to the checksum.
    let sum = u16::from_be_bytes([packet.bytes[26], packet.bytes[27]]);
    packet.bytes[32..40].copy_from_slice(&[0, 1, 0, 1, 0, 1, 0, 1]);
    assert_discarded(none(), &packet, Counter::Checksum);
    packet.bytes[26..28].copy_from_slice(&(sum - 4).to_be_bytes());
    assert_accepted(none(), &packet);
}

#[test]
fn another_address_list_is_judged_by_version_priority_and_policy() {
    let v2 = || config(100).version(Version::V2);
    let other = |config: Config, priority| {
        let addresses = vec![address("192.0.2.77")];
        advertisement(config.virtual_addresses(addresses), "192.0.2.3", priority)
    };
    assert_discarded(v2(), &other(v2(), 200), Counter::AddressList);
    // RFC 3768 §7.1: unless it comes from the owner.
    assert_accepted(v2(), &other(v2(), 255));
    assert_accepted(v2().address_list_mismatch(AddressListPolicy::Count), &other(v2(), 200));
    assert_accepted(config(100), &other(config(100), 200));
    let strict = || config(100).address_list_mismatch(AddressListPolicy::Discard);
    assert_discarded(strict(), &other(strict(), 200), Counter::AddressList);
    assert_discarded(strict(), &other(strict(), 255), Counter::AddressList);
}

#[test]
fn the_order_of_the_addresses_does_not_matter_but_each_does() {
    let list = |hosts: &[u8]| {
        let addresses = hosts.iter().map(|host| [10, 0, 0, *host].into()).collect();
        config(100).address_list_mismatch(AddressListPolicy::Discard).virtual_addresses(addresses)
    };
    let from = |hosts| advertisement(list(hosts), "192.0.2.3", 200);
    assert_accepted(list(&[1, 2, 3]), &from(&[3, 1, 2]));
    assert_discarded(list(&[1, 2, 3]), &from(&[1, 2]), Counter::AddressList);
    assert_discarded(list(&[1, 2]), &from(&[1, 2, 3]), Counter::AddressList);
    assert_discarded(list(&[1, 2, 3]), &from(&[1, 2, 4]), Counter::AddressList);
}

#[test]
fn the_first_ipv6_address_is_link_local_unless_that_is_waived() {
    let global = || {
        let addresses = vec![address("2001:db8::1"), address("fe80::1")];
        config_v6(100).virtual_addresses(addresses).link_local_first(false)
    };
    let packet = advertisement(global(), "fe80::3", 200);
    let mut host = Host::started(global(), "fe80::5");
    host.receive(at(1), &packet).unwrap();
    let mut host = Host::started(config_v6(100), "fe80::5");
    let discard = host.receive(at(1), &packet).unwrap_err();
    assert_eq!(discard.counter(), Counter::AddressList);
}

#[test]
fn an_owner_listens_in_version_3_only() {
    let packet = advertisement(config(100), "192.0.2.9", 255);
    let (mut host, now) = Host::master(config(255), "192.0.2.5");
    host.receive(now, &packet).unwrap();
    // Two owners: the greater address stays (RFC 9568, erratum 8298).
    assert_eq!(host.router.state(), State::Backup);
    let v2 = || config(255).version(Version::V2);
    let (mut host, now) = Host::master(v2(), "192.0.2.5");
    let packet = advertisement(v2(), "192.0.2.9", 255);
    assert_eq!(host.receive(now, &packet), Err(Discard::Owner));
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn paths_and_families_that_are_not_configured_are_discarded() {
    let mut host = Host::started(config(100), "192.0.2.5");
    let packet = advertisement(config(100), "192.0.2.9", 200);
    let datagram = packet.datagram().on_path(PathId::new(1));
    let discard = host.router.handle_datagram(at(1), datagram).unwrap_err();
    assert_eq!(discard, Discard::UnknownPath { path: PathId::new(1) });
    let packet = advertisement(config_v6(100), "fe80::9", 200);
    let discard = host.router.handle_datagram(at(1), packet.datagram()).unwrap_err();
    assert_eq!(discard, Discard::Family { family: AddressFamily::Ipv6 });
}

#[test]
fn another_virtual_router_is_none_of_ours() {
    let mut other = config(100);
    other.vrid = Vrid::new(52).unwrap();
    assert_discarded(config(100), &advertisement(other, "192.0.2.9", 200), Counter::Vrid);
}

#[test]
fn another_protocol_is_counted_as_such() {
    let mut packet = advertisement(config(100), "192.0.2.9", 200);
    packet.bytes[9] = 17;
    assert_discarded(config(100), &packet, Counter::NotVrrp);
    // VRRPv2 with an IP authentication header, while we have none.
    packet.bytes[9] = 51;
    assert_discarded(config(100), &packet, Counter::AuthenticationTypeMismatch);
}

#[test]
fn the_demux_tells_virtual_routers_apart() {
    let vrid = |number| Vrid::new(number).unwrap();
    let key = |interface, number, peer| Key {
        interface,
        family: AddressFamily::Ipv4,
        vrid: vrid(number),
        peer,
    };
    let route = |router| Route { router, path: PathId::FIRST };
    let (near, far) = (address("192.0.2.3"), address("198.51.100.3"));
    let mut demux = Demux::new();
    demux.insert(key(1, 51, None), route(0));
    demux.insert(key(2, 51, None), route(1));
    demux.insert(key(1, 52, None), route(2));
    demux.insert(key(1, 51, Some(near)), route(3));
    demux.insert(key(1, 51, Some(far)), route(4));
    let group = |number| {
        let mut config = config(100);
        config.vrid = vrid(number);
        advertisement(config, "192.0.2.3", 200)
    };
    let mut find =
        |interface, packet: &Packet| demux.ipv4(interface, &packet.bytes).map(|(router, _)| router);
    assert_eq!(find(1, &group(51)), Ok(0));
    assert_eq!(find(2, &group(51)), Ok(1));
    assert_eq!(find(1, &group(52)), Ok(2));
    assert_eq!(find(1, &from_peer("192.0.2.3", 255)), Ok(3));
    assert_eq!(find(1, &from_peer("198.51.100.3", 255)), Ok(4));
    // A stranger is charged to the first that has this number.
    assert_eq!(find(1, &from_peer("192.0.2.4", 255)), Ok(0));
    assert_eq!(find(1, &group(50)), Err(Discard::Vrid { vrid: 50 }));
    assert_eq!(find(2, &group(52)), Err(Discard::Vrid { vrid: 52 }));
    assert_eq!(find(3, &group(51)), Err(Discard::Vrid { vrid: 51 }));
    let short = Packet { bytes: vec![0x45; 10], ..group(51) };
    let too_short = PacketError::TooShort { need: 20, len: 10 };
    assert_eq!(find(1, &short), Err(Discard::Packet(too_short)));
    assert_eq!(demux.discarded(Counter::Vrid), 3);
    assert_eq!(demux.discarded(Counter::PacketLength), 1);
    demux.remove_router(3);
    assert_eq!(demux.remove(&key(1, 51, Some(near))), None);
    assert_eq!(demux.remove(&key(1, 51, None)), Some(route(0)));
    // What is left with this number is the other peer's.
    assert_eq!(demux.ipv4(1, &group(51).bytes).unwrap().0, 4);
}

#[test]
fn a_datagram_tells_what_its_header_says() {
    let packet = from_peer("192.0.2.3", 64);
    let datagram = packet.datagram();
    assert_eq!(datagram.source(), address("192.0.2.3"));
    assert_eq!(datagram.destination(), address("192.0.2.5"));
    assert_eq!(datagram.hop_limit(), Some(64));
    assert_eq!(datagram.vrid(), Some(51));
    assert_eq!(datagram.family(), AddressFamily::Ipv4);
    assert_eq!(datagram.path(), PathId::FIRST);
}

#[test]
fn a_zero_interval_is_none_of_ours() {
    let mut host = Host::started(config(100), "192.0.2.5");
    let sender = config(200).checksum(ChecksumPolicy::Strict(ChecksumForm::MessageOnly));
    let mut packet = advertisement(sender, "192.0.2.3", 200);
    // 100 centiseconds leave the message and enter its checksum.
    packet.bytes[25] = 0;
    let sum = u16::from_be_bytes([packet.bytes[26], packet.bytes[27]]);
    packet.bytes[26..28].copy_from_slice(&(sum + 100).to_be_bytes());
    let discard = host.receive(at(1), &packet).unwrap_err();
    assert_eq!(discard.counter(), Counter::Interval, "{discard}");
    assert_eq!(host.router.poll_timeout(), Some(at(0) + Duration::from_micros(3_609_375)));
}
