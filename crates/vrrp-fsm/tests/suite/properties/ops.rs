//! Random configurations and sequences of inputs.

use core::{num::NonZeroU8, time::Duration};

use proptest::prelude::*;
use vrrp_fsm::{
    AddressListPolicy, AddressesLostPolicy, Config, Fault, GuardConfig, OwnerReception, PathConfig,
    PeerConfig, ReleasePolicy, SendFailurePolicy, TrailerConfig, Verdict,
    vrrp_proto::{TrailerKey, Version},
};

use crate::host::{address, config};

pub(super) const OWN: &str = "192.0.2.5";
pub(super) const SOURCES: [&str; 4] = ["192.0.2.4", "192.0.2.6", "192.0.2.9", OWN];
/// The address a router has on a path.
pub(super) fn on_path(router: &'static str, path: usize) -> &'static str {
    const SECOND: [&str; 4] = ["10.9.9.7", "10.9.9.3", "10.9.9.1", "10.9.9.2"];
    let index = SOURCES.iter().position(|source| *source == router).unwrap();
    [router, SECOND[index]][path]
}

/// One path, or two to named peers.
pub(super) fn with_paths(config: Config, paths: usize) -> Config {
    let config = config.paths(vec![PathConfig::multicast(); paths]);
    let others = SOURCES.into_iter().filter(|source| paths > 1 && *source != OWN);
    let peer = |source| {
        PeerConfig::new(source, [0, 1].map(|path| address(on_path(source, path))).to_vec())
    };
    config.peers(others.map(peer).collect())
}

pub(super) const FAULTS: [Fault; 8] = Fault::ALL;

/// Which versions are spoken in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
    /// One or the other or both, and from one to the other while it runs.
    Any(Speech),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    V2,
    Both,
    V3,
}

impl Dialect {
    pub(super) fn speak(self, config: Config) -> Config {
        match self {
            Self::V2 | Self::Any(Speech::V2) => config.version(Version::V2).also_version_2(false),
            Self::V3 | Self::Any(Speech::V3) => config.version(Version::V3).also_version_2(false),
            Self::Any(Speech::Both) => config.version(Version::V3).also_version_2(true),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Op {
    Startup,
    Shutdown,
    /// Time passes, the deadlines on the way are served in time.
    AdvanceClock(Duration),
    /// Time passes while the process does not run.
    Pause(Duration),
    Timeout,
    Receive {
        source: usize,
        priority: u8,
        interval: Duration,
        defect: Defect,
        path: usize,
    },
    /// The latest one over the other path.
    Copy,
    AnswerEffect(bool),
    StaleEffect,
    Sending {
        path: usize,
        works: bool,
    },
    Fault(usize),
    FaultCleared(usize),
    Source {
        path: usize,
        present: bool,
    },
    Priority(u8),
    Reconfigure {
        priority: u8,
        interval: Duration,
        addresses: u8,
        guard: Option<GuardConfig>,
        dialect: Dialect,
        paths: usize,
    },
    TimeoutInBacklog,
    MacChanged,
    Overflow,
    AddressesLost,
    /// By the latest ticket.
    Verdict(Verdict),
    /// By the one before.
    StaleVerdict(Verdict),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    Checksum,
    HopLimit,
    Vrid,
    Truncated,
    Version,
    /// Not a defect in version 3, and by policy not here: another address list.
    Addresses,
    /// Not a defect without trailers: none.
    Unsigned,
    /// Not a defect without trailers: one made with a key that is unknown here.
    Key,
}

/// The key of this number.
pub(super) fn trailer(id: u8) -> TrailerConfig {
    TrailerConfig::new(TrailerKey::new(id, &[id; 32]).unwrap())
}

pub(super) fn interval(dialect: Dialect) -> BoxedStrategy<Duration> {
    match dialect {
        Dialect::V2 | Dialect::Any(_) => (1..4_u64).prop_map(Duration::from_secs).boxed(),
        Dialect::V3 => prop_oneof![Just(1), Just(10), 1..300_u64]
            .prop_map(|centiseconds| Duration::from_millis(10 * centiseconds))
            .boxed(),
    }
}

fn speech() -> impl Strategy<Value = Speech> {
    prop_oneof![1 => Just(Speech::V2), 3 => Just(Speech::Both), 1 => Just(Speech::V3)]
}

pub(super) fn priority() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 1..=254_u8, 1 => Just(100), 1 => Just(255)]
}

pub(super) fn op(dialect: Dialect) -> impl Strategy<Value = Op> {
    let defect = prop_oneof![
        8 => Just(Defect::None),
        1 => Just(Defect::Checksum),
        1 => Just(Defect::HopLimit),
        1 => Just(Defect::Vrid),
        1 => Just(Defect::Truncated),
        1 => Just(Defect::Version),
        1 => Just(Defect::Addresses),
        1 => Just(Defect::Unsigned),
        1 => Just(Defect::Key),
    ];
    let received = (
        0..SOURCES.len(),
        prop_oneof![5 => priority(), 1 => Just(0)],
        interval(dialect),
        defect,
        path(),
    )
        .prop_map(|(source, priority, interval, defect, path)| Op::Receive {
            source,
            priority,
            interval,
            defect,
            path,
        });
    let milliseconds = |range: core::ops::Range<u64>| range.prop_map(Duration::from_millis);
    prop_oneof![
        4 => Just(Op::Startup),
        1 => Just(Op::Shutdown),
        6 => milliseconds(0..300).prop_map(Op::AdvanceClock),
        2 => milliseconds(0..8_000).prop_map(Op::AdvanceClock),
        2 => milliseconds(0..8_000).prop_map(Op::Pause),
        4 => Just(Op::Timeout),
        12 => received,
        2 => Just(Op::Copy),
        6 => prop_oneof![4 => Just(true), 1 => Just(false)].prop_map(Op::AnswerEffect),
        1 => Just(Op::StaleEffect),
        2 => (path(), any::<bool>()).prop_map(|(path, works)| Op::Sending { path, works }),
        1 => (0..FAULTS.len()).prop_map(Op::Fault),
        3 => (0..FAULTS.len()).prop_map(Op::FaultCleared),
        2 => (path(), prop_oneof![3 => Just(true), 1 => Just(false)])
            .prop_map(|(path, present)| Op::Source { path, present }),
        1 => any::<u8>().prop_map(Op::Priority),
        1 => (priority(), interval(dialect), 1..4_u8, guard(), speech(), 1..3_usize).prop_map(
            move |(priority, interval, addresses, guard, speech, paths)| {
                let dialect = match dialect {
                    Dialect::Any(_) => Dialect::Any(speech),
                    other => other,
                };
                Op::Reconfigure { priority, interval, addresses, guard, dialect, paths }
            },
        ),
        1 => Just(Op::TimeoutInBacklog),
        1 => Just(Op::MacChanged),
        1 => Just(Op::Overflow),
        1 => Just(Op::AddressesLost),
        3 => verdict().prop_map(Op::Verdict),
        1 => verdict().prop_map(Op::StaleVerdict),
    ]
}

fn path() -> impl Strategy<Value = usize> {
    0..2_usize
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Promote), Just(Verdict::Veto)]
}

fn guard() -> impl Strategy<Value = Option<GuardConfig>> {
    let guard = (1..400_u64, verdict(), proptest::option::of(1..4_u8)).prop_map(
        |(milliseconds, default_verdict, max_vetoes)| {
            GuardConfig::new(Duration::from_millis(milliseconds), default_verdict)
                .max_vetoes(max_vetoes.and_then(NonZeroU8::new))
        },
    );
    proptest::option::of(guard)
}

/// The owner has none.
pub(super) fn with_guard(config: Config, guard: Option<GuardConfig>) -> Config {
    let guard = guard.filter(|_| !config.priority.is_owner());
    config.guard(guard)
}

fn delay() -> impl Strategy<Value = Duration> {
    prop_oneof![3 => Just(0), 1 => 1..5_000_u64].prop_map(Duration::from_millis)
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![
        1 => Just(Dialect::V2),
        2 => Just(Dialect::V3),
        2 => speech().prop_map(Dialect::Any),
    ]
}

pub(super) fn arbitrary_config(dialect: Dialect) -> impl Strategy<Value = Config> {
    let policies = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let modes = (any::<bool>(), any::<bool>(), delay(), delay());
    let reception = prop_oneof![
        Just(OwnerReception::ByVersion),
        Just(OwnerReception::Always),
        Just(OwnerReception::Never)
    ];
    let refresh = prop_oneof![2 => Just(None), 1 => (1..5_u64).prop_map(Some)];
    let trailer = prop_oneof![3 => Just(None), 1 => Just(Some(trailer(1)))];
    let guard = (guard(), 1..3_usize);
    let extras = (any::<bool>(), any::<bool>(), reception, refresh, 1..30_u64, guard, trailer);
    (priority(), interval(dialect), modes, policies, 1..6_u8, extras).prop_map(
        move |(
            priority,
            interval,
            (preempt, answer, preempt_delay, start_delay),
            (anyone, late, keep, step_down),
            missed,
            (at_once, say_so, reception, refresh, deadline, (guard, paths), trailer),
        )| {
            let config = dialect
                .speak(config(priority))
                .preempt_delay(preempt_delay)
                .start_delay(start_delay)
                .advertisement_interval(interval)
                .preempt_mode(preempt)
                .immediate_answer(answer)
                .missed_advertisements(missed)
                .late_wake_rule(late)
                .owner_skips_backup(at_once)
                .owner_reception(reception)
                .advertise_before_yielding(say_so)
                .announce_refresh(refresh.map(Duration::from_secs))
                .effect_deadline(Duration::from_secs(deadline))
                .address_list_mismatch(AddressListPolicy::Count)
                .trailer(trailer)
                .release_from(if anyone {
                    ReleasePolicy::Anyone
                } else {
                    ReleasePolicy::RecordedMaster
                })
                .send_failure(if keep {
                    SendFailurePolicy::Keep
                } else {
                    SendFailurePolicy::Release
                })
                .addresses_lost(if step_down {
                    AddressesLostPolicy::StepDown
                } else {
                    AddressesLostPolicy::Reinstall
                });
            with_guard(with_paths(config, paths), guard)
        },
    )
}

pub(super) fn scenario() -> impl Strategy<Value = (Config, Vec<Op>)> {
    dialect().prop_flat_map(|dialect| {
        (arbitrary_config(dialect), proptest::collection::vec(op(dialect), 1..80))
    })
}
