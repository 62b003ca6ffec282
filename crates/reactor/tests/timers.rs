//! `Timers` against a model: a plain list searched from end to end.

use proptest::prelude::*;
use reactor::Timers;

#[derive(Clone, Copy, Debug)]
enum Op {
    Set(u8, u64),
    Cancel(u8),
    PopDue(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0..40_u8, 0..50_u64).prop_map(|(key, at)| Op::Set(key, at)),
        2 => (0..40_u8).prop_map(Op::Cancel),
        2 => (0..50_u64).prop_map(Op::PopDue),
    ]
}

/// Keys in the order in which they were last set.
#[derive(Debug, Default)]
struct Model(Vec<(u8, u64)>);

impl Model {
    fn cancel(&mut self, key: u8) -> Option<u64> {
        let index = self.0.iter().position(|&(k, _)| k == key)?;
        Some(self.0.remove(index).1)
    }

    fn set(&mut self, key: u8, at: u64) -> Option<u64> {
        let old = self.cancel(key);
        self.0.push((key, at));
        old
    }

    fn next(&self) -> Option<(u8, u64)> {
        self.0.iter().copied().min_by_key(|&(_, at)| at) // the first of equal ones
    }

    fn pop_due(&mut self, now: u64) -> Option<(u8, u64)> {
        let (key, at) = self.next().filter(|&(_, at)| at <= now)?;
        self.cancel(key);
        Some((key, at))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn behaves_like_the_model(ops in proptest::collection::vec(op(), 0..200)) {
        let mut timers = Timers::<u8, u64>::new();
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Set(key, at) => prop_assert_eq!(timers.set(key, at), model.set(key, at)),
                Op::Cancel(key) => prop_assert_eq!(timers.cancel(&key), model.cancel(key)),
                Op::PopDue(now) => prop_assert_eq!(timers.pop_due(now), model.pop_due(now)),
            }
            prop_assert_eq!(timers.len(), model.0.len());
            prop_assert_eq!(timers.next_deadline(), model.next().map(|(_, at)| at));
            for key in 0..40 {
                let expected = model.0.iter().find(|&&(k, _)| k == key).map(|&(_, at)| at);
                prop_assert_eq!(timers.deadline(&key), expected);
            }
        }
        while let Some(expected) = model.pop_due(u64::MAX) {
            prop_assert_eq!(timers.pop_due(u64::MAX), Some(expected));
        }
        prop_assert!(timers.is_empty());
    }
}
