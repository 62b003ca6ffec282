//! What only shows when everything is read: missing things, contradictions, names that nothing defines.

use alloc::format;

use super::Context;
use crate::config::{
    Config, InitialState, SyncGroup, Target, Track, VirtualServer, VrrpInstance, VrrpVersion,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

pub(super) fn check(cx: &mut Context<'_>, config: &Config, configuration_in_comment: Option<Span>) {
    email(cx, config);
    for instance in &config.vrrp_instances {
        required(cx, instance);
        contradictions(cx, config, instance);
        for track in &instance.track_scripts {
            script(cx, config, track, instance.span);
        }
    }
    same_router(cx, config);
    for group in &config.sync_groups {
        members(cx, config, group);
    }
    for server in &config.virtual_servers {
        virtual_server(cx, server);
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

fn required(cx: &mut Context<'_>, instance: &VrrpInstance) {
    let name = &instance.name.value;
    if instance.interface.is_none() {
        cx.report(
            Diagnostic::error(
                Code::MissingKeyword,
                instance.span,
                format!("`vrrp_instance {name}` has no interface"),
            )
            .help("add a line `interface NAME`; `ip link` lists the names"),
        );
    }
    if instance.virtual_router_id.is_none() {
        cx.report(
            Diagnostic::error(Code::MissingKeyword, instance.span, format!("`vrrp_instance {name}` has no virtual_router_id"))
                .help("add a line `virtual_router_id N`, from 1 to 255, the same number on all nodes of this virtual router"),
        );
    }
    if instance.virtual_addresses.is_empty() {
        cx.report(
            Diagnostic::warning(
                Code::MissingKeyword,
                instance.span,
                format!("`vrrp_instance {name}` has no virtual address, so it is not started"),
            )
            .help("add `virtual_ipaddress {` with one address a line and `}`"),
        );
    }
}

fn contradictions(cx: &mut Context<'_>, config: &Config, instance: &VrrpInstance) {
    let version = instance.effective_version(&config.global);
    if let Some(nopreempt) = instance.nopreempt.filter(|_| instance.preempts()) {
        let (what, place) = match instance.state {
            Some(state) if state.value == InitialState::Master => {
                ("`state MASTER`", Some(state.span))
            }
            _ => ("priority 255", instance.priority.map(|priority| priority.span)),
        };
        let mut diagnostic = Diagnostic::warning(
            Code::Conflict,
            nopreempt,
            format!("`nopreempt` has no effect with {what}"),
        )
        .help("write `state BACKUP` on all nodes that use nopreempt");
        if let Some(place) = place {
            diagnostic = diagnostic.label(place, "because of this");
        }
        cx.report(diagnostic);
    }
    if let (Some(authentication), VrrpVersion::V3) = (&instance.authentication, version) {
        cx.report(
            Diagnostic::warning(
                Code::Conflict,
                authentication.span,
                "VRRP version 3 has no authentication; none is used",
            )
            .help("remove the block"),
        );
    } else if let Some(authentication) = &instance.authentication
        && authentication.value.kind.is_some() != authentication.value.auth_pass.is_some()
    {
        cx.report(
            Diagnostic::warning(
                Code::Conflict,
                authentication.span,
                "authentication needs both auth_type and auth_pass; none is used",
            )
            .help("add the other line, or remove the block"),
        );
    }
    if let Some(interval) = instance.advert_int {
        let used = instance.advertisement_interval(&config.global);
        if used != interval.value {
            cx.report(
                Diagnostic::warning(Code::OutOfRange, interval.span, format!("advert_int is rounded to {} s", used.as_secs_f64()))
                    .help("version 2 knows whole seconds from 1 to 255, version 3 steps of 0.01 s up to 40.95"),
            );
        }
    }
    let ipv6 = instance.is_ipv6();
    for address in instance
        .virtual_addresses
        .iter()
        .filter(|address| address.address.value.addr().is_ipv6() != ipv6)
    {
        cx.report(
            Diagnostic::error(
                Code::Conflict,
                address.address.span,
                "the addresses of one virtual_ipaddress block must be all IPv4 or all IPv6",
            )
            .label(instance.span, "the first address decides")
            .help("move it to virtual_ipaddress_excluded, or to an instance of its own"),
        );
    }
    if let Some(first) =
        instance.virtual_addresses.first().filter(|_| ipv6 && version == VrrpVersion::V2)
    {
        cx.report(
            Diagnostic::error(
                Code::Conflict,
                instance.version.map_or(first.address.span, |version| version.span),
                "VRRP version 2 cannot carry IPv6 addresses",
            )
            .help("write `version 3`, or leave the line out"),
        );
    }
    let first =
        instance.virtual_addresses.first().map(|address| address.address.value.addr().is_ipv6());
    let wrong = |address: core::net::IpAddr| first.is_some_and(|ipv6| ipv6 != address.is_ipv6());
    for peer in instance.unicast_peers.iter().filter(|peer| wrong(peer.address.value)) {
        cx.report(
            Diagnostic::error(
                Code::Conflict,
                peer.address.span,
                "this peer is not of the family of the virtual addresses",
            )
            .help("write the peer's address of the other family"),
        );
    }
    if let Some(source) = instance.unicast_src_ip.filter(|source| wrong(source.value)) {
        cx.report(
            Diagnostic::error(
                Code::Conflict,
                source.span,
                "unicast_src_ip is not of the family of the virtual addresses",
            )
            .help("write this node's address of the other family"),
        );
    }
}

fn script(cx: &mut Context<'_>, config: &Config, track: &Track, instance: Span) {
    let name = &track.name.value;
    match config.scripts.iter().find(|script| script.name.value == *name) {
        None => cx.report(
            Diagnostic::warning(
                Code::UnknownReference,
                track.name.span,
                format!("no vrrp_script is called `{name}`; it is not tracked"),
            )
            .help(format!("add `vrrp_script {name} {{ ... }}` above the instance")),
        ),
        Some(script) if script.span.file == instance.file && script.span.start > instance.start => {
            cx.report(
                Diagnostic::warning(
                    Code::UnknownReference,
                    track.name.span,
                    format!(
                        "`vrrp_script {name}` stands below its use, so keepalived does not track it"
                    ),
                )
                .label(script.span, "defined here")
                .help("move the vrrp_script above the instance"),
            );
        }
        Some(_) => {}
    }
}

/// Two instances with the same interface, family and virtual router id (multicast).
fn same_router(cx: &mut Context<'_>, config: &Config) {
    for (index, instance) in config.vrrp_instances.iter().enumerate() {
        let key = |instance: &VrrpInstance| {
            let (interface, id) = (instance.interface.as_ref()?, instance.virtual_router_id?);
            let multicast = instance.unicast_peers.is_empty();
            multicast.then(|| (interface.value.clone(), id.value, instance.is_ipv6()))
        };
        let Some(own) = key(instance) else { continue };
        let Some(first) = config
            .vrrp_instances
            .iter()
            .take(index)
            .find(|other| key(other).as_ref() == Some(&own))
        else {
            continue;
        };
        let message = format!(
            "`{}` and `{}` both use virtual_router_id {} on interface {}",
            first.name.value, instance.name.value, own.1, own.0
        );
        let span = instance.virtual_router_id.map_or(instance.span, |id| id.span);
        let label = first.virtual_router_id.map_or(first.span, |id| id.span);
        cx.report(
            Diagnostic::error(Code::Duplicate, span, message)
                .label(label, "first used here")
                .help("give every virtual router of an interface its own number"),
        );
    }
}

fn members(cx: &mut Context<'_>, config: &Config, group: &SyncGroup) {
    for member in
        group.members.iter().filter(|member| config.vrrp_instance(&member.value).is_none())
    {
        cx.report(
            Diagnostic::warning(
                Code::UnknownReference,
                member.span,
                format!(
                    "no vrrp_instance is called `{}`; it is left out of the group",
                    member.value
                ),
            )
            .help("write the names of instances, one a line"),
        );
    }
    if group.members.is_empty() {
        cx.report(
            Diagnostic::warning(
                Code::MissingKeyword,
                group.span,
                format!("`vrrp_sync_group {}` has no members; it is left out", group.name.value),
            )
            .help("add `group {` with the names of instances, one a line, and `}`"),
        );
    }
}

fn virtual_server(cx: &mut Context<'_>, server: &VirtualServer) {
    let mut default = |keyword: &str, used: &str| {
        cx.report(
            Diagnostic::warning(
                Code::DefaultTaken,
                server.span,
                format!("no {keyword} is set; {used} is used"),
            )
            .help(format!("write `{keyword} ...` in the block")),
        );
    };
    if server.protocol.is_none() && !matches!(server.target.value, Target::FirewallMark(_)) {
        default("protocol", "UDP");
    }
    if server.scheduler.is_none() {
        default("lb_algo", "wlc");
    }
    if server.forwarding.is_none()
        && server.real_servers.iter().any(|real| real.forwarding.is_none())
    {
        default("lb_kind", "NAT");
    }
    if server.real_servers.is_empty() {
        cx.report(
            Diagnostic::warning(
                Code::MissingKeyword,
                server.span,
                "this virtual server has no real server; it is left out",
            )
            .help("add `real_server ADDRESS PORT { ... }` to the block"),
        );
    }
    let zero_port = matches!(server.target.value, Target::Address { port: 0, .. });
    if zero_port && server.persistence_timeout.is_none() {
        cx.report(
            Diagnostic::warning(
                Code::DefaultTaken,
                server.target.span,
                "a virtual server without a port needs persistence; 360 s is used",
            )
            .help("write a port, or `persistence_timeout`"),
        );
    }
    ports(cx, server);
}

/// Only NAT can change the port.
fn ports(cx: &mut Context<'_>, server: &VirtualServer) {
    let Target::Address { port, .. } = server.target.value else { return };
    for real in &server.real_servers {
        let method = real.forwarding.or(server.forwarding).map(|method| method.value);
        let Some(own) = real.port.filter(|own| {
            own.value != port
                && method.is_some_and(|method| method != crate::config::Forwarding::Nat)
        }) else {
            continue;
        };
        cx.report(
            Diagnostic::warning(
                Code::Conflict,
                own.span,
                format!("DR and TUN keep the port, so {port} is used"),
            )
            .label(server.target.span, "the virtual server's port")
            .help("write the same port twice, or use `lb_kind NAT`"),
        );
    }
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
