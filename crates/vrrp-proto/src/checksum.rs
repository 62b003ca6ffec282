use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::AddressFamily;

/// Which octets the checksum of a VRRPv3 advertisement over IPv4 covers.
///
/// RFC 5798 left it open and nearly everybody included the pseudo-header; RFC 9568 §5.2.8 says that
/// it is not included. Both are on the wire, and a third where an old keepalived sends to unicast
/// peers. (VRRPv2 never has a pseudo-header, IPv6 always.)
///
/// ```
/// use vrrp_proto::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let addresses = ["192.0.2.1".parse()?];
/// let to_peer = PseudoHeader::new("192.0.2.2".parse()?, "192.0.2.3".parse()?)?;
/// let (vrid, interval) = (Vrid::new(51)?, MaxAdvertiseInterval::DEFAULT);
/// for form in ChecksumForm::ALL {
///     let message = Message::v3(vrid, Priority::DEFAULT, interval, form, &addresses)?;
///     let mut buffer = [0; 12];
///     let read = Advertisement::parse(message.emit(to_peer, &mut buffer)?, to_peer)?;
///     assert_eq!(read.checksum_form(), Some(form));
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "no further reading of the RFCs is possible")]
pub enum ChecksumForm {
    /// Source, destination, protocol and length of the IPv4 packet, then the message: what
    /// RFC 5798 is taken to mean, and what keepalived insists on.
    #[default]
    PseudoHeader,
    /// The message alone: RFC 9568 §5.2.8.
    MessageOnly,
    /// As [`PseudoHeader`](Self::PseudoHeader), but with the multicast group for the destination
    /// whoever the packet is sent to: keepalived before 1.3.6 to unicast peers, and later ones that
    /// have such a peer. To the group it is the same as `PseudoHeader`.
    GroupPseudoHeader,
}

impl ChecksumForm {
    /// All of them, in the order a receiver tries them in.
    pub const ALL: [Self; 3] = [Self::PseudoHeader, Self::MessageOnly, Self::GroupPseudoHeader];
}

/// The facts of the IP header that a checksum may cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two Internet protocols")]
pub enum PseudoHeader {
    /// Source and destination of an IPv4 packet.
    Ipv4 {
        /// Who sent it.
        source: Ipv4Addr,
        /// To whom: the group or a unicast peer.
        destination: Ipv4Addr,
    },
    /// Source and destination of an IPv6 packet.
    Ipv6 {
        /// Who sent it.
        source: Ipv6Addr,
        /// To whom: the group or a unicast peer.
        destination: Ipv6Addr,
    },
}

/// Source and destination are of different families, so no packet can carry both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("source and destination of a packet are of different address families")]
#[non_exhaustive]
pub struct MixedFamilies;

impl PseudoHeader {
    /// The facts of a packet from `source` to `destination`.
    ///
    /// # Errors
    /// [`MixedFamilies`] for an IPv4 and an IPv6 address.
    pub const fn new(source: IpAddr, destination: IpAddr) -> Result<Self, MixedFamilies> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ok(Self::Ipv4 { source, destination }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ok(Self::Ipv6 { source, destination }),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Err(MixedFamilies),
        }
    }

    /// The family of both addresses, and so of every address the message lists (RFC 9568 §5.2.9).
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        match self {
            Self::Ipv4 { .. } => AddressFamily::Ipv4,
            Self::Ipv6 { .. } => AddressFamily::Ipv6,
        }
    }

    /// The same with the group of the family for the destination.
    pub(crate) const fn to_group(self) -> Self {
        match (self, self.family().multicast_group()) {
            (Self::Ipv4 { source, .. }, IpAddr::V4(destination)) => {
                Self::Ipv4 { source, destination }
            }
            (Self::Ipv6 { source, .. }, IpAddr::V6(destination)) => {
                Self::Ipv6 { source, destination }
            }
            (other, _) => other,
        }
    }

    /// The sum of the pseudo-header before a message of `len` octets. Both families' layouts sum to
    /// the same: addresses, length and protocol (RFC 8200 §8.1).
    #[inline]
    pub(crate) fn sum(&self, len: usize) -> Sum {
        let addresses = match self {
            Self::Ipv4 { source, destination } => {
                u64::from(source.to_bits()) + u64::from(destination.to_bits())
            }
            Self::Ipv6 { source, destination } => {
                Sum::default().octets(&source.octets()).octets(&destination.octets()).0
            }
        };
        // No message is longer than 65,535 octets: IP's length fields have 16 bits.
        Sum(addresses).word(u16::try_from(len).unwrap_or(u16::MAX)).word(112)
    }
}

/// A ones-complement sum of 16-bit words (RFC 1071), not yet folded.
///
/// What is added may be words of 32 bits, for 2^16 is 1 in this arithmetic; 2^32 of them fit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    #[inline]
    pub(crate) fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word))
    }

    #[inline]
    pub(crate) fn double_word(self, word: u32) -> Self {
        Self(self.0 + u64::from(word))
    }

    /// The sum of what is summed in both.
    #[inline]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    #[inline]
    pub(crate) fn octets(self, octets: &[u8]) -> Self {
        let (words, rest) = octets.as_chunks::<4>();
        let sum = words.iter().fold(self, |sum, word| sum.double_word(u32::from_be_bytes(*word)));
        let (words, last) = rest.as_chunks::<2>();
        let sum = words.iter().fold(sum, |sum, word| sum.word(u16::from_be_bytes(*word)));
        last.iter().fold(sum, |sum, octet| sum.word(u16::from_be_bytes([*octet, 0])))
    }

    /// The sum in 16 bits, carries added back.
    #[inline]
    pub(crate) fn folded(self) -> u16 {
        // 33 bits, 32 (the carry of the first step leaves room for its own), 17, 16.
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff_ffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        u16::try_from(sum).unwrap_or(u16::MAX)
    }

    /// Whether data that contains its own checksum is intact: its sum is all ones, so that both
    /// representations of a zero checksum are accepted.
    pub(crate) fn is_valid(self) -> bool {
        self.folded() == 0xffff
    }

    /// The checksum to write into data whose checksum field is zero so far.
    pub(crate) fn checksum(self) -> u16 {
        !self.folded()
    }

    /// The checksum that data which sums to `self` should have had, in place of `found`.
    pub(crate) fn expected(self, found: u16) -> u16 {
        self.word(!found).checksum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        let sum = Sum::default().octets(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.folded(), 0xddf2);
        assert_eq!(sum.checksum(), 0x220d);
    }

    #[test]
    fn a_sum_of_any_size_is_folded_as_rfc_1071_has_it() {
        let folded = |sum: u64| {
            let mut sum = sum;
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            sum
        };
        for shift in 0..64 {
            for near in [0, 1, 2, 0xffff, 0x1_0000, u64::MAX] {
                for sum in [(1 << shift) - 1 + (near >> 1), near << shift, near >> shift] {
                    assert_eq!(u64::from(Sum(sum).folded()), folded(sum), "{sum:#x}");
                }
            }
        }
    }

    #[test]
    fn words_of_any_size_sum_to_the_same() {
        let octets: Vec<u8> = (0..40).map(|octet: u8| octet.wrapping_mul(151) ^ 0xa5).collect();
        for len in 0..octets.len() {
            let single = octets[..len].chunks(2).fold(Sum::default(), |sum, pair| {
                sum.word(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
            });
            assert_eq!(Sum::default().octets(&octets[..len]).folded(), single.folded(), "{len}");
        }
    }

    #[test]
    fn an_odd_octet_counts_as_the_upper_half_of_a_word() {
        assert_eq!(Sum::default().octets(&[0x12, 0x34, 0x56]).folded(), 0x1234 + 0x5600);
    }

    #[test]
    fn the_expected_checksum_is_found_behind_a_wrong_one() {
        let data = [0x12, 0x34, 0xab, 0xcd];
        let right = Sum::default().octets(&data).checksum();
        for wrong in [0, 1, 0x8000, 0xffff] {
            let sum = Sum::default().octets(&data).word(wrong);
            assert_eq!(sum.expected(wrong), right);
        }
    }
}
