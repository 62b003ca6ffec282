//! Asking a link whether somebody has an address, through a packet socket.

use core::net::IpAddr;
use core::time::Duration;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

use crate::probe::{arp_probe, in_use, neighbour_probe};
use crate::sys::LinkLayerAddress;

const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

/// The longest frame that is looked at: neighbour advertisements have few options.
const FRAME_LEN: usize = 256;

/// So many frames of others are read in a turn before the clock is looked at.
const FRAMES_A_TURN: usize = 64;

/// Asks one link whether another host has an address: by ARP probes (RFC 5227) and by the neighbour solicitations of duplicate
/// address detection (RFC 4862), which change nobody's cache and need no address of our own.
#[derive(Debug)]
pub struct Prober {
    interface: u32,
    mac: [u8; 6],
    arp: OwnedFd,
    ipv6: OwnedFd,
}

impl Prober {
    /// Opens packet sockets on an interface of Ethernet address `mac`, in the network namespace of the calling thread. Needs
    /// `CAP_NET_RAW`.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn open(interface: u32, mac: [u8; 6]) -> io::Result<Self> {
        let open = |protocol: u16| -> io::Result<OwnedFd> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            // Nothing is received before it is bound to one interface.
            let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
            bind(&socket, &LinkLayerAddress::receiving(interface, protocol))?;
            Ok(socket)
        };
        Ok(Self { interface, mac, arp: open(ARP)?, ipv6: open(IPV6)? })
    }

    /// Whether one of `addresses` is in use by another host: asks up to three times within `timeout`, and returns the first
    /// address for which an answer comes. Whoever can send frames on the link can forge an answer.
    ///
    /// # Errors
    ///
    /// What the kernel says, for example that the interface is down; then nobody knows.
    pub fn probe(&self, addresses: &[IpAddr], timeout: Duration) -> io::Result<Option<IpAddr>> {
        let start = now();
        let end = start.checked_add(timeout).unwrap_or(start);
        self.drain()?;
        for sending in 0..3 {
            for address in addresses {
                self.send(*address)?;
            }
            let next = start + timeout * (sending + 1) / 3;
            let answer = self.answer(addresses, next.min(end))?;
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    fn send(&self, address: IpAddr) -> io::Result<()> {
        let to = LinkLayerAddress::new(self.interface);
        let sent = |socket: &OwnedFd, frame: &[u8]| {
            retry_on_intr(|| sendto(socket, frame, SendFlags::empty(), &to))
        };
        match address {
            IpAddr::V4(address) => sent(&self.arp, &arp_probe(self.mac, address))?,
            IpAddr::V6(address) => sent(&self.ipv6, &neighbour_probe(self.mac, address))?,
        };
        Ok(())
    }

    /// Forgets what came before the question.
    fn drain(&self) -> io::Result<()> {
        for socket in [&self.arp, &self.ipv6] {
            for _ in 0..FRAMES_A_TURN * 16 {
                if receive(socket, &mut [0; FRAME_LEN])?.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The first of `addresses` for which an answer comes until `end`.
    fn answer(&self, addresses: &[IpAddr], end: Instant) -> io::Result<Option<IpAddr>> {
        let mut frame = [0; FRAME_LEN];
        loop {
            for socket in [&self.arp, &self.ipv6] {
                for _ in 0..FRAMES_A_TURN {
                    let Some(length) = receive(socket, &mut frame)? else { break };
                    let shown = frame.get(..length).and_then(|frame| in_use(self.mac, frame));
                    if let Some(address) = shown.filter(|address| addresses.contains(address)) {
                        return Ok(Some(address));
                    }
                }
            }
            let left = end.saturating_duration_since(now());
            if left.is_zero() {
                return Ok(None);
            }
            let timeout = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
            let mut both = [&self.arp, &self.ipv6].map(|fd| PollFd::new(fd, PollFlags::IN));
            match poll(&mut both, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// The next frame, cut to the buffer; `None` when there is none.
fn receive(socket: &OwnedFd, frame: &mut [u8; FRAME_LEN]) -> io::Result<Option<usize>> {
    match retry_on_intr(|| recv(socket, frame.as_mut_slice(), RecvFlags::DONTWAIT)) {
        Ok((length, _)) => Ok(Some(length)),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a wait has to end")]
fn now() -> Instant {
    Instant::now()
}
