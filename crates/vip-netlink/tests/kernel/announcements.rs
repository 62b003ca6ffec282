//! Announcements, as the other end of the cable sees them.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use crate::outside::{Cable, PATIENCE};
use lab::{Capture, Filter, eventually};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use vip_netlink::{
    AnnounceError, Announcer, ArpForm, forwards_ipv6, gratuitous_arp, unsolicited_na,
};

const VIP4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);
const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 0x33];

#[test]
fn frames_arrive_at_the_other_end_octet_for_octet() {
    lab::need!(netns);
    let cable = Cable::carrying();
    let capture = Capture::open(&cable.there, "eth1", Filter::Failover).unwrap();
    let announcer = cable.here.run(Announcer::open).unwrap();
    announcer.gratuitous_arp(cable.index, MAC, VIP4).unwrap();
    announcer.unsolicited_na(cable.index, MAC, VIP6, true).unwrap();
    announcer.unsolicited_na(cable.index, MAC, VIP6, false).unwrap();
    announcer.send(cable.index, VIP4.into(), &gratuitous_arp(MAC, VIP4, ArpForm::Reply)).unwrap();
    for frame in [
        gratuitous_arp(MAC, VIP4, ArpForm::Request).to_vec(),
        unsolicited_na(MAC, VIP6, VIP6, true).to_vec(),
        unsolicited_na(MAC, VIP6, VIP6, false).to_vec(),
        gratuitous_arp(MAC, VIP4, ArpForm::Reply).to_vec(),
    ] {
        let seen = capture
            .find(PATIENCE, |seen| (seen.source_mac() == Some(MAC)).then(|| seen.bytes.clone()))
            .unwrap();
        assert_eq!(seen, Some(frame));
    }
}

#[test]
fn the_other_end_learns_where_the_address_is_now() {
    lab::need!(netns);
    let cable = Cable::carrying();
    cable
        .there
        .ip_batch([
            "address add 192.0.2.1/24 dev eth1",
            "address add 2001:db8::1/64 dev eth1 nodad",
        ])
        .unwrap();
    for vip in [VIP4.to_string(), VIP6.to_string()] {
        cable
            .there
            .ip(&format!("neighbour replace {vip} lladdr 02:00:00:00:00:99 nud stale dev eth1"))
            .unwrap();
    }
    let known = |vip: &str| {
        let mut ip = Command::new("ip");
        let output = cable.there.output(ip.args(["neighbour", "show", vip])).unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(known("192.0.2.100").contains("02:00:00:00:00:99"));
    let announcer = cable.here.run(Announcer::open).unwrap();
    announcer.gratuitous_arp(cable.index, MAC, VIP4).unwrap();
    announcer.unsolicited_na(cable.index, MAC, VIP6, false).unwrap();
    for vip in [VIP4.to_string(), VIP6.to_string()] {
        let learned =
            eventually(PATIENCE, || known(&vip).contains("00:00:5e:00:01:33").then_some(()));
        assert!(learned.is_some(), "{}", known(&vip));
    }
}

#[test]
fn a_frame_that_cannot_leave_is_an_error_with_names() {
    lab::need!(netns);
    let cable = Cable::new();
    let announcer = cable.here.run(Announcer::open).unwrap();
    let error = announcer.gratuitous_arp(9999, MAC, VIP4).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot announce 192.0.2.100 on interface 9999: the interface does not exist (any more)"
    );
    cable.here.ip("link set eth0 down").unwrap();
    let error = announcer.unsolicited_na(cable.index, MAC, VIP6, true).unwrap_err().to_string();
    assert_eq!(error, "cannot announce 2001:db8::100 on eth0: the interface is down");
}

#[test]
fn without_privilege_the_missing_capability_is_named() {
    lab::need!(netns);
    let cable = Cable::new();
    let error = cable.here.run(|| {
        let all = capabilities(None).unwrap();
        set_capabilities(None, CapabilitySets { effective: CapabilitySet::empty(), ..all })
            .unwrap();
        Announcer::open().unwrap_err()
    });
    assert!(
        matches!(error, AnnounceError::Open(_)) && error.to_string().contains("CAP_NET_RAW"),
        "{error}"
    );
}

#[test]
fn the_router_flag_follows_forwarding() {
    lab::need!(netns);
    let cable = Cable::new();
    assert!(!cable.here.run(|| forwards_ipv6("eth0")).unwrap());
    cable.here.sysctl("net/ipv6/conf/eth0/forwarding", "1").unwrap();
    assert!(cable.here.run(|| forwards_ipv6("eth0")).unwrap());
    let error = cable.here.run(|| forwards_ipv6("eth7")).unwrap_err().to_string();
    assert!(error.contains("net/ipv6/conf/eth7/forwarding"), "{error}");
}
