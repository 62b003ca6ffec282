//! The interfaces of virtual MAC addresses: made before anything else, removed after everything else.

use journal::{Journal, JournalError};
use vip_netlink::{
    Change, Client, Entry, Macvlan, MacvlanError, SysctlChange, SysctlError,
    all_rp_filter_pushed_down, parent_sysctls,
};
use vrrp_fsm::vrrp_proto::AddressFamily;

use crate::links::Links;
use crate::virtual_router::VirtualRouter;

/// Why an interface for a virtual MAC address cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VirtualMacError {
    /// The interface.
    #[error(transparent)]
    Interface(#[from] MacvlanError),
    /// A setting that it needs.
    #[error(transparent)]
    Setting(#[from] SysctlError),
    /// It cannot be listed, so that nobody would remove it after a crash.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// All interfaces of virtual MAC addresses, and what was changed for them elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    all: Vec<Device>,
    /// Settings of other interfaces, in the order in which they were changed, and whose journal lists them.
    shared: Vec<(usize, SysctlChange)>,
}

#[derive(Debug)]
struct Device {
    /// The place of the virtual router among all.
    router: usize,
    macvlan: Macvlan,
    /// The name of the interface below: it may be made anew, under another index.
    parent: String,
    families: Families,
}

/// Of which families the addresses are.
#[derive(Clone, Copy, Debug)]
struct Families {
    ipv4: bool,
    ipv6: bool,
}

impl Families {
    fn of(virtual_router: &VirtualRouter, family: AddressFamily) -> Self {
        let is_ipv6 = |address: &crate::VirtualAddress| address.address().is_ipv6();
        let addresses = &virtual_router.addresses;
        Self {
            ipv4: family == AddressFamily::Ipv4 || !addresses.iter().all(is_ipv6),
            ipv6: family == AddressFamily::Ipv6 || addresses.iter().any(is_ipv6),
        }
    }

    fn sysctls(self, macvlan: &Macvlan) -> Result<Vec<SysctlChange>, SysctlError> {
        let mut changes = Vec::new();
        if self.ipv4 {
            let mut of_ipv4 = macvlan.sysctls(false)?;
            of_ipv4.retain(|change| !self.ipv6 || !change.name().ends_with("/disable_ipv6"));
            changes.extend(of_ipv4);
        }
        if self.ipv6 {
            changes.extend(macvlan.sysctls(true)?);
        }
        Ok(changes)
    }
}

impl Devices {
    /// Makes the interface of one virtual router, and sets it up.
    pub(crate) fn make(
        &mut self,
        router: usize,
        (virtual_router, family): (&VirtualRouter, AddressFamily),
        kernel: &mut Client,
        links: &Links,
        journal: &mut Journal,
    ) -> Result<(), VirtualMacError> {
        let Some(name) = virtual_router.device_name() else { return Ok(()) };
        // Its existence was checked before.
        let parent = links.by_name(&virtual_router.interface).map_or(0, |link| link.index);
        let mac = virtual_router.vrid.mac(family).octets();
        let macvlan = Macvlan::new(&name, parent, mac)?;
        let families = Families::of(virtual_router, family);
        let parent = virtual_router.interface.clone();
        let device = Device { router, macvlan, parent, families };
        self.install(device, kernel, links, journal)
    }

    fn install(
        &mut self,
        device: Device,
        kernel: &mut Client,
        links: &Links,
        journal: &mut Journal,
    ) -> Result<(), VirtualMacError> {
        let Device { router, ref macvlan, ref parent, families } = device;
        journal.record(&Entry::from(macvlan.clone()).to_string())?;
        let macvlan = macvlan.clone();
        let mut changes = Vec::new();
        if families.ipv4 {
            let names = links.names();
            let others = names.iter().map(String::as_str).filter(|name| *name != macvlan.name());
            changes.extend(all_rp_filter_pushed_down(others)?);
            changes.extend(parent_sysctls(parent)?);
        }
        kernel.create_macvlan(&macvlan)?;
        // From here on it is removed at the end, whatever else fails.
        self.all.push(device);
        for change in changes.into_iter().filter(SysctlChange::is_needed) {
            journal.record(&Entry::from(change.clone()).to_string())?;
            change.apply()?;
            self.shared.push((router, change));
        }
        for change in families.sysctls(&macvlan)? {
            change.apply()?;
        }
        Ok(kernel.set_up(&macvlan)?)
    }

    /// The indices of all of them.
    pub(crate) fn indices(&self, links: &Links) -> Vec<u32> {
        let link = |device: &Device| links.by_name(device.macvlan.name()).map(|link| link.index);
        self.all.iter().filter_map(link).collect()
    }

    /// The virtual routers whose interface is gone, or on another one than the name of theirs says now.
    pub(crate) fn missing(&self, links: &Links) -> Vec<usize> {
        let is_missing = |device: &&Device| {
            let Some(parent) = links.by_name(&device.parent) else { return false };
            let present = links.by_name(device.macvlan.name());
            present.is_none_or(|present| present.parent != Some(parent.index))
        };
        self.all.iter().filter(is_missing).map(|device| device.router).collect()
    }

    /// Makes the interface of this virtual router anew, after somebody has deleted it, maybe together with the one below.
    pub(crate) fn restore(
        &mut self,
        router: usize,
        kernel: &mut Client,
        links: &Links,
        journal: &mut Journal,
    ) -> Result<(), VirtualMacError> {
        let Some(place) = self.all.iter().position(|device| device.router == router) else {
            return Ok(());
        };
        let device = self.all.remove(place);
        let Some(parent) = links.by_name(&device.parent) else { return Ok(()) };
        let (name, mac) = (device.macvlan.name().to_owned(), device.macvlan.mac());
        let result = kernel.remove_macvlan(&device.macvlan).map_err(VirtualMacError::from);
        let result = result.and_then(|_| {
            drop(journal.forget(&Entry::from(device.macvlan.clone()).to_string()));
            Ok(Macvlan::new(&name, parent.index, mac)?)
        });
        let again = |macvlan| Device {
            router,
            macvlan,
            parent: device.parent.clone(),
            families: device.families,
        };
        match result {
            Ok(macvlan) => {
                let failed = self.install(again(macvlan.clone()), kernel, links, journal);
                if failed.is_err() && !self.all.iter().any(|one| one.router == router) {
                    self.all.push(again(macvlan));
                }
                failed
            }
            Err(error) => {
                self.all.push(device);
                Err(error)
            }
        }
    }

    /// Removes the interface of one virtual router. Settings stay as long as there are others; `forget` strikes an entry from its journal.
    pub(crate) fn remove_of(
        &mut self,
        router: usize,
        kernel: &mut Client,
        mut forget: impl FnMut(&str),
    ) {
        let Some(place) = self.all.iter().position(|device| device.router == router) else {
            return;
        };
        if self.all.len() == 1 {
            self.remove(kernel, |_, entry| forget(entry));
            return;
        }
        let device = self.all.remove(place);
        match kernel.remove_macvlan(&device.macvlan) {
            Ok(_) => forget(&Entry::from(device.macvlan).to_string()),
            Err(error) => log::error!("{error}"),
        }
        for (_, change) in self.shared.iter().filter(|(lister, _)| *lister == router) {
            forget(&Entry::from(change.clone()).to_string());
        }
    }

    /// Removes everything; `forget` strikes an entry from the journal of a virtual router. What cannot be removed stays listed for the
    /// next start.
    pub(crate) fn remove(&mut self, kernel: &mut Client, mut forget: impl FnMut(usize, &str)) {
        for device in self.all.drain(..).rev() {
            match kernel.remove_macvlan(&device.macvlan) {
                Ok(_) => forget(device.router, &Entry::from(device.macvlan).to_string()),
                Err(error) => log::error!("{error}"),
            }
        }
        for (router, change) in self.shared.drain(..).rev() {
            match change.undo() {
                Ok(_) => forget(router, &Entry::from(change).to_string()),
                Err(error) => log::error!("{error}"),
            }
        }
    }
}

/// A router that could not be built, or whose end was not clean, leaves no interfaces.
impl Drop for Devices {
    fn drop(&mut self) {
        if !(self.all.is_empty() && self.shared.is_empty())
            && let Ok(mut kernel) = Client::open()
        {
            self.remove(&mut kernel, |_, _| {});
        }
    }
}

/// Removes what dead processes have left of interfaces and settings, in the reverse order, and strikes it from their list; returns the names of the
/// interfaces that were there.
pub(crate) fn remove_leftovers(
    leftovers: &mut Vec<String>,
    kernel: &mut Client,
    journal: &mut Journal,
) -> Vec<String> {
    let mut removed = Vec::new();
    let mut kept = Vec::new();
    for text in core::mem::take(leftovers).into_iter().rev() {
        let Ok(entry @ (Entry::Macvlan(_) | Entry::Sysctl(_))) = text.parse::<Entry>() else {
            kept.push(text);
            continue;
        };
        // What is on an interface goes with it. What cannot be undone stays listed: the next start tries again.
        let Ok(change) = kernel.undo(&entry) else { continue };
        drop(journal.forget(&text));
        if let (Entry::Macvlan(macvlan), Change::Made) = (entry, change) {
            removed.push(macvlan.name().to_owned());
        }
    }
    kept.reverse();
    *leftovers = kept;
    removed
}
