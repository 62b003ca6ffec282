//! News of links and addresses.

use std::os::fd::{AsFd, BorrowedFd};

use netlink::message_type::{RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK};
use netlink::{Group, MonitorError, Progress};

use crate::address::{Address, PresentAddress, codec};
use crate::error::QueryError;
use crate::link;

/// What has changed, by us or by others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The interface is new, or something about it has changed; this is how it is now.
    Link(link::Link),
    /// The interface does not exist any more.
    LinkGone {
        /// Its index.
        index: u32,
        /// The name it had.
        name: String,
    },
    /// The address is new, or one of its flags has changed; this is how it is now.
    AddressAdded(PresentAddress),
    /// The address does not exist any more.
    AddressRemoved(Address),
    /// News were lost: read links and addresses again. What comes after this event is newer than the loss.
    Overrun,
}

/// A non-blocking listener to changes of links and addresses in the network namespace in which it was opened.
///
/// To know how things are: open the monitor, *then* read [`links`](crate::Client::links) and
/// [`addresses`](crate::Client::addresses), then follow the events; on [`Event::Overrun`] read again.
#[derive(Debug)]
pub struct Monitor {
    inner: netlink::Monitor,
}

const GROUPS: [Group; 3] = [Group::Link, Group::Ipv4Address, Group::Ipv6Address];

impl Monitor {
    /// Starts to listen. Needs no privilege.
    ///
    /// # Errors
    ///
    /// [`QueryError::Open`].
    pub fn open() -> Result<Self, QueryError> {
        Ok(Self { inner: netlink::Monitor::open(&GROUPS).map_err(QueryError::Open)? })
    }

    /// As [`open`](Self::open), with room for `octets` of waiting news (the kernel counts about 1 KiB for each); the default is
    /// enough for about 5,000.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_receive_buffer(octets: usize) -> Result<Self, QueryError> {
        Ok(Self {
            inner: netlink::Monitor::with_receive_buffer(&GROUPS, octets)
                .map_err(QueryError::Open)?,
        })
    }

    /// Hands waiting events to `each`, in order, without blocking. [`Progress::More`]: there are more, call again.
    ///
    /// # Errors
    ///
    /// [`MonitorError::Socket`], when the socket cannot be read. A loss is no error but [`Event::Overrun`].
    pub fn poll(&mut self, mut each: impl FnMut(Event)) -> Result<Progress, MonitorError> {
        let polled = self.inner.poll(|kind, payload| {
            if let Some(event) = decode(kind, payload) {
                each(event);
            }
        });
        if polled == Err(MonitorError::Overrun) {
            each(Event::Overrun);
            return Ok(Progress::More);
        }
        polled
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

fn decode(kind: u16, payload: &[u8]) -> Option<Event> {
    match kind {
        RTM_NEWLINK => link::decode(payload).map(Event::Link),
        RTM_DELLINK => {
            link::decode(payload).map(|link| Event::LinkGone { index: link.index, name: link.name })
        }
        RTM_NEWADDR => codec::decode(payload).map(Event::AddressAdded),
        RTM_DELADDR => codec::decode(payload).map(|present| Event::AddressRemoved(present.address)),
        _ => None,
    }
}
