//! What a turn of the loop does first. The router is stepped by hand, so that what it finds is what the test has put there.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vrrp::{Router, State};

use crate::flood::{flood, flooder};
use crate::support::{INTERVAL, Pair, VIP, advertisement, has, next, wait, web};

fn state(router: &Router) -> State {
    router.status().virtual_router("web").unwrap().state
}

fn step_until(router: &mut Router, wanted: State) {
    for _ in 0..1000 {
        if state(router) == wanted {
            return;
        }
        let left =
            router.poll_timeout().map(|at| at.saturating_duration_since(reactor::Clock::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        poll(&mut [PollFd::new(&*router, PollFlags::IN)], left.as_ref()).unwrap();
        router.process().unwrap();
    }
    panic!("not {wanted} after 1000 turns: {:?}", router.status());
}

#[test]
fn an_advertisement_that_is_due_does_not_wait_for_the_end_of_a_backlog() {
    lab::need!(netns);
    let pair = Pair::new();
    let flooder = flooder(&pair);
    // Without the rule for late wakes, which would have it yield.
    let master = || web(200).late_wake_rule(false);
    let mut router = pair.a.run(|| pair.builder().virtual_router(master()).build()).unwrap();
    step_until(&mut router, State::Master);
    let wire = pair.capture();
    let sent = flood(&flooder, 50_000, INTERVAL * 2);
    wire.drain();
    let start = lab::now();
    router.process().unwrap();
    let end = lab::now();
    let seen = next(&wire, 1, 200);
    let (until_sent, whole) = (seen.at.saturating_sub(start), end - start);
    assert!(until_sent < whole / 2, "{until_sent:?} of {whole:?} for {sent} packets");
}

#[test]
fn queued_advertisements_are_heard_before_an_overdue_deadline_is_believed() {
    lab::need!(netns);
    let pair = Pair::new();
    let backup = || web(100).late_wake_rule(false);
    let mut router = pair.b.run(|| pair.builder().virtual_router(backup()).build()).unwrap();
    step_until(&mut router, State::Backup);
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let wire = pair.capture();
    // Nobody steps it for twice the time after which it would take over.
    for _ in 0..8 {
        next(&wire, 1, 200);
    }
    assert!(router.poll_timeout().unwrap() < reactor::Clock::now(), "its deadline has passed");
    router.process().unwrap();
    assert_eq!(state(&router), State::Backup);
    assert!(!has(&pair.b, VIP));
    assert!(wire.drain().iter().filter_map(advertisement).all(|seen| seen.from == 1));
    drop(router);
    a.shutdown().unwrap();
}
