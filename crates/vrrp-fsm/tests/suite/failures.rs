//! What follows when addresses cannot be installed or removed, or advertisements not be sent.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{
    AddressesLostPolicy, EffectFailed, Fault, Instant, Output, PathId, Reason, SendFailed,
    SendFailurePolicy, State, Wanted, Why, vrrp_proto::Priority,
};

fn sends(log: &[Output], wanted: Priority) -> usize {
    log.iter()
        .filter(|output| matches!(output, Output::Send(send) if send.priority == wanted))
        .count()
}

fn wishes(log: &[Output], wish: Wanted) -> usize {
    let is_wish =
        |output: &&Output| matches!(output, Output::SetAddresses { wanted, .. } if *wanted == wish);
    log.iter().filter(is_wish).count()
}

fn states(log: &[Output]) -> Vec<State> {
    let change = |output: &Output| match output {
        Output::StateChanged { to, .. } => Some(*to),
        Output::Send(_)
        | Output::SetAddresses { .. }
        | Output::Announce
        | Output::AskPromotion { .. }
        | Output::Contended { .. }
        | Output::Conflict { .. } => None,
    };
    log.iter().filter_map(change).collect()
}

#[test]
fn users_hear_of_a_mastership_when_the_addresses_are_there() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.effects = Effects::Wait;
    let promoted = host.step().unwrap();
    assert_eq!((host.router.state(), host.router.reported_state()), (State::Master, State::Backup));
    host.take_log();
    // 5,000 addresses take their time; advertisements go out meanwhile.
    host.run_until(promoted + SECOND * 2);
    assert_eq!(sends(&host.log, Priority::new(100)), 2);
    host.answer(promoted + SECOND * 2, Ok(()));
    assert_eq!(host.router.reported_state(), State::Master);
    assert_eq!(states(&host.log), [State::Master]);
}

#[test]
fn installing_that_fails_once_is_tried_again() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.effects = Effects::Wait;
    let promoted = host.step().unwrap();
    host.answer(promoted, Err(EffectFailed));
    let retry = host.router.poll_timeout().unwrap();
    assert!(retry > promoted && retry < promoted + SECOND);
    host.timeout(retry);
    assert_eq!(sends(&host.log, Priority::new(100)), 1, "a retry is not an advertisement");
    host.answer(retry, Ok(()));
    assert_eq!(host.router.reported_state(), State::Master);
    assert_eq!(host.router.statistics().effect_failures, 1);
}

#[test]
fn installing_that_keeps_failing_ends_the_mastership() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.take_log();
    let promoted = host.router.poll_timeout().unwrap();
    host.effects = Effects::Fail;
    host.run_until(promoted + SECOND);
    assert_eq!(host.router.state(), State::Initialize);
    assert!(host.router.faults().contains(Fault::AddressesFailed));
    assert!(wishes(&host.log, Wanted::All) > 1);
    assert_eq!(sends(&host.log, Priority::RELEASE), 1);
    let release = host.log.iter().position(
        |output| matches!(output, Output::Send(send) if send.priority == Priority::RELEASE),
    );
    let removal = host
        .log
        .iter()
        .position(|output| matches!(output, Output::SetAddresses { wanted: Wanted::None, .. }));
    assert!(release < removal, "priority 0 goes out first");
    assert_eq!(states(&host.log), [], "nobody was told of it");
}

#[test]
fn a_router_that_failed_comes_back_but_does_not_disturb_a_master_that_works() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let promoted = host.router.poll_timeout().unwrap();
    host.effects = Effects::Fail;
    host.run_until(promoted + SECOND);
    host.effects = Effects::Succeed;
    let gone = host.step().unwrap();
    assert_eq!(host.router.reported_state(), State::Initialize);
    let back = host.router.poll_timeout().unwrap();
    assert!(back > gone + SECOND);
    assert!(matches!(host.router.why(gone), Why::Faulty { retry_in: Some(_), .. }));
    host.timeout(back);
    assert_eq!((host.router.state(), host.router.faults().is_empty()), (State::Backup, true));
    // Somebody of a lower priority serves meanwhile: left in peace although we preempt.
    let worse = advertisement(config(100), "192.0.2.3", 50);
    let mut now = back;
    for _ in 0..10 {
        now += SECOND;
        host.run_until(now);
        host.receive(now, &worse).unwrap();
    }
    assert_eq!(host.router.state(), State::Backup);
    // When that one dies we try, and it works: from then on all is as before.
    host.step();
    assert_eq!(host.router.reported_state(), State::Master);
    host.receive(now + SECOND * 4, &advertisement(config(100), "192.0.2.3", 200)).unwrap();
    let down_at = host.router.poll_timeout();
    host.receive(now + SECOND * 5, &worse).unwrap();
    assert_eq!(host.router.poll_timeout(), down_at, "preempts again");
}

#[test]
fn initialize_is_reported_when_the_addresses_are_gone() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    host.effects = Effects::Fail;
    host.router.handle_shutdown(now);
    host.carry_out(now);
    let until = now + SECOND * 60;
    host.run_until(until);
    assert_eq!(
        (host.router.state(), host.router.reported_state()),
        (State::Initialize, State::Master)
    );
    let tries = wishes(&host.log, Wanted::None);
    assert!((8..30).contains(&tries), "{tries} attempts in a minute");
    assert!(matches!(host.router.why(until), Why::Releasing { failures: 8.. }));
    // Starting has to wait for it.
    host.router.handle_startup(until);
    host.carry_out(until);
    assert_eq!(host.router.state(), State::Initialize);
    host.effects = Effects::Succeed;
    host.step();
    assert_eq!(states(&host.log), [State::Initialize, State::Backup]);
}

#[test]
fn the_result_of_an_older_wish_says_nothing() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.effects = Effects::Wait;
    let now = host.step().unwrap();
    let (install, _) = host.pending.unwrap();
    host.receive(now, &advertisement(config(100), "192.0.2.3", 200)).unwrap();
    let (removal, wanted) = host.pending.unwrap();
    assert_eq!(wanted, Wanted::None);
    assert!(removal > install);
    host.take_log();
    host.router.handle_effect(now, install, Ok(()));
    assert_eq!(host.router.poll_output(), None, "the installation was superseded");
    host.router.handle_effect(now, install, Err(EffectFailed));
    assert_eq!(host.router.poll_output(), None);
    host.answer(now, Ok(()));
    assert_eq!(host.router.state(), State::Backup);
}

/// A Master whose advertisements stop going out, and the moment of its last one.
fn unheard_master(policy: SendFailurePolicy) -> (Host, Instant) {
    let (mut host, now) = Host::master(config(100).send_failure(policy), "192.0.2.2");
    host.sending = Err(SendFailed);
    (host, now)
}

#[test]
fn a_master_that_nobody_can_hear_gives_up_when_others_take_over() {
    let (mut host, last_heard) = unheard_master(SendFailurePolicy::Release);
    let down = Duration::from_micros(3_609_375);
    host.run_until(last_heard + Duration::from_micros(3_609_374));
    assert_eq!(host.router.state(), State::Master);
    assert_eq!(host.router.poll_timeout(), Some(last_heard + down));
    host.run_until(last_heard + down);
    assert_eq!(host.router.state(), State::Initialize);
    assert!(!host.installed);
    assert!(host.router.faults().contains(Fault::CannotAdvertise));
    assert_eq!(host.router.statistics().send_failures, 3 + 1, "three, and the farewell");
    let reason = Reason::Fault(Fault::CannotAdvertise);
    assert!(
        matches!(host.log.last(), Some(Output::StateChanged { reason: r, .. }) if *r == reason)
    );
}

#[test]
fn one_advertisement_that_goes_out_is_enough() {
    let (mut host, start) = unheard_master(SendFailurePolicy::Release);
    for second in 1..60 {
        host.sending = if second % 3 == 0 { Ok(()) } else { Err(SendFailed) };
        host.run_until(start + SECOND * second);
    }
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn an_unheard_master_can_be_told_to_stay() {
    let (mut host, start) = unheard_master(SendFailurePolicy::Keep);
    host.run_until(start + SECOND * 60);
    assert_eq!(host.router.state(), State::Master);
    assert!(host.installed);
}

#[test]
fn after_that_the_addresses_wait_for_an_advertisement_to_go_out() {
    let (mut host, start) = unheard_master(SendFailurePolicy::Release);
    host.run_until(start + SECOND * 5);
    assert_eq!(host.router.reported_state(), State::Initialize);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        host.take_log();
        let failed = host.router.poll_timeout().unwrap();
        pauses.push(failed);
        // Comes back as Backup, hears nobody, is promoted, fails at once.
        host.run_until(failed + SECOND * 4);
        assert_eq!(states(&host.log), [State::Backup, State::Initialize]);
        assert_eq!(wishes(&host.log, Wanted::All), 0, "no address without an advertisement");
    }
    let gaps: Vec<_> =
        pauses.windows(2).map(|pair| pair[1].as_nanos() - pair[0].as_nanos()).collect();
    assert!(gaps.windows(2).all(|pair| pair[1] > pair[0]), "longer each time: {gaps:?}");
    // The filter is removed.
    host.take_log();
    host.sending = Ok(());
    let back = host.router.poll_timeout().unwrap();
    host.run_until(back + SECOND * 4);
    assert_eq!(states(&host.log), [State::Backup, State::Master]);
    assert!(host.installed);
}

#[test]
fn addresses_that_wait_cannot_be_lost() {
    let (mut host, start) = unheard_master(SendFailurePolicy::Release);
    host.run_until(start + SECOND * 4);
    host.step();
    let promoted = host.router.poll_timeout().unwrap();
    host.router.handle_timeout(promoted);
    assert_eq!(host.router.why(promoted), Why::ProvingToSend);
    // Before the result of the first transmission is known.
    host.router.handle_addresses_lost(promoted);
    assert!(matches!(host.router.poll_output(), Some(Output::Send(_))));
    assert_eq!(host.router.poll_output(), None);
}

#[test]
fn without_an_address_to_send_from_nothing_begins() {
    let mut router = vrrp_fsm::VirtualRouter::new(config(255), SEED).unwrap();
    router.handle_startup(at(0));
    assert_eq!((router.state(), router.poll_output()), (State::Initialize, None));
    assert!(router.faults().contains(Fault::NoSourceAddress));
}

#[test]
fn an_operator_can_end_the_pause() {
    let (mut host, start) = unheard_master(SendFailurePolicy::Release);
    host.run_until(start + SECOND * 4);
    let now = start + SECOND * 4;
    host.router.handle_fault_cleared(now, Fault::CannotAdvertise);
    host.carry_out(now);
    assert_eq!(host.router.state(), State::Backup);
    let down = Duration::from_micros(3_609_375);
    assert_eq!(host.router.poll_timeout(), Some(now + down), "and nothing else is armed");
}

#[test]
fn a_pause_that_is_ended_leaves_no_timer_behind_whatever_has_failed_before() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.effects = Effects::Fail;
    while !host.router.faults().contains(Fault::AddressesFailed) {
        host.step().unwrap();
    }
    host.effects = Effects::Succeed;
    while host.router.state() != State::Backup {
        host.step().unwrap();
    }
    host.effects = Effects::Wait;
    host.sending = Err(SendFailed);
    let mut now = Instant::ZERO;
    while !host.router.faults().contains(Fault::CannotAdvertise) {
        now = host.step().unwrap();
    }
    assert!(host.router.poll_timeout().is_some());
    host.router.handle_fault_cleared(now, Fault::CannotAdvertise);
    assert!(host.router.faults().is_empty());
    assert_eq!(host.router.state(), State::Initialize, "the addresses are being removed");
    let answer_by = now + host.router.config().effect_deadline;
    assert_eq!(host.router.poll_timeout(), Some(answer_by));
    host.answer(now, Ok(()));
    assert_eq!(host.router.state(), State::Backup);
}

#[test]
fn addresses_deleted_by_others_are_installed_again_but_not_in_a_loop() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    let start = now + SECOND / 2;
    for millisecond in 0..500 {
        let now = start + Duration::from_millis(millisecond);
        host.run_until(now);
        host.router.handle_addresses_lost(now);
        host.carry_out(now);
    }
    let wishes = wishes(&host.log, Wanted::All);
    assert!((5..=6).contains(&wishes), "{wishes} times in half a second");
    assert_eq!(states(&host.log), []);
    assert_eq!(host.router.statistics().addresses_lost, 500);
}

#[test]
fn addresses_deleted_while_they_are_installed_are_installed_once_more() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    host.effects = Effects::Wait;
    let now = now + SECOND / 2;
    host.router.handle_addresses_lost(now);
    host.carry_out(now);
    host.router.handle_addresses_lost(now);
    host.answer(now, Ok(()));
    assert!(host.pending.is_none());
    host.run_until(now + SECOND / 4);
    assert!(host.pending.is_some());
    host.answer(now + SECOND / 4, Ok(()));
    assert_eq!(host.router.poll_timeout(), Some(now + SECOND / 2), "only advertisements from here");
}

#[test]
fn by_option_deleted_addresses_end_the_mastership_for_one_skew_time() {
    let policy = AddressesLostPolicy::StepDown;
    let (mut host, now) = Host::master(config(100).addresses_lost(policy), "192.0.2.2");
    host.router.handle_addresses_lost(now);
    host.carry_out(now);
    assert_eq!(sends(&host.log, Priority::RELEASE), 1);
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(host.router.poll_timeout(), Some(now + Duration::from_micros(609_375)));
    host.step();
    assert_eq!(states(&host.log), [State::Backup, State::Master]);
    assert_eq!(host.router.term(), 2);
}

#[test]
fn every_fault_has_to_clear_before_the_election_goes_on() {
    let mut host = Host::new(config(100), "192.0.2.2");
    host.router.handle_fault(at(0), Fault::LinkDown);
    host.router.handle_fault(at(0), Fault::NotReady);
    host.router.handle_source_address(at(0), PathId::FIRST, None);
    host.router.handle_startup(at(0));
    let why = host.router.why(at(0)).to_string();
    assert_eq!(why, "the link is down, no address to send from, the service is not ready");
    host.router.handle_fault_cleared(at(1), Fault::LinkDown);
    host.router.handle_fault_cleared(at(1), Fault::NotReady);
    // Not for others to say while there is none.
    host.router.handle_fault_cleared(at(1), Fault::NoSourceAddress);
    assert_eq!(host.router.state(), State::Initialize);
    let other_family = Some(address("fe80::2"));
    host.router.handle_source_address(at(1), PathId::FIRST, other_family);
    assert_eq!(host.router.state(), State::Initialize);
    host.router.handle_source_address(at(2), PathId::FIRST, Some(address("192.0.2.2")));
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(host.router.poll_timeout(), Some(at(2) + Duration::from_micros(3_609_375)));
}

#[test]
fn a_master_leaves_under_the_address_it_has_just_lost() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    host.router.handle_source_address(now, PathId::FIRST, None);
    let Some(Output::Send(send)) = host.router.poll_output() else { panic!("no farewell") };
    assert_eq!(send.priority, Priority::RELEASE);
    let mut buffer = [0; 100];
    let group = host.router.destinations(PathId::FIRST).next().unwrap();
    let packet = host.router.encode(&send, PathId::FIRST, group, &mut buffer).unwrap();
    let mut peer = Host::started(config(50), "192.0.2.3");
    peer.receive(at(1), &advertisement(config(100), "192.0.2.2", 100)).unwrap();
    let datagram = vrrp_fsm::Datagram::ipv4(PathId::FIRST, packet).unwrap();
    peer.router.handle_datagram(at(2), datagram).unwrap();
    assert!(matches!(peer.router.why(at(2)), Why::MasterLeft { .. }));
}

#[test]
fn a_wish_that_failed_is_not_repeated_by_a_master_that_gives_up() {
    let (mut host, last_heard) = unheard_master(SendFailurePolicy::Release);
    // The installation is to be tried again at the very moment the Master gives up.
    host.effects = Effects::Wait;
    let gives_up = last_heard + Duration::from_micros(3_609_375);
    let lost = gives_up.saturating_sub(SECOND / 8);
    host.run_until(lost);
    host.router.handle_addresses_lost(lost);
    host.carry_out(lost);
    host.answer(lost, Err(EffectFailed));
    host.take_log();
    host.timeout(gives_up);
    assert!(
        matches!(
            host.log[..],
            [Output::Send(_), Output::SetAddresses { wanted: Wanted::None, .. }]
        ),
        "{:?}",
        host.log
    );
}
