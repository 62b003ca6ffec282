//! Every situation against every input. The matches have no wildcard: a new input does not compile
//! before it is decided what it does where.

use crate::host::*;
use vrrp_fsm::{
    Config, Counter, EffectFailed, EffectId, Fault, GuardConfig, Instant, Output, PathId,
    SendFailed, State, Verdict, Wanted, vrrp_proto::Priority,
};

/// Where a virtual router of priority 100 at 192.0.2.5 can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    /// Not started.
    Stopped,
    /// Started, but the link is down.
    Faulty,
    /// Was Master, the addresses are being removed; a candidate without faults.
    Releasing,
    /// 192.0.2.9 is Master with priority 150.
    Backup,
    /// 192.0.2.9 has fallen silent, and the guard is asked.
    Asking,
    /// Master, the addresses are being installed.
    Installing,
    /// Master with the addresses.
    Serving,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Startup,
    Shutdown,
    /// Priority 200.
    Better,
    /// Priority 100 from a greater address.
    EqualGreater,
    /// Priority 100 from a smaller address.
    EqualSmaller,
    /// Priority 50.
    Worse,
    /// Priority 0 from 192.0.2.9.
    ReleaseByMaster,
    /// Priority 0 from elsewhere.
    ReleaseByStranger,
    /// A wrong checksum.
    Invalid,
    /// From our own address.
    Own,
    /// At the next deadline.
    TimeoutDue,
    TimeoutEarly,
    EffectDone,
    EffectFails,
    EffectStale,
    SendDone,
    SendFails,
    FaultAppears,
    FaultClears,
    SourceLost,
    SourceChanges,
    PriorityChanges,
    /// One address more.
    ConfigChanges,
    Overflow,
    AddressesLost,
    Promoted,
    Vetoed,
    /// By a ticket nobody waits for.
    VerdictStale,
}

const SITUATIONS: [Situation; 7] = [
    Situation::Stopped,
    Situation::Faulty,
    Situation::Releasing,
    Situation::Backup,
    Situation::Asking,
    Situation::Installing,
    Situation::Serving,
];

const INPUTS: [Input; 28] = [
    Input::Startup,
    Input::Shutdown,
    Input::Better,
    Input::EqualGreater,
    Input::EqualSmaller,
    Input::Worse,
    Input::ReleaseByMaster,
    Input::ReleaseByStranger,
    Input::Invalid,
    Input::Own,
    Input::TimeoutDue,
    Input::TimeoutEarly,
    Input::EffectDone,
    Input::EffectFails,
    Input::EffectStale,
    Input::SendDone,
    Input::SendFails,
    Input::FaultAppears,
    Input::FaultClears,
    Input::SourceLost,
    Input::SourceChanges,
    Input::PriorityChanges,
    Input::ConfigChanges,
    Input::Overflow,
    Input::AddressesLost,
    Input::Promoted,
    Input::Vetoed,
    Input::VerdictStale,
];

/// The state of the protocol and the outputs that follow.
fn expected(situation: Situation, input: Input) -> (State, &'static [&'static str]) {
    match situation {
        Situation::Stopped if input == Input::Startup => (State::Backup, &["-> backup"]),
        Situation::Faulty if input == Input::FaultClears => (State::Backup, &["-> backup"]),
        Situation::Releasing if input == Input::EffectDone => {
            (State::Backup, &["-> initialize", "-> backup"])
        }
        Situation::Stopped | Situation::Faulty | Situation::Releasing => {
            (without_effect(input), &[])
        }
        Situation::Backup => in_backup(input),
        Situation::Asking => in_asking(input),
        Situation::Installing => in_installing(input),
        Situation::Serving => in_serving(input),
    }
}

/// In Initialize: names every input, so that a new one has to be thought about.
fn without_effect(input: Input) -> State {
    match input {
        Input::Startup
        | Input::Shutdown
        | Input::Better
        | Input::EqualGreater
        | Input::EqualSmaller
        | Input::Worse
        | Input::ReleaseByMaster
        | Input::ReleaseByStranger
        | Input::Invalid
        | Input::Own
        | Input::TimeoutDue
        | Input::TimeoutEarly
        | Input::EffectDone
        | Input::EffectFails
        | Input::EffectStale
        | Input::SendDone
        | Input::SendFails
        | Input::FaultAppears
        | Input::FaultClears
        | Input::SourceLost
        | Input::SourceChanges
        | Input::PriorityChanges
        | Input::ConfigChanges
        | Input::Overflow
        | Input::AddressesLost
        | Input::Promoted
        | Input::Vetoed
        | Input::VerdictStale => State::Initialize,
    }
}

fn in_backup(input: Input) -> (State, &'static [&'static str]) {
    match input {
        Input::Startup
        | Input::Better
        | Input::EqualGreater
        | Input::EqualSmaller
        | Input::Worse
        | Input::ReleaseByMaster
        | Input::ReleaseByStranger
        | Input::Invalid
        | Input::TimeoutEarly
        | Input::EffectDone
        | Input::EffectFails
        | Input::EffectStale
        | Input::SendDone
        | Input::SendFails
        | Input::FaultClears
        | Input::SourceChanges
        | Input::PriorityChanges
        | Input::ConfigChanges
        | Input::Overflow
        | Input::AddressesLost
        | Input::Promoted
        | Input::Vetoed
        | Input::VerdictStale => (State::Backup, &[]),
        Input::Own => (State::Backup, &["conflict"]),
        Input::TimeoutDue => (State::Master, &["send 100", "install"]),
        Input::Shutdown | Input::FaultAppears | Input::SourceLost => {
            (State::Initialize, &["-> initialize"])
        }
    }
}

/// Like any Backup, but for the verdict. Its deadline brings the default, which is a veto.
fn in_asking(input: Input) -> (State, &'static [&'static str]) {
    match input {
        Input::Promoted => (State::Master, &["send 100", "install"]),
        Input::TimeoutDue => (State::Backup, &[]),
        other => in_backup(other),
    }
}

fn in_installing(input: Input) -> (State, &'static [&'static str]) {
    match input {
        Input::Startup
        | Input::Invalid
        | Input::Own
        | Input::TimeoutEarly
        | Input::EffectFails
        | Input::EffectStale
        | Input::SendDone
        | Input::SendFails
        | Input::FaultClears
        | Input::SourceChanges
        | Input::PriorityChanges
        | Input::Overflow
        | Input::AddressesLost
        | Input::Promoted
        | Input::Vetoed
        | Input::VerdictStale => (State::Master, &[]),
        Input::EffectDone => (State::Master, &["-> master"]),
        Input::TimeoutDue
        | Input::EqualSmaller
        | Input::Worse
        | Input::ReleaseByMaster
        | Input::ReleaseByStranger => (State::Master, &["send 100"]),
        Input::ConfigChanges => (State::Master, &["send 100", "install"]),
        Input::Better | Input::EqualGreater => (State::Backup, &["remove"]),
        Input::Shutdown | Input::FaultAppears | Input::SourceLost => {
            (State::Initialize, &["send 0", "remove"])
        }
    }
}

fn in_serving(input: Input) -> (State, &'static [&'static str]) {
    match input {
        Input::Startup
        | Input::Invalid
        | Input::Own
        | Input::TimeoutEarly
        | Input::EffectDone
        | Input::EffectFails
        | Input::EffectStale
        | Input::SendDone
        | Input::SendFails
        | Input::FaultClears
        | Input::SourceChanges
        | Input::PriorityChanges
        | Input::Overflow
        | Input::Promoted
        | Input::Vetoed
        | Input::VerdictStale => (State::Master, &[]),
        Input::TimeoutDue | Input::ReleaseByMaster | Input::ReleaseByStranger => {
            (State::Master, &["send 100"])
        }
        Input::EqualSmaller | Input::Worse => (State::Master, &["send 100", "announce"]),
        Input::AddressesLost => (State::Master, &["install"]),
        Input::ConfigChanges => (State::Master, &["send 100", "install"]),
        Input::Better | Input::EqualGreater => (State::Backup, &["remove", "-> backup"]),
        Input::Shutdown | Input::FaultAppears | Input::SourceLost => {
            (State::Initialize, &["send 0", "remove"])
        }
    }
}

fn subject() -> Config {
    config(100)
}

/// A router in the situation, the present moment, and the effect it waits for.
fn arrange(situation: Situation) -> (Host, Instant, EffectId) {
    let no_effect = EffectId::default();
    match situation {
        Situation::Stopped => (Host::new(subject(), "192.0.2.5"), at(500), no_effect),
        Situation::Faulty => {
            let mut host = Host::new(subject(), "192.0.2.5");
            host.router.handle_fault(at(0), Fault::LinkDown);
            host.router.handle_startup(at(0));
            (host, at(500), no_effect)
        }
        Situation::Releasing => {
            let (mut host, now) = Host::master(subject(), "192.0.2.5");
            host.effects = Effects::Wait;
            host.router.handle_fault(now, Fault::LinkDown);
            host.carry_out(now);
            host.router.handle_fault_cleared(now, Fault::LinkDown);
            let (id, wanted) = host.pending.unwrap();
            assert_eq!(wanted, Wanted::None);
            (host, now, id)
        }
        Situation::Backup => {
            let mut host = Host::started(subject(), "192.0.2.5");
            let master = advertisement(subject(), "192.0.2.9", 150);
            host.receive(at(500), &master).unwrap();
            (host, at(500), no_effect)
        }
        Situation::Asking => {
            let guard = GuardConfig::new(SECOND / 50, Verdict::Veto);
            let mut host = Host::started(subject().guard(Some(guard)), "192.0.2.5");
            host.receive(at(500), &advertisement(subject(), "192.0.2.9", 150)).unwrap();
            let now = host.step().unwrap();
            assert!(matches!(host.log.last(), Some(Output::AskPromotion { .. })));
            (host, now, no_effect)
        }
        Situation::Installing => {
            let mut host = Host::started(subject(), "192.0.2.5");
            host.effects = Effects::Wait;
            let now = host.step().unwrap();
            let (id, wanted) = host.pending.unwrap();
            assert_eq!(wanted, Wanted::All);
            (host, now, id)
        }
        Situation::Serving => {
            let (host, now) = Host::master(subject(), "192.0.2.5");
            // Long enough ago for the addresses to be installed again at once.
            (host, now + SECOND / 2, no_effect)
        }
    }
}

fn apply(host: &mut Host, now: Instant, input: Input, id: EffectId) {
    let from = |source, priority| advertisement(subject(), source, priority);
    let router = &mut host.router;
    // What a packet is worth shows in the outputs; here only whether the ladder let it through.
    let mut deliver = |packet: Packet, valid: bool| {
        let running = router.state() != State::Initialize;
        let result = router.handle_datagram(now, packet.datagram());
        assert_eq!(result.is_ok(), running && valid, "{input:?}: {result:?}");
    };
    match input {
        Input::Better => deliver(from("192.0.2.3", 200), true),
        Input::EqualGreater => deliver(from("192.0.2.6", 100), true),
        Input::EqualSmaller => deliver(from("192.0.2.4", 100), true),
        Input::Worse => deliver(from("192.0.2.6", 50), true),
        Input::ReleaseByMaster => deliver(from("192.0.2.9", 0), true),
        Input::ReleaseByStranger => deliver(from("192.0.2.8", 0), true),
        Input::Own => deliver(from("192.0.2.5", 200), false),
        Input::Invalid => {
            let mut packet = from("192.0.2.3", 200);
            *packet.bytes.last_mut().unwrap() ^= 1;
            deliver(packet, false);
        }
        Input::Startup => router.handle_startup(now),
        Input::Shutdown => router.handle_shutdown(now),
        Input::TimeoutDue => router.handle_timeout(router.poll_timeout().unwrap_or(now)),
        Input::TimeoutEarly => router.handle_timeout(now),
        Input::EffectDone => router.handle_effect(now, id, Ok(())),
        Input::EffectFails => router.handle_effect(now, id, Err(EffectFailed)),
        Input::EffectStale => router.handle_effect(now, EffectId::default(), Ok(())),
        Input::SendDone => router.handle_send(now, PathId::FIRST, Ok(())),
        Input::SendFails => router.handle_send(now, PathId::FIRST, Err(SendFailed)),
        Input::FaultAppears => router.handle_fault(now, Fault::NotReady),
        Input::FaultClears => router.handle_fault_cleared(now, Fault::LinkDown),
        Input::SourceLost => router.handle_source_address(now, PathId::FIRST, None),
        Input::SourceChanges => {
            router.handle_source_address(now, PathId::FIRST, Some(address("192.0.2.7")));
        }
        Input::PriorityChanges => router.handle_priority(now, Priority::new(120)),
        Input::ConfigChanges => {
            let addresses = vec![address("192.0.2.1"), address("192.0.2.2")];
            router.handle_config(now, subject().virtual_addresses(addresses)).unwrap();
        }
        Input::Overflow => router.handle_overflow(now),
        Input::AddressesLost => router.handle_addresses_lost(now),
        Input::Promoted => {
            answer_guard(host, now, Verdict::Promote);
        }
        Input::Vetoed => {
            let was_asked = answer_guard(host, now, Verdict::Veto);
            assert_eq!(host.router.statistics().promotions_vetoed, u64::from(was_asked));
        }
        Input::VerdictStale => {
            let deadline = router.poll_timeout();
            let mut asker = arrange(Situation::Asking).0;
            asker.step();
            asker.step();
            let Some(Output::AskPromotion { ticket, .. }) = asker.log.pop() else { panic!() };
            router.handle_verdict(now, ticket, Verdict::Promote);
            assert_eq!(router.poll_timeout(), deadline);
        }
    }
}

/// Whether there was a question.
fn answer_guard(host: &mut Host, now: Instant, verdict: Verdict) -> bool {
    let last = host.log.last().copied();
    if let Some(Output::AskPromotion { ticket, .. }) = last {
        host.router.handle_verdict(now, ticket, verdict);
    }
    last.is_some_and(|output| matches!(output, Output::AskPromotion { .. }))
}

fn name(output: Output) -> String {
    match output {
        Output::Send(send) => format!("send {}", send.priority),
        Output::SetAddresses { wanted: Wanted::All, .. } => "install".into(),
        Output::SetAddresses { wanted: Wanted::None, .. } => "remove".into(),
        Output::Announce => "announce".into(),
        Output::AskPromotion { .. } => "ask".into(),
        Output::StateChanged { to, .. } => format!("-> {to}"),
        Output::Contended { .. } => "contended".into(),
        Output::Conflict { .. } => "conflict".into(),
    }
}

#[test]
fn every_situation_answers_every_input() {
    for situation in SITUATIONS {
        for input in INPUTS {
            let (mut host, now, id) = arrange(situation);
            apply(&mut host, now, input, id);
            let outputs: Vec<String> =
                core::iter::from_fn(|| host.router.poll_output()).map(name).collect();
            let (state, expected) = expected(situation, input);
            assert_eq!(outputs, expected, "{situation:?}, {input:?}");
            assert_eq!(host.router.state(), state, "{situation:?}, {input:?}");
            // A1: a timer of the protocol runs in Backup and Master, and only there.
            let armed = host.router.poll_timeout().is_some();
            // Removing the addresses has its deadline.
            let removing = !host.router.is_released();
            assert_eq!(armed, state != State::Initialize || removing, "{situation:?}, {input:?}");
        }
    }
}

#[test]
fn a_discarded_packet_moves_no_timer_in_any_situation() {
    for situation in SITUATIONS {
        for input in [Input::Invalid, Input::Own] {
            let (mut host, now, id) = arrange(situation);
            let before = (host.router.poll_timeout(), host.router.state(), host.router.why(now));
            apply(&mut host, now, input, id);
            let after = (host.router.poll_timeout(), host.router.state(), host.router.why(now));
            assert_eq!(before, after, "{situation:?}, {input:?}");
            let cause = match (input, situation) {
                // A Backup has sent nothing that could come back.
                (Input::Own, Situation::Backup | Situation::Asking) => Counter::AddressConflict,
                (Input::Own, _) => Counter::OwnSource,
                _ => Counter::Checksum,
            };
            assert_eq!(host.router.statistics().discarded(cause), 1, "{situation:?}");
        }
    }
}

#[test]
fn the_owner_is_master_at_once() {
    let mut host = Host::started(config(255), "192.0.2.5");
    let log: Vec<String> = host.take_log().into_iter().map(name).collect();
    assert_eq!(log, ["send 255", "install", "-> master"]);
    assert_eq!(host.router.state(), State::Master);
}
