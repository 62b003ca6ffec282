//! Other people's addresses in the subnet of a virtual one.
//!
//! Linux removes the secondary addresses of a subnet together with its primary one, unless `promote_secondaries` is set for the
//! interface. It looks at that in the moment of the removal only, so the sysctl is set for that long, and journalled.

use std::collections::BTreeSet;

use journal::Journal;
use vip_netlink::{Address, SysctlChange};

use crate::links::Links;

/// How a journal entry of a changed sysctl begins; the change follows.
const SYSCTL: &str = "sysctl ";

/// Sysctls that are set until [`Promotion::end`].
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Promotion {
    changes: Vec<SysctlChange>,
    /// It could not be set everywhere: other addresses may go together with these.
    pub(crate) is_doubtful: bool,
}

impl Promotion {
    /// Before these addresses are removed. A sysctl that cannot be set stays as it is: the removal is what matters.
    pub(crate) fn begin(
        addresses: &[Address],
        links: &Links,
        journal: Option<&mut Journal>,
    ) -> Self {
        let in_subnet =
            addresses.iter().filter(|address| address.ip().is_ipv4() && address.prefix_len() < 32);
        let interfaces: BTreeSet<u32> = in_subnet.map(Address::interface).collect();
        let Some(journal) = journal else {
            return Self { is_doubtful: !interfaces.is_empty(), ..Self::default() };
        };
        let names = interfaces.into_iter().filter_map(|index| links.by_index(index));
        let mut promotion = Self::default();
        for name in names.map(|link| &link.name) {
            let Ok(change) = SysctlChange::plan_ipv4(name, "promote_secondaries", "1") else {
                promotion.is_doubtful = true;
                continue;
            };
            if !change.is_needed() {
                continue;
            }
            if journal.record(&entry(&change)).is_ok() && change.apply().is_ok() {
                promotion.changes.push(change);
            } else {
                drop(journal.forget(&entry(&change)));
                promotion.is_doubtful = true;
            }
        }
        promotion
    }

    /// After the removal.
    pub(crate) fn end(self, journal: Option<&mut Journal>) {
        let Some(journal) = journal else { return };
        for change in self.changes {
            // What cannot be put back now stays listed for the next start.
            if change.undo().is_ok() {
                drop(journal.forget(&entry(&change)));
            }
        }
    }
}

fn entry(change: &SysctlChange) -> String {
    format!("{SYSCTL}{change}")
}
