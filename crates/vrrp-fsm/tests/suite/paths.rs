//! Several lines between the same routers.

mod lines;
mod refused;

use core::time::Duration;

use vrrp_fsm::{
    Config, Counter, Demux, Discard, Fault, Heard, Instant, Key, Output, PathConfig, PathId,
    PeerConfig, Reason, Route, State,
    vrrp_proto::{AddressFamily, Authentication, HeaderKey, Password, Priority, Version},
};

use self::lines::Lines;
use crate::host::*;

const DOWN: Duration = Duration::from_micros(3_609_375);
const SKEW: Duration = Duration::from_micros(609_375);
const MILLISECOND: Duration = Duration::from_millis(1);
const FAST: PathId = PathId::FIRST;
const SLOW: PathId = PathId::new(1);
/// The routers' addresses on both paths; the order of the second ones is the other way round.
const A: [&str; 2] = ["192.0.2.2", "10.9.9.9"];
const B: [&str; 2] = ["192.0.2.3", "10.9.9.8"];
const C: [&str; 2] = ["192.0.2.4", "10.9.9.7"];

fn peer(name: &str, addresses: [&str; 2]) -> PeerConfig {
    PeerConfig::new(name, addresses.map(address).to_vec())
}

/// Multicast on the first path, unicast on the second.
fn two_paths(priority: u8, peers: Vec<PeerConfig>) -> Config {
    config(priority).paths(vec![PathConfig::multicast(), PathConfig::unicast(vec![])]).peers(peers)
}

/// A, with B and C as its peers.
fn configured(priority: u8) -> Config {
    two_paths(priority, vec![peer("b", B), peer("c", C)])
}

/// A, started, with an address on both paths.
fn started(config: Config) -> Host {
    let mut host = Host::new(config, A[0]);
    host.router.handle_source_address(Instant::ZERO, SLOW, Some(address(A[1])));
    host.router.handle_startup(Instant::ZERO);
    host.carry_out(Instant::ZERO);
    host.take_log();
    host
}

fn master(config: Config) -> (Host, Instant) {
    let mut host = started(config);
    let now = host.step().unwrap();
    assert_eq!(host.router.reported_state(), State::Master);
    host.take_log();
    host.wire.clear();
    (host, now)
}

/// An advertisement of another router as it comes in on a path.
fn from(sender: [&str; 2], path: PathId, priority: u8) -> Packet {
    let unicast = config(100).paths(vec![PathConfig::unicast(vec![address(A[1])])]);
    let (config, source) =
        if path == FAST { (config(100), sender[0]) } else { (unicast, sender[1]) };
    Packet { path, ..advertisement(config, source, priority) }
}

fn sends(log: &[Output]) -> usize {
    log.iter().filter(|output| matches!(output, Output::Send(_))).count()
}

#[test]
fn advertisements_go_out_and_are_accepted_on_every_path() {
    let (mut host, now) = master(configured(100));
    host.run_until(now + SECOND);
    let packets: Vec<_> =
        host.wire.iter().map(|packet| (packet.path, packet.source, packet.destination)).collect();
    let [first, second] = A.map(address);
    assert_eq!(
        packets,
        [
            (FAST, first, address("224.0.0.18")),
            (SLOW, second, address(B[1])),
            (SLOW, second, address(C[1])),
        ]
    );
    for path in [FAST, SLOW] {
        let (mut host, now) = master(configured(100));
        host.receive(now, &from(B, path, 200)).unwrap();
        // Known by its first address, over whichever path.
        let Heard { source, path: heard_on, .. } = host.router.master().unwrap();
        assert_eq!((source, heard_on), (address(B[0]), path));
        assert_eq!(host.router.config().peer_name(source), Some("b"));
    }
}

#[test]
fn strangers_and_peers_on_the_wrong_path_are_discarded() {
    let mut host = started(configured(100));
    let swapped = [B[1], B[0]];
    let stranger = ["192.0.2.77", "10.9.9.77"];
    let mut discards = 0;
    for sender in [stranger, swapped] {
        for path in [FAST, SLOW] {
            let result = host.receive(at(9), &from(sender, path, 200));
            assert!(matches!(result, Err(Discard::UnknownPeer { .. })), "{result:?}");
            discards += 1;
            assert_eq!(host.router.statistics().discarded(Counter::UnknownPeer), discards);
        }
    }
    for path in [FAST, SLOW] {
        let result = host.receive(at(9), &from(A, path, 200));
        assert!(matches!(result, Err(Discard::AddressConflict { .. })), "{result:?}");
    }
    assert_eq!(host.router.master(), None);
    assert_eq!(host.router.poll_timeout(), Some(at(0) + DOWN));
}

#[test]
fn a_single_path_may_have_named_peers_as_well() {
    let named = config(100).peers(vec![PeerConfig::new("b", vec![address(B[0])])]);
    let mut host = Host::started(named, A[0]);
    host.receive(at(9), &from(B, FAST, 200)).unwrap();
    assert!(host.receive(at(9), &from(C, FAST, 200)).is_err());
}

#[test]
fn ties_compare_the_first_addresses_whatever_the_path() {
    // On the second path the order of the addresses is the other way round.
    for path in [FAST, SLOW] {
        let (mut lesser, now) = master(configured(100));
        lesser.receive(now, &from(B, path, 100)).unwrap();
        assert_eq!(lesser.router.state(), State::Backup, "{path:?}");
        let reason =
            Reason::BetterAdvertisement { source: address(B[0]), priority: Priority::DEFAULT };
        assert!(lesser.log.iter().any(
            |output| matches!(output, Output::StateChanged { reason: found, .. } if *found == reason)
        ));
        let (mut greater, now) =
            master(two_paths(100, vec![peer("x", ["192.0.2.1", "10.9.9.99"])]));
        greater.receive(now, &from(["192.0.2.1", "10.9.9.99"], path, 100)).unwrap();
        assert_eq!(greater.router.state(), State::Master, "{path:?}");
    }
}

#[test]
fn a_lost_first_address_still_breaks_ties() {
    let (mut host, now) = master(two_paths(100, vec![peer("x", ["192.0.2.1", "10.9.9.99"])]));
    host.router.handle_source_address(now, FAST, None);
    host.receive(now, &from(["192.0.2.1", "10.9.9.99"], SLOW, 100)).unwrap();
    assert_eq!(host.router.state(), State::Master);
    host.run_until(now + SECOND * 3);
    assert!(host.log.iter().any(
        |output| matches!(output, Output::Contended { winner, .. } if *winner == address(A[0]))
    ));
}

#[test]
fn a_copy_of_a_losing_advertisement_is_not_answered_again() {
    let (mut host, now) = master(configured(100));
    let now = now + SECOND / 2;
    host.receive(now, &from(B, FAST, 50)).unwrap();
    assert_eq!(sends(&host.take_log()), 1);
    host.receive(now + 50 * MILLISECOND, &from(B, SLOW, 50)).unwrap();
    assert_eq!(host.take_log(), []);
    assert_eq!(host.router.statistics().losing_received, 1);
    assert_eq!(host.router.statistics().copies_received, 1);
    // The next one is answered, over whichever path it comes first.
    let next = now + SECOND * 9 / 10;
    host.receive(next, &from(B, SLOW, 50)).unwrap();
    host.receive(next + MILLISECOND, &from(B, FAST, 50)).unwrap();
    assert_eq!(sends(&host.take_log()), 1);
    assert_eq!(host.router.statistics().copies_received, 2);
    // Somebody else is not a copy, nor is what says something else.
    host.receive(next + 20 * MILLISECOND, &from(C, FAST, 50)).unwrap();
    host.receive(next + 40 * MILLISECOND, &from(B, FAST, 60)).unwrap();
    assert_eq!(host.router.statistics().copies_received, 2);
    // A repetition on the same path is one, too: its sender insists.
    host.receive(next + 60 * MILLISECOND, &from(B, FAST, 60)).unwrap();
    assert_eq!(host.router.statistics().losing_received, 5);
}

#[test]
fn the_same_peer_on_two_paths_is_one_loser() {
    let (mut host, now) = master(configured(100));
    for path in [FAST, SLOW] {
        host.receive(now + SECOND / 10, &from(B, path, 50)).unwrap();
    }
    host.run_until(now + SECOND * 4);
    let losers: Vec<_> = host
        .log
        .iter()
        .filter_map(|output| match output {
            Output::Contended { loser, .. } => Some(*loser),
            _ => None,
        })
        .collect();
    assert_eq!(losers, [address(B[0])]);
    let announcements = host.log.iter().filter(|output| **output == Output::Announce).count();
    assert_eq!(announcements, 2, "when it begins and when it ends");
}

#[test]
fn a_copy_does_not_put_off_the_takeover() {
    let mut host = started(configured(100));
    host.receive(at(0) + SECOND, &from(B, FAST, 200)).unwrap();
    host.receive(at(0) + SECOND + 400 * MILLISECOND, &from(B, SLOW, 200)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(0) + SECOND + DOWN));
    // What comes out of turn on the fast path is news, whatever copies came before it.
    host.receive(at(0) + SECOND + 600 * MILLISECOND, &from(B, FAST, 200)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(0) + SECOND + 600 * MILLISECOND + DOWN));
    // The next one over the slow path alone is news.
    host.receive(at(0) + SECOND * 2 + 400 * MILLISECOND, &from(B, SLOW, 200)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(0) + SECOND * 2 + 400 * MILLISECOND + DOWN));
}

#[test]
fn a_farewell_over_one_path_is_one_and_its_copy_changes_nothing() {
    for (first, second) in [(FAST, SLOW), (SLOW, FAST)] {
        let mut host = started(configured(100));
        host.receive(at(0) + SECOND, &from(B, FAST, 200)).unwrap();
        let left = at(0) + SECOND + 600 * MILLISECOND;
        host.receive(left, &from(B, first, 0)).unwrap();
        assert_eq!(host.router.poll_timeout(), Some(left + SKEW));
        // What the slower path still brings.
        for priority in [200, 0] {
            host.receive(left + 300 * MILLISECOND, &from(B, second, priority)).unwrap();
            assert_eq!(host.router.poll_timeout(), Some(left + SKEW));
        }
        host.step();
        assert_eq!(host.router.state(), State::Master);
        // Still: it would be a reason to yield, or to answer.
        host.take_log();
        for priority in [200, 0] {
            host.receive(left + 900 * MILLISECOND, &from(B, second, priority)).unwrap();
        }
        assert_eq!((host.router.state(), host.take_log().len()), (State::Master, 0));
        assert_eq!(host.router.statistics().copies_received, 4);
        // It is back, as it says itself a whole interval later.
        host.receive(left + SECOND, &from(B, second, 200)).unwrap();
        assert_eq!(host.router.state(), State::Backup);
    }
}

#[test]
fn who_leaves_and_comes_back_at_once_is_not_taken_over_by_a_late_farewell() {
    let mut host = started(configured(100));
    host.receive(at(0) + SECOND, &from(B, FAST, 0)).unwrap();
    let mut now = at(0) + SECOND;
    for priority in [200, 0, 200] {
        now += 10 * MILLISECOND;
        host.receive(now, &from(B, FAST, priority)).unwrap();
    }
    host.receive(now + MILLISECOND, &from(B, SLOW, 0)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
    // Nor has the late copy made its sender stale on the path it is heard on.
    now += 10 * MILLISECOND;
    host.receive(now, &from(B, FAST, 200)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(now + DOWN));
    // Somebody else's farewell has nothing to do with it.
    host.receive(now + MILLISECOND, &from(C, SLOW, 0)).unwrap();
    assert_eq!(host.router.statistics().priority_zero_ignored, 1 + 1);
}

#[test]
fn a_farewell_to_a_master_is_answered_once() {
    let (mut host, now) = master(configured(100));
    let now = now + SECOND / 2;
    for (late, path) in [(0, SLOW), (500, FAST)] {
        host.receive(now + MILLISECOND * late, &from(B, path, 0)).unwrap();
    }
    assert_eq!(sends(&host.log), 1);
}

#[test]
fn copies_with_sequence_numbers_are_neither_attacks_nor_lost() {
    let key = HeaderKey::new(Password::truncated(b"k3y"));
    let signed =
        |config: Config| config.version(Version::V2).authentication(Authentication::Header(key));
    for order in [[FAST, SLOW], [SLOW, FAST]] {
        let mut lines = Lines::new([
            (A, signed(two_paths(100, vec![peer("b", B)]))),
            (B, signed(two_paths(200, vec![peer("a", A)]))),
        ]);
        // The slower path is the one whose copies come second.
        lines.latency[usize::from(order[0].get())] = MILLISECOND;
        lines.latency[usize::from(order[1].get())] = 300 * MILLISECOND;
        lines.run_for(SECOND * 20);
        assert_eq!(lines.states(), [State::Backup, State::Master]);
        let statistics = lines.hosts[0].router.statistics();
        assert_eq!(statistics.discards().map(|(_, number)| number).sum::<u64>(), 0);
        assert!(statistics.copies_received > 10, "{statistics:?}");
        assert_eq!(lines.hosts[0].router.master().unwrap().path, order[0]);
        // What was used is still used, on either path.
        for packet in lines.taken(0) {
            assert!(lines.hosts[0].receive(lines.now, &packet).is_err());
        }
        assert!(lines.hosts[0].router.statistics().discarded(Counter::AuthenticationReplay) > 20);
    }
}

#[test]
fn both_versions_over_two_paths_are_one_master() {
    let both = |config: Config| config.also_version_2(true);
    let mut lines = Lines::new([
        (A, both(two_paths(100, vec![peer("b", B)]))),
        (B, both(two_paths(200, vec![peer("a", A)]))),
    ]);
    lines.latency = [MILLISECOND, 300 * MILLISECOND];
    lines.run_for(SECOND * 20);
    assert_eq!(lines.states(), [State::Backup, State::Master]);
    let statistics = lines.hosts[0].router.statistics();
    let ignored = statistics.discarded(Counter::AlsoInVersion3);
    assert_eq!(statistics.discards().map(|(_, number)| number).sum::<u64>(), ignored);
    assert!(ignored > 20 && statistics.copies_received > 10, "{statistics:?}");
    assert_eq!(lines.hosts[0].router.term(), 0);
}

#[test]
fn one_line_is_enough() {
    let mut lines = Lines::new([
        (A, two_paths(100, vec![peer("b", B), peer("c", C)])),
        (B, two_paths(150, vec![peer("a", A), peer("c", C)])),
        (C, two_paths(200, vec![peer("a", A), peer("b", B)])),
    ]);
    lines.run_for(SECOND * 5);
    assert_eq!(lines.states(), [State::Backup, State::Backup, State::Master]);
    for cut in [[true, false], [false, true], [true, false]] {
        lines.cut = cut;
        lines.run_for(SECOND * 10);
        assert_eq!(lines.states(), [State::Backup, State::Backup, State::Master], "{cut:?}");
    }
    let terms: Vec<_> = lines.hosts.iter().map(|host| host.router.term()).collect();
    assert_eq!(terms, [0, 0, 1], "nobody else was Master in between");
    // The control: without any line there are three.
    lines.cut = [true, true];
    lines.run_for(SECOND * 10);
    assert_eq!(lines.states(), [State::Master; 3]);
    lines.cut = [true, false];
    lines.run_for(SECOND * 10);
    assert_eq!(lines.states(), [State::Backup, State::Backup, State::Master]);
}

#[test]
fn a_path_that_cannot_send_is_no_fault_while_another_can() {
    for dead in [FAST, SLOW] {
        let (mut host, now) = master(configured(100));
        host.dead = vec![dead];
        host.run_until(now + SECOND * 60);
        assert_eq!(host.router.state(), State::Master);
        let failing = host.router.path_status(dead).unwrap();
        assert!(failing.is_failing && failing.send_failures == 60, "{failing:?}");
        assert_eq!(failing.sent_at, Some(now));
        let working = host.router.path_status(PathId::new(1 - dead.get())).unwrap();
        assert!(!working.is_failing && working.sent_at == Some(now + SECOND * 60));
        let why = host.router.why(now + SECOND * 60).to_string();
        assert!(why.ends_with(&format!("; cannot send on path {}", dead.get())), "{why}");

        host.dead = vec![FAST, SLOW];
        host.run_until(now + SECOND * 60 + DOWN);
        assert!(host.router.faults().contains(Fault::CannotAdvertise));
    }
}

#[test]
fn after_failures_one_path_that_sends_is_proof_enough() {
    let (mut host, now) = master(configured(100));
    host.dead = vec![FAST, SLOW];
    host.run_until(now + SECOND * 5);
    assert!(host.router.faults().contains(Fault::CannotAdvertise));
    host.dead = vec![FAST];
    while host.router.reported_state() != State::Master {
        host.step().unwrap();
    }
    assert!(host.installed);
    host.dead = vec![FAST, SLOW];
    while host.router.faults().is_empty() {
        host.step().unwrap();
    }
    host.take_log();
    while host.router.term() < 3 {
        host.step().unwrap();
    }
    assert!(!host.installed && host.log.iter().any(|output| matches!(output, Output::Send(_))));
}

#[test]
fn a_path_without_an_address_is_no_fault_while_another_has_one() {
    let mut host = Host::new(configured(100), A[0]);
    host.router.handle_startup(at(0));
    host.carry_out(at(0));
    let now = host.step().unwrap();
    assert_eq!(host.router.state(), State::Master);
    assert_eq!(host.router.path_status(SLOW).unwrap().source, None);
    host.router.handle_source_address(now, SLOW, Some(address(A[1])));
    host.router.handle_source_address(now, FAST, None);
    host.carry_out(now);
    host.run_until(now + SECOND * 10);
    assert_eq!(host.router.state(), State::Master);
    host.router.handle_source_address(now + SECOND * 10, SLOW, None);
    assert!(host.router.faults().contains(Fault::NoSourceAddress));
}

#[test]
fn operators_learn_which_path_brings_nothing() {
    let mut host = started(configured(100));
    let mut now = at(0);
    for _ in 0..5 {
        now += SECOND;
        host.receive(now, &from(B, SLOW, 200)).unwrap();
    }
    let why = host.router.why(now).to_string();
    assert!(why.ends_with("; not heard on path 0"), "{why}");
    assert_eq!(host.router.path_status(FAST).unwrap().heard_at, None);
    assert_eq!(host.router.path_status(SLOW).unwrap().heard_at, Some(now));
    host.receive(now + MILLISECOND, &from(B, FAST, 200)).unwrap();
    let why = host.router.why(now).to_string();
    assert!(!why.contains("path"), "{why}");
    assert_eq!(host.router.path_status(PathId::new(2)), None);
}

#[test]
fn a_peer_is_recognised_when_its_address_changes() {
    let moved = [["192.0.2.33", "10.9.9.33"], C];
    let renumbered = two_paths(100, vec![peer("c", moved[1]), peer("b", moved[0])]);
    let mut host = started(configured(100));
    host.receive(at(9), &from(B, FAST, 200)).unwrap();
    host.router.handle_config(at(10), renumbered.clone()).unwrap();
    assert_eq!(host.router.master().unwrap().source, address("192.0.2.33"));
    host.receive(at(11), &from(moved[0], SLOW, 0)).unwrap();
    assert_eq!(host.router.poll_timeout(), Some(at(11) + SKEW));
    host.receive(at(12), &from(B, FAST, 200)).unwrap_err();
    host.step();
    let reason = Reason::MasterReleased { source: address("192.0.2.33") };
    assert!(host.log.iter().any(
        |output| matches!(output, Output::StateChanged { reason: found, .. } if *found == reason)
    ));
    host.receive(at(0) + SECOND * 2, &from(moved[0], FAST, 50)).unwrap();
    host.router.handle_config(at(0) + SECOND * 2, configured(100)).unwrap();
    host.take_log();
    host.run_until(at(0) + SECOND * 6);
    assert!(host.log.iter().any(
        |output| matches!(output, Output::Contended { loser, .. } if *loser == address(B[0]))
    ));
}

#[test]
fn taking_the_only_path_with_an_address_away_is_a_fault() {
    let mut host = Host::new(configured(100), A[0]);
    host.router.handle_source_address(at(0), SLOW, Some(address(A[1])));
    host.router.handle_source_address(at(0), FAST, None);
    host.router.handle_startup(at(0));
    assert_eq!(host.router.state(), State::Backup);
    host.router.handle_config(at(1), config(100)).unwrap();
    assert!(host.router.faults().contains(Fault::NoSourceAddress));
    assert_eq!(host.router.state(), State::Initialize);
    host.router.handle_source_address(at(2), FAST, Some(address(A[0])));
    assert_eq!(host.router.state(), State::Backup);
}

#[test]
fn the_demux_knows_every_path() {
    let mut demux = Demux::new();
    let vrid = configured(100).vrid;
    let key = |interface, peer| Key { interface, family: AddressFamily::Ipv4, vrid, peer };
    demux.insert(key(1, None), Route { router: 7, path: FAST });
    for peer in [B, C] {
        demux.insert(key(2, Some(address(peer[1]))), Route { router: 7, path: SLOW });
    }
    let mut host = started(configured(100));
    for (interface, path) in [(1, FAST), (2, SLOW)] {
        let packet = from(B, path, 200);
        let (router, datagram) = demux.ipv4(interface, &packet.bytes).unwrap();
        assert_eq!((router, datagram.path()), (7, path));
        host.router.handle_datagram(at(9), datagram).unwrap();
        // On the other line's interface it is for nobody, or from nobody.
        let misled = demux
            .ipv4(3 - interface, &packet.bytes)
            .and_then(|(_, datagram)| host.router.handle_datagram(at(9), datagram));
        assert!(misled.is_err(), "{misled:?}");
    }
}
