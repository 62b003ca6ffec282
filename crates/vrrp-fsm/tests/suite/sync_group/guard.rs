//! A group asks its guard once for all its members.

use core::{num::NonZeroU8, time::Duration};

use vrrp_fsm::{
    ConfigError, Fault, GuardConfig, Instant, Output, State, SyncGroup, Ticket, Verdict, Why,
};

use super::{DOWN, ensemble::Ensemble};
use crate::host::*;

const DEADLINE: Duration = Duration::from_millis(20);

fn guarded(guard: GuardConfig) -> Ensemble {
    let mut group = Ensemble::new([config(100), config(100)]);
    group.group = SyncGroup::new(2).unwrap().guard(guard).unwrap();
    for member in 0..2 {
        group.on(member, at(0), vrrp_fsm::VirtualRouter::handle_startup);
    }
    group
}

fn guard(default_verdict: Verdict) -> GuardConfig {
    GuardConfig::new(DEADLINE, default_verdict)
}

/// Two members one of which has waited a second longer; the group's question, and when.
fn asking(guard: GuardConfig) -> (Ensemble, Instant, Ticket) {
    let mut group = guarded(guard);
    group.receive(1, at(0) + SECOND, &advertisement(config(100), "192.0.2.9", 200));
    group.run_until(at(0) + DOWN);
    assert_eq!((group.asking(), group.questions.len()), (vec![0], 0), "not before all are asking");
    let now = at(0) + SECOND + DOWN;
    group.run_until(now);
    assert_eq!((group.asking(), group.questions.len()), (vec![0, 1], 1));
    assert_eq!(group.group.poll_timeout(), Some(now + DEADLINE));
    assert_eq!(group.states(), [State::Backup; 2]);
    let ticket = group.questions[0];
    (group, now, ticket)
}

#[test]
fn one_verdict_promotes_all() {
    let (mut group, now, ticket) = asking(guard(Verdict::Veto));
    group.verdict(now, ticket, Verdict::Promote);
    assert_eq!(group.states(), [State::Master; 2]);
    assert_eq!((group.questions.len(), group.group.poll_timeout()), (1, None));
}

#[test]
fn one_veto_holds_all_and_they_ask_again() {
    let (mut group, now, ticket) = asking(guard(Verdict::Promote));
    group.verdict(now, ticket, Verdict::Veto);
    assert_eq!((group.states(), group.asking()), (vec![State::Backup; 2], vec![]));
    for host in &group.hosts {
        assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
        assert_eq!(host.router.why(now), Why::Vetoed { vetoes: 1, remaining: DOWN });
        assert_eq!(host.router.statistics().promotions_vetoed, 1);
    }
    // A stale ticket is worth nothing.
    group.verdict(now, ticket, Verdict::Promote);
    assert_eq!(group.states(), [State::Backup; 2]);
    group.run_until(now + DOWN);
    assert_eq!(group.questions.len(), 2);
    assert!(group.questions[1] > ticket);
    group.verdict(now + DOWN, ticket, Verdict::Promote);
    assert_eq!(group.states(), [State::Backup; 2]);
}

#[test]
fn the_default_counts_from_the_deadline_on() {
    for (default, state) in [(Verdict::Promote, State::Master), (Verdict::Veto, State::Backup)] {
        let (mut group, now, _) = asking(guard(default));
        group.run_until(at((now + DEADLINE).as_nanos() - 1));
        assert_eq!(group.states(), [State::Backup; 2]);
        group.run_until(now + DEADLINE);
        assert_eq!(group.states(), [state; 2]);
        let (mut group, now, ticket) = asking(guard(default));
        let late = if default == Verdict::Veto { Verdict::Promote } else { Verdict::Veto };
        group.verdict(now + DEADLINE, ticket, late);
        assert_eq!(group.states(), [state; 2]);
    }
}

#[test]
fn a_member_that_stops_asking_withdraws_the_question() {
    let better = advertisement(config(100), "192.0.2.9", 200);
    for member in 0..2 {
        let (mut group, now, ticket) = asking(guard(Verdict::Promote));
        group.receive(member, now, &better);
        assert_eq!((group.group.poll_timeout(), group.asking().len()), (None, 1));
        group.verdict(now, ticket, Verdict::Promote);
        group.run_until(now + SECOND);
        assert_eq!(group.states(), [State::Backup; 2]);

        let (mut group, now, ticket) = asking(guard(Verdict::Promote));
        group.on(member, now, |router, now| router.handle_fault(now, Fault::LinkDown));
        assert_eq!(group.group.poll_timeout(), None);
        group.verdict(now, ticket, Verdict::Promote);
        assert_eq!(group.states(), [State::Initialize; 2]);
    }
}

#[test]
fn nobody_is_asked_about_masters_that_have_left_or_are_heard() {
    let mut group = guarded(guard(Verdict::Veto));
    for member in 0..2 {
        for priority in [200, 0] {
            group.receive(member, at(9), &advertisement(config(100), "192.0.2.9", priority));
        }
    }
    group.run_until(at(0) + SECOND);
    assert_eq!((group.states(), group.questions.len()), (vec![State::Master; 2], 0));

    // One of them silent is enough.
    let mut group = guarded(guard(Verdict::Veto));
    group.receive(0, at(0) + SECOND * 3, &advertisement(config(100), "192.0.2.9", 50));
    group.run_until(at(0) + DOWN);
    assert_eq!((group.states(), group.questions.len()), (vec![State::Backup; 2], 1));
}

#[test]
fn vetoes_are_obeyed_so_often_since_anybody_heard_anything() {
    let (mut group, now, _) = asking(guard(Verdict::Veto).max_vetoes(NonZeroU8::new(2)));
    group.run_until(now + DEADLINE);
    group.receive(1, now + DEADLINE, &advertisement(config(100), "192.0.2.9", 200));
    let now = now + DEADLINE;
    group.run_until(now + (DOWN + DEADLINE) * 2);
    assert_eq!((group.states(), group.questions.len()), (vec![State::Backup; 2], 3));
    group.run_until(now + (DOWN + DEADLINE) * 3);
    assert_eq!((group.states(), group.questions.len()), (vec![State::Master; 2], 3));
}

#[test]
fn a_guard_out_of_range_is_refused() {
    let error = SyncGroup::new(1).unwrap().guard(GuardConfig::new(Duration::ZERO, Verdict::Veto));
    assert_eq!(error.unwrap_err(), ConfigError::VerdictDeadline { deadline: Duration::ZERO });
}

#[test]
fn when_one_member_is_contended_all_announce() {
    let mut group = Ensemble::started([config(100), config(100)]);
    let now = at(0) + DOWN;
    group.run_until(now);
    group.forget();
    let announcements = |group: &Ensemble, member: usize| {
        let log = &group.hosts[member].log;
        log.iter().filter(|output| matches!(output, Output::Announce)).count()
    };
    let now = now + SECOND / 2;
    for late in 0..3 {
        let worse = advertisement(config(100), "192.0.2.9", 50);
        group.receive(0, now + Duration::from_millis(late), &worse);
        assert_eq!([announcements(&group, 0), announcements(&group, 1)], [1, 1]);
    }
    group.run_until(now + SECOND * 3);
    assert_eq!([announcements(&group, 0), announcements(&group, 1)], [2, 2], "when it is over");
    assert_eq!(group.states(), [State::Master; 2]);
}
