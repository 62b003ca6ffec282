//! Raw VRRP sockets: one receiver per interface and address family, one sender likewise, each
//! shared by all virtual routers there. Where one of them uses authentication headers, a second
//! receiver takes those packets.
//!
//! A receiver is bound to its device and carries a kernel filter with the VRIDs of this process, so
//! that advertisements of foreign virtual routers cost a few instructions and no wake-up (nor are
//! they counted). The filter is attached first and the queue emptied once after binding: whatever
//! arrived between `socket(2)` and `bind(2)` may be of another interface.

pub(crate) mod control;
pub(crate) mod filter;
mod ipv4;
mod ipv6;

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::sockopt;
use socket2::Socket;
use vrrp_fsm::vrrp_proto::{AddressFamily, Vrid};

use crate::sys::{self, Batch, Outgoing, Taken};

/// IP protocol number of VRRP (RFC 9568 §5.1.1.4).
const PROTOCOL: i32 = 112;

/// Octets asked for the receive queue. The default keeps about 256 advertisements, which is less
/// than one interval of 255 virtual routers; an advertisement costs about 800 octets of it.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Octets that may wait in the queues of the interface: the default keeps about 250 advertisements.
const SEND_BUFFER: usize = 1 << 20;

/// `SO_PRIORITY` of control traffic (`TC_PRIO_CONTROL`, `include/uapi/linux/pkt_sched.h`), so that our
/// own queueing discipline does not hold advertisements behind bulk data.
const CONTROL_PRIORITY: u32 = 7;

/// `DSCP` CS6, internetwork control, as a traffic class octet.
const TRAFFIC_CLASS: u32 = 0xC0;

/// Hop limit of an advertisement (RFC 9568 §5.1.1.3, §5.1.2.3).
const HOP_LIMIT: u32 = 255;

/// What a socket is bound to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) index: u32,
    /// The interface below that of a virtual MAC address.
    pub(crate) parent: Option<(String, u32)>,
}

impl Device {
    /// The index of the interface whose addresses are the source of advertisements.
    pub(crate) fn source(&self) -> u32 {
        self.parent.as_ref().map_or(self.index, |(_, parent)| *parent)
    }
}

/// A receiver of advertisements on one interface, of one family.
#[derive(Debug)]
pub(crate) struct ReceiveSocket {
    socket: Socket,
    device: Device,
    groups: BTreeMap<IpAddr, usize>,
    overflow: Option<u32>,
}

impl ReceiveSocket {
    /// Opens a receiver for the VRIDs given, in no multicast group yet.
    pub(crate) fn open(device: &Device, family: AddressFamily, vrids: &[Vrid]) -> io::Result<Self> {
        let socket = match family {
            AddressFamily::Ipv4 => ipv4::receiver(device, PROTOCOL, &filter::ipv4(vrids))?,
            AddressFamily::Ipv6 => ipv6::receiver(device, &filter::ipv6(vrids))?,
        };
        Self::prepare(socket, device)
    }

    /// Opens a receiver for advertisements behind an authentication header, which are of another IP protocol.
    pub(crate) fn open_authenticated(device: &Device, vrids: &[Vrid]) -> io::Result<Self> {
        let filter = filter::ipv4_authenticated(vrids);
        Self::prepare(ipv4::receiver(device, libc::IPPROTO_AH, &filter)?, device)
    }

    fn prepare(socket: Socket, device: &Device) -> io::Result<Self> {
        if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
            // Without CAP_NET_ADMIN the kernel caps it at net.core.rmem_max.
            sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
        }
        sys::enable_overflow_counter(socket.as_fd())?;
        let mut receiver =
            Self { socket, device: device.clone(), groups: BTreeMap::new(), overflow: None };
        receiver.discard_early()?;
        Ok(receiver)
    }

    /// Joins a multicast group, once however many virtual routers want it.
    pub(crate) fn join(&mut self, group: IpAddr) -> io::Result<()> {
        let users = self.groups.entry(group).or_insert(0);
        if *users == 0 {
            match group {
                IpAddr::V4(group) => ipv4::join(&self.socket, group, self.device.index)?,
                IpAddr::V6(group) => self.socket.join_multicast_v6(&group, self.device.index)?,
            }
        }
        *users += 1;
        Ok(())
    }

    /// Takes a batch of datagrams off the queue.
    pub(crate) fn receive(&self, batch: &mut Batch) -> io::Result<Taken> {
        batch.receive(self.socket.as_fd())
    }

    /// Notes the overflow counter that came with a datagram; true when datagrams were lost since.
    pub(crate) fn note_overflow(&mut self, counter: u32) -> bool {
        let lost = self.overflow.unwrap_or(0) != counter;
        self.overflow = Some(counter);
        lost
    }

    /// Whether datagrams were lost since the last time this was asked or noted.
    pub(crate) fn has_overflowed(&mut self) -> bool {
        sys::lost_datagrams(self.socket.as_fd()).is_ok_and(|counter| self.note_overflow(counter))
    }

    fn discard_early(&mut self) -> io::Result<()> {
        let mut batch = Batch::new();
        for _ in 0..64 {
            if batch.receive(self.socket.as_fd())?.is_all {
                break;
            }
        }
        Ok(())
    }
}

impl AsFd for ReceiveSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A sender of advertisements out of one interface, of one family. It never receives.
#[derive(Debug)]
pub(crate) struct SendSocket {
    socket: Socket,
    device: Device,
}

impl SendSocket {
    /// Opens a sender.
    pub(crate) fn open(device: &Device, family: AddressFamily) -> io::Result<Self> {
        let socket = match family {
            AddressFamily::Ipv4 => ipv4::sender(device)?,
            AddressFamily::Ipv6 => ipv6::sender(device)?,
        };
        // A hint only; not worth refusing to run.
        if let Err(error) = socket.set_priority(CONTROL_PRIORITY) {
            log::debug!("{}: SO_PRIORITY of the advertisements not set: {error}", device.name);
        }
        if sockopt::set_socket_send_buffer_size_force(&socket, SEND_BUFFER).is_err() {
            sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
        }
        Ok(Self { socket, device: device.clone() })
    }

    /// Sends advertisements without waiting, as many as one call takes, and returns how many it took: see [`sys::send_batch`].
    pub(crate) fn send<'a>(
        &self,
        is_direct: bool,
        messages: impl IntoIterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        sys::send_batch(self.socket.as_fd(), self.device.index, is_direct, messages)
    }
}
