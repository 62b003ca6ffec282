//! What holds for every group, after any sequence of inputs of its members.

use core::{cell::RefCell, num::NonZeroU8, time::Duration};
use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestRunner};
use vrrp_fsm::{
    AddressesLostPolicy, Config, EffectFailed, Fault, GuardConfig, Instant, Reason, SendFailed,
    State, SyncGroup, Verdict, VirtualRouter, Why, vrrp_proto::Priority,
};

use super::{SECOND, at, ensemble::Ensemble};
use crate::host::{Effects, Host, Packet, advertisement, config};

#[derive(Debug, Clone)]
pub(super) enum Op {
    Startup,
    Shutdown,
    Fault(Fault),
    FaultCleared(Fault),
    Receive {
        source: usize,
        priority: u8,
    },
    Effects(Effects),
    Answer(bool),
    Sending(bool),
    Priority(u8),
    Overflow,
    AddressesLost,
    /// Time passes for all, the deadlines on the way are served in time.
    Run(Duration),
    /// Time passes for all while the process does not run.
    Pause(Duration),
    Timeout,
    Verdict(Verdict),
}

const SOURCES: [&str; 2] = ["192.0.2.4", "192.0.2.9"];

fn op() -> impl Strategy<Value = Op> {
    let fault = prop_oneof![
        Just(Fault::LinkDown),
        Just(Fault::Tracker),
        Just(Fault::CannotAdvertise),
        Just(Fault::AddressesFailed),
    ];
    let effects = prop_oneof![3 => Just(Effects::Succeed), 1 => Just(Effects::Fail), 1 => Just(Effects::Wait)];
    let milliseconds = |range: core::ops::Range<u64>| range.prop_map(Duration::from_millis);
    prop_oneof![
        3 => Just(Op::Startup),
        1 => Just(Op::Shutdown),
        1 => fault.clone().prop_map(Op::Fault),
        3 => fault.prop_map(Op::FaultCleared),
        4 => (0..2_usize, prop_oneof![Just(0), 1..=255_u8])
            .prop_map(|(source, priority)| Op::Receive { source, priority }),
        2 => effects.prop_map(Op::Effects),
        3 => prop_oneof![3 => Just(true), 1 => Just(false)].prop_map(Op::Answer),
        2 => prop_oneof![3 => Just(true), 1 => Just(false)].prop_map(Op::Sending),
        1 => any::<u8>().prop_map(Op::Priority),
        1 => Just(Op::Overflow),
        1 => Just(Op::AddressesLost),
        3 => prop_oneof![Just(Verdict::Promote), Just(Verdict::Veto)].prop_map(Op::Verdict),
        6 => milliseconds(0..9_000).prop_map(Op::Run),
        1 => milliseconds(0..9_000).prop_map(Op::Pause),
        2 => Just(Op::Timeout),
    ]
}

fn member() -> impl Strategy<Value = Config> {
    let priority = prop_oneof![4 => 1..=254_u8, 1 => Just(255)];
    let delay = || prop_oneof![3 => Just(0), 1 => 1..4_000_u64].prop_map(Duration::from_millis);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (priority, delay(), delay(), flags).prop_map(
        |(priority, preempt_delay, start_delay, (preempt, late, step_down))| {
            let lost = [AddressesLostPolicy::Reinstall, AddressesLostPolicy::StepDown];
            config(priority)
                .preempt_mode(preempt)
                .preempt_delay(preempt_delay)
                .start_delay(start_delay)
                .late_wake_rule(late)
                .addresses_lost(lost[usize::from(step_down)])
        },
    )
}

struct Observed {
    ensemble: Ensemble,
    now: Instant,
    /// The last advertisement of each member's link that is no reason to become Master.
    better: Vec<Option<Instant>>,
    guard: Option<GuardConfig>,
    /// Whether the guard has just spoken, or its deadline.
    is_verdict: bool,
}

impl Observed {
    fn input(
        &mut self,
        member: usize,
        now: Instant,
        input: impl FnOnce(&mut Ensemble, usize, Instant),
    ) {
        let before = self.ensemble.states();
        input(&mut self.ensemble, member, now);
        self.check(&before);
        self.forget_if_stopped();
    }

    fn apply(&mut self, member: usize, op: &Op) {
        let (now, member) = (self.now, member % self.ensemble.hosts.len());
        match op {
            Op::Run(duration) => {
                let until = now + *duration;
                while self.serve_next(Some(until)) {}
                self.now = until;
            }
            Op::Pause(duration) => self.now += *duration,
            Op::Timeout => self.timeout(member),
            Op::Verdict(verdict) => {
                if let [.., ticket] = self.ensemble.questions[..] {
                    self.of_group(|ensemble, now| ensemble.verdict(now, ticket, *verdict));
                }
            }
            Op::Receive { source, priority } => self.receive(member, *source, *priority),
            Op::Answer(success) => {
                if self.ensemble.hosts[member].pending.is_some() {
                    let result = if *success { Ok(()) } else { Err(EffectFailed) };
                    self.input(member, now, |ensemble, member, now| {
                        ensemble.hosts[member].answer(now, result);
                        ensemble.settle(member, now);
                    });
                }
            }
            Op::Effects(effects) => self.ensemble.hosts[member].effects = *effects,
            Op::Sending(works) => {
                self.ensemble.hosts[member].sending = if *works { Ok(()) } else { Err(SendFailed) };
            }
            Op::Startup => self.on(member, VirtualRouter::handle_startup),
            Op::Shutdown => self.on(member, VirtualRouter::handle_shutdown),
            Op::Fault(fault) => self.on(member, |router, now| router.handle_fault(now, *fault)),
            Op::FaultCleared(fault) => {
                self.on(member, |router, now| router.handle_fault_cleared(now, *fault));
            }
            Op::Priority(priority) => {
                let priority = Priority::new(*priority);
                self.on(member, |router, now| router.handle_priority(now, priority));
            }
            Op::Overflow => self.on(member, VirtualRouter::handle_overflow),
            Op::AddressesLost => self.on(member, VirtualRouter::handle_addresses_lost),
        }
    }

    fn on(&mut self, member: usize, input: impl FnOnce(&mut VirtualRouter, Instant)) {
        let now = self.now;
        self.input(member, now, |ensemble, member, now| ensemble.on(member, now, input));
    }

    /// An input of the group itself.
    fn of_group(&mut self, input: impl FnOnce(&mut Ensemble, Instant)) {
        let before = self.ensemble.states();
        self.is_verdict = true;
        input(&mut self.ensemble, self.now);
        self.check(&before);
        self.forget_if_stopped();
        self.is_verdict = false;
    }

    /// Serves the next deadline up to and including `until`; whether there was one.
    fn serve_next(&mut self, until: Option<Instant>) -> bool {
        let member = self.ensemble.next();
        let group = self.ensemble.group.poll_timeout();
        let next = member.map(|(at, _)| at).into_iter().chain(group).min();
        let Some(next) = next.filter(|next| until.is_none_or(|until| *next <= until)) else {
            return false;
        };
        self.now = self.now.max(next);
        match member {
            Some((at, member)) if at == next => self.timeout(member),
            _ => self.of_group(|ensemble, now| {
                ensemble.group.handle_timeout(now);
                ensemble.obey(now);
            }),
        }
        true
    }

    fn timeout(&mut self, member: usize) {
        self.on(member, VirtualRouter::handle_timeout);
    }

    fn receive(&mut self, member: usize, source: usize, priority: u8) {
        let packet: Packet = advertisement(config(100), SOURCES[source], priority);
        let router = &self.ensemble.hosts[member].router;
        if priority >= router.priority().get() && router.state() == State::Backup {
            self.better[member] = Some(self.now);
        } else if priority == 0 {
            self.better[member] = None;
        }
        let now = self.now;
        self.input(member, now, |ensemble, member, now| ensemble.receive(member, now, &packet));
    }

    /// Who starts again begins anew, and the owner is Master at once (RFC 9568 §6.4.1).
    fn forget_if_stopped(&mut self) {
        if self.ensemble.states()[0] == State::Initialize {
            self.better.fill(None);
        }
    }

    /// At rest all members are in one state, and it is the right one.
    fn check(&self, before: &[State]) {
        let states = self.ensemble.states();
        let standings: Vec<_> =
            self.ensemble.hosts.iter().map(|host| host.router.standing()).collect();
        let first = states[0];
        assert!(states.iter().all(|state| *state == first), "{before:?} -> {standings:#?}");
        let unable = standings.iter().any(|standing| !standing.able);
        assert_eq!(unable, first == State::Initialize, "{before:?} -> {standings:#?}");
        assert_eq!(unable, standings.iter().any(|standing| standing.held));
        assert_eq!(self.ensemble.unable().is_empty(), !unable);
        for host in &self.ensemble.hosts {
            assert_eq!(host.router.statistics().outputs_lost, 0);
        }
        if first == State::Master && before[0] != State::Master {
            for better in self.better.iter().flatten() {
                let age = self.now.saturating_duration_since(*better);
                assert!(age >= SECOND * 3, "{age:?} after a better advertisement");
            }
        }
        let asking = standings.iter().filter(|standing| standing.asking).count();
        let waits = self.ensemble.group.poll_timeout().is_some();
        assert_eq!(asking == states.len(), waits, "all are asking, and nobody hears it");
        if first == State::Master && before[0] == State::Backup && !self.is_verdict {
            self.check_promotion();
        }
    }

    /// A member's input has promoted all: then nobody had to be asked.
    fn check_promotion(&self) {
        let is_silent = |host: &Host| {
            let owner = host.router.priority().is_owner();
            !owner
                && matches!(
                    host.router.why(self.now),
                    Why::Installing { reason: Reason::MasterSilent, .. }
                        | Why::Serving { reason: Reason::MasterSilent, .. }
                )
        };
        let guarded = self.guard.is_some_and(|guard| guard.max_vetoes.is_none());
        assert!(!guarded || !self.ensemble.hosts.iter().any(is_silent));
    }

    /// Whatever has happened: when everything works and nobody else is there, all become Master.
    fn check_recovery(&mut self) {
        for member in 0..self.ensemble.hosts.len() {
            let host = &mut self.ensemble.hosts[member];
            (host.effects, host.sending) = (Effects::Succeed, Ok(()));
            self.apply(member, &Op::Startup);
            self.apply(member, &Op::Answer(true));
            for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::SyncGroup) {
                self.apply(member, &Op::FaultCleared(fault));
            }
        }
        for _ in 0..2_000 {
            let reported = self.ensemble.group.reported_state();
            if self.ensemble.states()[0] == State::Master && reported == State::Master {
                assert!(self.ensemble.hosts.iter().all(|host| host.installed));
                return;
            }
            self.apply(0, &Op::Verdict(Verdict::Promote));
            assert!(self.serve_next(None), "no timer");
        }
        panic!("{:?} {:#?}", self.now, self.ensemble.group);
    }
}

pub(super) fn guard() -> impl Strategy<Value = Option<GuardConfig>> {
    let verdict = prop_oneof![Just(Verdict::Promote), Just(Verdict::Veto)];
    let guard = (1..2_000_u64, verdict, 0..3_u8).prop_map(|(milliseconds, default, vetoes)| {
        GuardConfig::new(Duration::from_millis(milliseconds), default)
            .max_vetoes(NonZeroU8::new(vetoes))
    });
    proptest::option::of(guard)
}

/// Members, their guard, and what happens to them.
fn scenario() -> impl Strategy<Value = (Vec<Config>, Option<GuardConfig>, Vec<(usize, Op)>)> {
    (
        proptest::collection::vec(member(), 1..4),
        guard(),
        proptest::collection::vec((0..3_usize, op()), 1..100),
    )
}

/// Runs a scenario, checks after every step, and returns what is left in the end.
pub(super) fn observe(
    configs: Vec<Config>,
    guard: Option<GuardConfig>,
    ops: &[(usize, Op)],
) -> Ensemble {
    let better = vec![None; configs.len()];
    let members = configs.len();
    let mut ensemble = Ensemble::new(configs);
    if let Some(guard) = guard {
        ensemble.group = SyncGroup::new(members).unwrap().guard(guard).unwrap();
    }
    for member in 0..members {
        ensemble.on(member, at(0), VirtualRouter::handle_startup);
    }
    let mut observed = Observed { ensemble, now: at(0), better, guard, is_verdict: false };
    for (member, op) in ops {
        observed.apply(*member, op);
    }
    observed.check_recovery();
    observed.ensemble
}

#[test]
fn the_members_of_a_group_are_in_one_state() {
    let tally = RefCell::new(BTreeMap::<String, u64>::new());
    let source_file = Some(file!());
    let defaults = ProptestConfig::default();
    let cases = ProptestConfig { cases: defaults.cases * 2, source_file, ..defaults };
    let outcome = TestRunner::new(cases).run(&scenario(), |(configs, guard, ops)| {
        let ensemble = observe(configs, guard, &ops);
        let mut tally = tally.borrow_mut();
        for (from, to) in &ensemble.reports {
            *tally.entry(format!("{from} -> {to}")).or_default() += 1;
        }
        *tally.entry("commands".into()).or_default() += ensemble.commands;
        for host in &ensemble.hosts {
            let vetoed = host.router.statistics().promotions_vetoed;
            *tally.entry("vetoed".into()).or_default() += vetoed;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let tally = tally.into_inner();
    println!("{tally:#?}");
    for change in [
        "initialize -> backup",
        "backup -> master",
        "master -> initialize",
        "master -> backup",
        "backup -> initialize",
    ] {
        assert!(tally.contains_key(change), "{change} never happened");
    }
    assert!(tally["vetoed"] > 0);
}
