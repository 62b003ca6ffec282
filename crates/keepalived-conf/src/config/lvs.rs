//! `virtual_server`, `real_server` and their checks.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::check::Check;
use super::vrrp::Command;
use crate::source::{Span, Spanned};

/// What a `virtual_server` serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// `virtual_server ADDRESS [PORT]`; port 0: every port.
    Address {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// `virtual_server fwmark N`.
    FirewallMark(u32),
    /// `virtual_server group NAME`.
    Group(String),
}

/// `protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// `TCP`.
    Tcp,
    /// `UDP`.
    Udp,
    /// `SCTP`.
    Sctp,
}

/// `lb_kind`, `lvs_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forwarding {
    /// `NAT`: masquerading.
    Nat,
    /// `DR`: direct routing.
    DirectRoute,
    /// `TUN`: IP in IP.
    Tunnel,
}

/// `ip_family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "IP has these two families")]
pub enum Family {
    /// `inet`.
    Ipv4,
    /// `inet6`.
    Ipv6,
}

/// A flag of the scheduler, by its number; what it means depends on the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has these three")]
pub enum SchedulerFlag {
    /// `flag-1`; `sh` and `mh`: fall back to another server if the chosen one is unavailable.
    One,
    /// `flag-2`; `sh` and `mh`: the source port counts too.
    Two,
    /// `flag-3`.
    Three,
}

/// Timing of checks; each level (virtual server, real server, checker) may set it, the innermost stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckSettings {
    /// `delay_loop`: time between checks; default 60 s.
    pub delay_loop: Option<Spanned<Duration>>,
    /// `connect_timeout`; default 5 s.
    pub connect_timeout: Option<Spanned<Duration>>,
    /// `retry`: attempts after the first failure; default 1.
    pub retry: Option<Spanned<u32>>,
    /// `delay_before_retry`; default 1 s.
    pub delay_before_retry: Option<Spanned<Duration>>,
    /// `warmup`: the first check comes within 1 s plus this; default: `delay_loop`.
    pub warmup: Option<Spanned<Duration>>,
    /// `alpha`: down until a check succeeds.
    pub alpha: Option<Spanned<bool>>,
}

impl CheckSettings {
    /// These settings, completed by those of the level outside.
    #[must_use]
    pub fn or(&self, outer: &Self) -> Self {
        Self {
            delay_loop: self.delay_loop.or(outer.delay_loop),
            connect_timeout: self.connect_timeout.or(outer.connect_timeout),
            retry: self.retry.or(outer.retry),
            delay_before_retry: self.delay_before_retry.or(outer.delay_before_retry),
            warmup: self.warmup.or(outer.warmup),
            alpha: self.alpha.or(outer.alpha),
        }
    }
}

/// `virtual_server TARGET { }`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VirtualServer {
    /// What it serves.
    pub target: Spanned<Target>,
    /// `protocol`; default UDP.
    pub protocol: Option<Spanned<Protocol>>,
    /// `lb_algo`, `lvs_sched`: the scheduler; default `wlc`.
    pub scheduler: Option<Spanned<String>>,
    /// `lb_kind`, `lvs_method`; default NAT.
    pub forwarding: Option<Spanned<Forwarding>>,
    /// `persistence_timeout`; 360 s when written without a value.
    pub persistence_timeout: Option<Spanned<Duration>>,
    /// `persistence_granularity`: IPv4 as netmask, IPv6 as prefix length, here always as prefix length.
    pub persistence_granularity: Option<Spanned<u8>>,
    /// `persistence_engine`, e.g. `sip`.
    pub persistence_engine: Option<Spanned<String>>,
    /// `ip_family`: of a firewall mark; default: that of the real servers.
    pub family: Option<Spanned<Family>>,
    /// `ops`: one packet scheduling.
    pub one_packet: Option<Span>,
    /// `flag-1` to `flag-3`, `sh-fallback`, `mh-fallback` (1), `sh-port`, `mh-port` (2).
    pub scheduler_flags: Vec<Spanned<SchedulerFlag>>,
    /// Timing of all its checks.
    pub checks: CheckSettings,
    /// `weight`: default weight of its real servers.
    pub weight: Option<Spanned<u32>>,
    /// `inhibit_on_failure`.
    pub inhibit_on_failure: Option<Spanned<bool>>,
    /// `quorum`; default 1.
    pub quorum: Option<Spanned<u32>>,
    /// `hysteresis`; default 0.
    pub hysteresis: Option<Spanned<u32>>,
    /// `quorum_up`.
    pub quorum_up: Option<Command>,
    /// `quorum_down`.
    pub quorum_down: Option<Command>,
    /// `omega`.
    pub omega: Option<Spanned<bool>>,
    /// `ha_suspend`.
    pub ha_suspend: Option<Spanned<bool>>,
    /// `virtualhost`.
    pub virtualhost: Option<Spanned<String>>,
    /// `sorry_server ADDRESS PORT`.
    pub sorry_server: Option<SorryServer>,
    /// `sorry_server_inhibit`: it stays in the table with weight 0 while it does not serve.
    pub sorry_server_inhibit: Option<Spanned<bool>>,
    /// `sorry_server_lvs_method`; default: the virtual server's.
    pub sorry_server_forwarding: Option<Spanned<Forwarding>>,
    /// `real_server` blocks.
    pub real_servers: Vec<RealServer>,
    /// Keyword and target.
    pub span: Span,
}

/// `sorry_server ADDRESS [PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SorryServer {
    /// Its address.
    pub address: Spanned<IpAddr>,
    /// Its port; default: the virtual server's.
    pub port: Option<Spanned<u16>>,
}

/// `real_server ADDRESS [PORT] { }`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RealServer {
    /// Its address.
    pub address: Spanned<IpAddr>,
    /// Its port; default: the virtual server's.
    pub port: Option<Spanned<u16>>,
    /// `weight`; default: the virtual server's, else 1.
    pub weight: Option<Spanned<u32>>,
    /// `lvs_method`; default: the virtual server's.
    pub forwarding: Option<Spanned<Forwarding>>,
    /// `uthreshold`; default 0, no limit.
    pub upper_threshold: Option<Spanned<u32>>,
    /// `lthreshold`; default 0.
    pub lower_threshold: Option<Spanned<u32>>,
    /// `inhibit_on_failure`: weight 0 instead of removal.
    pub inhibit_on_failure: Option<Spanned<bool>>,
    /// Timing of all its checks.
    pub settings: CheckSettings,
    /// `notify_up`.
    pub notify_up: Option<Command>,
    /// `notify_down`.
    pub notify_down: Option<Command>,
    /// `virtualhost`.
    pub virtualhost: Option<Spanned<String>>,
    /// Its checks, in the order of the file.
    pub checks: Vec<Check>,
    /// Keyword and address.
    pub span: Span,
}

/// `virtual_server_group NAME { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VirtualServerGroup {
    /// Its name.
    pub name: Spanned<String>,
    /// What its virtual server serves.
    pub entries: Vec<Spanned<GroupEntry>>,
    /// Keyword and name.
    pub span: Span,
}

/// One line of a `virtual_server_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupEntry {
    /// `ADDRESS[-LAST] PORT`: this many addresses from the first one on.
    Addresses {
        /// The first address.
        first: IpAddr,
        /// How many, 1 to 65536.
        count: u32,
        /// The port; 0: every port.
        port: u16,
    },
    /// `fwmark N`.
    FirewallMark {
        /// The mark.
        mark: u32,
        /// Behind it; default: that of the real servers.
        family: Option<Family>,
    },
}
