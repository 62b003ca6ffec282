//! Trackers: what they are worth, and what the virtual router hears of them.

use proptest::prelude::*;
use vrrp_fsm::{
    Condition, Fault, Influence, Instant, Output, State, Tracker, TrackerId, Tracking,
    TrackingOutput, WeightError, vrrp_proto::Priority,
};

use crate::host::*;
use Condition::{Down, Unknown, Up, Value};

fn tracker(weight: i16) -> Tracker {
    Tracker::new(weight).unwrap()
}

#[test]
fn what_an_object_is_worth() {
    let worth = Influence::Priority;
    let fault = Influence::Fault;
    for (weight, condition, plain, reversed) in [
        (20, Up, worth(20), worth(-20)),
        (20, Down, worth(0), worth(0)),
        (20, Unknown, worth(0), worth(0)),
        (-20, Up, worth(0), worth(0)),
        (-20, Down, worth(-20), worth(20)),
        (-20, Unknown, worth(0), worth(0)),
        (0, Up, worth(0), fault),
        (0, Down, fault, worth(0)),
        (0, Unknown, Influence::Unknown, Influence::Unknown),
        // A value of a file.
        (1, Value(-253), worth(-253), worth(253)),
        (1, Value(-254), fault, worth(254)),
        (2, Value(i32::MIN), fault, worth(254)),
        (2, Value(i32::MAX), worth(254), fault),
        (-3, Value(7), worth(-21), worth(21)),
        (0, Value(0), worth(0), fault),
        (0, Value(-1), fault, worth(0)),
        // The edges.
        (254, Up, worth(254), worth(-254)),
        (-254, Down, worth(-254), worth(254)),
    ] {
        assert_eq!(tracker(weight).influence(condition), plain, "{weight} {condition:?}");
        let reverse = tracker(weight).reverse(true);
        assert_eq!(reverse.influence(condition), reversed, "{weight} reverse {condition:?}");
    }
}

#[test]
fn a_weight_is_less_than_a_priority() {
    for weight in [255, -255, i16::MAX, i16::MIN] {
        assert_eq!(Tracker::new(weight), Err(WeightError { weight }));
    }
    assert_eq!(WeightError { weight: 300 }.to_string(), "a weight is -254 to 254, not 300");
}

fn tracking(base: u8, weights: &[i16]) -> Tracking {
    Tracking::new(Priority::new(base), weights.iter().map(|weight| tracker(*weight)).collect())
}

fn set(tracking: &mut Tracking, index: usize, condition: Condition) -> Vec<TrackingOutput> {
    tracking.handle_condition(TrackerId::new(index), condition);
    core::iter::from_fn(|| tracking.poll_output()).collect()
}

fn priority(value: u8) -> TrackingOutput {
    TrackingOutput::Priority(Priority::new(value))
}

#[test]
fn what_goes_beyond_the_range_is_not_forgotten() {
    let mut tracking = tracking(100, &[200, 100, -150]);
    assert_eq!(set(&mut tracking, 0, Up), [priority(254)]);
    assert_eq!(set(&mut tracking, 1, Up), [], "400 is 254 as well");
    assert_eq!(set(&mut tracking, 2, Down), [priority(250)], "400 - 150");
    assert_eq!(set(&mut tracking, 0, Down), [priority(50)]);
    assert_eq!(set(&mut tracking, 1, Down), [priority(1)], "100 - 150");
    assert_eq!(set(&mut tracking, 1, Down), [], "nothing new");
}

#[test]
fn nothing_changes_the_priority_of_the_owner_but_a_fault_concerns_it() {
    let mut tracking = tracking(255, &[-100, 1, 0]);
    assert_eq!(set(&mut tracking, 2, Up), []);
    assert_eq!(set(&mut tracking, 0, Down), []);
    assert_eq!(set(&mut tracking, 1, Value(-1_000)), []);
    assert_eq!(set(&mut tracking, 2, Down), [TrackingOutput::Fault(Fault::Tracker)]);
    assert_eq!(tracking.priority(), Priority::OWNER);
}

#[test]
fn one_of_several_faults_is_a_fault() {
    let mut tracking = tracking(100, &[0, 0]);
    assert_eq!(tracking.poll_output(), Some(TrackingOutput::Fault(Fault::TrackerUnknown)));
    assert_eq!(set(&mut tracking, 0, Up), []);
    // The new fault before the end of the old one: no moment without any.
    let change = [
        TrackingOutput::Fault(Fault::Tracker),
        TrackingOutput::FaultCleared(Fault::TrackerUnknown),
    ];
    assert_eq!(set(&mut tracking, 1, Down), change);
    assert_eq!(set(&mut tracking, 0, Down), []);
    assert_eq!(set(&mut tracking, 1, Up), []);
    let influences: Vec<_> = tracking.influences().collect();
    assert_eq!(influences[0], (TrackerId::new(0), Influence::Fault));
    assert_eq!(influences[1], (TrackerId::new(1), Influence::Priority(0)));
    assert_eq!(set(&mut tracking, 0, Up), [TrackingOutput::FaultCleared(Fault::Tracker)]);
}

#[test]
fn an_unknown_tracker_changes_nothing() {
    let mut tracking = tracking(100, &[10]);
    assert_eq!(set(&mut tracking, 1, Down), []);
    assert_eq!(tracking.condition(TrackerId::new(1)), None);
    assert_eq!(tracking.condition(TrackerId::new(0)), Some(Unknown));
}

/// Gives the router what tracking says.
fn tell(host: &mut Host, tracking: &mut Tracking, now: Instant) {
    while let Some(output) = tracking.poll_output() {
        host.router.handle_tracking(now, output);
        host.carry_out(now);
    }
}

#[test]
fn not_even_backup_before_the_first_result() {
    let mut tracking = tracking(100, &[0]);
    let mut host = Host::new(config(100), "192.0.2.2");
    tell(&mut host, &mut tracking, at(0));
    host.router.handle_startup(at(0));
    host.carry_out(at(0));
    assert_eq!((host.router.state(), host.log.len()), (State::Initialize, 0));
    let why = host.router.why(at(0)).to_string();
    assert_eq!(why, "a tracked object has no first result yet");
    tracking.handle_condition(TrackerId::new(0), Up);
    tell(&mut host, &mut tracking, at(9));
    assert_eq!(host.router.state(), State::Backup);
}

#[test]
fn a_fault_of_a_master_is_told_and_a_weight_only_advertised() {
    let mut tracking = tracking(100, &[0, -60]);
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    tracking.handle_condition(TrackerId::new(0), Up);
    tracking.handle_condition(TrackerId::new(1), Down);
    tell(&mut host, &mut tracking, now);
    assert_eq!(host.log, [], "with the next advertisement");
    host.step();
    assert!(matches!(host.log[..], [Output::Send(send)] if send.priority == Priority::new(40)));
    host.log.clear();
    tracking.handle_condition(TrackerId::new(0), Down);
    tell(&mut host, &mut tracking, now + SECOND);
    assert!(matches!(host.log[0], Output::Send(send) if send.priority == Priority::RELEASE));
    assert_eq!(host.router.reported_state(), State::Initialize);
}

#[test]
fn a_new_configuration_does_not_forget_the_trackers() {
    let mut tracking = tracking(100, &[-60]);
    let mut host = Host::started(config(100), "192.0.2.2");
    tracking.handle_condition(TrackerId::new(0), Down);
    tell(&mut host, &mut tracking, at(1));
    assert_eq!(host.router.priority(), Priority::new(40));
    host.router.handle_config(at(2), config(200)).unwrap();
    tracking.handle_base(Priority::new(200));
    tell(&mut host, &mut tracking, at(2));
    assert_eq!(host.router.priority(), Priority::new(140));
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        1 => Just(Unknown),
        3 => Just(Up),
        3 => Just(Down),
        1 => any::<i32>().prop_map(Value),
        1 => (-300..300).prop_map(Value),
    ]
}

proptest! {
    /// Whatever happened, the router has the sum of the table above, and a fault exactly when a
    /// tracker is one.
    #[test]
    fn the_router_knows_what_the_trackers_amount_to(
        base in prop_oneof![1..=254_u8, Just(255)],
        weights in proptest::collection::vec(
            (prop_oneof![2 => -254..=254_i16, 1 => Just(0)], any::<bool>(), condition()), 0..6),
        changes in proptest::collection::vec((0..7_usize, condition(), 0..5_u8), 0..40),
    ) {
        let trackers: Vec<Tracker> = weights
            .iter()
            .map(|(weight, reverse, initial)| tracker(*weight).reverse(*reverse).initial(*initial))
            .collect();
        let mut conditions: Vec<Condition> = weights.iter().map(|weight| weight.2).collect();
        let mut tracking = Tracking::new(Priority::new(base), trackers.clone());
        let mut host = Host::new(config(base), "192.0.2.2");
        tell(&mut host, &mut tracking, at(0));
        host.router.handle_startup(at(0));
        host.carry_out(at(0));
        for (index, condition, base_changes) in changes {
            tracking.handle_condition(TrackerId::new(index), condition);
            if let Some(present) = conditions.get_mut(index) {
                *present = condition;
            }
            if base_changes == 0 {
                host.router.handle_config(at(0), config(base)).unwrap();
                tracking.handle_base(Priority::new(base));
            }
            tell(&mut host, &mut tracking, at(0));
            let mut total = i64::from(base);
            let (mut fault, mut unknown) = (false, false);
            for ((tracker, condition), (weight, ..)) in
                trackers.iter().zip(&conditions).zip(&weights)
            {
                match tracker.influence(*condition) {
                    _ if base == 255 && *weight != 0 => {}
                    Influence::Priority(contribution) => total += i64::from(contribution),
                    Influence::Fault => fault = true,
                    Influence::Unknown => unknown = true,
                }
            }
            let expected = if base == 255 { 255 } else { total.clamp(1, 254) };
            prop_assert_eq!(i64::from(host.router.priority().get()), expected);
            prop_assert_eq!(host.router.faults().contains(Fault::Tracker), fault);
            prop_assert_eq!(host.router.faults().contains(Fault::TrackerUnknown), unknown);
            prop_assert_eq!(host.router.state() == State::Initialize, fault || unknown);
        }
    }
}
