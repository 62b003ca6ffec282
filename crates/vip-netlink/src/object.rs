//! What a host holds together with a virtual address: addresses, routes and rules, as one kind of thing.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use netlink::message_type::{
    RTM_DELADDR, RTM_DELROUTE, RTM_DELRULE, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWRULE,
};
use netlink::{Flags, Request};

use crate::address::{Address, InvalidAddress};
use crate::error::Action;
use crate::route::{InvalidRoute, Route, RouteKey};
use crate::rule::{InvalidRule, Rule};
use crate::{address, route, rule};

/// An address, a route or a routing rule.
///
/// `Display` and `FromStr` agree with each other. Text of an address is that of [`Address`]; the others start with `route ` and `rule `.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Object {
    /// An address of an interface.
    Address(Address),
    /// A route.
    Route(Route),
    /// A routing rule.
    Rule(Rule),
}

/// What tells an object from others in the kernel's eyes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ObjectKey {
    /// Interface index, address, prefix length ([`Address::key`]).
    Address(u32, IpAddr, u8),
    /// Table, destination, metric ([`Route::key`]).
    Route(RouteKey),
    /// Everything but the tag.
    Rule(Box<Rule>),
}

impl Object {
    /// What tells this object from others in the kernel's eyes.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Address(address) => {
                let (interface, ip, prefix_len) = address.key();
                ObjectKey::Address(interface, ip, prefix_len)
            }
            Self::Route(route) => ObjectKey::Route(route.key()),
            Self::Rule(rule) => ObjectKey::Rule(Box::new(rule.key())),
        }
    }

    /// Is `present` this object, with these properties? See [`Address::agrees_with`], [`Route::agrees_with`] and [`Rule::agrees_with`].
    #[must_use]
    pub fn agrees_with(&self, present: &Self) -> bool {
        match (self, present) {
            (Self::Address(one), Self::Address(other)) => one.agrees_with(other),
            (Self::Route(one), Self::Route(other)) => one.agrees_with(other),
            (Self::Rule(one), Self::Rule(other)) => one.agrees_with(other),
            _ => false,
        }
    }

    /// The index of the interface that it is on, if it is on one.
    #[must_use]
    pub fn interface(&self) -> Option<u32> {
        match self {
            Self::Address(address) => Some(address.interface()),
            Self::Route(route) => route.interface(),
            Self::Rule(_) => None,
        }
    }

    /// Is it of IPv6?
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_ipv6(),
            Self::Route(route) => route.destination().is_ipv6(),
            Self::Rule(rule) => rule.is_ipv6(),
        }
    }

    /// The request that adds it, or removes it.
    pub(crate) fn request(&self, action: Action) -> Request {
        let create = Flags::CREATE | Flags::EXCLUSIVE;
        match (self, action) {
            (Self::Address(address), Action::Add) => {
                Request::new(RTM_NEWADDR, create, address::codec::encode_new(address))
            }
            (Self::Address(address), Action::Remove) => {
                Request::new(RTM_DELADDR, Flags::NONE, address::codec::encode_delete(address))
            }
            (Self::Route(route), Action::Add) => {
                Request::new(RTM_NEWROUTE, create, route::codec::encode_new(route))
            }
            (Self::Route(route), Action::Remove) => {
                Request::new(RTM_DELROUTE, Flags::NONE, route::codec::encode_delete(route))
            }
            (Self::Rule(rule), Action::Add) => {
                Request::new(RTM_NEWRULE, create, rule::codec::encode(rule))
            }
            (Self::Rule(rule), Action::Remove) => {
                Request::new(RTM_DELRULE, Flags::NONE, rule::codec::encode(rule))
            }
        }
    }
}

impl From<Address> for Object {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl From<Route> for Object {
    fn from(route: Route) -> Self {
        Self::Route(route)
    }
}

impl From<Rule> for Object {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Route(route) => write!(f, "route {route}"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
        }
    }
}

impl FromStr for Object {
    type Err = InvalidObject;

    fn from_str(text: &str) -> Result<Self, InvalidObject> {
        if let Some(route) = text.strip_prefix("route ") {
            return Ok(Self::Route(route.parse()?));
        }
        if let Some(rule) = text.strip_prefix("rule ") {
            return Ok(Self::Rule(rule.parse()?));
        }
        Ok(Self::Address(text.parse()?))
    }
}

/// Why something is no [`Object`] that could be asked of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidObject {
    /// It is no address.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// It is no route.
    #[error(transparent)]
    Route(#[from] InvalidRoute),
    /// It is no rule.
    #[error(transparent)]
    Rule(#[from] InvalidRule),
}

impl Object {
    /// Is it something that can be asked of the kernel at all?
    ///
    /// # Errors
    ///
    /// [`InvalidObject`], see [`Route::check`] and [`Rule::check`]; an address is always.
    pub fn check(&self) -> Result<(), InvalidObject> {
        match self {
            Self::Address(_) => Ok(()),
            Self::Route(route) => Ok(route.check()?),
            Self::Rule(rule) => Ok(rule.check()?),
        }
    }
}
