//! What holds in every state and on every network, after any sequence of inputs.

mod observer;
mod ops;

use core::cell::RefCell;
use std::collections::BTreeMap;

use proptest::{prelude::ProptestConfig, test_runner::TestRunner};
use vrrp_fsm::VirtualRouter;

use self::{observer::Observer, ops::scenario};

/// How often what happened: a campaign in which something never happens proves nothing about it.
#[derive(Debug, Default)]
struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn count(&mut self, event: impl Into<String>) {
        *self.0.entry(event.into()).or_default() += 1;
    }

    fn add(&mut self, router: &VirtualRouter) {
        let statistics = router.statistics();
        let entry = |tally: &mut Self, name: &str, number| {
            *tally.0.entry(name.into()).or_default() += number;
        };
        for (cause, number) in statistics.discards() {
            entry(self, cause.name(), number);
        }
        entry(self, "priority zero ignored", statistics.priority_zero_ignored);
        entry(self, "losing received", statistics.losing_received);
        entry(self, "interval noted", statistics.interval_noted);
        entry(self, "address list noted", statistics.address_list_noted);
        entry(self, "send failures", statistics.send_failures);
        entry(self, "effect failures", statistics.effect_failures);
        entry(self, "effects unanswered", statistics.effects_unanswered);
        entry(self, "addresses lost", statistics.addresses_lost);
        entry(self, "copies received", statistics.copies_received);
        entry(self, "late wakes", statistics.late_wakes);
        entry(self, "promotions vetoed", statistics.promotions_vetoed);
        entry(self, "verdicts missed", statistics.verdicts_missed);
    }
}

#[test]
fn the_invariants_hold_after_every_step() {
    let tally = RefCell::new(Tally::default());
    let source_file = Some(file!());
    let defaults = ProptestConfig::default();
    // 1,024, or four times what `PROPTEST_CASES` asks for.
    let config = ProptestConfig { cases: defaults.cases * 4, source_file, ..defaults };
    let outcome = TestRunner::new(config).run(&scenario(), |(config, ops)| {
        let mut observer = Observer::new(config);
        for op in &ops {
            observer.apply(op);
        }
        let mut tally = tally.borrow_mut();
        for event in &observer.events {
            tally.count(*event);
        }
        tally.add(&observer.router);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let tally = tally.into_inner();
    println!("{tally:#?}");
    for event in [
        "send",
        "release",
        "install",
        "remove",
        "announce",
        "ask",
        "contended",
        "address conflict",
        "owner conflict",
        "to initialize",
        "to backup",
        "to master",
    ] {
        assert!(tally.0.contains_key(event), "{event} never happened");
    }
    // What a router that is alone with these inputs cannot meet.
    let impossible = [
        "not-vrrp",
        "destination-errors",
        "invalid-type-pkts-rcvd",
        "invalid-auth-type",
        "address-list-errors",
    ];
    for (event, number) in &tally.0 {
        let possible = !impossible.contains(&event.as_str());
        assert_eq!(*number > 0, possible, "{event} happened {number} times");
    }
}
