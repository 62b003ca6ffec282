//! Packets of known meaning, both ways: each is accepted with the fields it has or refused for the
//! reason it deserves, and writing the fields again gives the same octets.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_in_result,
    reason = "a test fails by panicking"
)]

use core::{net::IpAddr, num::NonZeroU16};
use std::collections::BTreeMap;

use serde_json::Value;
use vrrp_proto::{
    Advertisement, Authentication, AuthenticationError, AuthenticationHeader, AuthenticationType,
    ChecksumForm, HeaderKey, Interval, Ipv4Packet, MAX_IPV6_MESSAGE_LEN, Message, PacketError,
    ParseError, Password, PseudoHeader, TtlCoverage,
};

/// Refused by the virtual router they meet, for what it is configured to be; without a
/// configuration there is nothing wrong with them.
const FINE_FOR_SOMEBODY_ELSE: [(&str, &str); 13] = [
    ("bad_checksum_v3_ipv4_pseudo_when_strict9568", "checksum"),
    ("v2_packet_on_v3_router", "version"),
    ("ttl_254_v3", "ip-ttl"),
    ("hoplimit_254_v6", "ip-ttl"),
    ("auth_type_mismatch_none_vs_pass", "auth-type-mismatch"),
    ("auth_pass_wrong", "auth-failure"),
    ("auth_ah_missing", "auth-type-mismatch"),
    ("interval_mismatch_v2", "interval"),
    ("v2_addrlist_mismatch_nonowner", "address-list"),
    ("owner_receives_v2", "owner"),
    ("dst_unicast", "destination"),
    // Its authentication header is there, and right.
    ("auth_ah_unexpected", "auth-type-mismatch"),
    ("auth_ah_replayed_seq", "auth-failure"),
];

/// Valid, but with octets a receiver ignores and a sender does not choose.
const NOT_CANONICAL: [&str; 2] = ["v3_ipv4_reserved_bits_set", "v3_ipv4_checksum_ffff_alias"];

#[test]
fn every_vector_is_answered_as_it_says() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("data/vrrp.json")).unwrap();
    let mut answers = BTreeMap::new();
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let packet = hex(&vector["packet_hex"], &vector["pad_hex"]);
        let answer = answer(name, &packet, vector);
        *answers.entry(answer).or_insert(0) += 1;
    }
    // Every kind of answer was given, and how often.
    let expected = [
        ("accepted", 23),
        ("accepted here, refused by configuration", 13),
        ("refused: address-list", 1),
        ("refused: auth-failure", 1),
        ("refused: checksum", 4),
        ("refused: interval", 1),
        ("refused: invalid-auth-type", 1),
        ("refused: invalid-type", 2),
        ("refused: packet-length", 7),
        ("refused: version", 3),
        ("refused: vrid", 1),
    ];
    let answers: Vec<_> = answers.iter().map(|(answer, count)| (answer.as_str(), *count)).collect();
    assert_eq!(answers, expected);
}

#[test]
fn what_keepalived_sends_is_read_and_written_to_the_octet() {
    let text = include_str!("data/keepalived-2.2.7.json");
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut written = 0;
    for vector in &vectors {
        let octets = hex(&vector["packet_hex"], &Value::from(""));
        let authentication = authentication(&vector["config"]);
        let (pseudo_header, message) = take_apart(&octets, authentication).unwrap();
        let advertisement = Advertisement::parse(message, pseudo_header).unwrap();
        assert_fields(&advertisement, message, &vector["fields"], "keepalived");
        assert_eq!(form_note(&advertisement), vector["notes"], "{vector}");
        if octets[0] >> 4 == 4 {
            let mut buffer = [0; 128];
            assert_eq!(write_packet(&advertisement, &octets, authentication, &mut buffer), octets);
        }
        let mut buffer = [0; 128];
        assert_eq!(write(&advertisement, pseudo_header, &mut buffer), message);
        written += 1;
    }
    assert_eq!(written, 10);
}

#[test]
fn the_groups_are_where_keepalived_sends_to() {
    let text = include_str!("data/keepalived-2.2.7.json");
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    for vector in &vectors {
        let octets = hex(&vector["packet_hex"], &Value::from(""));
        let (packet, _) = take_apart(&octets, authentication(&vector["config"])).unwrap();
        let destination = match packet {
            PseudoHeader::Ipv4 { destination, .. } => IpAddr::from(destination),
            PseudoHeader::Ipv6 { destination, .. } => IpAddr::from(destination),
        };
        assert_eq!(packet.family().multicast_group(), destination);
    }
}

#[test]
fn a_password_is_verified_and_its_absence_noticed() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("data/vrrp.json")).unwrap();
    let verify = |name: &str, authentication: Authentication| {
        let vector = vectors.iter().find(|vector| vector["name"] == name).unwrap();
        let octets = hex(&vector["packet_hex"], &vector["pad_hex"]);
        let (pseudo_header, message) = take_apart(&octets, authentication).unwrap();
        authentication.verify(&Advertisement::parse(message, pseudo_header).unwrap())
    };
    let secret = Authentication::SimplePassword(Password::new(b"secret").unwrap());
    assert_eq!(verify("v2_pass_1addr", secret), Ok(()));
    assert_eq!(verify("v2_none_1addr", Authentication::None), Ok(()));
    assert_eq!(verify("v3_ipv4_1addr_rfc9568", secret), Ok(()));
    assert_eq!(verify("auth_pass_wrong", secret), Err(AuthenticationError::WrongPassword));
    let mismatch = |found, expected| Err(AuthenticationError::TypeMismatch { found, expected });
    let (none, password) = (AuthenticationType::None, AuthenticationType::SimplePassword);
    assert_eq!(verify("auth_type_mismatch_none_vs_pass", secret), mismatch(none, password));
    assert_eq!(verify("v2_pass_1addr", Authentication::None), mismatch(password, none));
    let header = AuthenticationType::AuthenticationHeader;
    assert_eq!(verify("auth_ah_missing", secret), mismatch(header, password));
    let key = Authentication::Header(HeaderKey::new(Password::new(b"k3y").unwrap()));
    assert_eq!(verify("auth_ah_missing", key), Err(AuthenticationError::HeaderMissing));
    assert_eq!(verify("v2_none_1addr", key), mismatch(none, header));
}

#[test]
fn an_rfc_2402_sender_is_written_to_the_octet() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("data/vrrp.json")).unwrap();
    let name = "v2_ah_rfc2402_ttl_zeroed";
    let vector = vectors.iter().find(|vector| vector["name"] == name).unwrap();
    let octets = hex(&vector["packet_hex"], &vector["pad_hex"]);
    let authentication = authentication(&vector["config"]);
    let (pseudo_header, message) = take_apart(&octets, authentication).unwrap();
    let advertisement = Advertisement::parse(message, pseudo_header).unwrap();
    let mut buffer = [0; 128];
    assert_eq!(write_packet(&advertisement, &octets, authentication, &mut buffer), octets);
}

/// What this crate says to the packet, checked against what the vector wants.
fn answer(name: &str, packet: &[u8], vector: &Value) -> String {
    let somebody_else = FINE_FOR_SOMEBODY_ELSE.iter().find(|(fine, _)| *fine == name);
    let cause = vector["expect"]["error"].as_str();
    if let Some((_, configured)) = somebody_else {
        assert_eq!(cause, Some(*configured), "{name}");
    }
    let (pseudo_header, message) = match take_apart(packet, authentication(&vector["config"])) {
        Ok(apart) => apart,
        Err(error) => {
            assert_eq!(error, AuthenticationError::WrongCheckValue, "{name}");
            assert_eq!(cause, Some("auth-failure"), "{name}");
            return "refused: auth-failure".to_owned();
        }
    };
    match Advertisement::parse(message, pseudo_header) {
        Ok(advertisement) => {
            if somebody_else.is_some() {
                return "accepted here, refused by configuration".to_owned();
            }
            assert_eq!(cause, None, "{name}");
            assert_fields(&advertisement, message, &vector["expect"]["fields"], name);
            let form = form_note(&advertisement);
            let notes = vector["expect"]["notes"].as_array().unwrap();
            assert!(form.as_array().unwrap().iter().all(|note| notes.contains(note)), "{name}");
            let mut buffer = [0; MAX_IPV6_MESSAGE_LEN];
            let written = write(&advertisement, pseudo_header, &mut buffer);
            assert_eq!(written == message, !NOT_CANONICAL.contains(&name), "{name}");
            "accepted".to_owned()
        }
        Err(error) => {
            assert_eq!(cause, Some(cause_of(error)), "{name}: {error}");
            assert!(somebody_else.is_none(), "{name}: {error}");
            format!("refused: {}", cause_of(error))
        }
    }
}

/// The name the vectors have for an error.
fn cause_of(error: ParseError) -> &'static str {
    match error {
        ParseError::TooShort { .. }
        | ParseError::Incomplete { .. }
        | ParseError::TrailingOctets { .. } => "packet-length",
        ParseError::UnknownVersion { .. } | ParseError::Version2OverIpv6 => "version",
        ParseError::UnknownType { .. } => "invalid-type",
        ParseError::Checksum { .. } => "checksum",
        ParseError::ZeroVrid => "vrid",
        ParseError::UnknownAuthenticationType { .. } => "invalid-auth-type",
        ParseError::NoAddresses => "address-list",
        ParseError::ZeroInterval => "interval",
        other => panic!("no vector knows {other}"),
    }
}

/// How the receiver of a vector authenticates.
fn authentication(config: &Value) -> Authentication {
    let key = || Password::new(config["key"].as_str().unwrap().as_bytes()).unwrap();
    match config["auth"].as_u64() {
        None | Some(0) => Authentication::None,
        Some(1) => Authentication::SimplePassword(key()),
        Some(2) => {
            Authentication::Header(HeaderKey::new(key()).ttl(match config["icv_mode"].as_str() {
                Some("rfc2402") => TtlCoverage::Never,
                Some("keepalived") | None => TtlCoverage::Multicast,
                Some(other) => panic!("{other}"),
            }))
        }
        Some(other) => panic!("authentication {other}"),
    }
}

/// Pseudo-header and message of a packet. An authentication header is verified if there is a key for
/// it, and otherwise passed over.
fn take_apart(
    packet: &[u8],
    authentication: Authentication,
) -> Result<(PseudoHeader, &[u8]), AuthenticationError> {
    if packet[0] >> 4 == 6 {
        let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
        let pseudo_header = PseudoHeader::new(address(8), address(24)).unwrap();
        let len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
        return Ok((pseudo_header, &packet[40..40 + len]));
    }
    let packet = Ipv4Packet::parse(packet).unwrap();
    let message = match packet.message() {
        Err(PacketError::AuthenticationHeader) => {
            let header = AuthenticationHeader::parse(&packet).unwrap();
            match authentication.header_key() {
                Some(key) => header.verify(key)?,
                None => header.unverified_message(),
            }
        }
        message => message.unwrap(),
    };
    Ok((packet.pseudo_header(), message))
}

fn assert_fields(found: &Advertisement<'_>, message: &[u8], expected: &Value, name: &str) {
    assert_eq!(expected["version"], found.version().number(), "{name}");
    assert_eq!(expected["vrid"], found.vrid().get(), "{name}");
    assert_eq!(expected["priority"], found.priority().get(), "{name}");
    assert_eq!(expected["count"], found.addresses().len(), "{name}");
    let checksum = format!("{:#06x}", u16::from_be_bytes([message[6], message[7]]));
    assert_eq!(expected["checksum"], checksum, "{name}");
    let addresses: Vec<_> = found.addresses().iter().map(|address| address.to_string()).collect();
    assert_eq!(expected["addrs"], Value::from(addresses), "{name}");
    match found.interval() {
        Interval::Seconds(interval) => {
            assert_eq!(expected["adver_int_s"], interval.as_seconds(), "{name}");
        }
        Interval::Centiseconds(interval) => {
            assert_eq!(expected["max_adver_int_cs"], interval.as_centiseconds(), "{name}");
        }
    }
    let authentication = found.authentication().map(|(kind, _)| kind.number());
    assert_eq!(expected["auth_type"], Value::from(authentication), "{name}");
}

fn form_note(advertisement: &Advertisement<'_>) -> Value {
    match advertisement.checksum_form() {
        Some(ChecksumForm::PseudoHeader) => Value::from(vec!["checksum-form:pseudo-header"]),
        Some(ChecksumForm::MessageOnly) => Value::from(vec!["checksum-form:message-only"]),
        Some(ChecksumForm::GroupPseudoHeader) => panic!("no vector has it"),
        None => Value::Array(Vec::new()),
    }
}

/// The message again, from its fields alone.
fn write<'b>(
    advertisement: &Advertisement<'_>,
    pseudo_header: PseudoHeader,
    buffer: &'b mut [u8],
) -> &'b [u8] {
    let addresses: Vec<IpAddr> = advertisement.addresses().iter().collect();
    message(advertisement, &addresses).emit(pseudo_header, buffer).unwrap()
}

/// The whole IPv4 packet again, from its fields and its identification.
fn write_packet<'b>(
    advertisement: &Advertisement<'_>,
    packet: &[u8],
    authentication: Authentication,
    buffer: &'b mut [u8],
) -> &'b [u8] {
    let addresses: Vec<IpAddr> = advertisement.addresses().iter().collect();
    let identification = NonZeroU16::new(u16::from_be_bytes([packet[4], packet[5]])).unwrap();
    let packet = Ipv4Packet::parse(packet).unwrap();
    let message = match AuthenticationHeader::parse(&packet) {
        Ok(header) => {
            let Interval::Seconds(interval) = advertisement.interval() else { panic!("version 3") };
            let (vrid, priority) = (advertisement.vrid(), advertisement.priority());
            let message = Message::v2(vrid, priority, interval, authentication, &addresses);
            message.unwrap().sequence(header.sequence())
        }
        Err(_) => message(advertisement, &addresses),
    };
    message.emit_ipv4_packet(packet.source(), packet.destination(), identification, buffer).unwrap()
}

fn message<'a>(advertisement: &Advertisement<'_>, addresses: &'a [IpAddr]) -> Message<'a> {
    let (vrid, priority) = (advertisement.vrid(), advertisement.priority());
    match advertisement.interval() {
        Interval::Seconds(interval) => {
            let authentication = match advertisement.authentication().unwrap() {
                (AuthenticationType::None, _) => Authentication::None,
                (AuthenticationType::SimplePassword, password) => {
                    Authentication::SimplePassword(Password::new(password).unwrap())
                }
                // The key only matters to a whole packet.
                (AuthenticationType::AuthenticationHeader, _) => {
                    Authentication::Header(HeaderKey::new(Password::truncated(b"")))
                }
            };
            Message::v2(vrid, priority, interval, authentication, addresses).unwrap()
        }
        Interval::Centiseconds(interval) => {
            let form = advertisement.checksum_form().unwrap_or_default();
            Message::v3(vrid, priority, interval, form, addresses).unwrap()
        }
    }
}

fn hex(packet: &Value, padding: &Value) -> Vec<u8> {
    let digits = format!("{}{}", packet.as_str().unwrap(), padding.as_str().unwrap());
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}
