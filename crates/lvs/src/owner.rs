//! Ownership: which services of the kernel are ours, and making them what is wanted.

mod daemon;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ipvs::{Command, Destination, DestinationKey, Service, ServiceKey, SyncDaemon, Table};
use journal::{Journal, JournalError};

use crate::error::ClaimError;
use crate::kernel::{Kernel, KernelError, Traffic};
use daemon::Daemon;

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
    foreign: Foreign,
    /// Every service that we have made or may have made; the journal lists the same.
    owned: BTreeSet<ServiceKey>,
    /// Those of them that a dead predecessor has left, until the first claim.
    inherited: BTreeSet<ServiceKey>,
    /// What shall be there.
    desired: Table,
    /// What of it has changed since it was last brought about.
    changed: BTreeSet<ServiceKey>,
    /// What the kernel has under the owned keys, unless in doubt.
    installed: Table,
    /// Something failed, or is not known yet: read the table before the next change.
    in_doubt: bool,
    /// The sync daemon, which is ours in the same way.
    daemon: Daemon,
}

impl Owner {
    /// Takes the journal and with it what a dead predecessor has left.
    pub(crate) fn open(
        kernel: Box<dyn Kernel>,
        path: &Path,
        foreign: Foreign,
    ) -> Result<Self, JournalError> {
        let (mut journal, leftovers) = Journal::open(path)?;
        let key = |entry: &String| entry.strip_prefix(SERVICE).and_then(|key| key.parse().ok());
        let owned: BTreeSet<_> = leftovers.iter().filter_map(key).collect();
        let daemon = Daemon::left_by(&leftovers);
        // An entry that this version cannot read names nothing that it could remove.
        let unreadable: Vec<_> = leftovers
            .iter()
            .filter(|entry| key(entry).is_none() && !Daemon::knows(entry))
            .collect();
        journal.forget_all(unreadable)?;
        Ok(Self {
            kernel,
            journal,
            foreign,
            inherited: owned.clone(),
            owned,
            desired: Table::new(),
            changed: BTreeSet::new(),
            installed: Table::new(),
            in_doubt: true,
            daemon,
        })
    }

    /// Makes `wanted` ours, in the journal first. Returns those that become ours and exist already.
    pub(crate) fn claim(
        &mut self,
        wanted: impl Iterator<Item = ServiceKey>,
    ) -> Result<Vec<ServiceKey>, ClaimError> {
        let new: BTreeSet<_> = wanted.filter(|key| !self.is_ours(key)).collect();
        self.changed.extend(&self.inherited);
        if new.is_empty() {
            self.inherited.clear();
            return Ok(Vec::new());
        }
        let present = self.kernel.read(&new)?;
        let mut strangers = present.keys().filter(|key| !self.owned.contains(key));
        if let (Foreign::Refuse, Some(&service)) = (self.foreign, strangers.next()) {
            return Err(ClaimError::Foreign { service });
        }
        self.journal.record_all(new.iter().map(entry))?;
        self.inherited.clear();
        for (_, entry) in present.iter() {
            self.installed.insert_entry(entry.clone());
        }
        self.owned.extend(new);
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

    /// From now on this service shall be there, with these destinations; of two with one key the later counts. It has been claimed.
    pub(crate) fn want(
        &mut self,
        service: &Service,
        destinations: impl Iterator<Item = Destination>,
    ) {
        let key = service.key();
        self.desired.remove(&key);
        let entry = self.desired.insert(service.clone());
        for destination in destinations {
            entry.insert(destination);
        }
        self.changed.insert(key);
    }

    /// This service shall not be there any more.
    pub(crate) fn unwant(&mut self, key: ServiceKey) {
        self.desired.remove(&key);
        self.changed.insert(key);
    }

    /// This sync daemon shall run, and no other.
    pub(crate) fn want_daemon(&mut self, daemon: Option<SyncDaemon>) {
        self.daemon.want(daemon);
    }

    /// Whether there is anything to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.changed.is_empty() || self.daemon.has_work()
    }

    /// Reads the table again before the next change.
    pub(crate) fn doubt(&mut self) {
        self.in_doubt = true;
        self.daemon.doubt();
    }

    /// Makes the kernel's table as wanted, as far as it is ours, with the fewest commands.
    pub(crate) fn converge(&mut self) -> Convergence {
        let mut refused =
            match self.daemon.converge(&mut *self.kernel, &mut self.journal, self.foreign) {
                Ok(refused) => refused,
                Err(error) => return Convergence::Unreadable(error),
            };
        let removed = match self.converge_table() {
            Ok(Ok(removed)) => removed,
            Ok(Err(more)) => {
                refused.extend(more);
                Vec::new()
            }
            Err(error) => return Convergence::Unreadable(error),
        };
        if refused.is_empty() {
            Convergence::Done { removed }
        } else {
            Convergence::Refused(refused)
        }
    }

    /// The services that were removed, or what was refused.
    fn converge_table(&mut self) -> Result<Result<Vec<ServiceKey>, Refusals>, KernelError> {
        if self.owned.is_empty() && self.desired.is_empty() {
            self.changed.clear();
            return Ok(Ok(Vec::new()));
        }
        let mut refused = Vec::new();
        // A second attempt because somebody else may have changed the table meanwhile.
        for _ in 0..2 {
            let commands = if self.in_doubt {
                self.installed = self.kernel.read(&self.owned)?;
                ipvs::plan(&self.installed, &self.desired, &self.owned)
            } else {
                let changed = &self.changed;
                ipvs::plan(&part(&self.installed, changed), &part(&self.desired, changed), changed)
            };
            let results = self.kernel.execute(&commands);
            let failed =
                |(command, result): (_, Result<(), _>)| result.err().map(|error| (command, error));
            refused = without_consequences(
                commands.into_iter().zip(results).filter_map(failed).collect(),
            );
            self.in_doubt |= !refused.is_empty();
            if !refused.iter().any(|(_, error)| error.is_surprise()) {
                break;
            }
        }
        if !refused.is_empty() {
            return Ok(Err(refused));
        }
        if core::mem::replace(&mut self.in_doubt, false) {
            self.changed.extend(self.owned.iter());
        }
        let changed = core::mem::take(&mut self.changed);
        let removed: Vec<_> =
            changed.iter().filter(|key| !self.desired.contains(key)).copied().collect();
        let removed_present =
            removed.iter().filter(|key| self.installed.contains(key)).copied().collect();
        for key in changed {
            match self.desired.service(&key) {
                Some(entry) => drop(self.installed.insert_entry(entry.clone())),
                None => drop(self.installed.remove(&key)),
            }
        }
        // A failed write leaves the entry listed: a successor looks for the service once more.
        if self.journal.forget_all(removed.iter().map(entry)).is_ok() {
            for key in &removed {
                self.owned.remove(key);
            }
        }
        Ok(Ok(removed_present))
    }

    /// What others have changed in our services: the commands that would undo it, by service. If it shall be undone, the next
    /// convergence does.
    pub(crate) fn drift(
        &mut self,
        undo: bool,
    ) -> Result<BTreeMap<ServiceKey, Vec<Command>>, KernelError> {
        let mut drift: BTreeMap<_, Vec<_>> = BTreeMap::new();
        // What is not brought about yet is no drift.
        if self.has_work() || self.in_doubt || self.owned.is_empty() {
            return Ok(drift);
        }
        let present = self.kernel.read(&self.owned)?;
        for command in ipvs::plan(&present, &self.installed, &self.owned) {
            if let Some(service) = command.service() {
                drift.entry(service).or_default().push(command);
            }
        }
        if undo && !drift.is_empty() {
            self.installed = present;
            self.changed.extend(drift.keys());
        }
        Ok(drift)
    }

    /// The connections of these services' destinations.
    pub(crate) fn connections(
        &mut self,
        services: &BTreeSet<ServiceKey>,
    ) -> Result<Vec<(ServiceKey, DestinationKey, u64)>, KernelError> {
        let traffic = self.kernel.traffic(services)?;
        let counts = traffic.iter().flat_map(|(&service, traffic)| {
            let of =
                move |(&key, traffic): (&DestinationKey, &crate::kernel::DestinationTraffic)| {
                    (service, key, traffic.connections())
                };
            traffic.destinations.iter().map(of)
        });
        Ok(counts.collect())
    }

    /// What goes through our services.
    pub(crate) fn traffic(&mut self) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
        self.kernel.traffic(&self.owned)
    }

    /// Removes everything that is ours.
    pub(crate) fn release(&mut self) -> Convergence {
        self.desired = Table::new();
        self.changed.extend(&self.owned);
        self.daemon.want(None);
        self.converge()
    }

    /// Leaves everything as it is, in the kernel and in the journal.
    pub(crate) fn abandon(&mut self) {
        self.owned.clear();
        self.desired = Table::new();
        self.in_doubt = false;
        self.daemon.abandon();
    }
}

type Refusals = Vec<(Command, KernelError)>;

/// Those services of a table.
fn part(table: &Table, keys: &BTreeSet<ServiceKey>) -> Table {
    let mut part = Table::new();
    for entry in keys.iter().filter_map(|key| table.service(key)) {
        part.insert_entry(entry.clone());
    }
    part
}

fn entry(key: &ServiceKey) -> String {
    format!("{SERVICE}{key}")
}

/// Leaves out refusals that only follow from the refusal of their service.
fn without_consequences(refused: Refusals) -> Refusals {
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
