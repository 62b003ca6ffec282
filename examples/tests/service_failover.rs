//! The example `service_failover`: the service that trusts VRRP fails, in a world that is small; the other one holds.

use std::process::Command;

#[test]
fn the_trusting_service_loses_counts_and_the_fenced_one_does_not() {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/service_failover");
    let output = Command::new(program).output().unwrap();
    let story = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{story}{}", String::from_utf8_lossy(&output.stderr));
    let (trusting, fenced) = story.split_once("The same service with a token").unwrap();
    assert!(trusting.contains("counts acknowledged") && trusting.contains('█'), "{story}");
    // Small: two routers, and little happens to them.
    assert!(trusting.lines().count() < 40, "{story}");
    assert!(fenced.contains("every acknowledged count is there"), "{story}");
    assert!(!fenced.contains(" 0 writes"), "{story}");
}
