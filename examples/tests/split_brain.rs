//! The example `split_brain`: keepalived ends with two masters, ours with one. The kernels of the hosts say so.

use std::process::Command;

#[test]
fn keepalived_ends_with_two_masters_and_a_guarded_router_with_one() {
    lab::need!(netns, keepalived, nftables);
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/split_brain");
    // What the backup waits for is in whole intervals of 300 ms; a machine that stalls for longer shows another story.
    let _measuring = lab::time_lock();
    let output = Command::new(program).output().unwrap();
    let story = String::from_utf8(output.stdout).unwrap();
    let told = format!("{story}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    let two = |line: &str| line.ends_with("two masters at the end");
    let one = |line: &str| line.ends_with(" 0.0 s with two, one master at the end");
    let verdicts: Vec<&str> = story.lines().filter(|line| line.contains("at the end")).collect();
    let [keepalived, ours, control, guarded] = verdicts[..] else { panic!("{told}") };
    assert!(two(keepalived) && two(control), "{told}");
    assert!(one(ours) && one(guarded), "{told}");
    assert_eq!(story.lines().filter(|line| line.contains('█')).count(), 7, "{told}");
}
