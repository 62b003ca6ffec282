//! `docs/interop.md`, whose tables come from here.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use lab::peers::{Daemon, Frr};

/// Compares the block `name` of the document with `text`, measured times apart. With `INTEROP_WRITE` in the environment it
/// is written instead; where this machine has other versions of the peers than the document names, nothing is compared.
pub(crate) fn check(name: &str, text: &str) {
    // Both tests write.
    static DOCUMENT: Mutex<()> = Mutex::new(());
    let _alone = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let versions = versions();
    if std::env::var_os("INTEROP_WRITE").is_some() {
        let document = with_block(&with_block(&document, name, text), "versions", &versions);
        std::fs::write(&path, document).unwrap();
        return;
    }
    let named = block(&document, "versions").1;
    if named != versions {
        println!(
            "not compared with docs/interop.md: it is of {named}, this machine has {versions}"
        );
        return;
    }
    let shown = block(&document, name).1;
    assert!(
        timeless(shown) == timeless(text),
        "docs/interop.md shows something else; `cargo xtask interop --write` renews it. It shows\n{shown}\nnow it is\n{text}"
    );
}

/// What is before the block, the block, and what is after it.
fn block<'a>(document: &'a str, name: &str) -> (&'a str, &'a str, &'a str) {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("\n<!-- end of {name} -->"));
    let from = document.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
    let to = from + document[from..].find(&end).unwrap_or_else(|| panic!("no {end}"));
    (&document[..from], &document[from..to], &document[to..])
}

fn with_block(document: &str, name: &str, text: &str) -> String {
    let (before, _, after) = block(document, name);
    [before, text, after].concat()
}

/// What runs here.
fn versions() -> String {
    let unknown = || "unknown".to_owned();
    format!(
        "keepalived {}, FRR {}",
        Daemon::Keepalived.version().unwrap_or_else(unknown),
        Frr::version().unwrap_or_else(unknown)
    )
}

/// The text without the numbers of milliseconds.
fn timeless(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let measured = |at: usize| words.get(at + 1) == Some(&"ms");
    words.iter().enumerate().filter(|(at, _)| !measured(*at)).map(|(_, word)| *word).collect()
}
