use core::{fmt, net::Ipv4Addr};

use hmac::{Hmac, KeyInit, Mac, digest::Output};
use md5::Md5;

use crate::{Authentication, AuthenticationError, IpProtocol, Ipv4Packet, PacketError, Password};

/// Octets of an authentication header with the 96 bits of HMAC-MD5-96.
pub(crate) const HEADER_LEN: usize = 24;

/// The Payload Len field of such a header: its length in words of four octets, minus two (RFC 2402
/// §2.2).
const PAYLOAD_LEN: u8 = 4;

/// A keyed HMAC-MD5-96 (RFC 2403), the only algorithm of VRRPv2's authentication type 2 (RFC 2338
/// §5.3.6), and how it is computed here.
///
/// Better than a password in clear text: an advertisement cannot be forged or changed without the
/// key. But a copy of an old one can pass for its sender after a time of silence, and MD5 and keys
/// of eight octets are of their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderKey {
    /// The shared secret.
    pub key: Password,
    /// Whether the check value covers the TTL. All routers have to agree on it.
    pub ttl: TtlCoverage,
}

impl HeaderKey {
    /// This key, and check values that cover the TTL of multicast packets.
    #[must_use]
    pub const fn new(key: Password) -> Self {
        Self { key, ttl: TtlCoverage::Multicast }
    }

    /// Sets [`ttl`](field@Self::ttl).
    #[must_use]
    pub const fn ttl(mut self, ttl: TtlCoverage) -> Self {
        self.ttl = ttl;
        self
    }

    /// The state of the HMAC behind the IP header and the part of the authentication header before
    /// its check value.
    fn begin(&self, ip_header: &[u8], fields: [u8; 12]) -> Hmac<Md5> {
        // RFC 2104 §2 pads a key with zeros to the block of its hash.
        let mut block = [0; 64];
        for (slot, octet) in block.iter_mut().zip(self.key.octets()) {
            *slot = octet;
        }
        let mut hmac = Hmac::<Md5>::new(&block.into());
        self.ttl.cover(ip_header, &mut hmac);
        hmac.update(&fields);
        hmac.update(&[0; 12]);
        hmac
    }

    /// The authentication header of `message` behind `ip_header`.
    pub(crate) fn header(
        &self,
        ip_header: &[u8],
        spi: Ipv4Addr,
        sequence: u32,
        message: &[u8],
    ) -> [u8; HEADER_LEN] {
        let [s0, s1, s2, s3] = spi.octets();
        let [n0, n1, n2, n3] = sequence.to_be_bytes();
        let fields = [IpProtocol::Vrrp.number(), PAYLOAD_LEN, 0, 0, s0, s1, s2, s3, n0, n1, n2, n3];
        let value = self.begin(ip_header, fields).chain_update(message).finalize();
        let value: Output<Md5> = value.into_bytes();
        let mut header = [0; HEADER_LEN];
        for (slot, octet) in header.iter_mut().zip(fields.iter().chain(&value)) {
            *slot = *octet;
        }
        header
    }
}

/// Whether the integrity check value covers the TTL of the IP header. RFC 2402 §3.3.3.1.1.1 counts
/// it among the fields a router changes, and leaves it out; keepalived covers it in packets to the
/// group, where it is always 255. The two do not understand each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TtlCoverage {
    /// In multicast packets and not in unicast ones: what keepalived sends and expects.
    #[default]
    Multicast,
    /// Never: RFC 2402 to the letter.
    Never,
}

impl TtlCoverage {
    /// Puts an IP header into a check value. What may change on the way counts as zero: TOS, flags,
    /// fragment offset and header checksum, and the TTL unless it is covered. Options, which no
    /// router sends with an advertisement, are taken as they are.
    fn cover(self, ip_header: &[u8], hmac: &mut Hmac<Md5>) {
        let Some((fixed, options)) = ip_header.split_first_chunk::<20>() else { return };
        let [version_ihl, _, l0, l1, id0, id1, _, _, ttl, protocol, _, _, addresses @ ..] = *fixed;
        let [_, _, _, _, destination @ ..] = addresses;
        let ttl = match self {
            Self::Multicast if Ipv4Addr::from(destination).is_multicast() => ttl,
            Self::Multicast | Self::Never => 0,
        };
        hmac.update(&[version_ihl, 0, l0, l1, id0, id1, 0, 0, ttl, protocol, 0, 0]);
        hmac.update(&addresses);
        hmac.update(options);
    }
}

/// An IP Authentication Header with a VRRP message behind it, in the packet it came in.
///
/// ```text
/// RFC 2402 §2, with the 96 bits of HMAC-MD5-96
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+-------------------------------+
/// |Next Header 112| Payload Len 4 |           Reserved            |
/// +---------------+---------------+-------------------------------+
/// |    Security Parameters Index: the sender's IPv4 address       |
/// +---------------------------------------------------------------+
/// |                       Sequence Number                         |
/// +---------------------------------------------------------------+
/// |              Integrity Check Value, 12 octets                 |
/// +---------------------------------------------------------------+
/// ```
///
/// The message is only to be had by [`verify`](Self::verify).
///
/// ```
/// use core::num::NonZeroU16;
/// use vrrp_proto::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let addresses = ["192.0.2.1".parse()?];
/// let key = HeaderKey::new(Password::new(b"s3cret")?);
/// let (vrid, authentication) = (Vrid::new(51)?, Authentication::Header(key));
/// let message = Message::v2(vrid, Priority::DEFAULT, AdverInt::MIN, authentication, &addresses)?;
/// let (source, group) = ("192.0.2.2".parse()?, "224.0.0.18".parse()?);
/// let mut buffer = [0; MAX_IPV4_PACKET_LEN];
/// let octets = message.sequence(7).emit_ipv4_packet(source, group, NonZeroU16::MIN, &mut buffer)?;
///
/// let packet = Ipv4Packet::parse(octets)?;
/// assert_eq!(packet.message(), Err(PacketError::AuthenticationHeader));
/// let header = AuthenticationHeader::parse(&packet)?;
/// assert_eq!((header.spi(), header.sequence()), (source, 7));
/// let read = Advertisement::parse(header.verify(&key)?, packet.pseudo_header())?;
/// assert_eq!(authentication.verify_type(&read), Ok(()));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthenticationHeader<'a> {
    source: Ipv4Addr,
    ip_header: &'a [u8],
    /// Next header to sequence number.
    fields: &'a [u8; 12],
    value: &'a [u8; 12],
    message: &'a [u8],
}

impl<'a> AuthenticationHeader<'a> {
    /// Reads the header in a packet of protocol 51.
    ///
    /// # Errors
    /// [`PacketError::NotVrrp`] for another protocol, in front of the header or behind it,
    /// [`PacketError::HeaderTooShort`] and [`PacketError::CheckValueLength`] for a header that is
    /// none of HMAC-MD5-96.
    pub fn parse(packet: &Ipv4Packet<'a>) -> Result<Self, PacketError> {
        if packet.protocol() != IpProtocol::AuthenticationHeader {
            return Err(PacketError::NotVrrp { protocol: packet.protocol() });
        }
        let payload = packet.payload();
        let too_short = PacketError::HeaderTooShort { len: payload.len() };
        let (fields, rest) = payload.split_first_chunk::<12>().ok_or(too_short)?;
        let [next_header, words, ..] = *fields;
        let protocol = IpProtocol::from_number(next_header);
        if protocol != IpProtocol::Vrrp {
            return Err(PacketError::NotVrrp { protocol });
        }
        if words != PAYLOAD_LEN {
            return Err(PacketError::CheckValueLength { words });
        }
        let (value, message) = rest.split_first_chunk::<12>().ok_or(too_short)?;
        let (source, ip_header) = (packet.source(), packet.header());
        Ok(Self { source, ip_header, fields, value, message })
    }

    /// The security parameters index; VRRP routers put their address here.
    #[must_use]
    pub const fn spi(&self) -> Ipv4Addr {
        let [_, _, _, _, a, b, c, d, ..] = *self.fields;
        Ipv4Addr::new(a, b, c, d)
    }

    /// The sequence number, which grows from advertisement to advertisement of one sender.
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        let [_, _, _, _, _, _, _, _, a, b, c, d] = *self.fields;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Checks the integrity check value, in a time that does not depend on where it differs, and
    /// then that the SPI is the source of the packet, as keepalived has it.
    ///
    /// Returns the VRRP message. Whether the sequence number is new is for whoever remembers the
    /// last one: `vrrp-fsm` does.
    ///
    /// # Errors
    /// [`AuthenticationError::WrongCheckValue`], then [`AuthenticationError::ForeignSpi`].
    pub fn verify(&self, key: &HeaderKey) -> Result<&'a [u8], AuthenticationError> {
        key.begin(self.ip_header, *self.fields)
            .chain_update(self.message)
            .verify_truncated_left(self.value)
            .map_err(|_| AuthenticationError::WrongCheckValue)?;
        let (spi, sender) = (self.spi(), self.source);
        if spi != sender {
            return Err(AuthenticationError::ForeignSpi { spi, sender });
        }
        Ok(self.message)
    }

    /// The message before anything is verified: to find out whom it may concern, see
    /// [`Header`](crate::Header). Never act on it.
    #[must_use]
    pub const fn unverified_message(&self) -> &'a [u8] {
        self.message
    }
}

impl fmt::Debug for AuthenticationHeader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationHeader")
            .field("spi", &self.spi())
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}

impl Authentication {
    /// The key of authentication headers, if they are used.
    #[must_use]
    pub const fn header_key(&self) -> Option<&HeaderKey> {
        match self {
            Self::Header(key) => Some(key),
            Self::None | Self::SimplePassword(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
