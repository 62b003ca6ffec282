//! The lines of `virtual_ipaddress` and `virtual_ipaddress_excluded`.

use alloc::format;
use alloc::vec::Vec;

use super::{Context, values};
use crate::config::VirtualAddress;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Spanned;
use crate::text::tree::{Block, Statement};

/// `ADDRESS[/LENGTH] [dev IF] [scope S] [label L] [brd A] ...`, one a line.
pub(super) fn read(cx: &mut Context<'_>, block: &Block) -> Vec<VirtualAddress> {
    cx.entries(block).into_iter().filter_map(|entry| one(cx, entry)).collect()
}

fn one(cx: &mut Context<'_>, entry: &Statement) -> Option<VirtualAddress> {
    let mut address = VirtualAddress {
        address: cx.host(&entry.keyword)?,
        interface: None,
        scope: None,
        label: None,
        broadcast: None,
        peer: None,
        detect_duplicates: None,
        no_track: None,
        preferred_lifetime: None,
    };
    let ipv6 = address.address.value.addr().is_ipv6();
    let mut words = entry.arguments.iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "dev" => address.interface = values::after(&mut words),
            "scope" => address.scope = values::after(&mut words),
            "label" => address.label = values::after(&mut words),
            "brd" | "broadcast" => address.broadcast = values::after(&mut words),
            "peer" => {
                address.peer = words.next().and_then(|word| cx.network(word));
                cx.report(Diagnostic::warning(
                    Code::NotActedOn,
                    word.span,
                    "`peer` is understood but not acted on by this version: the address is set without it",
                ));
            }
            "preferred_lft" => address.preferred_lifetime = values::after(&mut words),
            "-nodad" => address.detect_duplicates = Some(word.span),
            "no_track" => address.no_track = Some(word.span),
            "home" | "mngtmpaddr" | "noprefixroute" | "autojoin" | "use_vmac" => {
                let message = format!(
                    "`{}` is understood but not acted on by this version: the address is set without it",
                    word.text
                );
                cx.report(Diagnostic::warning(Code::NotActedOn, word.span, message));
            }
            other => {
                let mut diagnostic = Diagnostic::warning(
                    Code::UnknownKeyword,
                    word.span,
                    format!(
                        "`{}` is not known behind an address; it is ignored",
                        values::shown(other)
                    ),
                );
                if other
                    .split('/')
                    .next()
                    .is_some_and(|bare| bare.parse::<core::net::IpAddr>().is_ok())
                {
                    diagnostic = diagnostic.help("write one address a line");
                }
                cx.report(diagnostic);
            }
        }
    }
    for option in [&mut address.scope, &mut address.label, &mut address.broadcast] {
        if let Some(Spanned { span, .. }) = option.take_if(|_| ipv6) {
            cx.report(
                Diagnostic::warning(
                    Code::BadValue,
                    span,
                    "an IPv6 address has no scope, label or broadcast address; it is ignored",
                )
                .help("remove it"),
            );
        }
    }
    if let Some(label) = address.label.take_if(|label| label.value.len() > 15) {
        cx.report(
            Diagnostic::warning(
                Code::BadValue,
                label.span,
                "a label has at most 15 characters; it is ignored",
            )
            .help("shorten it"),
        );
    }
    Some(address)
}
