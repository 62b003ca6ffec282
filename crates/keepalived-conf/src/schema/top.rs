//! The top level.

use super::group::name;
use super::{Context, Keyword, Scope, block, finish, named};
use crate::config::{Config, SyncGroup, TrackFile, VirtualServerGroup, VrrpInstance, VrrpScript};
use crate::text::tree::{Block, Statement};

impl Scope for Config {
    const TITLE: &'static str = "";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        block("global_defs", 0, 0, |cx, config, st, content| {
            cx.apply(Some(st), content, &mut config.global);
        }),
        block("vrrp_instance", 1, 1, |cx, config, st, content| {
            let Some(name) = name(cx, st) else { return };
            let mut instance = VrrpInstance { name, span: st.span(), ..VrrpInstance::default() };
            cx.apply(Some(st), content, &mut instance);
            finish::instance::settle(cx, &mut instance);
            config.vrrp_instances.push(instance);
        }),
        block("vrrp_sync_group", 1, 1, |cx, config, st, content| {
            let Some(name) = name(cx, st) else { return };
            let mut group = SyncGroup { name, span: st.span(), ..SyncGroup::default() };
            cx.apply(Some(st), content, &mut group);
            config.sync_groups.push(group);
        }),
        block("vrrp_script", 1, 1, |cx, config, st, content| {
            let Some(name) = name(cx, st) else { return };
            let mut script = VrrpScript { name, span: st.span(), ..VrrpScript::default() };
            cx.apply(Some(st), content, &mut script);
            config.scripts.push(script);
        }),
        block("virtual_server", 1, 2, super::virtual_server::read),
        block("virtual_server_group", 1, 1, |cx, config, st, content| {
            let Some(name) = name(cx, st) else { return };
            let mut group =
                VirtualServerGroup { name, span: st.span(), ..VirtualServerGroup::default() };
            super::group::entries(cx, &mut group, content);
            config.virtual_server_groups.push(group);
        }),
        named("vrrp_track_process", "the process is not watched"),
        block("track_file", 1, 1, track_file),
        block("vrrp_track_file", 1, 1, track_file),
        named("static_ipaddress", "the addresses are not set"),
        named("static_routes", "the routes are not set"),
        named("static_rules", "the rules are not set"),
        named("track_group", "nothing is tracked"),
        named("garp_group", "gratuitous ARPs are not spaced"),
        named("bfd_instance", "no BFD session is started"),
        named("SSL", "no certificate is loaded"),
        named("linkbeat_interfaces", "link state comes from netlink"),
        named("interface_up_down_delays", "link changes count at once"),
        named("linkbeat_use_polling", "link state comes from netlink"),
        named("net_namespace", "start it inside the namespace instead (ip netns exec)"),
        named("net_namespace_ipvs", "IPVS is set up in the same namespace"),
        named("namespace_with_ipsets", "no ipsets are used"),
        named("use_pid_dir", "pid files are written where the options say"),
        named("instance", "pid files are written where the options say"),
        named("child_wait_time", "there are no child processes"),
        named("include_check", "a missing include is a warning"),
    ];
}

fn track_file(cx: &mut Context<'_>, config: &mut Config, st: &Statement, content: &Block) {
    let Some(name) = name(cx, st) else { return };
    let mut file = TrackFile { name, span: st.span(), ..TrackFile::default() };
    cx.apply(Some(st), content, &mut file);
    config.track_files.push(file);
}
