use core::net::Ipv4Addr;

use etherparse::{
    Ipv4HeaderSlice,
    err::ipv4::{HeaderError, HeaderSliceError},
};

use crate::{PacketError, PseudoHeader, message::MAX_IPV4_MESSAGE_LEN};

/// No IPv4 packet with an advertisement has more octets than this: 60 of header with options, 24 of
/// authentication header, and a VRRPv2 message with 255 addresses and trailer. A receive buffer of
/// this size holds every one.
pub const MAX_IPV4_PACKET_LEN: usize = 60 + 24 + MAX_IPV4_MESSAGE_LEN;

/// What an IP packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpProtocol {
    /// 112: VRRP.
    Vrrp,
    /// 51: an IP Authentication Header, and VRRPv2 behind it.
    AuthenticationHeader,
    /// Anything else.
    Other(u8),
}

impl IpProtocol {
    /// The protocol of that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            112 => Self::Vrrp,
            51 => Self::AuthenticationHeader,
            other => Self::Other(other),
        }
    }

    /// The number in the IP header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Vrrp => 112,
            Self::AuthenticationHeader => 51,
            Self::Other(number) => number,
        }
    }
}

/// A received IPv4 packet, as a raw socket delivers it: header, then payload.
///
/// Options are skipped and link padding behind the packet is cut off. The header checksum is not
/// looked at: the kernel has dropped packets where it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Packet<'a> {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    ttl: u8,
    protocol: IpProtocol,
    header: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv4Packet<'a> {
    /// Reads the header of a whole packet.
    ///
    /// # Errors
    /// Every [`PacketError`] that concerns the header; which protocol it carries is looked at by
    /// [`Ipv4Packet::message`].
    #[inline]
    pub fn parse(octets: &'a [u8]) -> Result<Self, PacketError> {
        let header = Ipv4HeaderSlice::from_slice(octets).map_err(|error| match error {
            HeaderSliceError::Len(error) => {
                PacketError::TooShort { need: error.required_len, len: error.len }
            }
            HeaderSliceError::Content(HeaderError::UnexpectedVersion { version_number }) => {
                PacketError::NotIpv4 { version: version_number }
            }
            HeaderSliceError::Content(HeaderError::HeaderLengthSmallerThanHeader { ihl }) => {
                PacketError::HeaderLength { words: ihl }
            }
        })?;
        let total = header.total_len();
        let header_len = header.slice().len();
        let Some(payload_len) = usize::from(total).checked_sub(header_len) else {
            return Err(PacketError::TotalLength { total, header: header_len });
        };
        if header.is_fragmenting_payload() {
            let offset = header.fragments_offset().value() * 8;
            return Err(PacketError::Fragment { offset });
        }
        let truncated = PacketError::Truncated { total, len: octets.len() };
        let (raw_header, rest) = octets.split_at_checked(header_len).ok_or(truncated)?;
        Ok(Self {
            source: header.source_addr(),
            destination: header.destination_addr(),
            ttl: header.ttl(),
            protocol: IpProtocol::from_number(header.protocol().0),
            header: raw_header,
            payload: rest.get(..payload_len).ok_or(truncated)?,
        })
    }

    /// The identification field; 0 for what cannot be read.
    #[must_use]
    pub fn identification(&self) -> u16 {
        self.header.get(4..6).and_then(|field| field.try_into().ok()).map_or(0, u16::from_be_bytes)
    }

    /// Who sent it.
    #[must_use]
    pub const fn source(&self) -> Ipv4Addr {
        self.source
    }

    /// To whom: the group or a unicast peer.
    #[must_use]
    pub const fn destination(&self) -> Ipv4Addr {
        self.destination
    }

    /// Time to live; 255 proves that no router forwarded it (RFC 9568 §5.1.1.3).
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.ttl
    }

    /// What it carries.
    #[must_use]
    pub const fn protocol(&self) -> IpProtocol {
        self.protocol
    }

    /// The header with its options: an authentication header covers it.
    #[must_use]
    pub const fn header(&self) -> &'a [u8] {
        self.header
    }

    /// Everything behind the header, without link padding.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The VRRP message, for [`Advertisement::parse`](crate::Advertisement::parse).
    ///
    /// # Errors
    /// [`PacketError::AuthenticationHeader`] when one stands before the message: what is behind it
    /// must not be believed unverified, see
    /// [`AuthenticationHeader`](crate::AuthenticationHeader). [`PacketError::NotVrrp`] for any other protocol.
    pub const fn message(&self) -> Result<&'a [u8], PacketError> {
        match self.protocol {
            IpProtocol::Vrrp => Ok(self.payload),
            IpProtocol::AuthenticationHeader => Err(PacketError::AuthenticationHeader),
            protocol @ IpProtocol::Other(_) => Err(PacketError::NotVrrp { protocol }),
        }
    }

    /// The facts of the header a checksum may cover.
    #[must_use]
    pub const fn pseudo_header(&self) -> PseudoHeader {
        PseudoHeader::Ipv4 { source: self.source, destination: self.destination }
    }
}

#[cfg(test)]
mod tests;
