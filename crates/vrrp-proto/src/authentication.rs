use core::{fmt, net::Ipv4Addr, time::Duration};

use crate::{Advertisement, HeaderKey, TrailerSequence};

/// The Auth Type field of VRRPv2 (RFC 2338 §5.3.6). VRRPv3 has no such field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "RFC 2338 is final; further types are refused")]
pub enum AuthenticationType {
    /// 0: none.
    None,
    /// 1: a password in clear text (keepalived's `PASS`).
    SimplePassword,
    /// 2: the packet carries an IP Authentication Header (keepalived's `AH`).
    AuthenticationHeader,
}

impl AuthenticationType {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::SimplePassword => 1,
            Self::AuthenticationHeader => 2,
        }
    }

    /// The type of that number, if RFC 2338 defines it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::SimplePassword),
            2 => Some(Self::AuthenticationHeader),
            _ => None,
        }
    }
}

/// How a router proves its advertisements, and wants those of others proven.
///
/// It exists because RFC 2338 routers and keepalived speak it; RFC 3768 and VRRPv3 have removed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Authentication {
    /// No authentication; the only one VRRPv3 and RFC 3768 have.
    #[default]
    None,
    /// VRRPv2 type 1. Clear text on the wire: it keeps a misconfigured neighbour out, never an
    /// attacker.
    SimplePassword(Password),
    /// VRRPv2 type 2: an IP Authentication Header between the IP header and the message.
    Header(HeaderKey),
}

impl Authentication {
    /// The type this is in a VRRPv2 message.
    #[must_use]
    pub const fn authentication_type(&self) -> AuthenticationType {
        match self {
            Self::None => AuthenticationType::None,
            Self::SimplePassword(_) => AuthenticationType::SimplePassword,
            Self::Header(_) => AuthenticationType::AuthenticationHeader,
        }
    }

    /// The octets of the Authentication Data field (RFC 2338 §5.3.10).
    #[must_use]
    pub(crate) const fn data(&self) -> [u8; 8] {
        match self {
            Self::None | Self::Header(_) => [0; 8],
            Self::SimplePassword(password) => password.0,
        }
    }

    /// Checks a received advertisement against what is configured here. VRRPv3 advertisements pass:
    /// they have nothing to check.
    ///
    /// This is for messages that stand in their packet alone. What
    /// [`AuthenticationHeader::verify`](crate::AuthenticationHeader::verify) returns has only its
    /// [type](Self::verify_type) left to check.
    ///
    /// # Errors
    /// [`AuthenticationError::TypeMismatch`] when the sender uses another type (RFC 2338 §7.1),
    /// [`AuthenticationError::WrongPassword`] when the password is another, and always
    /// [`AuthenticationError::HeaderMissing`] for [`Header`](Self::Header).
    #[inline]
    pub fn verify(&self, advertisement: &Advertisement<'_>) -> Result<(), AuthenticationError> {
        self.verify_type(advertisement)?;
        match (self, advertisement.authentication()) {
            // RFC 3768 §5.3.10: the data is ignored on reception.
            (Self::None, _) | (_, None) => Ok(()),
            (Self::SimplePassword(password), Some((_, data))) if *password == Password(*data) => {
                Ok(())
            }
            (Self::SimplePassword(_), _) => Err(AuthenticationError::WrongPassword),
            (Self::Header(_), _) => Err(AuthenticationError::HeaderMissing),
        }
    }

    /// Checks the authentication type of a received advertisement, and nothing else. VRRPv3
    /// advertisements pass.
    ///
    /// # Errors
    /// [`AuthenticationError::TypeMismatch`].
    #[inline]
    pub fn verify_type(
        &self,
        advertisement: &Advertisement<'_>,
    ) -> Result<(), AuthenticationError> {
        let expected = self.authentication_type();
        match advertisement.authentication() {
            Some((found, _)) if found != expected => {
                Err(AuthenticationError::TypeMismatch { found, expected })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Why an advertisement is not believed: what [`Authentication::verify`],
/// [`AuthenticationHeader::verify`](crate::AuthenticationHeader::verify) and
/// [`Trailer::verify`](crate::Trailer::verify) say, and whoever remembers sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The sender authenticates in another way than we do.
    #[error(
        "authentication type {}, ours is {}", found.number(), expected.number()
    )]
    TypeMismatch {
        /// The type in the advertisement.
        found: AuthenticationType,
        /// The type configured here.
        expected: AuthenticationType,
    },
    /// The advertisement is of type 2, but came without an authentication header.
    #[error("authentication type 2 without an authentication header")]
    HeaderMissing,
    /// The packet has an authentication header, which is not what is configured here.
    #[error("an authentication header, our authentication type is {}", expected.number())]
    HeaderUnexpected {
        /// The type configured here.
        expected: AuthenticationType,
    },
    /// The password is not ours.
    #[error("wrong password")]
    WrongPassword,
    /// The integrity check value is wrong: another key, another [`TtlCoverage`](crate::TtlCoverage),
    /// or octets that somebody has changed.
    #[error("wrong check value in the authentication header")]
    WrongCheckValue,
    /// The authentication header of one router in a packet of another.
    #[error("the authentication header is of {spi}, the packet from {sender}")]
    ForeignSpi {
        /// The security parameters index.
        spi: Ipv4Addr,
        /// The source of the packet.
        sender: Ipv4Addr,
    },
    /// The sequence number is not greater than the sender's last: a copy of an old packet, or the
    /// sender has just been restarted.
    #[error("sequence number {sequence} in the authentication header, the last was {last}")]
    Replayed {
        /// The number in the packet.
        sequence: u32,
        /// The greatest number accepted from this sender.
        last: u32,
    },
    /// The advertisement is not signed, and here it has to be.
    #[error("no trailer with an HMAC")]
    TrailerMissing,
    /// What follows the message is not as long as a trailer.
    #[error("{len} octets behind the message, a trailer has 28")]
    TrailerLength {
        /// Octets behind the message.
        len: usize,
    },
    /// The trailer is of an algorithm other than HMAC-SHA-256-128.
    #[error("a trailer of algorithm {found}, expected 1")]
    UnknownAlgorithm {
        /// What the trailer says.
        found: u8,
    },
    /// The trailer is made with a key that is not ours.
    #[error("a trailer made with key {id}, which is unknown here")]
    UnknownKey {
        /// The number of the key, 0–255.
        id: u8,
    },
    /// The check value of the trailer is wrong: another secret under the same number, or octets that
    /// somebody has changed.
    #[error("wrong check value in the trailer made with key {key}")]
    WrongTrailer {
        /// The number of the key, 1–255.
        key: u8,
    },
    /// The trailer was not made just now: a copy of an old packet, or the clocks of the two hosts
    /// differ.
    #[error(
        "the trailer was made {distance:.1?} {}, at most {window:?} is allowed",
        if *future { "in the future" } else { "ago" }
    )]
    OutsideTimeWindow {
        /// Between our clock and the trailer's time.
        distance: Duration,
        /// Whether our clock is behind the trailer's time.
        future: bool,
        /// The most that is allowed, in both directions.
        window: Duration,
    },
    /// The sequence number is not newer than the sender's last: a copy of an old packet.
    #[error(
        "sequence number {:#x} in the trailer, the last was {:#x}",
        sequence.to_bits(), last.to_bits()
    )]
    TrailerReplayed {
        /// The number in the packet.
        sequence: TrailerSequence,
        /// The newest number accepted from this sender.
        last: TrailerSequence,
    },
}

/// The shared secret of VRRPv2's authentication, type 1 and as keepalived has it 2: at most eight octets, zero padded (RFC 2338 §5.3.10).
///
/// Comparing takes the same time wherever two passwords differ, and `Debug` does not print it.
#[derive(Clone, Copy)]
pub struct Password([u8; 8]);

/// A password has more than the eight octets the message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has at most 8 octets, not {len}")]
#[non_exhaustive]
pub struct PasswordTooLong {
    /// Octets of the given password.
    pub len: usize,
}

impl Password {
    /// A password of at most eight octets.
    ///
    /// # Errors
    /// [`PasswordTooLong`] for more.
    pub fn new(octets: &[u8]) -> Result<Self, PasswordTooLong> {
        if octets.len() > 8 {
            return Err(PasswordTooLong { len: octets.len() });
        }
        Ok(Self::truncated(octets))
    }

    /// The first eight octets of a password, as keepalived uses a longer one.
    #[must_use]
    pub fn truncated(octets: &[u8]) -> Self {
        let mut padded = [0; 8];
        for (slot, octet) in padded.iter_mut().zip(octets) {
            *slot = *octet;
        }
        Self(padded)
    }

    pub(crate) const fn octets(self) -> [u8; 8] {
        self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |acc, (a, b)| acc | (a ^ b));
        core::hint::black_box(difference) == 0
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_padded_cut_on_request_and_never_printed() {
        assert_eq!(Password::new(b"secret").unwrap(), Password(*b"secret\0\0"));
        assert_eq!(Password::new(b"123456789"), Err(PasswordTooLong { len: 9 }));
        assert_eq!(Password::truncated(b"123456789"), Password::new(b"12345678").unwrap());
        assert_ne!(Password::new(b"secret").unwrap(), Password::new(b"Secret").unwrap());
        for at in 0..8 {
            let mut other = *b"password";
            other[at] ^= 1;
            assert_ne!(Password(other), Password(*b"password"), "octet {at}");
        }
        let authentication = Authentication::SimplePassword(Password::new(b"secret").unwrap());
        assert!(!format!("{authentication:?}").contains("secret"));
    }
}
