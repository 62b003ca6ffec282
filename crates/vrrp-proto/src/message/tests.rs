#![expect(clippy::unwrap_in_result, reason = "helpers return the results under test")]

use super::*;
use crate::{Advertisement, Ipv4Packet, MAX_IPV4_PACKET_LEN, Password};

const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const PACKET: PseudoHeader = PseudoHeader::Ipv4 { source: SOURCE, destination: GROUP };

fn addresses(count: u8) -> Vec<IpAddr> {
    (1..=count).map(|last| IpAddr::from([10, 0, 0, last])).collect()
}

fn v3(addresses: &[IpAddr]) -> Result<Message<'_>, MessageError> {
    let interval = MaxAdvertiseInterval::DEFAULT;
    Message::v3(
        Vrid::new(51).unwrap(),
        Priority::DEFAULT,
        interval,
        ChecksumForm::default(),
        addresses,
    )
}

fn v2(addresses: &[IpAddr]) -> Result<Message<'_>, MessageError> {
    let authentication = Authentication::SimplePassword(Password::new(b"secret").unwrap());
    let vrid = Vrid::new(51).unwrap();
    Message::v2(vrid, Priority::OWNER, AdverInt::MIN, authentication, addresses)
}

#[test]
fn one_to_255_addresses_can_be_listed() {
    for make in [v2, v3] {
        assert_eq!(make(&[]).unwrap_err(), MessageError::AddressCount { count: 0 });
        let mut many = addresses(255);
        assert_eq!(make(&many).unwrap().addresses.len(), 255);
        many.push(many[0]);
        assert_eq!(make(&many).unwrap_err(), MessageError::AddressCount { count: 256 });
    }
}

#[test]
fn families_do_not_mix() {
    let mut mixed = addresses(1);
    mixed.push("fe80::1".parse().unwrap());
    let (first, other) = (AddressFamily::Ipv4, AddressFamily::Ipv6);
    assert_eq!(v3(&mixed).unwrap_err(), MessageError::MixedFamilies { first, other });
    assert_eq!(v2(&mixed[1..]).unwrap_err(), MessageError::Version2OverIpv6);
    let (addresses, packet) = (AddressFamily::Ipv6, AddressFamily::Ipv4);
    let error = v3(&mixed[1..]).unwrap().emit(PACKET, &mut [0; 64]).unwrap_err();
    assert_eq!(error, EmitError::FamilyMismatch { addresses, packet });
}

#[test]
fn a_buffer_one_octet_too_small_is_refused_and_an_exact_one_taken() {
    let addresses = addresses(2);
    for (message, need) in [(v3(&addresses).unwrap(), 16), (v2(&addresses).unwrap(), 24)] {
        assert_eq!(message.message_len(), need);
        let mut buffer = vec![0xee; need];
        assert_eq!(message.emit(PACKET, &mut buffer).unwrap().len(), need);
        let error = EmitError::BufferTooSmall { need, len: need - 1 };
        assert_eq!(message.emit(PACKET, &mut buffer[1..]), Err(error));
        let mut buffer = vec![0xee; need + 20];
        let id = NonZeroU16::MIN;
        assert_eq!(
            message.emit_ipv4_packet(SOURCE, GROUP, id, &mut buffer).unwrap().len(),
            need + 20
        );
        let error = EmitError::BufferTooSmall { need: need + 20, len: need + 19 };
        assert_eq!(message.emit_ipv4_packet(SOURCE, GROUP, id, &mut buffer[1..]), Err(error));
    }
}

#[test]
fn the_largest_message_fits_the_constants() {
    let addresses = addresses(255);
    assert_eq!(v2(&addresses).unwrap().message_len() + TRAILER_LEN, MAX_IPV4_MESSAGE_LEN);
    let six = vec!["fe80::1".parse().unwrap(); 255];
    assert_eq!(v3(&six).unwrap().message_len() + TRAILER_LEN, MAX_IPV6_MESSAGE_LEN);
    let mut buffer = [0; MAX_IPV4_PACKET_LEN];
    let id = NonZeroU16::MAX;
    let packet = v2(&addresses).unwrap().emit_ipv4_packet(SOURCE, GROUP, id, &mut buffer).unwrap();
    let packet = Ipv4Packet::parse(packet).unwrap();
    let advertisement = Advertisement::parse(packet.message().unwrap(), PACKET).unwrap();
    assert!(advertisement.addresses().iter().eq(addresses));
}

#[test]
fn the_ip_header_is_what_rfc_9568_and_network_control_ask_for() {
    let addresses = addresses(1);
    let mut buffer = [0xee; 64];
    let id = NonZeroU16::new(0x1234).unwrap();
    let packet = v3(&addresses).unwrap().emit_ipv4_packet(SOURCE, GROUP, id, &mut buffer).unwrap();
    assert_eq!(
        packet[..20],
        [0x45, 0xc0, 0, 32, 0x12, 0x34, 0, 0, 255, 112, 0x06, 0x65, 192, 0, 2, 2, 224, 0, 0, 18]
    );
    assert!(Sum::default().octets(&packet[..20]).is_valid());
}

#[test]
fn what_is_reserved_is_sent_as_zero() {
    let addresses = addresses(1);
    let (vrid, priority) = (Vrid::new(51).unwrap(), Priority::DEFAULT);
    for centiseconds in [1, 100, 0xfff] {
        let interval = MaxAdvertiseInterval::from_centiseconds(centiseconds).unwrap();
        let form = ChecksumForm::default();
        let message = Message::v3(vrid, priority, interval, form, &addresses).unwrap();
        let mut buffer = [0xff; 64];
        let octets = message.emit(PACKET, &mut buffer).unwrap();
        assert_eq!(u16::from_be_bytes([octets[4], octets[5]]), centiseconds);
    }
    let none = Authentication::None;
    let message = Message::v2(vrid, priority, AdverInt::MAX, none, &addresses).unwrap();
    let mut buffer = [0xff; 64];
    let octets = message.emit(PACKET, &mut buffer).unwrap();
    assert_eq!((octets[4], &octets[12..]), (0, &[0; 8][..]));
}

#[test]
fn what_is_in_the_buffer_before_does_not_matter() {
    let addresses = addresses(3);
    let message = v2(&addresses).unwrap();
    let (mut clean, mut dirty) = ([0; 64], [0xff; 64]);
    assert_eq!(message.emit(PACKET, &mut clean), message.emit(PACKET, &mut dirty));
}
