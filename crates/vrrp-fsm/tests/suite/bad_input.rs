//! Callers and clocks that do not keep the contract: what happens then is defined, too.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{
    EffectFailed, EffectId, Fault, GroupCommand, Instant, MAX_DATAGRAM_LEN, Output, PathId, Reason,
    SendFailed, State, VirtualRouter, Wanted, Why, vrrp_proto::Priority,
};

const END: Instant = Instant::from_nanos(u64::MAX);
const HOUR: Duration = Duration::from_secs(3_600);

type Input = (&'static str, fn(&mut VirtualRouter, Instant));

/// Every input there is.
const INPUTS: [Input; 19] = [
    ("timeout", VirtualRouter::handle_timeout),
    ("timeout in a backlog", VirtualRouter::handle_timeout_in_backlog),
    ("startup", VirtualRouter::handle_startup),
    ("shutdown", VirtualRouter::handle_shutdown),
    ("fault", |router, now| router.handle_fault(now, Fault::NotReady)),
    ("fault cleared", |router, now| router.handle_fault_cleared(now, Fault::NotReady)),
    ("no source", |router, now| router.handle_source_address(now, PathId::FIRST, None)),
    ("source", |router, now| {
        router.handle_source_address(now, PathId::FIRST, Some(address("192.0.2.5")));
    }),
    ("source of no path", |router, now| {
        router.handle_source_address(now, PathId::new(255), Some(address("192.0.2.5")));
    }),
    ("priority", |router, now| router.handle_priority(now, Priority::new(0))),
    ("config", |router, now| router.handle_config(now, config(77)).unwrap()),
    ("overflow", VirtualRouter::handle_overflow),
    ("addresses lost", VirtualRouter::handle_addresses_lost),
    ("mac changed", VirtualRouter::handle_mac_changed),
    ("effect", |router, now| {
        router.handle_effect(now, EffectId::default(), Err(EffectFailed));
    }),
    ("sent", |router, now| router.handle_send(now, PathId::FIRST, Ok(()))),
    ("not sent", |router, now| router.handle_send(now, PathId::new(9), Err(SendFailed))),
    ("group", |router, now| router.handle_group(now, GroupCommand::Promote)),
    ("datagram", |router, now| {
        let _discarded =
            router.handle_datagram(now, advertisement(config(100), "192.0.2.9", 100).datagram());
    }),
];

fn hosts() -> [(&'static str, Host, Instant); 4] {
    let (master, now) = Host::master(config(100), "192.0.2.5");
    let (stubborn, _) = Host::master(config(100).late_wake_rule(false), "192.0.2.5");
    [
        ("stopped", Host::new(config(100), "192.0.2.5"), at(0)),
        ("backup", Host::started(config(100), "192.0.2.5"), at(0)),
        ("master", master, now),
        ("master without the late wake rule", stubborn, now),
    ]
}

#[test]
fn an_earlier_moment_is_taken_for_the_latest() {
    for (name, input) in INPUTS {
        for (state, mut back, now) in hosts() {
            let (_, mut straight, _) = hosts().into_iter().find(|host| host.0 == state).unwrap();
            let now = now + SECOND / 2;
            for host in [&mut back, &mut straight] {
                host.log.clear();
                host.timeout(now);
            }
            input(&mut back.router, Instant::ZERO);
            input(&mut straight.router, now);
            back.carry_out(now);
            straight.carry_out(now);
            assert_eq!(back.log, straight.log, "{state}, {name}");
            assert_eq!(back.router, straight.router, "{state}, {name}");
        }
    }
}

#[test]
fn at_the_end_of_the_clock_no_timer_runs_and_nothing_overflows() {
    for (name, input) in INPUTS {
        for (state, mut host, _) in hosts() {
            input(&mut host.router, END);
            host.carry_out(END);
            for (_, other) in INPUTS {
                other(&mut host.router, END);
                host.carry_out(END);
            }
            assert!(host.log.len() < 100, "{state}, {name}: {}", host.log.len());
            host.log.clear();
            assert_eq!(
                host.router.poll_timeout(),
                None,
                "{state}, {name}: nothing is due after it"
            );
            host.timeout(END);
            host.timeout(END);
            assert_eq!(host.log, [], "{state}, {name}: it is over");
            let _why = host.router.why(END).to_string();
        }
    }
}

#[test]
fn a_jump_of_any_size_is_a_late_wake() {
    for nanos in [u64::MAX, u64::MAX - 1, 1 << 63, HOUR.as_nanos().try_into().unwrap()] {
        let (mut host, _) = Host::master(config(100), "192.0.2.5");
        host.timeout(at(nanos));
        assert_eq!(host.router.state(), State::Backup, "{nanos}");
        assert!(!host.installed, "{nanos}");
        assert!(matches!(
            host.log[..],
            [
                Output::SetAddresses { wanted: Wanted::None, .. },
                Output::StateChanged { reason: Reason::LateWake { .. }, .. }
            ]
        ));
    }
}

#[test]
fn whoever_was_not_asked_for_hours_yields_first_whatever_wakes_it() {
    for (name, input) in INPUTS {
        let (mut host, now) = Host::master(config(100), "192.0.2.5");
        input(&mut host.router, now + HOUR * 5);
        let first = host.router.poll_output();
        let yields = matches!(first, Some(Output::SetAddresses { wanted: Wanted::None, .. }));
        assert!(yields, "{name}: {first:?}");
        host.carry_out(now + HOUR * 5);
        assert_ne!(host.router.state(), State::Master, "{name}");
    }
}

#[test]
fn outputs_that_nobody_takes_are_bounded_and_the_last_wish_is_among_them() {
    let (mut host, mut now) = Host::master(config(100), "192.0.2.5");
    for round in 0..5_000_u64 {
        now += SECOND;
        host.router.handle_timeout(now);
        if round % 7 == 0 {
            let worse = advertisement(config(100), "192.0.2.9", 50);
            host.router.handle_datagram(now, worse.datagram()).unwrap();
        }
    }
    assert_eq!(host.router.state(), State::Master, "it was asked in time");
    host.router.handle_shutdown(now);
    for _ in 0..100 {
        host.router.handle_startup(now);
        host.router.handle_shutdown(now);
    }
    assert!(host.router.statistics().outputs_lost > 4_000);
    host.log.clear();
    host.carry_out(now);
    assert!(host.log.len() <= 20, "{}", host.log.len());
    assert!(!host.installed, "the wish that counts was not lost");
    assert_eq!(host.router.reported_state(), State::Initialize);
    // It is as good as new.
    host.router.handle_startup(now);
    host.carry_out(now);
    while host.router.state() != State::Master {
        host.step().unwrap();
    }
    assert!(host.installed);
}

#[test]
fn installing_without_an_answer_fails_after_its_deadline_and_is_given_up_after_two() {
    let deadline = SECOND * 5;
    let mut host = Host::started(config(100).effect_deadline(deadline), "192.0.2.5");
    host.effects = Effects::Wait;
    let promoted = host.step().unwrap();
    let first = host.pending.unwrap().0;
    host.run_until(promoted + Duration::from_nanos(4_999_999_999));
    assert_eq!(host.pending.unwrap().0, first);
    assert_eq!(host.router.statistics().effects_unanswered, 0);
    // It keeps advertising meanwhile: the others must not install them as well.
    assert_eq!(host.router.state(), State::Master);
    host.run_until(promoted + deadline + SECOND);
    assert!(host.pending.unwrap().0 > first, "asked for once more");
    assert_eq!(host.router.statistics().effects_unanswered, 1);
    host.run_until(promoted + deadline * 2 + SECOND);
    assert!(host.router.faults().contains(Fault::AddressesFailed));
    assert_eq!(host.pending.unwrap().1, Wanted::None);
    assert_eq!(host.router.state(), State::Initialize);
    assert_eq!(host.router.reported_state(), State::Backup, "nobody is told of an end before it");
    assert_eq!(host.router.statistics().effects_unanswered, 2);
}

#[test]
fn removing_without_an_answer_is_asked_for_again_for_ever() {
    let (mut host, now) = Host::master(config(100).effect_deadline(SECOND), "192.0.2.5");
    host.effects = Effects::Wait;
    host.router.handle_shutdown(now);
    host.carry_out(now);
    host.run_until(now + HOUR);
    // At first every second, in the end every 7.4 s.
    assert!((480..600).contains(&host.log.len()), "{}", host.log.len());
    assert_eq!(host.router.reported_state(), State::Master);
    assert!(matches!(host.router.why(now + HOUR), Why::Releasing { failures: 400.. }));
    host.answer(now + HOUR, Ok(()));
    assert_eq!(host.router.reported_state(), State::Initialize);
    assert_eq!(host.router.poll_timeout(), None);
}

#[test]
fn an_answer_after_the_deadline_counts_as_long_as_nothing_new_was_asked_for() {
    for (late, result) in [(true, Ok(())), (true, Err(EffectFailed)), (false, Ok(()))] {
        let mut host = Host::started(config(100).effect_deadline(SECOND), "192.0.2.5");
        host.effects = Effects::Wait;
        let promoted = host.step().unwrap();
        let id = host.pending.unwrap().0;
        let deadline = promoted + SECOND;
        if late {
            host.run_until(deadline);
            assert_eq!(host.router.statistics().effect_failures, 1);
        }
        host.router.handle_effect(deadline, id, result);
        host.carry_out(deadline);
        let serves = host.router.reported_state() == State::Master;
        assert_eq!(serves, result.is_ok());
        // A failure does not count twice.
        assert_eq!(host.router.statistics().effect_failures, u64::from(late));
    }
}

#[test]
fn sends_without_an_answer_count_as_sent() {
    let (mut host, mut now) = Host::master(config(100), "192.0.2.5");
    for _ in 0..1_000 {
        now = host.router.poll_timeout().unwrap();
        host.router.handle_timeout(now);
        while host.router.poll_output().is_some() {}
    }
    assert_eq!((host.router.state(), host.router.faults().is_empty()), (State::Master, true));
    // One failure is the last that was heard of them: a master-down interval later it has failed.
    host.router.handle_send(now, PathId::FIRST, Err(SendFailed));
    assert!(host.router.faults().contains(Fault::CannotAdvertise), "nothing has gone out for long");
}

#[test]
fn whoever_has_to_prove_that_it_can_send_does_not_wait_for_an_answer_for_ever() {
    let (mut host, start) = Host::master(config(100), "192.0.2.5");
    host.sending = Err(SendFailed);
    host.run_until(start + SECOND * 4);
    assert!(host.router.faults().contains(Fault::CannotAdvertise));
    // It tries again, and nobody says what became of it.
    let mut now = start;
    while host.router.why(now) != Why::ProvingToSend {
        now = host.router.poll_timeout().unwrap();
        host.router.handle_timeout(now);
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        while let Some(output) = host.router.poll_output() {
            match output {
                Output::SetAddresses { id, .. } => host.router.handle_effect(now, id, Ok(())),
                Output::Send(send) => {
                    let to = address("224.0.0.18");
                    host.router.encode(&send, PathId::FIRST, to, &mut buffer).unwrap();
                }
                _ => {}
            }
        }
    }
    let promoted = now;
    while !host.router.faults().contains(Fault::CannotAdvertise) {
        now = host.router.poll_timeout().unwrap();
        host.router.handle_timeout(now);
        while host.router.poll_output().is_some() {}
    }
    assert_eq!(now, promoted + Duration::from_micros(3_609_375), "a master-down interval");
}

#[test]
fn answers_that_nobody_waits_for_and_paths_that_do_not_exist_change_nothing() {
    for (state, mut host, now) in hosts() {
        host.log.clear();
        let before = host.router.clone();
        host.router.handle_effect(now, EffectId::default(), Ok(()));
        host.router.handle_effect(now, EffectId::default(), Err(EffectFailed));
        host.router.handle_send(now, PathId::new(7), Err(SendFailed));
        host.router.handle_source_address(now, PathId::new(7), None);
        host.carry_out(now);
        assert_eq!(host.log, [], "{state}");
        assert_eq!(host.router.poll_timeout(), before.poll_timeout(), "{state}");
        assert_eq!(host.router.state(), before.state(), "{state}");
    }
}
