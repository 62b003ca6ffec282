//! Ownership: which services of the kernel are ours, and making them what is wanted.

use std::collections::BTreeSet;
use std::path::Path;

use ipvs::{Command, ServiceKey, Table};
use journal::{Journal, JournalError};

use crate::error::ClaimError;
use crate::kernel::{Kernel, KernelError};

/// How a journal entry of a service begins; its key follows.
const SERVICE: &str = "service ";

/// What to do about a service that somebody else has made under a key that we are configured with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// Do not start: two managers of one service undo each other's work.
    #[default]
    Refuse,
    /// Take it over: it becomes what is configured, destinations of others in it are removed, and it is removed at the end.
    Adopt,
}

/// How far [`Owner::converge`] came.
#[derive(Debug)]
pub(crate) enum Convergence {
    /// The table is as wanted.
    Done {
        /// Services that were there and are not wanted any more.
        removed: Vec<ServiceKey>,
    },
    /// The kernel refused these; everything else is done.
    Refused(Vec<(Command, KernelError)>),
    /// The table cannot be read; nothing was done.
    Unreadable(KernelError),
}

/// The services that are ours.
#[derive(Debug)]
pub(crate) struct Owner {
    kernel: Box<dyn Kernel>,
    journal: Journal,
    /// Every service that we have made or may have made; the journal lists the same.
    owned: BTreeSet<ServiceKey>,
    /// Those of them that a dead predecessor has left, until the first claim.
    inherited: BTreeSet<ServiceKey>,
    /// What the kernel has under the owned keys, unless in doubt.
    installed: Table,
    /// Something failed, or is not known yet: read the table before the next change.
    in_doubt: bool,
}

impl Owner {
    /// Takes the journal and with it what a dead predecessor has left.
    pub(crate) fn open(kernel: Box<dyn Kernel>, path: &Path) -> Result<Self, JournalError> {
        let (mut journal, leftovers) = Journal::open(path)?;
        let key = |entry: &String| entry.strip_prefix(SERVICE).and_then(|key| key.parse().ok());
        let owned: BTreeSet<_> = leftovers.iter().filter_map(key).collect();
        // An entry that this version cannot read names nothing that it could remove.
        let unreadable: Vec<_> = leftovers.iter().filter(|entry| key(entry).is_none()).collect();
        journal.forget_all(unreadable)?;
        Ok(Self {
            kernel,
            journal,
            inherited: owned.clone(),
            owned,
            installed: Table::new(),
            in_doubt: true,
        })
    }

    /// Makes `wanted` ours, in the journal first. Returns those that become ours and exist already.
    pub(crate) fn claim(
        &mut self,
        wanted: &BTreeSet<ServiceKey>,
        foreign: Foreign,
    ) -> Result<Vec<ServiceKey>, ClaimError> {
        let new: BTreeSet<_> = wanted.iter().filter(|key| !self.is_ours(key)).copied().collect();
        let present = self.kernel.read(&new)?;
        let mut strangers = present.keys().filter(|key| !self.owned.contains(key));
        if let (Foreign::Refuse, Some(&service)) = (foreign, strangers.next()) {
            return Err(ClaimError::Foreign { service });
        }
        self.journal.record_all(new.iter().map(entry))?;
        self.owned.extend(new);
        self.inherited.clear();
        self.in_doubt = true;
        Ok(present.keys().copied().collect())
    }

    /// Whether we have made it ourselves, in this process.
    fn is_ours(&self, key: &ServiceKey) -> bool {
        self.owned.contains(key) && !self.inherited.contains(key)
    }

    /// What the kernel has under the owned keys, as far as is known.
    pub(crate) fn installed(&self) -> &Table {
        &self.installed
    }

    /// Reads the table again before the next change.
    pub(crate) fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// Makes the kernel's table `desired`, as far as it is ours, with the fewest commands. All of `desired` has been claimed.
    pub(crate) fn converge(&mut self, desired: &Table) -> Convergence {
        if self.owned.is_empty() && desired.is_empty() {
            return Convergence::Done { removed: Vec::new() };
        }
        let mut refused = Vec::new();
        // A second attempt because somebody else may have changed the table meanwhile.
        for _ in 0..2 {
            if self.in_doubt {
                match self.kernel.read(&self.owned) {
                    Ok(table) => self.installed = table,
                    Err(error) => return Convergence::Unreadable(error),
                }
            }
            let commands = ipvs::plan(&self.installed, desired, &self.owned);
            let results = self.kernel.execute(&commands);
            let failed =
                |(command, result): (_, Result<(), _>)| result.err().map(|error| (command, error));
            refused = without_consequences(
                commands.into_iter().zip(results).filter_map(failed).collect(),
            );
            self.in_doubt = !refused.is_empty();
            if !refused.iter().any(|(_, error)| error.is_surprise()) {
                break;
            }
        }
        if !refused.is_empty() {
            return Convergence::Refused(refused);
        }
        let removed: Vec<_> =
            self.owned.iter().filter(|key| !desired.contains(key)).copied().collect();
        let removed_present =
            removed.iter().filter(|key| self.installed.contains(key)).copied().collect();
        self.installed.clone_from(desired);
        // A failed write leaves the entry listed: a successor looks for the service once more.
        if self.journal.forget_all(removed.iter().map(entry)).is_ok() {
            for key in &removed {
                self.owned.remove(key);
            }
        }
        Convergence::Done { removed: removed_present }
    }

    /// Removes everything that is ours.
    pub(crate) fn release(&mut self) -> Convergence {
        self.converge(&Table::new())
    }

    /// Leaves everything as it is, in the kernel and in the journal.
    pub(crate) fn abandon(&mut self) {
        self.owned.clear();
        self.in_doubt = false;
    }
}

fn entry(key: &ServiceKey) -> String {
    format!("{SERVICE}{key}")
}

/// Leaves out refusals that only follow from the refusal of their service.
fn without_consequences(refused: Vec<(Command, KernelError)>) -> Vec<(Command, KernelError)> {
    let is_new_service = |command: &Command| matches!(command, Command::NewService(_));
    let missing: BTreeSet<_> = refused
        .iter()
        .filter(|(command, _)| is_new_service(command))
        .map(|(command, _)| command.service())
        .collect();
    refused
        .into_iter()
        .filter(|(command, _)| is_new_service(command) || !missing.contains(&command.service()))
        .collect()
}
