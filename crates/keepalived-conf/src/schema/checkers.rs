//! `SMTP_CHECK`, `DNS_CHECK`, `UDP_CHECK`, `MISC_CHECK`, `FILE_CHECK`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::check::{
    Connects, bind_if, bind_port, bindto, connect_ip, connect_port, fwmark, log_all_failures,
};
use super::virtual_server::{
    LONGEST, Timed, alpha, connect_timeout, delay_before_retry, delay_loop, retry, warmup,
};
use super::{Context, Keyword, Scope, named, spanned, track, value, values};
use crate::config::{
    Check, CheckSettings, Connection, DnsCheck, FileCheck, MiscCheck, RealServer, SmtpCheck,
    UdpCheck,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::text::tree::{Block, Statement};

macro_rules! connects {
    ($($kind:ty),*) => {$(
        impl Connects for $kind {
            fn connection(&mut self) -> &mut Connection {
                &mut self.connection
            }
        }
    )*};
}
connects!(SmtpCheck, DnsCheck, UdpCheck);

impl Scope for SmtpCheck {
    const TITLE: &'static str = "SMTP_CHECK";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("helo_name", 1, |_, check, st| check.helo_name = Context::text(st)),
        named("host", "the real server itself is checked"),
        connect_ip(),
        connect_port(),
        bindto(),
        bind_port(),
        bind_if(),
        fwmark(),
        connect_timeout(),
        retry(),
        delay_before_retry(),
        delay_loop(),
        warmup(),
        alpha(),
        log_all_failures(),
    ];
}

impl Scope for DnsCheck {
    const TITLE: &'static str = "DNS_CHECK";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("name", 1, |_, check, st| check.name = Context::text(st)),
        value("type", 1, |_, check, st| check.record_type = Context::text(st)),
        connect_ip(),
        connect_port(),
        bindto(),
        bind_port(),
        bind_if(),
        fwmark(),
        connect_timeout(),
        retry(),
        delay_before_retry(),
        delay_loop(),
        warmup(),
        alpha(),
        log_all_failures(),
    ];
}

impl Scope for UdpCheck {
    const TITLE: &'static str = "UDP_CHECK";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        values("payload", 1, usize::MAX, |cx, check, st| {
            check.payload = octets(cx, st).into_iter().map(Option::unwrap_or_default).collect();
        }),
        values("require_reply", 0, usize::MAX, |cx, check, st| {
            check.require_reply = Some(st.keyword.span);
            check.reply = octets(cx, st);
        }),
        value("min_reply_length", 1, |cx, check, st| {
            check.min_reply_length = cx.number(st, 0, 65_535, "0");
        }),
        value("max_reply_length", 1, |cx, check, st| {
            check.max_reply_length = cx.number(st, 0, 65_535, "255");
        }),
        connect_ip(),
        connect_port(),
        bindto(),
        bind_port(),
        bind_if(),
        fwmark(),
        connect_timeout(),
        retry(),
        delay_before_retry(),
        delay_loop(),
        warmup(),
        alpha(),
        log_all_failures(),
    ];
}

/// Octets in hexadecimal, with blanks between them or not; `XX` is any.
fn octets(cx: &mut Context<'_>, st: &Statement) -> Vec<Option<u8>> {
    let mut octets = Vec::new();
    for word in &st.arguments {
        let text = word.text.as_str();
        let mut rest = text;
        while !rest.is_empty() {
            let Some((pair, tail)) = rest.split_at_checked(2) else { break };
            match u8::from_str_radix(pair, 16) {
                Ok(octet) => octets.push(Some(octet)),
                Err(_) if pair.eq_ignore_ascii_case("xx") => octets.push(None),
                Err(_) => break,
            }
            rest = tail;
        }
        if !rest.is_empty() {
            cx.report(
                Diagnostic::warning(
                    Code::BadValue,
                    word.span,
                    "these are not octets; the rest is left out",
                )
                .help("write two hexadecimal digits for each octet"),
            );
            break;
        }
    }
    octets
}

/// A check that connects to nothing of its own, but has times.
macro_rules! timed {
    ($($kind:ty),*) => {$(
        impl Timed for $kind {
            fn settings(&mut self) -> &mut CheckSettings {
                &mut self.settings
            }
        }
    )*};
}
timed!(MiscCheck, FileCheck);

impl Scope for MiscCheck {
    const TITLE: &'static str = "MISC_CHECK";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        values("misc_path", 1, usize::MAX, |cx, check, st| check.script = cx.command(st)),
        value("misc_timeout", 1, |cx, check, st| {
            check.timeout = cx.seconds(st, 1, LONGEST, "delay_loop").or(check.timeout);
        }),
        values("misc_dynamic", 0, 1, |cx, check, st| check.dynamic = cx.boolean(st)),
        values("user", 1, 2, |_, check, st| {
            (check.user, check.group) = (Context::text(st), st.arguments.get(1).map(spanned));
        }),
        delay_loop(),
        retry(),
        delay_before_retry(),
        warmup(),
        alpha(),
        log_all_failures(),
    ];
}

impl Scope for FileCheck {
    const TITLE: &'static str = "FILE_CHECK";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("track_file", 1, |_, check, st| check.track_file = Context::text(st)),
        values("weight", 1, 2, |cx, check, st| {
            (check.weight, check.reverse) = track::own_weight(cx, &st.arguments);
        }),
        alpha(),
        log_all_failures(),
    ];
}

pub(super) fn smtp(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    let connection = Connection { span: st.span(), ..Connection::default() };
    let mut check = SmtpCheck { connection, ..SmtpCheck::default() };
    cx.apply(Some(st), content, &mut check);
    server.checks.push(Check::Smtp(Box::new(check)));
}

pub(super) fn dns(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    let connection = Connection { span: st.span(), ..Connection::default() };
    let mut check = DnsCheck { connection, ..DnsCheck::default() };
    cx.apply(Some(st), content, &mut check);
    server.checks.push(Check::Dns(Box::new(check)));
}

pub(super) fn udp(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    let connection = Connection { span: st.span(), ..Connection::default() };
    let mut check = UdpCheck { connection, ..UdpCheck::default() };
    cx.apply(Some(st), content, &mut check);
    server.checks.push(Check::Udp(Box::new(check)));
}

pub(super) fn misc(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    let mut check = MiscCheck { span: st.span(), ..MiscCheck::default() };
    cx.apply(Some(st), content, &mut check);
    if let Some(script) = &mut check.script {
        (script.user, script.group) = (check.user.clone(), check.group.clone());
    }
    server.checks.push(Check::Misc(Box::new(check)));
}

pub(super) fn file(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    let mut check = FileCheck { span: st.span(), ..FileCheck::default() };
    cx.apply(Some(st), content, &mut check);
    server.checks.push(Check::File(Box::new(check)));
}
