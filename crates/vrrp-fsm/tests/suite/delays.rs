//! The preempt delay (the `hold-time` of RFC 8347) and the start delay.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{Config, Discard, Fault, Instant, Output, Reason, State, Why};

const DOWN: Duration = Duration::from_micros(3_609_375);

fn delayed(seconds: u64) -> Config {
    config(100).preempt_delay(Duration::from_secs(seconds))
}

/// Hears an advertisement of this priority every second, up to and including `last`.
fn hear(host: &mut Host, priority: u8, first: u32, last: u32) {
    let packet = advertisement(config(100), "192.0.2.3", priority);
    for second in first..=last {
        let now = Instant::ZERO + SECOND * second;
        host.run_until(now);
        host.receive(now, &packet).unwrap();
    }
}

fn after(seconds: u32) -> Instant {
    Instant::ZERO + SECOND * seconds
}

#[test]
fn a_worse_master_is_followed_until_the_delay_is_over_and_then_replaced() {
    let mut host = Host::started(delayed(5), "192.0.2.2");
    hear(&mut host, 50, 1, 5);
    assert_eq!(host.router.poll_timeout(), Some(after(5) + DOWN), "followed");
    assert_eq!(
        host.router.why(after(5)).to_string(),
        "192.0.2.3 is master with priority 50 (ours is 100), tolerated for another 1.0s"
    );
    hear(&mut host, 50, 6, 8);
    assert_eq!(host.router.poll_timeout(), Some(after(5) + DOWN), "no longer followed");
    host.step();
    assert_eq!(host.router.state(), State::Master);
    let Some(Output::StateChanged { reason: Reason::Preempted { .. }, .. }) = host.log.last()
    else {
        panic!("{:?}", host.log.last())
    };
}

#[test]
fn a_worse_master_that_falls_silent_is_replaced_before_the_delay_is_over() {
    let mut host = Host::started(delayed(1_000), "192.0.2.2");
    hear(&mut host, 50, 1, 3);
    assert_eq!(host.step(), Some(after(3) + DOWN));
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn a_worse_master_that_leaves_is_replaced_before_the_delay_is_over() {
    let mut host = Host::started(delayed(1_000), "192.0.2.2");
    hear(&mut host, 50, 1, 3);
    hear(&mut host, 0, 4, 4);
    assert_eq!(host.step(), Some(after(4) + Duration::from_micros(609_375)));
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn a_master_of_no_lower_priority_starts_the_delay_over() {
    for priority in [100, 200] {
        let mut host = Host::started(delayed(5), "192.0.2.2");
        hear(&mut host, 50, 1, 5);
        hear(&mut host, priority, 6, 6);
        hear(&mut host, 50, 7, 11);
        assert_eq!(host.router.poll_timeout(), Some(after(11) + DOWN));
        hear(&mut host, 50, 12, 12);
        assert_eq!(host.router.poll_timeout(), Some(after(11) + DOWN));
    }
}

#[test]
fn a_new_backup_starts_the_delay_over() {
    let mut host = Host::started(delayed(5), "192.0.2.2");
    hear(&mut host, 50, 1, 5);
    host.router.handle_fault(after(5), Fault::LinkDown);
    host.router.handle_fault_cleared(after(5), Fault::LinkDown);
    host.carry_out(after(5));
    hear(&mut host, 50, 6, 10);
    assert_eq!(host.router.poll_timeout(), Some(after(10) + DOWN));
}

#[test]
fn an_owner_does_not_wait() {
    let mut host = Host::new(config(255).preempt_delay(SECOND * 60), "192.0.2.2");
    host.router.handle_startup(Instant::ZERO);
    host.carry_out(Instant::ZERO);
    let rival = advertisement(config(255), "192.0.2.3", 255);
    host.receive(after(1), &rival).unwrap();
    assert_eq!(host.router.state(), State::Backup);
    let deadline = host.router.poll_timeout();
    hear(&mut host, 254, 2, 3);
    assert_eq!(host.router.poll_timeout(), deadline);
}

#[test]
fn the_delay_can_be_changed_while_it_runs() {
    let mut host = Host::started(delayed(1_000), "192.0.2.2");
    hear(&mut host, 50, 1, 5);
    host.router.handle_config(after(5), delayed(2)).unwrap();
    host.carry_out(after(5));
    hear(&mut host, 50, 6, 6);
    assert_eq!(host.router.poll_timeout(), Some(after(5) + DOWN));
}

#[test]
fn a_router_takes_part_after_the_start_delay() {
    for (priority, state, deadline) in
        [(100, State::Backup, after(10) + DOWN), (255, State::Master, after(11))]
    {
        let mut host = Host::started(config(priority).start_delay(SECOND * 10), "192.0.2.2");
        assert_eq!(host.router.state(), State::Initialize);
        assert!(
            matches!(host.router.why(after(4)), Why::Delayed { remaining } if remaining == SECOND * 6)
        );
        let packet = advertisement(config(100), "192.0.2.3", 50);
        assert_eq!(host.receive(after(4), &packet), Err(Discard::NotRunning));
        host.timeout(after(9));
        assert_eq!(host.router.state(), State::Initialize);
        assert_eq!(host.step(), Some(after(10)));
        assert_eq!(host.router.state(), state);
        assert_eq!(host.router.poll_timeout(), Some(deadline));
    }
}

#[test]
fn only_a_startup_is_delayed() {
    let mut host = Host::started(config(100).start_delay(SECOND * 10), "192.0.2.2");
    host.router.handle_startup(after(9));
    host.router.handle_fault(after(9), Fault::LinkDown);
    assert_eq!(host.step(), Some(after(10)), "once more does not delay once more");
    assert_eq!((host.router.state(), host.router.poll_timeout()), (State::Initialize, None));
    host.router.handle_fault_cleared(after(12), Fault::LinkDown);
    host.carry_out(after(12));
    assert_eq!(host.router.state(), State::Backup);
    host.router.handle_shutdown(after(12));
    host.router.handle_startup(after(12));
    host.carry_out(after(12));
    assert_eq!(host.router.poll_timeout(), Some(after(22)));
    host.router.handle_shutdown(after(13));
    assert_eq!(host.router.poll_timeout(), None);
}

#[test]
fn a_shorter_start_delay_ends_the_longer_one() {
    let mut host = Host::started(config(100).start_delay(SECOND * 10), "192.0.2.2");
    host.router.handle_config(after(1), config(100).start_delay(SECOND * 2)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(after(2)));
    host.router.handle_config(after(3), config(100)).unwrap();
    host.carry_out(after(3));
    assert_eq!(host.router.state(), State::Backup);
}
