//! A third party is asked before a silent Master is replaced.

use core::{num::NonZeroU8, time::Duration};

use vrrp_fsm::{
    Config, ConfigError, Fault, GuardConfig, Instant, Output, Reason, State, Ticket, Verdict,
    VirtualRouter, Why, vrrp_proto::Priority,
};

use crate::host::*;

const DEADLINE: Duration = Duration::from_millis(20);
const DOWN: Duration = Duration::from_micros(3_609_375);
const SKEW: Duration = Duration::from_micros(609_375);
const MASTER: &str = "192.0.2.9";

fn guard(default_verdict: Verdict) -> GuardConfig {
    GuardConfig::new(DEADLINE, default_verdict)
}

fn guarded(default_verdict: Verdict) -> Config {
    config(100).guard(Some(guard(default_verdict)))
}

fn questions(log: &[Output]) -> Vec<(Ticket, Reason)> {
    let question = |output: &Output| match output {
        Output::AskPromotion { ticket, reason } => Some((*ticket, *reason)),
        _ => None,
    };
    log.iter().filter_map(question).collect()
}

/// A router that has heard a Master of priority 150 at 1 s, asks for its place, and when.
fn asking(config: Config) -> (Host, Instant, Ticket) {
    let mut host = Host::started(config, "192.0.2.5");
    let master = advertisement(config_of_others(), MASTER, 150);
    host.receive(at(0) + SECOND, &master).unwrap();
    host.take_log();
    let now = host.step().unwrap();
    assert_eq!(now, at(0) + SECOND + DOWN);
    let (ticket, reason) = questions(&host.log)[0];
    assert_eq!((reason, host.log.len()), (Reason::MasterSilent, 1));
    host.take_log();
    (host, now, ticket)
}

fn config_of_others() -> Config {
    config(100)
}

fn verdict(host: &mut Host, now: Instant, ticket: Ticket, verdict: Verdict) {
    host.router.handle_verdict(now, ticket, verdict);
    host.carry_out(now);
}

/// Nothing waits for a verdict any more: whatever comes now changes nothing.
fn assert_withdrawn(host: &mut Host, now: Instant, ticket: Ticket) {
    host.take_log();
    let before = (host.router.state(), host.router.poll_timeout(), host.router.why(now));
    for late in [Verdict::Promote, Verdict::Veto] {
        verdict(host, now, ticket, late);
        let after = (host.router.state(), host.router.poll_timeout(), host.router.why(now));
        assert_eq!((after, host.log.len()), (before, 0));
    }
    assert_eq!(host.router.statistics().promotions_vetoed, 0);
}

#[test]
fn the_guard_promotes() {
    let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(host.router.poll_timeout(), Some(now + DEADLINE));
    // An early timeout asks nobody else.
    host.timeout(now + DEADLINE / 2);
    assert!(host.log.is_empty());
    verdict(&mut host, now + DEADLINE / 2, ticket, Verdict::Promote);
    assert_eq!(host.router.reported_state(), State::Master);
    assert_eq!(host.router.statistics().promotions_asked, 1);
    assert_withdrawn(&mut host, now + DEADLINE / 2, ticket);
}

#[test]
fn a_veto_arms_the_timer_again_and_then_it_asks_again() {
    let (mut host, mut now, mut ticket) = asking(guarded(Verdict::Promote));
    for vetoes in 1..20 {
        now += DEADLINE / 2;
        verdict(&mut host, now, ticket, Verdict::Veto);
        assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
        assert_eq!(host.router.why(now), Why::Vetoed { vetoes, remaining: DOWN });
        now = host.step().unwrap();
        let (next, _) = questions(&host.take_log())[0];
        assert!(next > ticket);
        // The former ticket is worth nothing.
        verdict(&mut host, now, ticket, Verdict::Veto);
        assert_eq!(host.router.poll_timeout(), Some(now + DEADLINE));
        ticket = next;
    }
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(host.router.statistics().promotions_vetoed, 19);
    assert_eq!(host.router.statistics().promotions_asked, 20);
}

#[test]
fn the_default_counts_from_the_deadline_on() {
    for late in [false, true] {
        let (mut host, now, ticket) = asking(guarded(Verdict::Promote));
        if late {
            verdict(&mut host, now + DEADLINE, ticket, Verdict::Veto);
        } else {
            host.timeout(now + DEADLINE);
        }
        assert_eq!(host.router.state(), State::Master);
        assert_eq!(host.router.statistics().verdicts_missed, 1);

        let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
        if late {
            verdict(&mut host, now + DEADLINE, ticket, Verdict::Promote);
        } else {
            host.timeout(now + DEADLINE);
        }
        assert_eq!(host.router.state(), State::Backup);
        assert_eq!(host.router.poll_timeout(), Some(now + DEADLINE + DOWN));
        assert_eq!(host.router.statistics().promotions_vetoed, 1);
    }
}

#[test]
fn a_verdict_in_time_is_none_missed() {
    let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
    let last_moment = at((now + DEADLINE).as_nanos() - 1);
    verdict(&mut host, last_moment, ticket, Verdict::Promote);
    assert_eq!(host.router.state(), State::Master);
    assert_eq!(host.router.statistics().verdicts_missed, 0);
}

#[test]
fn nobody_is_asked_about_a_master_that_is_heard_or_has_left() {
    let mut inferior = Host::started(guarded(Verdict::Veto), "192.0.2.5");
    for second in 0..4 {
        let worse = advertisement(config_of_others(), MASTER, 50);
        inferior.receive(at(0) + SECOND * second, &worse).unwrap();
    }
    inferior.step();
    assert_eq!(inferior.router.state(), State::Master);

    let mut left = Host::started(guarded(Verdict::Veto), "192.0.2.5");
    for priority in [150, 0] {
        left.receive(at(9), &advertisement(config_of_others(), MASTER, priority)).unwrap();
    }
    left.step();
    assert_eq!(left.router.state(), State::Master);
    for host in [inferior, left] {
        assert_eq!(host.router.statistics().promotions_asked, 0);
    }
}

#[test]
fn a_master_of_a_lower_priority_that_was_heard_long_ago_is_silent() {
    let mut host = Host::started(guarded(Verdict::Veto), "192.0.2.5");
    host.receive(at(0) + SECOND, &advertisement(config_of_others(), MASTER, 50)).unwrap();
    host.router.handle_overflow(at(0) + SECOND * 3);
    host.take_log();
    assert_eq!(host.step(), Some(at(0) + SECOND * 3 + DOWN));
    assert_eq!(questions(&host.log).len(), 1);
}

#[test]
fn an_advertisement_withdraws_the_question() {
    for (priority, source) in [(150, MASTER), (100, "192.0.2.4"), (50, "192.0.2.4")] {
        let (mut host, now, ticket) = asking(guarded(Verdict::Promote));
        let now = now + DEADLINE / 2;
        host.receive(now, &advertisement(config_of_others(), source, priority)).unwrap();
        assert_eq!(host.router.poll_timeout(), Some(now + DOWN), "{priority}");
        assert_withdrawn(&mut host, now, ticket);
    }
}

#[test]
fn after_a_question_a_worse_master_is_preempted_without_another() {
    let (mut host, now, _) = asking(guarded(Verdict::Veto));
    for second in 0..5 {
        let now = now + DEADLINE / 2 + SECOND * second;
        host.run_until(now);
        host.receive(now, &advertisement(config_of_others(), "192.0.2.4", 50)).unwrap();
    }
    assert_eq!(host.router.state(), State::Master);
    assert!(questions(&host.log).is_empty());
}

#[test]
fn what_is_discarded_withdraws_nothing() {
    let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
    let mut broken = advertisement(config_of_others(), MASTER, 150);
    *broken.bytes.last_mut().unwrap() ^= 1;
    host.receive(now, &broken).unwrap_err();
    // Nor does a priority 0 of someone who is not the Master.
    host.receive(now, &advertisement(config_of_others(), "192.0.2.4", 0)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(now + DEADLINE));
    verdict(&mut host, now, ticket, Verdict::Promote);
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn a_master_that_leaves_meanwhile_needs_no_verdict() {
    let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
    host.receive(now, &advertisement(config_of_others(), MASTER, 0)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(now + SKEW));
    assert_withdrawn(&mut host, now, ticket);
    host.step();
    assert_eq!(host.router.state(), State::Master);
    assert_eq!(host.router.statistics().promotions_asked, 1);
}

#[test]
fn shutdown_and_faults_withdraw_the_question() {
    let stops: [fn(&mut VirtualRouter, Instant); 2] =
        [VirtualRouter::handle_shutdown, |router, now| router.handle_fault(now, Fault::LinkDown)];
    for stop in stops {
        let (mut host, now, ticket) = asking(guarded(Verdict::Promote));
        stop(&mut host.router, now);
        host.carry_out(now);
        assert_eq!(host.router.poll_timeout(), None);
        assert_withdrawn(&mut host, now, ticket);
        // Nor does it count after a new start.
        host.router.handle_startup(now);
        host.router.handle_fault_cleared(now, Fault::LinkDown);
        host.carry_out(now);
        assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
        assert_withdrawn(&mut host, now, ticket);
    }
}

#[test]
fn who_slept_over_the_deadline_listens_before_it_asks_again() {
    for by_verdict in [false, true] {
        let (mut host, now, ticket) = asking(guarded(Verdict::Promote));
        let woken = now + DEADLINE + SECOND + Duration::from_nanos(1);
        if by_verdict {
            verdict(&mut host, woken, ticket, Verdict::Promote);
        } else {
            host.timeout(woken);
        }
        assert_eq!(host.router.state(), State::Backup);
        assert_eq!(host.router.poll_timeout(), Some(woken + DOWN));
        assert_eq!(host.router.statistics().late_wakes, 1);
        assert_eq!(host.router.statistics().verdicts_missed, 0);
        assert_withdrawn(&mut host, woken, ticket);
    }
    // Not so late: the others' advertisements are still in the socket.
    let (mut host, now, _) = asking(guarded(Verdict::Promote));
    host.timeout(now + DEADLINE + SECOND);
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn lost_datagrams_withdraw_the_question() {
    let (mut host, now, ticket) = asking(guarded(Verdict::Promote));
    host.router.handle_overflow(now);
    assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
    assert_withdrawn(&mut host, now, ticket);
}

#[test]
fn other_parameters_leave_the_question_alone() {
    let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
    let faster = guarded(Verdict::Veto).advertisement_interval(SECOND / 10);
    host.router.handle_config(now, faster.priority(Priority::new(200))).unwrap();
    host.router.handle_priority(now, Priority::new(90));
    assert_eq!(host.router.poll_timeout(), Some(now + DEADLINE));
    verdict(&mut host, now, ticket, Verdict::Promote);
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn another_guard_is_asked_anew_and_without_one_nobody_is() {
    let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
    host.router.handle_config(now, guarded(Verdict::Promote)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(now));
    assert_withdrawn(&mut host, now, ticket);
    host.timeout(now);
    let (next, _) = questions(&host.take_log())[0];
    assert!(next > ticket);
    host.router.handle_config(now, config(100)).unwrap();
    assert_withdrawn(&mut host, now, next);
    host.timeout(now);
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn vetoes_are_obeyed_so_often_in_a_row() {
    let limited = guard(Verdict::Veto).max_vetoes(NonZeroU8::new(2));
    let (mut host, mut now, _) = asking(config(100).guard(Some(limited)));
    // The default counts as well.
    now = host.step().unwrap().max(now);
    now = host.step().unwrap().max(now);
    assert_eq!(questions(&host.take_log()).len(), 1);
    // An advertisement starts the count anew.
    host.receive(now, &advertisement(config_of_others(), MASTER, 150)).unwrap();
    for _ in 0..2 {
        host.step();
        host.step();
    }
    assert_eq!((questions(&host.take_log()).len(), host.router.state()), (2, State::Backup));
    host.step();
    assert_eq!(host.router.state(), State::Master);
    assert!(questions(&host.log).is_empty());
    // The next mastership is asked about like the first.
    let lost = host.router.poll_timeout().unwrap();
    host.receive(lost, &advertisement(config_of_others(), MASTER, 150)).unwrap();
    host.step();
    assert_eq!(questions(&host.log).len(), 1);
}

#[test]
fn operators_are_told_that_a_guard_holds() {
    let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
    let why = |host: &Host, now| host.router.why(now).to_string();
    assert_eq!(
        why(&host, now),
        "no master was heard; waits for the guard's verdict, at most 20.0ms"
    );
    verdict(&mut host, now, ticket, Verdict::Veto);
    assert_eq!(why(&host, now), "no master was heard, vetoed by the guard; goes on in 3.6s");
    host.run_until(now + DOWN + DEADLINE);
    let again = "no master was heard, vetoed by the guard 2 times; goes on in 3.6s";
    assert_eq!(why(&host, now + DOWN + DEADLINE), again);
    host.router.handle_config(now + DOWN + DEADLINE, config(100)).unwrap();
    let unguarded = why(&host, now + DOWN + DEADLINE);
    assert!(unguarded.starts_with("192.0.2.9 is master with priority 150"), "{unguarded}");
}

#[test]
fn a_guard_that_makes_no_sense_is_refused() {
    let with = |deadline| GuardConfig::new(deadline, Verdict::Veto);
    let (shortest, longest) = (Duration::from_nanos(1), Duration::from_secs(60));
    for deadline in [Duration::ZERO, longest + shortest] {
        let error = VirtualRouter::new(config(100).guard(Some(with(deadline))), SEED).unwrap_err();
        assert_eq!(error, ConfigError::VerdictDeadline { deadline });
    }
    for deadline in [shortest, longest] {
        VirtualRouter::new(config(254).guard(Some(with(deadline))), SEED).unwrap();
    }
    let owner = config(255).guard(Some(with(DEADLINE)));
    assert_eq!(VirtualRouter::new(owner, SEED).unwrap_err(), ConfigError::GuardOfOwner);
    let member = guarded(Verdict::Veto).sync_group(true);
    assert_eq!(VirtualRouter::new(member, SEED).unwrap_err(), ConfigError::GuardOfMember);
    // Nothing changes either.
    let (mut host, now, ticket) = asking(guarded(Verdict::Veto));
    let owner = guarded(Verdict::Veto).priority(Priority::OWNER);
    assert_eq!(host.router.handle_config(now, owner), Err(ConfigError::GuardOfOwner));
    verdict(&mut host, now, ticket, Verdict::Promote);
    assert_eq!(host.router.state(), State::Master);
}
