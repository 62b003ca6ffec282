//! Control messages beside a datagram: `struct cmsghdr` (native length, level, type), then data,
//! aligned to the length's size (`include/linux/socket.h`).

use core::net::Ipv6Addr;

const WORD: usize = size_of::<usize>();
const SOL_SOCKET: i32 = 1;
const SO_RXQ_OVFL: i32 = 40;
const IPPROTO_IPV6: i32 = 41;
const IPV6_PKTINFO: i32 = 50;
const IPV6_HOPLIMIT: i32 = 52;

/// What the kernel told beside a datagram.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// Datagrams this socket has lost so far.
    pub(crate) overflow: Option<u32>,
    /// IPv6 hop limit of the packet.
    pub(crate) hop_limit: Option<u8>,
    /// IPv6 destination of the packet.
    pub(crate) destination: Option<Ipv6Addr>,
}

impl Control {
    /// Reads the control messages; unknown ones are skipped, a cut one ends the list.
    pub(crate) fn parse(mut bytes: &[u8]) -> Self {
        let mut control = Self::default();
        while let Some((level, kind, data, rest)) = next(bytes) {
            match (level, kind) {
                (SOL_SOCKET, SO_RXQ_OVFL) => control.overflow = number(data),
                (IPPROTO_IPV6, IPV6_HOPLIMIT) => {
                    control.hop_limit = number(data).and_then(|hops| u8::try_from(hops).ok());
                }
                (IPPROTO_IPV6, IPV6_PKTINFO) => {
                    control.destination =
                        data.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
                }
                _ => {}
            }
            bytes = rest;
        }
        control
    }
}

fn next(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let (len, after) = bytes.split_first_chunk::<WORD>()?;
    let (level, after) = after.split_first_chunk::<4>()?;
    let (kind, _) = after.split_first_chunk::<4>()?;
    let len = usize::from_ne_bytes(*len);
    let data = bytes.get(WORD + 8..len)?;
    let rest = bytes.get(len.next_multiple_of(WORD)..).unwrap_or_default();
    Some((i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), data, rest))
}

fn number(data: &[u8]) -> Option<u32> {
    data.first_chunk::<4>().map(|octets| u32::from_ne_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (WORD + 8 + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        bytes
    }

    #[test]
    fn three_messages() {
        let group: Ipv6Addr = "ff02::12".parse().unwrap();
        let mut information = group.octets().to_vec();
        information.extend(3_u32.to_ne_bytes());
        let mut bytes = message(IPPROTO_IPV6, IPV6_PKTINFO, &information);
        bytes.extend(message(IPPROTO_IPV6, IPV6_HOPLIMIT, &255_i32.to_ne_bytes()));
        bytes.extend(message(1, 2, &[1, 2, 3]));
        bytes.extend(message(SOL_SOCKET, SO_RXQ_OVFL, &7_u32.to_ne_bytes()));
        assert_eq!(
            Control::parse(&bytes),
            Control { overflow: Some(7), hop_limit: Some(255), destination: Some(group) }
        );
    }

    #[test]
    fn cut_messages_end_the_list() {
        let whole = message(SOL_SOCKET, SO_RXQ_OVFL, &7_u32.to_ne_bytes());
        for len in 0..WORD + 8 + 4 {
            assert_eq!(Control::parse(&whole[..len]), Control::default(), "{len}");
        }
        assert_eq!(Control::parse(&[0; 64]), Control::default(), "a length of zero");
        assert_eq!(Control::parse(&[0xff; 64]), Control::default(), "a length beyond the end");
    }
}
