//! Which addresses have to go and which to come. Pure.

use std::collections::BTreeSet;

use crate::address::Address;

/// What separates the present from the wanted addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Difference {
    /// Present and not wanted, in the order of `present`. Remove these first: IPv6 has no two prefix lengths for one address.
    pub remove: Vec<Address>,
    /// Wanted and not present, in the order of `wanted`.
    pub add: Vec<Address>,
}

/// Compares addresses by [`Address::key`]: one that is present with another label, say, is not touched.
///
/// `present` is what the caller owns, not all that an interface has: everything in it that is not wanted is to be removed.
#[must_use]
pub fn difference<'a>(
    wanted: impl IntoIterator<Item = &'a Address>,
    present: impl IntoIterator<Item = &'a Address>,
) -> Difference {
    let mut wanted_keys = BTreeSet::new();
    let wanted: Vec<_> =
        wanted.into_iter().filter(|address| wanted_keys.insert(address.key())).collect();
    let mut present_keys = BTreeSet::new();
    let present: Vec<_> =
        present.into_iter().filter(|address| present_keys.insert(address.key())).collect();
    Difference {
        remove: present
            .into_iter()
            .filter(|address| !wanted_keys.contains(&address.key()))
            .cloned()
            .collect(),
        add: wanted
            .into_iter()
            .filter(|address| !present_keys.contains(&address.key()))
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            prop_assert_eq!(difference(&wanted, &wanted), Difference::default());
        }
    }

    #[test]
    fn order_is_kept_and_other_properties_do_not_count() {
        let wanted = [address(4, 24).label("eth0:x").unwrap(), address(2, 24), address(6, 24)];
        let present = [address(8, 24), address(4, 24), address(6, 25)];
        let difference = difference(&wanted, &present);
        assert_eq!(difference.add, [address(2, 24), address(6, 24)]);
        assert_eq!(difference.remove, [address(8, 24), address(6, 25)]);
    }
}
