#![expect(clippy::unwrap_in_result, reason = "helpers return the results under test")]

use core::{net::IpAddr, num::NonZeroU16};

use super::*;
use crate::{AdverInt, MAX_IPV4_PACKET_LEN, Message, Priority, Vrid};

const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);

fn key(text: &str) -> HeaderKey {
    HeaderKey::new(Password::new(text.as_bytes()).unwrap())
}

fn packet(key: HeaderKey, destination: Ipv4Addr) -> Vec<u8> {
    let addresses = [IpAddr::from([192, 0, 2, 1])];
    let (vrid, authentication) = (Vrid::new(51).unwrap(), Authentication::Header(key));
    let message =
        Message::v2(vrid, Priority::DEFAULT, AdverInt::MIN, authentication, &addresses).unwrap();
    let mut buffer = [0; MAX_IPV4_PACKET_LEN];
    let message = message.sequence(0x0102_0304);
    message.emit_ipv4_packet(SOURCE, destination, NonZeroU16::MIN, &mut buffer).unwrap().to_vec()
}

fn verify(octets: &[u8], key: HeaderKey) -> Result<usize, AuthenticationError> {
    let packet = Ipv4Packet::parse(octets).unwrap();
    AuthenticationHeader::parse(&packet).unwrap().verify(&key).map(<[u8]>::len)
}

#[test]
fn what_is_written_is_read() {
    let octets = packet(key("k3y"), GROUP);
    let packet = Ipv4Packet::parse(&octets).unwrap();
    let header = AuthenticationHeader::parse(&packet).unwrap();
    assert_eq!((header.spi(), header.sequence()), (SOURCE, 0x0102_0304));
    assert_eq!(header.verify(&key("k3y")), Ok(header.unverified_message()));
    assert_eq!(verify(&octets, key("k3z")), Err(AuthenticationError::WrongCheckValue));
    let text = format!("{header:?}");
    assert_eq!(text, "AuthenticationHeader { spi: 192.0.2.2, sequence: 16909060, .. }");
}

/// Every octet counts, but for those that may change on the way.
#[test]
fn a_changed_octet_is_noticed_unless_a_router_may_change_it() {
    let tos_flags_checksum = [1, 6, 7, 10, 11];
    for (ttl, destination, covered) in [
        (TtlCoverage::Multicast, GROUP, true),
        (TtlCoverage::Multicast, PEER, false),
        (TtlCoverage::Never, GROUP, false),
        (TtlCoverage::Never, PEER, false),
    ] {
        let key = key("k3y").ttl(ttl);
        let octets = packet(key, destination);
        assert_eq!(verify(&octets, key), Ok(20));
        for at in 0..octets.len() {
            let mut changed = octets.clone();
            // The flag, because a fragment is none of ours; the length fields are checked before.
            changed[at] ^= if at == 6 { 0x40 } else { 1 };
            let Ok(packet) = Ipv4Packet::parse(&changed) else {
                assert!([0, 2, 3, 7].contains(&at), "octet {at}");
                continue;
            };
            let Ok(header) = AuthenticationHeader::parse(&packet) else {
                assert!([9, 20, 21].contains(&at), "octet {at}");
                continue;
            };
            let mutable = tos_flags_checksum.contains(&at) || (at == 8 && !covered);
            let expected = if mutable {
                Ok(header.unverified_message())
            } else {
                Err(AuthenticationError::WrongCheckValue)
            };
            assert_eq!(header.verify(&key), expected, "octet {at}, {ttl:?}, {destination}");
        }
    }
}

/// A router that holds the key can still not speak for another one.
#[test]
fn the_spi_is_the_source() {
    let other = Ipv4Addr::new(192, 0, 2, 9);
    let mut octets = packet(key("k3y"), GROUP);
    let message = octets[44..].to_vec();
    let header = key("k3y").header(&octets[..20], other, 7, &message);
    octets[20..44].copy_from_slice(&header);
    let error = AuthenticationError::ForeignSpi { spi: other, sender: SOURCE };
    assert_eq!(verify(&octets, key("k3y")), Err(error));
}

#[test]
fn a_header_of_another_shape_is_refused() {
    let parse = |octets: &[u8]| {
        let packet = Ipv4Packet::parse(octets).unwrap();
        AuthenticationHeader::parse(&packet).map(|_| ())
    };
    let octets = packet(key("k3y"), GROUP);
    let with = |at: usize, octet| {
        let mut octets = octets.clone();
        octets[at] = octet;
        octets
    };
    let not_vrrp = |number| PacketError::NotVrrp { protocol: IpProtocol::from_number(number) };
    assert_eq!(parse(&octets), Ok(()));
    assert_eq!(parse(&with(9, 112)), Err(not_vrrp(112)));
    assert_eq!(parse(&with(20, 6)), Err(not_vrrp(6)));
    for words in [0, 3, 5, 255] {
        let error = PacketError::CheckValueLength { words };
        assert_eq!(parse(&with(21, words)), Err(error));
    }
    for len in 0..24 {
        let short = with(3, 20 + len);
        let error = PacketError::HeaderTooShort { len: usize::from(len) };
        assert_eq!(parse(&short), Err(error));
    }
    // An empty message is the advertisement parser's to refuse.
    assert_eq!(parse(&with(3, 44)), Ok(()));
}

#[test]
fn options_are_covered() {
    let octets = packet(key("k3y"), GROUP);
    let mut with_options = octets[..20].to_vec();
    with_options[0] = 0x46;
    with_options[3] += 4;
    with_options.extend([1, 1, 1, 0]);
    let message = &octets[44..];
    let header = key("k3y").header(&with_options, SOURCE, 7, message);
    with_options.extend(header);
    with_options.extend(message);
    assert_eq!(verify(&with_options, key("k3y")), Ok(20));
    with_options[20] = 0;
    let error = AuthenticationError::WrongCheckValue;
    assert_eq!(verify(&with_options, key("k3y")), Err(error));
}
