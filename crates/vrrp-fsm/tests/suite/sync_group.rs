//! Virtual routers that change state together.

mod ensemble;
mod guard;
mod properties;

use core::time::Duration;

use vrrp_fsm::{
    AddressesLostPolicy, Config, EmptySyncGroup, Fault, Instant, MemberId, Output, Reason, State,
    SyncGroup, SyncGroupOutput, VirtualRouter, Why, vrrp_proto::Priority,
};

use self::ensemble::Ensemble;
use crate::host::*;

const DOWN: Duration = Duration::from_micros(3_609_375);
const SKEW: Duration = Duration::from_micros(609_375);

fn two() -> Ensemble {
    Ensemble::started([config(100), config(100)])
}

/// Two that are Master, and the moment they became it. Their logs start behind that.
fn masters(change: fn(Config) -> Config) -> (Ensemble, Instant) {
    let mut group = Ensemble::started([config(100), config(100)].map(change));
    let now = at(0) + DOWN;
    group.run_until(now);
    assert_eq!(group.states(), [State::Master; 2]);
    group.forget();
    (group, now)
}

fn releases(log: &[Output]) -> usize {
    let release = |output: &&Output| matches!(output, Output::Send(send) if send.priority == Priority::RELEASE);
    log.iter().filter(release).count()
}

fn reasons(log: &[Output]) -> Vec<Reason> {
    let reason = |output: &Output| match output {
        Output::StateChanged { reason, .. } => Some(*reason),
        _ => None,
    };
    log.iter().filter_map(reason).collect()
}

#[test]
fn nobody_takes_part_before_everybody_can() {
    let mut group = Ensemble::new([config(100), config(100), config(100)]);
    for member in 0..3 {
        assert_eq!(group.states(), [State::Initialize; 3]);
        assert!(group.reports.is_empty());
        group.on(member, at(1), VirtualRouter::handle_startup);
    }
    assert_eq!(group.states(), [State::Backup; 3]);
    assert_eq!(group.reports, [(State::Initialize, State::Backup)]);
    assert!(group.hosts.iter().all(|host| host.log.len() == 1), "no state in between");
}

#[test]
fn a_member_waits_until_all_would_be_master() {
    let mut group = two();
    let other = advertisement(config(100), "192.0.2.9", 200);
    group.receive(1, at(0) + SECOND, &other);
    group.run_until(at(0) + DOWN);
    assert_eq!(group.states(), [State::Backup; 2]);
    assert!(group.asking() == [0], "{:?}", group.asking());
    let why = group.hosts[0].router.why(at(0) + DOWN);
    assert_eq!(why, Why::AwaitingGroup { reason: Reason::MasterSilent });
    assert_eq!(
        why.to_string(),
        "no master was heard; waits for the other members of the sync group"
    );
    group.run_until(at(0) + SECOND + DOWN);
    assert_eq!(group.states(), [State::Master; 2]);
    assert_eq!(group.reports.last(), Some(&(State::Backup, State::Master)));
    assert!(group.hosts.iter().all(|host| host.installed));
}

#[test]
fn a_better_advertisement_withdraws_the_wish() {
    let mut group = two();
    let other = advertisement(config(100), "192.0.2.9", 200);
    group.receive(1, at(0) + SECOND, &other);
    group.run_until(at(0) + DOWN);
    group.receive(0, at(0) + SECOND * 4, &other);
    assert!(group.asking().is_empty());
    group.run_until(at(0) + SECOND + DOWN);
    assert_eq!((group.states(), group.asking()), (vec![State::Backup; 2], vec![1]));
    group.run_until(at(0) + SECOND * 4 + DOWN);
    assert_eq!(group.states(), [State::Master; 2]);
}

#[test]
fn a_better_master_of_one_is_a_better_master_of_all_and_nobody_says_farewell() {
    let (mut group, now) = masters(|config| config);
    let now = now + SECOND / 2;
    group.receive(0, now, &advertisement(config(100), "192.0.2.9", 200));
    assert_eq!(group.states(), [State::Backup; 2]);
    assert_eq!(group.hosts.iter().map(|host| releases(&host.log)).sum::<usize>(), 0);
    assert_eq!(reasons(&group.hosts[1].log), [Reason::SyncGroup]);
    assert!(group.hosts.iter().all(|host| !host.installed));
    assert_eq!(group.reports, [(State::Master, State::Backup)]);
    assert_eq!(group.hosts[1].router.poll_timeout(), Some(now + DOWN));
}

#[test]
fn a_fault_of_one_is_a_fault_of_all_with_priority_0() {
    let (mut group, now) = masters(|config| config);
    group.on(1, now, |router, now| router.handle_fault(now, Fault::LinkDown));
    assert_eq!(group.states(), [State::Initialize; 2]);
    assert!(group.hosts.iter().all(|host| releases(&host.log) == 1 && !host.installed));
    assert_eq!(group.reports, [(State::Master, State::Initialize)]);
    assert_eq!(group.unable(), [1]);
    let why = group.hosts[0].router.why(now).to_string();
    assert_eq!(why, "another member of the sync group cannot take part");
    group.on(1, now + SECOND, |router, now| router.handle_fault_cleared(now, Fault::LinkDown));
    assert_eq!(group.states(), [State::Backup; 2]);
    assert!(group.hosts.iter().all(|host| host.router.faults().is_empty()));
    group.run_until(now + SECOND + DOWN);
    assert_eq!(group.states(), [State::Master; 2]);
}

#[test]
fn everybody_waits_for_the_last_address_to_go() {
    let (mut group, now) = masters(|config| config);
    group.hosts[0].effects = Effects::Wait;
    group.on(1, now, |router, now| router.handle_fault(now, Fault::LinkDown));
    group.on(1, now, |router, now| router.handle_fault_cleared(now, Fault::LinkDown));
    assert_eq!((group.states(), group.unable()), (vec![State::Initialize; 2], vec![0]));
    assert!(group.reports.is_empty(), "an address is still there");
    group.hosts[0].answer(now, Ok(()));
    group.settle(0, now);
    assert_eq!(group.states(), [State::Backup; 2]);
    assert_eq!(group.reports, [(State::Master, State::Backup)]);
}

#[test]
fn a_member_that_is_shut_down_takes_the_others_with_it() {
    let (mut group, now) = masters(|config| config);
    group.on(0, now, VirtualRouter::handle_shutdown);
    assert_eq!(group.states(), [State::Initialize; 2]);
    assert_eq!(releases(&group.hosts[1].log), 1);
}

#[test]
fn deleted_addresses_of_one_make_all_leave_for_one_skew_time() {
    let (mut group, now) = masters(|config| config.addresses_lost(AddressesLostPolicy::StepDown));
    let now = now + SECOND / 2;
    group.on(0, now, VirtualRouter::handle_addresses_lost);
    assert_eq!(group.states(), [State::Backup; 2]);
    for host in &group.hosts {
        assert_eq!(releases(&host.log), 1);
        assert_eq!(host.router.poll_timeout(), Some(now + SKEW));
    }
    group.run_until(now + SKEW);
    assert_eq!(group.states(), [State::Master; 2]);
}

#[test]
fn owners_are_master_at_once_together() {
    let mut group = Ensemble::new([config(255), config(255)]);
    group.on(0, at(0), VirtualRouter::handle_startup);
    assert_eq!(group.states(), [State::Initialize; 2]);
    group.on(1, at(0), VirtualRouter::handle_startup);
    assert_eq!(group.states(), [State::Master; 2]);
}

#[test]
fn an_owner_waits_for_one_that_is_not() {
    let mut group = Ensemble::started([config(255), config(100)]);
    assert_eq!((group.states(), group.asking()), (vec![State::Backup; 2], vec![0]));
    group.run_until(at(0) + DOWN);
    assert_eq!(group.states(), [State::Master; 2]);
}

#[test]
fn a_wish_from_before_a_long_sleep_does_not_count() {
    let mut group = two();
    let other = advertisement(config(100), "192.0.2.9", 200);
    // The second one is a whole Master_Down_Interval behind the first.
    group.receive(1, at(0) + SECOND * 3, &other);
    group.run_until(at(0) + DOWN);
    assert_eq!(group.asking(), [0]);
    // Its own timer wakes it in time; the first one's is long overdue then.
    let late = at(0) + SECOND * 3 + DOWN;
    group.hosts[1].router.handle_timeout(late);
    group.hosts[1].carry_out(late);
    group.on(0, late + SECOND * 4, VirtualRouter::handle_timeout);
    group.settle(1, late + SECOND * 4);
    assert_eq!(group.states(), [State::Backup; 2], "the first withdraws");
    assert_eq!(group.hosts[0].router.statistics().late_wakes, 1);
}

#[test]
fn one_that_cannot_be_promoted_after_all_brings_the_others_back() {
    let (mut group, now) = masters(|config| config);
    let other = advertisement(config(100), "192.0.2.9", 200);
    // That was long ago when it matters.
    group.receive(1, now, &other);
    group.forget();
    group.receive(0, now + SECOND * 3, &other);
    group.run_until(now + DOWN);
    assert_eq!(group.asking(), [1]);
    // The second one's wish is overdue to be renewed when the first one asks.
    group.receive(0, now + SECOND * 6, &other);
    let asks = now + SECOND * 6 + DOWN;
    group.on(0, asks, VirtualRouter::handle_timeout);
    assert_eq!(group.states(), [State::Backup; 2]);
    assert_eq!(releases(&group.hosts[0].log), 1, "it was Master for a moment");
    assert!(!group.hosts[0].installed);
    group.run_until(asks + DOWN * 2);
    assert_eq!(group.states(), [State::Master; 2]);
}

#[test]
fn addresses_that_cannot_be_installed_hold_all() {
    let mut group = two();
    group.hosts[1].effects = Effects::Fail;
    group.run_until(at(0) + DOWN + SECOND * 2);
    assert_eq!(group.states(), [State::Initialize; 2]);
    assert!(group.hosts[1].router.faults().contains(Fault::AddressesFailed));
    assert!(!group.hosts[0].installed);
    group.hosts[1].effects = Effects::Succeed;
    group.run_until(at(0) + SECOND * 30);
    assert_eq!(group.states(), [State::Master; 2]);
}

#[test]
fn a_member_can_leave_a_group_and_join_one() {
    let mut group = two();
    group.on(1, at(1), VirtualRouter::handle_shutdown);
    assert_eq!(group.states(), [State::Initialize; 2]);
    group.hosts[0].router.handle_config(at(2), config(100)).unwrap();
    assert_eq!(group.hosts[0].router.state(), State::Backup, "on its own");
    group.hosts[0].router.handle_shutdown(at(3));
    group.hosts[0].router.handle_config(at(4), config(100).sync_group(true)).unwrap();
    group.on(0, at(5), VirtualRouter::handle_startup);
    assert_eq!(group.states(), [State::Initialize; 2]);
    group.on(1, at(6), VirtualRouter::handle_startup);
    assert_eq!(group.states(), [State::Backup; 2]);
}

#[test]
fn one_that_leaves_the_group_does_not_wait_for_it() {
    let mut group = two();
    group.receive(1, at(0) + SECOND, &advertisement(config(100), "192.0.2.9", 200));
    group.run_until(at(0) + DOWN);
    let router = &mut group.hosts[0].router;
    assert!(matches!(router.why(at(0) + DOWN), Why::AwaitingGroup { .. }));
    router.handle_config(at(0) + DOWN, config(100)).unwrap();
    assert!(matches!(router.why(at(0) + DOWN), Why::Listening { .. }));
    let deadline = router.poll_timeout().unwrap();
    router.handle_timeout(deadline);
    assert_eq!(router.state(), State::Master);
}

#[test]
fn a_group_has_members() {
    assert_eq!(SyncGroup::new(0).unwrap_err(), EmptySyncGroup);
    assert_eq!(EmptySyncGroup.to_string(), "a sync group needs at least one member");
    let mut group = SyncGroup::new(1).unwrap();
    let stranger = Ensemble::started([config(255)]).hosts[0].router.standing();
    group.handle_member(at(0), MemberId::new(1), stranger);
    assert_eq!(group.poll_output(), None);
    group.handle_member(at(0), MemberId::new(0), stranger);
    let report = SyncGroupOutput::StateChanged { from: State::Initialize, to: State::Master };
    assert_eq!(group.poll_output(), Some(report));
    assert_eq!((group.reported_state(), group.poll_output()), (State::Master, None));
}
