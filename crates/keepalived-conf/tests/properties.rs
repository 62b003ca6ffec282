//! Any text whatever: no panic, and every place that is told lies within the text.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use keepalived_conf::{LoadError, Loaded, Loader, Parsed, Span, parse};
use proptest::prelude::*;

/// Answers every include with the same few lines, which include again.
struct Echo;

impl Loader for Echo {
    fn load(&mut self, _from: &str, pattern: &str) -> Result<Vec<Loaded>, LoadError> {
        match pattern.len() % 3 {
            0 => Err(LoadError::NotFound),
            1 => Err(LoadError::Unreadable),
            _ => Ok(vec![Loaded {
                name: pattern.into(),
                text: "priority 7\ninclude other.conf\n}\nvrrp_instance b {".into(),
            }]),
        }
    }

    fn environment(&self, name: &str) -> Option<String> {
        Some(name.to_uppercase())
    }
}

/// Pieces that configurations are made of, and pieces that break them. (Expansion bombs take a second each and have tests of their own.)
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "vrrp_instance VI_1 {\n",
        "virtual_server 192.0.2.1 80 {\n",
        "real_server 10.0.0.1 80 {",
        "TCP_CHECK {",
        "global_defs",
        "vrrp_script s {",
        "vrrp_sync_group g {",
        "group {",
        "virtual_ipaddress {\n",
        "track_script {",
        "authentication {",
        "unicast_peer {",
        "notification_email {",
        "state MASTER",
        "interface eth0",
        "priority 100",
        "virtual_router_id 51",
        "advert_int 1",
        "auth_type PASS",
        "auth_pass 1234567890",
        "192.0.2.7/24 dev eth1 label x",
        "2001:db8::1",
        "nopreempt",
        "lb_algo wlc lvs",
        "lb_kind DR",
        "protocol TCP",
        "persistence_timeout 5",
        "notify_master \"/bin/a b\" root",
        "script \"x y\" z",
        "weight 3",
        "delay_loop 0.25",
        "retry 3",
        "nb_get_retry 3",
        "include a.conf",
        "includem ab*",
        "@vipd guard x",
        "@host x",
        "@^host x",
        "$A=b",
        "$B=c \\\n d ${A}",
        "${A}",
        "$A",
        "$B\n",
        "~SEQ(i, 1, 3) ",
        "~SEQx(i,8,12)",
        "~LST({a,b},{1,2},{3}) ",
        "${i}",
        "${_RANDOM}",
        "${_PWD}",
        "\n",
        "\n",
        "\n",
        " ",
        "\t",
        "{",
        "}",
        "}\n",
        "\"",
        "#",
        "!",
        "\\!",
        "<!-- x -->",
        "\u{201c}x\u{201d}",
        "\u{a0}",
        "\u{feff}",
        "\0",
        "\r\n",
        "日本",
        "[email\u{a0}protected]",
    ]);
    prop_oneof![6 => known.prop_map(String::from), 1 => ".{0,12}", 1 => "[a-z_]{1,12} [0-9.]{1,4}\n"]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.concat())
}

fn lies_within(parsed: &Parsed, span: Span) -> bool {
    parsed.sources.file(span.file).is_some_and(|file| file.text().get(span.range()).is_some())
}

/// All spans of the typed configuration, out of its `Debug` text: a new field cannot be forgotten.
fn config_spans(parsed: &Parsed) -> Vec<(usize, usize, usize)> {
    let text = format!("{:?}", parsed.config);
    let number = |text: &str| {
        text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().unwrap()
    };
    text.split("Span { file: FileId(")
        .skip(1)
        .map(|rest| {
            let start = rest.split_once("start: ").unwrap().1;
            let end = start.split_once("end: ").unwrap().1;
            (number(rest), number(start), number(end))
        })
        .collect()
}

/// Also what the fuzzer calls.
pub(crate) fn check(text: &str) {
    let parsed = parse("test.conf", text, &mut Echo);
    for found in &parsed.diagnostics {
        assert!(lies_within(&parsed, found.span), "{found:?}");
        assert!(!found.message.is_empty());
        assert_eq!(found.line, parsed.sources.line(found.span), "{found:?}");
        for label in &found.labels {
            assert!(lies_within(&parsed, label.span), "{found:?}");
        }
    }
    for (file, start, end) in config_spans(&parsed) {
        assert!(
            parsed
                .sources
                .files()
                .get(file)
                .is_some_and(|file| file.text().get(start..end).is_some()),
            "{file} {start}..{end}"
        );
    }
    let again = parse("test.conf", text, &mut Echo);
    assert_eq!(parsed.config, again.config);
    assert_eq!(parsed.diagnostics, again.diagnostics);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn configurations_of_pieces(text in text()) {
        check(&text);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        check(&text);
    }

    /// Where braces, blanks, comments and line ends stand does not matter.
    #[test]
    fn layout_does_not_matter(
        priority in 1_u8..=254,
        vrid in 1_u8..=255,
        interval in 1_u8..=200,
        address in any::<[u8; 3]>(),
        own_line in any::<bool>(),
        crlf in any::<bool>(),
        comments in any::<bool>(),
        tight in any::<bool>(),
        blanks in "[ \t\u{b}\u{c}]{0,5}",
    ) {
        let [a, b, c] = address;
        let statements = [
            "vrrp_instance web", "{", "interface eth0", &format!("virtual_router_id {vrid}"), &format!("priority {priority}"),
            &format!("advert_int {interval}"), "virtual_ipaddress", "{", &format!("10.{a}.{b}.{c}"), "}", "nopreempt", "}",
        ].map(String::from);
        let mut text = String::new();
        let end = if crlf { "\r\n" } else { "\n" };
        for (index, statement) in statements.iter().enumerate() {
            let joined = tight && matches!(statement.as_str(), "{" | "}");
            let opens = statements.get(index + 1).is_some_and(|next| next == "{");
            text.push_str(if joined { "" } else { blanks.as_str() });
            text.push_str(statement);
            if comments && !opens {
                text.push_str(" # } { \" $A");
            }
            text.push_str(if opens && !own_line { "" } else { end });
        }
        let parsed = parse("test.conf", &text, &mut Echo);
        prop_assert_eq!(&parsed.diagnostics, &[]);
        let [web] = &parsed.config.vrrp_instances[..] else { panic!("one instance") };
        prop_assert_eq!(web.effective_priority(), priority);
        prop_assert_eq!(web.virtual_router_id.unwrap().value, vrid);
        prop_assert_eq!(web.advertisement_interval(&parsed.config.global).as_secs(), u64::from(interval));
        prop_assert!(!web.preempts());
        prop_assert_eq!(web.virtual_addresses.len(), 1);
        let written = web.virtual_addresses[0].address;
        prop_assert_eq!(parsed.sources.text(written.span), format!("10.{a}.{b}.{c}"));
    }

    /// Every way to cut a good file short is survived, and an unclosed block never runs.
    #[test]
    fn truncated(at in 0_usize..1500) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tutorials/conf/004.d1.conf");
        let text = std::fs::read_to_string(path).unwrap();
        let at = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap();
        let text = &text[..at];
        check(text);
        let open = text.lines().map(|line| line.split('#').next().unwrap_or("")).collect::<String>();
        let unclosed = open.matches('{').count() > open.matches('}').count();
        let parsed = parse("test.conf", text, &mut Echo);
        prop_assert!(!unclosed || !parsed.can_run());
    }
}
