//! A whole IPVS table as a value.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;

use netlink::errno;

use crate::command::Command;
use crate::destination::Destination;
use crate::key::{DestinationKey, ServiceKey};
use crate::service::Service;

/// Services with their destinations, ordered by key: what is, or what shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    services: BTreeMap<ServiceKey, Entry>,
}

/// One service of a [`Table`] with its destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    service: Service,
    destinations: BTreeMap<DestinationKey, Destination>,
}

impl Table {
    /// A table without services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a service in, or gives the one with its key new settings; destinations stay.
    pub fn insert(&mut self, service: Service) -> &mut Entry {
        match self.services.entry(service.key()) {
            MapEntry::Occupied(occupied) => {
                let entry = occupied.into_mut();
                entry.service = service;
                entry
            }
            MapEntry::Vacant(vacant) => {
                vacant.insert(Entry { service, destinations: BTreeMap::new() })
            }
        }
    }

    /// Puts a service in with its destinations; returns what was there under its key.
    pub fn insert_entry(&mut self, entry: Entry) -> Option<Entry> {
        self.services.insert(entry.service.key(), entry)
    }

    /// Takes a service out with its destinations.
    pub fn remove(&mut self, key: &ServiceKey) -> Option<Entry> {
        self.services.remove(key)
    }

    /// The service with this key.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Entry> {
        self.services.get(key)
    }

    /// The service with this key, to change its destinations.
    pub fn service_mut(&mut self, key: &ServiceKey) -> Option<&mut Entry> {
        self.services.get_mut(key)
    }

    /// Whether there is a service with this key.
    #[must_use]
    pub fn contains(&self, key: &ServiceKey) -> bool {
        self.services.contains_key(key)
    }

    /// The services, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&ServiceKey, &Entry)> {
        self.services.iter()
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &ServiceKey> {
        self.services.keys()
    }

    /// How many services.
    #[must_use]
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// Whether there is no service.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// Does what the kernel would do with its table: for tests and dry runs. Schedulers all exist here;
    /// daemons, timeouts and counters do not.
    ///
    /// # Errors
    ///
    /// The kernel's error number: `EEXIST` (17), `ESRCH` (3) or `ENOENT` (2).
    pub fn execute(&mut self, command: &Command) -> Result<(), i32> {
        match command {
            Command::NewService(service) => {
                if self.contains(&service.key()) {
                    return Err(errno::EEXIST);
                }
                self.insert(service.clone());
            }
            Command::SetService(service) => {
                self.services.get_mut(&service.key()).ok_or(errno::ESRCH)?.service =
                    service.clone();
            }
            Command::DelService(key) => {
                self.remove(key).ok_or(errno::ESRCH)?;
            }
            Command::NewDestination(key, destination) => {
                let entry = self.services.get_mut(key).ok_or(errno::ESRCH)?;
                if entry.destination(&destination.key()).is_some() {
                    return Err(errno::EEXIST);
                }
                entry.insert(*destination);
            }
            Command::SetDestination(key, destination) => {
                let entry = self.services.get_mut(key).ok_or(errno::ESRCH)?;
                *entry.destinations.get_mut(&destination.key()).ok_or(errno::ENOENT)? =
                    *destination;
            }
            Command::DelDestination(key, destination) => {
                let entry = self.services.get_mut(key).ok_or(errno::ESRCH)?;
                entry.remove(destination).ok_or(errno::ENOENT)?;
            }
            Command::Zero(Some(key)) if !self.contains(key) => return Err(errno::ESRCH),
            Command::Flush => self.services.clear(),
            Command::Zero(_)
            | Command::SetTimeouts(_)
            | Command::StartDaemon(_)
            | Command::StopDaemon(_) => {}
        }
        Ok(())
    }
}

impl Entry {
    /// The service.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Its destinations, by key.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.values()
    }

    /// How many destinations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.destinations.len()
    }

    /// Whether it has no destination.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.destinations.is_empty()
    }

    /// The destination with this key.
    #[must_use]
    pub fn destination(&self, key: &DestinationKey) -> Option<&Destination> {
        self.destinations.get(key)
    }

    /// Puts a destination in; returns the one it replaces.
    pub fn insert(&mut self, destination: Destination) -> Option<Destination> {
        self.destinations.insert(destination.key(), destination)
    }

    /// Takes a destination out.
    pub fn remove(&mut self, key: &DestinationKey) -> Option<Destination> {
        self.destinations.remove(key)
    }
}
