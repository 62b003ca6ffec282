#![expect(clippy::large_types_passed_by_value, reason = "snapshots are made on the spot here")]

//! Each invariant can be broken, and is then noticed.

use vrrp_fsm::{EffectId, Fault, PathId};
use vrrp_proto::{AddressFamily, Vrid};

use super::*;

const SOURCE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 2));
const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn config() -> Config {
    Config::new(Vrid::new(51).unwrap(), AddressFamily::Ipv4)
        .virtual_addresses(vec![IpAddr::from([192, 0, 2, 1])])
}

fn snapshot(state: State) -> Snapshot {
    Snapshot {
        state,
        deadline: (state != State::Initialize).then_some(NOW + Duration::from_secs(1)),
        priority: Priority::DEFAULT,
        statistics: Statistics::default(),
    }
}

/// What is broken by this step of a fresh router, if anything is.
fn broken(
    input: &Input<'_>,
    before: Snapshot,
    after: Snapshot,
    outputs: &[Output],
    installed: bool,
) -> Option<Invariant> {
    let config = config();
    let mut checker = Checker::new(&config);
    let step = Step {
        now: NOW,
        input,
        verdict: None,
        config: &config,
        source: SOURCE,
        before,
        after,
        outputs,
        installed,
        busy: false,
    };
    checker.step(&step).err().map(|(invariant, _)| invariant)
}

/// A router that became Master by its timer, and all it handed out on the way, in order.
fn promotion() -> (Vec<Output>, VirtualRouter) {
    let mut machine = VirtualRouter::new(config(), 1).unwrap();
    machine.handle_source_address(Instant::ZERO, PathId::FIRST, Some(SOURCE));
    machine.handle_startup(Instant::ZERO);
    let at = machine.poll_timeout().unwrap();
    machine.handle_timeout(at);
    let outputs = core::iter::from_fn(|| machine.poll_output())
        .filter(|output| !matches!(output, Output::StateChanged { .. }))
        .collect();
    (outputs, machine)
}

fn due(state: State) -> Snapshot {
    Snapshot { deadline: Some(NOW), ..snapshot(state) }
}

/// The statistics of a machine that has discarded so many datagrams.
fn discarded(times: usize) -> Statistics {
    let mut machine = VirtualRouter::new(config(), 1).unwrap();
    let loopback = core::net::Ipv6Addr::LOCALHOST;
    for _ in 0..times {
        let datagram = vrrp_fsm::Datagram::ipv6(PathId::FIRST, loopback, loopback, None, &[]);
        machine.handle_datagram(Instant::ZERO, datagram).unwrap_err();
    }
    *machine.statistics()
}

#[test]
fn a_promotion_as_it_should_be_breaks_nothing() {
    let (outputs, _) = promotion();
    assert_eq!(outputs.len(), 2);
    let (before, after) = (due(State::Backup), snapshot(State::Master));
    assert_eq!(broken(&Input::Timeout, before, after, &outputs, false), None);
}

#[test]
fn a_state_without_its_timer_is_noticed() {
    let before = due(State::Backup);
    let after = Snapshot { deadline: None, ..before };
    assert_eq!(broken(&Input::Timeout, before, after, &[], false), Some(Invariant::Timers));
}

#[test]
fn a_deadline_that_stays_due_is_noticed() {
    let before = due(State::Backup);
    assert_eq!(broken(&Input::Timeout, before, before, &[], false), Some(Invariant::StuckTimer));
}

#[test]
fn a_backup_that_waits_too_long_is_noticed() {
    let before = due(State::Backup);
    let after = Snapshot { deadline: Some(NOW + Duration::from_secs(4)), ..before };
    assert_eq!(broken(&Input::Timeout, before, after, &[], false), Some(Invariant::DeadlineBound));
}

#[test]
fn whoever_sends_and_is_not_master_is_noticed() {
    let (outputs, mut machine) = promotion();
    let backup = snapshot(State::Backup);
    let input = Input::Sent(PathId::FIRST, true);
    let found = broken(&input, backup, backup, &outputs[..1], false);
    assert_eq!(found, Some(Invariant::OnlyMasterSends));
    // A farewell of one who stays.
    machine.handle_shutdown(machine.poll_timeout().unwrap());
    let farewell = [machine.poll_output().unwrap()];
    let master = snapshot(State::Master);
    let found = broken(&Input::Shutdown, master, master, &farewell, false);
    assert_eq!(found, Some(Invariant::OnlyMasterSends));
}

#[test]
fn addresses_before_the_advertisement_are_noticed() {
    let (mut outputs, _) = promotion();
    outputs.reverse();
    let (before, after) = (due(State::Backup), snapshot(State::Master));
    let found = broken(&Input::Timeout, before, after, &outputs, false);
    assert_eq!(found, Some(Invariant::AdvertiseFirst));
}

#[test]
fn addresses_without_a_mastership_are_noticed() {
    let master = snapshot(State::Master);
    let found =
        broken(&Input::Sent(PathId::FIRST, true), master, master, &[Output::Announce], false);
    assert_eq!(found, Some(Invariant::AddressesOnlyMaster));
    let (outputs, _) = promotion();
    let config = config();
    let mut checker = Checker::new(&config);
    let mut step = Step {
        now: NOW,
        input: &Input::Timeout,
        verdict: None,
        config: &config,
        source: SOURCE,
        before: due(State::Backup),
        after: master,
        outputs: &outputs,
        installed: false,
        busy: false,
    };
    checker.step(&step).unwrap();
    // It stops, and nobody removes them.
    let fault = Input::Fault(Fault::LinkDown);
    (step.input, step.before, step.after) = (&fault, master, snapshot(State::Initialize));
    (step.outputs, step.installed) = (&[], true);
    assert_eq!(checker.step(&step).unwrap_err().0, Invariant::AddressesOnlyMaster);
}

#[test]
fn a_promotion_without_a_timer_is_noticed() {
    let (outputs, _) = promotion();
    let master = snapshot(State::Master);
    let found = broken(&Input::Overflow, due(State::Backup), master, &outputs, false);
    assert_eq!(found, Some(Invariant::PromotionByTimer));
    let found = broken(&Input::Startup, snapshot(State::Initialize), master, &outputs, false);
    assert_eq!(found, Some(Invariant::PromotionByTimer));
}

#[test]
fn a_master_that_yields_for_nothing_is_noticed() {
    let (before, after) = (snapshot(State::Master), snapshot(State::Backup));
    let found = broken(&Input::Overflow, before, after, &[], false);
    assert_eq!(found, Some(Invariant::YieldToBetter));
}

#[test]
fn a_discard_that_matters_is_noticed() {
    let config = config();
    let before = snapshot(State::Backup);
    let moved = Some(NOW + Duration::from_secs(2));
    let after = |times| Snapshot { statistics: discarded(times), ..before };
    let counted = after(1);
    let packet = Packet {
        path: PathId::FIRST,
        sender: SOURCE,
        serial: 0,
        source: SOURCE,
        destination: SOURCE,
        hop_limit: 255,
        octets: std::sync::Arc::from([0_u8; 20]),
        answers: 0,
    };
    for (after, expected) in [
        (counted, None),
        (Snapshot { deadline: moved, ..counted }, Some(Invariant::DiscardsChangeNothing)),
        (after(2), Some(Invariant::DiscardsChangeNothing)),
        (before, Some(Invariant::DiscardsChangeNothing)),
    ] {
        let step = Step {
            now: NOW,
            input: &Input::Datagram(&packet),
            verdict: Some(Discard::Owner),
            config: &config,
            source: SOURCE,
            before,
            after,
            outputs: &[],
            installed: false,
            busy: false,
        };
        let found = Checker::new(&config).step(&step).err().map(|(invariant, _)| invariant);
        assert_eq!(found, expected);
    }
}

#[test]
fn a_stale_event_that_matters_is_noticed() {
    let before = snapshot(State::Backup);
    let after = Snapshot { deadline: Some(NOW + Duration::from_millis(1)), ..before };
    let found = broken(&Input::Timeout, before, after, &[], false);
    assert_eq!(found, Some(Invariant::StaleEvents));
    let answer = Input::Effect { id: EffectId::default(), current: false, ok: true };
    assert_eq!(broken(&answer, before, after, &[], false), Some(Invariant::StaleEvents));
}

#[test]
fn a_report_out_of_order_is_noticed() {
    let backup = snapshot(State::Backup);
    for (from, to, term, installed) in [
        (State::Backup, State::Initialize, 0, false),
        (State::Initialize, State::Initialize, 0, false),
        (State::Initialize, State::Master, 0, true),
        (State::Initialize, State::Master, 1, false),
    ] {
        let report = [Output::StateChanged { from, to, reason: Reason::Startup, term }];
        let found = broken(&Input::Startup, backup, backup, &report, installed);
        assert_eq!(found, Some(Invariant::Reports), "{report:?}");
    }
}

#[test]
fn a_lost_output_and_a_storm_are_noticed() {
    let master = snapshot(State::Master);
    let mut lost = master;
    lost.statistics.outputs_lost = 1;
    assert_eq!(broken(&Input::Overflow, master, lost, &[], false), Some(Invariant::OutputsKept));
    let (outputs, _) = promotion();
    let storm = vec![outputs[0]; 100];
    let found = broken(&Input::Overflow, master, master, &storm, false);
    assert_eq!(found, Some(Invariant::NoStorm));
}

#[test]
fn what_is_sent_has_to_be_ours_and_valid() {
    let (outputs, machine) = promotion();
    let Some(Output::Send(send)) = outputs.first() else { panic!("{outputs:?}") };
    let destination = machine.destinations(PathId::FIRST).next().unwrap();
    let mut buffer = [0; 64];
    let octets = machine.encode(send, PathId::FIRST, destination, &mut buffer).unwrap();
    let packet = Packet {
        path: PathId::FIRST,
        sender: SOURCE,
        serial: 0,
        source: SOURCE,
        destination,
        hop_limit: 255,
        octets: octets.into(),
        answers: 0,
    };
    assert_eq!(well_formed(&packet, &config()), Ok(()));
    let other = config().virtual_addresses(vec![IpAddr::from([192, 0, 2, 9])]);
    assert_eq!(well_formed(&packet, &other).unwrap_err().0, Invariant::WellFormed);
    for at in [8, 20, 21, 25, 26, 28] {
        let mut octets = octets.to_vec();
        octets[at] ^= 1;
        let packet = Packet { octets: octets.into(), ..packet.clone() };
        let found = well_formed(&packet, &config()).unwrap_err().0;
        assert_eq!(found, Invariant::WellFormed, "octet {at}");
    }
}
