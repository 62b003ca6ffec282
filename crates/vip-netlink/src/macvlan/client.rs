//! Making, adopting and removing interfaces of one's own.

use netlink::errno::{EEXIST, ENODEV, EOPNOTSUPP, EPERM};
use netlink::message_type::{RTM_DELLINK, RTM_NEWLINK};
use netlink::{Flags, Payload, Request, RequestError};

use super::{Macvlan, MacvlanError};
use crate::change::Change;
use crate::client::Client;
use crate::link::{IFINFOMSG_LEN, Link};

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_GROUP: u16 = 27;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_MACVLAN_MODE: u16 = 1;

const AF_INET6: u16 = 10;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
/// `IN6_ADDR_GEN_MODE_NONE`: no link-local address, which would be made of the virtual MAC address (RFC 9568 §7.4).
const NO_GENERATED_ADDRESS: u8 = 1;

const IFF_UP: u32 = 0x1;

impl Client {
    /// Makes the macvlan, or adopts the one that is there already; then it is set down and has no addresses that the kernel makes up.
    ///
    /// A new one belongs to the group of its parent, and to its VRF. One of the same name is adopted if it is the same in every respect
    /// ([`Macvlan::is`]): left from an earlier life of its owner.
    ///
    /// # Errors
    ///
    /// [`MacvlanError::NoParent`], [`MacvlanError::NameTaken`], [`MacvlanError::NotSupported`], [`MacvlanError::NoPermission`] and others.
    pub fn create_macvlan(&mut self, device: &Macvlan) -> Result<(Change, Link), MacvlanError> {
        let links = self.links()?;
        let parent = links.iter().find(|link| link.index == device.parent);
        let Some(parent) = parent else {
            return Err(MacvlanError::NoParent {
                name: device.name.clone(),
                parent: device.parent,
                existing: links.into_iter().map(|link| link.name).collect(),
            });
        };
        let vrf = parent.master.filter(|master| {
            let is_vrf = |link: &Link| link.index == *master && link.kind.as_deref() == Some("vrf");
            links.iter().any(is_vrf)
        });
        let request = Request::new(
            RTM_NEWLINK,
            Flags::CREATE | Flags::EXCLUSIVE,
            encode(device, parent.group, vrf),
        );
        let change = match self.socket.request(&request) {
            Ok(()) => Change::Made,
            Err(error) if error.errno() == Some(EEXIST) => Change::Already,
            Err(error) => return Err(creation_error(device, error)),
        };
        let link = self.link(&device.name)?;
        if !device.is(&link) {
            return Err(MacvlanError::NameTaken {
                name: device.name.clone(),
                present: describe(&link),
            });
        }
        let down = self.set_flags(link.index, false);
        down.map_err(|error| refused("set down", &link.name, error))?;
        // Refused in the message that creates the interface; a kernel without IPv6 makes no address anyway.
        let quiet = Payload::with_header(&header(link.index, 0, 0)).nest(IFLA_AF_SPEC, |inside| {
            inside.nest(AF_INET6, |ipv6| ipv6.u8(IFLA_INET6_ADDR_GEN_MODE, NO_GENERATED_ADDRESS))
        });
        let quiet = Request::new(RTM_NEWLINK, Flags::NONE, quiet);
        match self.socket.request(&quiet) {
            Err(error) if error.errno() != Some(netlink::errno::EAFNOSUPPORT) => {
                Err(refused("configure", &device.name, error))
            }
            _ => Ok((change, link)),
        }
    }

    /// Sets the macvlan up: from now on it receives and answers with its MAC address.
    ///
    /// # Errors
    ///
    /// [`MacvlanError::MacInUse`] and others. A parent that is switched off is none: [`Link::up`] says when frames can leave.
    pub fn set_up(&mut self, device: &Macvlan) -> Result<(), MacvlanError> {
        let link = self.link(&device.name)?;
        let Err(source) = self.set_flags(link.index, true) else { return Ok(()) };
        let name = device.name.clone();
        Err(match source.errno() {
            Some(libc::EADDRINUSE) => {
                MacvlanError::MacInUse { name, holder: self.holder_of_mac(device) }
            }
            _ => refused("set up", &name, source),
        })
    }

    /// Who else on the same wire has the MAC address.
    fn holder_of_mac(&mut self, device: &Macvlan) -> Option<String> {
        let holder = self.links().unwrap_or_default().into_iter().find(|other| {
            let same_wire = other.parent == Some(device.parent) || other.index == device.parent;
            same_wire && other.mac == Some(device.mac) && other.name != device.name
        });
        holder.map(|link| link.name)
    }

    /// Removes the macvlan with everything on it. That there is none, or another interface of its name, is a success: then ours is gone.
    ///
    /// # Errors
    ///
    /// [`MacvlanError::NoPermission`] and others.
    pub fn remove_macvlan(&mut self, device: &Macvlan) -> Result<Change, MacvlanError> {
        let Some(link) = self.links()?.into_iter().find(|link| device.is(link)) else {
            return Ok(Change::Already);
        };
        let payload = Payload::with_header(&header(link.index, 0, 0));
        match self.socket.request(&Request::new(RTM_DELLINK, Flags::NONE, payload)) {
            Ok(()) => Ok(Change::Made),
            Err(error) if error.errno() == Some(ENODEV) => Ok(Change::Already),
            Err(error) => Err(refused("remove", &device.name, error)),
        }
    }

    fn set_flags(&mut self, index: u32, up: bool) -> Result<(), RequestError> {
        let flags = if up { IFF_UP } else { 0 };
        let payload = Payload::with_header(&header(index, flags, IFF_UP));
        self.socket.request(&Request::new(RTM_NEWLINK, Flags::NONE, payload))
    }
}

/// `struct ifinfomsg`.
fn header(index: u32, flags: u32, change: u32) -> [u8; IFINFOMSG_LEN] {
    let mut header = [0; IFINFOMSG_LEN];
    let fields = [0, index, flags, change].map(u32::to_ne_bytes);
    header.copy_from_slice(fields.as_flattened());
    header
}

fn encode(device: &Macvlan, group: u32, vrf: Option<u32>) -> Payload {
    let payload = Payload::with_header(&header(0, 0, 0))
        .text(IFLA_IFNAME, &device.name)
        .u32(IFLA_LINK, device.parent)
        .attribute(IFLA_ADDRESS, &device.mac)
        .u32(IFLA_GROUP, group)
        .nest(IFLA_LINKINFO, |inside| {
            inside
                .attribute(IFLA_INFO_KIND, b"macvlan")
                .nest(IFLA_INFO_DATA, |data| data.u32(IFLA_MACVLAN_MODE, device.mode.entry().0))
        });
    match vrf {
        Some(vrf) => payload.u32(IFLA_MASTER, vrf),
        None => payload,
    }
}

fn creation_error(device: &Macvlan, source: RequestError) -> MacvlanError {
    if source.errno() == Some(EOPNOTSUPP) {
        return MacvlanError::NotSupported { name: device.name.clone(), source };
    }
    refused("create", &device.name, source)
}

fn refused(operation: &'static str, name: &str, source: RequestError) -> MacvlanError {
    let name = name.to_owned();
    if source.errno() == Some(EPERM) {
        MacvlanError::NoPermission { operation, name, source }
    } else {
        MacvlanError::Refused { operation, name, source }
    }
}

fn describe(link: &Link) -> String {
    let kind = link.kind.as_deref().unwrap_or("no software interface");
    let mac = link.mac.map(|mac| format!(", MAC {}", super::Mac(mac))).unwrap_or_default();
    format!("index {}, {kind}{mac}", link.index)
}
