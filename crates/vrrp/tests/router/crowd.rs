//! Many virtual routers in one thread.

use std::collections::BTreeMap;

use vrrp::{VirtualRouter, Vrid};

use crate::support::{INTERVAL, PATIENCE, Pair, addresses, advertisement};

const CROWD: u8 = 50;

#[test]
fn fifty_virtual_routers_are_elected_and_handed_over_together() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let crowd = |priority| {
        (1..=CROWD).map(move |number| {
            VirtualRouter::new(format!("v{number}"), Vrid::new(number).unwrap(), "eth0")
                .priority(priority)
                .advertisement_interval(INTERVAL)
                .address(format!("198.51.100.{number}").parse().unwrap())
                .candidate(true)
        })
    };
    let held = |namespace| addresses(namespace).matches(" 198.51.100.").count();
    let wait_for = |namespace, number: usize| {
        lab::eventually(PATIENCE, || (held(namespace) == number).then_some(()))
            .unwrap_or_else(|| panic!("{} of {number}", held(namespace)));
    };
    let a = pair.a.run(|| pair.builder().virtual_routers(crowd(200)).start()).unwrap();
    let b = pair.b.run(|| pair.builder().virtual_routers(crowd(100)).start()).unwrap();
    wait_for(&pair.a, usize::from(CROWD));
    assert_eq!(held(&pair.b), 0);
    let wire = pair.capture();
    let mut heard: BTreeMap<u8, usize> = BTreeMap::new();
    while heard.values().filter(|times| **times >= 3).count() < usize::from(CROWD) {
        let seen = wire.find(advertisement).expect("advertisements of all");
        assert_eq!(seen.from, 1);
        *heard.entry(seen.vrid).or_default() += 1;
    }
    assert!(heard.values().all(|times| *times <= 6), "evenly: {heard:?}");
    a.shutdown().unwrap();
    assert_eq!(held(&pair.a), 0);
    wait_for(&pair.b, usize::from(CROWD));
    b.shutdown().unwrap();
    assert_eq!(held(&pair.b), 0);
}
