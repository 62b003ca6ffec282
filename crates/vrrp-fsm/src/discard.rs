use core::{fmt, net::IpAddr, time::Duration};

use vrrp_proto::{
    AddressFamily, AuthenticationError, ChecksumForm, PacketError, ParseError, Version,
};

use crate::PathId;

/// Why a datagram was not used. It has changed nothing but one counter (RFC 9568 §7.1), and used up
/// the sequence number of an authentication header (RFC 2402 §3.4.3) or trailer that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// It is not an IPv4 packet with a VRRP message.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// It is of the other address family.
    #[error("an {family} datagram for a virtual router of the other family")]
    Family {
        /// The datagram's family.
        family: AddressFamily,
    },
    /// It came in on a path that is not configured.
    #[error("path {} is not configured", path.get())]
    UnknownPath {
        /// The path.
        path: PathId,
    },
    /// It was sent to neither the group (RFC 9568 §5.1.1.2) nor, on a unicast path, to an address
    /// of ours.
    #[error("sent to {destination}")]
    Destination {
        /// Where it was sent to.
        destination: IpAddr,
    },
    /// It came through a router (RFC 9568 §5.1.1.3: "MUST discard").
    #[error("hop limit {}, at least {least} is required", HopLimit(*found))]
    HopLimit {
        /// Its hop limit; `None` if the socket did not tell.
        found: Option<u8>,
        /// The least that is accepted.
        least: u8,
    },
    /// Its source is our own address, and it looks like an echo of our own advertisement: a bridge
    /// loop, a mirror port.
    #[error("sent from our own address {source_address}")]
    OwnSource {
        /// The address.
        source_address: IpAddr,
    },
    /// It is an advertisement of our virtual router from our own address that we have not sent:
    /// another router has the address. See [`Conflict`](crate::Conflict).
    #[error("another router advertises from our own address {source_address}")]
    AddressConflict {
        /// The address.
        source_address: IpAddr,
    },
    /// Its source is not a configured peer on this path; they are configured for unicast paths, and
    /// for all of several.
    #[error("{source_address} is not a configured peer")]
    UnknownPeer {
        /// The source.
        source_address: IpAddr,
    },
    /// Its message is not a valid advertisement.
    #[error(transparent)]
    Message(#[from] ParseError),
    /// It is of the other protocol version (RFC 9568 §7.1).
    #[error("{found}, this router speaks {expected}")]
    Version {
        /// The advertisement's version.
        found: Version,
        /// Ours.
        expected: Version,
    },
    /// With [`Config::also_version_2`](crate::Config::also_version_2): version 2 of what the same
    /// router has just said in version 3 (RFC 9568 §8.4.2).
    #[error("{source_address} says the same in version 3")]
    AlsoInVersion3 {
        /// The sender.
        source_address: IpAddr,
    },
    /// Its checksum is right in a form that
    /// [`ChecksumPolicy::Strict`](crate::ChecksumPolicy::Strict) excludes.
    #[error("not the checksum form {expected:?}")]
    ChecksumForm {
        /// The form that is required.
        expected: ChecksumForm,
    },
    /// It is about another virtual router, or about none that is configured (RFC 9568 §7.1).
    #[error("no virtual router {vrid} here")]
    Vrid {
        /// The number it names.
        vrid: u8,
    },
    /// The owner of the addresses does not listen in version 2 (RFC 3768 §7.1).
    #[error("the owner of the addresses ignores advertisements")]
    Owner,
    /// Its authentication is another, or wrong, or was used before (RFC 2338 §5.3.6).
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// Its address list differs from ours, and that matters (RFC 3768 §7.1).
    #[error("a list of {count} addresses that differs from ours")]
    AddressList {
        /// How many addresses it lists.
        count: usize,
    },
    /// The first address of its IPv6 list is not a link-local one (RFC 9568 §5.2.9).
    #[error("the first address {address} is not link-local")]
    FirstNotLinkLocal {
        /// The first address.
        address: IpAddr,
    },
    /// Version 2: its interval is not ours (RFC 3768 §7.1).
    #[error("advertisement interval {found:?}, ours is {expected:?}")]
    Interval {
        /// The advertisement's interval.
        found: Duration,
        /// Ours.
        expected: Duration,
    },
    /// It is valid, but the virtual router does not take part in the election (RFC 9568 §6.4.1).
    #[error("not taking part in the election")]
    NotRunning,
}

impl Discard {
    /// Which counter it raises.
    #[must_use]
    pub const fn counter(&self) -> Counter {
        match self {
            Self::Packet(PacketError::NotVrrp { .. }) | Self::Family { .. } => Counter::NotVrrp,
            Self::Packet(_) => Counter::PacketLength,
            Self::UnknownPath { .. } | Self::Destination { .. } => Counter::Destination,
            Self::HopLimit { .. } => Counter::HopLimit,
            Self::OwnSource { .. } => Counter::OwnSource,
            Self::AddressConflict { .. } => Counter::AddressConflict,
            Self::UnknownPeer { .. } => Counter::UnknownPeer,
            Self::Message(error) => Counter::of_message(*error),
            Self::Version { .. } => Counter::Version,
            Self::AlsoInVersion3 { .. } => Counter::AlsoInVersion3,
            Self::ChecksumForm { .. } => Counter::Checksum,
            Self::Vrid { .. } => Counter::Vrid,
            Self::Owner => Counter::Owner,
            Self::Authentication(
                AuthenticationError::TypeMismatch { .. }
                | AuthenticationError::HeaderMissing
                | AuthenticationError::HeaderUnexpected { .. }
                | AuthenticationError::TrailerMissing
                | AuthenticationError::UnknownAlgorithm { .. },
            ) => Counter::AuthenticationTypeMismatch,
            Self::Authentication(AuthenticationError::TrailerLength { .. }) => {
                Counter::PacketLength
            }
            Self::Authentication(AuthenticationError::UnknownKey { .. }) => {
                Counter::UnknownAuthenticationKey
            }
            Self::Authentication(
                AuthenticationError::OutsideTimeWindow { .. }
                | AuthenticationError::Replayed { .. }
                | AuthenticationError::TrailerReplayed { .. },
            ) => Counter::AuthenticationReplay,
            Self::Authentication(_) => Counter::AuthenticationFailure,
            Self::AddressList { .. } | Self::FirstNotLinkLocal { .. } => Counter::AddressList,
            Self::Interval { .. } => Counter::Interval,
            Self::NotRunning => Counter::NotRunning,
        }
    }
}

/// The causes a datagram is discarded for, one counter each, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Counter {
    /// Shorter or longer than its headers say. RFC 8347 `packet-length-errors`.
    PacketLength,
    /// Not VRRP of this address family.
    NotVrrp,
    /// Sent to another address.
    Destination,
    /// Forwarded by a router. RFC 8347 `ip-ttl-errors`.
    HopLimit,
    /// Sent from our own address.
    OwnSource,
    /// Sent from our own address by another router.
    AddressConflict,
    /// Sent by someone who is not a configured peer.
    UnknownPeer,
    /// An unknown version, or not ours. RFC 8347 `version-errors`.
    Version,
    /// Not an advertisement. RFC 8347 `invalid-type-pkts-rcvd`.
    InvalidType,
    /// A wrong checksum. RFC 8347 `checksum-errors`.
    Checksum,
    /// An unknown virtual router. RFC 8347 `vrid-errors`.
    Vrid,
    /// Received by an owner of version 2.
    Owner,
    /// An unknown authentication type. RFC 2787 `vrrpStatsInvalidAuthType`.
    InvalidAuthenticationType,
    /// Another authentication type; an authentication header too much; a header or trailer missing,
    /// or one of another algorithm. RFC 2787 `vrrpStatsAuthTypeMismatch`.
    AuthenticationTypeMismatch,
    /// A wrong password; a wrong check value in an authentication header or trailer. With the two
    /// that follow it is RFC 2787's `vrrpStatsAuthFailures`.
    AuthenticationFailure,
    /// A trailer made with a key that is unknown here.
    UnknownAuthenticationKey,
    /// A used sequence number in an authentication header or trailer, or a trailer that was not made
    /// just now.
    AuthenticationReplay,
    /// An empty, wrong or different address list. RFC 8347 `address-list-errors`.
    AddressList,
    /// An interval of zero, or in version 2 not ours. RFC 8347 `interval-errors`.
    Interval,
    /// In version 2, by a router that speaks version 3 as well. Not an error.
    AlsoInVersion3,
    /// Valid, but the virtual router is not running.
    NotRunning,
}

impl Counter {
    pub(crate) const COUNT: usize = 21;

    /// All of them, in the order of the checks.
    pub const ALL: [Self; Self::COUNT] = [
        Self::PacketLength,
        Self::NotVrrp,
        Self::Destination,
        Self::HopLimit,
        Self::OwnSource,
        Self::AddressConflict,
        Self::UnknownPeer,
        Self::Version,
        Self::InvalidType,
        Self::Checksum,
        Self::Vrid,
        Self::Owner,
        Self::InvalidAuthenticationType,
        Self::AuthenticationTypeMismatch,
        Self::AuthenticationFailure,
        Self::UnknownAuthenticationKey,
        Self::AuthenticationReplay,
        Self::AddressList,
        Self::Interval,
        Self::AlsoInVersion3,
        Self::NotRunning,
    ];

    /// A name for logs and metrics: the leaf of RFC 8347 where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PacketLength => "packet-length-errors",
            Self::NotVrrp => "not-vrrp",
            Self::Destination => "destination-errors",
            Self::HopLimit => "ip-ttl-errors",
            Self::OwnSource => "own-source",
            Self::AddressConflict => "address-conflicts",
            Self::UnknownPeer => "unknown-peer",
            Self::Version => "version-errors",
            Self::InvalidType => "invalid-type-pkts-rcvd",
            Self::Checksum => "checksum-errors",
            Self::Vrid => "vrid-errors",
            Self::Owner => "received-by-owner",
            Self::InvalidAuthenticationType => "invalid-auth-type",
            Self::AuthenticationTypeMismatch => "auth-type-mismatch",
            Self::AuthenticationFailure => "auth-failures",
            Self::UnknownAuthenticationKey => "unknown-auth-key",
            Self::AuthenticationReplay => "auth-replays",
            Self::AddressList => "address-list-errors",
            Self::Interval => "interval-errors",
            Self::AlsoInVersion3 => "also-in-version-3",
            Self::NotRunning => "not-running",
        }
    }

    const fn of_message(error: ParseError) -> Self {
        match error {
            ParseError::UnknownVersion { .. } | ParseError::Version2OverIpv6 => Self::Version,
            ParseError::UnknownType { .. } => Self::InvalidType,
            ParseError::Checksum { .. } => Self::Checksum,
            ParseError::ZeroVrid => Self::Vrid,
            ParseError::UnknownAuthenticationType { .. } => Self::InvalidAuthenticationType,
            ParseError::NoAddresses => Self::AddressList,
            ParseError::ZeroInterval => Self::Interval,
            ParseError::TooShort { .. }
            | ParseError::Incomplete { .. }
            | ParseError::TrailingOctets { .. }
            | _ => Self::PacketLength,
        }
    }

    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|counter| *counter == self).unwrap_or_default()
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

struct HopLimit(Option<u8>);

impl fmt::Display for HopLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(found) => found.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_listed_once_under_a_name_of_its_own() {
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter.index(), index);
            let same_name = Counter::ALL.into_iter().filter(|other| other.name() == counter.name());
            assert_eq!(same_name.count(), 1, "{counter}");
        }
    }
}
