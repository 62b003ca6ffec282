//! What is watched elsewhere, and what it does to the election.

use core::time::Duration;

use vrrp::{
    BuildError, Condition, Fault, Influence, Restarts, Router, SetTrackerError, State, Tracker,
    VirtualRouterStatus,
};

use crate::support::{PATIENCE, Pair, VIP, has, next, wait, web};

fn status(router: &vrrp::RunningRouter) -> VirtualRouterStatus {
    router.status().unwrap().virtual_router("web").unwrap().clone()
}

#[test]
fn nothing_is_promoted_before_the_first_result_and_a_failure_hands_over() {
    lab::need!(netns);
    let pair = Pair::new();
    let b = pair.start_b(web(100));
    wait(&pair.b, VIP, true);
    let a = pair.start_a(web(200).track("nginx", Tracker::new(0).unwrap()));
    let wire = pair.capture();
    for _ in 0..8 {
        next(&wire, 2, 100);
    }
    let before = status(&a);
    assert_eq!(before.state, State::Initialize);
    assert!(before.faults.contains(Fault::TrackerUnknown), "{:?}", before.faults);
    assert_eq!(before.trackers[0].name.as_ref(), "nginx");
    assert_eq!(before.trackers[0].condition, Condition::Unknown);
    assert_eq!(before.trackers[0].influence, Influence::Unknown);
    assert!(!has(&pair.a, VIP));

    a.handle().set_tracker("web", "nginx", Condition::Up).unwrap();
    wait(&pair.a, VIP, true);
    wait(&pair.b, VIP, false);

    a.handle().set_tracker("web", "nginx", Condition::Down).unwrap();
    next(&wire, 1, 0);
    wait(&pair.a, VIP, false);
    wait(&pair.b, VIP, true);
    assert_eq!(status(&a).trackers[0].influence, Influence::Fault);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn weights_are_added_to_the_priority_and_advertised() {
    lab::need!(netns);
    let pair = Pair::new();
    let wire = pair.capture();
    let a = pair.start_a(
        web(200)
            .track("nginx", Tracker::new(-150).unwrap())
            .track("load", Tracker::new(1).unwrap()),
    );
    let b = pair.start_b(web(100));
    next(&wire, 1, 200);
    a.handle().set_tracker("web", "load", Condition::Value(-30)).unwrap();
    next(&wire, 1, 170);
    a.handle().set_tracker("web", "nginx", Condition::Down).unwrap();
    next(&wire, 1, 20);
    next(&wire, 2, 100);
    wait(&pair.b, VIP, true);
    wait(&pair.a, VIP, false);
    // The weights stay when the priority changes.
    a.handle().set_priority("web", 240).unwrap();
    let changed = lab::eventually(PATIENCE, || (status(&a).priority.get() == 60).then_some(()));
    changed.expect("240 - 30 - 150");
    a.handle().set_tracker("web", "nginx", Condition::Up).unwrap();
    next(&wire, 1, 210);
    wait(&pair.a, VIP, true);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn trackers_have_names_of_their_own() {
    lab::need!(netns);
    let pair = Pair::new();
    let tracker = Tracker::new(0).unwrap();
    let twice = web(100).track("nginx", tracker).track("nginx", tracker);
    let error = Router::builder().virtual_router(twice).build().unwrap_err();
    assert!(matches!(error, BuildError::DuplicateTracker { .. }), "{error}");
    let a = pair.start_a(web(100).track("nginx", tracker));
    let error = a.handle().set_tracker("web", "ngnix", Condition::Up).unwrap_err();
    assert_eq!(error.to_string(), "web: there is no tracker \"ngnix\"; there are: nginx");
    let error = a.handle().set_tracker("wbe", "nginx", Condition::Up).unwrap_err();
    assert!(matches!(error, SetTrackerError::VirtualRouter(_)), "{error}");
    a.shutdown().unwrap();
}

/// A second interface of the first host, whose other end is in the switch's namespace.
fn lay_uplink(pair: &Pair) {
    lab::veth(&pair.a, "eth1", pair.switch.namespace(), "uplink").unwrap();
}

#[test]
fn a_link_is_watched_without_being_told() {
    lab::need!(netns);
    let pair = Pair::new();
    lay_uplink(&pair);
    let wire = pair.capture();
    let a = pair.start_a(web(200).track_interface("eth1", Tracker::new(0).unwrap()));
    let b = pair.start_b(web(100).track_interface("eth7", Tracker::new(-50).unwrap()));
    wait(&pair.a, VIP, true);
    assert_eq!(status(&a).trackers[0].condition, Condition::Up);
    let switch = pair.switch.namespace();
    switch.ip("link set uplink down").unwrap();
    next(&wire, 1, 0);
    // The other one's tracker has never seen its interface.
    next(&wire, 2, 50);
    wait(&pair.a, VIP, false);
    wait(&pair.b, VIP, true);
    assert_eq!(status(&a).trackers[0].condition, Condition::Down);
    switch.ip("link set uplink up").unwrap();
    wait(&pair.a, VIP, true);
    wait(&pair.b, VIP, false);
    // One that is deleted is down, one that comes back is not.
    switch.ip("link del uplink").unwrap();
    wait(&pair.a, VIP, false);
    wait(&pair.b, VIP, true);
    lay_uplink(&pair);
    wait(&pair.a, VIP, true);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn a_link_that_is_watched_from_now_on_costs_no_mastership() {
    lab::need!(netns);
    let pair = Pair::new();
    lay_uplink(&pair);
    let a = pair.start_a(web(200));
    let b = pair.start_b(web(100));
    wait(&pair.a, VIP, true);
    let wire = pair.capture();
    let term = status(&a).term;
    a.handle().apply(web(200).track_interface("eth1", Tracker::new(0).unwrap())).unwrap();
    for _ in 0..4 {
        next(&wire, 1, 200);
    }
    assert_eq!((status(&a).state, status(&a).term), (State::Master, term));
    pair.a.ip("link set eth1 down").unwrap();
    next(&wire, 1, 0);
    wait(&pair.b, VIP, true);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn a_service_that_restarts_again_and_again_hands_over_for_a_while() {
    lab::need!(netns);
    let pair = Pair::new();
    let window = Duration::from_secs(2);
    let restarts = Restarts { window, max: 1 };
    let a = pair.start_a(web(200).track_restarts("nginx", restarts, Tracker::new(0).unwrap()));
    let b = pair.start_b(web(100));
    wait(&pair.a, VIP, true);
    let wire = pair.capture();
    a.handle().note_restart("web", "nginx").unwrap();
    for _ in 0..4 {
        next(&wire, 1, 200);
    }
    a.handle().note_restart("web", "nginx").unwrap();
    next(&wire, 1, 0);
    wait(&pair.b, VIP, true);
    // Nobody tells that it is over: the first one's window ends.
    wait(&pair.a, VIP, true);
    assert!(matches!(
        a.handle().note_restart("web", "apache"),
        Err(SetTrackerError::Tracker { .. })
    ));
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}
