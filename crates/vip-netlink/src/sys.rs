//! The one thing that no safe wrapper offers: `struct sockaddr_ll` (`packet(7)`).

#![expect(unsafe_code, reason = "rustix has no address type for packet sockets")]

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};

/// Where a frame leaves: an interface. The frame itself names its receiver.
#[derive(Debug)]
pub(crate) struct LinkLayerAddress(libc::sockaddr_ll);

const LEN: SocketAddrLen = 20;
const _: () = assert!(size_of::<libc::sockaddr_ll>() == 20, "LEN is wrong here");

impl LinkLayerAddress {
    pub(crate) fn new(interface: u32) -> Self {
        // The kernel takes the protocol from the frame.
        Self::receiving(interface, 0)
    }

    /// Where frames of one Ethernet type are received.
    pub(crate) fn receiving(interface: u32, protocol: u16) -> Self {
        Self(libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
            sll_protocol: protocol.to_be(),
            sll_ifindex: interface.cast_signed(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        })
    }
}

// SAFETY: the pointer is to a live `sockaddr_ll`, readable for its whole length, which is LEN (asserted above), and its first
// field says so: AF_PACKET.
unsafe impl SocketAddrArg for LinkLayerAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        f(core::ptr::from_ref(&self.0).cast(), LEN)
    }
}
