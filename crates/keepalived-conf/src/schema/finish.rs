//! What only shows when everything is read: missing things, contradictions, names that nothing defines.

pub(super) mod instance;
mod server;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;

use super::Context;
use crate::config::{Config, SyncGroup, Track, VrrpInstance};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

pub(super) fn check(cx: &mut Context<'_>, config: &Config, configuration_in_comment: Option<Span>) {
    email(cx, config);
    let scripts: BTreeMap<&str, Span> =
        config.scripts.iter().map(|script| (script.name.value.as_str(), script.span)).collect();
    for instance in &config.vrrp_instances {
        instance::required(cx, instance);
        instance::contradictions(cx, config, instance);
        for track in &instance.track_scripts {
            script(cx, &scripts, track, instance.span);
        }
    }
    same_router(cx, config);
    sync_groups(cx, config);
    for server in &config.virtual_servers {
        server::check(cx, server);
    }
    if config.is_empty() {
        empty(cx, configuration_in_comment);
    }
}

/// `[email protected]`, with a plain or a non-breaking space: what a web page shows in place of an address.
fn email(cx: &mut Context<'_>, config: &Config) {
    let from = config.global.notification_email_from.iter();
    let mut hidden = config
        .global
        .notification_email
        .iter()
        .chain(from)
        .filter(|word| word.value.starts_with("[email"));
    if let Some(first) = hidden.next() {
        let mut diagnostic = Diagnostic::note(
            Code::ProtectedEmail,
            first.span,
            "a web page replaced the e-mail address by this",
        )
        .help("write the address itself, like admin@example.org");
        for other in hidden.take(3) {
            diagnostic = diagnostic.label(other.span, "here too");
        }
        cx.report(diagnostic);
    }
}

fn script(cx: &mut Context<'_>, scripts: &BTreeMap<&str, Span>, track: &Track, instance: Span) {
    let name = &track.name.value;
    match scripts.get(name.as_str()) {
        None => cx.report(
            Diagnostic::warning(
                Code::UnknownReference,
                track.name.span,
                format!("no vrrp_script is called `{name}`; it is not tracked"),
            )
            .help(format!("add `vrrp_script {name} {{ ... }}` above the instance")),
        ),
        Some(script) if script.file == instance.file && script.start > instance.start => {
            cx.report(
                Diagnostic::warning(
                    Code::UnknownReference,
                    track.name.span,
                    format!(
                        "`vrrp_script {name}` stands below its use, so keepalived does not track it"
                    ),
                )
                .label(*script, "defined here")
                .help("move the vrrp_script above the instance"),
            );
        }
        Some(_) => {}
    }
}

/// Two instances with the same interface, family and virtual router id (multicast).
fn same_router(cx: &mut Context<'_>, config: &Config) {
    let mut first_of: BTreeMap<(&str, u8, bool), &VrrpInstance> = BTreeMap::new();
    for instance in
        config.vrrp_instances.iter().filter(|instance| instance.unicast_peers.is_empty())
    {
        let (Some(interface), Some(id)) = (&instance.interface, instance.virtual_router_id) else {
            continue;
        };
        let key = (interface.value.as_str(), id.value, instance.is_ipv6());
        let Some(first) = first_of.get(&key) else {
            first_of.insert(key, instance);
            continue;
        };
        let message = format!(
            "`{}` and `{}` both use virtual_router_id {} on interface {}",
            first.name.value, instance.name.value, id.value, interface.value
        );
        let label = first.virtual_router_id.map_or(first.span, |id| id.span);
        cx.report(
            Diagnostic::error(Code::Duplicate, id.span, message)
                .label(label, "first used here")
                .help("give every virtual router of an interface its own number"),
        );
    }
}

/// Members that do not count, as in [`Config::effective_sync_groups`], and groups in which fewer than two do.
fn sync_groups(cx: &mut Context<'_>, config: &Config) {
    let instances: BTreeSet<&str> =
        config.vrrp_instances.iter().map(|instance| instance.name.value.as_str()).collect();
    let mut taken: BTreeMap<&str, Span> = BTreeMap::new();
    for group in &config.sync_groups {
        let mut count = 0_usize;
        for member in &group.members {
            let name = member.value.as_str();
            if !instances.contains(name) {
                cx.report(
                    Diagnostic::warning(
                        Code::UnknownReference,
                        member.span,
                        format!("no vrrp_instance is called `{name}`; it is left out of the group"),
                    )
                    .help("write the names of instances, one a line"),
                );
            } else if let Some(first) = taken.get(name) {
                cx.report(
                    Diagnostic::warning(
                        Code::Duplicate,
                        member.span,
                        format!("`{name}` is in a sync group already; it stays there"),
                    )
                    .label(*first, "named here first")
                    .help("name every instance once"),
                );
            } else {
                taken.insert(name, member.span);
                count += 1;
            }
        }
        few(cx, group, count);
    }
}

fn few(cx: &mut Context<'_>, group: &SyncGroup, count: usize) {
    let (said, code) = match count {
        0 => ("has no members; it is left out", Code::MissingKeyword),
        1 => ("has one member only, so nothing is kept in step", Code::MissingValue),
        _ => return,
    };
    cx.report(
        Diagnostic::warning(
            code,
            group.span,
            format!("`vrrp_sync_group {}` {said}", group.name.value),
        )
        .help("add `group {` with the names of at least two instances, one a line, and `}`"),
    );
}

fn empty(cx: &mut Context<'_>, configuration_in_comment: Option<Span>) {
    let mut diagnostic = Diagnostic::warning(
        Code::Empty,
        configuration_in_comment.unwrap_or_default(),
        "there is no vrrp_instance and no virtual_server: nothing would run",
    );
    diagnostic = match configuration_in_comment {
        Some(_) => diagnostic
            .here("all of this is one comment: `!` and `#` start one that lasts to the end of the line")
            .help("put the line breaks back, one statement a line"),
        None => diagnostic.help("add a vrrp_instance or a virtual_server block"),
    };
    cx.report(diagnostic);
}
