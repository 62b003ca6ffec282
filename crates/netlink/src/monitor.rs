//! The kernel's notifications.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use crate::error::{MonitorError, RequestError};
use crate::message::{Messages, NLMSG_OVERRUN};
use crate::socket::Socket;
use crate::sys;
use crate::transport::{Received, Transport};

/// Room for about 5,000 notifications.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Datagrams handed out by one poll, so that a storm of notifications does not hold up the caller.
const MAX_DATAGRAMS: usize = 1024;
/// Datagrams thrown away after a loss.
const MAX_DISCARDED: usize = 1 << 16;
/// Types below this are control messages.
const MIN_TYPE: u16 = 16;

/// Groups of notifications of `NETLINK_ROUTE` (`RTNLGRP_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Group {
    /// Links appear, change, disappear.
    Link,
    /// Neighbour table entries.
    Neighbour,
    /// IPv4 addresses.
    Ipv4Address,
    /// IPv4 routes.
    Ipv4Route,
    /// IPv4 rules.
    Ipv4Rule,
    /// IPv6 addresses.
    Ipv6Address,
    /// IPv6 routes.
    Ipv6Route,
    /// IPv6 rules.
    Ipv6Rule,
    /// Any other, by its number.
    Other(u16),
}

impl Group {
    /// The group's number (`linux/rtnetlink.h`).
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Link => 1,
            Self::Neighbour => 3,
            Self::Ipv4Address => 5,
            Self::Ipv4Route => 7,
            Self::Ipv4Rule => 8,
            Self::Ipv6Address => 9,
            Self::Ipv6Route => 11,
            Self::Ipv6Rule => 19,
            Self::Other(number) => number,
        }
    }
}

/// How far a [`Monitor::poll`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the queue is empty or it is not")]
pub enum Progress {
    /// The queue is empty: wait for the descriptor.
    Drained,
    /// Notifications are left: call again.
    More,
}

/// A non-blocking listener to notifications of `NETLINK_ROUTE`.
///
/// To know a table: open the monitor, *then* dump, then poll. After [`MonitorError::Overrun`] dump again.
#[derive(Debug)]
pub struct Monitor {
    transport: Transport,
}

impl Monitor {
    /// Listens to `groups` in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// [`RequestError::Socket`], for example for a group that does not exist.
    pub fn open(groups: &[Group]) -> Result<Self, RequestError> {
        Self::with_receive_buffer(groups, RECEIVE_BUFFER)
    }

    /// As [`open`](Self::open), with room for `octets` of waiting notifications (the kernel counts
    /// about 1 KiB for each).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_receive_buffer(groups: &[Group], octets: usize) -> Result<Self, RequestError> {
        let failed =
            |call, errno: Errno| RequestError::Socket { call, errno: errno.raw_os_error() };
        let transport =
            Transport::open(None, octets).map_err(|(call, errno)| failed(call, errno))?;
        for group in groups {
            transport
                .set_option(sys::ADD_MEMBERSHIP, group.number().into())
                .map_err(|errno| failed("setsockopt", errno))?;
        }
        Ok(Self { transport })
    }

    /// From now on leaves out notifications of these types that follow from requests of `socket`, whose results its owner knows. Not all of the
    /// kernel's notifications tell whose request they follow from: those of IPv6 addresses do not, and come as before.
    ///
    /// # Errors
    ///
    /// [`RequestError::Socket`].
    pub fn ignore(&mut self, socket: &Socket, types: [u16; 2]) -> Result<(), RequestError> {
        let failed =
            |call| move |errno: Errno| RequestError::Socket { call, errno: errno.raw_os_error() };
        let port = socket.port().map_err(failed("getsockname"))?;
        self.transport.ignore(port, types).map_err(failed("setsockopt"))
    }

    /// Hands waiting notifications to `each` (type, payload) without blocking.
    ///
    /// # Errors
    ///
    /// [`MonitorError::Overrun`] when notifications were lost.
    pub fn poll(&mut self, mut each: impl FnMut(u16, &[u8])) -> Result<Progress, MonitorError> {
        for _ in 0..MAX_DATAGRAMS {
            match self.receive()? {
                Received::Datagram(datagram) => {
                    if !deliver(datagram, &mut each) {
                        return Err(self.gap());
                    }
                }
                Received::Foreign => {}
                Received::Nothing => return Ok(Progress::Drained),
                Received::Truncated { .. } | Received::Overrun => return Err(self.gap()),
            }
        }
        Ok(Progress::More)
    }

    fn receive(&mut self) -> Result<Received<'_>, MonitorError> {
        let received = self.transport.receive();
        received.map_err(|errno| MonitorError::Socket { call: "recv", errno: errno.raw_os_error() })
    }

    /// What is queued is older than the gap. A dump taken after this is newer, and must not be
    /// overwritten by it.
    fn gap(&mut self) -> MonitorError {
        for _ in 0..MAX_DISCARDED {
            match self.receive() {
                Ok(Received::Nothing) => break,
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        MonitorError::Overrun
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }
}

/// Hands out the messages of one datagram; false when part of it could not be read.
fn deliver(datagram: &[u8], each: &mut impl FnMut(u16, &[u8])) -> bool {
    for message in Messages::new(datagram) {
        match message {
            Ok(message) if message.message_type >= MIN_TYPE => {
                each(message.message_type, message.payload);
            }
            Ok(message) if message.message_type == NLMSG_OVERRUN => return false,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::tests::message;

    #[test]
    fn control_messages_are_not_events() {
        let mut bytes = message(1, 0, 0, &[]);
        bytes.extend(message(16, 0, 0, &[1]));
        let mut seen = Vec::new();
        assert!(deliver(&bytes, &mut |kind, payload: &[u8]| seen.push((kind, payload.to_vec()))));
        assert_eq!(seen, [(16, vec![1])]);
        assert!(!deliver(&message(NLMSG_OVERRUN, 0, 0, &[]), &mut |_, _| {}));
        assert!(!deliver(&[0; 16], &mut |_, _| {}));
    }

    proptest! {
        #[test]
        fn arbitrary_notifications_never_panic(datagram in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut octets = 0;
            deliver(&datagram, &mut |_, payload: &[u8]| octets += payload.len());
            prop_assert!(octets <= datagram.len());
        }
    }
}
