//! Version 2 with IP authentication headers: what is verified, in which order, and what is
//! remembered.

use crate::host::*;
use vrrp_fsm::{
    Config, Counter, Discard, Instant, MAX_DATAGRAM_LEN, Output, PathConfig, PathId, State,
    vrrp_proto::{
        Authentication, AuthenticationError, AuthenticationType, HeaderKey, PacketError, Password,
        TtlCoverage, Version,
    },
};

fn key(text: &str) -> HeaderKey {
    HeaderKey::new(Password::truncated(text.as_bytes()))
}

fn with_key(priority: u8, key: HeaderKey) -> Config {
    config(priority).version(Version::V2).authentication(Authentication::Header(key))
}

fn with_header(priority: u8) -> Config {
    with_key(priority, key("k3y"))
}

/// The next advertisement of a running Master.
fn next_of(host: &mut Host) -> Packet {
    host.step().unwrap();
    host.wire.pop_front().unwrap()
}

fn error(discard: Discard) -> AuthenticationError {
    let Discard::Authentication(error) = discard else { panic!("{discard}") };
    error
}

#[test]
fn routers_with_the_same_key_and_ttl_rule_hear_each_other() {
    let unicast = |key, own: &str, peer: &str| {
        let config = with_key(100, key).paths(vec![PathConfig::unicast(vec![address(peer)])]);
        Host::master(config, own).0
    };
    let (multicast, never) = (TtlCoverage::Multicast, TtlCoverage::Never);
    for (theirs, ours, to_group, to_peer) in [
        (multicast, multicast, true, true),
        (never, never, true, true),
        (multicast, never, false, true),
        (never, multicast, false, true),
    ] {
        let (mut sender, _) = Host::master(with_key(200, key("k3y").ttl(theirs)), "192.0.2.9");
        let mut host = Host::started(with_key(100, key("k3y").ttl(ours)), "192.0.2.5");
        assert_eq!(host.receive(at(1), &next_of(&mut sender)).is_ok(), to_group);
        let mut sender = unicast(key("k3y").ttl(theirs), "192.0.2.9", "192.0.2.5");
        let mut host = unicast(key("k3y").ttl(ours), "192.0.2.5", "192.0.2.9");
        assert_eq!(host.receive(at(1), &next_of(&mut sender)).is_ok(), to_peer);
    }
}

#[test]
fn a_header_is_there_exactly_if_it_is_configured() {
    let none = || config(100).version(Version::V2);
    let mut host = Host::started(none(), "192.0.2.5");
    let discard = host.receive(at(1), &advertisement(with_header(100), "192.0.2.9", 200));
    let expected = AuthenticationType::None;
    let discard = discard.unwrap_err();
    assert_eq!(error(discard), AuthenticationError::HeaderUnexpected { expected });
    assert_eq!(discard.counter(), Counter::AuthenticationTypeMismatch);

    let mut host = Host::started(with_header(100), "192.0.2.5");
    let packet = advertisement(none(), "192.0.2.9", 200);
    let discard = host.receive(at(1), &packet).unwrap_err();
    assert_eq!(discard.counter(), Counter::AuthenticationTypeMismatch);
    // The message of type 2, with its header cut out.
    let mut packet = advertisement(with_header(100), "192.0.2.9", 200);
    packet.bytes.drain(20..44);
    packet.bytes[3] -= 24;
    packet.bytes[9] = 112;
    let discard = host.receive(at(1), &packet).unwrap_err();
    assert_eq!(error(discard), AuthenticationError::HeaderMissing);
    assert_eq!(discard.counter(), Counter::AuthenticationTypeMismatch);
    assert_eq!(host.router.statistics().discarded(Counter::AuthenticationTypeMismatch), 2);
    assert_eq!(host.router.master(), None);
}

/// Whatever else is wrong with a packet, nothing in it is looked at before its header is verified,
/// and a forged one does not use up the number of the real one.
#[test]
fn the_check_value_comes_before_everything_behind_the_ip_header() {
    let mut host = Host::started(with_header(100), "192.0.2.5");
    let packet = advertisement(with_header(100), "192.0.2.9", 200);
    let deadline = host.router.poll_timeout();
    for at_octet in (24..packet.bytes.len()).chain([12, 13, 14, 15]) {
        let mut forged = packet.clone();
        forged.bytes[at_octet] ^= 0x40;
        let discard = host.receive(at(1), &forged).unwrap_err();
        assert_eq!(error(discard), AuthenticationError::WrongCheckValue, "octet {at_octet}");
    }
    assert_eq!(host.router.poll_timeout(), deadline);
    host.receive(at(1), &packet).unwrap();
}

#[test]
fn a_header_of_another_shape_is_counted_by_its_defect() {
    let broken = |at: usize, octet| {
        let mut packet = advertisement(with_header(100), "192.0.2.9", 200);
        packet.bytes[at] = octet;
        packet
    };
    for (packet, counter, defect) in [
        (broken(21, 5), Counter::PacketLength, PacketError::CheckValueLength { words: 5 }),
        (broken(3, 43), Counter::PacketLength, PacketError::HeaderTooShort { len: 23 }),
    ] {
        let mut host = Host::started(with_header(100), "192.0.2.5");
        assert_eq!(host.receive(at(1), &packet), Err(Discard::Packet(defect)));
        assert_eq!(host.router.statistics().discarded(counter), 1);
        let mut host = Host::started(config(100).version(Version::V2), "192.0.2.5");
        host.receive(at(1), &packet).unwrap_err();
        let mismatches = host.router.statistics().discarded(Counter::AuthenticationTypeMismatch);
        assert_eq!(mismatches, 1);
    }
    let mut host = Host::started(with_header(100), "192.0.2.5");
    let discard = host.receive(at(1), &broken(20, 6)).unwrap_err();
    assert_eq!(discard.counter(), Counter::NotVrrp);
}

/// A dead Master must not be kept alive by copies of what it said.
#[test]
fn a_copy_does_not_put_off_the_takeover() {
    let (mut sender, _) = Host::master(with_header(200), "192.0.2.9");
    let packets = [next_of(&mut sender), next_of(&mut sender), next_of(&mut sender)];
    let mut host = Host::started(with_header(100), "192.0.2.5");
    for packet in &packets {
        host.receive(at(1), packet).unwrap();
    }
    let deadline = host.router.poll_timeout().unwrap();
    let mut now = at(1);
    while now < deadline {
        for packet in &packets {
            let discard = host.receive(now, packet).unwrap_err();
            assert!(matches!(error(discard), AuthenticationError::Replayed { .. }), "{discard}");
        }
        now += SECOND / 10;
    }
    host.timeout(deadline);
    assert_eq!(host.router.state(), State::Master);
    // The last word of the dead was 4: the new Master's numbers go on from there.
    let text = format!("{:?}", host.take_log());
    assert!(text.contains("sequence: 5"), "{text}");
}

#[test]
fn a_restarted_sender_is_heard_after_a_master_down_interval() {
    let (mut before, _) = Host::master(with_header(200), "192.0.2.9");
    let mut host = Host::started(with_header(100), "192.0.2.5");
    next_of(&mut before);
    host.receive(at(1), &next_of(&mut before)).unwrap();
    // An owner is Master at once, and begins at 1.
    let restarted = advertisement(with_header(255), "192.0.2.9", 255);
    let deadline = host.router.poll_timeout().unwrap();
    host.receive(Instant::from_nanos(deadline.as_nanos() - 1), &restarted).unwrap_err();
    host.timeout(deadline);
    assert_eq!(host.router.state(), State::Master);
    host.receive(deadline, &restarted).unwrap();
    assert_eq!(host.router.state(), State::Backup);
}

/// Otherwise a restarted owner, which ignores all others in version 2, would never learn how far
/// their numbers are.
#[test]
fn a_number_is_used_up_whatever_becomes_of_its_packet() {
    let (mut owner, now) = Host::master(with_header(255), "192.0.2.9");
    let (mut other, _) = Host::master(with_header(200), "192.0.2.5");
    let packets = [next_of(&mut other), next_of(&mut other)];
    for packet in &packets {
        assert_eq!(owner.receive(now, packet), Err(Discard::Owner));
    }
    let discard = owner.receive(now, &packets[1]).unwrap_err();
    assert!(matches!(error(discard), AuthenticationError::Replayed { sequence: 3, last: 3 }));
    other.receive(now, &next_of(&mut owner)).unwrap();
    assert_eq!(other.router.state(), State::Backup);
}

#[test]
fn encoding_twice_gives_the_same_octets_and_every_output_its_own_number() {
    let (mut host, _) = Host::master(with_header(100), "192.0.2.5");
    let mut sequences = Vec::new();
    for _ in 0..3 {
        host.step().unwrap();
        for output in host.take_log() {
            let Output::Send(send) = output else { continue };
            let group = address("224.0.0.18");
            let encode = || {
                let mut buffer = [0; MAX_DATAGRAM_LEN];
                let bytes = host.router.encode(&send, PathId::FIRST, group, &mut buffer);
                bytes.unwrap().to_vec()
            };
            assert_eq!(encode(), encode());
            sequences.push(u32::from_be_bytes(encode()[28..32].try_into().unwrap()));
        }
    }
    assert_eq!(sequences, [2, 3, 4]);
}

#[test]
fn a_key_can_be_introduced_and_changed_while_running() {
    let mut host = Host::started(config(100).version(Version::V2), "192.0.2.5");
    let hears = |host: &mut Host, text: &str| {
        let packet = advertisement(with_key(200, key(text)), "192.0.2.9", 200);
        host.receive(at(9), &packet).is_ok()
    };
    assert!(!hears(&mut host, "k3y"));
    host.router.handle_config(at(2), with_header(100)).unwrap();
    assert!(hears(&mut host, "k3y"));
    host.router.handle_config(at(3), with_key(100, key("other"))).unwrap();
    assert!(!hears(&mut host, "k3y"));
}
