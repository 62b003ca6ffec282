//! The frames that tell a network where an address is now. Pure: addresses in, octets out.

use core::net::{Ipv4Addr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;
use etherparse::icmpv6::NeighborAdvertisementHeader;
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header, Icmpv6Header, Icmpv6Type, IpNumber,
    Ipv6Header,
};

/// Octets of a gratuitous ARP frame, before the padding that the device adds.
pub const GRATUITOUS_ARP_LEN: usize = 42;

/// Octets of an unsolicited neighbour advertisement frame.
pub const UNSOLICITED_NA_LEN: usize = 86;

/// `ICMPv6` header and body of a neighbour advertisement with one option.
const ICMP_LEN: u16 = 32;

pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

/// `ff02::1` and its Ethernet address (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// Which ARP message announces an address.
///
/// Receivers must update an existing entry on any ARP message from that sender address (RFC 826) and ignore the target hardware
/// address of a request (RFC 5227 §3), so the forms differ for hosts only that take liberties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ArpForm {
    /// A request with the target hardware address ff:ff:ff:ff:ff:ff, as deployed VRRP routers send it.
    #[default]
    Request,
    /// A request with a zero target hardware address: the ARP announcement of RFC 5227 §3.
    RequestZeroTarget,
    /// A reply, for hosts that update on replies only.
    Reply,
}

/// A gratuitous ARP frame: "`address` is at `mac`", to everybody on the link.
#[must_use]
pub fn gratuitous_arp(mac: [u8; 6], address: Ipv4Addr, form: ArpForm) -> [u8; GRATUITOUS_ARP_LEN] {
    let (operation, target_mac) = match form {
        ArpForm::Request => (ArpOperation::REQUEST, BROADCAST),
        ArpForm::RequestZeroTarget => (ArpOperation::REQUEST, [0; 6]),
        ArpForm::Reply => (ArpOperation::REPLY, mac),
    };
    let ethernet =
        Ethernet2Header { source: mac, destination: BROADCAST, ether_type: EtherType::ARP };
    let arp = ArpEthIpv4Packet {
        operation,
        sender_mac: mac,
        sender_ipv4: address.octets(),
        target_mac,
        target_ipv4: address.octets(),
    };
    concat(&[&ethernet.to_bytes(), &arp.to_bytes()])
}

/// An unsolicited neighbour advertisement (RFC 4861 §4.4): "`target` is at `mac`", to all nodes on the link.
///
/// The flags are S=0, O=1, and R=`router`: R must be the truth about this host, because hosts drop a router from their
/// list of default routers when it says R=0. `source` may be any unicast address of the interface; `target` itself is
/// what deployed VRRP routers use.
#[must_use]
pub fn unsolicited_na(
    mac: [u8; 6],
    source: Ipv6Addr,
    target: Ipv6Addr,
    router: bool,
) -> [u8; UNSOLICITED_NA_LEN] {
    // The body after the ICMPv6 header: target, then option 2 (target link-layer address) of 1 x 8 octets.
    let body: [u8; 24] = concat(&[&target.octets(), &[2, 1], &mac]);
    let flags = NeighborAdvertisementHeader { router, solicited: false, r#override: true };
    let mut icmp = Icmpv6Header::new(Icmpv6Type::NeighborAdvertisement(flags));
    let message: [u8; 32] = concat(&[&icmp.to_bytes(), &body]);
    icmp.checksum = internet_checksum(source, ALL_NODES, &message);
    let ip = Ipv6Header {
        payload_length: ICMP_LEN,
        next_header: IpNumber::IPV6_ICMP,
        hop_limit: 255, // receivers drop any other (RFC 4861 §7.1.2)
        source: source.octets(),
        destination: ALL_NODES.octets(),
        ..Ipv6Header::default()
    };
    let ethernet =
        Ethernet2Header { source: mac, destination: ALL_NODES_MAC, ether_type: EtherType::IPV6 };
    concat(&[&ethernet.to_bytes(), &ip.to_bytes(), &icmp.to_bytes(), &body])
}

/// The `ICMPv6` checksum of a message: over pseudo-header (RFC 8200 §8.1) and message. 0 if the message has a right one.
pub(crate) fn internet_checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let sum = Sum16BitWords::new()
        .add_16bytes(source.octets())
        .add_16bytes(destination.octets())
        .add_4bytes(length.to_be_bytes())
        .add_2bytes([0, IpNumber::IPV6_ICMP.0])
        .add_slice(message);
    sum.ones_complement().to_be() // the sum is in memory order
}

/// Joins parts whose lengths sum up to `N`.
pub(crate) fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut whole = [0; N];
    let octets = parts.iter().copied().flatten();
    debug_assert_eq!(octets.clone().count(), N, "the parts do not fill the frame");
    for (to, from) in whole.iter_mut().zip(octets) {
        *to = *from;
    }
    whole
}
