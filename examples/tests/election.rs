//! The example `election` plays to its end.

use std::path::PathBuf;
use std::process::Command;

#[test]
fn it_plays_to_its_end() {
    lab::need!(netns);
    // `cargo test` builds the examples of a package beside its tests.
    let tests = std::env::current_exe().unwrap();
    let program: PathBuf = tests.ancestors().nth(2).unwrap().join("examples/election");
    assert!(
        program.exists(),
        "{} is missing: cargo build -p examples --examples",
        program.display()
    );
    let _measuring = lab::time_lock();
    let output = Command::new(program).output().unwrap();
    let (told, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{errors}");
    for line in [
        "one is elected",
        "one was silent for",
        "one removes the address that was left",
        "after its skew time",
    ] {
        assert!(told.contains(line), "no {line:?} in\n{told}");
    }
}
