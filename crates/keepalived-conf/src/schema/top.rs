//! The top level.

use alloc::format;
use alloc::string::String;

use super::{Context, Keyword, Scope, block, finish, named, spanned};
use crate::config::{Config, SyncGroup, VrrpInstance, VrrpScript};
use crate::source::Spanned;
use crate::text::tree::Statement;

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
        named("virtual_server_group", "virtual servers of a group are not set up"),
        named("vrrp_track_process", "the process is not watched"),
        named("track_file", "the file is not watched"),
        named("vrrp_track_file", "the file is not watched"),
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

/// The name in a block's header; `None` (with a warning) when another block has it already.
fn name(cx: &mut Context<'_>, statement: &Statement) -> Option<Spanned<String>> {
    let name = spanned(statement.arguments.first()?);
    let key = format!("{} {}", statement.keyword.text, name.value);
    cx.is_first(key, statement, "give it another name").then_some(name)
}
