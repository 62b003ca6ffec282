//! What a router is made of, one kind of part after the other.

use std::collections::{BTreeMap, BTreeSet};

use journal::Journal;
use reactor::Reactor;
use vip_netlink::Client;
use vrrp_fsm::VirtualRouter as Machine;
use vrrp_fsm::vrrp_proto::{AddressFamily, Vrid};

use super::{RouterBuilder, find, seed, socket_error};
use crate::devices::{self, Devices};
use crate::error::BuildError;
use crate::event::EventSink;
use crate::links::Links;
use crate::port::{Port, Wants};
use crate::refusal::Refusal;
use crate::router;
use crate::socket::Device;
use crate::virtual_router::VirtualRouter;

/// Unread events that are kept, at least, and for each virtual router.
const EVENTS: usize = 256;

const EVENTS_OF_ONE: usize = 16;

impl RouterBuilder {
    pub(super) fn event_sink(&self) -> EventSink {
        let usual = (self.virtual_routers.len() * EVENTS_OF_ONE).max(EVENTS);
        EventSink::new(self.event_capacity.unwrap_or(usual))
    }

    pub(super) fn assign_group_guards(&mut self) -> Result<(), BuildError> {
        for (name, config, guard) in core::mem::take(&mut self.group_guards) {
            let names = || self.sync_groups.iter().map(|group| group.name.to_string()).collect();
            let unknown =
                BuildError::UnknownSyncGroup { name: name.to_string(), existing: names() };
            let group = self.sync_groups.iter_mut().find(|group| group.name == name);
            group.ok_or(unknown)?.guard = Some((config, guard));
        }
        Ok(())
    }

    pub(super) fn machines(&self, links: &Links) -> Result<Vec<Machine>, BuildError> {
        let mut machines = Vec::with_capacity(self.virtual_routers.len());
        for virtual_router in &self.virtual_routers {
            let name = || virtual_router.name.to_string();
            let config = virtual_router.config()?;
            find(links, virtual_router, &virtual_router.interface)?;
            for path in virtual_router.effective_paths() {
                let link = find(links, virtual_router, &path.interface)?;
                if path.is_multicast() && !link.multicast {
                    return Err(BuildError::NoMulticast {
                        virtual_router: name(),
                        interface: path.interface,
                    });
                }
            }
            let machine = Machine::new(config, seed())
                .map_err(|source| BuildError::Config { virtual_router: name(), source })?;
            machines.push(machine);
        }
        Ok(machines)
    }

    /// Makes the interfaces of virtual MAC addresses, in the place of what dead processes have left of them. They are kept
    /// quiet where the kernel can. Also returns which were removed.
    pub(super) fn devices(
        &self,
        kernel: &mut Client,
        links: &Links,
        journals: &mut [(Journal, Vec<String>)],
        refusal: &mut Refusal,
    ) -> Result<(Devices, Vec<(usize, String)>), BuildError> {
        let (mut devices, mut removed) = (Devices::default(), Vec::new());
        for (router, (journal, left)) in journals.iter_mut().enumerate() {
            let names = devices::remove_leftovers(left, kernel, journal);
            removed.extend(names.into_iter().map(|name| (router, name)));
        }
        for (router, (virtual_router, (journal, _))) in
            self.virtual_routers.iter().zip(journals).enumerate()
        {
            let name = || virtual_router.name.to_string();
            let family = virtual_router.decide_family()?;
            let made = devices.make(router, (virtual_router, family), kernel, links, journal);
            made.map_err(|source| BuildError::VirtualMac { virtual_router: name(), source })?;
            if virtual_router.virtual_mac.is_some() {
                let listed = journal.record(&refusal.entry());
                listed.map_err(|source| BuildError::Journal { virtual_router: name(), source })?;
            }
        }
        if let Err(error) = refusal.quieten(devices.indices(&Links::new(kernel.links()?))) {
            log::warn!(
                "switches may take a Backup for the holder of a virtual MAC address: {error}"
            );
        }
        Ok((devices, removed))
    }

    pub(super) fn ports(
        &self,
        reactor: &mut Reactor,
        links: &Links,
    ) -> Result<Vec<Port>, BuildError> {
        let mut members: BTreeMap<(String, AddressFamily), (BTreeSet<usize>, bool)> =
            BTreeMap::new();
        for (index, virtual_router) in self.virtual_routers.iter().enumerate() {
            let family = virtual_router.decide_family()?;
            for path in virtual_router.effective_paths() {
                let multicast = path.is_multicast();
                let interface = virtual_router.socket_interface(&path);
                let port = members.entry((interface, family)).or_default();
                port.0.insert(index);
                port.1 |= multicast;
            }
        }
        let mut ports = Vec::with_capacity(members.len());
        for ((name, family), (members, multicast)) in members {
            let here = || members.iter().filter_map(|index| self.virtual_routers.get(*index));
            let Some(link) = links.by_name(&name) else { continue };
            let vrids: Vec<Vrid> = here().map(|virtual_router| virtual_router.vrid).collect();
            let authentication_header = here().any(VirtualRouter::has_authentication_header);
            let wants = Wants { vrids, multicast, authentication_header };
            let members = members.iter().copied().collect();
            let is_device = here().any(|one| one.device_name().as_ref() == Some(&name));
            let parent = link.parent.and_then(|parent| links.by_index(parent));
            let parent = parent.filter(|_| is_device);
            let parent = parent.map(|parent| (parent.name.clone(), parent.index));
            let device = Device { name: name.clone(), index: link.index, parent };
            let token = router::port_token(ports.len());
            let port = Port::open(reactor, token, device, family, members, wants);
            ports.push(port.map_err(|source| socket_error(name, source))?);
        }
        Ok(ports)
    }
}
