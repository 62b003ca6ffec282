//! Everything that this crate configures, as lines of a journal, and its removal by whoever reads them.

use core::fmt;
use core::str::FromStr;

use crate::change::Change;
use crate::client::Client;
use crate::error::ChangeError;
use crate::macvlan::{Macvlan, MacvlanError};
use crate::object::{InvalidObject, Object};
use crate::silence::{Silence, SilenceError, check_name};
use crate::sysctl::{SysctlChange, SysctlError};

/// Something that is to be undone when its owner is gone.
///
/// `Display` and `FromStr` agree with each other for every kind: write the text to a journal *before* the kernel is changed, and let a
/// successor [`undo`](Client::undo) what it reads.
///
/// ```
/// use vip_netlink::{Address, Entry};
///
/// let entry = Entry::from(Address::new(3, "192.0.2.100".parse()?, 24)?);
/// assert_eq!(entry.to_string(), "192.0.2.100/24 dev 3");
/// let line = "route 198.51.100.0/24 via 192.0.2.1 dev 3 proto 18";
/// assert_eq!(line.parse::<Entry>()?.to_string(), line);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Entry {
    /// An address, a route or a rule.
    Object(Object),
    /// An interface of its own.
    Macvlan(Macvlan),
    /// A kernel setting.
    Sysctl(SysctlChange),
    /// Firewall tables of this name ([`Silence`]).
    Silence(String),
}

impl<T: Into<Object>> From<T> for Entry {
    fn from(object: T) -> Self {
        Self::Object(object.into())
    }
}

impl From<Macvlan> for Entry {
    fn from(device: Macvlan) -> Self {
        Self::Macvlan(device)
    }
}

impl From<SysctlChange> for Entry {
    fn from(change: SysctlChange) -> Self {
        Self::Sysctl(change)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Macvlan(device) => write!(f, "macvlan {device}"),
            Self::Sysctl(change) => write!(f, "sysctl {change}"),
            Self::Silence(table) => write!(f, "silence {table}"),
        }
    }
}

impl FromStr for Entry {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        if let Some(device) = text.strip_prefix("macvlan ") {
            return Ok(Self::Macvlan(device.parse()?));
        }
        if let Some(change) = text.strip_prefix("sysctl ") {
            return Ok(Self::Sysctl(change.parse()?));
        }
        if let Some(table) = text.strip_prefix("silence ") {
            check_name(table)?;
            return Ok(Self::Silence(table.to_owned()));
        }
        Ok(Self::Object(text.parse()?))
    }
}

/// Why a line is no [`Entry`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEntry {
    /// It is no address, route or rule.
    #[error(transparent)]
    Object(#[from] InvalidObject),
    /// It is no macvlan.
    #[error(transparent)]
    Macvlan(#[from] MacvlanError),
    /// It is no sysctl.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// It is no name of firewall tables.
    #[error(transparent)]
    Silence(#[from] SilenceError),
}

/// Why something cannot be undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// An address, route or rule cannot be removed.
    #[error(transparent)]
    Object(#[from] ChangeError),
    /// An interface cannot be removed.
    #[error(transparent)]
    Macvlan(#[from] MacvlanError),
    /// A setting cannot be put back.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// Firewall tables cannot be removed.
    #[error(transparent)]
    Silence(#[from] SilenceError),
}

impl Client {
    /// Undoes what an entry of a journal says. What is undone already, or was never done, is a success.
    ///
    /// Undo in the reverse order of a journal: an interface goes after what is on it. Sysctls and firewall tables are those of the calling thread's network
    /// namespace, the rest those of the client's.
    ///
    /// # Errors
    ///
    /// [`UndoError`]: the entry should stay in the journal.
    pub fn undo(&mut self, entry: &Entry) -> Result<Change, UndoError> {
        match entry {
            Entry::Object(object) => {
                let result = self.remove(core::slice::from_ref(object)).pop();
                Ok(result.unwrap_or(Ok(Change::Already))?)
            }
            Entry::Macvlan(device) => Ok(self.remove_macvlan(device)?),
            Entry::Sysctl(change) => {
                Ok(if change.undo()? { Change::Made } else { Change::Already })
            }
            Entry::Silence(table) => Ok(Silence::open(table)?.remove()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::macvlan::tests::any_macvlan;
    use crate::{address::tests::any_address, route::tests::any_route, rule::tests::any_rule};

    fn any_entry() -> impl Strategy<Value = Entry> {
        prop_oneof![
            any_address().prop_map(Entry::from),
            any_route().prop_map(Entry::from),
            any_rule().prop_map(Entry::from),
            any_macvlan().prop_map(Entry::from),
            "[a-z][a-z0-9_]{0,63}".prop_map(Entry::Silence),
            ("[a-z0-9_]{1,9}(/[a-z0-9_]{1,9}){0,3}", "[0-9]{1,5}( [0-9]{1,5}){0,2}", "[0-9]{1,5}")
                .prop_map(|(name, before, after)| {
                    Entry::Sysctl(format!("net/{name} {before} -> {after}").parse().unwrap())
                }),
        ]
    }

    proptest! {
        #[test]
        fn text_of_every_kind_reads_back(entry in any_entry()) {
            let text = entry.to_string();
            prop_assert!(!text.contains('\n'), "{}", text);
            prop_assert_eq!(text.parse::<Entry>().unwrap(), entry, "{}", text);
        }

        #[test]
        fn any_line_is_read_or_refused(line in "(route |rule |macvlan |sysctl |silence )?\\PC{0,60}") {
            if let Ok(entry) = line.parse::<Entry>() {
                prop_assert_eq!(entry.to_string().parse::<Entry>().unwrap(), entry);
            }
        }
    }
}
