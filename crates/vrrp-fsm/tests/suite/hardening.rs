//! What goes beyond the RFC: late wakes, lost packets, two Masters at once.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{Output, Reason, State, Wanted};

const DOWN: Duration = Duration::from_micros(3_609_375);
/// When the best possible Backup (priority 254) expires, after our last advertisement.
const BEST_BACKUP_DOWN: Duration = Duration::from_nanos(3_007_812_500);
const NANOSECOND: Duration = Duration::from_nanos(1);

#[test]
fn a_master_that_was_stopped_for_too_long_yields_before_it_says_anything() {
    let (mut host, last_sent) = Host::master(config(100), "192.0.2.2");
    let woken = last_sent + BEST_BACKUP_DOWN + NANOSECOND;
    host.timeout(woken);
    let late = woken.saturating_duration_since(last_sent + SECOND);
    assert!(
        matches!(
            host.log[..],
            [
                Output::SetAddresses { wanted: Wanted::None, .. },
                Output::StateChanged { to: State::Backup, reason: Reason::LateWake { late: l }, .. }
            ] if l == late
        ),
        "{:?}",
        host.log
    );
    assert!(host.wire.is_empty(), "no advertisement, not even priority 0");
    // If nobody has taken over, it serves again after a whole master-down interval.
    assert_eq!(host.router.poll_timeout(), Some(woken + DOWN));
    host.step();
    assert_eq!(host.router.state(), State::Master);
    assert_eq!(host.router.statistics().late_wakes, 1);
}

#[test]
fn a_master_that_was_stopped_for_less_goes_on() {
    let (mut host, last_sent) = Host::master(config(100), "192.0.2.2");
    host.timeout(last_sent + BEST_BACKUP_DOWN);
    assert_eq!(host.router.state(), State::Master);
    assert!(matches!(host.log[..], [Output::Send(_)]));
}

#[test]
fn without_the_rule_a_late_master_goes_on() {
    let (mut host, last_sent) = Host::master(config(100).late_wake_rule(false), "192.0.2.2");
    host.timeout(last_sent + SECOND * 3600);
    assert_eq!(host.router.state(), State::Master);
    assert!(matches!(host.log[..], [Output::Send(_)]));
}

#[test]
fn a_queued_packet_does_not_make_a_late_master_speak() {
    // The socket is read before deadlines are served: the new Master's advertisement comes first.
    for priority in [50, 200] {
        let (mut host, last_sent) = Host::master(config(100), "192.0.2.2");
        let woken = last_sent + SECOND * 10;
        host.receive(woken, &advertisement(config(100), "192.0.2.3", priority)).unwrap();
        assert_eq!(host.router.state(), State::Backup);
        assert!(host.wire.is_empty(), "priority {priority} was answered");
        assert!(!host.installed);
    }
}

#[test]
fn a_late_backup_waits_once_more_but_not_for_ever() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let mut expected = 0;
    loop {
        let deadline = host.router.poll_timeout().unwrap();
        // Every time it runs, it runs more than an interval too late.
        host.timeout(deadline + SECOND + NANOSECOND);
        if host.router.state() == State::Master {
            break;
        }
        expected += 1;
        let now = deadline + SECOND + NANOSECOND;
        assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
    }
    assert_eq!(expected, 3);
    assert_eq!(host.router.statistics().late_wakes, 3);
}

#[test]
fn a_backup_that_is_a_little_late_is_promoted() {
    let mut host = Host::started(config(100), "192.0.2.2");
    host.timeout(at(0) + DOWN + SECOND);
    assert_eq!(host.router.state(), State::Master);
    let mut host = Host::started(config(100).late_wake_rule(false), "192.0.2.2");
    host.timeout(at(0) + DOWN * 100);
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn lost_packets_make_a_backup_wait_for_the_next_ones() {
    let mut host = Host::started(config(100), "192.0.2.2");
    // More than an interval and a skew to go: the next advertisement comes in time.
    host.router.handle_overflow(at(0) + SECOND);
    assert_eq!(host.router.poll_timeout(), Some(at(0) + DOWN));
    let overdue = at(0) + DOWN;
    host.router.handle_overflow(overdue);
    host.timeout(overdue);
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(host.router.poll_timeout(), Some(overdue + DOWN));
    // A flood cannot keep it quiet for ever.
    for _ in 0..3 {
        let overdue = host.router.poll_timeout().unwrap();
        host.router.handle_overflow(overdue);
        host.timeout(overdue);
    }
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn an_accepted_advertisement_forgives_lost_ones() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let better = advertisement(config(100), "192.0.2.3", 200);
    for _ in 0..10 {
        let overdue = host.router.poll_timeout().unwrap();
        host.router.handle_overflow(overdue);
        host.receive(overdue, &better).unwrap();
        assert_eq!(host.router.poll_timeout(), Some(overdue + DOWN));
    }
    assert_eq!(host.router.statistics().late_wakes, 10);
}

#[test]
fn losing_advertisements_are_answered_at_most_every_10_ms() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    let worse = advertisement(config(100), "192.0.2.3", 50);
    let start = now + SECOND / 2;
    // 1,000 in 100 ms.
    for packet in 0..1_000 {
        let now = start + Duration::from_micros(100) * packet;
        host.run_until(now);
        host.receive(now, &worse).unwrap();
    }
    assert!((9..=11).contains(&host.wire.len()), "{} answers", host.wire.len());
    let announcements = host.log.iter().filter(|output| **output == Output::Announce).count();
    assert_eq!(announcements, 1);
    assert_eq!(host.router.statistics().losing_received, 1_000);
}

#[test]
fn an_answer_that_had_to_wait_still_comes() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    let worse = advertisement(config(100), "192.0.2.3", 50);
    let ms = Duration::from_millis;
    host.receive(now + ms(500), &worse).unwrap();
    host.receive(now + ms(503), &worse).unwrap();
    assert_eq!(host.wire.len(), 1);
    assert_eq!(host.router.poll_timeout(), Some(now + ms(510)));
    host.step();
    assert_eq!(host.wire.len(), 2);
    assert_eq!(host.router.poll_timeout(), Some(now + ms(1_510)));
    // It counts as an answer itself.
    host.receive(now + ms(515), &worse).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(now + ms(520)));
}

#[test]
fn without_immediate_answers_a_loser_is_only_discarded() {
    let (mut host, now) = Host::master(config(100).immediate_answer(false), "192.0.2.5");
    let before = host.router.poll_timeout();
    host.receive(now + SECOND / 2, &advertisement(config(100), "192.0.2.3", 50)).unwrap();
    assert!(host.wire.is_empty());
    assert_eq!(host.router.poll_timeout(), before);
}

#[test]
fn the_winner_reports_how_long_there_were_two_masters_and_announces() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    let worse = advertisement(config(100), "192.0.2.3", 50);
    let start = now + SECOND / 2;
    for tenth in 0..=5 {
        host.receive(start + SECOND / 10 * tenth, &worse).unwrap();
    }
    let why = host.router.why(start + SECOND);
    assert!(why.to_string().ends_with("192.0.2.3 advertises as master as well"), "{why}");
    host.take_log();
    host.run_until(start + SECOND * 10);
    let reports: Vec<_> =
        host.log.iter().filter(|output| matches!(output, Output::Contended { .. })).collect();
    let expected = Output::Contended {
        winner: address("192.0.2.5"),
        loser: address("192.0.2.3"),
        duration: SECOND / 2,
        ongoing: false,
    };
    assert_eq!(reports, [&expected]);
    let report = host.log.iter().position(|output| *output == expected).unwrap();
    assert_eq!(host.log[report + 1], Output::Announce, "hosts may have learned the loser's MAC");
}

#[test]
fn a_loser_that_does_not_hear_us_is_reported_again_and_again() {
    let (mut host, start) = Host::master(config(100), "192.0.2.5");
    let worse = advertisement(config(100), "192.0.2.3", 50);
    for second in 1..=60 {
        let now = start + SECOND * second;
        host.run_until(now);
        host.receive(now, &worse).unwrap();
    }
    let reports = host.log.iter().filter(|output| {
        matches!(output, Output::Contended { ongoing: true, duration, .. } if *duration > SECOND)
    });
    let reports = reports.count();
    assert!((14..=17).contains(&reports), "{reports} reports in a minute");
    let announcements = host.log.iter().filter(|output| **output == Output::Announce).count();
    assert_eq!(announcements, reports + 1);
}

#[test]
fn one_packet_of_a_slow_loser_is_reported_once() {
    let (mut host, start) = Host::master(config(100), "192.0.2.5");
    let slow = config(50).advertisement_interval(SECOND * 40);
    host.receive(start + SECOND / 2, &advertisement(slow, "192.0.2.3", 50)).unwrap();
    host.run_until(start + SECOND * 200);
    let (reports, announcements) = (
        host.log.iter().filter(|output| matches!(output, Output::Contended { .. })).count(),
        host.log.iter().filter(|output| **output == Output::Announce).count(),
    );
    assert_eq!((reports, announcements), (1, 2));
}

#[test]
fn outputs_that_nobody_takes_do_not_pile_up() {
    let mut host = Host::started(config(100), "192.0.2.5");
    let worse = advertisement(config(100), "192.0.2.3", 50);
    let better = advertisement(config(100), "192.0.2.3", 200);
    let mut now = host.router.poll_timeout().unwrap();
    host.router.handle_timeout(now);
    for _ in 0..1_000 {
        now += Duration::from_millis(11);
        host.router.handle_datagram(now, worse.datagram()).unwrap();
    }
    host.router.handle_datagram(now, better.datagram()).unwrap();
    let outputs: Vec<Output> = core::iter::from_fn(|| host.router.poll_output()).collect();
    assert_eq!(outputs.len(), 8);
    assert!(host.router.statistics().outputs_lost > 900);
    // What matters is not lost: the addresses are to go.
    let wish = outputs.iter().rev().find(|output| matches!(output, Output::SetAddresses { .. }));
    assert!(matches!(wish, Some(Output::SetAddresses { wanted: Wanted::None, .. })));
}

#[test]
fn whatever_comes_first_after_a_late_wake_finds_a_backup() {
    let inputs: [fn(&mut Host, vrrp_fsm::Instant); 4] = [
        |host, now| host.router.handle_addresses_lost(now),
        |host, now| host.router.handle_config(now, config(100)).unwrap(),
        |host, now| host.router.handle_shutdown(now),
        |host, now| host.router.handle_fault(now, vrrp_fsm::Fault::LinkDown),
    ];
    for input in inputs {
        let (mut host, last_sent) = Host::master(config(100), "192.0.2.2");
        let woken = last_sent + SECOND * 10;
        input(&mut host, woken);
        host.carry_out(woken);
        assert!(host.wire.is_empty(), "{:?}", host.log);
        assert!(!host.installed);
        assert_ne!(host.router.state(), State::Master);
    }
}
