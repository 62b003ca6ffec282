//! Frames as they pass an interface, with the kernel's timestamps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::sys::{self, Instruction};
use crate::time::readable_before;

/// One captured Ethernet frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When the kernel saw it, since the Unix epoch (the clock of [`crate::now`]).
    pub at: Duration,
    /// The index of the interface it was seen on, in the namespace of the capture.
    pub link: u32,
    /// Whether it left through that interface (else it came in).
    pub outgoing: bool,
    /// The frame from its destination MAC address on.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The `EtherType` field, 0 for a frame too short to have one.
    pub fn ethertype(&self) -> u16 {
        self.bytes.get(12..14).and_then(|field| field.try_into().ok()).map_or(0, u16::from_be_bytes)
    }

    /// The source MAC address.
    pub fn source_mac(&self) -> Option<[u8; 6]> {
        self.bytes.get(6..12).and_then(|field| field.try_into().ok())
    }

    /// What follows the Ethernet header: an ARP message, an IP packet.
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(14..).unwrap_or_default()
    }

    /// Whether this is an IP packet (IPv4 without tunnels, IPv6 without extension headers) of this protocol.
    pub fn is_ip_protocol(&self, protocol: u8) -> bool {
        let offset = match self.ethertype() {
            0x0800 => 9,
            0x86dd => 6,
            _ => return false,
        };
        self.payload().get(offset) == Some(&protocol)
    }

    /// Whether this is an ARP message.
    pub fn is_arp(&self) -> bool {
        self.ethertype() == 0x0806
    }

    /// Whether this is a VRRP packet (IP protocol 112).
    pub fn is_vrrp(&self) -> bool {
        self.is_ip_protocol(112)
    }
}

/// Which frames a [`Capture`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// Every frame.
    All,
    /// ARP, VRRP over IPv4 and IPv6, and `ICMPv6` (neighbour discovery); the kernel drops the rest.
    Failover,
    /// ARP.
    Arp,
}

impl Filter {
    fn program(self) -> &'static [Instruction] {
        const FAILOVER: &[Instruction] = &[
            (LOAD_HALF, 0, 0, 12),
            (JUMP_EQUAL, 7, 0, 0x0806),
            (JUMP_EQUAL, 0, 2, 0x0800),
            (LOAD_BYTE, 0, 0, 23),
            (JUMP_EQUAL, 4, 5, 112),
            (JUMP_EQUAL, 0, 4, 0x86dd),
            (LOAD_BYTE, 0, 0, 20),
            (JUMP_EQUAL, 1, 0, 112),
            (JUMP_EQUAL, 0, 1, 58),
            (RETURN, 0, 0, u32::MAX),
            (RETURN, 0, 0, 0),
        ];
        const ARP: &[Instruction] = &[
            (LOAD_HALF, 0, 0, 12),
            (JUMP_EQUAL, 0, 1, 0x0806),
            (RETURN, 0, 0, u32::MAX),
            (RETURN, 0, 0, 0),
        ];
        const ALL: &[Instruction] = &[(RETURN, 0, 0, u32::MAX)];
        match self {
            Self::All => ALL,
            Self::Failover => FAILOVER,
            Self::Arp => ARP,
        }
    }
}

// Classic BPF (linux/filter.h).
const LOAD_WORD: u16 = 0x20; // ld [k]
const LOAD_HALF: u16 = 0x28; // ldh [k]
const LOAD_BYTE: u16 = 0x30; // ldb [k]
const JUMP_EQUAL: u16 = 0x15; // jeq #k
const RETURN: u16 = 0x06; // ret #k

/// Drops what leaves, and what was seen on the links `except`.
fn only_incoming(except: &[u32]) -> Vec<Instruction> {
    const PACKET_TYPE: u32 = 0xffff_f004; // SKF_AD_OFF + SKF_AD_PKTTYPE
    const INTERFACE: u32 = 0xffff_f008; // SKF_AD_OFF + SKF_AD_IFINDEX
    const OUTGOING: u32 = 4; // PACKET_OUTGOING, linux/if_packet.h
    let drop_if = |value| [(JUMP_EQUAL, 0, 1, value), (RETURN, 0, 0, 0)];
    let mut program = vec![(LOAD_WORD, 0, 0, PACKET_TYPE)];
    program.extend(drop_if(OUTGOING));
    program.push((LOAD_WORD, 0, 0, INTERFACE));
    program.extend(except.iter().copied().flat_map(drop_if));
    program
}

/// A packet socket that collects frames from the moment it is opened (16 MiB of them).
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
    /// Room for one frame.
    buffer: Mutex<Box<[u8]>>,
}

impl Capture {
    /// Captures on the namespace's interface `link`.
    pub fn open(namespace: &Namespace, link: &str, filter: Filter) -> io::Result<Self> {
        let socket =
            namespace.run(|| sys::packet_socket(sys::link_index(link)?, filter.program()))?;
        Ok(Self::of(socket))
    }

    /// Captures on all interfaces of the namespace; [`Frame::link`] and [`Frame::outgoing`] tell them apart.
    pub fn open_all(namespace: &Namespace, filter: Filter) -> io::Result<Self> {
        Ok(Self::of(namespace.run(|| sys::packet_socket(0, filter.program()))?))
    }

    /// Captures what comes in on all interfaces of the namespace but `except` (indices); the kernel drops the rest, so that
    /// a flood there does not fill the buffer. Interfaces that are made later are watched as well.
    pub fn open_incoming(
        namespace: &Namespace,
        except: &[u32],
        filter: Filter,
    ) -> io::Result<Self> {
        let mut program = only_incoming(except);
        program.extend(filter.program());
        Ok(Self::of(namespace.run(|| sys::packet_socket(0, &program))?))
    }

    fn of(socket: OwnedFd) -> Self {
        Self { socket, buffer: Mutex::new(vec![0; 65_536].into_boxed_slice()) }
    }

    /// Sends a frame, from its destination MAC address on, through the interface of [`Capture::open`].
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.socket, frame)?;
        Ok(())
    }

    /// The next frame, or none within `patience`.
    pub fn next(&self, patience: Duration) -> io::Result<Option<Frame>> {
        let end = Instant::now() + patience;
        loop {
            if let Some(frame) = self.queued()? {
                return Ok(Some(frame));
            }
            if !readable_before(self.socket.as_fd(), end)? {
                return Ok(None);
            }
        }
    }

    /// The first frame for which `wanted` gives something, or none within `patience`. Others are dropped.
    pub fn find<T>(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(&Frame) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let end = Instant::now() + patience;
        while let Some(frame) = self.next(end.saturating_duration_since(Instant::now()))? {
            if let Some(found) = wanted(&frame) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// All frames that are queued now.
    pub fn drain(&self) -> io::Result<Vec<Frame>> {
        let mut frames = Vec::new();
        while let Some(frame) = self.queued()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn queued(&self) -> io::Result<Option<Frame>> {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        // A link that went down is an error once; the socket goes on.
        let received = match sys::receive_frame(self.socket.as_fd(), &mut buffer) {
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => return Ok(None),
            other => other?,
        };
        Ok(received.map(|received| {
            let at = received.at.unwrap_or_else(crate::now);
            let bytes = buffer.get(..received.length).unwrap_or_default().to_vec();
            Frame { at, link: received.link, outgoing: received.outgoing, bytes }
        }))
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
