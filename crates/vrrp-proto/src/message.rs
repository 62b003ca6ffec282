use core::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU16,
};

use etherparse::{IpDscp, IpEcn, IpNumber, Ipv4Header};

use crate::{
    AddressFamily, AdverInt, Authentication, ChecksumForm, EmitError, Interval, IpProtocol,
    MaxAdvertiseInterval, MessageError, Priority, PseudoHeader, TRAILER_LEN, TrailerKey,
    TrailerSequence, Version, Vrid, advertisement::message_len, authentication_header::HEADER_LEN,
    checksum::Sum,
};

/// Addresses one advertisement can list.
pub const MAX_ADDRESSES: usize = 255;

/// Octets of the longest message over IPv4: VRRPv2 with 255 addresses and authentication data, and a
/// trailer.
pub const MAX_IPV4_MESSAGE_LEN: usize = 8 + 4 * MAX_ADDRESSES + 8 + TRAILER_LEN;

/// Octets of the longest message over IPv6: 255 addresses, and a trailer. (About 90 addresses fit
/// into one Ethernet frame.)
pub const MAX_IPV6_MESSAGE_LEN: usize = 8 + 16 * MAX_ADDRESSES + TRAILER_LEN;

/// An advertisement to be sent.
///
/// Count, length and checksum are not part of it: they follow when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    vrid: Vrid,
    priority: Priority,
    interval: Interval,
    authentication: Authentication,
    checksum: ChecksumForm,
    family: AddressFamily,
    addresses: &'a [IpAddr],
    sequence: u32,
    signature: Option<(&'a TrailerKey, TrailerSequence)>,
}

impl<'a> Message<'a> {
    /// A VRRPv2 advertisement of IPv4 addresses.
    ///
    /// # Errors
    /// [`MessageError::AddressCount`] for none or more than 255 addresses,
    /// [`MessageError::Version2OverIpv6`] and [`MessageError::MixedFamilies`] for an IPv6 address.
    #[inline]
    pub fn v2(
        vrid: Vrid,
        priority: Priority,
        interval: AdverInt,
        authentication: Authentication,
        addresses: &'a [IpAddr],
    ) -> Result<Self, MessageError> {
        let family = family_of_all(addresses)?;
        if family == AddressFamily::Ipv6 {
            return Err(MessageError::Version2OverIpv6);
        }
        let (interval, checksum) = (Interval::Seconds(interval), ChecksumForm::MessageOnly);
        Ok(Self {
            vrid,
            priority,
            interval,
            authentication,
            checksum,
            family,
            addresses,
            sequence: 1,
            signature: None,
        })
    }

    /// A VRRPv3 advertisement of addresses of one family. `checksum` only matters over IPv4.
    ///
    /// That the first IPv6 address be a link-local one (RFC 9568 §5.2.9) is up to the caller.
    ///
    /// # Errors
    /// [`MessageError::AddressCount`] for none or more than 255 addresses,
    /// [`MessageError::MixedFamilies`] for addresses of both families.
    #[inline]
    pub fn v3(
        vrid: Vrid,
        priority: Priority,
        interval: MaxAdvertiseInterval,
        checksum: ChecksumForm,
        addresses: &'a [IpAddr],
    ) -> Result<Self, MessageError> {
        let family = family_of_all(addresses)?;
        let (interval, authentication) = (Interval::Centiseconds(interval), Authentication::None);
        Ok(Self {
            vrid,
            priority,
            interval,
            authentication,
            checksum,
            family,
            addresses,
            sequence: 0,
            signature: None,
        })
    }

    /// Sets the sequence number of the authentication header, if the message goes with one. 1
    /// unless it is set; each advertisement of a sender needs a greater one than the last.
    #[must_use]
    pub const fn sequence(mut self, sequence: u32) -> Self {
        self.sequence = sequence;
        self
    }

    /// Signs the message: a [`Trailer`](crate::Trailer) made with this key follows it. Each
    /// advertisement of a sender needs a newer `sequence` than the last.
    ///
    /// It takes the place of VRRPv2's own authentication, which is dropped.
    #[must_use]
    pub const fn signed(mut self, key: &'a TrailerKey, sequence: TrailerSequence) -> Self {
        self.authentication = Authentication::None;
        self.signature = Some((key, sequence));
        self
    }

    /// The version of the message.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.interval.version()
    }

    /// The family of the addresses, and so of the packet.
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        self.family
    }

    /// Octets of the message, without trailer.
    #[must_use]
    pub const fn message_len(&self) -> usize {
        message_len(self.version(), self.addresses.len(), self.family)
    }

    /// Octets behind the message: a trailer or nothing.
    const fn trailer_len(&self) -> usize {
        if self.signature.is_some() { TRAILER_LEN } else { 0 }
    }

    /// Octets between the IP header and the message: an authentication header or nothing.
    const fn authentication_header_len(&self) -> usize {
        match self.authentication {
            Authentication::Header(_) => HEADER_LEN,
            Authentication::None | Authentication::SimplePassword(_) => 0,
        }
    }

    /// Writes the message to the front of `buffer` and returns it, checksum and, if it is
    /// [`signed`](Self::signed), trailer included. The authentication header stands before the
    /// message and is no part of it.
    ///
    /// [`MAX_IPV4_MESSAGE_LEN`] or [`MAX_IPV6_MESSAGE_LEN`] octets are always enough.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`], or [`EmitError::FamilyMismatch`] when `packet` is of another
    /// family than the addresses.
    pub fn emit<'b>(
        &self,
        packet: PseudoHeader,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], EmitError> {
        if packet.family() != self.family {
            let (addresses, packet) = (self.family, packet.family());
            return Err(EmitError::FamilyMismatch { addresses, packet });
        }
        let len = self.message_len();
        let need = len + self.trailer_len();
        let too_small = EmitError::BufferTooSmall { need, len: buffer.len() };
        let whole = buffer.get_mut(..need).ok_or(too_small)?;
        let (message, trailer) = whole.split_at_mut_checked(len).ok_or(too_small)?;
        let (header, body) = message.split_first_chunk_mut::<8>().ok_or(too_small)?;
        let (addresses, authentication_data) = body
            .split_at_mut_checked(self.addresses.len() * self.family.address_len())
            .ok_or(too_small)?;
        // Summed while it is written: reading back what was just written is slow.
        let mut sum = self.sum(packet, len).octets(&self.header([0, 0]));
        sum = write_addresses(addresses, self.addresses, sum);
        if let Some(data) = authentication_data.first_chunk_mut::<8>() {
            *data = self.authentication.data();
            sum = sum.octets(data);
        }
        *header = self.header(sum.checksum().to_be_bytes());
        if let (Some((key, sequence)), Some(trailer)) =
            (self.signature, trailer.first_chunk_mut::<TRAILER_LEN>())
        {
            *trailer = key.trailer(packet, message, sequence);
        }
        Ok(whole)
    }

    /// Writes the whole IPv4 packet to the front of `buffer` and returns it: for a raw socket with
    /// `IP_HDRINCL`.
    ///
    /// TOS is 0xC0 (internetwork control), TTL 255 (RFC 9568 §5.1.1.3), DF is clear, there are no
    /// options and the header checksum is filled in. `identification` is the caller's: a kernel
    /// replaces zero by a number of its own, behind the back of an authentication header.
    ///
    /// With [`Authentication::Header`] the packet is of protocol 51: an authentication header with
    /// `source` as its SPI stands before the message.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`] ([`MAX_IPV4_PACKET_LEN`](crate::MAX_IPV4_PACKET_LEN) octets are
    /// always enough), [`EmitError::FamilyMismatch`] for IPv6 addresses.
    pub fn emit_ipv4_packet<'b>(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        identification: NonZeroU16,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], EmitError> {
        let need = Ipv4Header::MIN_LEN
            + self.authentication_header_len()
            + self.message_len()
            + self.trailer_len();
        let too_small = EmitError::BufferTooSmall { need, len: buffer.len() };
        let packet = buffer.get_mut(..need).ok_or(too_small)?;
        let (header, payload) =
            packet.split_first_chunk_mut::<{ Ipv4Header::MIN_LEN }>().ok_or(too_small)?;
        let (authentication_header, message) =
            payload.split_at_mut_checked(self.authentication_header_len()).ok_or(too_small)?;
        let message = self.emit(PseudoHeader::Ipv4 { source, destination }, message)?;
        let protocol = match self.authentication {
            Authentication::Header(_) => IpProtocol::AuthenticationHeader,
            Authentication::None | Authentication::SimplePassword(_) => IpProtocol::Vrrp,
        };
        let mut fields = Ipv4Header {
            dscp: CLASS_SELECTOR_6,
            ecn: IpEcn::ZERO,
            // The message is of IPv4 addresses here, so a packet has little more than a thousand octets.
            total_len: u16::try_from(need).unwrap_or(u16::MAX),
            identification: identification.get(),
            dont_fragment: false,
            time_to_live: 255,
            protocol: IpNumber(protocol.number()),
            source: source.octets(),
            destination: destination.octets(),
            ..Ipv4Header::default()
        };
        fields.header_checksum = fields.calc_header_checksum();
        if let Some(octets) = fields.to_bytes().first_chunk() {
            *header = *octets;
        }
        if let Authentication::Header(key) = self.authentication {
            let octets = key.header(header, source, self.sequence, message);
            for (slot, octet) in authentication_header.iter_mut().zip(octets) {
                *slot = octet;
            }
        }
        Ok(packet)
    }

    fn header(&self, [sum_high, sum_low]: [u8; 2]) -> [u8; 8] {
        let version_type = (self.version().number() << 4) | 1;
        // At most 255 by construction.
        let count = u8::try_from(self.addresses.len()).unwrap_or(u8::MAX);
        let [word_high, word_low] = match self.interval {
            Interval::Seconds(interval) => {
                [self.authentication.authentication_type().number(), interval.as_seconds()]
            }
            Interval::Centiseconds(interval) => interval.as_centiseconds().to_be_bytes(),
        };
        let (vrid, priority) = (self.vrid.get(), self.priority.get());
        [version_type, vrid, priority, count, word_high, word_low, sum_high, sum_low]
    }

    /// What the checksum covers beside the message.
    fn sum(&self, packet: PseudoHeader, len: usize) -> Sum {
        match (self.version(), self.family, self.checksum) {
            (Version::V2, _, _) | (Version::V3, AddressFamily::Ipv4, ChecksumForm::MessageOnly) => {
                Sum::default()
            }
            (Version::V3, AddressFamily::Ipv4, ChecksumForm::PseudoHeader)
            | (Version::V3, AddressFamily::Ipv6, _) => packet.sum(len),
            (Version::V3, AddressFamily::Ipv4, ChecksumForm::GroupPseudoHeader) => {
                packet.to_group().sum(len)
            }
        }
    }
}

/// DSCP CS6, internetwork control: a TOS octet of 0xC0.
const CLASS_SELECTOR_6: IpDscp = match IpDscp::try_new(0x30) {
    Ok(dscp) => dscp,
    Err(_) => IpDscp::ZERO,
};

#[inline]
fn family_of_all(addresses: &[IpAddr]) -> Result<AddressFamily, MessageError> {
    let count = addresses.len();
    let first = match addresses.first() {
        Some(first) if count <= MAX_ADDRESSES => AddressFamily::of(first),
        Some(_) | None => return Err(MessageError::AddressCount { count }),
    };
    match addresses.iter().map(AddressFamily::of).find(|family| *family != first) {
        Some(other) => Err(MessageError::MixedFamilies { first, other }),
        None => Ok(first),
    }
}

/// Writes the addresses and adds them to a sum.
fn write_addresses(field: &mut [u8], addresses: &[IpAddr], mut sum: Sum) -> Sum {
    let mut rest = field;
    for address in addresses {
        let written = match address {
            IpAddr::V4(address) => rest.split_first_chunk_mut().map(|(slot, rest)| {
                *slot = address.octets();
                sum = sum.double_word(address.to_bits());
                rest
            }),
            IpAddr::V6(address) => rest.split_first_chunk_mut().map(|(slot, rest)| {
                *slot = address.octets();
                sum = sum.octets(slot);
                rest
            }),
        };
        // The field is as long as its addresses, see `message_len`.
        rest = written.unwrap_or_default();
    }
    sum
}

#[cfg(test)]
mod tests;
