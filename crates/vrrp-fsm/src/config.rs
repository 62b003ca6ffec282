use alloc::{vec, vec::Vec};
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{AddressFamily, Authentication, Priority, Version, Vrid};

use crate::{
    AddressListPolicy, AddressesLostPolicy, ChecksumPolicy, GuardConfig, HopLimitPolicy,
    OwnerReception, PathConfig, PeerConfig, ReleasePolicy, SendFailurePolicy, TrailerConfig,
    TrailingOctetsPolicy,
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
    /// Whether a version 3 router over IPv4 also sends and hears version 2, so that a network can
    /// change from one to the other (RFC 9568 §8.4.2, which does not recommend it for good).
    /// Default: false. Needs an interval that both versions can express: whole seconds, 1 s to 40 s.
    ///
    /// Every advertisement goes out twice, version 3 first. What is heard in version 2 counts as if
    /// it came in version 3, its interval included, unless the same Master says it in version 3 as
    /// well. `authentication` is that of version 2: version 3 has none, so that whoever relies on it
    /// is not protected while this is on.
    pub also_version_2: bool,
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
    /// How long a Master of a lower priority is tolerated before it is replaced: the
    /// `preempt/hold-time` of RFC 8347. Default: 0, at most 65,535 s.
    ///
    /// The time runs from its first advertisement; one of a priority that is not lower ends it.
    /// While it runs that Master is followed like any other: if it falls silent, it is replaced
    /// after a master-down interval. When it is over, its advertisements no longer count, so that
    /// it is replaced a master-down interval after the last one that did. Without `preempt_mode`,
    /// and for an owner, it means nothing.
    pub preempt_delay: Duration,
    /// How long after [`handle_startup`](crate::VirtualRouter::handle_startup) the router begins
    /// to take part: until then it is in Initialize and hears nothing. The owner waits as well.
    /// Default: 0, at most 65,535 s. A fault that clears later is not followed by another delay.
    pub start_delay: Duration,
    /// Whether the owner is Master at once when it starts (RFC 9568 §6.4.1). Default: true.
    /// Otherwise it waits a master-down interval first, as every other router does.
    pub owner_skips_backup: bool,
    /// Whether the owner hears advertisements. Default: as the version says.
    pub owner_reception: OwnerReception,
    /// Whether the router is a member of a [`SyncGroup`](crate::SyncGroup): it then has
    /// [`Fault::SyncGroup`](crate::Fault::SyncGroup) until the group lets it take part, and stays
    /// Backup until the group lets it be Master, also as the owner. Default: false.
    pub sync_group: bool,
    /// Who is asked before a silent Master is replaced. Default: nobody. Not for an owner; a member
    /// of a sync group leaves it to [the group](crate::SyncGroup::guard).
    pub guard: Option<GuardConfig>,
    /// `Accept_Mode`: whether a Master that is not the owner accepts packets for the addresses.
    /// Default: false (RFC 9568 §6.1). The machine only keeps it for the caller, who installs the
    /// addresses.
    pub accept_mode: bool,
    /// The advertised addresses, in the order they are sent in. 1–255 addresses of `family`.
    pub virtual_addresses: Vec<IpAddr>,
    /// Whether an IPv6 list has to start with a link-local address (RFC 9568 §5.2.9), in our
    /// configuration and in what is received. Default: true.
    pub link_local_first: bool,
    /// The authentication of version 2 (RFC 2338 §5.3.6). Default: none.
    pub authentication: Authentication,
    /// Signed advertisements, in either version. Default: none. They take the place of
    /// `authentication`, which has to be none then.
    pub trailer: Option<TrailerConfig>,
    /// What happens to octets behind the message that nobody asked for. Default: such a packet is
    /// discarded.
    pub trailing_octets: TrailingOctetsPolicy,
    /// Which checksums over IPv4 are sent and accepted. Default: all accepted, the one with a
    /// pseudo-header sent.
    pub checksum: ChecksumPolicy,
    /// What happens to an advertisement whose addresses are not ours. Default: as the version says.
    pub address_list_mismatch: AddressListPolicy,
    /// Whether a Master answers an advertisement that loses against its own at once (RFC 9568
    /// §6.4.3) instead of at the next interval (RFC 3768 §6.4.3). Default: true, in both versions.
    pub immediate_answer: bool,
    /// Whether a Master that yields to a better one advertises once more before it does. Default:
    /// false (RFC 9568 §6.4.3). It tells a Master that was separated from us that there were two,
    /// so that it announces its addresses again; each ordinary takeover looks like that, too. An
    /// owner that yields to another one always does: both have to learn of the
    /// [`Conflict`](crate::Conflict).
    pub advertise_before_yielding: bool,
    /// How often a Master announces the addresses again without any cause. Default: never. 1 s to
    /// 86,400 s.
    ///
    /// It mends what nobody notices: two Masters on separated parts of a network, of which the one
    /// that gives up is never heard by the other, leave hosts that know its MAC address.
    pub announce_refresh: Option<Duration>,
    /// How long the caller may take to answer an
    /// [`Output::SetAddresses`](crate::Output::SetAddresses); then it counts as failed. Default:
    /// 60 s. 1 s to 3,600 s.
    pub effect_deadline: Duration,
    /// Who may announce with priority 0 that the Master leaves. Default: only the recorded Master.
    pub release_from: ReleasePolicy,
    /// Whether a router that wakes up too late yields instead of acting on what it knew before.
    /// Default: true. See [`VirtualRouter`](crate::VirtualRouter#a-late-wake). It takes for granted
    /// that the others have the same `missed_advertisements`.
    pub late_wake_rule: bool,
    /// What a Master does that cannot send any advertisement. Default: it releases the addresses.
    pub send_failure: SendFailurePolicy,
    /// What a Master does when someone deletes its addresses. Default: it installs them again.
    pub addresses_lost: AddressesLostPolicy,
    /// Which hop limits are accepted on unicast paths. Default: any. On multicast paths it is
    /// always exactly 255 (RFC 9568 §5.1.1.3).
    pub unicast_hop_limit: HopLimitPolicy,
    /// The ways to the other routers, 1–8; [`PathId`](crate::PathId) is an index into it. Default:
    /// one multicast path.
    pub paths: Vec<PathConfig>,
    /// The other routers by name, at most 255, each with one address a path. Advertisements of anyone
    /// else are discarded, on multicast paths as well. Default: none, which is for one path only.
    pub peers: Vec<PeerConfig>,
}

impl Config {
    /// A version 3 router of priority 100 with one multicast path, 1 s intervals and no addresses
    /// yet.
    #[must_use]
    pub fn new(vrid: Vrid, family: AddressFamily) -> Self {
        Self {
            vrid,
            family,
            version: Version::V3,
            also_version_2: false,
            priority: Priority::DEFAULT,
            advertisement_interval: Duration::from_secs(1),
            missed_advertisements: 3,
            preempt_mode: true,
            preempt_delay: Duration::ZERO,
            start_delay: Duration::ZERO,
            owner_skips_backup: true,
            owner_reception: OwnerReception::default(),
            sync_group: false,
            guard: None,
            accept_mode: false,
            virtual_addresses: Vec::new(),
            link_local_first: true,
            authentication: Authentication::None,
            trailer: None,
            trailing_octets: TrailingOctetsPolicy::default(),
            checksum: ChecksumPolicy::default(),
            address_list_mismatch: AddressListPolicy::default(),
            immediate_answer: true,
            advertise_before_yielding: false,
            announce_refresh: None,
            effect_deadline: Duration::from_secs(60),
            release_from: ReleasePolicy::default(),
            late_wake_rule: true,
            send_failure: SendFailurePolicy::default(),
            addresses_lost: AddressesLostPolicy::default(),
            unicast_hop_limit: HopLimitPolicy::default(),
            paths: vec![PathConfig::multicast()],
            peers: Vec::new(),
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
    also_version_2: bool,
    priority: Priority,
    advertisement_interval: Duration,
    missed_advertisements: u8,
    preempt_mode: bool,
    preempt_delay: Duration,
    start_delay: Duration,
    owner_skips_backup: bool,
    owner_reception: OwnerReception,
    sync_group: bool,
    guard: Option<GuardConfig>,
    accept_mode: bool,
    virtual_addresses: Vec<IpAddr>,
    link_local_first: bool,
    authentication: Authentication,
    trailer: Option<TrailerConfig>,
    trailing_octets: TrailingOctetsPolicy,
    checksum: ChecksumPolicy,
    address_list_mismatch: AddressListPolicy,
    immediate_answer: bool,
    advertise_before_yielding: bool,
    announce_refresh: Option<Duration>,
    effect_deadline: Duration,
    release_from: ReleasePolicy,
    late_wake_rule: bool,
    send_failure: SendFailurePolicy,
    addresses_lost: AddressesLostPolicy,
    unicast_hop_limit: HopLimitPolicy,
    paths: Vec<PathConfig>,
    peers: Vec<PeerConfig>,
}
