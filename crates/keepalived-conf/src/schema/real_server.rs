//! `real_server`.

use alloc::format;
use alloc::vec::Vec;

use super::virtual_server::{
    METHODS, Timed, alpha, connect_timeout, delay_before_retry, delay_loop, retry, warmup,
};
use super::{Context, Keyword, Scope, block, idle, named, value, values};
use super::{check, checkers, http};
use crate::config::{CheckSettings, RealServer, VirtualServer};
use crate::text::tree::{Block, Statement};

impl Timed for RealServer {
    fn settings(&mut self) -> &mut CheckSettings {
        &mut self.settings
    }
}

impl Scope for RealServer {
    const TITLE: &'static str = "real_server";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("weight", 1, |cx, server, st| {
            server.weight = cx.number(st, 0, i32::MAX.unsigned_abs(), "1").or(server.weight);
        }),
        values("lvs_method", 1, 9, |cx, server, st| {
            server.forwarding = cx
                .choice(st, METHODS, false, "the virtual server's method is used")
                .or(server.forwarding);
        }),
        value("uthreshold", 1, |cx, server, st| {
            server.upper_threshold = cx.number(st, 0, u32::MAX, "0").or(server.upper_threshold);
        }),
        value("lthreshold", 1, |cx, server, st| {
            server.lower_threshold = cx.number(st, 0, u32::MAX, "0").or(server.lower_threshold);
        }),
        values("inhibit_on_failure", 0, 1, |cx, server, st| {
            server.inhibit_on_failure = cx.boolean(st);
        }),
        delay_loop(),
        connect_timeout(),
        retry(),
        delay_before_retry(),
        warmup(),
        alpha(),
        values("notify_up", 1, 3, |cx, server, st| server.notify_up = cx.command(st)),
        values("notify_down", 1, 3, |cx, server, st| server.notify_down = cx.command(st)),
        value("virtualhost", 1, |_, server, st| server.virtualhost = Context::text(st)),
        named("smtp_alert", "no mail is sent"),
        named("snmp_name", "there is no SNMP agent"),
        block("TCP_CHECK", 0, 0, check::tcp),
        block("HTTP_GET", 0, 0, http::plain),
        block("SSL_GET", 0, 0, http::tls),
        block("SMTP_CHECK", 0, 0, checkers::smtp),
        block("DNS_CHECK", 0, 0, checkers::dns),
        block("UDP_CHECK", 0, 0, checkers::udp),
        block("PING_CHECK", 0, 0, check::ping),
        block("MISC_CHECK", 0, 0, checkers::misc),
        block("FILE_CHECK", 0, 0, checkers::file),
        idle(check::NOT_CHECKED, block("BFD_CHECK", 0, 0, check::unsupported)),
    ];
}

/// The `real_server` block of a virtual server.
pub(super) fn read(
    cx: &mut Context<'_>,
    virtual_server: &mut VirtualServer,
    st: &Statement,
    content: &Block,
) {
    let Some(address) = st.arguments.first().and_then(|word| cx.address(word)) else { return };
    let mut server = RealServer {
        address,
        port: st.arguments.get(1).filter(|word| word.text != "0").and_then(|word| cx.port(word)),
        weight: None,
        forwarding: None,
        upper_threshold: None,
        lower_threshold: None,
        inhibit_on_failure: None,
        settings: CheckSettings::default(),
        notify_up: None,
        notify_down: None,
        virtualhost: None,
        checks: Vec::new(),
        span: st.span(),
    };
    cx.apply(Some(st), content, &mut server);
    let port = server.port.map(|port| port.value);
    let within = virtual_server.span;
    let key = format!("real_server {within:?} {} {port:?}", server.address.value);
    if cx.is_first(key, st, "merge the two blocks") {
        virtual_server.real_servers.push(server);
    }
}
