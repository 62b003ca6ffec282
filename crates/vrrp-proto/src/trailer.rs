use core::{fmt, num::NonZeroU8, time::Duration};

use hmac::{Hmac, KeyInit, Mac, digest::Output};
use sha2::Sha256;

use crate::{AuthenticationError, PseudoHeader};

/// Octets of a trailer.
pub const TRAILER_LEN: usize = 28;

/// Octets of the trailer before its check value.
const FIELDS_LEN: usize = 12;

/// The only algorithm there is: the first 128 bits of HMAC-SHA-256.
const HMAC_SHA_256_128: u8 = 1;

/// A key of signed advertisements and the number packets name it by.
///
/// All routers of a virtual router share it, so each of them can sign as any other. `Debug` does not
/// print it.
#[derive(Clone, Copy)]
pub struct TrailerKey {
    id: NonZeroU8,
    /// Padded with zeros to a block of SHA-256, which changes nothing (RFC 2104 §2).
    block: [u8; 64],
}

/// Why octets are not a [`TrailerKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrailerKeyError {
    /// The number is 0.
    #[error("keys have the ids 1 to 255, not 0")]
    ZeroId,
    /// The secret is too short to be one, or longer than a block of SHA-256.
    #[error("a key has 32 to 64 octets, not {len}")]
    Length {
        /// Octets of the secret.
        len: usize,
    },
}

impl TrailerKey {
    /// The key of this number, 1–255, with a secret of 32 to 64 octets, which should be random.
    ///
    /// # Errors
    /// [`TrailerKeyError`] for what is out of range.
    pub fn new(id: u8, secret: &[u8]) -> Result<Self, TrailerKeyError> {
        let id = NonZeroU8::new(id).ok_or(TrailerKeyError::ZeroId)?;
        if !(32..=64).contains(&secret.len()) {
            return Err(TrailerKeyError::Length { len: secret.len() });
        }
        let mut block = [0; 64];
        for (slot, octet) in block.iter_mut().zip(secret) {
            *slot = *octet;
        }
        Ok(Self { id, block })
    }

    /// The number packets name the key by.
    #[must_use]
    pub const fn id(&self) -> u8 {
        self.id.get()
    }

    /// The state of the HMAC behind everything it covers: a header of its own, the message with its
    /// checksum taken for zero, and the trailer with its check value taken for zero.
    fn digest(&self, packet: PseudoHeader, message: &[u8], fields: &[u8]) -> Hmac<Sha256> {
        let mut hmac = Hmac::<Sha256>::new(&self.block.into());
        let Some(([version_type, vrid, a, b, c, d, _, _], body)) = message.split_first_chunk::<8>()
        else {
            return hmac;
        };
        let (ip_version, source) = match packet {
            PseudoHeader::Ipv4 { source, .. } => {
                let [a, b, c, d] = source.octets();
                (4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            }
            PseudoHeader::Ipv6 { source, .. } => (6, source.octets()),
        };
        hmac.update(&[ip_version, version_type >> 4, *vrid, 0]);
        hmac.update(&source);
        hmac.update(&[*version_type, *vrid, *a, *b, *c, *d, 0, 0]);
        hmac.update(body);
        hmac.update(fields);
        hmac.update(&[0; TRAILER_LEN - FIELDS_LEN]);
        hmac
    }

    /// The trailer of `message` in a packet with these addresses.
    pub(crate) fn trailer(
        &self,
        packet: PseudoHeader,
        message: &[u8],
        sequence: TrailerSequence,
    ) -> [u8; TRAILER_LEN] {
        let [s0, s1, s2, s3, f0, f1, c0, c1] = sequence.to_bits().to_be_bytes();
        let fields = [HMAC_SHA_256_128, self.id(), 0, 0, s0, s1, s2, s3, f0, f1, c0, c1];
        let value: Output<Sha256> = self.digest(packet, message, &fields).finalize().into_bytes();
        let mut trailer = [0; TRAILER_LEN];
        for (slot, octet) in trailer.iter_mut().zip(fields.iter().chain(&value)) {
            *slot = *octet;
        }
        trailer
    }
}

impl PartialEq for TrailerKey {
    fn eq(&self, other: &Self) -> bool {
        let difference = self.block.iter().zip(&other.block).fold(0, |acc, (a, b)| acc | (a ^ b));
        core::hint::black_box(difference) == 0 && self.id == other.id
    }
}

impl Eq for TrailerKey {}

impl fmt::Debug for TrailerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrailerKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// When an advertisement was signed, and which one of that moment it is: 32 bits of seconds since
/// 1970-01-01 UTC, 16 bits of their fraction, 16 bits of a counter.
///
/// The numbers of one sender grow, in the sense of [`is_newer_than`](Self::is_newer_than): from the
/// greatest the next is 0, which happens in 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrailerSequence(u64);

impl TrailerSequence {
    /// The first number of a moment, given as the time since 1970-01-01 UTC, to 1/65536 s.
    #[must_use]
    pub fn at(utc: Duration) -> Self {
        let fraction = (u64::from(utc.subsec_nanos()) << 16) / 1_000_000_000;
        Self((utc.as_secs() << 32) | (fraction << 16))
    }

    /// The number with this representation on the wire.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its representation on the wire.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The number behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Whether this number is one of the 2^63 − 1 behind `other`.
    #[must_use]
    pub const fn is_newer_than(self, other: Self) -> bool {
        matches!(self.0.wrapping_sub(other.0), 1..=0x7fff_ffff_ffff_ffff)
    }

    /// The time between the two numbers, whichever is the newer, to 1/65536 s: at most 2^31 s.
    #[must_use]
    pub const fn distance(self, other: Self) -> Duration {
        let bits = if self.is_newer_than(other) {
            self.0.wrapping_sub(other.0)
        } else {
            other.0.wrapping_sub(self.0)
        };
        let nanos = ((bits >> 16) & 0xffff) * 1_000_000_000 / 65_536;
        Duration::from_secs(bits >> 32).saturating_add(Duration::from_nanos(nanos))
    }
}

/// The trailer of a signed advertisement, with the message it signs, in the octets they came in.
///
/// ```text
/// keepalived's auth_hmac: behind the message, outside of its checksum, in VRRPv2 and VRRPv3
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+-------------------------------+
/// | Algorithm 1   |    Key id     |           Reserved            |
/// +---------------+---------------+-------------------------------+
/// |           Seconds since 1970-01-01 UTC                        |
/// +-------------------------------+-------------------------------+
/// |     1/65536 of a second       |           Counter             |
/// +-------------------------------+-------------------------------+
/// |     The first 16 octets of an HMAC-SHA-256 (RFC 2104)         |
/// +---------------------------------------------------------------+
/// ```
///
/// The check value covers the version of IP, the source address, the message without its checksum
/// and the trailer, not the destination and nothing else of the IP header: a copy of an
/// advertisement to one peer is as good for another.
///
/// **Unverified against a peer.** It follows a description of keepalived's development branch
/// (2.4.1); no release with it was at hand. Between routers that run this code it is tested.
///
/// ```
/// use core::time::Duration;
/// use vrrp_proto::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let addresses = ["fe80::1".parse()?];
/// let packet = PseudoHeader::new("fe80::2".parse()?, "ff02::12".parse()?)?;
/// let (vrid, interval) = (Vrid::new(51)?, MaxAdvertiseInterval::DEFAULT);
/// let message = Message::v3(vrid, Priority::DEFAULT, interval, ChecksumForm::default(), &addresses)?;
/// let key = TrailerKey::new(1, &[0x5a; 32])?; // of a good random source
/// let now = TrailerSequence::at(Duration::from_secs(1_700_000_000));
/// let mut buffer = [0; MAX_IPV6_MESSAGE_LEN];
/// let octets = message.signed(&key, now).emit(packet, &mut buffer)?;
///
/// let (message, behind) = Header::parse(octets)?.split(octets, packet.family())?;
/// let trailer = Trailer::parse(message, behind)?;
/// assert_eq!((trailer.key_id(), trailer.sequence()), (1, now));
/// let read = Advertisement::parse(trailer.verify(&key, packet)?, packet)?;
/// assert_eq!(read.vrid(), vrid);
/// let other = TrailerKey::new(1, &[0xa5; 32])?;
/// assert_eq!(trailer.verify(&other, packet), Err(AuthenticationError::WrongTrailer { key: 1 }));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trailer<'a> {
    message: &'a [u8],
    fields: [u8; FIELDS_LEN],
    value: &'a [u8; TRAILER_LEN - FIELDS_LEN],
}

impl<'a> Trailer<'a> {
    /// Reads the trailer of `message` from the octets behind it;
    /// [`Header::split`](crate::Header::split) finds both.
    ///
    /// # Errors
    /// [`AuthenticationError::TrailerMissing`] if there are none,
    /// [`AuthenticationError::TrailerLength`] and [`AuthenticationError::UnknownAlgorithm`].
    pub fn parse(message: &'a [u8], behind: &'a [u8]) -> Result<Self, AuthenticationError> {
        if behind.is_empty() {
            return Err(AuthenticationError::TrailerMissing);
        }
        let wrong_len = AuthenticationError::TrailerLength { len: behind.len() };
        let (fields, value) = behind.split_first_chunk::<FIELDS_LEN>().ok_or(wrong_len)?;
        let value = value.try_into().map_err(|_| wrong_len)?;
        let [algorithm, ..] = *fields;
        if algorithm != HMAC_SHA_256_128 {
            return Err(AuthenticationError::UnknownAlgorithm { found: algorithm });
        }
        Ok(Self { message, fields: *fields, value })
    }

    /// The number of the key it claims to be made with.
    #[must_use]
    pub const fn key_id(&self) -> u8 {
        let [_, id, ..] = self.fields;
        id
    }

    /// When it claims to have been made.
    #[must_use]
    pub const fn sequence(&self) -> TrailerSequence {
        let [_, _, _, _, s0, s1, s2, s3, f0, f1, c0, c1] = self.fields;
        TrailerSequence(u64::from_be_bytes([s0, s1, s2, s3, f0, f1, c0, c1]))
    }

    /// Checks the check value, in a time that does not depend on where it differs, and returns the
    /// message.
    ///
    /// Whether the sequence number is new is for whoever remembers the last one: `vrrp-fsm` does.
    ///
    /// # Errors
    /// [`AuthenticationError::UnknownKey`] if it is made with another key than this, and
    /// [`AuthenticationError::WrongTrailer`].
    pub fn verify(
        &self,
        key: &TrailerKey,
        packet: PseudoHeader,
    ) -> Result<&'a [u8], AuthenticationError> {
        let id = self.key_id();
        if id != key.id() {
            return Err(AuthenticationError::UnknownKey { id });
        }
        key.digest(packet, self.message, &self.fields)
            .verify_truncated_left(self.value)
            .map_err(|_| AuthenticationError::WrongTrailer { key: id })?;
        Ok(self.message)
    }
}

impl fmt::Debug for Trailer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trailer")
            .field("key_id", &self.key_id())
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
