//! `vrrp_script`.

use alloc::format;

use super::{Context, Keyword, Scope, spanned, track, value, values};
use crate::config::VrrpScript;
use crate::diagnostic::{Code, Diagnostic};
use crate::text::tree::Statement;

impl Scope for VrrpScript {
    const TITLE: &'static str = "vrrp_script";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        values("script", 1, usize::MAX, script),
        value("interval", 1, |cx, script, st| {
            script.interval = cx.seconds(st, 1, 4_294_000_000, "1 s").or(script.interval);
        }),
        value("timeout", 1, |cx, script, st| {
            script.timeout = cx.seconds(st, 0, 4_294_000_000, "the interval").or(script.timeout);
        }),
        values("weight", 1, 2, |cx, script, st| {
            (script.weight, script.reverse) = track::own_weight(cx, &st.arguments);
        }),
        value("rise", 1, |cx, script, st| {
            script.rise = cx.number(st, 1, i32::MAX.unsigned_abs(), "1").or(script.rise);
        }),
        value("fall", 1, |cx, script, st| {
            script.fall = cx.number(st, 1, i32::MAX.unsigned_abs(), "1").or(script.fall);
        }),
        values("user", 1, 2, |_, script, st| {
            (script.user, script.group) = (Context::text(st), st.arguments.get(1).map(spanned));
        }),
        values("init_fail", 0, 1, |cx, script, st| script.init_fail = cx.boolean(st)),
    ];
}

fn script(cx: &mut Context<'_>, script: &mut VrrpScript, st: &Statement) {
    if let (Some(first), Some(extra), Some(last)) =
        (st.arguments.first(), st.arguments.get(1), st.arguments.last())
    {
        cx.report(
            Diagnostic::warning(
                Code::ExtraWords,
                extra.span.to(last.span),
                "only the first word of `script` counts, or what is between its quotes",
            )
            .here("never reaches the script")
            .label(first.span, "the whole command")
            .help(
                "put the arguments inside the quotes: script \"/path/to/script argument argument\"",
            ),
        );
    }
    let Some(mut command) = cx.command(st) else { return };
    (command.user, command.group) = (None, None);
    if let Some(program) = command
        .words
        .first()
        .filter(|program| !program.contains('/') && program.rsplit('.').next() == Some("sh"))
    {
        let message =
            format!("`{program}` has no path, so keepalived does not find it and tracks nothing");
        cx.report(
            Diagnostic::warning(Code::BadValue, command.span, message)
                .help("write the whole path, beginning with `/`"),
        );
    }
    script.script = Some(command);
}
