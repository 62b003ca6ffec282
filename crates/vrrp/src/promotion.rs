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
}

impl Promotion {
    /// Before these addresses are removed. A sysctl that cannot be set stays as it is: the removal is what matters.
    pub(crate) fn begin(
        addresses: &[Address],
        links: &Links,
        journal: Option<&mut Journal>,
    ) -> Self {
        let Some(journal) = journal else { return Self::default() };
        let in_subnet =
            addresses.iter().filter(|address| address.ip().is_ipv4() && address.prefix_len() < 32);
        let interfaces: BTreeSet<u32> = in_subnet.map(Address::interface).collect();
        let names = interfaces.into_iter().filter_map(|index| links.by_index(index));
        let plan = |name: &str| SysctlChange::plan_ipv4(name, "promote_secondaries", "1").ok();
        let mut changes = Vec::new();
        for change in names.filter_map(|link| plan(&link.name)).filter(SysctlChange::is_needed) {
            if journal.record(&entry(&change)).is_err() {
                continue;
            }
            if change.apply().is_ok() {
                changes.push(change);
            } else {
                drop(journal.forget(&entry(&change)));
            }
        }
        Self { changes }
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
