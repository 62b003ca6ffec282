use proptest::prelude::*;

use super::*;

fn object(text: &str) -> Object {
    text.parse().unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn present(text: &str) -> PresentAddress {
    PresentAddress {
        address: address(text),
        tentative: false,
        duplicate: false,
        secondary: false,
        permanent: true,
    }
}

fn all(watch: &mut Watch) -> Vec<Deviation> {
    core::iter::from_fn(|| watch.poll_output()).collect()
}

fn lost(text: &str, now_on: Option<u32>) -> Deviation {
    Deviation::Lost { object: object(text), now_on }
}

const VIP: &str = "192.0.2.100/24 dev 3";
const ROUTE: &str = "route 198.51.100.0/24 via 192.0.2.1 dev 3 proto 18";
const RULE: &str = "rule ipv4 priority 5 lookup 100 from 192.0.2.100/32 proto 18";

#[test]
fn what_others_remove_is_told_once_and_so_is_its_return() {
    let mut watch = Watch::new();
    watch.hold(object(VIP));
    watch.handle_event(&Event::AddressAdded(present(VIP)));
    assert_eq!(all(&mut watch), [], "it is as it shall be");
    for _ in 0..2 {
        watch.handle_event(&Event::AddressRemoved(address(VIP)));
    }
    assert_eq!(watch.missing().collect::<Vec<_>>(), [&object(VIP)]);
    assert_eq!(all(&mut watch), [lost(VIP, None)]);
    watch.handle_event(&Event::AddressRemoved(address("192.0.2.100/32 dev 3")));
    watch.handle_event(&Event::AddressAdded(present("192.0.2.7/24 dev 3")));
    assert_eq!(all(&mut watch), []);
    watch.handle_event(&Event::AddressAdded(present(VIP)));
    assert_eq!(all(&mut watch), [Deviation::Restored { object: object(VIP) }]);
    watch.forget(object(VIP));
    watch.handle_event(&Event::AddressRemoved(address(VIP)));
    assert_eq!(all(&mut watch), [], "our own removal");
}

#[test]
fn what_comes_and_goes_in_one_drain_is_nothing() {
    let mut watch = Watch::new();
    watch.hold(object(VIP));
    watch.handle_event(&Event::AddressRemoved(address(VIP)));
    watch.handle_event(&Event::AddressAdded(present(VIP)));
    assert_eq!(all(&mut watch), []);
}

#[test]
fn where_a_moved_address_is_now_and_how_an_altered_one_looks() {
    let mut watch = Watch::new();
    watch.hold(object(VIP));
    watch.handle_event(&Event::AddressAdded(present("192.0.2.100/24 dev 4")));
    watch.handle_event(&Event::AddressRemoved(address(VIP)));
    assert_eq!(all(&mut watch), [lost(VIP, Some(4))]);
    watch.handle_event(&Event::AddressAdded(present("192.0.2.100/24 dev 3 deprecated")));
    let altered = Deviation::Altered {
        object: object(VIP),
        present: object("192.0.2.100/24 dev 3 deprecated"),
    };
    assert_eq!(all(&mut watch), [altered]);
    let duplicate = PresentAddress { duplicate: true, ..present(VIP) };
    watch.handle_event(&Event::AddressAdded(duplicate));
    assert_eq!(all(&mut watch), [Deviation::Duplicate { object: object(VIP) }]);
}

#[test]
fn an_address_where_it_shall_not_be() {
    let mut watch = Watch::new();
    watch.shun(address(VIP).ip());
    for _ in 0..2 {
        watch.handle_event(&Event::AddressAdded(present("192.0.2.100/32 dev 9")));
    }
    assert_eq!(all(&mut watch), [Deviation::Intruded { address: address("192.0.2.100/32 dev 9") }]);
    watch.handle_event(&Event::AddressAdded(present(VIP)));
    watch.handle_event(&Event::AddressRemoved(address(VIP)));
    assert_eq!(all(&mut watch), [], "gone again");
    watch.handle_event(&Event::AddressAdded(present(VIP)));
    watch.allow(address(VIP).ip());
    assert_eq!(all(&mut watch), [], "it may be there now");
}

#[test]
fn what_is_forgotten_leaves_nothing_behind() {
    let mut watch = Watch::new();
    let both = ["192.0.2.100/24 dev 3", "192.0.2.100/32 dev 4"];
    for text in both.into_iter().chain(both) {
        watch.hold(object(text));
    }
    watch.shun(address(both[0]).ip());
    watch.forget(object(both[0]));
    watch.forget(object(both[0]));
    watch.handle_event(&Event::AddressRemoved(address(both[0])));
    watch.handle_event(&Event::AddressRemoved(address(both[1])));
    assert_eq!(all(&mut watch), [lost(both[1], None)]);
    watch.forget(object(both[1]));
    assert_eq!((watch.held.len(), watch.places.len()), (0, 1));
    watch.allow(address(both[0]).ip());
    assert_eq!(watch.places.len(), 0);
    watch.hold(object(ROUTE));
    watch.hold(object(ROUTE));
    watch.forget(object(ROUTE));
    watch.forget(object(ROUTE));
    watch.handle_event(&Event::AddressRemoved(address(VIP)));
    assert_eq!(watch.stale().count(), 0);
}

#[test]
fn lost_news_make_every_table_stale_and_tables_tell_the_truth() {
    let mut watch = Watch::new();
    for text in [VIP, ROUTE, RULE] {
        watch.hold(object(text));
    }
    assert_eq!(watch.stale().count(), 0);
    watch.handle_event(&Event::Overrun);
    assert_eq!(watch.stale().collect::<Vec<_>>(), [Table::Addresses, Table::Routes, Table::Rules]);
    watch.handle_addresses(&[present("192.0.2.100/24 dev 4")]);
    watch.handle_routes(&[]);
    let Object::Rule(rule) = object(RULE) else { unreachable!() };
    watch.handle_rules(&[rule]);
    assert_eq!(watch.stale().count(), 0);
    assert_eq!(all(&mut watch), [lost(VIP, Some(4)), lost(ROUTE, None)]);
    watch.handle_event(&Event::Overrun);
    let Object::Route(route) = object(ROUTE) else { unreachable!() };
    watch.handle_addresses(&[present(VIP)]);
    watch.handle_routes(&[route]);
    watch.handle_rules(&[]);
    let restored = |text| Deviation::Restored { object: object(text) };
    assert_eq!(all(&mut watch), [restored(VIP), restored(ROUTE), lost(RULE, None)]);
}

#[test]
fn routes_are_doubted_when_the_kernel_says_nothing() {
    let mut watch = Watch::new();
    watch.handle_event(&Event::AddressRemoved(address(VIP)));
    assert_eq!(watch.stale().count(), 0, "there is no route to doubt");
    watch.hold(object(ROUTE));
    watch.handle_event(&Event::AddressRemoved(address(VIP)));
    assert_eq!(watch.stale().collect::<Vec<_>>(), [Table::Routes]);
    watch.handle_routes(&[]);
    watch.handle_event(&Event::LinkGone { index: 3, name: "eth0".to_owned() });
    assert_eq!(watch.stale().collect::<Vec<_>>(), [Table::Routes]);
}

#[test]
fn an_interface_that_is_gone_has_no_addresses() {
    let mut watch = Watch::new();
    watch.hold(object(VIP));
    watch.hold(object("192.0.2.101/24 dev 4"));
    watch.handle_event(&Event::LinkGone { index: 3, name: "eth0".to_owned() });
    assert_eq!(all(&mut watch), [lost(VIP, None)]);
}

#[derive(Debug, Clone)]
enum Step {
    Added(u8, u32),
    Removed(u8, u32),
    Lost,
    Look,
}

proptest! {
    /// However news come, and however many are lost: after a look, what was told last is what is.
    #[test]
    fn what_was_told_is_what_is(steps in proptest::collection::vec(
        prop_oneof![
            (0_u8..4, 3_u32..5).prop_map(|(n, dev)| Step::Added(n, dev)),
            (0_u8..4, 3_u32..5).prop_map(|(n, dev)| Step::Removed(n, dev)),
            Just(Step::Lost),
            Just(Step::Look),
        ], 0..80)) {
        let text = |n: u8, dev: u32| format!("192.0.2.{n}/24 dev {dev}");
        let mut watch = Watch::new();
        let mut table: BTreeSet<(u8, u32)> = (0..4).map(|n| (n, 3)).collect();
        let mut told_missing: BTreeSet<Object> = BTreeSet::new();
        for n in 0..4 {
            watch.hold(object(&text(n, 3)));
        }
        let mut blind = false;
        for step in steps.into_iter().chain([Step::Look]) {
            match step {
                Step::Added(n, dev) => {
                    if table.insert((n, dev)) && !blind {
                        watch.handle_event(&Event::AddressAdded(present(&text(n, dev))));
                    }
                }
                Step::Removed(n, dev) => {
                    if table.remove(&(n, dev)) && !blind {
                        watch.handle_event(&Event::AddressRemoved(address(&text(n, dev))));
                    }
                }
                Step::Lost => blind = true,
                Step::Look => {
                    if core::mem::take(&mut blind) {
                        watch.handle_event(&Event::Overrun);
                        let table: Vec<_> = table.iter().map(|(n, dev)| present(&text(*n, *dev))).collect();
                        watch.handle_addresses(&table);
                    }
                    for deviation in all(&mut watch) {
                        match deviation.clone() {
                            Deviation::Lost { object, now_on } => {
                                let Object::Address(lost) = &object else { unreachable!() };
                                let IpAddr::V4(ip) = lost.ip() else { unreachable!() };
                                prop_assert_eq!(now_on.is_some(), table.contains(&(ip.octets()[3], 4)));
                                prop_assert!(told_missing.insert(object));
                            }
                            Deviation::Restored { object } => prop_assert!(told_missing.remove(&object)),
                            Deviation::Altered { .. } | Deviation::Duplicate { .. } | Deviation::Intruded { .. } => {
                                prop_assert!(false, "{:?}", deviation);
                            }
                        }
                    }
                    let missing: BTreeSet<Object> =
                        (0..4).filter(|n| !table.contains(&(*n, 3))).map(|n| object(&text(n, 3))).collect();
                    prop_assert_eq!(&told_missing, &missing);
                }
            }
        }
    }
}
