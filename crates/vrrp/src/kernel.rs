//! What happens to links and addresses outside of us, and what follows from it.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use reactor::Interest;
use vip_netlink::{
    Address, Event, Listen, Monitor, PresentAddress, Progress, SilenceError, Silenced,
};
use vrrp_fsm::{Fault, PathId};

use crate::addresses::{Companions, Held, with_causes};
use crate::builder::held;
use crate::error::BuildError;
use crate::event::EventKind;
use crate::instance::{Instance, Shared};
use crate::links::{Links, source_address};
use crate::orphans;
use crate::route::companions;
use crate::router::{MONITOR, Router, port_token};

const READINGS: usize = 16;

/// What the kernel refused is tried again so much later.
const RETRY: Duration = Duration::from_millis(200);

/// Octets for news of routes and rules that wait to be read: about a thousand.
const ROUTE_NEWS: usize = 1 << 20;

/// What may have changed and has not been looked at yet.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of flags")]
pub(crate) struct Changes {
    /// Events were lost: everything may have changed.
    everything: bool,
    links: bool,
    /// An address that we hold was removed, maybe by others.
    held: bool,
    /// An address that we might send from came or went.
    sources: bool,
    /// A route or rule may have gone.
    companions: bool,
}

impl Changes {
    pub(crate) const fn any(self) -> bool {
        self.everything || self.links || self.held || self.sources || self.companions
    }
}

impl Router {
    /// Reads the monitor's news and acts upon them.
    pub(crate) fn follow_kernel(&mut self) -> io::Result<()> {
        // What is left after so many readings is for the next turn: others may change things faster than we read.
        for _ in 0..READINGS {
            let mut events = Vec::new();
            let mut progress =
                self.monitor.poll(|event| events.push(event)).map_err(io::Error::other)?;
            if let Some(monitor) = &mut self.route_monitor {
                let of_routes = monitor.poll(|event| events.push(event));
                if of_routes.map_err(io::Error::other)? != Progress::Drained {
                    progress = Progress::More;
                }
            }
            for event in events {
                self.note(event);
            }
            if progress == Progress::Drained {
                break;
            }
        }
        if self.changes.any() {
            self.look();
        }
        Ok(())
    }

    /// Addresses may have gone of which there will be no news.
    pub(crate) fn doubt_addresses(&mut self) {
        (self.changes.held, self.changes.sources) = (true, true);
        self.look_at = Some(self.shared.now());
    }

    /// For virtual routers that have routes or rules: listens to what others do to them. Nobody else needs to hear of a full
    /// routing table's news.
    pub(crate) fn listen_to_routes(&mut self) -> Result<(), BuildError> {
        if self.route_monitor.is_none() {
            let monitor = Monitor::listening(Listen::ToRoutesOnly, ROUTE_NEWS)?;
            let registered = self.reactor.register(&monitor, Interest::Readable, MONITOR);
            registered.map_err(|source| BuildError::Open { what: "the event loop", source })?;
            self.route_monitor = Some(monitor);
        }
        Ok(())
    }

    fn note(&mut self, event: Event) {
        for index in &self.companions {
            if let Some(instance) = self.instances.get_mut(*index) {
                instance.addresses.companions.handle_event(&event);
                self.changes.companions = true;
            }
        }
        match event {
            Event::Link(link) => {
                let (index, mac, up) = (link.index, link.mac, link.up);
                let carrier = (up, link.carrier_ups);
                let before = self.shared.links.insert(link);
                self.changes.links = true;
                if before.as_ref().is_some_and(|before| (before.up, before.carrier_ups) != carrier)
                {
                    for instance in 0..self.instances.len() {
                        self.with(instance, |instance, shared| {
                            instance.schedule.handle_link(shared.now(), index, up);
                            instance.work(shared);
                        });
                    }
                }
                if before.is_some_and(|before| before.mac != mac) {
                    for instance in 0..self.instances.len() {
                        self.with(instance, |instance, shared| {
                            instance.handle_mac_changed(index, shared);
                        });
                    }
                }
            }
            Event::LinkGone { index, .. } => {
                self.shared.links.remove(index);
                self.changes.links = true;
            }
            Event::AddressAdded(present) => {
                let interface = present.address.interface();
                let candidate =
                    self.shared.ports.iter().any(|port| port.device.source() == interface);
                self.changes.sources |=
                    candidate && !self.virtual_addresses.contains_key(&present.address.key());
            }
            Event::AddressRemoved(address) => self.note_removed(&address),
            Event::Overrun => self.changes.everything = true,
            Event::RouteAdded(_)
            | Event::RouteRemoved(_)
            | Event::RuleAdded(_)
            | Event::RuleRemoved(_)
            | _ => {}
        }
    }

    fn note_removed(&mut self, address: &Address) {
        for (instance, index) in self.virtual_addresses.get(&address.key()).into_iter().flatten() {
            let held = self
                .instances
                .get(*instance)
                .and_then(|instance| instance.addresses.held.get(*index));
            self.changes.held |= held.is_some_and(|held| held.present && held.watched);
        }
        let ours = |instance: &Instance| {
            let mut paths = instance.machine.paths();
            paths.any(|path| instance.machine.source(path) == Some(address.ip()))
        };
        self.changes.sources |= self.instances.iter().any(ours);
    }

    /// Compares the kernel's tables with what we believe. What cannot be read now, or not be opened, is tried again soon: whoever
    /// has no descriptors or no memory left hears of no news when there are some again.
    fn look(&mut self) {
        self.compare();
        self.look_at = self.changes.any().then(|| self.shared.now() + RETRY);
    }

    fn compare(&mut self) {
        if self.changes.everything {
            let Ok(links) = self.shared.kernel.links() else { return };
            self.shared.links = Links::new(links);
            (self.changes.links, self.changes.held, self.changes.sources) = (true, true, true);
            self.changes.everything = false;
        }
        if core::mem::take(&mut self.changes.links) {
            self.apply_links();
        }
        if core::mem::take(&mut self.changes.companions) {
            self.apply_companions();
        }
        if !self.changes.held && !self.changes.sources {
            return;
        }
        let Ok(present) = self.shared.kernel.addresses() else { return };
        if core::mem::take(&mut self.changes.sources) {
            self.apply_sources(&present);
        }
        if core::mem::take(&mut self.changes.held) {
            self.apply_held(&present);
        }
    }

    /// The links and the addresses to advertise from may mean something else than before.
    pub(crate) fn look_again(&mut self) {
        (self.changes.links, self.changes.sources) = (true, true);
        self.look();
    }

    /// Links that went down or came back; interfaces that were deleted and made again.
    pub(crate) fn apply_links(&mut self) {
        let mut reopened = self.restore_devices();
        for index in 0..self.shared.ports.len() {
            let Some(port) = self.shared.ports.get_mut(index) else { continue };
            let Some(link) = self.shared.links.by_name(&port.device.name) else { continue };
            if link.index == port.device.index {
                continue;
            }
            let at = (link.index, link.parent);
            match port.reopen(&mut self.reactor, port_token(index), at) {
                Ok(()) => {
                    self.changes.sources = true;
                    reopened = true;
                }
                // Until then it has no link.
                Err(_) => self.changes.links = true,
            }
        }
        if self.rebind() || reopened {
            self.index();
            if let Err((virtual_router, error)) = self.refuse(&[]) {
                log::error!("{virtual_router}: {error}");
            }
        }
        for index in 0..self.instances.len() {
            self.with(index, |instance, shared| {
                // The interface of the addresses; that of another path is no fault, only its consequences are.
                let link = shared.links.by_name(&instance.settings.interface);
                let up = link.is_some_and(|link| link.up && instance.has_sockets_on(link, shared))
                    && instance.has_device(shared);
                if instance.settings.track_link || up {
                    instance.set_fault(Fault::LinkDown, !up, shared);
                }
                instance.watch(shared);
            });
        }
    }

    /// Makes interfaces of virtual MAC addresses anew that somebody has deleted, maybe with the ones below. Whether there were any.
    fn restore_devices(&mut self) -> bool {
        let missing = self.shared.devices.missing(&self.shared.links);
        for index in &missing {
            let Some(instance) = self.instances.get_mut(*index) else { continue };
            let Shared { devices, kernel, links, .. } = &mut self.shared;
            let Some(journal) = instance.addresses.journal() else { continue };
            let made = devices.restore(*index, kernel, links, journal);
            let name = instance.settings.device_name().unwrap_or_default();
            let link = made.map_err(|error| with_causes(&error));
            let link = link.and_then(|()| kernel.link(&name).map_err(|error| with_causes(&error)));
            match link {
                Ok(link) => drop(links.insert(link)),
                // It stays away from the election, without its interface, until it can be made.
                Err(error) => {
                    self.changes.links = true;
                    if self.look_at.is_none() {
                        log::error!("{}: {error}", instance.name);
                    }
                }
            }
        }
        if !missing.is_empty() {
            let Shared { devices, refusal, links, .. } = &mut self.shared;
            if let Err(error) = refusal.quieten(devices.indices(links)) {
                log::warn!("{error}");
            }
        }
        !missing.is_empty()
    }

    /// Refuses packets for the addresses of virtual routers without `Accept_Mode`, whoever is Master, and for `also`.
    pub(crate) fn refuse(&mut self, also: &[&Held]) -> Result<(), (String, SilenceError)> {
        let of = |held: &Held| Silenced::refused(held.address.ip(), held.address.interface());
        let mut refused = BTreeMap::new();
        if !also.is_empty() {
            // Of whom does not matter yet: all is told again after the change.
            refused.insert(usize::MAX, also.iter().copied().map(of).collect::<BTreeSet<_>>());
        }
        let mut first = String::new();
        let entry = self.shared.refusal.entry();
        for instance in
            self.instances.iter_mut().filter(|one| !one.settings.accepts() && !one.removed)
        {
            if first.is_empty() {
                first = instance.name.to_string();
            }
            if let Some(journal) = instance.addresses.journal() {
                // Tables that cannot be listed are better than none: all they do after a crash is to refuse.
                drop(journal.record(&entry));
            }
            refused.insert(instance.index, instance.addresses.held.iter().map(of).collect());
        }
        self.shared.refusal.refuse(refused).map_err(|error| (first, error))
    }

    /// After everything is released: the interfaces of virtual MAC addresses, and what was refused.
    pub(crate) fn remove_surroundings(&mut self) {
        let (shared, instances) = (&mut self.shared, &mut self.instances);
        shared.devices.remove(&mut shared.kernel, |router, entry| {
            if let Some(instance) = instances.get_mut(router) {
                instance.addresses.forget(entry);
            }
        });
        match shared.refusal.remove() {
            Ok(()) => {
                let entry = shared.refusal.entry();
                for instance in instances {
                    instance.addresses.forget(&entry);
                }
            }
            Err(error) => log::error!("{error}"),
        }
    }

    /// Tells of interfaces of virtual MAC addresses that dead processes had left.
    pub(crate) fn tell_removed(&self, removed: &[(usize, String)]) {
        for (router, name) in removed {
            if let Some(instance) = self.instances.get(*router) {
                let address = format!("interface {name}");
                self.shared.events.emit(&instance.name, EventKind::LeftoverRemoved { address });
            }
        }
    }

    /// After a name went to another interface, be it made anew or renamed: the addresses and the demultiplexer go by indices.
    /// Whether there were any.
    fn rebind(&mut self) -> bool {
        let mut rebound = false;
        for index in 0..self.instances.len() {
            self.with(index, |instance, shared| {
                if instance.is_bound(&shared.links) {
                    return;
                }
                // It fails while another of its interfaces is away; then that one's return tries again.
                let Ok(held) = held(&instance.settings, &shared.links, &[]) else { return };
                let present = !instance.addresses.present().is_empty();
                // What was on an interface that was deleted has gone with it; one that was renamed still has it.
                instance.addresses.release_now(&mut shared.kernel, &shared.links);
                let companions = companions(&instance.settings, &shared.links);
                let companions = Companions::new(companions.unwrap_or_default());
                instance.addresses.rebind(held, companions);
                rebound = true;
                if present {
                    instance.handle_removed(&[], None, shared);
                }
            });
        }
        rebound
    }

    /// The addresses to advertise from.
    pub(crate) fn apply_sources(&mut self, present: &[PresentAddress]) {
        let virtual_addresses: BTreeSet<IpAddr> =
            self.virtual_addresses.keys().map(|(_, ip, _)| *ip).collect();
        let is_own = |present: &&PresentAddress| !virtual_addresses.contains(&present.address.ip());
        let own_addresses: Vec<PresentAddress> = present.iter().filter(is_own).cloned().collect();
        for index in 0..self.instances.len() {
            self.with(index, |instance, shared| {
                // An owner's virtual addresses are its interface's own.
                let owner = instance.machine.priority().is_owner();
                let usable = if owner { present } else { own_addresses.as_slice() };
                let family = instance.machine.config().family;
                let paths: Vec<(PathId, usize)> = instance.paths().collect();
                for ((path, port), settings) in
                    paths.into_iter().zip(instance.settings.effective_paths())
                {
                    let link = shared.ports.get(port).map(|port| port.device.source());
                    let own = || link.and_then(|link| source_address(family, link, usable));
                    let source = settings.source.or_else(own);
                    if source != instance.machine.source(path) || source.is_none() {
                        instance.set_source(path, source, shared);
                    }
                }
            });
        }
    }

    /// Addresses that we believed to hold and that are not there.
    fn apply_held(&mut self, present: &[PresentAddress]) {
        let keys: BTreeSet<_> = present.iter().map(|present| present.address.key()).collect();
        for index in 0..self.instances.len() {
            let Some(instance) = self.instances.get(index) else { continue };
            let held = instance.addresses.held.iter().enumerate();
            let gone = held.filter(|(_, held)| {
                held.present && held.watched && !keys.contains(&held.address.key())
            });
            let gone: Vec<usize> = gone.map(|(index, _)| index).collect();
            let Some(first) = gone.first().and_then(|first| instance.addresses.held.get(*first))
            else {
                continue;
            };
            let ip = first.address.ip();
            let mut elsewhere = present.iter().filter(|present| present.address.ip() == ip);
            let elsewhere = elsewhere.next().map(|present| present.address.interface());
            let link = elsewhere.and_then(|index| self.shared.links.by_index(index));
            let now_on = link.map(|link| link.name.clone());
            self.with(index, |instance, shared| instance.handle_removed(&gone, now_on, shared));
        }
    }

    /// Routes and rules that we believed to hold and that are not there.
    fn apply_companions(&mut self) {
        for index in self.companions.clone() {
            let Some(instance) = self.instances.get_mut(index) else { continue };
            let Ok(lost) = instance.addresses.companions.lost(&mut self.shared.kernel) else {
                self.changes.companions = true;
                continue;
            };
            if !lost.is_empty() {
                self.with(index, |instance, shared| instance.handle_lost(&lost, shared));
            }
        }
    }

    /// Tells of addresses that are there before anybody was elected. An owner's have to be.
    pub(crate) fn warn_of_foreign(&self) {
        for instance in
            self.instances.iter().filter(|instance| !instance.machine.priority().is_owner())
        {
            let foreign = instance.addresses.held.iter().filter(|held| held.foreign);
            let foreign = foreign.map(|held| &held.address);
            if let Some(address) = self.shared.links.shown_all(foreign) {
                self.shared
                    .events
                    .emit(&instance.name, EventKind::AddressAlreadyPresent { address });
            }
        }
    }

    /// Removes what a dead predecessor left. Only an owner, who is Master at once, keeps what it wants anyway.
    pub(crate) fn remove_leftovers(&mut self, leftovers: &[(usize, String)]) {
        let Shared { kernel, links, events, .. } = &mut self.shared;
        for of_one in leftovers.chunk_by(|(one, _), (next, _)| one == next) {
            let Some(instance) =
                of_one.first().and_then(|(index, _)| self.instances.get_mut(*index))
            else {
                continue;
            };
            let take_over =
                |(_, text): &(usize, String)| instance.addresses.take_over(kernel, links, text);
            // What was made last goes first.
            let mut removed: Vec<Address> = of_one.iter().rev().filter_map(take_over).collect();
            removed.reverse();
            if let Some(address) = links.shown_all(&removed) {
                events.emit(&instance.name, EventKind::LeftoverRemoved { address });
            }
        }
    }

    /// Removes what dead processes left of virtual routers that are not ours: our own journals are locked.
    pub(crate) fn remove_orphans(&mut self, directory: &Path) {
        let orphans = orphans::sweep(directory, &mut self.shared.kernel);
        for of_one in orphans.chunk_by(|one, next| one.journal == next.journal) {
            let addresses: Vec<Address> =
                of_one.iter().map(|orphan| orphan.address.clone()).collect();
            // They were no stranger's.
            let ours = addresses.iter().filter_map(|one| self.virtual_addresses.get(&one.key()));
            for (instance, place) in ours.flatten() {
                let instance = self.instances.get_mut(*instance);
                if let Some(held) = instance.and_then(|own| own.addresses.held.get_mut(*place)) {
                    held.foreign = false;
                }
            }
            if let Some((first, address)) =
                of_one.first().zip(self.shared.links.shown_all(&addresses))
            {
                let kind = EventKind::LeftoverRemoved { address };
                self.shared.events.emit(&Arc::from(first.journal.as_str()), kind);
            }
        }
    }
}
