//! `global_defs`.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::vrrp::{Command, VrrpVersion};
use crate::source::Spanned;

/// `global_defs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Global {
    /// `router_id`; default: the host's name.
    pub router_id: Option<Spanned<String>>,
    /// `notification_email` recipients.
    pub notification_email: Vec<Spanned<String>>,
    /// `notification_email_from`.
    pub notification_email_from: Option<Spanned<String>>,
    /// `smtp_server`.
    pub smtp_server: Option<SmtpServer>,
    /// `smtp_connect_timeout`; default 30 s.
    pub smtp_connect_timeout: Option<Spanned<Duration>>,
    /// `smtp_helo_name`.
    pub smtp_helo_name: Option<Spanned<String>>,
    /// `smtp_alert`.
    pub smtp_alert: Option<Spanned<bool>>,
    /// `enable_script_security`.
    pub enable_script_security: Option<Spanned<bool>>,
    /// The user of `script_user USER [GROUP]`.
    pub script_user: Option<Spanned<String>>,
    /// The group of `script_user USER [GROUP]`.
    pub script_group: Option<Spanned<String>>,
    /// `notify_fifo`: what is told about instances, groups and servers.
    pub notify_fifo: Option<Spanned<String>>,
    /// `vrrp_notify_fifo`: what is told about instances and groups.
    pub vrrp_notify_fifo: Option<Spanned<String>>,
    /// `lvs_notify_fifo`: what is told about servers.
    pub lvs_notify_fifo: Option<Spanned<String>>,
    /// `vrrp_version`; default 2 for IPv4, 3 for IPv6.
    pub vrrp_version: Option<Spanned<VrrpVersion>>,
    /// `vrrp_strict`.
    pub vrrp_strict: Option<Spanned<bool>>,
    /// `vrrp_skip_check_adv_addr`.
    pub vrrp_skip_check_adv_addr: Option<Spanned<bool>>,
    /// `vrrp_garp_*` defaults of all instances.
    pub garp: Garp,
    /// `vrrp_min_garp`: one packet, no second burst.
    pub min_garp: Option<Spanned<bool>>,
    /// `vrrp_down_timer_adverts`, 1 to 100; default 3.
    pub down_timer_adverts: Option<Spanned<u8>>,
    /// `vrrp_lower_prio_no_advert`: lower advertisements are not answered at once.
    pub lower_prio_no_advert: Option<Spanned<bool>>,
    /// `vrrp_higher_prio_send_advert`: a master that yields says so.
    pub higher_prio_send_advert: Option<Spanned<bool>>,
    /// `vrrp_garp_interval`: spacing of gratuitous ARPs on one interface; default none.
    pub garp_interval: Option<Spanned<Duration>>,
    /// `vrrp_gna_interval`: the same for neighbour advertisements.
    pub gna_interval: Option<Spanned<Duration>>,
    /// `vrrp_startup_delay`.
    pub vrrp_startup_delay: Option<Spanned<Duration>>,
    /// `startup_script`.
    pub startup_script: Option<Command>,
    /// `shutdown_script`.
    pub shutdown_script: Option<Command>,
    /// `checker_log_all_failures`.
    pub checker_log_all_failures: Option<Spanned<bool>>,
    /// `lvs_flush`.
    pub lvs_flush: Option<Spanned<bool>>,
}

/// `smtp_server HOST [PORT]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpServer {
    /// A name or an address.
    pub host: Spanned<String>,
    /// Default 25.
    pub port: Option<Spanned<u16>>,
}

/// How often and when gratuitous ARPs (and neighbour advertisements) are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Garp {
    /// `garp_master_delay`: the second burst comes this long after the first; default 5 s, 0: no second burst.
    pub master_delay: Option<Spanned<Duration>>,
    /// `garp_master_repeat`: packets in a burst; default 5.
    pub master_repeat: Option<Spanned<u32>>,
    /// `garp_master_refresh`: period of refreshing bursts; default 0, none.
    pub master_refresh: Option<Spanned<Duration>>,
    /// `garp_master_refresh_repeat`: packets in a refreshing burst; default 1.
    pub master_refresh_repeat: Option<Spanned<u32>>,
    /// `garp_lower_prio_delay`; default as `master_delay`.
    pub lower_prio_delay: Option<Spanned<Duration>>,
    /// `garp_lower_prio_repeat`; default as `master_repeat`.
    pub lower_prio_repeat: Option<Spanned<u32>>,
}
