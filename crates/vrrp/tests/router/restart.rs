//! What a killed process leaves, and what its successor does about it.

use vrrp::{BuildError, JournalError};

use crate::child::Child;
use crate::support::{Pair, VIP, has, next, observer, wait, web};

#[test]
fn after_kill_9_the_next_start_leaves_nothing() {
    lab::need!(netns);
    let pair = Pair::new();
    let mut killed = Child::start(&pair.a, pair.run.path(), 100);
    wait(&pair.a, VIP, true);
    killed.kill();
    assert!(has(&pair.a, VIP), "nobody was there to remove it");
    // The successor only observes: it has no use for the address.
    let successor = pair.start_a(observer(100));
    assert!(!has(&pair.a, VIP), "it is gone before start() returns");
    successor.shutdown().unwrap();
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0, "no journal is left either");
}

#[test]
fn what_somebody_else_configured_is_not_touched_before_mastership() {
    lab::need!(netns);
    let pair = Pair::new();
    pair.a.ip(&format!("addr add {VIP} dev eth0")).unwrap();
    let a = pair.start_a(observer(100));
    assert!(has(&pair.a, VIP));
    a.shutdown().unwrap();
    assert!(has(&pair.a, VIP), "never Master: never ours");
    let a = pair.start_a(web(100));
    let wire = pair.capture();
    next(&wire, 1, 100);
    a.shutdown().unwrap();
    assert!(!has(&pair.a, VIP), "adopted by a Master: it leaves with the mastership");
}

#[test]
fn the_owner_does_not_take_its_own_address_away() {
    lab::need!(netns);
    let pair = Pair::new();
    pair.a.ip(&format!("addr add {VIP} dev eth0")).unwrap();
    let wire = pair.capture();
    let a = pair.start_a(web(255));
    next(&wire, 1, 255);
    a.shutdown().unwrap();
    next(&wire, 1, 0);
    assert!(has(&pair.a, VIP));
}

#[test]
fn a_second_process_on_the_same_virtual_router_is_told_the_first_ones_pid() {
    lab::need!(netns);
    let pair = Pair::new();
    let first = Child::start(&pair.a, pair.run.path(), 100);
    wait(&pair.a, VIP, true);
    let second = pair.a.run(|| pair.builder().virtual_router(web(200)).start());
    let Err(BuildError::Journal { source: JournalError::Held { pid, .. }, .. }) = second else {
        panic!("{second:?}")
    };
    assert_eq!(pid, Some(first.id()));
    assert!(has(&pair.a, VIP), "the first one goes on");
}
