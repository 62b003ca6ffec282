//! Asking a link whether somebody has an address: the frames, and what counts as an answer. Pure.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header, IpNumber, Ipv6Header,
};

use crate::frame::{BROADCAST, concat, internet_checksum};

/// Octets of an ARP probe, before the padding that the device adds.
pub const ARP_PROBE_LEN: usize = 42;

/// Octets of a neighbour solicitation for duplicate address detection.
pub const NEIGHBOUR_PROBE_LEN: usize = 78;

/// `ICMPv6` message of a solicitation without options: header, reserved, target (RFC 4861 §4.3).
const SOLICITATION_LEN: u16 = 24;

/// Hop limit of everything in neighbour discovery (RFC 4861 §7.1).
const HOP_LIMIT: u8 = 255;

const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// An ARP probe (RFC 5227 §2.1.1): "who has `address`?", asked by nobody, so that no cache learns of it.
#[must_use]
pub fn arp_probe(mac: [u8; 6], address: Ipv4Addr) -> [u8; ARP_PROBE_LEN] {
    let ethernet =
        Ethernet2Header { source: mac, destination: BROADCAST, ether_type: EtherType::ARP };
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: mac,
        sender_ipv4: [0; 4],
        target_mac: [0; 6],
        target_ipv4: address.octets(),
    };
    concat(&[&ethernet.to_bytes(), &arp.to_bytes()])
}

/// A neighbour solicitation from the unspecified address, as duplicate address detection sends it (RFC 4862 §5.4.2): "who has
/// `address`?". The answer goes to all nodes.
#[must_use]
pub fn neighbour_probe(mac: [u8; 6], address: Ipv6Addr) -> [u8; NEIGHBOUR_PROBE_LEN] {
    let [.., a, b, c] = address.octets();
    // The solicited-node group (RFC 4291 §2.7.1) and its Ethernet address (RFC 2464 §7).
    let group =
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let message = |checksum: [u8; 2]| -> [u8; 24] {
        concat(&[&[NEIGHBOUR_SOLICITATION, 0], &checksum, &[0; 4], &address.octets()])
    };
    let checksum = internet_checksum(Ipv6Addr::UNSPECIFIED, group, &message([0; 2]));
    let ip = Ipv6Header {
        payload_length: SOLICITATION_LEN,
        next_header: IpNumber::IPV6_ICMP,
        hop_limit: HOP_LIMIT,
        source: Ipv6Addr::UNSPECIFIED.octets(),
        destination: group.octets(),
        ..Ipv6Header::default()
    };
    let ethernet = Ethernet2Header {
        source: mac,
        destination: [0x33, 0x33, 0xff, a, b, c],
        ether_type: EtherType::IPV6,
    };
    concat(&[&ethernet.to_bytes(), &ip.to_bytes(), &message(checksum.to_be_bytes())])
}

/// The address that a received frame shows to be in use by another host than `mac`: the sender of an ARP message (RFC 5227
/// §2.1.1), the target of a neighbour advertisement. Probes of others are none: they ask as we do. `None` also for whatever is
/// malformed.
#[must_use]
pub fn in_use(mac: [u8; 6], frame: &[u8]) -> Option<IpAddr> {
    let source: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
    let ethertype = u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?);
    let payload = frame.get(14..)?;
    if source == mac {
        return None;
    }
    match EtherType(ethertype) {
        EtherType::ARP => arp_sender(mac, payload).map(IpAddr::V4),
        EtherType::IPV6 => advertised(payload).map(IpAddr::V6),
        _ => None,
    }
}

fn arp_sender(mac: [u8; 6], payload: &[u8]) -> Option<Ipv4Addr> {
    // Ethernet and IPv4 with addresses of their lengths, then the operation.
    let header = payload.get(..8)?;
    let operation = u16::from_be_bytes(payload.get(6..8)?.try_into().ok()?);
    if header.get(..6)? != [0, 1, 8, 0, 6, 4] || !matches!(operation, 1 | 2) {
        return None;
    }
    let hardware = payload.get(8..14)?;
    let sender: [u8; 4] = payload.get(14..18)?.try_into().ok()?;
    payload.get(18..28)?; // complete
    let sender = Ipv4Addr::from(sender);
    (hardware != mac && !sender.is_unspecified()).then_some(sender)
}

fn advertised(packet: &[u8]) -> Option<Ipv6Addr> {
    let length = usize::from(u16::from_be_bytes(packet.get(4..6)?.try_into().ok()?));
    let message = packet.get(40..40_usize.checked_add(length)?)?;
    let address = |at: usize| -> Option<Ipv6Addr> {
        let octets: [u8; 16] = packet.get(at..at.checked_add(16)?)?.try_into().ok()?;
        Some(octets.into())
    };
    let (source, destination) = (address(8)?, address(24)?);
    let valid = packet.first()? >> 4 == 6
        && *packet.get(6)? == IpNumber::IPV6_ICMP.0
        && *packet.get(7)? == HOP_LIMIT
        && message.get(..2)? == [NEIGHBOUR_ADVERTISEMENT, 0]
        && length >= usize::from(SOLICITATION_LEN)
        // Over a message that includes its own checksum, the sum is 0.
        && internet_checksum(source, destination, message) == 0;
    if !valid {
        return None;
    }
    let target: [u8; 16] = message.get(8..24)?.try_into().ok()?;
    Some(target.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ArpForm, gratuitous_arp, unsolicited_na};

    const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];
    const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
    const V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xab, 0xcdef);

    #[test]
    fn probes_are_what_the_documents_say() {
        // Written out by hand from RFC 5227 §2.1.1 and RFC 4861 §4.3.
        let mut arp = vec![0xff; 6];
        arp.extend(OURS);
        arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        arp.extend(OURS);
        arp.extend([0; 10]);
        arp.extend(V4.octets());
        assert_eq!(arp_probe(OURS, V4).as_slice(), arp);

        let frame = neighbour_probe(OURS, V6);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0xab, 0xcd, 0xef][..]);
        assert_eq!(frame[12..22], [0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255]);
        assert_eq!(frame[22..38], [0; 16], "from the unspecified address");
        assert_eq!(frame[38..54], [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xab, 0xcd, 0xef]);
        assert_eq!(frame[54..56], [135, 0]);
        assert_eq!(frame[62..78], V6.octets());
        let group = Ipv6Addr::from(<[u8; 16]>::try_from(&frame[38..54]).unwrap());
        assert_eq!(internet_checksum(Ipv6Addr::UNSPECIFIED, group, &frame[54..]), 0);
    }

    #[test]
    fn whoever_speaks_as_an_address_has_it() {
        for form in [ArpForm::Request, ArpForm::RequestZeroTarget, ArpForm::Reply] {
            assert_eq!(in_use(OURS, &gratuitous_arp(THEIRS, V4, form)), Some(V4.into()));
            assert_eq!(in_use(THEIRS, &gratuitous_arp(THEIRS, V4, form)), None, "that is us");
        }
        assert_eq!(in_use(OURS, &unsolicited_na(THEIRS, V6, V6, true)), Some(V6.into()));
        assert_eq!(in_use(THEIRS, &unsolicited_na(THEIRS, V6, V6, true)), None);
        // Others that ask as we do.
        assert_eq!(in_use(OURS, &arp_probe(THEIRS, V4)), None);
        assert_eq!(in_use(OURS, &neighbour_probe(THEIRS, V6)), None);
    }

    #[test]
    fn what_is_malformed_is_no_answer() {
        let arp = gratuitous_arp(THEIRS, V4, ArpForm::Reply);
        let na = unsolicited_na(THEIRS, V6, V6, false);
        for frame in [arp.as_slice(), na.as_slice()] {
            for length in 0..frame.len() {
                assert_eq!(in_use(OURS, &frame[..length]), None, "{length} octets");
            }
        }
        // Padding behind it is common.
        assert_eq!(in_use(OURS, &[arp.as_slice(), &[0; 18]].concat()), Some(V4.into()));
        assert_eq!(in_use(OURS, &[na.as_slice(), &[7; 9]].concat()), Some(V6.into()));
        // Each octet of what has to be as it is: types, lengths, version, hop limit, checksum.
        for at in (12..20).chain([21]) {
            let mut frame = arp;
            frame[at] ^= 0x80;
            assert_eq!(in_use(OURS, &frame), None, "ARP, octet {at}");
        }
        for at in (12..15).chain([18, 19, 20, 21]).chain(54..86) {
            let mut frame = na;
            frame[at] ^= 0x80;
            assert_eq!(in_use(OURS, &frame), None, "advertisement, octet {at}");
        }
    }
}
