//! The example `sim`: the same story every time, with everything in it.

use std::process::Command;

fn story(seed: &str) -> String {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/sim");
    let output = Command::new(program).arg(seed).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_world_tells_the_same_story_to_the_end() {
    for seed in 0..20 {
        let story = story(&seed.to_string());
        for part in ["is partitioned", "is whole again", "too late", "crashes", "╳", "█", "Z"] {
            assert!(story.contains(part), "no {part} in\n{story}");
        }
    }
    assert_eq!(story("5"), story("5"));
    assert_ne!(story("5"), story("6"));
}
