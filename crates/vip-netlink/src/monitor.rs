//! News of links and addresses.

use std::os::fd::{AsFd, BorrowedFd};

use netlink::message_type::{
    RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_DELRULE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE,
    RTM_NEWRULE,
};
use netlink::{Group, MonitorError, Progress};

use crate::address::{Address, PresentAddress, codec};
use crate::client::Client;
use crate::error::QueryError;
use crate::link;
use crate::route::{self, Route};
use crate::rule::{self, Rule};

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
    /// The route is new, or replaces another one.
    RouteAdded(Route),
    /// The route does not exist any more. The kernel tells so of those that somebody removes, and not of those that go with their
    /// interface or with their source address.
    RouteRemoved(Route),
    /// The rule is new.
    RuleAdded(Rule),
    /// The rule does not exist any more.
    RuleRemoved(Rule),
    /// News were lost: read links and addresses again. What comes after this event is newer than the loss.
    Overrun,
}

/// What a [`Monitor`] listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "there is no more to listen to")]
pub enum Listen {
    /// Links and addresses.
    #[default]
    ToAddresses,
    /// Routes and rules as well. On a router with a full table these are many.
    ToRoutesToo,
    /// Routes and rules, and neither links nor addresses: for a second monitor beside one that listens to those.
    ToRoutesOnly,
}

/// A non-blocking listener to changes of links and addresses, or of routes and rules, too, in the network namespace in which it was opened.
///
/// To know how things are: open the monitor, *then* read [`links`](crate::Client::links) and
/// [`addresses`](crate::Client::addresses), then follow the events; on [`Event::Overrun`] read again. A [`Watch`](crate::Watch) does
/// that for what is to be there.
#[derive(Debug)]
pub struct Monitor {
    inner: netlink::Monitor,
}

/// The last four are for routes and rules.
const GROUPS: [Group; 7] = [
    Group::Link,
    Group::Ipv4Address,
    Group::Ipv6Address,
    Group::Ipv4Route,
    Group::Ipv6Route,
    Group::Ipv4Rule,
    Group::Ipv6Rule,
];

fn groups(listen: Listen) -> &'static [Group] {
    match listen {
        Listen::ToAddresses => GROUPS.get(..3).unwrap_or_default(),
        Listen::ToRoutesToo => &GROUPS,
        Listen::ToRoutesOnly => GROUPS.get(3..).unwrap_or_default(),
    }
}

/// Enough for about 5,000 news.
const RECEIVE_BUFFER: usize = 4 << 20;

impl Monitor {
    /// Starts to listen. Needs no privilege.
    ///
    /// # Errors
    ///
    /// [`QueryError::Open`].
    pub fn open() -> Result<Self, QueryError> {
        Self::listening(Listen::ToAddresses, RECEIVE_BUFFER)
    }

    /// As [`open`](Self::open), with room for `octets` of waiting news (the kernel counts about 1 KiB for each); the default is
    /// enough for about 5,000.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_receive_buffer(octets: usize) -> Result<Self, QueryError> {
        Self::listening(Listen::ToAddresses, octets)
    }

    /// As [`with_receive_buffer`](Self::with_receive_buffer), with a choice of what to listen to.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn listening(listen: Listen, octets: usize) -> Result<Self, QueryError> {
        let inner = netlink::Monitor::with_receive_buffer(groups(listen), octets);
        Ok(Self { inner: inner.map_err(QueryError::Open)? })
    }

    /// From now on leaves out [`Event::AddressAdded`] and [`Event::AddressRemoved`] of IPv4 addresses that follow from what this client adds and removes:
    /// it knows, and of thousands each costs as much as half of the change itself. Left out are then also the secondary
    /// addresses that the kernel removes together with a primary one, where `promote_secondaries` is not set.
    ///
    /// # Errors
    ///
    /// [`QueryError::Open`].
    pub fn ignore_changes_of(&mut self, client: &Client) -> Result<(), QueryError> {
        let types = [RTM_NEWADDR, RTM_DELADDR];
        self.inner.ignore(&client.socket, types).map_err(QueryError::Open)
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
        RTM_NEWROUTE => route::codec::decode(payload).map(Event::RouteAdded),
        RTM_DELROUTE => route::codec::decode(payload).map(Event::RouteRemoved),
        RTM_NEWRULE => rule::codec::decode(payload).map(Event::RuleAdded),
        RTM_DELRULE => rule::codec::decode(payload).map(Event::RuleRemoved),
        RTM_DELADDR => codec::decode(payload).map(|present| Event::AddressRemoved(present.address)),
        _ => None,
    }
}
