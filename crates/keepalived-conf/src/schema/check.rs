//! The checks of a real server.

use alloc::boxed::Box;

use super::virtual_server::{
    Timed, alpha, connect_timeout, delay_before_retry, delay_loop, retry, warmup,
};
use super::{Context, Keyword, Scope, named, spanned, value};
use crate::config::{Check, CheckSettings, RealServer, TcpCheck, UnsupportedCheck};
use crate::text::tree::{Block, Statement};

pub(super) const TCP_CHECK: &str = "TCP_CHECK";
pub(super) const NOT_CHECKED: &str = "the real server counts as alive";

impl Timed for TcpCheck {
    fn settings(&mut self) -> &mut CheckSettings {
        &mut self.settings
    }
}

impl Scope for TcpCheck {
    const TITLE: &'static str = TCP_CHECK;
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("connect_ip", 1, |cx, check, st| {
            check.connect_ip = st.arguments.first().and_then(|word| cx.address(word));
        }),
        value("connect_port", 1, |cx, check, st| {
            check.connect_port = st.arguments.first().and_then(|word| cx.port(word));
        }),
        value("bindto", 1, |cx, check, st| {
            check.bindto = st.arguments.first().and_then(|word| cx.address(word));
        }),
        value("bind_port", 1, |cx, check, st| {
            check.bind_port = st.arguments.first().and_then(|word| cx.port(word));
        }),
        value("bind_if", 1, |_, check, st| check.bind_interface = Context::text(st)),
        value("fwmark", 1, |cx, check, st| {
            check.firewall_mark = cx.number(st, 0, u32::MAX, "0");
        }),
        connect_timeout(),
        retry(),
        delay_before_retry(),
        delay_loop(),
        warmup(),
        alpha(),
        named("log_all_failures", "changes are logged"),
    ];
}

pub(super) fn tcp(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    let mut check = TcpCheck { span: st.span(), ..TcpCheck::default() };
    cx.apply(Some(st), content, &mut check);
    server.checks.push(Check::Tcp(Box::new(check)));
}

/// A checker whose content is not read yet.
pub(super) fn unsupported(_: &mut Context<'_>, server: &mut RealServer, st: &Statement, _: &Block) {
    server.checks.push(Check::Unsupported(UnsupportedCheck { keyword: spanned(&st.keyword) }));
}
