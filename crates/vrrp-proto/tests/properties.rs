//! What must hold for every input, not only for those somebody thought of.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::{hint::black_box, net::IpAddr, num::NonZeroU16};

use proptest::{collection::vec, prelude::*};
use vrrp_proto::{
    AdverInt, Advertisement, Authentication, AuthenticationHeader, ChecksumForm, Header, HeaderKey,
    Interval, Ipv4Packet, MAX_IPV4_PACKET_LEN, MAX_IPV6_MESSAGE_LEN, MaxAdvertiseInterval, Message,
    Password, Priority, PseudoHeader, Version, Vrid,
};

fn pseudo_header() -> impl Strategy<Value = PseudoHeader> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(source, destination)| PseudoHeader::Ipv4 {
            source: source.into(),
            destination: destination.into()
        }),
        any::<([u8; 16], [u8; 16])>().prop_map(|(source, destination)| PseudoHeader::Ipv6 {
            source: source.into(),
            destination: destination.into()
        }),
    ]
}

fn addresses(packet: PseudoHeader) -> BoxedStrategy<Vec<IpAddr>> {
    match packet {
        PseudoHeader::Ipv4 { .. } => vec(any::<[u8; 4]>().prop_map(IpAddr::from), 1..=255).boxed(),
        PseudoHeader::Ipv6 { .. } => vec(any::<[u8; 16]>().prop_map(IpAddr::from), 1..=255).boxed(),
    }
}

fn packet_with_addresses() -> impl Strategy<Value = (PseudoHeader, Vec<IpAddr>)> {
    pseudo_header().prop_flat_map(|packet| (Just(packet), addresses(packet)))
}

fn authentication() -> impl Strategy<Value = Authentication> {
    prop_oneof![
        Just(Authentication::None),
        vec(any::<u8>(), 0..=8)
            .prop_map(|octets| Authentication::SimplePassword(Password::new(&octets).unwrap())),
    ]
}

proptest! {
    /// Anything may come from a network.
    #[test]
    fn arbitrary_octets_never_panic(
        octets in vec(any::<u8>(), 0..1200), packet in pseudo_header(), first in any::<u8>(),
    ) {
        black_box(Header::parse(&octets).is_ok());
        black_box(Advertisement::parse(&octets, packet).is_ok());
        black_box(Ipv4Packet::parse(&octets).map(|packet| packet.message().map(<[u8]>::len)).is_ok());
        // Nearly right is more interesting than noise.
        let mut octets = octets;
        if let Some(octet) = octets.first_mut() {
            *octet = [0x45, 0x46, 0x4f, 0x21, 0x31][usize::from(first) % 5];
        }
        black_box(Advertisement::parse(&octets, packet).is_ok());
        black_box(Ipv4Packet::parse(&octets).map(|packet| packet.message().map(<[u8]>::len)).is_ok());
    }

    /// The same behind an IP header that promises an authentication header.
    #[test]
    fn arbitrary_octets_behind_an_ip_header_never_panic(
        mut octets in vec(any::<u8>(), 20..200), near in any::<bool>(),
    ) {
        let len = u8::try_from(octets.len()).unwrap();
        let header = [0x45, 0xc0, 0, len, 0, 1, 0, 0, 255, 51];
        octets.splice(..header.len(), header);
        if near && octets.len() > 22 {
            octets.splice(20..22, [112, 4]);
        }
        let packet = Ipv4Packet::parse(&octets).unwrap();
        let key = HeaderKey::new(Password::truncated(b"secret"));
        let verified = AuthenticationHeader::parse(&packet).map(|header| header.verify(&key));
        prop_assert!(!matches!(verified, Ok(Ok(_))));
    }

    /// What is written is read again, field by field.
    #[test]
    fn version_3_survives_the_wire(
        (packet, addresses) in packet_with_addresses(), vrid in 1..=255_u8, priority in any::<u8>(),
        interval in 1..=4095_u16, message_only in any::<bool>(),
    ) {
        let form = if message_only { ChecksumForm::MessageOnly } else { ChecksumForm::PseudoHeader };
        let (vrid, priority) = (Vrid::new(vrid).unwrap(), Priority::new(priority));
        let interval = MaxAdvertiseInterval::from_centiseconds(interval).unwrap();
        let message = Message::v3(vrid, priority, interval, form, &addresses).unwrap();
        let mut buffer = [0; MAX_IPV6_MESSAGE_LEN];
        let octets = message.emit(packet, &mut buffer).unwrap();
        let read = Advertisement::parse(octets, packet).unwrap();
        prop_assert_eq!((read.version(), read.vrid(), read.priority()), (Version::V3, vrid, priority));
        prop_assert_eq!(read.interval(), Interval::Centiseconds(interval));
        prop_assert!(read.has_checksum(form));
        prop_assert!(read.addresses().iter().eq(addresses));
    }

    /// The same for VRRPv2, through a whole IPv4 packet.
    #[test]
    fn version_2_survives_the_wire(
        source in any::<[u8; 4]>(), destination in any::<[u8; 4]>(), id in 1..=u16::MAX,
        addresses in vec(any::<[u8; 4]>().prop_map(IpAddr::from), 1..=255),
        vrid in 1..=255_u8, priority in any::<u8>(), interval in 1..=255_u8,
        authentication in authentication(),
    ) {
        let (vrid, priority) = (Vrid::new(vrid).unwrap(), Priority::new(priority));
        let interval = AdverInt::from_seconds(interval).unwrap();
        let message = Message::v2(vrid, priority, interval, authentication, &addresses).unwrap();
        let mut buffer = [0; MAX_IPV4_PACKET_LEN];
        let id = NonZeroU16::new(id).unwrap();
        let octets =
            message.emit_ipv4_packet(source.into(), destination.into(), id, &mut buffer).unwrap();
        let packet = Ipv4Packet::parse(octets).unwrap();
        prop_assert_eq!(packet.source().octets(), source);
        prop_assert_eq!(packet.destination().octets(), destination);
        prop_assert_eq!(packet.ttl(), 255);
        let read = Advertisement::parse(packet.message().unwrap(), packet.pseudo_header()).unwrap();
        prop_assert_eq!((read.version(), read.vrid(), read.priority()), (Version::V2, vrid, priority));
        prop_assert_eq!(read.interval(), Interval::Seconds(interval));
        prop_assert_eq!(authentication.verify(&read), Ok(()));
        prop_assert!(read.addresses().iter().eq(addresses));
    }

    /// A ones-complement sum notices every changed bit of a message.
    #[test]
    fn one_flipped_bit_is_never_accepted_as_the_same(
        (packet, addresses) in packet_with_addresses(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let (vrid, interval) = (Vrid::new(1).unwrap(), MaxAdvertiseInterval::DEFAULT);
        let form = ChecksumForm::PseudoHeader;
        let message = Message::v3(vrid, Priority::DEFAULT, interval, form, &addresses).unwrap();
        let mut buffer = [0; MAX_IPV6_MESSAGE_LEN];
        let len = message.emit(packet, &mut buffer).unwrap().len();
        buffer[at.index(len)] ^= 1 << bit;
        if let Ok(read) = Advertisement::parse(&buffer[..len], packet) {
            // Over IPv4 the other form may match by chance; never the one that was sent.
            prop_assert!(!read.has_checksum(form));
        }
    }
}
