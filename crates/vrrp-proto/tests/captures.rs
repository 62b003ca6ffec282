//! What other implementations have sent, and what somebody has made up against parsers, from
//! tcpdump's own tests. The captures stay outside the repository: `VRRP_CAPTURES` names their folder.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use core::net::IpAddr;
use std::{collections::BTreeMap, fs};

use pcap_parser::{Linktype, PcapCapture};
use vrrp_proto::{
    Advertisement, AuthenticationType, ChecksumForm, Interval, Ipv4Packet, PacketError, ParseError,
    PseudoHeader, Version,
};

/// The IP packets of a capture, as many octets as were captured.
fn packets(name: &str) -> Vec<Vec<u8>> {
    let file = fs::read(lab::need::captures().unwrap().join(name)).unwrap();
    let capture = PcapCapture::from_file(&file).unwrap();
    let link_header = match capture.header.network {
        Linktype::ETHERNET => 14,
        // Frame relay, with three octets of address and two of protocol.
        Linktype(107) => 5,
        other => panic!("link type {other}"),
    };
    capture.blocks.iter().map(|block| block.data[link_header..].to_vec()).collect()
}

/// What tcpdump with `-v` says about each packet, in one line each, without number and time.
fn lines(name: &str) -> Vec<String> {
    let text = fs::read_to_string(lab::need::captures().unwrap().join(name)).unwrap();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        // The second line of an IPv4 packet begins with four blanks, others with number and time.
        if let (true, Some(first)) =
            (line.starts_with("    1") && line.contains(" > "), lines.last_mut())
        {
            first.push_str(line.trim_start());
        } else {
            lines.push(line.split_whitespace().skip(3).collect::<Vec<_>>().join(" "));
        }
    }
    lines
}

/// What we read, in tcpdump's words.
fn described(packet: &[u8]) -> (String, Option<ChecksumForm>) {
    let (header, source, destination, pseudo_header, message) = if packet[0] >> 4 == 4 {
        let read = Ipv4Packet::parse(packet).unwrap();
        let header = format!(
            "IP (tos {:#x}, ttl {}, id {}, offset 0, flags [none], proto VRRP ({}), length {})",
            packet[1],
            read.ttl(),
            u16::from_be_bytes([packet[4], packet[5]]),
            read.protocol().number(),
            read.header().len() + read.payload().len(),
        );
        let message = read.message().unwrap();
        let (source, destination) = (read.source().into(), read.destination().into());
        (header, source, destination, read.pseudo_header(), message)
    } else {
        let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
        let (source, destination) = (address(8), address(24));
        let len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
        let (hop_limit, next_header) = (packet[7], packet[6]);
        let header = format!(
            "IP6 (hlim {hop_limit}, next-header VRRP ({next_header}), payload length {len}) "
        );
        let pseudo_header = PseudoHeader::new(source, destination).unwrap();
        (header, source, destination, pseudo_header, &packet[40..40 + len])
    };
    let read = Advertisement::parse(message, pseudo_header).unwrap();
    let version = read.version().number();
    let (vrid, priority, len) = (read.vrid(), read.priority(), message.len());
    let addresses: Vec<_> = read.addresses().iter().map(|address| address.to_string()).collect();
    let addresses = match addresses.len() {
        1 => format!("addrs: {}", addresses[0]),
        count => format!("addrs({count}): {}", addresses.join(",")),
    };
    let authentication = read.authentication().map(|(kind, data)| match kind {
        AuthenticationType::None => ("authtype none, ", String::new()),
        AuthenticationType::SimplePassword => {
            ("authtype simple, ", format!(" auth \"{}\"", str::from_utf8(data).unwrap()))
        }
        AuthenticationType::AuthenticationHeader => panic!("there is none"),
    });
    let (authentication, password) = authentication.unwrap_or_default();
    let interval = match read.interval() {
        Interval::Seconds(interval) => format!("{}s", interval.as_seconds()),
        Interval::Centiseconds(interval) => format!("{}cs", interval.as_centiseconds()),
    };
    let text = format!(
        "{header}{source} > {destination}: VRRPv{version}, Advertisement, vrid {vrid}, prio \
         {priority}, {authentication}intvl {interval}, length {len}, {addresses}{password}"
    );
    (text, read.checksum_form())
}

/// Field by field, with tcpdump for the second witness; and the checksum, which it only speaks of
/// when it is wrong.
#[test]
fn every_packet_of_another_implementation_is_read_as_tcpdump_reads_it() {
    lab::need!(captures);
    let (packets, lines) = (packets("vrrp.pcap"), lines("vrrp-v.out"));
    assert_eq!((packets.len(), lines.len()), (165, 165));
    let mut kinds = BTreeMap::new();
    for (number, (packet, line)) in packets.iter().zip(&lines).enumerate() {
        let (text, form) = described(packet);
        assert_eq!(text, *line, "packet {}", number + 1);
        let version = if text.contains("VRRPv2") { Version::V2 } else { Version::V3 };
        let kind = (version.number(), packet[0] >> 4, format!("{form:?}"));
        *kinds.entry(kind).or_insert(0) += 1;
    }
    let kind = |version: u8, ip: u8, form: &str| (version, ip, form.to_owned());
    let expected = [
        (kind(2, 4, "None"), 68),
        (kind(3, 4, "Some(PseudoHeader)"), 33),
        (kind(3, 6, "None"), 64),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
}

#[test]
fn what_is_made_up_against_parsers_is_refused_for_what_is_wrong_with_it() {
    lab::need!(captures);
    let verdict = |packet: &[u8]| {
        let packet = Ipv4Packet::parse(packet)?;
        let message = packet.message()?;
        Ok::<_, PacketError>(Advertisement::parse(message, packet.pseudo_header()).unwrap_err())
    };
    let incomplete = |count, need, len| Ok(ParseError::Incomplete { count, need, len });
    // Short messages behind options.
    let verdicts: Vec<_> =
        packets("vrrp-vrrp_print-oobr.pcap").iter().map(|packet| verdict(packet)).collect();
    let expected =
        [Ok(ParseError::TooShort { len: 6 }), incomplete(1, 20, 12), incomplete(1, 20, 12)];
    assert_eq!(verdicts, expected);
    // First fragments, and what they would say if they were whole.
    let mut packets = packets("vrrp-vrrp_print-oobr-2.pcap");
    assert_eq!(packets.len(), 10);
    let mut verdicts = Vec::new();
    for packet in &mut packets {
        assert_eq!(verdict(packet), Err(PacketError::Fragment { offset: 0 }));
        packet[6] = 0;
        verdicts.push(verdict(packet));
    }
    let trailing = Ok(ParseError::TrailingOctets { count: 0, need: 8, len: 19 });
    let expected = [
        incomplete(3, 20, 19),
        incomplete(3, 20, 19),
        incomplete(3, 20, 19),
        incomplete(3, 20, 19),
        trailing,
        incomplete(3, 20, 19),
        incomplete(3, 20, 19),
        Ok(ParseError::TooShort { len: 7 }),
        trailing,
        Ok(ParseError::UnknownVersion { version: 15 }),
    ];
    assert_eq!(verdicts, expected);
}
