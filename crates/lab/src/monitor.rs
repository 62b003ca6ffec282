//! Addresses as they come and go on a node, told by its kernel.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::sys;
use crate::time::readable_before;

/// An address was added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressEvent {
    /// When it was read, since the Unix epoch; at once when somebody waits in [`AddressMonitor::next`].
    pub at: Duration,
    /// Added, or removed.
    pub added: bool,
    /// The interface's index.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
}

/// Listens to a namespace's kernel from the moment it is opened. Not our own netlink crate: it is what checks it.
#[derive(Debug)]
pub struct AddressMonitor {
    socket: OwnedFd,
    queue: std::collections::VecDeque<AddressEvent>,
    buffer: Vec<u8>,
}

impl AddressMonitor {
    /// Starts listening.
    pub fn open(namespace: &Namespace) -> io::Result<Self> {
        Ok(Self {
            socket: namespace.run(sys::address_events)?,
            queue: std::collections::VecDeque::new(),
            buffer: vec![0; 65_536],
        })
    }

    /// The next event, or none within `patience`.
    pub fn next(&mut self, patience: Duration) -> io::Result<Option<AddressEvent>> {
        let end = Instant::now() + patience;
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(Some(event));
            }
            self.fill()?;
            if !self.queue.is_empty() {
                continue;
            }
            if !readable_before(self.socket.as_fd(), end)? {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        loop {
            let length = match rustix::io::read(&self.socket, &mut self.buffer) {
                Ok(length) => length,
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let mut rest = self.buffer.get(..length).unwrap_or_default();
            while let Some((event, next)) = message(rest) {
                self.queue.extend(event);
                rest = next;
            }
        }
    }
}

impl AsFd for AddressMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One message (`struct nlmsghdr`, linux/netlink.h) and the bytes after it; nothing where none is left.
fn message(bytes: &[u8]) -> Option<(Option<AddressEvent>, &[u8])> {
    const NEW_ADDRESS: u16 = 20; // RTM_NEWADDR, linux/rtnetlink.h
    const DELETED_ADDRESS: u16 = 21;
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(16..length)?;
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    let event = match kind {
        NEW_ADDRESS | DELETED_ADDRESS => address(body, kind == NEW_ADDRESS),
        _ => None,
    };
    Some((event, next))
}

/// `struct ifaddrmsg` and its attributes (`linux/if_addr.h`).
fn address(body: &[u8], added: bool) -> Option<AddressEvent> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    let prefix = *body.get(1)?;
    let link = u32::from_ne_bytes(*body.get(4..)?.first_chunk()?);
    let mut attributes = body.get(8..)?;
    let mut found = None;
    while let Some(header) = attributes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]);
        let value = attributes.get(4..length)?;
        // On a point-to-point link ADDRESS is the other end's; LOCAL is ours where it is given.
        if kind == LOCAL || (kind == ADDRESS && found.is_none()) {
            found = <[u8; 4]>::try_from(value)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from))
                .ok();
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(AddressEvent { at: crate::now(), added, link, address: found?, prefix })
}
