//! What this crate writes, read by somebody else: tshark's own dissector has to see every field as it was meant, and
//! a good checksum.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use core::{net::IpAddr, num::NonZeroU16, time::Duration};
use std::{fs, path::PathBuf, process::Command};

use vrrp_proto::{
    AddressFamily, AdverInt, Authentication, ChecksumForm, HeaderKey, MAX_IPV4_PACKET_LEN,
    MAX_IPV6_MESSAGE_LEN, MaxAdvertiseInterval, Message, Password, Priority, PseudoHeader,
    TrailerKey, TrailerSequence, Vrid,
};

/// What tshark is asked for; the checksum's status comes last.
const FIELDS: [&str; 17] = [
    "ip.dsfield.dscp",
    "ip.ttl",
    "ip.checksum.status",
    "ah.next_header",
    "ah.spi",
    "ah.sequence",
    "vrrp.version",
    "vrrp.type",
    "vrrp.virt_rtr_id",
    "vrrp.prio",
    "vrrp.addr_count",
    "vrrp.auth_type",
    "vrrp.adver_int",
    "vrrp.short_adver_int",
    "vrrp.ip_addr",
    "vrrp.ipv6_addr",
    "vrrp.checksum.status",
];

/// The values of a field it has not found.
const NONE: &str = "";

/// A packet and what tshark should say about it.
struct Sample {
    packet: Vec<u8>,
    expected: String,
}

#[test]
fn tshark_reads_what_is_written() {
    lab::need!(tshark);
    // tshark verifies one of the two forms of VRRPv3 over IPv4 at a time; the rest does not depend on it.
    for (form, setting) in
        [(ChecksumForm::PseudoHeader, "FALSE"), (ChecksumForm::MessageOnly, "TRUE")]
    {
        let samples = samples(form);
        assert!(samples.len() > 100);
        let read = dissect(&samples, &format!("vrrp.v3_checksum_as_in_v2:{setting}"));
        assert_eq!(read.len(), samples.len());
        for (sample, read) in samples.iter().zip(&read) {
            assert_eq!(*read, sample.expected, "{:02x?}", sample.packet);
        }
    }
}

/// One of each kind, over the ranges of its fields.
fn samples(form: ChecksumForm) -> Vec<Sample> {
    let mut samples = Vec::new();
    for step in 0..40_u8 {
        let vrid = Vrid::new(step * 6 + 1).unwrap();
        let priority = Priority::new(step.wrapping_mul(7));
        let count = [1, 2, 3, 20, 255_u8][usize::from(step) % 5];
        let four: Vec<IpAddr> = (0..count).map(|n| IpAddr::from([10, step, 0, n])).collect();
        let six: Vec<IpAddr> = (0..count.min(80))
            .map(|n| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, u16::from(step), u16::from(n)]))
            .collect();
        let interval = MaxAdvertiseInterval::from_centiseconds(u16::from(step) * 100 + 1).unwrap();
        let seconds = AdverInt::from_seconds(step * 6 + 1).unwrap();
        let password = Password::new(b"secret").unwrap();
        let header = Authentication::Header(HeaderKey::new(password));
        let sequence = 0x0102_0300 + u32::from(step);
        let (key, signed_at) = (TrailerKey::new(1, &[step; 32]).unwrap(), Duration::from_secs(7));
        let signed_at = TrailerSequence::at(signed_at);
        let v3 = |addresses| Message::v3(vrid, priority, interval, form, addresses).unwrap();
        let v2 =
            |authentication| Message::v2(vrid, priority, seconds, authentication, &four).unwrap();
        let centiseconds = interval.as_centiseconds().to_string();
        let seconds = seconds.as_seconds().to_string();
        let number = sequence.to_string();
        let ah = ["112", "0xc0000202", &number];
        for (message, header, authentication, addresses, good) in [
            (v3(&four), None, None, &four, true),
            (v3(&six), None, None, &six, true),
            (v2(Authentication::None), None, Some("0"), &four, true),
            (v2(Authentication::SimplePassword(password)), None, Some("1"), &four, true),
            (v2(header).sequence(sequence), Some(ah), Some("2"), &four, true),
            // It knows no trailers, sums them as well, and reads the rest.
            (v3(&four).signed(&key, signed_at), None, None, &four, false),
            (v3(&six).signed(&key, signed_at), None, None, &six, false),
        ] {
            let (packet, ip) = match message.family() {
                AddressFamily::Ipv4 => (ipv4(&message), ["48", "255", "1"]),
                // Our own header.
                AddressFamily::Ipv6 => (ipv6(&message), [NONE; 3]),
            };
            let listed = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",");
            let (listed_four, listed_six) = match message.family() {
                AddressFamily::Ipv4 => (listed.as_str(), NONE),
                AddressFamily::Ipv6 => (NONE, listed.as_str()),
            };
            let (adver_int, short_adver_int) = match authentication {
                Some(_) => (seconds.as_str(), NONE),
                None => (NONE, centiseconds.as_str()),
            };
            let expected = [
                ip.join("|"),
                header.unwrap_or([NONE; 3]).join("|"),
                format!("{}|1", message.version().number()),
                format!("{vrid}|{priority}|{}", addresses.len()),
                authentication.unwrap_or(NONE).to_owned(),
                format!("{adver_int}|{short_adver_int}|{listed_four}|{listed_six}"),
                u8::from(good).to_string(),
            ];
            samples.push(Sample { packet, expected: expected.join("|") });
        }
    }
    samples
}

fn ipv4(message: &Message<'_>) -> Vec<u8> {
    let mut buffer = [0; MAX_IPV4_PACKET_LEN];
    let (source, destination) = ([192, 0, 2, 2].into(), [224, 0, 0, 18].into());
    message.emit_ipv4_packet(source, destination, NonZeroU16::MIN, &mut buffer).unwrap().to_vec()
}

/// The message behind an IPv6 header, which in reality is the kernel's.
fn ipv6(message: &Message<'_>) -> Vec<u8> {
    let IpAddr::V6(destination) = AddressFamily::Ipv6.multicast_group() else { panic!("not IPv6") };
    let source = "fe80::2".parse().unwrap();
    let mut buffer = [0; MAX_IPV6_MESSAGE_LEN];
    let message = message.emit(PseudoHeader::Ipv6 { source, destination }, &mut buffer).unwrap();
    let len = u16::try_from(message.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], 112, 255];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(message);
    packet
}

/// One line a packet: the values of `FIELDS`.
fn dissect(samples: &[Sample], preference: &str) -> Vec<String> {
    let file = File::new(samples);
    let mut tshark = Command::new(lab::need::find_program("tshark").unwrap());
    tshark.arg("-r").arg(&file.0).args(["-n", "-o", preference, "-o", "ip.check_checksum:TRUE"]);
    tshark.args(["-T", "fields", "-E", "separator=|"]);
    tshark.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = tshark.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A capture file that is gone when the test is.
struct File(PathBuf);

impl File {
    /// In the format of libpcap, with raw IP packets (link type 101).
    fn new(samples: &[Sample]) -> Self {
        let mut octets = Vec::new();
        for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0xffff, 101_u32] {
            octets.extend(word.to_be_bytes());
        }
        for sample in samples {
            let len = u32::try_from(sample.packet.len()).unwrap();
            for word in [0, 0, len, len] {
                octets.extend(word.to_be_bytes());
            }
            octets.extend(&sample.packet);
        }
        let path = std::env::temp_dir().join(format!("vrrp-proto-{}.pcap", std::process::id()));
        fs::write(&path, octets).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}
