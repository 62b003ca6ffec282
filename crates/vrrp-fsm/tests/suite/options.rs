//! What operators can have otherwise: each option, and that its default is the RFC's.

use core::time::Duration;

use crate::{host::*, network::*};
use vrrp_fsm::{Output, State, vrrp_proto::Priority};

fn announcements(log: &[Output]) -> usize {
    log.iter().filter(|output| matches!(output, Output::Announce)).count()
}

#[test]
fn an_owner_may_have_to_wait_as_everybody_else() {
    let mut host = Host::started(config(255).owner_skips_backup(false), "192.0.2.5");
    assert_eq!(host.router.state(), State::Backup);
    let down = Duration::from_nanos(3_003_906_250);
    assert_eq!(host.step(), Some(at(0) + down));
    assert_eq!(host.router.state(), State::Master);
}

#[test]
fn a_master_may_say_once_more_that_it_was_one_before_it_yields() {
    for (says_so, expected) in [(false, 0), (true, 1)] {
        let config = config(100).advertise_before_yielding(says_so);
        let (mut host, now) = Host::master(config.clone(), "192.0.2.5");
        host.receive(now, &advertisement(config, "192.0.2.9", 200)).unwrap();
        assert_eq!(host.router.state(), State::Backup);
        let sent: Vec<Priority> = host
            .log
            .iter()
            .filter_map(|output| match output {
                Output::Send(send) => Some(send.priority),
                _ => None,
            })
            .collect();
        assert_eq!(sent, vec![Priority::new(100); expected]);
    }
}

/// A partition heals just before the winner advertises: the loser yields and is never heard. What
/// the winner announces afterwards, within two minutes.
fn unheard_loser(change: impl Fn(vrrp_fsm::Config) -> vrrp_fsm::Config) -> usize {
    let (winner, loser) = (change(config(150)), change(config(100)));
    let mut wire = Wire::new([("192.0.2.2", winner), ("192.0.2.3", loser)]);
    wire.cut = |_, _| true;
    wire.run_for(SECOND * 20);
    assert_eq!(wire.masters(), [0, 1]);
    let speaks = |wire: &Wire, host: usize| wire.hosts[host].router.poll_timeout().unwrap();
    while speaks(&wire, 0) > speaks(&wire, 1) {
        let next = speaks(&wire, 1);
        wire.run_until(next);
    }
    wire.cut = |_, _| false;
    wire.hosts[0].log.clear();
    wire.run_for(SECOND * 120);
    assert_eq!((wire.masters(), wire.holders()), (vec![0], vec![0]));
    announcements(&wire.hosts[0].log)
}

#[test]
fn a_loser_that_is_not_heard_leaves_hosts_behind_unless_the_winner_refreshes() {
    // The control: nobody tells the hosts that learned the loser's MAC address.
    assert_eq!(unheard_loser(|config| config), 0);
    // Once when it is told, and once when that is over.
    assert_eq!(unheard_loser(|config| config.advertise_before_yielding(true)), 2);
    let minute = Duration::from_secs(60);
    assert_eq!(unheard_loser(|config| config.announce_refresh(Some(minute))), 2);
}

#[test]
fn a_refresh_comes_at_its_interval_and_only_while_the_addresses_are_there() {
    let config = config(100).announce_refresh(Some(SECOND * 10));
    let (mut host, now) = Host::master(config, "192.0.2.5");
    host.run_until(now + Duration::from_nanos(9_999_999_999));
    assert_eq!(announcements(&host.log), 0);
    host.run_until(now + SECOND * 10);
    assert_eq!(announcements(&host.log), 1);
    host.run_until(now + SECOND * 35);
    assert_eq!(announcements(&host.log), 3);
    // Lost and not back yet: there is nothing to announce.
    host.effects = Effects::Wait;
    host.router.handle_addresses_lost(now + SECOND * 35);
    host.carry_out(now + SECOND * 35);
    host.run_until(now + SECOND * 55);
    assert_eq!(announcements(&host.log), 3);
    // Installing announces; the next refresh is a whole interval later.
    host.answer(now + SECOND * 55, Ok(()));
    host.run_until(now + SECOND * 64);
    assert_eq!(announcements(&host.log), 3);
    host.run_until(now + SECOND * 65);
    assert_eq!(announcements(&host.log), 4);
    host.router.handle_shutdown(now + SECOND * 66);
    host.effects = Effects::Succeed;
    host.carry_out(now + SECOND * 66);
    assert_eq!(host.router.poll_timeout(), None);
}

#[test]
fn another_mac_address_is_announced_by_a_master_only() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    host.router.handle_mac_changed(now);
    host.carry_out(now);
    assert_eq!(host.take_log(), [Output::Announce]);
    let mut backup = Host::started(config(100), "192.0.2.5");
    backup.log.clear();
    backup.router.handle_mac_changed(at(1));
    backup.carry_out(at(1));
    assert_eq!(backup.log, []);
}

#[test]
fn amid_a_backlog_only_a_master_acts() {
    let mut backup = Host::started(config(100), "192.0.2.5");
    let deadline = backup.router.poll_timeout().unwrap();
    backup.router.handle_timeout_in_backlog(deadline);
    backup.carry_out(deadline);
    assert_eq!(
        (backup.router.state(), backup.router.poll_timeout()),
        (State::Backup, Some(deadline))
    );
    backup.timeout(deadline);
    assert_eq!(backup.router.state(), State::Master, "when everything was heard");
    backup.log.clear();
    let deadline = backup.router.poll_timeout().unwrap();
    backup.router.handle_timeout_in_backlog(deadline);
    backup.carry_out(deadline);
    assert!(matches!(backup.log[..], [Output::Send(_)]));
}

#[test]
fn a_release_is_over_when_the_addresses_are_gone() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    assert!(!host.router.is_released());
    host.effects = Effects::Wait;
    host.receive(now, &advertisement(config(100), "192.0.2.9", 200)).unwrap();
    assert_eq!(host.router.state(), State::Backup);
    assert!(!host.router.is_released(), "the addresses are still there");
    host.answer(now, Ok(()));
    assert!(host.router.is_released());
}

#[test]
fn a_refresh_that_is_configured_later_begins_then() {
    let (mut host, now) = Host::master(config(100), "192.0.2.5");
    let later = config(100).announce_refresh(Some(SECOND * 10));
    host.router.handle_config(now, later).unwrap();
    host.carry_out(now);
    host.run_until(now + SECOND * 10);
    assert_eq!(announcements(&host.log), 1);
    host.router.handle_config(now + SECOND * 10, config(100)).unwrap();
    host.run_until(now + SECOND * 60);
    assert_eq!(announcements(&host.log), 1, "and ends when it is taken away");
}
