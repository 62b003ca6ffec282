//! The checksums of version 3 over IPv4: who is heard with which, and whom ours follow.

use crate::host::*;
use vrrp_fsm::{
    ChecksumPolicy, Config, MAX_DATAGRAM_LEN, Output, PathConfig, PathId, State,
    vrrp_proto::{
        Advertisement,
        ChecksumForm::{self, GroupPseudoHeader, MessageOnly, PseudoHeader},
        Ipv4Packet,
    },
};

const GROUP: &str = "224.0.0.18";

fn sending(form: ChecksumForm) -> Config {
    config(200).checksum(ChecksumPolicy::Strict(form))
}

fn auto(priority: u8) -> Config {
    config(priority).checksum(ChecksumPolicy::Auto { initially: PseudoHeader })
}

fn hear(host: &mut Host, source: &str, form: ChecksumForm) {
    host.receive(at(1), &advertisement(sending(form), source, 200)).unwrap();
}

/// The form on the wire, not the one that is meant.
fn form_to(host: &Host, destination: &str) -> ChecksumForm {
    let Some(Output::Send(send)) =
        host.log.iter().rev().find(|output| matches!(output, Output::Send(_)))
    else {
        panic!("nothing was sent")
    };
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    let bytes = host.router.encode(send, PathId::FIRST, address(destination), &mut buffer);
    let packet = Ipv4Packet::parse(bytes.unwrap()).unwrap();
    let read = Advertisement::parse(packet.message().unwrap(), packet.pseudo_header()).unwrap();
    assert!(read.has_checksum(host.router.sent_checksum(address(destination))));
    read.checksum_form().unwrap()
}

#[test]
fn the_group_is_sent_what_the_recorded_master_sent_three_times_in_a_row() {
    for (heard, expected) in [
        (&[][..], PseudoHeader),
        (&[MessageOnly; 2], PseudoHeader),
        (&[MessageOnly; 3], MessageOnly),
        (&[MessageOnly, MessageOnly, PseudoHeader, MessageOnly], PseudoHeader),
        (&[MessageOnly, MessageOnly, MessageOnly, PseudoHeader, PseudoHeader], MessageOnly),
    ] {
        let mut host = Host::started(auto(100), "192.0.2.5");
        for form in heard {
            hear(&mut host, "192.0.2.9", *form);
        }
        assert_eq!(host.router.heard_checksum(address(GROUP)), heard.last().copied());
        while host.router.state() != State::Master {
            host.step().unwrap();
        }
        assert_eq!(form_to(&host, GROUP), expected, "{heard:?}");
        // The control: without `Auto` nothing is followed.
        let mut host = Host::started(config(100), "192.0.2.5");
        for form in heard {
            hear(&mut host, "192.0.2.9", *form);
        }
        while host.router.state() != State::Master {
            host.step().unwrap();
        }
        assert_eq!(form_to(&host, GROUP), PseudoHeader, "{heard:?}");
    }
}

#[test]
fn who_is_not_the_recorded_master_changes_nothing() {
    // Of a lower priority than ours, and to a Master.
    let (mut host, now) = Host::master(auto(100), "192.0.2.5");
    for _ in 0..9 {
        host.receive(now, &advertisement(sending(MessageOnly), "192.0.2.3", 50)).unwrap();
    }
    host.step().unwrap();
    assert_eq!(form_to(&host, GROUP), PseudoHeader);
    assert_eq!(host.router.heard_checksum(address(GROUP)), None);
    assert_eq!(host.router.statistics().received_with(MessageOnly), 9);
    // In turns with the Master, every one of them recorded for a moment.
    let mut host = Host::started(auto(100), "192.0.2.5");
    for _ in 0..9 {
        hear(&mut host, "192.0.2.9", PseudoHeader);
        hear(&mut host, "192.0.2.8", MessageOnly);
        hear(&mut host, "192.0.2.8", MessageOnly);
    }
    assert_eq!(host.router.sent_checksum(address(GROUP)), PseudoHeader);
    let statistics = host.router.statistics();
    let of = |form| statistics.received_with(form);
    assert_eq!((of(PseudoHeader), of(MessageOnly), of(GroupPseudoHeader)), (9, 18, 0));
    assert_eq!(statistics.checksum_changes, 0);
}

#[test]
fn every_unicast_peer_is_sent_what_it_sends() {
    let (us, one, two, three) = ("192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8");
    let peers = || vec![PathConfig::unicast([one, two, three].map(address).to_vec())];
    let mut host = Host::started(auto(100).paths(peers()), us);
    for (peer, form) in [(one, MessageOnly), (two, GroupPseudoHeader)] {
        let sender = sending(form).paths(vec![PathConfig::unicast(vec![address(us)])]);
        for count in 1..=3 {
            assert_eq!(host.router.sent_checksum(address(peer)), PseudoHeader);
            host.receive(at(1), &advertisement(sender.clone(), peer, 200)).unwrap();
            assert_eq!(host.router.heard_checksum(address(peer)), Some(form));
            assert_eq!(host.router.statistics().received_with(form), count);
        }
    }
    while host.router.state() != State::Master {
        host.step().unwrap();
    }
    assert_eq!(form_to(&host, one), MessageOnly);
    assert_eq!(form_to(&host, two), GroupPseudoHeader);
    assert_eq!(form_to(&host, three), PseudoHeader);
    assert_eq!(host.router.heard_checksum(address(three)), None);
    // Other peers, some of them the same.
    let peers = vec![PathConfig::unicast([three, two].map(address).to_vec())];
    host.router.handle_config(at(2), auto(100).paths(peers)).unwrap();
    host.carry_out(at(2));
    assert_eq!(form_to(&host, two), GroupPseudoHeader);
    assert_eq!(form_to(&host, three), PseudoHeader);
    assert_eq!(host.router.heard_checksum(address(one)), None);
}

#[test]
fn where_there_is_no_choice_nothing_is_reported() {
    let mut host = Host::started(config_v6(100), "fe80::5");
    for _ in 0..3 {
        host.receive(at(1), &advertisement(config_v6(200), "fe80::9", 200)).unwrap();
    }
    assert_eq!(host.router.heard_checksum(address("ff02::12")), None);
    assert_eq!(host.router.statistics().received_with(PseudoHeader), 0);
}
