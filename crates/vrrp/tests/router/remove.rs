//! Trackers that come and go while a virtual router runs, and one that is taken out of service.

use vrrp::{Condition, RemoveError, State, Tracker};

use crate::support::{Pair, VIP, has, next, wait, web};

fn tracker(weight: i16) -> Tracker {
    Tracker::new(weight).unwrap().initial(Condition::Up)
}

#[test]
fn trackers_are_exchanged_under_a_master_which_stays_it() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200).track("nginx", tracker(-50)).track("disk", tracker(-20)));
    wait(&pair.a, VIP, true);
    a.handle().set_tracker("web", "disk", Condition::Down).unwrap();
    let wire = pair.capture();
    next(&wire, 1, 180);
    // The first one goes, so that the other's place is another one; what is known of it stays.
    let changed = web(200).track("disk", tracker(-30)).track("load", tracker(-7));
    a.handle().apply(changed).unwrap();
    next(&wire, 1, 170);
    a.handle().set_tracker("web", "load", Condition::Down).unwrap();
    next(&wire, 1, 163);
    let unknown = a.handle().set_tracker("web", "nginx", Condition::Down).unwrap_err();
    assert!(unknown.to_string().contains("there are: disk, load"), "{unknown}");
    a.handle().apply(web(200)).unwrap();
    next(&wire, 1, 200);
    let status = a.status().unwrap();
    let web = status.virtual_router("web").unwrap();
    assert_eq!((web.state, web.term, web.trackers.len()), (State::Master, 1, 0));
    a.shutdown().unwrap();
}

#[test]
fn a_tracker_that_is_down_goes_and_its_fault_with_it() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200).track("nginx", tracker(0)));
    wait(&pair.a, VIP, true);
    a.handle().set_tracker("web", "nginx", Condition::Down).unwrap();
    wait(&pair.a, VIP, false);
    a.handle().apply(web(200)).unwrap();
    wait(&pair.a, VIP, true);
    a.shutdown().unwrap();
}

#[test]
fn one_that_is_removed_can_run_in_another_router_of_the_same_process() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let wire = pair.capture();
    a.handle().remove("web").unwrap();
    assert!(!has(&pair.a, VIP));
    next(&wire, 1, 0);
    assert!(a.status().unwrap().virtual_routers.is_empty());
    assert!(a.handle().apply(web(150)).is_err(), "it is out of service");
    let again = pair.start_a(web(150));
    wait(&pair.a, VIP, true);
    next(&wire, 1, 150);
    // Orders to the former one do not reach it any more.
    a.handle().set_candidate("web", true).unwrap();
    a.handle().set_ready("web", false).unwrap();
    a.handle().remove("web").unwrap();
    let stranger = a.handle().remove("wbe").unwrap_err();
    assert!(matches!(stranger, RemoveError::VirtualRouter(_)), "{stranger}");
    a.shutdown().unwrap();
    assert!(has(&pair.a, VIP), "it is the other router's");
    again.shutdown().unwrap();
}
