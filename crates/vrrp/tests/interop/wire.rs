//! Advertisements as they come in at the switch's ports, read without the code under test.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use lab::Frame;

/// One of the routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    We,
    They,
    /// Where three take part.
    Third,
}

impl Who {
    pub(crate) const ALL: [Self; 3] = [Self::We, Self::They, Self::Third];

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::We => 0,
            Self::They => 1,
            Self::Third => 2,
        }
    }

    /// The other one of two.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::We => Self::They,
            Self::They | Self::Third => Self::We,
        }
    }
}

/// What a checksum was computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summed {
    /// The message.
    Message,
    /// The message and a pseudo-header with the packet's own addresses.
    PseudoHeader,
    /// The message and a pseudo-header with the multicast group as the destination, though the packet was unicast.
    GroupPseudoHeader,
    /// None of these.
    Wrong,
}

/// An advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) at: Duration,
    pub(crate) from: Who,
    pub(crate) mac: [u8; 6],
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) version: u8,
    pub(crate) priority: u8,
    /// As it is in the packet: centiseconds in version 3, seconds in version 2.
    pub(crate) interval: u16,
    /// The type in the header of version 2; 0 in version 3.
    pub(crate) authentication: u8,
    pub(crate) summed: Summed,
    pub(crate) addresses: Vec<IpAddr>,
}

/// One line for messages.
impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, from, source, destination, priority, interval, .. } = self;
        write!(
            f,
            "{at:?} {from:?} {source} > {destination} priority {priority} interval {interval}"
        )
    }
}

/// The frame as an advertisement of this router, if it is one.
pub(crate) fn read(frame: &Frame, from: Who) -> Option<Heard> {
    let packet = frame.payload();
    let (source, destination, hop_limit, message) = match frame.ethertype() {
        0x0800 => {
            let mut header = usize::from(packet.first()? & 0x0f) * 4;
            let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
            match packet.get(9)? {
                112 => {}
                // An authentication header: its length in units of 4 octets, less 2 (RFC 4302 §2.2).
                51 => header += (usize::from(*packet.get(header + 1)?) + 2) * 4,
                _ => return None,
            }
            let address = |at: usize| {
                let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
                Some(IpAddr::from(octets))
            };
            (address(12)?, address(16)?, *packet.get(8)?, packet.get(header..length)?)
        }
        0x86dd if packet.get(6) == Some(&112) => {
            let length = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
            let address = |at: usize| {
                let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
                Some(IpAddr::from(octets))
            };
            (address(8)?, address(24)?, *packet.get(7)?, packet.get(40..40 + length)?)
        }
        _ => return None,
    };
    let version = message.first()? >> 4;
    let two_octets = u16::from_be_bytes([*message.get(4)?, *message.get(5)?]);
    let count = usize::from(*message.get(3)?);
    let size = if source.is_ipv6() { 16 } else { 4 };
    let addresses = message.get(8..8 + count * size)?.chunks(size).filter_map(|octets| {
        <[u8; 4]>::try_from(octets)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
            .ok()
    });
    Some(Heard {
        at: frame.at,
        from,
        mac: frame.source_mac()?,
        source,
        destination,
        hop_limit,
        version,
        priority: *message.get(2)?,
        interval: if version == 2 { two_octets & 0xff } else { two_octets & 0x0fff },
        authentication: if version == 2 { *message.get(4)? } else { 0 },
        summed: summed(message, source, destination),
        addresses: addresses.collect(),
    })
}

fn summed(message: &[u8], source: IpAddr, destination: IpAddr) -> Summed {
    let group: IpAddr = if source.is_ipv6() {
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into()
    } else {
        Ipv4Addr::new(224, 0, 0, 18).into()
    };
    let over = |pseudo: Option<IpAddr>| {
        let mut octets = message.to_vec();
        if let Some(destination) = pseudo {
            for address in [source, destination] {
                match address {
                    IpAddr::V4(address) => octets.extend(address.octets()),
                    IpAddr::V6(address) => octets.extend(address.octets()),
                }
            }
            octets.extend([0, 112]);
            octets.extend(u16::try_from(message.len()).unwrap_or_default().to_be_bytes());
        }
        let mut sum: u32 = octets
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum == 0xffff
    };
    if over(Some(destination)) {
        Summed::PseudoHeader
    } else if over(Some(group)) {
        Summed::GroupPseudoHeader
    } else if over(None) {
        Summed::Message
    } else {
        Summed::Wrong
    }
}
