//! The invariants of a sync group and its members after every step, which are those of `vrrp-fsm`'s own tests.
#![no_main]

#[path = "../../crates/vrrp-fsm/tests/suite/host.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod host;

#[path = "."]
#[allow(dead_code, unused_imports, reason = "the tests use more of it")]
mod sync_group {
    #[path = "../../crates/vrrp-fsm/tests/suite/sync_group/ensemble.rs"]
    mod ensemble;
    #[path = "../../crates/vrrp-fsm/tests/suite/sync_group/properties.rs"]
    mod properties;

    use std::{num::NonZeroU8, time::Duration};

    use libfuzzer_sys::arbitrary::{Result, Unstructured};
    use vrrp_fsm::{AddressesLostPolicy, Config, Fault, GuardConfig, Verdict};

    use self::properties::Op;
    use crate::host::{Effects, SECOND, at, config};

    /// As many steps as there are octets for, and then the recovery.
    pub(crate) fn agrees(choice: &mut Unstructured<'_>) -> Result<()> {
        let count = choice.int_in_range(1..=3)?;
        let configs = (0..count).map(|_| member(choice)).collect::<Result<_>>()?;
        let guard = guard(choice)?;
        let mut ops = Vec::new();
        while ops.len() < 100 && !choice.is_empty() {
            ops.push((choice.int_in_range(0..=2)?, op(choice)?));
        }
        properties::observe(configs, guard, &ops);
        Ok(())
    }

    fn member(choice: &mut Unstructured<'_>) -> Result<Config> {
        let mut delay = || {
            let long = choice.ratio(1, 4)?;
            Ok(if long { milliseconds(choice, 4_000)? } else { Duration::ZERO })
        };
        let (preempt_delay, start_delay) = (delay()?, delay()?);
        let [preempt, late, step_down]: [bool; 3] = choice.arbitrary()?;
        let lost = [AddressesLostPolicy::Reinstall, AddressesLostPolicy::StepDown];
        Ok(config(choice.int_in_range(1..=255)?)
            .preempt_mode(preempt)
            .preempt_delay(preempt_delay)
            .start_delay(start_delay)
            .late_wake_rule(late)
            .addresses_lost(lost[usize::from(step_down)]))
    }

    fn op(choice: &mut Unstructured<'_>) -> Result<Op> {
        let faults =
            [Fault::LinkDown, Fault::Tracker, Fault::CannotAdvertise, Fault::AddressesFailed];
        Ok(match choice.int_in_range(0..=20)? {
            0 => Op::Startup,
            1 => Op::Shutdown,
            2 => Op::Fault(*choice.choose(&faults)?),
            3 | 4 => Op::FaultCleared(*choice.choose(&faults)?),
            5 | 6 => Op::Receive { source: choice.choose_index(2)?, priority: choice.arbitrary()? },
            7 => Op::Effects(*choice.choose(&[Effects::Succeed, Effects::Fail, Effects::Wait])?),
            8 | 9 => Op::Answer(!choice.ratio(1, 4)?),
            10 => Op::Sending(!choice.ratio(1, 4)?),
            11 => Op::Priority(choice.arbitrary()?),
            12 => Op::Overflow,
            13 => Op::AddressesLost,
            14 | 15 => Op::Run(milliseconds(choice, 9_000)?),
            16 => Op::Pause(milliseconds(choice, 9_000)?),
            17 | 18 => Op::Verdict(verdict(choice)?),
            _ => Op::Timeout,
        })
    }

    fn guard(choice: &mut Unstructured<'_>) -> Result<Option<GuardConfig>> {
        if choice.arbitrary()? {
            return Ok(None);
        }
        let deadline = milliseconds(choice, 2_000)? + Duration::from_millis(1);
        let max_vetoes = NonZeroU8::new(choice.int_in_range(0..=2)?);
        Ok(Some(GuardConfig::new(deadline, verdict(choice)?).max_vetoes(max_vetoes)))
    }

    fn verdict(choice: &mut Unstructured<'_>) -> Result<Verdict> {
        Ok(if choice.arbitrary()? { Verdict::Promote } else { Verdict::Veto })
    }

    fn milliseconds(choice: &mut Unstructured<'_>, below: u64) -> Result<Duration> {
        Ok(Duration::from_millis(choice.int_in_range(0..=below - 1)?))
    }
}

use libfuzzer_sys::{arbitrary::Unstructured, fuzz_target};

fuzz_target!(|octets: &[u8]| {
    let _end_of_the_octets = sync_group::agrees(&mut Unstructured::new(octets));
});
