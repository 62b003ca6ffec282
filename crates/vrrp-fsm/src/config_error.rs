use core::{net::IpAddr, num::NonZeroU8, time::Duration};

use vrrp_proto::{AddressFamily, IntervalError};

#[cfg(doc)]
use crate::Config;

/// Why a [`Config`] cannot be used. What it displays begins with the field, and has the value and its
/// range where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Version 2 was asked for with IPv6, which only version 3 has.
    #[error("version is 2: IPv6 needs version 3")]
    Ipv6NeedsVersion3,
    /// Version 3 was asked for with a password or a key; RFC 9568 §9 has no authentication.
    #[error("authentication needs version 2 of the protocol, alone or by also_version_2")]
    AuthenticationNeedsVersion2,
    /// A trailer was asked for beside a password or a key of version 2.
    #[error("trailer and authentication exclude each other")]
    TwoAuthentications,
    /// Two keys of trailers have the same number.
    #[error("trailer has two keys with the id {id}")]
    DuplicateTrailerKey {
        /// The number.
        id: NonZeroU8,
    },
    /// The time window of trailers is out of range.
    #[error("trailer has a time window of {window:?}, the range is 1 s to 300 s")]
    TimeWindow {
        /// What was configured.
        window: Duration,
    },
    /// Version 2 was asked for beside version 2.
    #[error("also_version_2 needs version 3 of the protocol")]
    AlsoVersion2NeedsVersion3,
    /// Version 2 was asked for beside version 3 over IPv6, which only version 3 has.
    #[error("also_version_2 needs IPv4: version 2 has no IPv6")]
    AlsoVersion2NeedsIpv4,
    /// Priority 0 was configured; on the wire it means that the Master leaves (RFC 9568 §5.2.4).
    #[error("priority is 0, which means leaving: the range is 1 to 255")]
    PriorityZero,
    /// The number of advertisements that may be missed is out of range.
    #[error("missed_advertisements is {number}, the range is 1 to 100")]
    MissedAdvertisements {
        /// What was configured.
        number: u8,
    },
    /// The preempt delay is out of range.
    #[error("preempt_delay is {delay:?}, the range is 0 s to 65535 s")]
    PreemptDelay {
        /// What was configured.
        delay: Duration,
    },
    /// The start delay is out of range.
    #[error("start_delay is {delay:?}, the range is 0 s to 65535 s")]
    StartDelay {
        /// What was configured.
        delay: Duration,
    },
    /// The deadline for verdicts is out of range.
    #[error("guard has a deadline of {deadline:?}, the range is 1 ns to 60 s")]
    VerdictDeadline {
        /// What was configured.
        deadline: Duration,
    },
    /// The owner of the addresses has a guard, which nobody would ask (RFC 9568 §6.4.1 makes the
    /// owner Master at once).
    #[error("guard needs a priority of 1 to 254, not 255")]
    GuardOfOwner,
    /// A member of a sync group has a guard of its own; the group asks once for all of them.
    #[error(
        "guard is for routers by themselves: that of a sync group's member belongs to the group"
    )]
    GuardOfMember,
    /// The pause between two announcements is out of range.
    #[error("announce_refresh is {interval:?}, the range is 1 s to 86400 s")]
    AnnounceRefresh {
        /// What was configured.
        interval: Duration,
    },
    /// The deadline for effects is out of range.
    #[error("effect_deadline is {deadline:?}, the range is 1 s to 3600 s")]
    EffectDeadline {
        /// What was configured.
        deadline: Duration,
    },
    /// The advertisement interval cannot be expressed in the version's field.
    #[error("advertisement_interval: {0}")]
    Interval(#[from] IntervalError),
    /// There is no virtual address; an advertisement without any is ignored (RFC 9568 §5.2.5).
    #[error("virtual_addresses has no address, the range is 1 to 255 addresses")]
    NoAddresses,
    /// There are more virtual addresses than an advertisement can count (RFC 9568 §5.2.5).
    #[error("virtual_addresses has {count} addresses, the range is 1 to 255")]
    TooManyAddresses {
        /// How many there are.
        count: usize,
    },
    /// An address is of the other family.
    #[error("{field}: {address} is not an {family} address")]
    WrongFamily {
        /// The field of [`Config`] it stands in.
        field: &'static str,
        /// The address.
        address: IpAddr,
        /// The family of the virtual router.
        family: AddressFamily,
    },
    /// An address is a multicast or the unspecified one.
    #[error("{field}: {address} is not the address of a host")]
    NotAHost {
        /// The field of [`Config`] it stands in.
        field: &'static str,
        /// The address.
        address: IpAddr,
    },
    /// An address is listed twice.
    #[error("{field}: {address} is listed twice")]
    Duplicate {
        /// The field of [`Config`] it stands in.
        field: &'static str,
        /// The address.
        address: IpAddr,
    },
    /// The first IPv6 address is not a link-local one (RFC 9568 §5.2.9).
    #[error(
        "virtual_addresses: the first of IPv6 is link-local (link_local_first), which {address} is not"
    )]
    FirstNotLinkLocal {
        /// The first address.
        address: IpAddr,
    },
    /// There is no path to the other routers.
    #[error("paths has no path, the range is 1 to 8 paths")]
    NoPath,
    /// A unicast path has no peers.
    #[error("paths: a unicast path needs at least one peer")]
    NoPeers,
    /// There are too many paths.
    #[error("paths has {count} paths, the range is 1 to 8")]
    TooManyPaths {
        /// How many there are.
        count: usize,
    },
    /// There are several paths, but no named peers: a router could not be told from others by the
    /// addresses it has on each of them.
    #[error("peers has no peer: {count} paths need named peers")]
    PathsNeedPeers {
        /// How many paths there are.
        count: usize,
    },
    /// There are too many named peers.
    #[error("peers has {count} peers, the range is 0 to 255")]
    TooManyPeers {
        /// How many there are.
        count: usize,
    },
    /// A named peer has no name.
    #[error("peers: number {peer} has no name")]
    NamelessPeer {
        /// Its index in [`Config::peers`].
        peer: usize,
    },
    /// A named peer has the name of an earlier one.
    #[error("peers: number {peer} has the name of another one")]
    DuplicatePeer {
        /// Its index in [`Config::peers`].
        peer: usize,
    },
    /// A named peer has not one address a path.
    #[error(
        "peers: number {peer} has {addresses} addresses, one for each of {paths} paths is needed"
    )]
    PeerAddresses {
        /// Its index in [`Config::peers`].
        peer: usize,
        /// How many addresses it has.
        addresses: usize,
        /// How many paths there are.
        paths: usize,
    },
    /// A unicast path lists peers of its own beside the named ones.
    #[error("paths: number {path} lists peers, although they are named in peers")]
    PeersTwice {
        /// Its index in [`Config::paths`].
        path: usize,
    },
    /// A running virtual router cannot change its VRID or address family: it would be another one.
    #[error("vrid and family of a running virtual router cannot change")]
    IdentityChanged,
}
