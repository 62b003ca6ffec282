//! `vrrp_sync_group`.

use alloc::format;

use super::{Keyword, Scope, block, idle, named, notify, spanned, track, values};
use crate::config::SyncGroup;
use crate::text::tree::Statement;

impl Scope for SyncGroup {
    const TITLE: &'static str = "vrrp_sync_group";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        block("group", 0, 0, |cx, group, st, content| {
            let key = format!("group of {}", group.name.value);
            if !cx.is_first(key, st, "name all members in one `group`") {
                return;
            }
            let entries = cx.entries(content);
            group.members.extend(entries.into_iter().flat_map(Statement::words).map(spanned));
        }),
        notify::any(),
        notify::master(),
        notify::backup(),
        notify::fault(),
        notify::stop(),
        idle(
            "no mail is sent",
            values("smtp_alert", 0, 1, |cx, group, st| group.smtp_alert = cx.boolean(st)),
        ),
        block("track_interface", 0, 0, |cx, group, _, content| {
            group.track_interfaces.extend(track::read(cx, content));
        }),
        block("track_script", 0, 0, |cx, group, _, content| {
            group.track_scripts.extend(track::read(cx, content));
        }),
        block("track_file", 0, 0, |cx, group, _, content| {
            group.track_files.extend(track::read(cx, content));
        }),
        named("track_process", "the process is not watched"),
        named("track_bfd", "no BFD session is watched"),
        values("global_tracking", 0, 0, |_, group, st| {
            group.tracking_weight = Some(st.keyword.span);
        }),
        values("sync_group_tracking_weight", 0, 0, |_, group, st| {
            group.tracking_weight = Some(st.keyword.span);
        }),
        named("notify_priority_changes", "priority changes are not notified"),
    ];
}
