//! Passwords and authentication headers: nothing is believed that was not made with the key.
#![no_main]

use std::{net::IpAddr, num::NonZeroU16};

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use vrrp_proto::{
    AdverInt, Advertisement, Authentication, AuthenticationHeader, AuthenticationType, HeaderKey,
    Ipv4Packet, MAX_IPV4_PACKET_LEN, Message, Password, Priority, TtlCoverage, Vrid,
};

fuzz_target!(|octets: &[u8]| {
    received(octets);
    let _too_few_octets = sent(&mut Unstructured::new(octets));
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
