//! The list of tests that ran and passed, which `cargo xtask ledger` reads.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::host;

/// `target/tests-ran.txt`: one `package::path::of::test` a line, of the last `cargo xtask test`.
fn file() -> PathBuf {
    host::workspace().join("target/tests-ran.txt")
}

/// Replaces the list.
pub(crate) fn write(tests: &BTreeSet<String>) -> Result<(), String> {
    let file = file();
    let lines: String = tests.iter().flat_map(|test| [test, "\n"]).collect();
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| std::fs::write(&file, lines))
        .map_err(|why| format!("{}: {why}", file.display()))
}

/// Reads the list.
pub(crate) fn read() -> Result<BTreeSet<String>, String> {
    let file = file();
    let text = std::fs::read_to_string(&file)
        .map_err(|why| format!("{}: {why}; run `cargo xtask test` first", file.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
