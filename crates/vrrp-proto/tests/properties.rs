//! What must hold for every input, not only for those somebody thought of.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unwrap_in_result,
    reason = "a test fails by panicking"
)]

use core::{net::IpAddr, num::NonZeroU16};

use proptest::{collection::vec, prelude::*};
use vrrp_proto::{
    AdverInt, Advertisement, Authentication, AuthenticationHeader, ChecksumForm, Header, HeaderKey,
    Interval, Ipv4Packet, MAX_IPV4_PACKET_LEN, MAX_IPV6_MESSAGE_LEN, MaxAdvertiseInterval, Message,
    Password, Priority, PseudoHeader, Trailer, TrailerKey, TrailerSequence, Version, Vrid,
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

fn trailer_key() -> TrailerKey {
    TrailerKey::new(1, &[7; 32]).unwrap()
}

/// Reads octets in every way there is. What is accepted has the fields it has to have, and what is
/// not has a reason.
fn read_all(octets: &[u8], packet: PseudoHeader) -> Result<(), TestCaseError> {
    let reason = |error: &dyn core::error::Error| {
        prop_assert!(error.to_string().len() > 5, "{error:?}");
        Ok(())
    };
    match Advertisement::parse(octets, packet) {
        Ok(read) => {
            prop_assert_eq!(read.addresses().iter().count(), usize::from(octets[3]));
            prop_assert!(!read.addresses().is_empty());
            prop_assert_eq!(read.vrid().get(), octets[1]);
            let header = Header::parse(octets).unwrap();
            prop_assert_eq!(header.message_len(packet.family()), octets.len());
        }
        Err(error) => reason(&error)?,
    }
    match Header::parse(octets).and_then(|header| header.split(octets, packet.family())) {
        Ok((message, behind)) => {
            prop_assert_eq!([message, behind].concat(), octets);
            let verified = Trailer::parse(message, behind)
                .and_then(|trailer| trailer.verify(&trailer_key(), packet));
            match verified {
                Ok(verified) => prop_assert_eq!(verified, message),
                Err(error) => reason(&error)?,
            }
        }
        Err(error) => reason(&error)?,
    }
    match Ipv4Packet::parse(octets) {
        Ok(packet) => {
            let len = packet.header().len() + packet.payload().len();
            prop_assert_eq!(len, usize::from(u16::from_be_bytes([octets[2], octets[3]])));
            let message = packet.message();
            let header = AuthenticationHeader::parse(&packet);
            prop_assert!(message.is_err() || header.is_err());
            message.map_or_else(|error| reason(&error), |_| Ok(()))?;
            header.map_or_else(|error| reason(&error), |_| Ok(()))
        }
        Err(error) => reason(&error),
    }
}

proptest! {
    /// Anything may come from a network.
    #[test]
    fn arbitrary_octets_are_refused_for_a_reason(
        octets in prop_oneof![vec(any::<u8>(), 0..120), vec(any::<u8>(), 0..=9000)],
        packet in pseudo_header(), first in any::<u8>(),
    ) {
        read_all(&octets, packet)?;
        // Nearly right is more interesting than noise.
        let mut octets = octets;
        if let Some(octet) = octets.first_mut() {
            *octet = [0x45, 0x46, 0x4f, 0x21, 0x31][usize::from(first) % 5];
        }
        read_all(&octets, packet)?;
    }

    /// What was right until somebody cut it, made it longer or changed a few octets.
    #[test]
    fn damaged_packets_are_refused_for_a_reason(
        count in 1..=255_usize, len in 0..=1200_usize, signed in any::<bool>(), v2 in any::<bool>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let addresses = vec![IpAddr::from([192, 0, 2, 1]); count];
        let (vrid, seconds) = (Vrid::new(51).unwrap(), AdverInt::MIN);
        let (centiseconds, form) = (MaxAdvertiseInterval::DEFAULT, ChecksumForm::MessageOnly);
        let message = if v2 {
            let none = Authentication::None;
            Message::v2(vrid, Priority::DEFAULT, seconds, none, &addresses).unwrap()
        } else {
            Message::v3(vrid, Priority::DEFAULT, centiseconds, form, &addresses).unwrap()
        };
        let key = trailer_key();
        let message = if signed { message.signed(&key, TrailerSequence::from_bits(7)) } else { message };
        let (source, destination) = ([192, 0, 2, 2].into(), [224, 0, 0, 18].into());
        let mut buffer = [0; MAX_IPV4_PACKET_LEN];
        let octets =
            message.emit_ipv4_packet(source, destination, NonZeroU16::MIN, &mut buffer).unwrap();
        // Nearly its own length more often than not.
        let mut octets = octets.to_vec();
        let len = if len % 3 == 0 { len } else { (octets.len() + len % 9).saturating_sub(4) };
        octets.resize(len, 0);
        for (at, octet) in damage {
            if !octets.is_empty() {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
        }
        let packet = PseudoHeader::Ipv4 { source, destination };
        read_all(&octets, packet)?;
        if let Some(message) = octets.get(20..) {
            read_all(message, packet)?;
        }
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
