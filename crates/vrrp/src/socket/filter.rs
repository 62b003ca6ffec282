//! Classic BPF programs that let through VRRP packets of our own VRIDs only.

use socket2::SockFilter;
use vrrp_fsm::vrrp_proto::Vrid;

// include/uapi/linux/bpf_common.h
const LD_BYTE_ABSOLUTE: u16 = 0x30;
const LD_BYTE_INDIRECT: u16 = 0x50;
const LDX_IPV4_HEADER_LENGTH: u16 = 0xB1;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

const WHOLE_PACKET: u32 = u32::MAX;
const NOTHING: u32 = 0;

/// Offset of the protocol octet in an IPv4 header (RFC 791 §3.1).
const IPV4_PROTOCOL: u32 = 9;
const VRRP: u32 = 112;
const AUTHENTICATION_HEADER: u32 = 51;
/// Octets of an authentication header with HMAC-MD5-96 (RFC 2402 §2).
const AUTHENTICATION_HEADER_LENGTH: u32 = 24;
/// Offset of the VRID in a VRRP message (RFC 9568 §5.2).
const VRID: u32 = 1;

/// For an IPv4 raw socket, which sees the IP header.
pub(crate) fn ipv4(vrids: &[Vrid]) -> Vec<SockFilter> {
    ipv4_protocol(VRRP, VRID, vrids)
}

/// For an IPv4 raw socket that receives messages behind an authentication header. Nothing is verified here.
pub(crate) fn ipv4_authenticated(vrids: &[Vrid]) -> Vec<SockFilter> {
    ipv4_protocol(AUTHENTICATION_HEADER, AUTHENTICATION_HEADER_LENGTH + VRID, vrids)
}

fn ipv4_protocol(protocol: u32, vrid: u32, vrids: &[Vrid]) -> Vec<SockFilter> {
    let mut program = vec![
        SockFilter::new(LD_BYTE_ABSOLUTE, 0, 0, IPV4_PROTOCOL),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, protocol),
        SockFilter::new(RETURN, 0, 0, NOTHING),
        SockFilter::new(LDX_IPV4_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LD_BYTE_INDIRECT, 0, 0, vrid),
    ];
    program.extend(one_of(vrids));
    program
}

/// For an IPv6 raw socket, which sees the payload only.
pub(crate) fn ipv6(vrids: &[Vrid]) -> Vec<SockFilter> {
    let mut program = vec![SockFilter::new(LD_BYTE_ABSOLUTE, 0, 0, VRID)];
    program.extend(one_of(vrids));
    program
}

/// For a socket that only sends.
pub(crate) fn nothing() -> [SockFilter; 1] {
    [SockFilter::new(RETURN, 0, 0, NOTHING)]
}

/// Accepts when the loaded octet is one of the VRIDs. There are at most 255 of them, so that the
/// longest jump (from the first comparison to the end) just fits its eight bits.
fn one_of(vrids: &[Vrid]) -> Vec<SockFilter> {
    let mut vrids: Vec<u8> = vrids.iter().map(|vrid| vrid.get()).collect();
    vrids.sort_unstable();
    vrids.dedup();
    let mut program = Vec::with_capacity(vrids.len() + 2);
    for (following, vrid) in (1..=vrids.len()).rev().zip(&vrids) {
        let to_accept = u8::try_from(following).unwrap_or(u8::MAX);
        program.push(SockFilter::new(JUMP_IF_EQUAL, to_accept, 0, u32::from(*vrid)));
    }
    program.push(SockFilter::new(RETURN, 0, 0, NOTHING));
    program.push(SockFilter::new(RETURN, 0, 0, WHOLE_PACKET));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_vrids_fit_the_jump() {
        let all: Vec<Vrid> = (1..=255).map(|vrid| Vrid::new(vrid).unwrap()).collect();
        assert_eq!(one_of(&all).len(), 257);
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.attach_filter(&ipv4(&all)).expect("the kernel verifies the jumps");
        socket.attach_filter(&ipv4_authenticated(&all)).expect("the same for this one");
        socket.attach_filter(&ipv6(&[])).expect("an empty list is a program too");
    }
}
