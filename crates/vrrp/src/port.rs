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
    pub(crate) receiver: ReceiveSocket,
    pub(crate) sender: SendSocket,
    registration: Registration,
    /// The virtual routers that live here.
    pub(crate) members: Vec<usize>,
    vrids: Vec<Vrid>,
    multicast: bool,
}

impl Port {
    /// Opens both sockets and joins the group if a member wants it.
    pub(crate) fn open(
        reactor: &mut Reactor,
        token: Token,
        device: Device,
        family: AddressFamily,
        members: Vec<usize>,
        vrids: Vec<Vrid>,
        multicast: bool,
    ) -> io::Result<Self> {
        let mut receiver = ReceiveSocket::open(&device, family, &vrids)?;
        if multicast {
            receiver.join(family.multicast_group())?;
        }
        let sender = SendSocket::open(&device, family)?;
        let registration = reactor.register(&receiver, Interest::Readable, token)?;
        Ok(Self { device, family, receiver, sender, registration, members, vrids, multicast })
    }

    /// Opens new sockets in the place of the old: the interface was deleted and is back under another index.
    pub(crate) fn reopen(
        &mut self,
        reactor: &mut Reactor,
        token: Token,
        index: u32,
    ) -> io::Result<()> {
        let device = Device { name: self.device.name.clone(), index };
        let (members, vrids) = (self.members.clone(), self.vrids.clone());
        let new = Self::open(reactor, token, device, self.family, members, vrids, self.multicast)?;
        let old = core::mem::replace(self, new);
        // The kernel forgets a descriptor when it is closed, which happens here.
        reactor.forget(old.registration);
        Ok(())
    }
}
