//! Which configurations make sense.

use core::{net::IpAddr, time::Duration};

use vrrp_proto::{
    AddressFamily, AdverInt, Authentication, Interval, IntervalError, MaxAdvertiseInterval,
    Priority, Version,
};

use crate::{Config, ConfigError, GuardConfig};

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
        check_all("virtual_addresses", addresses, self.family)?;
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

/// Whether these, which stand in `field`, are different addresses of hosts of this family.
pub(crate) fn check_all(
    field: &'static str,
    addresses: &[IpAddr],
    family: AddressFamily,
) -> Result<(), ConfigError> {
    for (index, &address) in addresses.iter().enumerate() {
        if AddressFamily::of(&address) != family {
            return Err(ConfigError::WrongFamily { field, address, family });
        }
        if address.is_multicast() || address.is_unspecified() {
            return Err(ConfigError::NotAHost { field, address });
        }
        if addresses.iter().take(index).any(|earlier| *earlier == address) {
            return Err(ConfigError::Duplicate { field, address });
        }
    }
    Ok(())
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
                    field: "virtual_addresses",
                    address: address("fe80::1"),
                    family: AddressFamily::Ipv4,
                },
            ),
            (
                config().virtual_addresses(vec![address("224.0.0.18")]),
                ConfigError::NotAHost {
                    field: "virtual_addresses",
                    address: address("224.0.0.18"),
                },
            ),
            (
                config().virtual_addresses(vec![address("192.0.2.1"); 2]),
                ConfigError::Duplicate {
                    field: "virtual_addresses",
                    address: address("192.0.2.1"),
                },
            ),
            (
                config_v6(&["2001:db8::1", "fe80::1"]),
                ConfigError::FirstNotLinkLocal { address: address("2001:db8::1") },
            ),
            (config().paths(vec![]), ConfigError::NoPath),
            (unicast(vec![]), ConfigError::NoPeers),
            (
                unicast(vec![address("::1")]),
                ConfigError::WrongFamily {
                    field: "paths",
                    address: address("::1"),
                    family: AddressFamily::Ipv4,
                },
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
