//! Kernel settings that make a virtual MAC address work beside the real one.

use std::collections::BTreeMap;

use super::Macvlan;
use crate::sysctl::{SysctlChange, SysctlError};

impl Macvlan {
    /// The settings of the interface itself, to be made between creation and [`set_up`](crate::Client::set_up). They go with it, so nobody
    /// has to put them back.
    ///
    /// IPv4 (`arp_ignore`, `rp_filter`, `accept_local`, `promote_secondaries`): it answers ARP for its own addresses only, hears packets whose way
    /// back is the parent, and others of this host; IPv6 is switched off. IPv6 (`accept_ra`, `autoconf`, `accept_dad`): nothing but what
    /// we configure is on it.
    ///
    /// # Errors
    ///
    /// [`SysctlError::Read`], for example of an interface that does not exist.
    pub fn sysctls(&self, ipv6: bool) -> Result<Vec<SysctlChange>, SysctlError> {
        let name = &self.name;
        let v4 = [
            ("arp_ignore", "1"),
            ("rp_filter", "0"),
            ("accept_local", "1"),
            ("promote_secondaries", "1"),
        ];
        if ipv6 {
            return [("accept_ra", "0"), ("autoconf", "0"), ("accept_dad", "0")]
                .iter()
                .map(|(key, value)| SysctlChange::plan_ipv6(name, key, value))
                .collect();
        }
        let mut changes: Vec<SysctlChange> = v4
            .iter()
            .map(|(key, value)| SysctlChange::plan_ipv4(name, key, value))
            .collect::<Result<_, _>>()?;
        // A kernel without IPv6 has nothing to switch off.
        changes.extend(SysctlChange::plan_ipv6(name, "disable_ipv6", "1"));
        Ok(changes)
    }
}

/// The settings of the interface below macvlans with IPv4 addresses: `arp_ignore` 1 and `arp_filter` 1 keep it from answering ARP requests for a
/// virtual address with the real MAC address, `arp_announce` 2 from asking in its name (RFC 9568 §8.1.2).
///
/// They are to be put back with the last macvlan on the interface: see [`SysctlClaims`].
///
/// # Errors
///
/// [`SysctlError::Read`], for example of an interface that does not exist.
pub fn parent_sysctls(parent: &str) -> Result<Vec<SysctlChange>, SysctlError> {
    [("arp_ignore", "1"), ("arp_filter", "1"), ("arp_announce", "2")]
        .iter()
        .map(|(key, value)| SysctlChange::plan_ipv4(parent, key, value))
        .collect()
}

/// Lets `rp_filter` 0 of a macvlan count. What counts is the greater one of `all` and of the interface: therefore each interface gets what `all` has,
/// and then `all` gets 0. To be applied in this order, and put back in the reverse one.
///
/// # Errors
///
/// [`SysctlError::Read`].
pub fn all_rp_filter_pushed_down<'a>(
    interfaces: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<SysctlChange>, SysctlError> {
    let all = SysctlChange::plan_ipv4("all", "rp_filter", "0")?;
    if !all.is_needed() {
        return Ok(Vec::new());
    }
    let mut changes = Vec::new();
    for interface in interfaces {
        let change = SysctlChange::plan_ipv4(interface, "rp_filter", all.before())?;
        // 2 (loose) is greater and weaker than 1 (strict), and the greater one counts anyway.
        if change.before() < change.after() {
            changes.push(change);
        }
    }
    changes.push(all);
    Ok(changes)
}

/// Which sysctls of shared interfaces are claimed by how many: the first claim changes a value, the end of the last one puts it back. Pure
/// bookkeeping.
#[derive(Debug, Default)]
pub struct SysctlClaims {
    claims: BTreeMap<String, (SysctlChange, usize)>,
}

impl SysctlClaims {
    /// No claims yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more claim. `Some`: it is the first, write the change to the journal and [`apply`](SysctlChange::apply) it.
    ///
    /// # Errors
    ///
    /// [`ClaimError`], when others have claimed the sysctl for another value.
    pub fn claim(&mut self, change: &SysctlChange) -> Result<Option<SysctlChange>, ClaimError> {
        match self.claims.get_mut(change.name()) {
            None => {
                self.claims.insert(change.name().to_owned(), (change.clone(), 1));
                Ok(Some(change.clone()).filter(SysctlChange::is_needed))
            }
            Some((present, count)) if present.after() == change.after() => {
                *count = count.saturating_add(1);
                Ok(None)
            }
            Some((present, _)) => Err(ClaimError {
                name: change.name().to_owned(),
                claimed: present.after().to_owned(),
                wanted: change.after().to_owned(),
            }),
        }
    }

    /// The end of a claim. `Some`: it was the last, [`undo`](SysctlChange::undo) the change and strike it from the journal.
    pub fn release(&mut self, name: &str) -> Option<SysctlChange> {
        let (_, count) = self.claims.get_mut(name)?;
        *count = count.saturating_sub(1);
        if *count > 0 {
            return None;
        }
        self.claims.remove(name).map(|(change, _)| change).filter(SysctlChange::is_needed)
    }
}

/// A sysctl is claimed for two values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sysctl {name} shall be {claimed} for one and {wanted} for another")]
#[non_exhaustive]
pub struct ClaimError {
    /// The sysctl.
    pub name: String,
    /// The value that it is claimed for already.
    pub claimed: String,
    /// The value that was wanted now.
    pub wanted: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_changes_and_the_last_puts_back() {
        let change: SysctlChange = "net/ipv4/conf/lo/arp_ignore 0 -> 1".parse().unwrap();
        let so_already: SysctlChange = "net/ipv4/conf/lo/arp_ignore 1 -> 1".parse().unwrap();
        let other: SysctlChange = "net/ipv4/conf/lo/arp_ignore 1 -> 2".parse().unwrap();
        let mut claims = SysctlClaims::new();
        assert_eq!(claims.release(change.name()), None);
        assert_eq!(claims.claim(&change), Ok(Some(change.clone())));
        // The second reads what the first has set.
        assert_eq!(claims.claim(&so_already), Ok(None));
        assert_eq!(
            claims.claim(&other).unwrap_err().to_string(),
            "the sysctl net/ipv4/conf/lo/arp_ignore shall be 1 for one and 2 for another"
        );
        assert_eq!(claims.release(change.name()), None);
        assert_eq!(claims.release(change.name()), Some(change));
        // What was so already is nobody's to put back.
        assert_eq!(claims.claim(&so_already), Ok(None));
        assert_eq!(claims.release(so_already.name()), None);
        assert_eq!(claims.claim(&other), Ok(Some(other.clone())));
    }
}
