//! The configurations of five tutorials: as they run, and as they were printed, with their mistakes.
//! What is found in the printed ones is kept in `tests/data/tutorials/findings.txt`;
//! `UPDATE_EXPECT=1 cargo test -p keepalived-conf` rewrites it.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use core::fmt::Write;
use std::path::{Path, PathBuf};

use keepalived_conf::{Parsed, SingleFile, parse};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tutorials")
}

fn files(directory: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(data().join(directory))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(path).unwrap();
            (name, text)
        })
        .collect();
    files.sort();
    files
}

fn described(parsed: &Parsed) -> String {
    let mut text = String::new();
    for found in &parsed.diagnostics {
        writeln!(text, "{found}").unwrap();
        let excerpt = |span| parsed.sources.text(span).replace('\n', "\\n");
        writeln!(text, "    at `{}` {}", excerpt(found.span), found.here).unwrap();
        for label in &found.labels {
            writeln!(
                text,
                "    and line {} `{}`: {}",
                parsed.sources.line(label.span),
                excerpt(label.span),
                label.text
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn findings_in_the_printed_files() {
    let mut all = String::new();
    for (name, text) in files("verbatim") {
        let parsed = parse(&name, &text, &mut SingleFile::new());
        writeln!(all, "== {name}: {}", if parsed.can_run() { "can run" } else { "cannot run" })
            .unwrap();
        all.push_str(&described(&parsed));
    }
    let expected = data().join("findings.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&expected, &all).unwrap();
    }
    let known = std::fs::read_to_string(&expected).unwrap();
    for (number, (left, right)) in known.lines().zip(all.lines()).enumerate() {
        assert_eq!(left, right, "line {} of findings.txt", number + 1);
    }
    assert_eq!(known.lines().count(), all.lines().count());
}

#[test]
fn every_finding_says_what_where_and_what_to_do() {
    for (name, text) in files("verbatim").into_iter().chain(files("conf")) {
        for found in parse(&name, &text, &mut SingleFile::new()).diagnostics {
            assert!(!found.message.is_empty() && found.line > 0, "{found}");
            let says_what_to_do =
                !found.help.is_empty() || found.code == keepalived_conf::Code::NotActedOn;
            assert!(says_what_to_do, "{found}");
        }
    }
}

#[test]
fn the_running_files_have_no_error() {
    for (name, text) in files("conf") {
        let parsed = parse(&name, &text, &mut SingleFile::new());
        assert!(parsed.can_run(), "{name}: {}", described(&parsed));
        assert!(!parsed.config.is_empty(), "{name}");
    }
}
