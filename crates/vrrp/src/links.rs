//! What we know of the interfaces of this network namespace.

use core::net::IpAddr;
use std::collections::BTreeMap;

use vip_netlink::{Address, Link, Object, PresentAddress};
use vrrp_fsm::vrrp_proto::AddressFamily;

/// The interfaces, by index.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<u32, Link>,
}

impl Links {
    pub(crate) fn new(links: Vec<Link>) -> Self {
        Self { links: links.into_iter().map(|link| (link.index, link)).collect() }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    pub(crate) fn by_index(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.links.values().map(|link| link.name.clone()).collect()
    }

    /// Addresses as people write them: of many the first three, and how many more; nothing if there are none.
    pub(crate) fn shown_all<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a Address>,
    ) -> Option<String> {
        let mut addresses = addresses.into_iter();
        let first: Vec<String> = addresses.by_ref().take(3).map(|one| self.shown(one)).collect();
        let more = addresses.count();
        let text = first.join(", ");
        match (first.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(text),
            (false, more) => Some(format!("{text} and {more} more")),
        }
    }

    /// An address as people write it: with the name of its interface, which the kernel knows by a number.
    pub(crate) fn shown(&self, address: &Address) -> String {
        self.named(address.to_string(), Some(address.interface()))
    }

    /// The same for an address, a route or a rule.
    pub(crate) fn shown_object(&self, object: &Object) -> String {
        self.named(object.to_string(), object.interface())
    }

    fn named(&self, text: String, index: Option<u32>) -> String {
        match index.and_then(|index| self.by_index(index)) {
            Some(link) => {
                let (by_number, by_name) =
                    (format!(" dev {}", link.index), format!(" dev {}", link.name));
                text.replacen(&by_number, &by_name, 1)
            }
            None => text,
        }
    }

    /// The indices of those on which no frame can leave.
    pub(crate) fn down(&self) -> impl Iterator<Item = u32> {
        self.links.values().filter(|link| !link.up).map(|link| link.index)
    }

    /// The index of any of them.
    pub(crate) fn any(&self) -> Option<u32> {
        self.links.keys().next().copied()
    }

    /// Notes how a link is now; returns how it was.
    pub(crate) fn insert(&mut self, link: Link) -> Option<Link> {
        self.links.insert(link.index, link)
    }

    pub(crate) fn remove(&mut self, index: u32) {
        self.links.remove(&index);
    }
}

/// The address of a link to advertise from.
pub(crate) fn source_address(
    family: AddressFamily,
    link: u32,
    usable: &[PresentAddress],
) -> Option<IpAddr> {
    match family {
        AddressFamily::Ipv4 => vip_netlink::primary_ipv4(usable, link, &[]).map(IpAddr::V4),
        AddressFamily::Ipv6 => vip_netlink::link_local_ipv6(usable, link, &[]).map(IpAddr::V6),
    }
}
