//! A `virtual_server` as a whole.

use alloc::format;

use super::super::Context;
use crate::config::{Forwarding, Target, VirtualServer};
use crate::diagnostic::{Code, Diagnostic};

/// Defaults that keepalived complains about, and what makes no sense together.
pub(super) fn check(cx: &mut Context<'_>, server: &VirtualServer) {
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
            own.value != port && method.is_some_and(|method| method != Forwarding::Nat)
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
