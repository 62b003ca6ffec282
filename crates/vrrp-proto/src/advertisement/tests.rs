use core::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::AddressFamily;

const PACKET: PseudoHeader = PseudoHeader::Ipv4 {
    source: Ipv4Addr::new(192, 0, 2, 2),
    destination: Ipv4Addr::new(224, 0, 0, 18),
};

const PACKET6: PseudoHeader = PseudoHeader::Ipv6 {
    source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
    destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
};

/// VRID 51, priority 100, 192.0.2.1, 1 s, no authentication.
const V2: [u8; 20] = [0x21, 51, 100, 1, 0, 1, 0xb8, 0xc8, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];

/// VRID 51, priority 100, 192.0.2.1, 100 cs, checksum of the message only.
const V3: [u8; 12] = [0x31, 51, 100, 1, 0, 100, 0xa8, 0x65, 192, 0, 2, 1];

/// `message` with some octets changed and its checksum made right again.
fn with<const N: usize>(mut message: [u8; N], changes: &[(usize, u8)]) -> [u8; N] {
    for (index, octet) in changes {
        message[*index] = *octet;
    }
    message[6..8].fill(0);
    let checksum = Sum::default().octets(&message).checksum();
    message[6..8].copy_from_slice(&checksum.to_be_bytes());
    message
}

#[test]
fn version_3_is_read() {
    let advertisement = Advertisement::parse(&V3, PACKET).unwrap();
    assert_eq!(advertisement.version(), Version::V3);
    assert_eq!(advertisement.vrid().get(), 51);
    assert_eq!(advertisement.priority(), Priority::DEFAULT);
    let interval = Interval::Centiseconds(MaxAdvertiseInterval::DEFAULT);
    assert_eq!(advertisement.interval(), interval);
    assert_eq!(advertisement.authentication(), None);
    assert_eq!(advertisement.checksum_form(), Some(ChecksumForm::MessageOnly));
    assert!(advertisement.has_checksum(ChecksumForm::MessageOnly));
    assert!(!advertisement.has_checksum(ChecksumForm::PseudoHeader));
    let addresses: Vec<_> = advertisement.addresses().iter().collect();
    assert_eq!(addresses, [IpAddr::from([192, 0, 2, 1])]);
}

#[test]
fn version_2_is_read() {
    let advertisement = Advertisement::parse(&V2, PACKET).unwrap();
    assert_eq!(advertisement.version(), Version::V2);
    assert_eq!(advertisement.interval(), Interval::Seconds(AdverInt::MIN));
    assert_eq!(advertisement.authentication(), Some((AuthenticationType::None, &[0; 8])));
    assert_eq!(advertisement.checksum_form(), None);
    assert!(advertisement.has_checksum(ChecksumForm::PseudoHeader));
    assert_eq!(advertisement.addresses().len(), 1);
}

#[test]
fn less_than_eight_octets_are_refused() {
    for len in 0..8 {
        assert_eq!(Advertisement::parse(&V3[..len], PACKET), Err(ParseError::TooShort { len }));
    }
}

#[test]
fn unknown_versions_are_refused() {
    for version in (0..16).filter(|version| ![2, 3].contains(version)) {
        let message = with(V3, &[(0, version << 4 | 1)]);
        let error = Advertisement::parse(&message, PACKET);
        assert_eq!(error, Err(ParseError::UnknownVersion { version }));
    }
}

#[test]
fn version_2_over_ipv6_is_refused() {
    assert_eq!(Advertisement::parse(&V2, PACKET6), Err(ParseError::Version2OverIpv6));
}

#[test]
fn unknown_types_are_refused() {
    for found in (0..16).filter(|kind| *kind != 1) {
        let message = with(V2, &[(0, 0x20 | found)]);
        let error = Advertisement::parse(&message, PACKET);
        assert_eq!(error, Err(ParseError::UnknownType { found }));
    }
}

#[test]
fn missing_octets_are_refused_at_every_length() {
    for len in 8..20 {
        let error = ParseError::Incomplete { count: 1, need: 20, len };
        assert_eq!(Advertisement::parse(&V2[..len], PACKET), Err(error));
    }
    for len in 8..12 {
        let error = ParseError::Incomplete { count: 1, need: 12, len };
        assert_eq!(Advertisement::parse(&V3[..len], PACKET), Err(error));
    }
    let error = ParseError::Incomplete { count: 1, need: 24, len: 12 };
    assert_eq!(Advertisement::parse(&V3, PACKET6), Err(error));
}

#[test]
fn octets_behind_the_message_are_refused() {
    let mut message = V3.to_vec();
    message.push(0);
    let error = ParseError::TrailingOctets { count: 1, need: 12, len: 13 };
    assert_eq!(Advertisement::parse(&message, PACKET), Err(error));
}

#[test]
fn every_single_flipped_bit_of_the_checksum_is_noticed() {
    for bit in 0..16 {
        let mut message = V2;
        message[6 + bit / 8] ^= 1 << (bit % 8);
        let found = u16::from_be_bytes([message[6], message[7]]);
        let error = ParseError::Checksum { found, expected: 0xb8c8 };
        assert_eq!(Advertisement::parse(&message, PACKET), Err(error));
    }
}

#[test]
fn the_pseudo_header_is_neither_for_version_2_nor_optional_for_ipv6() {
    let mut message = V2;
    message[6..8].fill(0);
    let wrong = PACKET.sum(20).octets(&message).checksum();
    message[6..8].copy_from_slice(&wrong.to_be_bytes());
    let error = ParseError::Checksum { found: wrong, expected: 0xb8c8 };
    assert_eq!(Advertisement::parse(&message, PACKET), Err(error));

    let mut message = with([0; 24], &[(0, 0x31), (1, 51), (3, 1), (5, 100), (8, 0xfe), (9, 0x80)]);
    let error = Advertisement::parse(&message, PACKET6).unwrap_err();
    assert!(matches!(error, ParseError::Checksum { .. }), "{error}");
    message[6..8].fill(0);
    let right = PACKET6.sum(24).octets(&message).checksum();
    message[6..8].copy_from_slice(&right.to_be_bytes());
    let advertisement = Advertisement::parse(&message, PACKET6).unwrap();
    assert_eq!(advertisement.checksum_form(), None);
    assert_eq!(advertisement.addresses().first(), Some("fe80::".parse().unwrap()));
}

#[test]
fn where_both_checksum_forms_agree_both_are_had() {
    // The last two octets of the source make the pseudo-header of 12 octets sum to zero.
    let destination = Ipv4Addr::new(224, 0, 0, 18);
    let source = (0..=u16::MAX)
        .map(|low| {
            let [high, low] = low.to_be_bytes();
            Ipv4Addr::new(192, 0, high, low)
        })
        .find(|source| PseudoHeader::Ipv4 { source: *source, destination }.sum(12).is_valid());
    let packet = PseudoHeader::Ipv4 { source: source.unwrap(), destination };
    let advertisement = Advertisement::parse(&V3, packet).unwrap();
    assert_eq!(advertisement.checksum_form(), Some(ChecksumForm::PseudoHeader));
    assert!(advertisement.has_checksum(ChecksumForm::PseudoHeader));
    assert!(advertisement.has_checksum(ChecksumForm::MessageOnly));
}

#[test]
fn of_three_checksums_each_is_recognised_and_written() {
    let source = Ipv4Addr::new(192, 0, 2, 2);
    let to_peer = PseudoHeader::Ipv4 { source, destination: Ipv4Addr::new(192, 0, 2, 9) };
    let addresses = [IpAddr::from([192, 0, 2, 1])];
    let (vrid, interval) = (Vrid::new(51).unwrap(), MaxAdvertiseInterval::DEFAULT);
    for form in ChecksumForm::ALL {
        let message =
            crate::Message::v3(vrid, Priority::DEFAULT, interval, form, &addresses).unwrap();
        let mut buffer = [0; 12];
        let octets = message.emit(to_peer, &mut buffer).unwrap();
        let advertisement = Advertisement::parse(octets, to_peer).unwrap();
        assert_eq!(advertisement.checksum_form(), Some(form));
        for other in ChecksumForm::ALL {
            assert_eq!(advertisement.has_checksum(other), form == other, "{form:?} {other:?}");
        }
        // To the group two of them are one.
        let octets = message.emit(PACKET, &mut buffer).unwrap();
        let advertisement = Advertisement::parse(octets, PACKET).unwrap();
        let of_message = form == ChecksumForm::MessageOnly;
        let reported = if of_message { form } else { ChecksumForm::PseudoHeader };
        assert_eq!(advertisement.checksum_form(), Some(reported));
        assert_eq!(advertisement.has_checksum(ChecksumForm::GroupPseudoHeader), !of_message);
    }
    // The group stands for an IPv4 destination only.
    let IpAddr::V6(destination) = "fe80::9".parse().unwrap() else { unreachable!() };
    let PseudoHeader::Ipv6 { source, .. } = PACKET6 else { unreachable!() };
    let six = ["fe80::1".parse().unwrap()];
    let form = ChecksumForm::GroupPseudoHeader;
    let message = crate::Message::v3(vrid, Priority::DEFAULT, interval, form, &six).unwrap();
    let mut buffer = [0; 24];
    let octets = message.emit(PACKET6, &mut buffer).unwrap();
    assert!(Advertisement::parse(octets, PACKET6).is_ok());
    let error = Advertisement::parse(octets, PseudoHeader::Ipv6 { source, destination });
    assert!(matches!(error, Err(ParseError::Checksum { .. })), "{error:?}");
}

#[test]
fn vrid_0_is_refused() {
    let message = with(V3, &[(1, 0)]);
    assert_eq!(Advertisement::parse(&message, PACKET), Err(ParseError::ZeroVrid));
}

#[test]
fn authentication_types_beyond_2_are_refused() {
    for found in 3..=255 {
        let message = with(V2, &[(4, found)]);
        let error = ParseError::UnknownAuthenticationType { found };
        assert_eq!(Advertisement::parse(&message, PACKET), Err(error));
    }
}

#[test]
fn no_addresses_are_refused() {
    let message: [u8; 8] = with([0x31, 51, 100, 0, 0, 100, 0, 0], &[]);
    assert_eq!(Advertisement::parse(&message, PACKET), Err(ParseError::NoAddresses));
    let message: [u8; 16] = with([0; 16], &[(0, 0x21), (1, 51), (5, 1)]);
    assert_eq!(Advertisement::parse(&message, PACKET), Err(ParseError::NoAddresses));
}

#[test]
fn an_interval_of_zero_is_refused_whatever_the_reserved_bits() {
    let message = with(V3, &[(4, 0xf0), (5, 0)]);
    assert_eq!(Advertisement::parse(&message, PACKET), Err(ParseError::ZeroInterval));
    let message = with(V2, &[(5, 0)]);
    assert_eq!(Advertisement::parse(&message, PACKET), Err(ParseError::ZeroInterval));
}

#[test]
fn of_two_errors_the_earlier_in_the_ladder_is_reported() {
    // Each message has every error from its place on.
    let bad = |message: &[u8]| Advertisement::parse(message, PACKET).unwrap_err();
    assert!(matches!(bad(&[0x40; 7]), ParseError::TooShort { .. }));
    assert!(matches!(bad(&[0x40; 9]), ParseError::UnknownVersion { .. }));
    assert!(matches!(bad(&[0x30, 0, 0, 0, 0, 0, 0, 0, 9]), ParseError::UnknownType { .. }));
    assert!(matches!(bad(&[0x31, 0, 0, 0, 0, 0, 0, 0, 9]), ParseError::TrailingOctets { .. }));
    assert!(matches!(bad(&[0x31, 0, 0, 0, 0, 0, 0, 0]), ParseError::Checksum { .. }));
    let mut all = with([0; 16], &[(0, 0x21), (4, 9)]);
    assert_eq!(bad(&all), ParseError::ZeroVrid);
    all = with(all, &[(1, 1)]);
    assert_eq!(bad(&all), ParseError::UnknownAuthenticationType { found: 9 });
    all = with(all, &[(4, 0)]);
    assert_eq!(bad(&all), ParseError::NoAddresses);
}

#[test]
fn the_header_can_be_read_before_the_rest_is_known_to_be_right() {
    let header = Header::parse(&[0x21, 0, 7, 9, 0xff, 0xff, 0xff, 0xff]).unwrap();
    assert_eq!((header.version, header.vrid), (Version::V2, 0));
    assert_eq!((header.priority.get(), header.address_count), (7, 9));
}

#[test]
fn addresses_know_how_many_they_are() {
    let advertisement = Advertisement::parse(&V3, PACKET).unwrap();
    assert_eq!(advertisement.addresses().into_iter().len(), 1);
    assert_eq!((&advertisement.addresses()).into_iter().size_hint(), (1, Some(1)));
    assert_eq!(AddressFamily::of(&advertisement.addresses().first().unwrap()), AddressFamily::Ipv4);
}
