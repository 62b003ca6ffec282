//! A `vrrp_instance` as a whole.

use alloc::collections::BTreeMap;
use alloc::format;
use core::net::IpAddr;

use super::super::Context;
use crate::config::{Config, InitialState, VrrpInstance, VrrpVersion};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

/// What it cannot run without.
pub(super) fn required(cx: &mut Context<'_>, instance: &VrrpInstance) {
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

/// Settings that exclude each other.
pub(super) fn contradictions(cx: &mut Context<'_>, config: &Config, instance: &VrrpInstance) {
    let version = instance.effective_version(&config.global);
    families(cx, instance);
    if let Some(version) =
        instance.version.filter(|version| instance.is_ipv6() && version.value == VrrpVersion::V2)
    {
        cx.report(
            Diagnostic::warning(
                Code::Conflict,
                version.span,
                "VRRP version 2 cannot carry IPv6 addresses; version 3 is used",
            )
            .help("write `version 3`, or leave the line out"),
        );
    }
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
}

/// Only one family, each address once; says what is left out. Called when the block ends.
pub(in super::super) fn settle(cx: &mut Context<'_>, instance: &mut VrrpInstance) {
    let ipv6 = instance.is_ipv6();
    let header = instance.span;
    let mut seen: BTreeMap<IpAddr, Span> = BTreeMap::new();
    for (list, one_family) in
        [(&mut instance.virtual_addresses, true), (&mut instance.excluded_addresses, false)]
    {
        list.retain(|address| {
            let (ip, span) = (address.address.value.addr(), address.address.span);
            if one_family && ip.is_ipv6() != ipv6 {
                let message = "the addresses of one virtual_ipaddress block must be all IPv4 or all IPv6; this one is skipped";
                cx.report(
                    Diagnostic::warning(Code::Conflict, span, message)
                        .label(header, "the first address decides")
                        .help("move it to virtual_ipaddress_excluded, or to an instance of its own"),
                );
                return false;
            }
            let Some(&first) = seen.get(&ip) else {
                seen.insert(ip, span);
                return true;
            };
            cx.report(
                Diagnostic::note(Code::Duplicate, span, format!("{ip} is listed twice; once is enough"))
                    .label(first, "first here")
                    .help("remove one"),
            );
            false
        });
    }
    let most = instance.most_advertised();
    if let Some(surplus) = instance.virtual_addresses.get(most) {
        let count = instance.virtual_addresses.len();
        cx.report(
            Diagnostic::warning(
                Code::Truncated,
                surplus.address.span,
                format!("{count} addresses, but an advertisement has room for {most}; from here on they are set but not advertised"),
            )
            .help("move them to virtual_ipaddress_excluded, on all nodes alike"),
        );
    }
}

/// Peers and sources of the other family.
fn families(cx: &mut Context<'_>, instance: &VrrpInstance) {
    let Some(first) = instance.virtual_addresses.first() else { return };
    let ipv6 = first.address.value.addr().is_ipv6();
    let peers = instance.unicast_peers.iter().map(|peer| ("this peer", peer.address));
    let sources =
        [("unicast_src_ip", instance.unicast_src_ip), ("mcast_src_ip", instance.mcast_src_ip)];
    let sources =
        sources.into_iter().filter_map(|(what, source)| source.map(|source| (what, source)));
    for (what, address) in
        peers.chain(sources).filter(|(_, address)| address.value.is_ipv6() != ipv6)
    {
        let message = format!("{what} is not of the family of the virtual addresses");
        cx.report(
            Diagnostic::error(Code::Conflict, address.span, message)
                .label(first.address.span, "the first virtual address decides the family")
                .help("write an address of that family"),
        );
    }
}
