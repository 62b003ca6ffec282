//! `HTTP_GET`, `SSL_GET`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use core::ops::RangeInclusive;

use super::check::{
    Connects, bind_if, bind_port, bindto, connect_ip, connect_port, fwmark, log_all_failures,
};
use super::virtual_server::{
    Timed, alpha, connect_timeout, delay_before_retry, delay_loop, retry, warmup,
};
use super::{Context, Keyword, Scope, block, named, spanned, value, values};
use crate::config::{Check, Connection, HttpCheck, HttpProtocol, RealServer, Url};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Spanned;
use crate::text::tree::{Block, Statement};

impl Connects for HttpCheck {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Scope for HttpCheck {
    const TITLE: &'static str = "HTTP_GET";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        block("url", 0, 0, |cx, check, st, content| {
            let mut url = Url { span: st.span(), ..Url::default() };
            cx.apply(Some(st), content, &mut url);
            if url.path.is_none() {
                cx.report(
                    Diagnostic::warning(
                        Code::MissingKeyword,
                        st.span(),
                        "this url has no path; `/` is asked for",
                    )
                    .help("write `path /...` in the block"),
                );
            }
            check.urls.push(url);
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
        value("nb_get_retry", 1, |cx, check, st| {
            cx.report(
                Diagnostic::warning(
                    Code::Deprecated,
                    st.keyword.span,
                    "`nb_get_retry` is an old name of `retry`",
                )
                .help("write `retry`"),
            );
            check.settings().retry = cx.number(st, 0, u32::MAX, "1").or(check.settings().retry);
        }),
        value("virtualhost", 1, |_, check, st| check.virtualhost = Context::text(st)),
        value("http_protocol", 1, |cx, check, st| {
            let choices = &[
                ("1.0", HttpProtocol::Http10),
                ("1.0C", HttpProtocol::Http10Close),
                ("1.0c", HttpProtocol::Http10Close),
                ("1.1", HttpProtocol::Http11),
            ];
            check.protocol = cx.choice(st, choices, false, "1.0 is used").or(check.protocol);
        }),
        values("enable_sni", 0, 1, |cx, check, st| check.enable_sni = cx.boolean(st)),
        value("sni_name", 1, |_, check, st| check.sni_name = Context::text(st)),
        named("fast_recovery", "all urls are asked for in every run"),
        named("tls_compliant", "connections are closed as the protocol says"),
        log_all_failures(),
    ];
}

impl Scope for Url {
    const TITLE: &'static str = "url";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        value("path", 1, |_, url, st| url.path = Context::text(st)),
        value("digest", 1, digest),
        values("status_code", 1, usize::MAX, status_code),
        value("virtualhost", 1, |_, url, st| url.virtualhost = Context::text(st)),
        values("regex", 1, usize::MAX, |_, url, st| {
            let (tail, span) = st.tail();
            let quoted = tail.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            url.regex = Some(Spanned::new(quoted.unwrap_or(tail).to_string(), span));
        }),
        value("regex_no_match", 0, |_, url, st| url.regex_no_match = Some(st.keyword.span)),
        values("regex_options", 1, usize::MAX, |_, url, st| {
            url.regex_options.extend(st.arguments.iter().map(|word| word.text.clone()));
        }),
        value("regex_min_offset", 1, |cx, url, st| {
            url.regex_min_offset = cx.number(st, 0, u32::MAX, "0");
        }),
        value("regex_max_offset", 1, |cx, url, st| {
            url.regex_max_offset = cx.number(st, 0, u32::MAX, "none");
        }),
        named("regex_stack", "matching needs no stack"),
        named("tls_compliant", "connections are closed as the protocol says"),
    ];
}

fn digest(cx: &mut Context<'_>, url: &mut Url, st: &Statement) {
    let Some(word) = st.arguments.first() else { return };
    let is_digest =
        word.text.len() == 32 && word.text.chars().all(|digit| digit.is_ascii_hexdigit());
    if is_digest {
        url.digest = Some(spanned(word));
        return;
    }
    cx.report(
        Diagnostic::warning(
            Code::BadValue,
            word.span,
            "this is not an MD5 digest; the body is not compared",
        )
        .help("write 32 hexadecimal digits, as `curl -s URL | md5sum` prints them"),
    );
}

fn status_code(cx: &mut Context<'_>, url: &mut Url, st: &Statement) {
    for word in &st.arguments {
        let (first, last) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
        let range: Option<RangeInclusive<u16>> = match (first.parse(), last.parse()) {
            (Ok(first), Ok(last))
                if (100..=999).contains(&first) && first <= last && last <= 999 =>
            {
                Some(first..=last)
            }
            _ => None,
        };
        match range {
            Some(range) => url.statuses.push(range),
            None => cx.report(
                Diagnostic::warning(
                    Code::BadValue,
                    word.span,
                    format!("`{}` is not a status code; it is left out", values::shown(&word.text)),
                )
                .help("write a number from 100 to 999, or a range like 200-299"),
            ),
        }
    }
}

pub(super) fn plain(
    cx: &mut Context<'_>,
    server: &mut RealServer,
    st: &Statement,
    content: &Block,
) {
    read(cx, server, st, content, false);
}

pub(super) fn tls(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block) {
    read(cx, server, st, content, true);
}

fn read(cx: &mut Context<'_>, server: &mut RealServer, st: &Statement, content: &Block, tls: bool) {
    let connection = Connection { span: st.span(), ..Connection::default() };
    let mut check = HttpCheck { connection, tls, ..HttpCheck::default() };
    cx.apply(Some(st), content, &mut check);
    server.checks.push(Check::Http(Box::new(check)));
}
