//! Sending announcements through a packet socket.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sendto, socket_with};

use crate::error::AnnounceError;
use crate::frame::{ArpForm, gratuitous_arp, unsolicited_na};
use crate::sys::LinkLayerAddress;

/// Tells the hosts on a link where an address is, in the network namespace in which it was opened.
///
/// It sends Ethernet frames and receives nothing. It never blocks: a frame for which there is no room is an error.
/// A frame sent while the interface is switched on but not [`up`](crate::Link::up) is lost without an error: announce (again) when a
/// [`Monitor`](crate::Monitor) has told that it is.
#[derive(Debug)]
pub struct Announcer {
    socket: OwnedFd,
}

impl Announcer {
    /// Opens a packet socket. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    ///
    /// [`AnnounceError::Open`].
    pub fn open() -> Result<Self, AnnounceError> {
        // Protocol 0: no frame is ever queued for this socket.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .map_err(|errno| AnnounceError::Open(errno.into()))?;
        Ok(Self { socket })
    }

    /// Sends one gratuitous ARP request: `address` is at `mac`. See [`gratuitous_arp`](crate::gratuitous_arp).
    ///
    /// # Errors
    ///
    /// [`AnnounceError::Send`].
    pub fn gratuitous_arp(
        &self,
        interface: u32,
        mac: [u8; 6],
        address: Ipv4Addr,
    ) -> Result<(), AnnounceError> {
        self.send(interface, address.into(), &gratuitous_arp(mac, address, ArpForm::Request))
    }

    /// Sends one unsolicited neighbour advertisement: `address` is at `mac`. The source is `address` itself, see
    /// [`unsolicited_na`](crate::unsolicited_na). `router`: does this host forward IPv6 packets
    /// ([`forwards_ipv6`](crate::forwards_ipv6))?
    ///
    /// # Errors
    ///
    /// [`AnnounceError::Send`].
    pub fn unsolicited_na(
        &self,
        interface: u32,
        mac: [u8; 6],
        address: Ipv6Addr,
        router: bool,
    ) -> Result<(), AnnounceError> {
        self.send(interface, address.into(), &unsolicited_na(mac, address, address, router))
    }

    /// Sends a frame that announces `address`, for other forms than the two above: see [`gratuitous_arp`](crate::gratuitous_arp)
    /// and [`unsolicited_na`](crate::unsolicited_na).
    ///
    /// # Errors
    ///
    /// [`AnnounceError::Send`].
    pub fn send(&self, interface: u32, address: IpAddr, frame: &[u8]) -> Result<(), AnnounceError> {
        let to = LinkLayerAddress::new(interface);
        match retry_on_intr(|| sendto(&self.socket, frame, SendFlags::empty(), &to)) {
            Ok(_) => Ok(()),
            Err(errno) => Err(self.failed(interface, address, errno)),
        }
    }

    fn failed(&self, interface: u32, address: IpAddr, errno: Errno) -> AnnounceError {
        let name = index_to_name(&self.socket, interface);
        let interface = name.unwrap_or_else(|_| format!("interface {interface}"));
        AnnounceError::Send { address, interface, source: errno.into() }
    }
}
