#![expect(clippy::unwrap_in_result, reason = "helpers return the results under test")]

use core::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::{
    AddressFamily, AdverInt, Advertisement, Authentication, ChecksumForm, Header, MAX_ADDRESSES,
    MAX_IPV4_MESSAGE_LEN, MAX_IPV6_MESSAGE_LEN, MaxAdvertiseInterval, Message, Password, Priority,
    Vrid,
};

/// 2024-01-01 00:00:00.5 UTC, number 7.
const SEQUENCE: TrailerSequence = TrailerSequence::from_bits(0x6592_0080_8000_0007);

/// 0, 1, 2 ...
fn key() -> TrailerKey {
    TrailerKey::new(7, &core::array::from_fn::<u8, 32, _>(|at| u8::try_from(at).unwrap())).unwrap()
}

/// 100, 101, 102 ...
fn long_key() -> TrailerKey {
    let secret = core::array::from_fn::<u8, 64, _>(|at| u8::try_from(at + 100).unwrap());
    TrailerKey::new(255, &secret).unwrap()
}

fn packet(source: &str, destination: &str) -> PseudoHeader {
    PseudoHeader::new(source.parse().unwrap(), destination.parse().unwrap()).unwrap()
}

fn ipv4() -> PseudoHeader {
    packet("192.0.2.2", "224.0.0.18")
}

fn ipv6() -> PseudoHeader {
    packet("fe80::2", "ff02::12")
}

fn v3(address: &IpAddr) -> Message<'_> {
    let (vrid, form) = (Vrid::new(51).unwrap(), ChecksumForm::PseudoHeader);
    let interval = MaxAdvertiseInterval::DEFAULT;
    Message::v3(vrid, Priority::DEFAULT, interval, form, core::slice::from_ref(address)).unwrap()
}

fn v2(address: &IpAddr) -> Message<'_> {
    let (vrid, addresses) = (Vrid::new(51).unwrap(), core::slice::from_ref(address));
    let none = Authentication::None;
    Message::v2(vrid, Priority::DEFAULT, AdverInt::MIN, none, addresses).unwrap()
}

fn emit(message: &Message<'_>, packet: PseudoHeader) -> Vec<u8> {
    message.emit(packet, &mut [0; MAX_IPV6_MESSAGE_LEN]).unwrap().to_vec()
}

fn verify(
    octets: &[u8],
    packet: PseudoHeader,
    key: &TrailerKey,
) -> Result<usize, AuthenticationError> {
    let (message, behind) = Header::parse(octets).unwrap().split(octets, packet.family()).unwrap();
    Trailer::parse(message, behind)?.verify(key, packet).map(<[u8]>::len)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"))
}

/// Computed by Python's `hmac`, from the description of the format alone.
#[test]
fn another_implementation_of_the_description_writes_the_same() {
    let (four, six) = ("192.0.2.1".parse().unwrap(), "fe80::1".parse().unwrap());
    for (message, packet, key, expected) in [
        (
            v3(&four),
            ipv4(),
            key(),
            "31336401006405d4c0000201010700006592008080000007beb5afa7af18f4cf74d907ab44e80d11",
        ),
        (
            v2(&four),
            ipv4(),
            long_key(),
            "213364010001b8c8c0000201000000000000000001ff00006592008080000007aca944c59497bbdf472f2a35\
             0dc2b52d",
        ),
        (
            v3(&six),
            ipv6(),
            key(),
            "3133640100646dc5fe800000000000000000000000000001010700006592008080000007\
             32a535ca757614aa4db0e62387e391b3",
        ),
    ] {
        let octets = emit(&message.signed(&key, SEQUENCE), packet);
        assert_eq!(hex(&octets), expected);
        assert_eq!(verify(&octets, packet, &key), Ok(message.message_len()));
    }
}

#[test]
fn every_bit_but_those_of_the_checksum_is_covered_and_so_is_the_source() {
    for (address, packet) in [("192.0.2.1", ipv4()), ("fe80::1", ipv6())] {
        let address = address.parse().unwrap();
        let signed = emit(&v3(&address).signed(&key(), SEQUENCE), packet);
        for bit in (0..8 * signed.len()).filter(|bit| !(48..64).contains(bit)) {
            let mut octets = signed.clone();
            octets[bit / 8] ^= 1 << (bit % 8);
            let verified = Header::parse(&octets).is_ok_and(|header| {
                let Ok((message, behind)) = header.split(&octets, packet.family()) else {
                    return false;
                };
                Trailer::parse(message, behind)
                    .is_ok_and(|trailer| trailer.verify(&key(), packet).is_ok())
            });
            assert!(!verified, "bit {bit}");
        }
    }
    let address = "192.0.2.1".parse().unwrap();
    let signed = emit(&v3(&address).signed(&key(), SEQUENCE), ipv4());
    let wrong = Err(AuthenticationError::WrongTrailer { key: 7 });
    assert_eq!(verify(&signed, packet("192.0.2.3", "224.0.0.18"), &key()), wrong);
    // A copy to somebody else is not noticed here, and neither is another checksum.
    assert!(verify(&signed, packet("192.0.2.2", "192.0.2.9"), &key()).is_ok());
    let other_form = [&signed[..6], &[1, 2], &signed[8..]].concat();
    assert!(verify(&other_form, ipv4(), &key()).is_ok());
}

#[test]
fn each_defect_of_a_trailer_has_its_error() {
    let address = "192.0.2.1".parse().unwrap();
    let message = v3(&address);
    let len = message.message_len();
    let signed = emit(&message.signed(&key(), SEQUENCE), ipv4());
    let error = |octets: &[u8], key: &TrailerKey| verify(octets, ipv4(), key).unwrap_err();
    assert_eq!(error(&signed[..len], &key()), AuthenticationError::TrailerMissing);
    for cut in 1..TRAILER_LEN {
        let expected = AuthenticationError::TrailerLength { len: cut };
        assert_eq!(error(&signed[..len + cut], &key()), expected);
    }
    let longer = [&signed[..], &[0]].concat();
    assert_eq!(error(&longer, &key()), AuthenticationError::TrailerLength { len: 29 });
    for found in [0, 2, 255] {
        let mut octets = signed.clone();
        octets[len] = found;
        assert_eq!(error(&octets, &key()), AuthenticationError::UnknownAlgorithm { found });
    }
    let other = TrailerKey::new(8, &[0; 32]).unwrap();
    assert_eq!(error(&signed, &other), AuthenticationError::UnknownKey { id: 7 });
    let other = TrailerKey::new(7, &[0; 32]).unwrap();
    assert_eq!(error(&signed, &other), AuthenticationError::WrongTrailer { key: 7 });
}

#[test]
fn without_verifying_a_trailer_is_too_many_octets() {
    let address = "192.0.2.1".parse().unwrap();
    let signed = emit(&v3(&address).signed(&key(), SEQUENCE), ipv4());
    let error = Advertisement::parse(&signed, ipv4()).unwrap_err();
    let expected = crate::ParseError::TrailingOctets { count: 1, need: 12, len: 40 };
    assert_eq!(error, expected);
    let header = Header::parse(&signed).unwrap();
    let (message, behind) = header.split(&signed, AddressFamily::Ipv4).unwrap();
    let message = Trailer::parse(message, behind).unwrap().verify(&key(), ipv4()).unwrap();
    assert!(Advertisement::parse(message, ipv4()).is_ok());
}

#[test]
fn signing_takes_the_place_of_a_password() {
    let addresses = ["192.0.2.1".parse().unwrap()];
    let (vrid, key) = (Vrid::new(51).unwrap(), key());
    let password = Authentication::SimplePassword(Password::truncated(b"secret"));
    let message = Message::v2(vrid, Priority::DEFAULT, AdverInt::MIN, password, &addresses);
    let octets = emit(&message.unwrap().signed(&key, SEQUENCE), ipv4());
    assert_eq!(octets, emit(&v2(&addresses[0]).signed(&key, SEQUENCE), ipv4()));
    assert!(!octets.windows(6).any(|window| window == b"secret"));
}

#[test]
fn the_longest_messages_have_room_for_a_trailer() {
    let (vrid, key, none) = (Vrid::new(1).unwrap(), key(), Authentication::None);
    let four = [IpAddr::from(Ipv4Addr::LOCALHOST); MAX_ADDRESSES];
    let message = Message::v2(vrid, Priority::DEFAULT, AdverInt::MIN, none, &four).unwrap();
    let mut buffer = [0; MAX_IPV4_MESSAGE_LEN];
    let octets = message.signed(&key, SEQUENCE).emit(ipv4(), &mut buffer).unwrap();
    assert_eq!(octets.len(), MAX_IPV4_MESSAGE_LEN);
    assert_eq!(verify(octets, ipv4(), &key), Ok(MAX_IPV4_MESSAGE_LEN - TRAILER_LEN));
    for len in 0..MAX_IPV4_MESSAGE_LEN {
        let error = message.signed(&key, SEQUENCE).emit(ipv4(), &mut buffer[..len]).unwrap_err();
        let expected = crate::EmitError::BufferTooSmall { need: MAX_IPV4_MESSAGE_LEN, len };
        assert_eq!(error, expected);
    }
}

#[test]
fn a_key_has_a_number_and_32_to_64_octets_and_is_never_printed() {
    assert_eq!(TrailerKey::new(0, &[1; 32]), Err(TrailerKeyError::ZeroId));
    for len in [0, 31, 65] {
        let error = TrailerKey::new(1, &[1; 65][..len]).unwrap_err();
        assert_eq!(error, TrailerKeyError::Length { len });
    }
    assert_ne!(TrailerKey::new(1, &[1; 32]), TrailerKey::new(2, &[1; 32]));
    assert_ne!(TrailerKey::new(1, &[1; 32]), TrailerKey::new(1, &[1; 33]));
    let key = TrailerKey::new(1, b"correct horse battery staple 123").unwrap();
    assert_eq!(format!("{key:?}"), "TrailerKey { id: 1, .. }");
}

#[test]
fn sequence_numbers_are_of_a_moment_and_wrap() {
    let at = |seconds, nanos| TrailerSequence::at(Duration::new(seconds, nanos));
    assert_eq!(at(0x6592_0080, 500_000_000).to_bits(), 0x6592_0080_8000_0000);
    assert_eq!(at(0, 999_999_999).to_bits(), 0xffff_0000);
    assert_eq!(at(0x1_0000_0001, 0), at(1, 0));
    assert_eq!(SEQUENCE.next().to_bits(), SEQUENCE.to_bits() + 1);
    assert!(SEQUENCE.next().is_newer_than(SEQUENCE));
    assert!(!SEQUENCE.is_newer_than(SEQUENCE));
    assert!(!SEQUENCE.is_newer_than(SEQUENCE.next()));
    let last = TrailerSequence::from_bits(u64::MAX);
    assert!(last.next().is_newer_than(last));
    for (a, b, expected) in [
        (at(10, 0), at(10, 0), Duration::ZERO),
        (at(10, 0), at(12, 500_000_000), Duration::from_millis(2500)),
        (at(12, 500_000_000), at(10, 0), Duration::from_millis(2500)),
        (at(u64::from(u32::MAX), 0), at(0, 0), Duration::from_secs(1)),
    ] {
        assert_eq!(a.distance(b), expected);
    }
}
