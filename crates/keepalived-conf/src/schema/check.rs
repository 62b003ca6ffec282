//! What the checks of a real server have in common, and those that have nothing else.

use alloc::boxed::Box;

use super::virtual_server::{
    Timed, alpha, connect_timeout, delay_before_retry, delay_loop, retry, warmup,
};
use super::{Context, Keyword, Scope, named, spanned, value};
use crate::config::{Check, CheckSettings, Connection, RealServer, UnsupportedCheck};
use crate::text::tree::{Block, Statement};

pub(super) const NOT_CHECKED: &str = "the real server counts as alive";

/// A check that connects to something.
pub(super) trait Connects {
    fn connection(&mut self) -> &mut Connection;
}

impl Connects for Connection {
    fn connection(&mut self) -> &mut Connection {
        self
    }
}

impl<T: Connects> Timed for T {
    fn settings(&mut self) -> &mut CheckSettings {
        &mut self.connection().settings
    }
}

pub(super) const fn connect_ip<T: Connects>() -> Keyword<T> {
    value("connect_ip", 1, |cx, check, st| {
        check.connection().connect_ip = st.arguments.first().and_then(|word| cx.address(word));
    })
}

pub(super) const fn connect_port<T: Connects>() -> Keyword<T> {
    value("connect_port", 1, |cx, check, st| {
        check.connection().connect_port = st.arguments.first().and_then(|word| cx.port(word));
    })
}

pub(super) const fn bindto<T: Connects>() -> Keyword<T> {
    value("bindto", 1, |cx, check, st| {
        check.connection().bindto = st.arguments.first().and_then(|word| cx.address(word));
    })
}

pub(super) const fn bind_port<T: Connects>() -> Keyword<T> {
    value("bind_port", 1, |cx, check, st| {
        check.connection().bind_port = st.arguments.first().and_then(|word| cx.port(word));
    })
}

pub(super) const fn bind_if<T: Connects>() -> Keyword<T> {
    value("bind_if", 1, |_, check, st| check.connection().bind_interface = Context::text(st))
}

pub(super) const fn fwmark<T: Connects>() -> Keyword<T> {
    value("fwmark", 1, |cx, check, st| {
        check.connection().firewall_mark = cx.number(st, 0, u32::MAX, "0");
    })
}

pub(super) const fn log_all_failures<T>() -> Keyword<T> {
    named("log_all_failures", "changes are logged")
}

impl Scope for Connection {
    const TITLE: &'static str = "TCP_CHECK";
    const KEYWORDS: &'static [Keyword<Self>] = &[
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

fn connection(cx: &mut Context<'_>, st: &Statement, content: &Block) -> Box<Connection> {
    let mut check = Connection { span: st.span(), ..Connection::default() };
    cx.apply(Some(st), content, &mut check);
    Box::new(check)
}

pub(super) fn tcp(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    server.checks.push(Check::Tcp(connection(cx, st, content)));
}

pub(super) fn ping(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    server.checks.push(Check::Ping(connection(cx, st, content)));
}

/// A checker whose content is not read.
pub(super) fn unsupported(_: &mut Context<'_>, server: &mut RealServer, st: &Statement, _: &Block) {
    server.checks.push(Check::Unsupported(UnsupportedCheck { keyword: spanned(&st.keyword) }));
}
