//! Passwords, authentication headers and trailers: nothing is believed that was not made with the key.
#![no_main]

use std::{net::IpAddr, num::NonZeroU16};

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use vrrp_proto::{
    AdverInt, Advertisement, Authentication, AuthenticationHeader, AuthenticationType,
    ChecksumForm, Header, HeaderKey, Ipv4Packet, MAX_IPV4_PACKET_LEN, MAX_IPV6_MESSAGE_LEN,
    MaxAdvertiseInterval, Message, Password, Priority, PseudoHeader, Trailer, TrailerKey,
    TrailerSequence, TtlCoverage, Vrid,
};

fuzz_target!(|octets: &[u8]| {
    received(octets);
    let _too_few_octets = sent(&mut Unstructured::new(octets));
    let _too_few_octets = signed(&mut Unstructured::new(octets));
});

/// A packet from anybody.
fn received(octets: &[u8]) {
    let Ok(packet) = Ipv4Packet::parse(octets) else { return };
    let key = HeaderKey::new(Password::truncated(b"secret"));
    let other = HeaderKey::new(Password::truncated(b"Secret"));
    if let Ok(header) = AuthenticationHeader::parse(&packet) {
        for ttl in [TtlCoverage::Multicast, TtlCoverage::Never] {
            if let Ok(message) = header.verify(&key.ttl(ttl)) {
                assert_eq!(message, header.unverified_message());
                assert_eq!(header.spi(), packet.source());
            }
            assert!(header.verify(&other.ttl(ttl)).is_err(), "a check value that nobody made");
        }
    }
    let Ok(message) = packet.message() else { return };
    unsigned(message, packet.pseudo_header());
    let Ok(read) = Advertisement::parse(message, packet.pseudo_header()) else { return };
    let verified = Authentication::SimplePassword(key.key).verify(&read);
    // VRRPv3 has none.
    let right = read
        .authentication()
        .is_none_or(|found| found == (AuthenticationType::SimplePassword, b"secret\0\0"));
    assert_eq!(verified.is_ok(), right, "{verified:?}");
    let without = read.authentication().is_none_or(|(found, _)| found == AuthenticationType::None);
    assert_eq!(Authentication::None.verify(&read).is_ok(), without);
}

/// A message with something behind it, which nobody has signed.
fn unsigned(octets: &[u8], packet: PseudoHeader) {
    let Ok(header) = Header::parse(octets) else { return };
    let Ok((message, behind)) = header.split(octets, packet.family()) else { return };
    assert_eq!(message.len() + behind.len(), octets.len());
    let Ok(trailer) = Trailer::parse(message, behind) else { return };
    let key = TrailerKey::new(trailer.key_id().max(1), &[0x5a; 32]).unwrap();
    assert!(trailer.verify(&key, packet).is_err(), "a check value that nobody made");
}

/// A signed message of ours, and what becomes of it when one bit changes on its way.
fn signed(choice: &mut Unstructured<'_>) -> Result<()> {
    let key = TrailerKey::new(choice.arbitrary::<u8>()?.max(1), &choice.arbitrary::<[u8; 40]>()?);
    let key = key.unwrap();
    let (bit, v2, six): (u16, bool, bool) = choice.arbitrary()?;
    let sequence = TrailerSequence::from_bits(choice.arbitrary()?);
    let address = |choice: &mut Unstructured<'_>| {
        Ok(if six && !v2 {
            IpAddr::from(choice.arbitrary::<[u8; 16]>()?)
        } else {
            IpAddr::from(choice.arbitrary::<[u8; 4]>()?)
        })
    };
    let packet = PseudoHeader::new(address(choice)?, address(choice)?).unwrap();
    let count = choice.int_in_range(1..=8)?;
    let addresses: Vec<IpAddr> = (0..count).map(|_| address(choice)).collect::<Result<_>>()?;
    let vrid = Vrid::new(choice.arbitrary::<u8>()?.max(1)).unwrap();
    let priority = Priority::new(choice.arbitrary()?);
    let message = if v2 {
        let interval = AdverInt::from_seconds(1).unwrap();
        Message::v2(vrid, priority, interval, Authentication::None, &addresses).unwrap()
    } else {
        let (interval, form) = (MaxAdvertiseInterval::DEFAULT, ChecksumForm::default());
        Message::v3(vrid, priority, interval, form, &addresses).unwrap()
    };
    let mut buffer = [0; MAX_IPV6_MESSAGE_LEN];
    let mut octets = message.signed(&key, sequence).emit(packet, &mut buffer).unwrap().to_vec();
    let verify = |octets: &[u8]| {
        let (message, behind) = Header::parse(octets).ok()?.split(octets, packet.family()).ok()?;
        let trailer = Trailer::parse(message, behind).ok()?;
        let verified = trailer.verify(&key, packet).ok()?.to_vec();
        Some((trailer.sequence(), verified))
    };
    let (found, verified) = verify(&octets).unwrap();
    assert_eq!(found, sequence);
    let read = Advertisement::parse(&verified, packet).unwrap();
    assert!(read.addresses().iter().eq(addresses));
    // Every bit is covered, but for those of the checksum, which covers itself.
    let bit = usize::from(bit) % (8 * octets.len());
    octets[bit / 8] ^= 1 << (bit % 8);
    assert!(verify(&octets).is_none() || (48..64).contains(&bit), "bit {bit} is not covered");
    Ok(())
}

/// A packet of ours, and what becomes of it when one bit changes on its way.
fn sent(choice: &mut Unstructured<'_>) -> Result<()> {
    let key = HeaderKey::new(Password::new(&choice.arbitrary::<[u8; 8]>()?).unwrap());
    let key = if choice.arbitrary()? { key.ttl(TtlCoverage::Never) } else { key };
    let (bit, vrid, identification): (u16, u8, u16) = choice.arbitrary()?;
    let (source, destination): ([u8; 4], [u8; 4]) = choice.arbitrary()?;
    let sequence: u32 = choice.arbitrary()?;
    let count = choice.int_in_range(1..=8)?;
    let addresses: Vec<IpAddr> = (0..count)
        .map(|_| Ok(IpAddr::from(choice.arbitrary::<[u8; 4]>()?)))
        .collect::<Result<_>>()?;
    let (vrid, interval) = (Vrid::new(vrid.max(1)).unwrap(), AdverInt::from_seconds(1).unwrap());
    let authentication = Authentication::Header(key);
    let message =
        Message::v2(vrid, Priority::DEFAULT, interval, authentication, &addresses).unwrap();
    let mut buffer = [0; MAX_IPV4_PACKET_LEN];
    let identification = NonZeroU16::new(identification).unwrap_or(NonZeroU16::MIN);
    let octets = message.sequence(sequence).emit_ipv4_packet(
        source.into(),
        destination.into(),
        identification,
        &mut buffer,
    );
    let mut octets = octets.unwrap().to_vec();

    let packet = Ipv4Packet::parse(&octets).unwrap();
    let header = AuthenticationHeader::parse(&packet).unwrap();
    assert_eq!((header.sequence(), header.spi()), (sequence, packet.source()));
    let message = header.verify(&key).unwrap();
    let read = Advertisement::parse(message, packet.pseudo_header()).unwrap();
    assert!(read.addresses().iter().eq(addresses));
    assert_eq!(authentication.verify_type(&read), Ok(()));

    // Behind the IP header every bit is covered, but for the reserved ones, which count as they are.
    let bits = 8 * (octets.len() - 20);
    let bit = usize::from(bit) % bits;
    octets[20 + bit / 8] ^= 1 << (bit % 8);
    let packet = Ipv4Packet::parse(&octets).unwrap();
    if let Ok(header) = AuthenticationHeader::parse(&packet) {
        assert!(header.verify(&key).is_err(), "bit {bit} of the payload is not covered");
    }
    Ok(())
}
