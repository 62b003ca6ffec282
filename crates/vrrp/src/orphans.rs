//! What dead processes left of virtual routers that nobody runs any more: another VRID, interface or peer was configured since.

use std::path::Path;

use journal::Journal;
use vip_netlink::{Address, Change, Client, Entry, Object, QueryError};

use crate::builder::network_namespace;

/// An address that was removed, and by which journal it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Orphan {
    /// The journal's name: interface, IP version, VRID and, if any, peer.
    pub journal: String,
    /// The address.
    pub address: Address,
}

/// Removes the addresses that dead processes have listed in this run directory, for this network namespace, and the lists. What
/// a living process has locked is left alone, and so is what cannot be read.
///
/// [`RouterBuilder::remove_orphans`](crate::RouterBuilder::remove_orphans) does the same beside a router; this is for a program
/// that has none any more.
///
/// # Errors
///
/// The kernel cannot be asked.
pub fn remove_orphans(directory: impl AsRef<Path>) -> Result<Vec<Orphan>, QueryError> {
    // Most often there is no such directory, and nothing to open a socket for.
    if !directory.as_ref().is_dir() {
        return Ok(Vec::new());
    }
    Ok(sweep(directory.as_ref(), &mut Client::open()?))
}

pub(crate) fn sweep(directory: &Path, kernel: &mut Client) -> Vec<Orphan> {
    let (Ok(listing), Ok(namespace)) = (std::fs::read_dir(directory), network_namespace()) else {
        return Vec::new();
    };
    let mut orphans = Vec::new();
    for entry in listing.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| virtual_router(name, namespace)) else {
            continue;
        };
        // Locked by a living process, this one for example; or not to be trusted.
        let Ok((mut journal, entries)) = Journal::open(entry.path()) else { continue };
        for text in entries.into_iter().rev() {
            let Ok(entry) = text.parse::<Entry>() else {
                drop(journal.forget(&text));
                continue;
            };
            // What cannot be undone now stays listed for the next start.
            let Ok(change) = kernel.undo(&entry) else { continue };
            drop(journal.forget(&text));
            if let (Entry::Object(Object::Address(address)), Change::Made) = (entry, change) {
                orphans.push(Orphan { journal: name.to_owned(), address });
            }
        }
    }
    orphans.reverse();
    orphans
}

/// `eth0-4-51` of `4026531840-eth0-4-51.journal`, and of no other file.
fn virtual_router(file: &str, namespace: u64) -> Option<&str> {
    let name = file.strip_suffix(".journal")?.strip_prefix(&format!("{namespace}-"))?;
    let mut parts = name.rsplit('-');
    let mut vrid = parts.next()?;
    let mut version = parts.next()?;
    if !matches!(version, "4" | "6") {
        // The last part was the peer.
        (vrid, version) = (version, parts.next()?);
    }
    let known = matches!(version, "4" | "6") && vrid.parse::<u8>().is_ok();
    (known && parts.next().is_some()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_journals_of_virtual_routers_are_looked_into() {
        for (file, known) in [
            ("7-eth0-4-51.journal", Some("eth0-4-51")),
            ("7-br-lan-6-1.journal", Some("br-lan-6-1")),
            ("7-eth0-4-51-192.0.2.2.journal", Some("eth0-4-51-192.0.2.2")),
            ("7-eth0-6-51-fe80__2.journal", Some("eth0-6-51-fe80__2")),
            ("8-eth0-4-51.journal", None),
            ("7-director.journal", None),
            ("7-eth0-4-51.journal.new", None),
            ("7-eth0-4-x.journal", None),
            ("7-4-51.journal", None),
            ("journal", None),
        ] {
            assert_eq!(virtual_router(file, 7), known, "{file}");
        }
    }
}
