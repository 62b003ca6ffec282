//! One virtual router against packets and time: RFC 9568 §6.4, as a user of the crate sees it.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{
    Output, Reason, ReleasePolicy, State, Wanted, Why,
    vrrp_proto::{Priority, Version},
};

/// Priority 100 at an interval of 1 s: three intervals and a skew of 156/256 s.
const DOWN: Duration = Duration::from_micros(3_609_375);
const SKEW: Duration = Duration::from_micros(609_375);

#[test]
fn a_backup_becomes_master_after_silence_and_advertises_every_interval() {
    let mut host = Host::started(config(100), "192.0.2.2");
    assert_eq!(host.router.state(), State::Backup);
    let promotion = at(0) + DOWN;
    assert_eq!(host.router.poll_timeout(), Some(promotion));
    host.take_log();
    host.timeout(promotion);
    let log = host.take_log();
    assert!(
        matches!(
            log[..],
            [
                Output::Send(_),
                Output::SetAddresses { wanted: Wanted::All, .. },
                Output::StateChanged {
                    from: State::Backup,
                    to: State::Master,
                    reason: Reason::MasterSilent,
                    term: 1
                }
            ]
        ),
        "{log:?}"
    );
    for second in 1..5 {
        let due = promotion + SECOND * second;
        assert_eq!(host.router.poll_timeout(), Some(due));
        host.timeout(due);
        assert!(matches!(host.take_log()[..], [Output::Send(_)]));
    }
}

#[test]
fn an_owner_advertises_at_once_and_every_interval() {
    let mut host = Host::started(config(255), "192.0.2.2");
    assert_eq!(host.wire.len(), 1);
    for second in 1..5 {
        assert_eq!(host.router.poll_timeout(), Some(at(0) + SECOND * second));
        host.step();
        assert!(matches!(host.log.last(), Some(Output::Send(_))));
    }
    assert_eq!(host.wire.len(), 5);
}

#[test]
fn small_delays_do_not_add_up() {
    let (mut host, start) = Host::master(config(100), "192.0.2.2");
    let late = Duration::from_millis(7);
    for second in 1..100 {
        host.timeout(start + SECOND * second + late);
        assert_eq!(host.router.poll_timeout(), Some(start + SECOND * (second + 1)));
    }
}

#[test]
fn advertisements_of_a_better_master_keep_a_backup_quiet() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let better = advertisement(config(100), "192.0.2.3", 200);
    for second in 1..20 {
        let now = at(0) + SECOND * second;
        host.receive(now, &better).unwrap();
        assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
    }
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(host.router.statistics().advertisements_received, 19);
}

#[test]
fn a_backup_does_not_compare_addresses() {
    let mut host = Host::started(config(100), "192.0.2.9");
    let equal = advertisement(config(100), "192.0.2.3", 100);
    host.receive(at(0) + SECOND, &equal).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(0) + SECOND + DOWN));
    assert_eq!(host.router.master().unwrap().source, address("192.0.2.3"));
}

#[test]
fn a_worse_master_is_replaced_when_the_timer_expires() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let worse = advertisement(config(100), "192.0.2.3", 99);
    for second in 1..4 {
        host.receive(at(0) + SECOND * second, &worse).unwrap();
        assert_eq!(host.router.poll_timeout(), Some(at(0) + DOWN));
    }
    assert_eq!(host.router.master(), None);
    let why = host.router.why(at(0) + SECOND * 3);
    assert_eq!(why.to_string(), "replaces 192.0.2.3, which has only priority 99, in 609.4ms");
    host.step();
    assert!(matches!(
        host.log.last(),
        Some(Output::StateChanged { reason: Reason::Preempted { .. }, .. })
    ));
}

#[test]
fn without_preemption_a_worse_master_stays() {
    let mut host = Host::started(config(100).preempt_mode(false), "192.0.2.2");
    let worse = advertisement(config(100), "192.0.2.3", 1);
    for second in 1..20 {
        let now = at(0) + SECOND * second;
        host.run_until(now);
        host.receive(now, &worse).unwrap();
    }
    assert_eq!(host.router.state(), State::Backup);
    let Why::Subordinate { age, remaining, .. } = host.router.why(at(0) + SECOND * 20) else {
        panic!("{}", host.router.why(at(0)));
    };
    assert_eq!((age, remaining), (SECOND, DOWN - SECOND));
}

#[test]
fn the_owner_preempts_whatever_the_mode_says() {
    let mut host = Host::new(config(255).preempt_mode(false), "192.0.2.2");
    host.router.handle_startup(at(0));
    host.carry_out(at(0));
    assert_eq!(host.router.state(), State::Master);
    // It wakes up late, and is Backup for once.
    let now = at(0) + SECOND * 60;
    host.timeout(now);
    assert_eq!(host.router.state(), State::Backup);
    let down_at = host.router.poll_timeout().unwrap();
    host.receive(now + SECOND, &advertisement(config(100), "192.0.2.3", 254)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(down_at));
    host.step();
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn a_master_yields_to_a_greater_priority_and_on_a_tie_to_a_greater_address() {
    for (source, priority, yields) in [
        ("192.0.2.1", 101, true),
        ("192.0.2.1", 255, true),
        ("192.0.2.9", 100, true),
        ("192.0.2.10", 100, true),
        ("192.0.2.4", 100, false),
        ("192.0.2.9", 99, false),
        ("192.0.2.9", 1, false),
    ] {
        // Preempt_Mode says nothing about a Master.
        for preempt in [true, false] {
            let (mut host, now) = Host::master(config(100).preempt_mode(preempt), "192.0.2.5");
            host.receive(now, &advertisement(config(100), source, priority)).unwrap();
            let state = if yields { State::Backup } else { State::Master };
            assert_eq!(host.router.state(), state, "{source} with {priority}");
            assert_eq!(host.installed, !yields);
            assert_eq!(host.wire.len(), usize::from(!yields), "only a winner answers");
            let released = host.router.statistics().priority_zero_sent;
            assert_eq!(released, 0, "priority 0 would start another election");
        }
    }
}

#[test]
fn a_master_that_yields_waits_as_long_as_the_winners_interval_says() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    let slow = config(100).advertisement_interval(SECOND * 4);
    host.receive(now, &advertisement(slow, "192.0.2.3", 101)).unwrap();
    assert_eq!(host.router.state(), State::Backup);
    // The Adver_Timer is gone: nothing is due before.
    assert_eq!(host.router.poll_timeout(), Some(now + DOWN * 4));
}

#[test]
fn addresses_are_compared_as_numbers() {
    let (mut host, now) = Host::master(config_v6(100), "fe80::10");
    host.receive(now, &advertisement(config_v6(100), "fe80::9", 100)).unwrap();
    assert_eq!(host.router.state(), State::Master);
    host.receive(now, &advertisement(config_v6(100), "fe80::ff", 100)).unwrap();
    assert_eq!(host.router.state(), State::Backup);
}

#[test]
fn version_3_learns_the_interval_of_the_master() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let fast = config(100).advertisement_interval(Duration::from_millis(100));
    host.receive(at(1_000), &advertisement(fast, "192.0.2.3", 200)).unwrap();
    // 3 * 100 ms and 156/256 of 100 ms.
    assert_eq!(host.router.poll_timeout(), Some(at(1_000 + 360_937_500)));
    assert_eq!(host.router.statistics().interval_noted, 1);
    // As Master it advertises at its own interval again.
    let promoted = host.step().unwrap();
    assert_eq!(host.router.poll_timeout(), Some(promoted + SECOND));
}

#[test]
fn version_2_has_one_interval_and_a_skew_in_seconds() {
    let v2 = config(100).version(Version::V2).advertisement_interval(SECOND * 2);
    let mut host = Host::started(v2.clone(), "192.0.2.2");
    assert_eq!(host.router.poll_timeout(), Some(at(6_609_375_000)));
    host.receive(at(7), &advertisement(v2.clone(), "192.0.2.3", 200)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(7) + Duration::from_micros(6_609_375)));
    let other = v2.advertisement_interval(SECOND);
    host.receive(at(8), &advertisement(other, "192.0.2.3", 200)).unwrap_err();
    assert_eq!(host.router.poll_timeout(), Some(at(7) + Duration::from_micros(6_609_375)));
}

#[test]
fn more_advertisements_may_be_missed_by_option() {
    let host = Host::started(config(100).missed_advertisements(10), "192.0.2.2");
    assert_eq!(host.router.poll_timeout(), Some(at(10_609_375_000)));
}

#[test]
fn a_leaving_master_is_replaced_after_the_skew_time() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.receive(at(1), &advertisement(config(100), "192.0.2.3", 200)).unwrap();
    let leaving = advertisement(config(100), "192.0.2.3", 0);
    let left = at(0) + SECOND;
    host.receive(left, &leaving).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(left + SKEW));
    // A duplicate does not put it off.
    host.receive(left + SKEW / 2, &leaving).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(left + SKEW));
    host.step();
    assert!(matches!(
        host.log.last(),
        Some(Output::StateChanged { reason: Reason::MasterReleased { .. }, .. })
    ));
}

#[test]
fn only_the_recorded_master_can_leave() {
    let stranger = advertisement(config(100), "192.0.2.4", 0);
    for (policy, honoured) in
        [(ReleasePolicy::RecordedMaster, false), (ReleasePolicy::Anyone, true)]
    {
        let mut host = Host::started(config(100).release_from(policy), "192.0.2.2");
        let master = advertisement(config(100), "192.0.2.3", 200);
        host.receive(at(1), &master).unwrap();
        let now = at(0) + SECOND;
        host.receive(now, &stranger).unwrap();
        let down_at = if honoured { now + SKEW } else { at(1) + DOWN };
        assert_eq!(host.router.poll_timeout(), Some(down_at), "{policy:?}");
        let ignored = host.router.statistics().priority_zero_ignored;
        assert_eq!(ignored, u64::from(!honoured));
        // The Master goes on: what was heard is forgotten.
        host.receive(now, &master).unwrap();
        assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
    }
}

#[test]
fn the_master_that_is_about_to_be_replaced_can_leave_early() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.receive(at(1), &advertisement(config(100), "192.0.2.3", 50)).unwrap();
    host.receive(at(2), &advertisement(config(100), "192.0.2.3", 0)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(2) + SKEW));
}

#[test]
fn a_worse_router_that_speaks_up_does_not_make_the_master_a_stranger() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.receive(at(1), &advertisement(config(100), "192.0.2.3", 200)).unwrap();
    host.receive(at(2), &advertisement(config(100), "192.0.2.4", 50)).unwrap();
    let why = host.router.why(at(2)).to_string();
    assert!(why.starts_with("192.0.2.3 is master with priority 200 (ours is 100)"), "{why}");
    host.receive(at(3), &advertisement(config(100), "192.0.2.3", 0)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(3) + SKEW));
}

#[test]
fn a_worse_master_that_leaves_a_better_one_changes_nothing() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.receive(at(1), &advertisement(config(100), "192.0.2.3", 200)).unwrap();
    host.receive(at(2), &advertisement(config(100), "192.0.2.4", 50)).unwrap();
    host.receive(at(3), &advertisement(config(100), "192.0.2.4", 0)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(1) + DOWN));
    assert_eq!(host.router.statistics().priority_zero_ignored, 1);
    // When the better one has been silent for two intervals, the worse one is who counts.
    let later = at(4) + 2 * SECOND;
    host.receive(later, &advertisement(config(100), "192.0.2.4", 50)).unwrap();
    host.receive(later, &advertisement(config(100), "192.0.2.4", 0)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(later + SKEW));
}

#[test]
fn a_master_answers_priority_zero() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    let now = now + SECOND / 2;
    host.receive(now, &advertisement(config(100), "192.0.2.3", 0)).unwrap();
    assert_eq!(host.wire.len(), 1);
    assert_eq!(host.router.poll_timeout(), Some(now + SECOND));
}

#[test]
fn shutting_down_says_so() {
    let (mut host, now) = Host::master(config(100), "192.0.2.2");
    host.router.handle_shutdown(now);
    host.carry_out(now);
    assert!(matches!(
        host.log[..],
        [
            Output::Send(send),
            Output::SetAddresses { wanted: Wanted::None, .. },
            Output::StateChanged { to: State::Initialize, reason: Reason::Shutdown, .. },
        ] if send.priority == Priority::RELEASE
    ));
    assert_eq!(host.router.poll_timeout(), None);
    assert_eq!(host.router.why(now).to_string(), "not started");
}

#[test]
fn a_priority_shifts_the_timer_of_a_backup_and_the_next_advertisement_of_a_master() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.router.handle_priority(at(1), Priority::new(228));
    // A skew of 28/256 s instead of 156/256 s.
    assert_eq!(host.router.poll_timeout(), Some(at(3_109_375_000)));
    host.router.handle_priority(at(2), Priority::new(100));
    assert_eq!(host.router.poll_timeout(), Some(at(0) + DOWN));
    let now = host.step().unwrap();
    host.router.handle_priority(now, Priority::new(0));
    assert_eq!(host.router.priority(), Priority::new(1));
    host.router.handle_priority(now, Priority::new(255));
    assert_eq!(host.router.priority(), Priority::new(254), "255 is the owner's by configuration");
    host.take_log();
    host.step();
    assert!(
        matches!(host.log[..], [Output::Send(send)] if send.priority == Priority::new(254)),
        "{:?}",
        host.log
    );
}

#[test]
fn a_timer_that_a_greater_priority_has_overtaken_is_due_now() {
    let mut host = Host::started(config(1), "192.0.2.2");
    // 3.996 s with priority 1, 3.008 s with 254.
    let now = at(3_500_000_000);
    host.router.handle_priority(now, Priority::new(254));
    assert_eq!(host.router.poll_timeout(), Some(now));
}

#[test]
fn the_owner_keeps_its_priority() {
    let mut host = Host::started(config(255), "192.0.2.2");
    host.router.handle_priority(at(1), Priority::new(10));
    assert_eq!(host.router.priority(), Priority::OWNER);
}

#[test]
fn an_earlier_moment_counts_as_the_latest() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let better = advertisement(config(100), "192.0.2.3", 200);
    host.receive(at(1_000_000), &better).unwrap();
    host.receive(at(10), &better).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(1_000_000) + DOWN));
}
