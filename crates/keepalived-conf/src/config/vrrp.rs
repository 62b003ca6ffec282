//! `vrrp_instance`, `vrrp_sync_group`, `vrrp_script`.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::global::{Garp, Global};
use super::network::Network;
use crate::source::{Span, Spanned};

/// `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the configuration has these two words")]
pub enum InitialState {
    /// `MASTER`.
    Master,
    /// `BACKUP`.
    Backup,
}

/// `version`, `vrrp_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "VRRP has these two versions")]
pub enum VrrpVersion {
    /// RFC 3768.
    V2,
    /// RFC 9568.
    V3,
}

/// `auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthenticationKind {
    /// `PASS`: a password in the clear.
    Pass,
    /// `AH`: `IPsec` authentication header.
    Ah,
}

/// `authentication { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authentication {
    /// `auth_type`.
    pub kind: Option<Spanned<AuthenticationKind>>,
    /// `auth_pass` as it is written; use [`Authentication::password`] for what goes on the wire.
    pub auth_pass: Option<Spanned<String>>,
}

impl Authentication {
    /// The first eight bytes of `auth_pass`: all that fits into an advertisement, and all that
    /// keepalived takes for the key of an authentication header.
    #[must_use]
    pub fn password(&self) -> Option<&[u8]> {
        let bytes = self.auth_pass.as_ref()?.value.as_bytes();
        bytes.get(..bytes.len().min(8))
    }
}

/// One line of `virtual_ipaddress` or `virtual_ipaddress_excluded`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VirtualAddress {
    /// Address and prefix length; /32 and /128 when none is written.
    pub address: Spanned<Network>,
    /// `dev`; default: the instance's interface.
    pub interface: Option<Spanned<String>>,
    /// `scope`; default `global`.
    pub scope: Option<Spanned<String>>,
    /// `label`.
    pub label: Option<Spanned<String>>,
    /// `brd`: an address, `+` or `-`.
    pub broadcast: Option<Spanned<String>>,
    /// `peer`.
    pub peer: Option<Spanned<Network>>,
    /// `-nodad`: leave duplicate address detection on.
    pub detect_duplicates: Option<Span>,
    /// `no_track`.
    pub no_track: Option<Span>,
    /// `preferred_lft`.
    pub preferred_lifetime: Option<Spanned<String>>,
}

/// One line of `virtual_routes` or `virtual_rules`: the words of `ip route` and `ip rule`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WordLine {
    /// The words.
    pub words: Vec<String>,
    /// All of them.
    pub span: Span,
}

/// One line of `unicast_peer`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnicastPeer {
    /// The peer.
    pub address: Spanned<IpAddr>,
    /// `min_ttl`.
    pub min_ttl: Option<Spanned<u8>>,
    /// `max_ttl`.
    pub max_ttl: Option<Spanned<u8>>,
}

/// One line of `track_script`, `track_interface`, ...
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Track {
    /// The script, interface, file or process.
    pub name: Spanned<String>,
    /// `weight`; 0 (a failure is a fault) when the tracker itself has none.
    pub weight: Option<Spanned<i16>>,
    /// `reverse`.
    pub reverse: Option<Span>,
}

/// A command line with the user that runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command {
    /// Program and arguments.
    pub words: Vec<String>,
    /// The user, when written.
    pub user: Option<Spanned<String>>,
    /// The group, when written.
    pub group: Option<Spanned<String>>,
    /// The command without user and group.
    pub span: Span,
}

/// `notify`, `notify_master`, ...
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notify {
    /// `notify`: every state; type, name, state and priority are appended.
    pub any: Option<Command>,
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
    /// The script of `notify_deleted`.
    pub deleted: Option<Command>,
    /// `notify_deleted`: what a reload removes is told of as deleted, not as a fault.
    pub tells_deletion: Option<Span>,
    /// `notify_master_rx_lower_pri`.
    pub master_rx_lower_pri: Option<Command>,
}

/// `vrrp_script NAME { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VrrpScript {
    /// Its name.
    pub name: Spanned<String>,
    /// `script`.
    pub script: Option<Command>,
    /// `interval`; default 1 s.
    pub interval: Option<Spanned<Duration>>,
    /// `timeout`; default: the interval.
    pub timeout: Option<Spanned<Duration>>,
    /// `weight`; default 0.
    pub weight: Option<Spanned<i16>>,
    /// `weight N reverse`.
    pub reverse: Option<Span>,
    /// `rise`; default 1.
    pub rise: Option<Spanned<u32>>,
    /// `fall`; default 1.
    pub fall: Option<Spanned<u32>>,
    /// The user of `user USER [GROUP]`.
    pub user: Option<Spanned<String>>,
    /// The group of `user USER [GROUP]`.
    pub group: Option<Spanned<String>>,
    /// `init_fail`.
    pub init_fail: Option<Spanned<bool>>,
    /// Keyword and name.
    pub span: Span,
}

/// `track_file NAME { }`, `vrrp_track_file NAME { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackFile {
    /// Its name.
    pub name: Spanned<String>,
    /// `file`: where it is.
    pub path: Option<Spanned<String>>,
    /// `weight`: what the number in it is multiplied by; default 1.
    pub weight: Option<Spanned<i16>>,
    /// `weight N reverse`.
    pub reverse: Option<Span>,
    /// `init_file`: it is made when it is not there, with this number.
    pub init: Option<Spanned<i32>>,
    /// `init_file ... overwrite`.
    pub overwrite: Option<Span>,
    /// Keyword and name.
    pub span: Span,
}

/// `vrrp_sync_group NAME { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncGroup {
    /// Its name.
    pub name: Spanned<String>,
    /// `group { }`: names of instances.
    pub members: Vec<Spanned<String>>,
    /// `notify...`.
    pub notify: Notify,
    /// `smtp_alert`.
    pub smtp_alert: Option<Spanned<bool>>,
    /// `track_interface`.
    pub track_interfaces: Vec<Track>,
    /// `track_script`.
    pub track_scripts: Vec<Track>,
    /// `track_file`.
    pub track_files: Vec<Track>,
    /// `sync_group_tracking_weight`, `global_tracking`: weights count for the members.
    pub tracking_weight: Option<Span>,
    /// Keyword and name.
    pub span: Span,
}

/// `vrrp_instance NAME { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VrrpInstance {
    /// Its name.
    pub name: Spanned<String>,
    /// `state`.
    pub state: Option<Spanned<InitialState>>,
    /// `interface`.
    pub interface: Option<Spanned<String>>,
    /// `virtual_router_id`, 1 to 255.
    pub virtual_router_id: Option<Spanned<u8>>,
    /// `priority`, 1 to 255.
    pub priority: Option<Spanned<u8>>,
    /// `advert_int` as written, 0.01 to 255 s; see [`VrrpInstance::advertisement_interval`].
    pub advert_int: Option<Spanned<Duration>>,
    /// `version`.
    pub version: Option<Spanned<VrrpVersion>>,
    /// `native_ipv6`.
    pub native_ipv6: Option<Spanned<bool>>,
    /// `authentication`.
    pub authentication: Option<Spanned<Authentication>>,
    /// `virtual_ipaddress`, in the order of the file.
    pub virtual_addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded`: installed, not advertised.
    pub excluded_addresses: Vec<VirtualAddress>,
    /// `virtual_routes`.
    pub virtual_routes: Vec<WordLine>,
    /// `virtual_rules`.
    pub virtual_rules: Vec<WordLine>,
    /// `nopreempt`.
    pub nopreempt: Option<Span>,
    /// `preempt_delay`, 0 to 1000 s.
    pub preempt_delay: Option<Spanned<Duration>>,
    /// `unicast_src_ip`.
    pub unicast_src_ip: Option<Spanned<IpAddr>>,
    /// `unicast_peer`.
    pub unicast_peers: Vec<UnicastPeer>,
    /// `mcast_src_ip`.
    pub mcast_src_ip: Option<Spanned<IpAddr>>,
    /// `track_interface`.
    pub track_interfaces: Vec<Track>,
    /// `track_script`.
    pub track_scripts: Vec<Track>,
    /// `track_file`.
    pub track_files: Vec<Track>,
    /// `notify...`.
    pub notify: Notify,
    /// `smtp_alert`.
    pub smtp_alert: Option<Spanned<bool>>,
    /// `garp_...`, over those of `global_defs`.
    pub garp: Garp,
    /// `down_timer_adverts`, 1 to 100; default 3.
    pub down_timer_adverts: Option<Spanned<u8>>,
    /// `lower_prio_no_advert`, over that of `global_defs`.
    pub lower_prio_no_advert: Option<Spanned<bool>>,
    /// `higher_prio_send_advert`, over that of `global_defs`.
    pub higher_prio_send_advert: Option<Spanned<bool>>,
    /// `use_vmac`, with the name of the interface if it is written.
    pub use_vmac: Option<Spanned<Option<String>>>,
    /// `vmac_xmit_base`: advertisements leave from the interface below.
    pub vmac_xmit_base: Option<Span>,
    /// `no_accept`: packets for the addresses are not taken.
    pub no_accept: Option<Span>,
    /// `dont_track_primary`: the loss of the instance's own link is no fault.
    pub dont_track_primary: Option<Span>,
    /// Keyword and name.
    pub span: Span,
}

impl VrrpInstance {
    /// The priority: written, else 255 with `state MASTER`, else 100.
    #[must_use]
    pub fn effective_priority(&self) -> u8 {
        let master = self.state.is_some_and(|state| state.value == InitialState::Master);
        self.priority.map_or(if master { 255 } else { 100 }, |priority| priority.value)
    }

    /// The state it starts in: written, else `MASTER` with priority 255, else `BACKUP`.
    #[must_use]
    pub fn initial_state(&self) -> InitialState {
        let owner = self.effective_priority() == 255;
        self.state
            .map_or(if owner { InitialState::Master } else { InitialState::Backup }, |state| {
                state.value
            })
    }

    /// Whether it waits for a lower master to leave: `nopreempt`, which priority 255 and `state MASTER` cancel.
    #[must_use]
    pub fn preempts(&self) -> bool {
        self.nopreempt.is_none()
            || self.effective_priority() == 255
            || self.initial_state() == InitialState::Master
    }

    /// Whether the first address is an IPv6 one (the family of the instance).
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        let first =
            self.virtual_addresses.first().map(|address| address.address.value.addr().is_ipv6());
        let unicast = self.unicast_src_ip.map(|address| address.value.is_ipv6());
        first.or(unicast).unwrap_or(self.native_ipv6.is_some_and(|native| native.value))
    }

    /// The version of the protocol: 3 for IPv6; for IPv4 what is written here, else in `global_defs`, else 2.
    #[must_use]
    pub fn effective_version(&self, global: &Global) -> VrrpVersion {
        if self.is_ipv6() {
            return VrrpVersion::V3;
        }
        self.version.or(global.vrrp_version).map_or(VrrpVersion::V2, |version| version.value)
    }

    /// How many of its addresses an advertisement has room for: 255 of IPv4, 89 of IPv6 (in a frame of 1500 bytes).
    #[must_use]
    pub fn most_advertised(&self) -> usize {
        if self.is_ipv6() { 89 } else { 255 }
    }

    /// The interval that is used: version 2 rounds to whole seconds (1 to 255), version 3 to 10 ms (up to 40.95 s).
    #[must_use]
    pub fn advertisement_interval(&self, global: &Global) -> Duration {
        let written = self.advert_int.map_or(Duration::from_secs(1), |interval| interval.value);
        match self.effective_version(global) {
            VrrpVersion::V2 => {
                let up = u64::from(written.subsec_millis() >= 500);
                Duration::from_secs((written.as_secs() + up).clamp(1, 255))
            }
            VrrpVersion::V3 => {
                let centiseconds = (written.as_micros() + 5_000) / 10_000;
                Duration::from_millis(
                    u64::try_from(centiseconds).unwrap_or(4095).clamp(1, 4095) * 10,
                )
            }
        }
    }
}
