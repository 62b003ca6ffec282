use super::*;

/// 20 octets of header, 8 of payload, protocol 112, from 192.0.2.2 to the group.
const PACKET: [u8; 28] = [
    0x45, 0xc0, 0, 28, 0x00, 0x01, 0, 0, 255, 112, 0, 0, 192, 0, 2, 2, 224, 0, 0, 18, 1, 2, 3, 4,
    5, 6, 7, 8,
];

fn with(changes: &[(usize, u8)]) -> [u8; 28] {
    let mut packet = PACKET;
    for (index, octet) in changes {
        packet[*index] = *octet;
    }
    packet
}

#[test]
fn a_packet_is_taken_apart() {
    let packet = Ipv4Packet::parse(&PACKET).unwrap();
    assert_eq!(packet.source(), Ipv4Addr::new(192, 0, 2, 2));
    assert_eq!(packet.destination(), Ipv4Addr::new(224, 0, 0, 18));
    assert_eq!((packet.ttl(), packet.protocol()), (255, IpProtocol::Vrrp));
    assert_eq!(packet.header(), &PACKET[..20]);
    assert_eq!(packet.message(), Ok(&PACKET[20..]));
    let (source, destination) = (packet.source(), packet.destination());
    assert_eq!(packet.pseudo_header(), PseudoHeader::Ipv4 { source, destination });
}

#[test]
fn options_are_skipped() {
    let packet = with(&[(0, 0x46)]);
    assert_eq!(Ipv4Packet::parse(&packet).unwrap().payload(), [5, 6, 7, 8]);
}

#[test]
fn link_padding_is_cut_off() {
    let packet = with(&[(3, 24)]);
    assert_eq!(Ipv4Packet::parse(&packet).unwrap().payload(), [1, 2, 3, 4]);
    let packet = with(&[(3, 20)]);
    assert_eq!(Ipv4Packet::parse(&packet).unwrap().payload(), []);
}

#[test]
fn less_than_a_header_is_refused() {
    assert_eq!(Ipv4Packet::parse(&[]), Err(PacketError::TooShort { need: 20, len: 0 }));
    let error = Ipv4Packet::parse(&PACKET[..19]);
    assert_eq!(error, Err(PacketError::TooShort { need: 20, len: 19 }));
    let packet = with(&[(0, 0x4f)]);
    assert_eq!(Ipv4Packet::parse(&packet), Err(PacketError::TooShort { need: 60, len: 28 }));
}

#[test]
fn another_ip_version_is_refused() {
    let packet = with(&[(0, 0x65)]);
    assert_eq!(Ipv4Packet::parse(&packet), Err(PacketError::NotIpv4 { version: 6 }));
}

#[test]
fn a_header_of_four_words_is_refused() {
    let packet = with(&[(0, 0x44)]);
    assert_eq!(Ipv4Packet::parse(&packet), Err(PacketError::HeaderLength { words: 4 }));
}

#[test]
fn a_total_length_below_the_header_is_refused() {
    let packet = with(&[(3, 19)]);
    let error = PacketError::TotalLength { total: 19, header: 20 };
    assert_eq!(Ipv4Packet::parse(&packet), Err(error));
}

#[test]
fn a_total_length_beyond_the_octets_is_refused() {
    let packet = with(&[(3, 29)]);
    assert_eq!(Ipv4Packet::parse(&packet), Err(PacketError::Truncated { total: 29, len: 28 }));
}

#[test]
fn fragments_are_refused_the_first_and_later_ones() {
    let first = with(&[(6, 0x20)]);
    assert_eq!(Ipv4Packet::parse(&first), Err(PacketError::Fragment { offset: 0 }));
    let last = with(&[(6, 0x1f), (7, 0xff)]);
    assert_eq!(Ipv4Packet::parse(&last), Err(PacketError::Fragment { offset: 65_528 }));
    let do_not_fragment = with(&[(6, 0x40)]);
    assert!(Ipv4Packet::parse(&do_not_fragment).is_ok());
}

#[test]
fn an_authentication_header_is_named_and_another_protocol_too() {
    let packet = with(&[(9, 51)]);
    let packet = Ipv4Packet::parse(&packet).unwrap();
    assert_eq!(packet.protocol(), IpProtocol::AuthenticationHeader);
    assert_eq!(packet.message(), Err(PacketError::AuthenticationHeader));
    let packet = with(&[(9, 17)]);
    let protocol = IpProtocol::Other(17);
    let error = Ipv4Packet::parse(&packet).unwrap().message();
    assert_eq!(error, Err(PacketError::NotVrrp { protocol }));
}
