//! Which configurations make sense.

use core::{net::IpAddr, num::NonZeroU8, time::Duration};

use vrrp_proto::{
    AddressFamily, AdverInt, Authentication, Interval, IntervalError, MaxAdvertiseInterval,
    Priority, Version,
};

use crate::{Config, GuardConfig};

impl Config {
    /// Checks the values against each other and returns the interval as it stands in our packets.
    pub(crate) fn validate(&self) -> Result<Intervals, ConfigError> {
        if self.version == Version::V2 && self.family == AddressFamily::Ipv6 {
            return Err(ConfigError::Ipv6NeedsVersion3);
        }
        if self.also_version_2 {
            if self.version != Version::V3 {
                return Err(ConfigError::AlsoVersion2NeedsVersion3);
            }
            if self.family == AddressFamily::Ipv6 {
                return Err(ConfigError::AlsoVersion2NeedsIpv4);
            }
        }
        let speaks_version_2 = self.version == Version::V2 || self.also_version_2;
        if !speaks_version_2 && self.authentication != Authentication::None {
            return Err(ConfigError::AuthenticationNeedsVersion2);
        }
        if let Some(trailer) = &self.trailer {
            if self.authentication != Authentication::None {
                return Err(ConfigError::TwoAuthentications);
            }
            trailer.validate()?;
        }
        if self.priority == Priority::RELEASE {
            return Err(ConfigError::PriorityZero);
        }
        if !(1..=MAX_MISSED_ADVERTISEMENTS).contains(&self.missed_advertisements) {
            return Err(ConfigError::MissedAdvertisements { number: self.missed_advertisements });
        }
        if self.preempt_delay > MAX_DELAY {
            return Err(ConfigError::PreemptDelay { delay: self.preempt_delay });
        }
        if self.start_delay > MAX_DELAY {
            return Err(ConfigError::StartDelay { delay: self.start_delay });
        }
        if let Some(guard) = self.guard {
            self.validate_guard(guard)?;
        }
        if let Some(interval) = self.announce_refresh
            && !(MIN_SECOND..=MAX_ANNOUNCE_REFRESH).contains(&interval)
        {
            return Err(ConfigError::AnnounceRefresh { interval });
        }
        if !(MIN_SECOND..=MAX_EFFECT_DEADLINE).contains(&self.effect_deadline) {
            return Err(ConfigError::EffectDeadline { deadline: self.effect_deadline });
        }
        self.validate_addresses()?;
        self.validate_paths()?;
        self.wire_intervals().map_err(ConfigError::from)
    }

    fn wire_intervals(&self) -> Result<Intervals, IntervalError> {
        let seconds = || AdverInt::from_duration(self.advertisement_interval);
        let own = match self.version {
            Version::V2 => Interval::Seconds(seconds()?),
            Version::V3 => Interval::Centiseconds(MaxAdvertiseInterval::from_duration(
                self.advertisement_interval,
            )?),
        };
        let in_version_2 = self.also_version_2.then(seconds).transpose()?;
        Ok(Intervals { own, in_version_2 })
    }

    fn validate_guard(&self, guard: GuardConfig) -> Result<(), ConfigError> {
        if self.priority.is_owner() {
            return Err(ConfigError::GuardOfOwner);
        }
        if self.sync_group {
            return Err(ConfigError::GuardOfMember);
        }
        guard.validate()
    }

    fn validate_addresses(&self) -> Result<(), ConfigError> {
        let addresses = &self.virtual_addresses;
        let Some(first) = addresses.first() else {
            return Err(ConfigError::NoAddresses);
        };
        // RFC 9568 §5.2.5: the count is an 8-bit field.
        if addresses.len() > MAX_ADDRESSES {
            return Err(ConfigError::TooManyAddresses { count: addresses.len() });
        }
        check_all(addresses, self.family)?;
        if self.link_local_first && !is_link_local_or_ipv4(*first) {
            return Err(ConfigError::FirstNotLinkLocal { address: *first });
        }
        Ok(())
    }
}

impl GuardConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let deadline = self.deadline;
        if deadline.is_zero() || deadline > MAX_VERDICT_DEADLINE {
            return Err(ConfigError::VerdictDeadline { deadline });
        }
        Ok(())
    }
}

const MAX_VERDICT_DEADLINE: Duration = Duration::from_secs(60);
/// Our interval as it stands in our advertisements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intervals {
    pub(crate) own: Interval,
    /// With [`Config::also_version_2`].
    pub(crate) in_version_2: Option<AdverInt>,
}

const MIN_SECOND: Duration = Duration::from_secs(1);
const MAX_ANNOUNCE_REFRESH: Duration = Duration::from_secs(86_400);
const MAX_EFFECT_DEADLINE: Duration = Duration::from_secs(3_600);
const MAX_ADDRESSES: usize = 255;
const MAX_MISSED_ADVERTISEMENTS: u8 = 100;
/// RFC 8347: `hold-time` is 16 bits of seconds.
const MAX_DELAY: Duration = Duration::from_secs(0xffff);

/// RFC 9568 §5.2.9: the first address of an IPv6 list is the link-local one of the virtual router.
pub(crate) fn is_link_local_or_ipv4(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

pub(crate) fn check_all(addresses: &[IpAddr], family: AddressFamily) -> Result<(), ConfigError> {
    for (index, &address) in addresses.iter().enumerate() {
        if AddressFamily::of(&address) != family {
            return Err(ConfigError::WrongFamily { address, family });
        }
        if address.is_multicast() || address.is_unspecified() {
            return Err(ConfigError::NotAHost { address });
        }
        if addresses.iter().take(index).any(|earlier| *earlier == address) {
            return Err(ConfigError::Duplicate { address });
        }
    }
    Ok(())
}

/// Why a [`Config`] cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Version 2 was asked for with IPv6, which only version 3 has.
    #[error("IPv6 needs version 3 of the protocol")]
    Ipv6NeedsVersion3,
    /// Version 3 was asked for with a password or a key; RFC 9568 §9 has no authentication.
    #[error("authentication needs version 2 of the protocol")]
    AuthenticationNeedsVersion2,
    /// A trailer was asked for beside a password or a key of version 2.
    #[error("advertisements have either a trailer or the authentication of version 2")]
    TwoAuthentications,
    /// Two keys of trailers have the same number.
    #[error("two keys have the id {id}")]
    DuplicateTrailerKey {
        /// The number.
        id: NonZeroU8,
    },
    /// The time window of trailers is out of range.
    #[error("a time window is 1 s to 300 s, not {window:?}")]
    TimeWindow {
        /// What was configured.
        window: Duration,
    },
    /// Version 2 was asked for beside version 2.
    #[error("also_version_2 is for version 3 of the protocol")]
    AlsoVersion2NeedsVersion3,
    /// Version 2 was asked for beside version 3 over IPv6, which only version 3 has.
    #[error("also_version_2 is for IPv4: version 2 has no IPv6")]
    AlsoVersion2NeedsIpv4,
    /// Priority 0 was configured; on the wire it means that the Master leaves (RFC 9568 §5.2.4).
    #[error("priority 0 is reserved for leaving: use 1 to 255")]
    PriorityZero,
    /// The number of advertisements that may be missed is out of range.
    #[error("missed advertisements are 1 to 100, not {number}")]
    MissedAdvertisements {
        /// What was configured.
        number: u8,
    },
    /// The preempt delay is out of range.
    #[error("a preempt delay is at most 65535 s, not {delay:?}")]
    PreemptDelay {
        /// What was configured.
        delay: Duration,
    },
    /// The start delay is out of range.
    #[error("a start delay is at most 65535 s, not {delay:?}")]
    StartDelay {
        /// What was configured.
        delay: Duration,
    },
    /// The deadline for verdicts is out of range.
    #[error("a guard's deadline is more than 0 and at most 60 s, not {deadline:?}")]
    VerdictDeadline {
        /// What was configured.
        deadline: Duration,
    },
    /// The owner of the addresses has a guard, which nobody would ask (RFC 9568 §6.4.1 makes the
    /// owner Master at once).
    #[error("a guard needs a priority of 1 to 254, not 255")]
    GuardOfOwner,
    /// A member of a sync group has a guard of its own; the group asks once for all of them.
    #[error("the guard of a sync group's member belongs to the group")]
    GuardOfMember,
    /// The pause between two announcements is out of range.
    #[error("announce_refresh is 1 s to 86400 s, not {interval:?}")]
    AnnounceRefresh {
        /// What was configured.
        interval: Duration,
    },
    /// The deadline for effects is out of range.
    #[error("effect_deadline is 1 s to 3600 s, not {deadline:?}")]
    EffectDeadline {
        /// What was configured.
        deadline: Duration,
    },
    /// The advertisement interval cannot be expressed in the version's field.
    #[error(transparent)]
    Interval(#[from] IntervalError),
    /// There is no virtual address; an advertisement without any is ignored (RFC 9568 §5.2.5).
    #[error("a virtual router needs at least one virtual address")]
    NoAddresses,
    /// There are more virtual addresses than an advertisement can count (RFC 9568 §5.2.5).
    #[error("an advertisement holds 255 addresses, not {count}")]
    TooManyAddresses {
        /// How many there are.
        count: usize,
    },
    /// An address is of the other family.
    #[error("{address} is not an {family} address")]
    WrongFamily {
        /// The address.
        address: IpAddr,
        /// The family of the virtual router.
        family: AddressFamily,
    },
    /// An address is a multicast or the unspecified one.
    #[error("{address} is not the address of a host")]
    NotAHost {
        /// The address.
        address: IpAddr,
    },
    /// An address is listed twice.
    #[error("{address} is listed twice")]
    Duplicate {
        /// The address.
        address: IpAddr,
    },
    /// The first IPv6 address is not a link-local one (RFC 9568 §5.2.9).
    #[error("the first address of an IPv6 virtual router is link-local, which {address} is not")]
    FirstNotLinkLocal {
        /// The first address.
        address: IpAddr,
    },
    /// There is no path to the other routers.
    #[error("a virtual router needs a path to the others")]
    NoPath,
    /// A unicast path has no peers.
    #[error("a unicast path needs at least one peer")]
    NoPeers,
    /// There are too many paths.
    #[error("a virtual router has 1 to 8 paths, not {count}")]
    TooManyPaths {
        /// How many there are.
        count: usize,
    },
    /// There are several paths, but no named peers: a router could not be told from others by the
    /// addresses it has on each of them.
    #[error("{count} paths need named peers")]
    PathsNeedPeers {
        /// How many paths there are.
        count: usize,
    },
    /// There are too many named peers.
    #[error("a virtual router has at most 255 named peers, not {count}")]
    TooManyPeers {
        /// How many there are.
        count: usize,
    },
    /// A named peer has no name.
    #[error("peer {peer} has no name")]
    NamelessPeer {
        /// Its index in [`Config::peers`].
        peer: usize,
    },
    /// A named peer has the name of an earlier one.
    #[error("peer {peer} has the name of another one")]
    DuplicatePeer {
        /// Its index in [`Config::peers`].
        peer: usize,
    },
    /// A named peer has not one address a path.
    #[error("peer {peer} needs one address for each of {paths} paths, not {addresses}")]
    PeerAddresses {
        /// Its index in [`Config::peers`].
        peer: usize,
        /// How many addresses it has.
        addresses: usize,
        /// How many paths there are.
        paths: usize,
    },
    /// A unicast path lists peers of its own beside the named ones.
    #[error("path {path} lists peers, although they are named")]
    PeersTwice {
        /// Its index in [`Config::paths`].
        path: usize,
    },
    /// A running virtual router cannot change its VRID or address family: it would be another one.
    #[error("the VRID and address family of a running virtual router cannot change")]
    IdentityChanged,
}

#[cfg(test)]
mod tests {
    use vrrp_proto::Vrid;

    use super::*;
    use crate::PathConfig;

    fn config() -> Config {
        Config::new(Vrid::new(51).unwrap(), AddressFamily::Ipv4)
            .virtual_addresses(vec!["192.0.2.1".parse().unwrap()])
    }

    fn config_v6(addresses: &[&str]) -> Config {
        Config::new(Vrid::new(51).unwrap(), AddressFamily::Ipv6)
            .virtual_addresses(addresses.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn the_defaults_are_those_of_the_rfc() {
        let config = config();
        let intervals = config.validate().unwrap();
        assert_eq!(intervals.own.as_duration(), Duration::from_secs(1));
        assert_eq!(config.priority.get(), 100);
        assert_eq!(config.missed_advertisements, 3);
        assert!(config.preempt_mode);
        assert!(!config.accept_mode);
    }

    #[test]
    fn each_mistake_has_its_error() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let many = (0..=255).map(|host| IpAddr::from([10, 0, 0, host])).collect();
        let unicast = |peers| config().paths(vec![PathConfig::unicast(peers)]);
        let password = Authentication::SimplePassword(vrrp_proto::Password::truncated(b"secret"));
        for (config, expected) in [
            (config_v6(&["fe80::1"]).version(Version::V2), ConfigError::Ipv6NeedsVersion3),
            (config().authentication(password), ConfigError::AuthenticationNeedsVersion2),
            (config().priority(Priority::RELEASE), ConfigError::PriorityZero),
            (config().missed_advertisements(0), ConfigError::MissedAdvertisements { number: 0 }),
            (
                config().preempt_delay(MAX_DELAY + Duration::from_nanos(1)),
                ConfigError::PreemptDelay { delay: MAX_DELAY + Duration::from_nanos(1) },
            ),
            (config().start_delay(Duration::MAX), ConfigError::StartDelay { delay: Duration::MAX }),
            (config().virtual_addresses(vec![]), ConfigError::NoAddresses),
            (config().virtual_addresses(many), ConfigError::TooManyAddresses { count: 256 }),
            (
                config().virtual_addresses(vec![address("fe80::1")]),
                ConfigError::WrongFamily {
                    address: address("fe80::1"),
                    family: AddressFamily::Ipv4,
                },
            ),
            (
                config().virtual_addresses(vec![address("224.0.0.18")]),
                ConfigError::NotAHost { address: address("224.0.0.18") },
            ),
            (
                config().virtual_addresses(vec![address("192.0.2.1"); 2]),
                ConfigError::Duplicate { address: address("192.0.2.1") },
            ),
            (
                config_v6(&["2001:db8::1", "fe80::1"]),
                ConfigError::FirstNotLinkLocal { address: address("2001:db8::1") },
            ),
            (config().paths(vec![]), ConfigError::NoPath),
            (unicast(vec![]), ConfigError::NoPeers),
            (
                unicast(vec![address("::1")]),
                ConfigError::WrongFamily { address: address("::1"), family: AddressFamily::Ipv4 },
            ),
            (
                config().paths(vec![PathConfig::multicast(), PathConfig::multicast()]),
                ConfigError::PathsNeedPeers { count: 2 },
            ),
        ] {
            assert_eq!(config.validate(), Err(expected), "{expected}");
        }
    }

    #[test]
    fn an_interval_fits_the_field_of_its_version() {
        let ok = |config: Config| config.validate().is_ok();
        let ms = Duration::from_millis;
        assert!(ok(config().advertisement_interval(ms(10))));
        assert!(ok(config().advertisement_interval(ms(40_950))));
        assert!(!ok(config().advertisement_interval(ms(40_960))));
        assert!(!ok(config().advertisement_interval(ms(15))));
        assert!(!ok(config().advertisement_interval(ms(0))));
        assert!(ok(config().version(Version::V2).advertisement_interval(ms(255_000))));
        assert!(!ok(config().version(Version::V2).advertisement_interval(ms(500))));
    }

    #[test]
    fn a_global_first_address_is_allowed_by_option() {
        assert!(config_v6(&["2001:db8::1"]).link_local_first(false).validate().is_ok());
    }
}
