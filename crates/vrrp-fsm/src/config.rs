use alloc::{vec, vec::Vec};
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{
    AddressFamily, AdverInt, Authentication, ChecksumForm, Interval, IntervalError,
    MaxAdvertiseInterval, Priority, Version, Vrid,
};

/// What an operator decides about one virtual router (RFC 9568 §6.1).
///
/// Made by [`Config::new`] and changed by the methods of the same names as the fields. It is
/// checked as a whole by [`VirtualRouter::new`](crate::VirtualRouter::new) and
/// [`VirtualRouter::handle_config`](crate::VirtualRouter::handle_config).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent parameters, most of them RFC 9568's"
)]
pub struct Config {
    /// The virtual router's number on its link, 1–255.
    pub vrid: Vrid,
    /// IPv4 or IPv6: the elections of the two are independent, even under one VRID.
    pub family: AddressFamily,
    /// The protocol version that is sent and accepted. Default: version 3. Version 2 is IPv4 only.
    pub version: Version,
    /// 1–254, default 100; 255 for the owner of the addresses (RFC 9568 §6.1).
    pub priority: Priority,
    /// The time between two advertisements of ours. Default: 1 s. Version 3: 10 ms to 40.95 s in
    /// steps of 10 ms; version 2: 1 s to 255 s in steps of 1 s.
    pub advertisement_interval: Duration,
    /// How many advertisements may be missed before the Master counts as dead. Default: 3 (RFC 9568
    /// §6.1), 1–100. Local: nothing on the wire depends on it.
    pub missed_advertisements: u8,
    /// `Preempt_Mode`: whether a Master of a lower priority is replaced. Default: true. An owner
    /// replaces it in any case (RFC 9568 §6.1).
    pub preempt_mode: bool,
    /// `Accept_Mode`: whether a Master that is not the owner accepts packets for the addresses.
    /// Default: false (RFC 9568 §6.1). The machine only keeps it for the caller, who installs the addresses.
    pub accept_mode: bool,
    /// The advertised addresses, in the order they are sent in. 1–255 addresses of `family`.
    pub virtual_addresses: Vec<IpAddr>,
    /// Whether an IPv6 list has to start with a link-local address (RFC 9568 §5.2.9), in our
    /// configuration and in what is received. Default: true.
    pub link_local_first: bool,
    /// The authentication of version 2 (RFC 2338 §5.3.6). Default: none.
    pub authentication: Authentication,
    /// Which checksums over IPv4 are sent and accepted. Default: both accepted, the one with a pseudo-header sent.
    pub checksum: ChecksumPolicy,
    /// What happens to an advertisement whose addresses are not ours. Default: as the version says.
    pub address_list_mismatch: AddressListPolicy,
    /// Whether a Master answers an advertisement that loses against its own at once (RFC 9568
    /// §6.4.3) instead of at the next interval (RFC 3768 §6.4.3). Default: true, in both versions.
    pub immediate_answer: bool,
    /// Who may announce with priority 0 that the Master leaves. Default: only the recorded Master.
    pub release_from: ReleasePolicy,
    /// Whether a router that wakes up too late yields instead of acting on what it knew before.
    /// Default: true. See [`VirtualRouter`](crate::VirtualRouter#a-late-wake).
    pub late_wake_rule: bool,
    /// What a Master does that cannot send any advertisement. Default: it releases the addresses.
    pub send_failure: SendFailurePolicy,
    /// What a Master does when someone deletes its addresses. Default: it installs them again.
    pub addresses_lost: AddressesLostPolicy,
    /// Which hop limits are accepted on unicast paths. Default: any. On multicast paths it is
    /// always exactly 255 (RFC 9568 §5.1.1.3).
    pub unicast_hop_limit: HopLimitPolicy,
    /// The ways to the other routers; [`PathId`] is an index into it. Default: one multicast path.
    pub paths: Vec<PathConfig>,
}

/// Names one path of a virtual router: its index in [`Config::paths`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PathId(u8);

impl PathId {
    /// The first path, whose source addresses break ties.
    pub const FIRST: Self = Self(0);

    /// The path at this index.
    #[must_use]
    pub const fn new(index: u8) -> Self {
        Self(index)
    }

    /// The index.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One way to the other routers of the virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathConfig {
    /// To whom it leads.
    pub mode: PathMode,
}

impl PathConfig {
    /// To everyone on the link, by the multicast group of VRRP (RFC 9568 §5.1.1.2, §5.1.2.2).
    #[must_use]
    pub const fn multicast() -> Self {
        Self { mode: PathMode::Multicast }
    }

    /// To the named peers, one packet each. Not in any RFC; keepalived does it as well.
    #[must_use]
    pub const fn unicast(peers: Vec<IpAddr>) -> Self {
        Self { mode: PathMode::Unicast { peers } }
    }
}

/// To whom a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathMode {
    /// To the multicast group of VRRP.
    Multicast,
    /// To these addresses; advertisements from any other source are discarded.
    Unicast {
        /// The other routers' addresses on this path.
        peers: Vec<IpAddr>,
    },
}

/// Which checksums of version 3 over IPv4 are sent and accepted.
///
/// RFC 9568 §5.2.8 sums the message only; RFC 5798 as deployed (keepalived, FRR) also a
/// pseudo-header. Version 2 and IPv6 have one form each and are not concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChecksumPolicy {
    /// Either form is accepted.
    AcceptEither {
        /// The form of our own advertisements.
        send: ChecksumForm,
    },
    /// One form is sent, and nothing else accepted.
    Strict(ChecksumForm),
}

impl ChecksumPolicy {
    pub(crate) const fn sent(self) -> ChecksumForm {
        match self {
            Self::AcceptEither { send } | Self::Strict(send) => send,
        }
    }
}

impl Default for ChecksumPolicy {
    fn default() -> Self {
        Self::AcceptEither { send: ChecksumForm::PseudoHeader }
    }
}

/// What happens to an advertisement whose address list differs from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AddressListPolicy {
    /// Version 2 discards it unless its priority is 255 (RFC 3768 §7.1); version 3 counts it (RFC 9568 §7.1).
    #[default]
    ByVersion,
    /// It is counted and used.
    Count,
    /// It is counted and discarded.
    Discard,
}

/// Whose priority 0 makes a Backup take over early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ReleasePolicy {
    /// Only the one of the Master that was heard last: a late duplicate of a former Master's is
    /// ignored. A restriction of RFC 9568 §6.4.2, which does not look at the sender.
    #[default]
    RecordedMaster,
    /// Everyone's (RFC 9568 §6.4.2 to the letter).
    Anyone,
}

/// What a Master does when no advertisement leaves on any path for a master-down interval: by then
/// the other routers have elected another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SendFailurePolicy {
    /// It releases the addresses, with [`Fault::CannotAdvertise`](crate::Fault::CannotAdvertise).
    #[default]
    Release,
    /// It keeps them: two Masters rather than none.
    Keep,
}

/// What a Master does when someone else deletes its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AddressesLostPolicy {
    /// It installs them again.
    #[default]
    Reinstall,
    /// It releases the rest with priority 0 and becomes Backup for one skew time, as keepalived does.
    StepDown,
}

/// Which hop limits are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HopLimitPolicy {
    /// Every one, also an unknown one: routers may lie between the peers, and keepalived sends
    /// unicast IPv6 with 64.
    #[default]
    Any,
    /// This one or more (RFC 5082): 255 allows only neighbours, 254 one router between, and so on.
    AtLeast(u8),
}

impl Config {
    /// A version 3 router of priority 100 with one multicast path, 1 s intervals and no addresses yet.
    #[must_use]
    pub fn new(vrid: Vrid, family: AddressFamily) -> Self {
        Self {
            vrid,
            family,
            version: Version::V3,
            priority: Priority::DEFAULT,
            advertisement_interval: Duration::from_secs(1),
            missed_advertisements: 3,
            preempt_mode: true,
            accept_mode: false,
            virtual_addresses: Vec::new(),
            link_local_first: true,
            authentication: Authentication::None,
            checksum: ChecksumPolicy::default(),
            address_list_mismatch: AddressListPolicy::default(),
            immediate_answer: true,
            release_from: ReleasePolicy::default(),
            late_wake_rule: true,
            send_failure: SendFailurePolicy::default(),
            addresses_lost: AddressesLostPolicy::default(),
            unicast_hop_limit: HopLimitPolicy::default(),
            paths: vec![PathConfig::multicast()],
        }
    }
}

/// Defines one chaining setter a field, so that a name is written once.
macro_rules! setters {
    ($($field:ident: $type:ty),* $(,)?) => {
        impl Config {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](field@Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    version: Version,
    priority: Priority,
    advertisement_interval: Duration,
    missed_advertisements: u8,
    preempt_mode: bool,
    accept_mode: bool,
    virtual_addresses: Vec<IpAddr>,
    link_local_first: bool,
    authentication: Authentication,
    checksum: ChecksumPolicy,
    address_list_mismatch: AddressListPolicy,
    immediate_answer: bool,
    release_from: ReleasePolicy,
    late_wake_rule: bool,
    send_failure: SendFailurePolicy,
    addresses_lost: AddressesLostPolicy,
    unicast_hop_limit: HopLimitPolicy,
    paths: Vec<PathConfig>,
}

impl Config {
    /// Checks the values against each other and returns the interval as it stands in our packets.
    pub(crate) fn validate(&self) -> Result<Interval, ConfigError> {
        if self.version == Version::V2 && self.family == AddressFamily::Ipv6 {
            return Err(ConfigError::Ipv6NeedsVersion3);
        }
        if self.version != Version::V2 && self.authentication != Authentication::None {
            return Err(ConfigError::AuthenticationNeedsVersion2);
        }
        if self.priority == Priority::RELEASE {
            return Err(ConfigError::PriorityZero);
        }
        if !(1..=MAX_MISSED_ADVERTISEMENTS).contains(&self.missed_advertisements) {
            return Err(ConfigError::MissedAdvertisements { number: self.missed_advertisements });
        }
        self.validate_addresses()?;
        self.validate_paths()?;
        self.wire_interval().map_err(ConfigError::from)
    }

    fn wire_interval(&self) -> Result<Interval, IntervalError> {
        Ok(match self.version {
            Version::V2 => Interval::Seconds(AdverInt::from_duration(self.advertisement_interval)?),
            Version::V3 => Interval::Centiseconds(MaxAdvertiseInterval::from_duration(
                self.advertisement_interval,
            )?),
        })
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

    fn validate_paths(&self) -> Result<(), ConfigError> {
        match self.paths.as_slice() {
            [] => Err(ConfigError::NoPath),
            [PathConfig { mode: PathMode::Multicast }] => Ok(()),
            [PathConfig { mode: PathMode::Unicast { peers } }] => {
                if peers.is_empty() {
                    return Err(ConfigError::NoPeers);
                }
                check_all(peers, self.family)
            }
            // Routers with several addresses need a name to be known by, which packets do not carry.
            more => Err(ConfigError::SeveralPaths { count: more.len() }),
        }
    }
}

const MAX_ADDRESSES: usize = 255;
const MAX_MISSED_ADVERTISEMENTS: u8 = 100;

/// RFC 9568 §5.2.9: the first address of an IPv6 list is the link-local one of the virtual router.
pub(crate) fn is_link_local_or_ipv4(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn check_all(addresses: &[IpAddr], family: AddressFamily) -> Result<(), ConfigError> {
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
    /// Version 3 was asked for with a password; RFC 9568 §9 has no authentication.
    #[error("authentication needs version 2 of the protocol")]
    AuthenticationNeedsVersion2,
    /// Priority 0 was configured; on the wire it means that the Master leaves (RFC 9568 §5.2.4).
    #[error("priority 0 is reserved for leaving: use 1 to 255")]
    PriorityZero,
    /// The number of advertisements that may be missed is out of range.
    #[error("missed advertisements are 1 to 100, not {number}")]
    MissedAdvertisements {
        /// What was configured.
        number: u8,
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
    /// There are several paths, which is not supported yet.
    #[error("one path is supported, not {count}")]
    SeveralPaths {
        /// How many there are.
        count: usize,
    },
    /// A running virtual router cannot change its VRID, address family or version: it would be another one.
    #[error("the VRID, address family and version of a running virtual router cannot change")]
    IdentityChanged,
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let interval = config.validate().unwrap();
        assert_eq!(interval.as_duration(), Duration::from_secs(1));
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
                ConfigError::SeveralPaths { count: 2 },
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
