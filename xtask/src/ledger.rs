//! `cargo xtask ledger`: whether the ledger of RFC requirements, `docs/rfc9568.md`, tells the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use crate::host::{self, Outcome};
use crate::ledger::row::Row;
use crate::test::ran;

mod row;

/// Check docs/rfc9568.md: every test it names ran and passed, every symbol of code exists, ids are unique and in order
///
/// Which tests ran is what the last `cargo xtask test` left in target/tests-ran.txt.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

const LEDGER: &str = "docs/rfc9568.md";

pub(crate) fn run(_: &Arguments) -> Outcome {
    let root = host::workspace();
    let text =
        std::fs::read_to_string(root.join(LEDGER)).map_err(|why| format!("{LEDGER}: {why}"))?;
    let ran = ran::read()?;
    let (rows, mut errors) = parse(&text);
    errors.extend(check(&rows, &ran, &root.join("crates")));
    for error in &errors {
        println!("{LEDGER}:{error}");
    }
    println!("{}", summary(&rows));
    if errors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("{LEDGER} has {} errors", errors.len()))
}

/// The rows of every table, and what is wrong with their form and order.
fn parse(text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut errors) = (Vec::<Row>::new(), Vec::new());
    let mut ids = BTreeSet::new();
    let mut table_goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        if !line.starts_with('|') {
            table_goes_on = false;
            continue;
        }
        let row = match Row::parse(number, line) {
            Ok(Some(row)) => row,
            Ok(None) => continue,
            Err(why) => {
                errors.push(format!("{number}: {why}"));
                continue;
            }
        };
        if !ids.insert(row.id.clone()) {
            errors.push(format!("{number}: {} is there twice", row.id));
        }
        if let Some(before) = rows.last().filter(|before| table_goes_on && before.id > row.id) {
            errors.push(format!("{number}: {} stands behind {}", row.id, before.id));
        }
        table_goes_on = true;
        rows.push(row);
    }
    if rows.is_empty() {
        errors.push("1: no requirement is listed".to_owned());
    }
    (rows, errors)
}

/// What the rows name and does not exist: tests that did not run, files, symbols.
fn check(rows: &[Row], ran: &BTreeSet<String>, crates: &Path) -> Vec<String> {
    let mut errors = Vec::new();
    let mut files = BTreeMap::new();
    for row in rows {
        let mut error = |why: String| errors.push(format!("{}: {}: {why}", row.line, row.id));
        for test in row.tests().filter(|test| !ran.contains(*test)) {
            error(format!("no test {test} ran and passed (misspelt, renamed, skipped, failed?)"));
        }
        for (file, symbol) in &row.code {
            let read = || std::fs::read_to_string(crates.join(file)).ok();
            match files.entry(file).or_insert_with(read) {
                None => error(format!("no file crates/{file}")),
                Some(text) if !names(text, symbol) => {
                    error(format!("crates/{file} has no {symbol}"));
                }
                Some(_) => {}
            }
        }
    }
    errors
}

/// Whether code, comments aside, has this identifier.
fn names(text: &str, symbol: &str) -> bool {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|char: char| !char.is_alphanumeric() && char != '_'))
        .any(|word| word == symbol)
}

fn summary(rows: &[Row]) -> String {
    let mut by_status = BTreeMap::new();
    for row in rows {
        *by_status.entry(row.status).or_insert(0_usize) += 1;
    }
    let counts: Vec<String> =
        by_status.iter().map(|(status, count)| format!("{count} {}", status.name())).collect();
    let tests: BTreeSet<&str> = rows.iter().flat_map(Row::tests).collect();
    format!("{} requirements: {}; {} tests named", rows.len(), counts.join(", "), tests.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "| id | level | requirement | code | positive | negative | status |\n\
                        |---|---|---|---|---|---|---|\n";
    const GOOD: &str = "| 9568-5.2.2-1 | MUST | unknown types are dropped | `a/src/lib.rs::parse` | `a::reads` | \
                        `a::tests::refuses` | done |\n";

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("ledger-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a/src")).expect("the temporary directory is writable");
        let code = "/// Not here: missing\npub fn parse(octets: &[u8]) {}\n";
        std::fs::write(folder.join("a/src/lib.rs"), code).expect("the folder is there");
        folder
    }

    fn check_text(name: &str, table: &str, ran: &[&str]) -> Vec<String> {
        let (rows, mut errors) = parse(&format!("# Title\n\n{HEAD}{table}"));
        let folder = folder(name);
        let ran = ran.iter().copied().map(str::to_owned).collect();
        errors.extend(check(&rows, &ran, &folder));
        std::fs::remove_dir_all(folder).expect("it was just made");
        errors
    }

    #[test]
    fn a_true_row_has_no_errors() {
        let errors = check_text("true", GOOD, &["a::reads", "a::tests::refuses", "b::other"]);
        assert_eq!(errors, [""; 0]);
        let (rows, _) = parse(&format!("{HEAD}{GOOD}"));
        assert_eq!(summary(&rows), "1 requirements: 1 done; 2 tests named");
    }

    #[test]
    fn a_test_that_does_not_exist_is_an_error() {
        let errors = check_text("test", GOOD, &["a::reads", "a::refuses"]);
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(
            error.starts_with("5: 9568-5.2.2-1: no test a::tests::refuses ran and passed"),
            "{error}"
        );
    }

    #[test]
    fn code_that_does_not_exist_is_an_error() {
        let table = GOOD.replace(
            "lib.rs::parse` ",
            "lib.rs::missing`, `a/src/other.rs::parse`, `a/src/lib.rs::pars` ",
        );
        let errors = check_text("code", &table, &["a::reads", "a::tests::refuses"]);
        assert_eq!(
            errors,
            [
                "5: 9568-5.2.2-1: crates/a/src/lib.rs has no missing",
                "5: 9568-5.2.2-1: no file crates/a/src/other.rs",
                "5: 9568-5.2.2-1: crates/a/src/lib.rs has no pars",
            ]
        );
    }

    #[test]
    fn ids_are_unique_and_in_numerical_order_within_a_table() {
        let with = |id: &str| GOOD.replace("9568-5.2.2-1", id);
        let text = format!(
            "{HEAD}{}{}{}{}\n{HEAD}{}{}",
            with("9568-5.2.2-9"),
            with("9568-5.2.2-10"),
            with("9568-5.2.1-1"),
            with("9568-10-1"),
            with("3768-6.1-1"),
            with("9568-10-1"),
        );
        let (rows, errors) = parse(&text);
        assert_eq!(rows.len(), 6);
        assert_eq!(
            errors,
            ["5: 9568-5.2.1-1 stands behind 9568-5.2.2-10", "11: 9568-10-1 is there twice"]
        );
        assert_eq!(parse("nothing").1, ["1: no requirement is listed"]);
    }
}
