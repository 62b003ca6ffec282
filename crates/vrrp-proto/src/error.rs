use crate::{AddressFamily, IpProtocol};

/// Why octets are not the IPv4 packet of an advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Fewer octets than the header has.
    #[error("{len} octets are less than an IPv4 header of {need}")]
    TooShort {
        /// Octets a header of this length takes.
        need: usize,
        /// Octets there are.
        len: usize,
    },
    /// The version field is not 4.
    #[error("IP version {version}, expected 4")]
    NotIpv4 {
        /// What the field says.
        version: u8,
    },
    /// The header length field is below the 5 words of a header without options.
    #[error("an IPv4 header of {words} words, the least is 5")]
    HeaderLength {
        /// What the field says, in words of four octets.
        words: u8,
    },
    /// The total length field is smaller than the header.
    #[error("total length {total} is less than the header's {header} octets")]
    TotalLength {
        /// What the field says, in octets.
        total: u16,
        /// Octets of the header.
        header: usize,
    },
    /// The packet says that it is longer than the octets there are.
    #[error("total length {total}, but only {len} octets")]
    Truncated {
        /// What the total length field says, in octets.
        total: u16,
        /// Octets there are.
        len: usize,
    },
    /// A fragment: raw sockets deliver whole packets, and no advertisement over IPv4 needs any.
    #[error("a fragment at octet {offset}")]
    Fragment {
        /// Where the fragment begins in the whole payload, in octets.
        offset: u16,
    },
    /// The packet carries an IP Authentication Header (protocol 51), as VRRPv2 with authentication
    /// type 2 does.
    #[error("the packet has an authentication header")]
    AuthenticationHeader,
    /// The packet ends before its authentication header and the check value in it do.
    #[error("{len} octets are less than the 24 of an authentication header")]
    HeaderTooShort {
        /// Octets behind the IP header.
        len: usize,
    },
    /// The check value of the authentication header is not the 12 octets of HMAC-MD5-96.
    #[error("an authentication header of payload length {words}, expected 4")]
    CheckValueLength {
        /// What the header says: its length in words of four octets, minus two.
        words: u8,
    },
    /// The packet carries something else than VRRP.
    #[error("IP protocol {}, expected 112", protocol.number())]
    NotVrrp {
        /// What it carries.
        protocol: IpProtocol,
    },
}

/// Why a message is not a valid advertisement, whoever receives it.
///
/// The checks run in this order and the first that fails is reported (RFC 9568 §7.1, RFC 3768 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer octets than the fixed part of the message.
    #[error("{len} octets are less than the 8 of a VRRP header")]
    TooShort {
        /// Octets there are.
        len: usize,
    },
    /// A version that is neither 2 nor 3.
    #[error("VRRP version {version}, expected 2 or 3")]
    UnknownVersion {
        /// What the message says, 0–15.
        version: u8,
    },
    /// VRRPv2 over IPv6, which does not exist.
    #[error("VRRPv2 over IPv6")]
    Version2OverIpv6,
    /// A type that is not 1, the only one defined (RFC 9568 §5.2.2).
    #[error("VRRP type {found}, expected 1")]
    UnknownType {
        /// What the message says, 0–15.
        found: u8,
    },
    /// The message ends before all addresses it announces (and VRRPv2's authentication data).
    #[error("{len} octets, but {count} addresses need {need}")]
    Incomplete {
        /// Addresses the message claims.
        count: u8,
        /// Octets that would take.
        need: usize,
        /// Octets there are.
        len: usize,
    },
    /// The message goes on after its last field.
    #[error("{len} octets, but {count} addresses need only {need}")]
    TrailingOctets {
        /// Addresses the message claims.
        count: u8,
        /// Octets that takes.
        need: usize,
        /// Octets there are.
        len: usize,
    },
    /// The checksum matches in no form allowed for this version and family.
    #[error("checksum {found:#06x}, expected {expected:#06x}")]
    Checksum {
        /// What the message says.
        found: u16,
        /// What it should say (VRRPv3 over IPv4: in the form with the pseudo-header).
        expected: u16,
    },
    /// VRID 0, which names nothing.
    #[error("virtual router id 0")]
    ZeroVrid,
    /// An authentication type beyond the three of RFC 2338 §5.3.6.
    #[error("authentication type {found}, expected 0, 1 or 2")]
    UnknownAuthenticationType {
        /// What the message says.
        found: u8,
    },
    /// An advertisement of no address (RFC 9568 §5.2.5, erratum 8299).
    #[error("an advertisement without addresses")]
    NoAddresses,
    /// An interval of zero (RFC 9568 §5.2.7, erratum 8301).
    #[error("an advertisement interval of zero")]
    ZeroInterval,
}

/// Why an advertisement cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// None, or more addresses than the count field holds.
    #[error("an advertisement lists 1 to 255 addresses, not {count}")]
    AddressCount {
        /// Addresses given.
        count: usize,
    },
    /// Addresses of both families.
    #[error("an advertisement lists addresses of one family, not {first} and {other}")]
    MixedFamilies {
        /// Family of the first address.
        first: AddressFamily,
        /// The other one, met later.
        other: AddressFamily,
    },
    /// IPv6 addresses in VRRPv2.
    #[error("VRRPv2 has no IPv6")]
    Version2OverIpv6,
}

/// Why an advertisement could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The buffer is too small.
    #[error("the advertisement needs {need} octets, the buffer has {len}")]
    BufferTooSmall {
        /// Octets needed.
        need: usize,
        /// Octets of the buffer.
        len: usize,
    },
    /// Addresses of one family would travel in a packet of the other (RFC 9568 §5.2.9).
    #[error("{addresses} addresses in an {packet} packet")]
    FamilyMismatch {
        /// Family of the listed addresses.
        addresses: AddressFamily,
        /// Family of source and destination.
        packet: AddressFamily,
    },
}
