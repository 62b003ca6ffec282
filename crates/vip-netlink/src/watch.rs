//! What shall be there against what is there: noticing what others do. Pure.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::address::{Address, PresentAddress};
use crate::client::Client;
use crate::error::QueryError;
use crate::monitor::Event;
use crate::object::{Object, ObjectKey};
use crate::route::Route;
use crate::rule::Rule;

/// Somebody else has changed what is ours. What to do about it (take it back, give up) is the caller's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deviation {
    /// It is not there any more.
    Lost {
        /// What shall be there.
        object: Object,
        /// An address: the index of an interface that has it now.
        now_on: Option<u32>,
    },
    /// It is there with other properties.
    Altered {
        /// What shall be there.
        object: Object,
        /// What is there.
        present: Object,
    },
    /// Duplicate address detection has found it on another host, too: the kernel does not use it.
    Duplicate {
        /// What shall be there.
        object: Object,
    },
    /// It is there again, as it shall be.
    Restored {
        /// What shall be there.
        object: Object,
    },
    /// An address that shall not be on this host is there.
    Intruded {
        /// The address.
        address: Address,
    },
}

/// A table of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "one for each kind of objects")]
pub enum Table {
    /// [`Client::addresses`].
    Addresses,
    /// [`Client::routes`].
    Routes,
    /// [`Client::rules`].
    Rules,
}

/// Notices when what shall be there is removed, moved or altered by others, from the events of a [`Monitor`](crate::Monitor).
///
/// Tell it what shall be there *before* it is added, and forget it *before* it is removed; hand it every event; and when the monitor is drained, read the tables that
/// are [`stale`](Self::stale) ([`Client::refresh`]) and ask for deviations. What came and went in between is none.
///
/// ```
/// use vip_netlink::{Address, Deviation, Event, Watch};
///
/// let vip = Address::new(3, "192.0.2.100".parse()?, 24)?;
/// let mut watch = Watch::new();
/// watch.hold(vip.clone()); // then Client::add
/// watch.handle_event(&Event::AddressRemoved(vip.clone())); // from Monitor::poll
/// let lost = Deviation::Lost { object: vip.into(), now_on: None };
/// assert_eq!(watch.poll_output(), Some(lost));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Watch {
    held: BTreeMap<ObjectKey, Held>,
    /// Addresses that are held or shunned, and where they are.
    places: BTreeMap<IpAddr, Places>,
    shunned: BTreeSet<IpAddr>,
    /// How many routes are held.
    routes: usize,
    stale: BTreeSet<Table>,
    /// What has changed since the last look.
    changed: BTreeSet<ObjectKey>,
    intruders: VecDeque<Address>,
}

/// Where an address is.
#[derive(Debug, Default)]
struct Places {
    /// Interfaces and prefix lengths.
    at: BTreeSet<(u32, u8)>,
    /// How many held objects it is part of.
    holders: usize,
}

#[derive(Debug)]
struct Held {
    object: Object,
    state: State,
    told: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    There,
    Gone,
    Altered(Object),
    Duplicate,
}

impl Watch {
    /// Nothing to look for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on it shall be there. It is taken to be so until there is news of it.
    pub fn hold(&mut self, object: impl Into<Object>) {
        let object = object.into();
        let held = Held { state: State::There, told: State::There, object: object.clone() };
        if self.held.insert(object.key(), held).is_some() {
            return;
        }
        match object {
            Object::Address(address) => {
                let places = self.places.entry(address.ip()).or_default();
                places.holders = places.holders.saturating_add(1);
            }
            Object::Route(_) => self.routes = self.routes.saturating_add(1),
            Object::Rule(_) => {}
        }
    }

    /// From now on it may be there or not.
    pub fn forget(&mut self, object: impl Into<Object>) {
        let object = object.into();
        if self.held.remove(&object.key()).is_none() {
            return;
        }
        match object {
            Object::Address(address) => {
                if let Some(places) = self.places.get_mut(&address.ip()) {
                    places.holders = places.holders.saturating_sub(1);
                }
                self.forget_places(address.ip());
            }
            Object::Route(_) => self.routes = self.routes.saturating_sub(1),
            Object::Rule(_) => {}
        }
    }

    /// From now on this address shall not be on this host, on no interface: a virtual address in Backup.
    pub fn shun(&mut self, ip: IpAddr) {
        self.shunned.insert(ip);
        self.places.entry(ip).or_default();
    }

    /// The end of [`shun`](Self::shun).
    pub fn allow(&mut self, ip: IpAddr) {
        self.shunned.remove(&ip);
        self.forget_places(ip);
    }

    fn forget_places(&mut self, ip: IpAddr) {
        let unheld = self.places.get(&ip).is_some_and(|places| places.holders == 0);
        if unheld && !self.shunned.contains(&ip) {
            self.places.remove(&ip);
        }
    }

    /// What shall be there, and is not, as far as we know: what taking it back means.
    pub fn missing(&self) -> impl Iterator<Item = &Object> {
        let gone = self.held.values().filter(|held| held.state == State::Gone);
        gone.map(|held| &held.object)
    }

    /// Takes in an event of the monitor.
    pub fn handle_event(&mut self, event: &Event) {
        match event {
            Event::AddressAdded(present) => self.note_address(present),
            Event::AddressRemoved(address) => {
                self.note_no_address(address);
                self.doubt_routes();
            }
            Event::RouteAdded(route) => self.note(Object::Route(route.clone())),
            Event::RouteRemoved(route) => {
                // Of several with one key another one may have gone.
                let key = ObjectKey::Route(route.key());
                let ours = |held: &Held| held.object.agrees_with(&Object::Route(route.clone()));
                if self.held.get(&key).is_some_and(ours) {
                    self.set(key, State::Gone);
                }
            }
            Event::RuleAdded(rule) => self.note(Object::Rule(rule.clone())),
            Event::RuleRemoved(rule) => {
                self.set(ObjectKey::Rule(Box::new(rule.key())), State::Gone);
            }
            Event::Link(link) if !link.up => self.doubt_routes(),
            Event::Link(_) => {}
            Event::LinkGone { index, .. } => {
                self.doubt_routes();
                let on = |held: &&Object| matches!(held, Object::Address(address) if address.interface() == *index);
                let objects: Vec<Object> =
                    self.held.values().map(|held| &held.object).filter(on).cloned().collect();
                for object in objects {
                    if let Object::Address(address) = object {
                        self.note_no_address(&address);
                    }
                }
            }
            Event::Overrun => {
                self.stale.extend([Table::Addresses, Table::Routes, Table::Rules]);
            }
        }
    }

    /// The kernel does not tell of routes that go with an interface or an address.
    fn doubt_routes(&mut self) {
        if self.routes > 0 {
            self.stale.insert(Table::Routes);
        }
    }

    /// The tables that have to be read again: news were lost, or the kernel tells none.
    pub fn stale(&self) -> impl Iterator<Item = Table> {
        self.stale.iter().copied()
    }

    /// The tags of the routes to read.
    fn route_tags(&self) -> BTreeSet<u8> {
        let tag = |held: &Held| match &held.object {
            Object::Route(route) => Some(route.tag()),
            Object::Address(_) | Object::Rule(_) => None,
        };
        self.held.values().filter_map(tag).collect()
    }

    /// Takes in all addresses, read after the last event.
    pub fn handle_addresses(&mut self, present: &[PresentAddress]) {
        self.stale.remove(&Table::Addresses);
        for places in self.places.values_mut() {
            places.at.clear();
        }
        let keys: BTreeSet<_> = present.iter().map(|present| present.address.key()).collect();
        self.set_missing(|object| match object {
            Object::Address(address) => !keys.contains(&address.key()),
            Object::Route(_) | Object::Rule(_) => false,
        });
        for present in present {
            self.note_address(present);
        }
    }

    /// Takes in all routes with the tags of those that shall be there, read after the last event.
    pub fn handle_routes(&mut self, present: &[Route]) {
        self.stale.remove(&Table::Routes);
        let keys: BTreeSet<_> = present.iter().map(Route::key).collect();
        self.set_missing(|object| match object {
            Object::Route(route) => !keys.contains(&route.key()),
            Object::Address(_) | Object::Rule(_) => false,
        });
        // Of several with one key one may be ours: it is noted last.
        let (ours, others): (Vec<&Route>, Vec<&Route>) = present.iter().partition(|route| {
            let held = self.held.get(&ObjectKey::Route(route.key()));
            held.is_some_and(|held| held.object.agrees_with(&Object::Route((*route).clone())))
        });
        for route in others.into_iter().chain(ours) {
            self.note(Object::Route(route.clone()));
        }
    }

    /// Takes in all rules, read after the last event.
    pub fn handle_rules(&mut self, present: &[Rule]) {
        self.stale.remove(&Table::Rules);
        let keys: BTreeSet<Rule> = present.iter().map(Rule::key).collect();
        self.set_missing(|object| match object {
            Object::Rule(rule) => !keys.contains(&rule.key()),
            Object::Address(_) | Object::Route(_) => false,
        });
        for rule in present {
            self.note(Object::Rule(rule.clone()));
        }
    }

    fn set_missing(&mut self, is_missing: impl Fn(&Object) -> bool) {
        for (key, held) in &mut self.held {
            if is_missing(&held.object) {
                held.state = State::Gone;
                self.changed.insert(key.clone());
            }
        }
    }

    fn note_address(&mut self, present: &PresentAddress) {
        let address = &present.address;
        let Some(places) = self.places.get_mut(&address.ip()) else { return };
        let place = (address.interface(), address.prefix_len());
        let is_new = places.at.insert(place);
        if is_new && self.shunned.contains(&address.ip()) {
            self.intruders.push_back(address.clone());
        }
        if present.duplicate {
            let (interface, ip, len) = address.key();
            self.set(ObjectKey::Address(interface, ip, len), State::Duplicate);
        } else {
            self.note(Object::Address(address.clone()));
        }
    }

    fn note_no_address(&mut self, address: &Address) {
        if let Some(places) = self.places.get_mut(&address.ip()) {
            places.at.remove(&(address.interface(), address.prefix_len()));
        }
        let (interface, ip, len) = address.key();
        self.set(ObjectKey::Address(interface, ip, len), State::Gone);
    }

    fn note(&mut self, present: Object) {
        let key = present.key();
        if let Some(held) = self.held.get_mut(&key) {
            let agrees = held.object.agrees_with(&present);
            held.state = if agrees { State::There } else { State::Altered(present) };
            self.changed.insert(key);
        }
    }

    fn set(&mut self, key: ObjectKey, state: State) {
        if let Some(held) = self.held.get_mut(&key) {
            held.state = state;
            self.changed.insert(key);
        }
    }

    /// The next deviation; ask when the monitor is drained and no table is stale. Each is told once, until it is different.
    pub fn poll_output(&mut self) -> Option<Deviation> {
        while let Some(address) = self.intruders.pop_front() {
            let place = (address.interface(), address.prefix_len());
            let places = self.places.get(&address.ip());
            let still = places.is_some_and(|places| places.at.contains(&place));
            if still && self.shunned.contains(&address.ip()) {
                return Some(Deviation::Intruded { address });
            }
        }
        while let Some(key) = self.changed.pop_first() {
            let Some(held) = self.held.get_mut(&key) else { continue };
            if held.state == held.told {
                continue;
            }
            held.told = held.state.clone();
            let object = held.object.clone();
            return Some(match held.state.clone() {
                State::There => Deviation::Restored { object },
                State::Gone => Deviation::Lost { now_on: self.place_of(&object), object },
                State::Altered(present) => Deviation::Altered { object, present },
                State::Duplicate => Deviation::Duplicate { object },
            });
        }
        None
    }

    fn place_of(&self, object: &Object) -> Option<u32> {
        let Object::Address(address) = object else { return None };
        let places = self.places.get(&address.ip())?;
        places.at.first().map(|(interface, _)| *interface)
    }
}

impl Client {
    /// Reads the tables that are [`stale`](Watch::stale) and hands them to the watch.
    ///
    /// # Errors
    ///
    /// [`QueryError`]; what could not be read stays stale.
    pub fn refresh(&mut self, watch: &mut Watch) -> Result<(), QueryError> {
        for table in watch.stale().collect::<Vec<Table>>() {
            match table {
                Table::Addresses => watch.handle_addresses(&self.addresses()?),
                Table::Routes => {
                    let mut routes = Vec::new();
                    for tag in watch.route_tags() {
                        routes.extend(self.routes(tag)?);
                    }
                    watch.handle_routes(&routes);
                }
                Table::Rules => watch.handle_rules(&self.rules()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
