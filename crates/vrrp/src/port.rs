//! The sockets of one interface and family, and the virtual routers behind them.

use std::io;

use reactor::{Interest, Reactor, Registration, Token};
use vrrp_fsm::vrrp_proto::{AddressFamily, Vrid};

use crate::socket::{Device, ReceiveSocket, SendSocket};

/// One interface and family.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) device: Device,
    pub(crate) family: AddressFamily,
    /// One, and a second where authentication headers are used.
    pub(crate) receivers: Vec<ReceiveSocket>,
    pub(crate) sender: SendSocket,
    registrations: Vec<Registration>,
    /// The virtual routers that live here.
    pub(crate) members: Vec<usize>,
    wants: Wants,
    /// On the interface of a virtual MAC address: the group is joined on the one below as well, whose MAC address switches are to know
    /// as a member.
    _membership: Option<ReceiveSocket>,
}

/// What the virtual routers of a port want to hear.
#[derive(Clone, Debug)]
pub(crate) struct Wants {
    pub(crate) vrids: Vec<Vrid>,
    /// Whether one of them wants the group.
    pub(crate) multicast: bool,
    /// Whether one of them wants authentication headers.
    pub(crate) authentication_header: bool,
}

impl Port {
    /// Opens the sockets and joins the group if a member wants it.
    pub(crate) fn open(
        reactor: &mut Reactor,
        token: Token,
        device: Device,
        family: AddressFamily,
        members: Vec<usize>,
        wants: Wants,
    ) -> io::Result<Self> {
        let mut receivers = vec![ReceiveSocket::open(&device, family, &wants.vrids)?];
        if wants.authentication_header && family == AddressFamily::Ipv4 {
            receivers.push(ReceiveSocket::open_authenticated(&device, &wants.vrids)?);
        }
        if wants.multicast {
            for receiver in &mut receivers {
                receiver.join(family.multicast_group())?;
            }
        }
        let below = device.parent.clone().filter(|_| wants.multicast);
        let membership = below.map(|(name, index)| {
            let mut membership =
                ReceiveSocket::open(&Device { name, index, parent: None }, family, &[])?;
            membership.join(family.multicast_group())?;
            io::Result::Ok(membership)
        });
        let membership = membership.transpose()?;
        let sender = SendSocket::open(&device, family)?;
        let register = |receiver| reactor.register(receiver, Interest::Readable, token);
        let registrations = receivers.iter().map(register).collect::<io::Result<_>>()?;
        Ok(Self {
            device,
            family,
            receivers,
            sender,
            registrations,
            members,
            wants,
            _membership: membership,
        })
    }

    /// Opens new sockets in the place of the old: the interface was deleted and is back under another index.
    pub(crate) fn reopen(
        &mut self,
        reactor: &mut Reactor,
        token: Token,
        (index, parent): (u32, Option<u32>),
    ) -> io::Result<()> {
        let below = self.device.parent.clone();
        let parent = below.map(|(name, former)| (name, parent.unwrap_or(former)));
        let device = Device { name: self.device.name.clone(), index, parent };
        let (members, wants) = (self.members.clone(), self.wants.clone());
        let new = Self::open(reactor, token, device, self.family, members, wants)?;
        let old = core::mem::replace(self, new);
        // The kernel forgets a descriptor when it is closed, which happens here.
        for registration in old.registrations {
            reactor.forget(registration);
        }
        Ok(())
    }
}
