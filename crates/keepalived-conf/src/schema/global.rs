//! `global_defs`.

use core::net::IpAddr;

use super::instance::VERSIONS;
use super::{Context, Keyword, Scope, block, idle, named, spanned, value, values};
use crate::config::{Global, SmtpServer};
use crate::text::tree::Statement;

const HOUR: u64 = 3_600_000_000;
const NO_MAIL: &str = "no mail is sent";
const NO_SNMP: &str = "there is no SNMP agent";
const NO_DBUS: &str = "there is no D-Bus service";
const NO_FIFO: &str = "no reader is started, and a reload writes nothing";
const NO_SCRIPT: &str = "the script is not run";
const NO_FIREWALL: &str = "no firewall rules are set";
const NO_SCHEDULING: &str = "the process keeps the priority it was started with";
const NO_BUFFERS: &str = "receive buffers are chosen by the program";
const NO_RELOAD: &str = "configuration is read once, at the start";

impl Scope for Global {
    const TITLE: &'static str = "global_defs";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("router_id", 1, |_, global, st| global.router_id = Context::text(st)),
        idle(
            NO_MAIL,
            block("notification_email", 0, 0, |cx, global, _, content| {
                let entries = cx.entries(content);
                global
                    .notification_email
                    .extend(entries.into_iter().flat_map(Statement::words).map(spanned));
            }),
        ),
        idle(
            NO_MAIL,
            values("notification_email_from", 1, 9, |_, global, st| {
                global.notification_email_from = Context::text(st);
            }),
        ),
        idle(
            NO_MAIL,
            values("smtp_server", 1, 2, |cx, global, st| {
                let Some(host) = Context::text(st) else { return };
                let port = st.arguments.get(1).and_then(|word| cx.port(word));
                global.smtp_server = Some(SmtpServer { host, port });
            }),
        ),
        idle(
            NO_MAIL,
            value("smtp_connect_timeout", 1, |cx, global, st| {
                global.smtp_connect_timeout =
                    cx.seconds(st, 1, HOUR, "30 s").or(global.smtp_connect_timeout);
            }),
        ),
        idle(
            NO_MAIL,
            value("smtp_helo_name", 1, |_, global, st| global.smtp_helo_name = Context::text(st)),
        ),
        idle(
            NO_MAIL,
            values("smtp_alert", 0, 1, |cx, global, st| global.smtp_alert = cx.boolean(st)),
        ),
        named("smtp_alert_vrrp", NO_MAIL),
        named("smtp_alert_checker", NO_MAIL),
        named("no_email_faults", NO_MAIL),
        named("no_checker_emails", NO_MAIL),
        values("enable_script_security", 0, 1, |cx, global, st| {
            global.enable_script_security = cx.boolean(st);
        }),
        values("script_user", 1, 2, |_, global, st| {
            global.script_user = Context::text(st);
            global.script_group = st.arguments.get(1).map(spanned);
        }),
        value("vrrp_version", 1, |cx, global, st| {
            global.vrrp_version = cx
                .choice(st, VERSIONS, false, "the default stays, 2 for IPv4 and 3 for IPv6")
                .or(global.vrrp_version);
        }),
        idle(
            "addresses keep answering, and nothing is refused for it",
            values("vrrp_strict", 0, 1, |cx, global, st| global.vrrp_strict = cx.boolean(st)),
        ),
        idle(
            "a different address list is counted and never refused",
            values("vrrp_skip_check_adv_addr", 0, 1, |cx, global, st| {
                global.vrrp_skip_check_adv_addr = cx.boolean(st);
            }),
        ),
        value("vrrp_garp_master_delay", 1, |cx, global, st| {
            global.garp.master_delay = cx.seconds(st, 0, 24 * HOUR, "5 s");
        }),
        value("vrrp_garp_master_repeat", 1, |cx, global, st| {
            global.garp.master_repeat = cx.number(st, 0, u32::MAX, "5");
        }),
        value("vrrp_garp_master_refresh", 1, |cx, global, st| {
            global.garp.master_refresh = cx.seconds(st, 0, 24 * HOUR, "0");
        }),
        value("vrrp_garp_master_refresh_repeat", 1, |cx, global, st| {
            global.garp.master_refresh_repeat = cx.number(st, 0, u32::MAX, "1");
        }),
        value("vrrp_garp_lower_prio_delay", 1, |cx, global, st| {
            global.garp.lower_prio_delay = cx.seconds(st, 0, 24 * HOUR, "5 s");
        }),
        value("vrrp_garp_lower_prio_repeat", 1, |cx, global, st| {
            global.garp.lower_prio_repeat = cx.number(st, 0, u32::MAX, "5");
        }),
        value("vrrp_garp_interval", 1, |cx, global, st| {
            global.garp_interval = cx.seconds(st, 0, HOUR, "0");
        }),
        value("vrrp_gna_interval", 1, |cx, global, st| {
            global.gna_interval = cx.seconds(st, 0, HOUR, "0");
        }),
        values("vrrp_min_garp", 0, 1, |cx, global, st| global.min_garp = cx.boolean(st)),
        named("vrrp_garp_extra_if", "gratuitous ARPs go out on the address's interface only"),
        named("vrrp_vmac_garp_intvl", "gratuitous ARPs go out on the address's interface only"),
        value("vrrp_down_timer_adverts", 1, |cx, global, st| {
            global.down_timer_adverts = cx.number(st, 1, 100, "3").or(global.down_timer_adverts);
        }),
        values("vrrp_lower_prio_no_advert", 0, 1, |cx, global, st| {
            global.lower_prio_no_advert = cx.boolean(st);
        }),
        values("vrrp_higher_prio_send_advert", 0, 1, |cx, global, st| {
            global.higher_prio_send_advert = cx.boolean(st);
        }),
        named("vrrp_owner_ignore_adverts", "owners listen"),
        named(
            "vrrp_check_unicast_src",
            "the sources of unicast advertisements are as the election checks them",
        ),
        idle(
            "advertisements go to 224.0.0.18",
            value("vrrp_mcast_group4", 1, |cx, _, st| group(cx, st)),
        ),
        idle(
            "advertisements go to ff02::12",
            value("vrrp_mcast_group6", 1, |cx, _, st| group(cx, st)),
        ),
        value("vrrp_startup_delay", 1, |cx, global, st| {
            global.vrrp_startup_delay = cx.seconds(st, 1_000, HOUR, "0");
        }),
        named("vrrp_delay_after_boot", "elections start at once"),
        named("vrrp_notify_priority_changes", "priority changes are not notified"),
        named("log_unknown_vrids", "foreign virtual routers are not logged"),
        named("vrrp_iptables", NO_FIREWALL),
        named("vrrp_ipsets", NO_FIREWALL),
        named("nftables", NO_FIREWALL),
        named("nftables_priority", NO_FIREWALL),
        named("nftables_counters", NO_FIREWALL),
        named("nftables_ifindex", NO_FIREWALL),
        named("disable_local_igmp", NO_FIREWALL),
        named("nftables_ipvs", NO_FIREWALL),
        named("nftables_ipvs_priority", NO_FIREWALL),
        named("nftables_ipvs_start_fwmark", NO_FIREWALL),
        values("notify_fifo", 1, 3, |_, global, st| global.notify_fifo = Context::text(st)),
        named("notify_fifo_script", NO_FIFO),
        values("vrrp_notify_fifo", 1, 3, |_, global, st| {
            global.vrrp_notify_fifo = Context::text(st);
        }),
        named("vrrp_notify_fifo_script", NO_FIFO),
        values("lvs_notify_fifo", 1, 3, |_, global, st| {
            global.lvs_notify_fifo = Context::text(st);
        }),
        named("lvs_notify_fifo_script", NO_FIFO),
        named("fifo_write_vrrp_states_on_reload", NO_FIFO),
        idle(
            NO_SCRIPT,
            values("startup_script", 1, 3, |cx, global, st| global.startup_script = cx.command(st)),
        ),
        idle(
            NO_SCRIPT,
            values("shutdown_script", 1, 3, |cx, global, st| {
                global.shutdown_script = cx.command(st);
            }),
        ),
        named("startup_script_timeout", NO_SCRIPT),
        named("shutdown_script_timeout", NO_SCRIPT),
        named("use_symlink_paths", "what a link points at is checked, the link is run"),
        named("set_supplementary_groups", "scripts have no supplementary groups"),
        named("dynamic_interfaces", "interfaces must exist at the start"),
        named("default_interface", "name the interface in each vrrp_instance"),
        named("vrrp_priority", NO_SCHEDULING),
        named("checker_priority", NO_SCHEDULING),
        named("bfd_priority", NO_SCHEDULING),
        named("vrrp_no_swap", NO_SCHEDULING),
        named("checker_no_swap", NO_SCHEDULING),
        named("bfd_no_swap", NO_SCHEDULING),
        named("vrrp_rt_priority", NO_SCHEDULING),
        named("checker_rt_priority", NO_SCHEDULING),
        named("bfd_rt_priority", NO_SCHEDULING),
        named("vrrp_cpu_affinity", NO_SCHEDULING),
        named("checker_cpu_affinity", NO_SCHEDULING),
        named("bfd_cpu_affinity", NO_SCHEDULING),
        named("vrrp_rlimit_rttime", NO_SCHEDULING),
        named("checker_rlimit_rttime", NO_SCHEDULING),
        named("bfd_rlimit_rttime", NO_SCHEDULING),
        named("max_auto_priority", NO_SCHEDULING),
        named("min_auto_priority_delay", NO_SCHEDULING),
        named("vrrp_netlink_cmd_rcv_bufs", NO_BUFFERS),
        named("vrrp_netlink_cmd_rcv_bufs_force", NO_BUFFERS),
        named("vrrp_netlink_monitor_rcv_bufs", NO_BUFFERS),
        named("vrrp_netlink_monitor_rcv_bufs_force", NO_BUFFERS),
        named("lvs_netlink_cmd_rcv_bufs", NO_BUFFERS),
        named("lvs_netlink_cmd_rcv_bufs_force", NO_BUFFERS),
        named("lvs_netlink_monitor_rcv_bufs", NO_BUFFERS),
        named("lvs_netlink_monitor_rcv_bufs_force", NO_BUFFERS),
        named("process_monitor_rcv_bufs", NO_BUFFERS),
        named("process_monitor_rcv_bufs_force", NO_BUFFERS),
        named("vrrp_rx_bufs_policy", NO_BUFFERS),
        named("vrrp_rx_bufs_multiplier", NO_BUFFERS),
        named("lvs_sync_daemon", "connections are not synchronised"),
        named("lvs_timeouts", "the kernel's timeouts stay"),
        idle(
            "foreign services are never touched",
            values("lvs_flush", 0, 1, |cx, global, st| global.lvs_flush = cx.boolean(st)),
        ),
        named("lvs_flush_on_stop", "our services are removed one by one"),
        idle(
            "changes are logged",
            values("checker_log_all_failures", 0, 1, |cx, global, st| {
                global.checker_log_all_failures = cx.boolean(st);
            }),
        ),
        named("rs_init_notifies", "nothing is notified"),
        named("enable_snmp_vrrp", NO_SNMP),
        named("enable_snmp_keepalived", NO_SNMP),
        named("enable_snmp_checker", NO_SNMP),
        named("enable_snmp_rfc", NO_SNMP),
        named("enable_snmp_rfcv2", NO_SNMP),
        named("enable_snmp_rfcv3", NO_SNMP),
        named("enable_traps", NO_SNMP),
        named("snmp_socket", NO_SNMP),
        named("snmp_vs_stats_update_interval", NO_SNMP),
        named("snmp_rs_stats_update_interval", NO_SNMP),
        named("enable_dbus", NO_DBUS),
        named("dbus_service_name", NO_DBUS),
        named("dbus_no_interface_name", NO_DBUS),
        named("vmac_prefix", "no macvlan is made"),
        named("vmac_addr_prefix", "no macvlan is made"),
        named("v3_checksum_as_v2", "checksums cover the pseudo header"),
        named("reload_check_config", NO_RELOAD),
        named("reload_time_file", NO_RELOAD),
        named("reload_repeat", NO_RELOAD),
        named("reload_file", NO_RELOAD),
        named("include_check", "a missing include is a warning"),
        named("config_save_dir", NO_RELOAD),
        named("tmp_config_directory", "the file is read once, no copy is made"),
        named("data_use_instance", "no dump files are written"),
        named("json_version", "no dump files are written"),
        named("state_dump_file", "no dump files are written"),
        named("stats_dump_file", "no dump files are written"),
        named("json_dump_file", "no dump files are written"),
        named("iproute_usr_dir", "names of tables and scopes are not read"),
        named("iproute_etc_dir", "names of tables and scopes are not read"),
        named("process_names", "the process keeps its name"),
        named("process_name", "the process keeps its name"),
        named("vrrp_process_name", "the process keeps its name"),
        named("checker_process_name", "the process keeps its name"),
        named("bfd_process_name", "the process keeps its name"),
        named("umask", "the umask stays"),
        named("random_seed", "the seed is chosen at the start"),
    ];
}

/// A multicast group; checked, though another group is not used yet.
fn group(cx: &mut Context<'_>, st: &Statement) {
    if let Some(word) = st.arguments.first() {
        let _: Option<crate::source::Spanned<IpAddr>> = cx.address(word);
    }
}
