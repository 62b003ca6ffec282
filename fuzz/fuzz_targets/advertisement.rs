//! Any octets are an IPv4 packet or a VRRP message over IPv6: refused with a reason, or read and written again the same.
#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use vrrp_proto::{
    Advertisement, Authentication, AuthenticationType, Header, Interval, Ipv4Packet, Message,
    ParseError, Password, PseudoHeader,
};

const OVER_IPV6: PseudoHeader = PseudoHeader::Ipv6 {
    source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
    destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
};

fuzz_target!(|octets: &[u8]| {
    if let Ok(packet) = Ipv4Packet::parse(octets) {
        assert!(packet.header().len() + packet.payload().len() <= octets.len());
        if let Ok(message) = packet.message() {
            check(message, packet.pseudo_header());
        }
    }
    check(octets, OVER_IPV6);
});

fn check(message: &[u8], packet: PseudoHeader) {
    match Advertisement::parse(message, packet) {
        Ok(read) => survives_the_wire(&read, message, packet),
        // Chance does not find sums: what the error expects is put in, and has to be right.
        Err(ParseError::Checksum { expected, .. }) => {
            let mut repaired = message.to_vec();
            repaired[6..8].copy_from_slice(&expected.to_be_bytes());
            match Advertisement::parse(&repaired, packet) {
                Ok(read) => survives_the_wire(&read, &repaired, packet),
                Err(error) => assert!(!matches!(error, ParseError::Checksum { .. }), "{error}"),
            }
        }
        Err(_) => {}
    }
}

/// What was read is written again, octet by octet, except for what a receiver has to ignore.
fn survives_the_wire(read: &Advertisement<'_>, octets: &[u8], packet: PseudoHeader) {
    let header = Header::parse(octets).unwrap();
    assert_eq!((header.version, header.vrid), (read.version(), read.vrid().get()));
    assert_eq!(
        (header.priority, usize::from(header.address_count)),
        (read.priority(), read.addresses().iter().len())
    );
    let addresses: Vec<IpAddr> = read.addresses().iter().collect();
    let message = match read.interval() {
        Interval::Seconds(interval) => {
            let authentication = match read.authentication() {
                Some((AuthenticationType::SimplePassword, data)) => {
                    Authentication::SimplePassword(Password::new(data).unwrap())
                }
                _ => Authentication::None,
            };
            Message::v2(read.vrid(), read.priority(), interval, authentication, &addresses)
        }
        Interval::Centiseconds(interval) => {
            let form = read.checksum_form().unwrap_or_default();
            Message::v3(read.vrid(), read.priority(), interval, form, &addresses)
        }
    };
    let message = message.unwrap();
    let mut buffer = vec![0; message.message_len()];
    assert!(message.emit(packet, &mut vec![0; message.message_len() - 1]).is_err());
    let written = message.emit(packet, &mut buffer).unwrap();
    assert_eq!(written.len(), octets.len());

    let again = Advertisement::parse(written, packet).unwrap();
    assert_eq!(
        (again.vrid(), again.priority(), again.interval()),
        (read.vrid(), read.priority(), read.interval())
    );
    assert_eq!(again.checksum_form(), read.checksum_form());
    assert!(again.addresses().iter().eq(addresses));

    let canonical = match read.authentication() {
        None => octets[4] & 0xf0 == 0,
        Some((AuthenticationType::None, data)) => *data == [0; 8],
        Some((found, _)) => found == AuthenticationType::SimplePassword,
    };
    if canonical {
        assert_eq!((&written[..6], &written[8..]), (&octets[..6], &octets[8..]));
        // Zero has two representations in ones-complement arithmetic.
        let sum = |octets: &[u8]| u16::from_be_bytes([octets[6], octets[7]]) % 0xffff;
        assert_eq!(sum(written), sum(octets));
    }
}
