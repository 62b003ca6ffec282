//! What has to go and what to come. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::object::{Object, ObjectKey};

/// What separates the present from the wanted objects: addresses, routes, rules, or [`Object`]s of all kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference<T> {
    /// Present and not wanted, in the order of `present`. Remove these first: IPv6 has no two prefix lengths for one address.
    pub remove: Vec<T>,
    /// Wanted and not present, in the order of `wanted`.
    pub add: Vec<T>,
    /// Wanted, and present with other properties (a label, a next hop), in the order of `wanted`. The kernel changes few of them in place:
    /// remove and add, if that matters.
    pub altered: Vec<T>,
}

/// Compares by [`Object::key`], and what has the same key by [`Object::agrees_with`].
///
/// `present` is what the caller owns, not all that an interface or a table has: everything in it that is not wanted is to be removed.
///
/// ```
/// use vip_netlink::{Address, difference};
///
/// let address = |last| Address::new(3, [192, 0, 2, last].into(), 24).unwrap();
/// let difference = difference(&[address(1), address(2)], &[address(2), address(3)]);
/// assert_eq!(difference.add, [address(1)]);
/// assert_eq!(difference.remove, [address(3)]);
/// ```
#[must_use]
pub fn difference<'a, T: Clone + Into<Object> + 'a>(
    wanted: impl IntoIterator<Item = &'a T>,
    present: impl IntoIterator<Item = &'a T>,
) -> Difference<T> {
    let mut difference = Difference { remove: Vec::new(), add: Vec::new(), altered: Vec::new() };
    let mut found: BTreeMap<ObjectKey, Object> = BTreeMap::new();
    let present: Vec<(&T, ObjectKey)> = present
        .into_iter()
        .filter_map(|one| {
            let object: Object = one.clone().into();
            let key = object.key();
            found.insert(key.clone(), object).is_none().then_some((one, key))
        })
        .collect();
    let mut wanted_keys = BTreeSet::new();
    for one in wanted {
        let object: Object = one.clone().into();
        let key = object.key();
        match found.get(&key) {
            _ if !wanted_keys.insert(key) => {}
            None => difference.add.push(one.clone()),
            Some(present) if object.agrees_with(present) => {}
            Some(_) => difference.altered.push(one.clone()),
        }
    }
    let unwanted = present.into_iter().filter(|(_, key)| !wanted_keys.contains(key));
    difference.remove.extend(unwanted.map(|(one, _)| one.clone()));
    difference
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::Address;

    fn address(number: u8, prefix_len: u8) -> Address {
        Address::new(u32::from(number % 2), [192, 0, 2, number / 2].into(), prefix_len).unwrap()
    }

    fn addresses() -> impl Strategy<Value = Vec<Address>> {
        proptest::collection::vec(
            (0_u8..20, 24_u8..26).prop_map(|(number, len)| address(number, len)),
            0..30,
        )
    }

    fn keys<'a>(
        of: impl IntoIterator<Item = &'a Address>,
    ) -> BTreeSet<(u32, core::net::IpAddr, u8)> {
        of.into_iter().map(Address::key).collect()
    }

    proptest! {
        #[test]
        fn applying_it_gives_what_is_wanted(wanted in addresses(), present in addresses()) {
            let difference = difference(&wanted, &present);
            let removed = keys(&difference.remove);
            let added = keys(&difference.add);
            prop_assert_eq!((removed.len(), added.len()), (difference.remove.len(), difference.add.len()));
            let kept: BTreeSet<_> = keys(&present).difference(&removed).copied().collect();
            prop_assert!(kept.is_disjoint(&added));
            prop_assert_eq!(kept.union(&added).copied().collect::<BTreeSet<_>>(), keys(&wanted));
            prop_assert!(removed.is_subset(&keys(&present)));
        }

        #[test]
        fn nothing_between_equals(wanted in addresses()) {
            let difference = difference(&wanted, &wanted);
            prop_assert!(difference.add.is_empty() && difference.remove.is_empty() && difference.altered.is_empty());
        }
    }

    #[test]
    fn order_is_kept_and_other_properties_are_told_apart() {
        let wanted = [address(4, 24).label("eth0:x").unwrap(), address(2, 24), address(6, 24)];
        let present = [address(8, 24), address(4, 24), address(6, 25)];
        let difference = difference(&wanted, &present);
        assert_eq!(difference.add, [address(2, 24), address(6, 24)]);
        assert_eq!(difference.remove, [address(8, 24), address(6, 25)]);
        assert_eq!(difference.altered, wanted[..1]);
    }

    #[test]
    fn kinds_do_not_mix() {
        let object = |text: &str| text.parse::<Object>().unwrap();
        let wanted = [
            object("192.0.2.1/24 dev 3"),
            object("route 192.0.2.0/24 via 10.0.0.1 proto 18"),
            object("rule ipv4 priority 5 nop proto 18"),
        ];
        let present = [
            object("route 192.0.2.0/24 via 10.0.0.2 proto 18"),
            object("rule ipv4 priority 5 nop proto 18"),
            object("rule ipv4 priority 5 nop from 10.0.0.0/8 proto 18"),
        ];
        let difference = difference(&wanted, &present);
        assert_eq!(difference.add, wanted[..1]);
        assert_eq!(difference.altered, wanted[1..2]);
        assert_eq!(difference.remove, present[2..]);
    }
}
