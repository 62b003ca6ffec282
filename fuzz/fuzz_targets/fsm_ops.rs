//! The invariants of one virtual router after every step, which are those of `vrrp-fsm`'s own tests.
#![no_main]

#[path = "../../crates/vrrp-fsm/tests/suite/host.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod host;

#[path = "."]
#[allow(dead_code, reason = "the tests use more of it")]
mod properties {
    #[path = "../../crates/vrrp-fsm/tests/suite/properties/observer.rs"]
    mod observer;
    #[path = "../../crates/vrrp-fsm/tests/suite/properties/ops.rs"]
    mod ops;

    use std::{num::NonZeroU8, time::Duration};

    use libfuzzer_sys::arbitrary::{Result, Unstructured};
    use vrrp_fsm::{
        AddressListPolicy, AddressesLostPolicy, Config, GuardConfig, OwnerReception, ReleasePolicy,
        SendFailurePolicy, Verdict,
    };

    use self::{
        observer::Observer,
        ops::{Defect, Dialect, FAULTS, Op, SOURCES, Speech, with_guard, with_paths},
    };
    use crate::host::config;

    /// As many steps as there are octets for.
    pub(crate) fn hold(choice: &mut Unstructured<'_>) -> Result<()> {
        let dialect = dialect(choice)?;
        let config = configuration(choice, dialect)?;
        let mut observer = Observer::new(config);
        for _ in 0..200 {
            let op = op(choice, dialect)?;
            observer.apply(&op);
        }
        Ok(())
    }

    fn dialect(choice: &mut Unstructured<'_>) -> Result<Dialect> {
        Ok(match choice.int_in_range(0..=4)? {
            0 => Dialect::V2,
            1 | 2 => Dialect::V3,
            _ => Dialect::Any(speech(choice)?),
        })
    }

    fn speech(choice: &mut Unstructured<'_>) -> Result<Speech> {
        Ok(match choice.int_in_range(0..=4)? {
            0 => Speech::V2,
            1 => Speech::V3,
            _ => Speech::Both,
        })
    }

    fn configuration(choice: &mut Unstructured<'_>, dialect: Dialect) -> Result<Config> {
        let mut delay = || {
            let long = choice.ratio(1, 4)?;
            Ok(if long { milliseconds(choice, 5_000)? } else { Duration::ZERO })
        };
        let (preempt_delay, start_delay) = (delay()?, delay()?);
        let [preempt, answer, late, anyone, keep, step_down]: [bool; 6] = choice.arbitrary()?;
        let (released, recorded) = (ReleasePolicy::Anyone, ReleasePolicy::RecordedMaster);
        let (kept, left) = (SendFailurePolicy::Keep, SendFailurePolicy::Release);
        let (lost, reinstalled) = (AddressesLostPolicy::StepDown, AddressesLostPolicy::Reinstall);
        let guard = guard(choice)?;
        let [at_once, say_so, refreshes]: [bool; 3] = choice.arbitrary()?;
        let seconds = Duration::from_secs(choice.int_in_range(1..=30)?);
        let reception = match choice.int_in_range(0..=2)? {
            0 => OwnerReception::ByVersion,
            1 => OwnerReception::Always,
            _ => OwnerReception::Never,
        };
        let config = dialect
            .speak(config(choice.int_in_range(1..=255)?))
            .advertisement_interval(interval(choice, dialect)?)
            .owner_skips_backup(at_once)
            .owner_reception(reception)
            .advertise_before_yielding(say_so)
            .announce_refresh(refreshes.then_some(seconds))
            .effect_deadline(seconds)
            .preempt_delay(preempt_delay)
            .start_delay(start_delay)
            .preempt_mode(preempt)
            .immediate_answer(answer)
            .missed_advertisements(choice.int_in_range(1..=5)?)
            .late_wake_rule(late)
            .address_list_mismatch(AddressListPolicy::Count)
            .release_from(if anyone { released } else { recorded })
            .send_failure(if keep { kept } else { left })
            .addresses_lost(if step_down { lost } else { reinstalled });
        let paths = choice.int_in_range(1..=2)?;
        Ok(with_guard(with_paths(config, paths), guard))
    }

    fn op(choice: &mut Unstructured<'_>, dialect: Dialect) -> Result<Op> {
        Ok(match choice.int_in_range(0..=30)? {
            0 => Op::Startup,
            1 => Op::Shutdown,
            2 | 3 => Op::AdvanceClock(milliseconds(choice, 300)?),
            4 => Op::AdvanceClock(milliseconds(choice, 8_000)?),
            5 => Op::Pause(milliseconds(choice, 8_000)?),
            6 | 7 => Op::Timeout,
            8..=11 => Op::Receive {
                source: choice.choose_index(SOURCES.len())?,
                priority: choice.arbitrary()?,
                interval: interval(choice, dialect)?,
                defect: defect(choice)?,
                path: path(choice)?,
            },
            12 | 13 => Op::AnswerEffect(!choice.ratio(1, 4)?),
            14 => Op::StaleEffect,
            15 => Op::Sending { path: path(choice)?, works: choice.arbitrary()? },
            16 => Op::Fault(choice.choose_index(FAULTS.len())?),
            17 | 18 => Op::FaultCleared(choice.choose_index(FAULTS.len())?),
            19 => Op::Source { path: path(choice)?, present: choice.arbitrary()? },
            20 => Op::Priority(choice.arbitrary()?),
            21 => Op::Reconfigure {
                priority: choice.int_in_range(1..=255)?,
                interval: interval(choice, dialect)?,
                addresses: choice.int_in_range(1..=3)?,
                guard: guard(choice)?,
                dialect: match dialect {
                    Dialect::Any(_) => Dialect::Any(speech(choice)?),
                    other => other,
                },
                paths: choice.int_in_range(1..=2)?,
            },
            22 => Op::Overflow,
            23 | 24 => Op::Verdict(verdict(choice)?),
            25 => Op::StaleVerdict(verdict(choice)?),
            26 => Op::TimeoutInBacklog,
            27 => Op::MacChanged,
            28 | 29 => Op::Copy,
            _ => Op::AddressesLost,
        })
    }

    fn path(choice: &mut Unstructured<'_>) -> Result<usize> {
        choice.int_in_range(0..=1)
    }

    fn guard(choice: &mut Unstructured<'_>) -> Result<Option<GuardConfig>> {
        if choice.arbitrary()? {
            return Ok(None);
        }
        let deadline = milliseconds(choice, 400)? + Duration::from_millis(1);
        let max_vetoes = NonZeroU8::new(choice.int_in_range(0..=3)?);
        Ok(Some(GuardConfig::new(deadline, verdict(choice)?).max_vetoes(max_vetoes)))
    }

    fn verdict(choice: &mut Unstructured<'_>) -> Result<Verdict> {
        Ok(if choice.arbitrary()? { Verdict::Promote } else { Verdict::Veto })
    }

    fn defect(choice: &mut Unstructured<'_>) -> Result<Defect> {
        Ok(match choice.int_in_range(0..=13)? {
            0 => Defect::Checksum,
            1 => Defect::HopLimit,
            2 => Defect::Vrid,
            3 => Defect::Truncated,
            4 => Defect::Version,
            5 => Defect::Addresses,
            _ => Defect::None,
        })
    }

    fn interval(choice: &mut Unstructured<'_>, dialect: Dialect) -> Result<Duration> {
        Ok(match dialect {
            Dialect::V2 | Dialect::Any(_) => Duration::from_secs(choice.int_in_range(1..=3)?),
            Dialect::V3 => Duration::from_millis(10 * choice.int_in_range(1..=299)?),
        })
    }

    fn milliseconds(choice: &mut Unstructured<'_>, below: u64) -> Result<Duration> {
        Ok(Duration::from_millis(choice.int_in_range(0..=below - 1)?))
    }
}

use libfuzzer_sys::{arbitrary::Unstructured, fuzz_target};

fuzz_target!(|octets: &[u8]| {
    let _end_of_the_octets = properties::hold(&mut Unstructured::new(octets));
});
