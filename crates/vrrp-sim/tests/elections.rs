//! The stories of RFC 9568, told in virtual time.
#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use core::{net::IpAddr, time::Duration};

use vrrp_sim::{
    Chance, Conditions, Invariant, Link, RouterId, Simulation, Subject, Violation,
    vrrp_fsm::{
        ChecksumPolicy, Config, PathConfig, PathId, PeerConfig, ReleasePolicy, State,
        vrrp_proto::{AddressFamily, ChecksumForm, Priority, Vrid},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn config(priority: u8) -> Config {
    Config::new(Vrid::new(51).unwrap(), AddressFamily::Ipv4)
        .priority(Priority::new(priority))
        .virtual_addresses(vec![IpAddr::from([192, 0, 2, 1])])
}

fn pair(seed: u64) -> (Simulation, RouterId, RouterId) {
    let mut sim = Simulation::new(seed);
    let left = sim.add_router("left", config(200), IpAddr::from([192, 0, 2, 2])).unwrap();
    let right = sim.add_router("right", config(100), IpAddr::from([192, 0, 2, 3])).unwrap();
    (sim, left, right)
}

#[test]
fn the_better_router_becomes_master_and_has_the_addresses() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(1);
    sim.start_all()?;
    let after = sim.run_until(10 * SECOND, |sim| sim.has_addresses(left))?;
    // 3 A + (256 - 200) / 256 A, and a millisecond to install.
    let expected = Duration::from_micros(3_219_750);
    assert!(after.unwrap().abs_diff(expected) < Duration::from_millis(1), "{after:?}");
    assert_eq!(sim.settle()?, Some(left));
    assert_eq!(sim.machine(right).unwrap().state(), State::Backup);
    Ok(())
}

#[test]
fn a_crash_and_a_release_are_taken_over_in_time() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(2);
    sim.start_all()?;
    sim.settle()?;
    let takeover = sim.fail_over()?.unwrap();
    assert_eq!((takeover.from, takeover.to), (left, right));
    // No sooner than what is left of 3 A + S after the last advertisement.
    assert!(takeover.after > Duration::from_micros(2_609_375), "{takeover:?}");
    sim.start(left)?;
    assert_eq!(sim.settle()?, Some(left));
    let takeover = sim.hand_over()?.unwrap();
    let skew = Duration::from_micros(609_375);
    assert!(takeover.after.abs_diff(skew) < Duration::from_millis(1), "{takeover:?}");
    Ok(())
}

#[test]
fn a_partition_makes_two_masters_and_healing_makes_one() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(3);
    sim.start_all()?;
    sim.settle()?;
    sim.partition(&[&[left]]);
    sim.run_for(5 * SECOND)?;
    assert!(sim.masters().eq([left, right]));
    assert_eq!(sim.settle()?, Some(left));
    assert_eq!(sim.tally().count(Subject::Bound, "two masters became one"), 1);
    let drawing = sim.timeline().unwrap().lanes(60);
    assert!(drawing.contains("╳╳╳"), "{drawing}");
    Ok(())
}

/// How many advertisements a Master of priority 200 sends the moment it wakes after ten seconds, while
/// the other one is Master.
fn sent_on_waking(late_wake_rule: bool) -> Result<u64, Violation> {
    let mut sim = Simulation::new(4);
    let left = config(200).late_wake_rule(late_wake_rule);
    let left = sim.add_router("left", left, IpAddr::from([192, 0, 2, 2])).unwrap();
    let right = sim.add_router("right", config(100), IpAddr::from([192, 0, 2, 3])).unwrap();
    sim.start_all()?;
    sim.settle()?;
    sim.pause(left);
    sim.run_for(10 * SECOND)?;
    assert_eq!(sim.machine(right).unwrap().state(), State::Master);
    let sent = sim.tally().count(Subject::Output, "send");
    sim.resume(left)?;
    let expected = if late_wake_rule { State::Backup } else { State::Master };
    assert_eq!(sim.machine(left).unwrap().state(), expected);
    Ok(sim.tally().count(Subject::Output, "send") - sent)
}

#[test]
fn a_paused_master_does_not_come_back_as_one() -> Result<(), Violation> {
    assert_eq!(sent_on_waking(true)?, 0);
    // Without the rule it goes on as if nothing had happened.
    assert!(sent_on_waking(false)? > 0);
    Ok(())
}

/// Whether a Backup promotes itself because a copy of an old farewell comes late, while a better
/// Backup has long become Master.
fn late_farewell_promotes(release_from: ReleasePolicy) -> Result<bool, Violation> {
    let mut sim = Simulation::new(16);
    let ids: Vec<RouterId> = [255, 254, 250]
        .into_iter()
        .zip(2..)
        .map(|(priority, last)| {
            let config = config(priority).release_from(release_from);
            sim.add_router("router", config, IpAddr::from([192, 0, 2, last])).unwrap()
        })
        .collect();
    sim.start_all()?;
    sim.settle()?;
    sim.shut_down(ids[0])?;
    sim.replay(ids[2], Duration::from_millis(350));
    sim.run_for(10 * SECOND)?;
    assert!(sim.masters().eq([ids[1]]));
    Ok(sim.machine(ids[2]).unwrap().statistics().master_transitions > 0)
}

#[test]
fn a_late_copy_of_a_farewell_is_ignored_unless_anyone_may_say_farewell() -> Result<(), Violation> {
    assert!(!late_farewell_promotes(ReleasePolicy::RecordedMaster)?);
    assert!(late_farewell_promotes(ReleasePolicy::Anyone)?);
    Ok(())
}

#[test]
fn one_way_loss_leaves_two_masters_that_only_one_side_can_see() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(5);
    sim.start_all()?;
    sim.settle()?;
    sim.cut(left, right);
    sim.run_for(20 * SECOND)?;
    assert_eq!(sim.masters().count(), 2);
    let losing = |id| sim.machine(id).unwrap().statistics().losing_received;
    assert!(losing(left) > 10);
    assert_eq!(losing(right), 0);
    Ok(())
}

#[test]
fn a_duplicate_address_and_an_echo_make_no_storm() -> Result<(), Violation> {
    let mut sim = Simulation::new(6);
    let twin = IpAddr::from([192, 0, 2, 2]);
    sim.add_router("twin", config(100), twin).unwrap();
    sim.add_router("other twin", config(100), twin).unwrap();
    sim.set_echo(Chance::ALWAYS);
    sim.start_all()?;
    // The invariant against storms is checked at every step.
    sim.run_for(60 * SECOND)?;
    assert_eq!(sim.masters().count(), 2);
    assert!(sim.tally().count(Subject::Discard, "own-source") > 100);
    Ok(())
}

#[test]
fn failing_sends_make_a_master_let_go() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(7);
    sim.start_all()?;
    sim.settle()?;
    sim.set_conditions(left, Conditions { send_fails: Chance::ALWAYS, ..Conditions::default() });
    let gone = sim.run_until(10 * SECOND, |sim| !sim.has_addresses(left))?;
    assert!(gone.is_some());
    sim.run_for(10 * SECOND)?;
    assert!(sim.masters().eq([right]));
    assert_eq!(sim.tally().count(Subject::Reason, "cannot advertise"), 1);
    sim.settle().map(drop)
}

#[test]
fn killed_processes_leave_addresses_that_a_restart_removes() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(8);
    sim.start_all()?;
    sim.settle()?;
    sim.kill(left);
    sim.run_for(5 * SECOND)?;
    assert!(sim.holders().eq([left, right]));
    sim.start(left)?;
    assert!(sim.holders().eq([right]));
    assert_eq!(sim.settle()?, Some(left));
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() -> Result<(), Violation> {
    let run = |seed| {
        let (mut sim, left, _) = pair(seed);
        let loss = Chance::percent(30);
        sim.set_links(Link { loss, jitter: SECOND / 10, ..Link::default() });
        sim.start_all()?;
        sim.run_for(500 * SECOND)?;
        sim.crash(left);
        sim.run_for(500 * SECOND)?;
        Ok(format!("{}{}", sim.timeline().unwrap(), sim.tally()))
    };
    assert_eq!(run(9)?, run(9)?);
    assert_ne!(run(9)?, run(10)?);
    Ok(())
}

/// The bounds are checked in earnest: where they cannot hold, that is noticed.
#[test]
fn routers_that_do_not_understand_each_other_never_agree() {
    let mut sim = Simulation::new(11);
    for (last, form) in [(2, ChecksumForm::PseudoHeader), (3, ChecksumForm::MessageOnly)] {
        let config = config(100).checksum(ChecksumPolicy::Strict(form));
        sim.add_router("strict", config, IpAddr::from([192, 0, 2, last])).unwrap();
    }
    sim.start_all().unwrap();
    assert_eq!(sim.settle().unwrap_err().invariant, Invariant::OneMaster);
}

#[test]
fn packets_later_than_the_master_down_interval_are_instability() {
    let settle = |seed| {
        let (mut sim, ..) = pair(seed);
        sim.set_links(Link { jitter: 20 * SECOND, ..Link::default() });
        sim.start_all().unwrap();
        sim.settle().err().map(|violation| violation.invariant)
    };
    let found: Vec<_> = (0..20).filter_map(settle).collect();
    assert!(found.contains(&Invariant::Stability), "{found:?}");
}

#[test]
fn a_paused_backup_takes_nothing_over() -> Result<(), Violation> {
    let (mut sim, _, right) = pair(13);
    sim.start_all()?;
    sim.settle()?;
    sim.pause(right);
    assert_eq!(sim.fail_over().unwrap_err().invariant, Invariant::Takeover);
    Ok(())
}

/// Lets the next advertisement arrive, so that all of what follows is in a known rhythm.
fn next_advertisement(sim: &mut Simulation) -> Result<(), Violation> {
    let delivered = |sim: &Simulation| sim.tally().count(Subject::Network, "delivered");
    let before = delivered(sim);
    sim.run_until(2 * SECOND, |sim| delivered(sim) > before)?;
    sim.run_for(Duration::from_millis(10))
}

#[test]
fn a_backup_whose_receive_queue_overflowed_waits_for_news() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(14);
    sim.set_conditions(right, Conditions { receive_queue: 0, ..Conditions::default() });
    sim.start_all()?;
    sim.settle()?;
    // It would expire before the next advertisement comes: all earlier ones are lost.
    next_advertisement(&mut sim)?;
    sim.pause(right);
    sim.run_for(Duration::from_millis(3_500))?;
    sim.resume(right)?;
    sim.run_for(10 * SECOND)?;
    assert_eq!(sim.tally().count(Subject::Fault, "receive queue overflow"), 1);
    assert_eq!(sim.tally().count(Subject::Output, "install addresses"), 1, "no takeover");
    assert!(sim.masters().eq([left]));
    Ok(())
}

#[test]
fn a_backup_that_wakes_late_to_an_empty_queue_waits_for_news() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(15);
    sim.start_all()?;
    sim.settle()?;
    next_advertisement(&mut sim)?;
    sim.pause(right);
    sim.cut(left, right);
    sim.run_for(Duration::from_millis(7_500))?;
    sim.heal();
    sim.resume(right)?;
    sim.run_for(10 * SECOND)?;
    assert_eq!(sim.tally().count(Subject::Output, "install addresses"), 1, "no takeover");
    assert!(sim.masters().eq([left]));
    Ok(())
}

/// How long the Backup waits after a crash of the Master when its clock is so many ppm too fast.
fn takeover_with_clock(clock_drift: i32) -> Result<Duration, Violation> {
    let (mut sim, _, right) = pair(17);
    sim.set_conditions(right, Conditions { clock_drift, ..Conditions::default() });
    sim.start_all()?;
    sim.settle()?;
    next_advertisement(&mut sim)?;
    Ok(sim.fail_over()?.unwrap().after)
}

#[test]
fn a_fast_clock_takes_over_early_and_a_slow_one_late() -> Result<(), Violation> {
    let right = takeover_with_clock(0)?;
    let (early, late) = (takeover_with_clock(100_000)?, takeover_with_clock(-100_000)?);
    // A tenth of 3.6 s, more or less.
    assert!((300..360).contains(&right.abs_diff(early).as_millis()), "{right:?}, {early:?}");
    assert!((370..440).contains(&late.abs_diff(right).as_millis()), "{right:?}, {late:?}");
    Ok(())
}

#[test]
fn a_clock_that_changes_its_speed_moves_the_deadline_that_is_armed() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(18);
    sim.start_all()?;
    sim.settle()?;
    next_advertisement(&mut sim)?;
    sim.crash(left);
    sim.run_for(SECOND)?;
    sim.set_conditions(right, Conditions { clock_drift: -500_000, ..Conditions::default() });
    let after = sim.run_until(10 * SECOND, |sim| sim.masters().next().is_some())?.unwrap();
    // What is left of 3.6 s takes twice as long.
    assert!(after.abs_diff(Duration::from_millis(5_200)) < SECOND / 20, "{after:?}");
    Ok(())
}

#[test]
fn an_old_advertisement_that_was_overtaken_by_a_farewell_only_delays() -> Result<(), Violation> {
    let (mut sim, left, right) = pair(19);
    sim.start_all()?;
    sim.settle()?;
    // The next advertisement arrives half a second late, and the farewell before it.
    let reordering = Chance::ALWAYS;
    sim.set_links(Link { reordering, held_back: SECOND / 2, ..Link::default() });
    let sent = sim.tally().count(Subject::Output, "send");
    sim.run_until(2 * SECOND, |sim| sim.tally().count(Subject::Output, "send") > sent)?;
    sim.set_links(Link::default());
    sim.shut_down(left)?;
    assert_eq!(sim.tally().count(Subject::Network, "reordered"), 1);
    let after = sim.run_until(10 * SECOND, |sim| sim.masters().eq([right]))?.unwrap();
    assert!(after.abs_diff(Duration::from_millis(4_109)) < SECOND / 100, "{after:?}");
    Ok(())
}

#[test]
fn virtual_routers_of_one_process_change_state_together() -> Result<(), Violation> {
    let mut sim = Simulation::new(20);
    let member = |sim: &mut Simulation, vrid, priority, last| {
        let mut config = config(priority).sync_group(true);
        config.vrid = Vrid::new(vrid).unwrap();
        sim.add_router("member", config, IpAddr::from([192, 0, 2, last])).unwrap()
    };
    let left = [51, 52].map(|vrid| member(&mut sim, vrid, 200, 2));
    let right = [51, 52].map(|vrid| member(&mut sim, vrid, 100, 3));
    sim.join(&left);
    sim.join(&right);
    sim.start_all()?;
    assert_eq!(sim.settle()?, Some(left[0]));
    assert!(sim.masters().eq(left));
    // One of its networks is down: it is Master in none.
    sim.set_link_down(left[1])?;
    sim.run_for(10 * SECOND)?;
    assert!(sim.masters().eq(right));
    assert!(left.iter().all(|id| sim.machine(*id).unwrap().state() == State::Initialize));
    assert_eq!(sim.settle()?, Some(left[0]));
    assert!(sim.holders().eq(left));
    // The process crashes as a whole.
    sim.crash(left[0]);
    sim.run_for(10 * SECOND)?;
    assert!(sim.masters().eq(right) && sim.machine(left[1]).is_none());
    Ok(())
}

#[test]
fn what_a_slow_path_brings_after_a_farewell_does_not_delay_the_next_master() {
    let address = |path: u8, last| IpAddr::from([192, 0, 2 + path, last]);
    for phase in 0..10 {
        let mut sim = Simulation::new(phase);
        for (priority, ours, theirs) in [(200, 2, 3), (100, 3, 2)] {
            let peer = PeerConfig::new("other", vec![address(0, theirs), address(1, theirs)]);
            let paths = vec![PathConfig::multicast(), PathConfig::multicast()];
            let config = config(priority).paths(paths).peers(vec![peer]);
            let id = sim.add_router("router", config, address(0, ours)).unwrap();
            sim.add_path(id, address(1, ours));
        }
        let delay = Duration::from_millis(700);
        sim.set_path_links(PathId::new(1), Link { delay, ..Link::default() });
        sim.start_all().unwrap();
        sim.settle().unwrap();
        sim.run_for(Duration::from_millis(100 * phase)).unwrap();
        let takeover = sim.hand_over().unwrap().unwrap();
        // Its skew time, and what the fast path takes.
        assert!(takeover.after < Duration::from_millis(620), "{takeover:?}");
    }
}
