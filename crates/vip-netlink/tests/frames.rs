//! The frames against independently computed ones (`tests/data/frames.json`; dissected alike by tshark).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test should stop at once"
)]

use core::fmt::Write as _;
use core::net::{Ipv4Addr, Ipv6Addr};

use vip_netlink::{ArpForm, gratuitous_arp, unsolicited_na};

fn vector(name: &str) -> String {
    let all: serde_json::Value = serde_json::from_str(include_str!("data/frames.json")).unwrap();
    let found = all.as_array().unwrap().iter().find(|vector| vector["name"] == name);
    found.expect(name)["frame_hex"].as_str().unwrap().to_owned()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

#[test]
fn gratuitous_arp_in_three_forms() {
    let mac = [0, 0, 0x5e, 0, 1, 0x33];
    let address = Ipv4Addr::new(192, 0, 2, 1);
    for (form, name) in [
        (ArpForm::Request, "garp_request_tha_ff"),
        (ArpForm::RequestZeroTarget, "garp_request_tha_zero"),
        (ArpForm::Reply, "garp_reply_tha_vmac"),
    ] {
        assert_eq!(hex(&gratuitous_arp(mac, address, form)), vector(name), "{name}");
    }
    assert_eq!(ArpForm::default(), ArpForm::Request);
}

#[test]
fn unsolicited_na_of_router_and_host() {
    let mac = [0, 0, 0x5e, 0, 2, 0x33];
    let link_local: Ipv6Addr = "fe80::1".parse().unwrap();
    let global: Ipv6Addr = "2001:db8::1".parse().unwrap();
    for (source, target, router, name) in [
        (link_local, global, true, "una_global_R1_S0_O1"),
        (link_local, link_local, true, "una_linklocal_R1_S0_O1"),
        (global, global, true, "una_src_is_target_keepalived_frr"),
        (link_local, global, false, "una_host_R0_S0_O1"),
    ] {
        assert_eq!(hex(&unsolicited_na(mac, source, target, router)), vector(name), "{name}");
    }
}
