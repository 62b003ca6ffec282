//! An address as we want it on an interface, and as the kernel has it.

use core::net::{IpAddr, Ipv4Addr};

pub(crate) mod codec;
mod text;

/// The longest label of an IPv4 address, in bytes (`IFNAMSIZ` - 1).
pub const MAX_LABEL_LEN: usize = 15;

/// How far away an IPv4 address is valid (`RT_SCOPE_*`, `rtnetlink(7)`). The kernel derives that of an IPv6 address from itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope(u8);

impl Scope {
    /// Everywhere: the default.
    pub const GLOBAL: Self = Self(0);
    /// Within the own autonomous system.
    pub const SITE: Self = Self(200);
    /// On this link.
    pub const LINK: Self = Self(253);
    /// On this host.
    pub const HOST: Self = Self(254);
    /// Nowhere.
    pub const NOWHERE: Self = Self(255);

    /// A scope by its number, 0 to 255.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The scope's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// An address as it shall be on an interface.
///
/// Built with [`Address::new`] and the methods named like its properties. `Display` and `FromStr` agree with each other, so that an address
/// can be written to a journal and removed by the process that reads it:
///
/// ```
/// use vip_netlink::Address;
///
/// let address = Address::new(3, "192.0.2.100".parse()?, 24)?.label("eth0:web")?;
/// assert_eq!(address.to_string(), "192.0.2.100/24 dev 3 label eth0:web");
/// assert_eq!("192.0.2.100/24 dev 3 label eth0:web".parse::<Address>()?, address);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The kernel tells addresses apart by interface, address and prefix length ([`Address::key`]), IPv4 ones also by the network of a peer. The interface is given by its index,
/// which stays when an interface is renamed and is not used again for another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    interface: u32,
    ip: IpAddr,
    prefix_len: u8,
    scope: Scope,
    label: Option<String>,
    broadcast: Option<Ipv4Addr>,
    peer: Option<IpAddr>,
    options: Options,
    protocol: u8,
}

/// A set of yes-or-no properties of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Options(u8);

impl Options {
    pub(crate) const DETECT_DUPLICATES: Self = Self(1);
    pub(crate) const DEPRECATED: Self = Self(2);
    pub(crate) const NO_PREFIX_ROUTE: Self = Self(4);
    pub(crate) const HOME: Self = Self(8);
    pub(crate) const MANAGE_TEMPORARY: Self = Self(16);
    pub(crate) const AUTOJOIN: Self = Self(32);

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { Self(self.0 & !other.0) }
    }
}

impl Address {
    /// An address on the interface with this index, with a prefix of 0 to 32 or 128 bits.
    ///
    /// It has what a virtual address needs: an IPv6 address does without duplicate address detection (it would be unusable for a
    /// second); with a prefix of 128 bits it is also *deprecated*, so that the kernel does not choose it as the source of the
    /// host's own connections.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress::PrefixLength`].
    pub fn new(interface: u32, ip: IpAddr, prefix_len: u8) -> Result<Self, InvalidAddress> {
        let max = if ip.is_ipv4() { 32 } else { 128 };
        if prefix_len > max {
            return Err(InvalidAddress::PrefixLength { ip, prefix_len, max });
        }
        Ok(Self {
            interface,
            ip,
            prefix_len,
            scope: Scope::GLOBAL,
            label: None,
            broadcast: None,
            peer: None,
            options: Options::default()
                .with(Options::DEPRECATED, ip.is_ipv6() && prefix_len == 128),
            protocol: 0,
        })
    }

    /// Gives an IPv4 address a label, 1 to [`MAX_LABEL_LEN`] printable characters without spaces.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress::Label`] for another text, or on an IPv6 address: the kernel has no place for it.
    pub fn label(mut self, label: &str) -> Result<Self, InvalidAddress> {
        let printable = label.chars().all(|c| !c.is_whitespace() && !c.is_control());
        if self.ip.is_ipv6() || !(1..=MAX_LABEL_LEN).contains(&label.len()) || !printable {
            return Err(InvalidAddress::Label { ip: self.ip, len: label.len() });
        }
        self.label = Some(label.to_owned());
        Ok(self)
    }

    /// Sets the scope of an IPv4 address; the default is global.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the broadcast address of an IPv4 address; the default is none.
    #[must_use]
    pub fn broadcast(mut self, broadcast: Ipv4Addr) -> Self {
        self.broadcast = Some(broadcast);
        self
    }

    /// Lets the kernel probe for duplicates of an IPv6 address before it uses it (about a second); the default is not to.
    #[must_use]
    pub fn detect_duplicates(self, detect: bool) -> Self {
        self.option(Options::DETECT_DUPLICATES, detect)
    }

    /// Marks the address so that it is not chosen as a source address. The default is so for IPv6 /128 only.
    #[must_use]
    pub fn deprecated(self, deprecated: bool) -> Self {
        self.option(Options::DEPRECATED, deprecated)
    }

    /// Makes the kernel add a route for the prefix, too; this is the default.
    #[must_use]
    pub fn prefix_route(self, prefix_route: bool) -> Self {
        self.option(Options::NO_PREFIX_ROUTE, !prefix_route)
    }

    /// Marks an IPv6 address as the home address of a mobile node (`IFA_F_HOMEADDRESS`).
    #[must_use]
    pub fn home(self, home: bool) -> Self {
        self.option(Options::HOME, home)
    }

    /// Makes the kernel derive temporary addresses from this IPv6 one (`IFA_F_MANAGETEMPADDR`).
    #[must_use]
    pub fn manage_temporary(self, manage: bool) -> Self {
        self.option(Options::MANAGE_TEMPORARY, manage)
    }

    /// Makes the kernel join the multicast group that this address is (`IFA_F_MCAUTOJOIN`).
    #[must_use]
    pub fn autojoin(self, autojoin: bool) -> Self {
        self.option(Options::AUTOJOIN, autojoin)
    }

    pub(crate) fn option(mut self, option: Options, on: bool) -> Self {
        self.options = self.options.with(option, on);
        self
    }

    /// The address of the other end, of the same family; the prefix length is then that of the peer's network (`IFA_ADDRESS`).
    ///
    /// # Errors
    ///
    /// [`InvalidAddress::Peer`] for one of the other family.
    pub fn peer(mut self, peer: IpAddr) -> Result<Self, InvalidAddress> {
        if peer.is_ipv4() != self.ip.is_ipv4() {
            return Err(InvalidAddress::Peer { ip: self.ip, peer });
        }
        self.peer = (peer != self.ip).then_some(peer);
        Ok(self)
    }

    /// Tags the address with who configured it (`IFA_PROTO`, shown by `ip address`); 0, the default, is no tag. Kernels before
    /// 5.18 forget it.
    #[must_use]
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    /// The interface's index.
    #[must_use]
    pub fn interface(&self) -> u32 {
        self.interface
    }

    /// The address itself.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Bits of the prefix, 0 to 32 or 128.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// What tells this address from others in the kernel's eyes: interface index, address, prefix length.
    #[must_use]
    pub fn key(&self) -> (u32, IpAddr, u8) {
        (self.interface, self.ip, self.prefix_len)
    }

    /// Is `present` this address, with these properties?
    ///
    /// What the kernel changes by itself does not count: a label that was not asked for (it takes the interface's name) and a broadcast
    /// address that was not, the scope of IPv6, a tag that an old kernel forgets, whether duplicates were looked for.
    #[must_use]
    pub fn agrees_with(&self, present: &Self) -> bool {
        let options = |address: &Self| address.options.with(Options::DETECT_DUPLICATES, false);
        self.key() == present.key()
            && self.peer == present.peer
            && (self.ip.is_ipv6() || self.scope == present.scope)
            && (self.label.is_none() || self.label == present.label)
            && (self.broadcast.is_none() || self.broadcast == present.broadcast)
            && (self.protocol == present.protocol || present.protocol == 0 || self.protocol == 0)
            && options(self) == options(present)
    }

    /// All properties, for the encoder.
    pub(crate) fn properties(&self) -> Properties<'_> {
        Properties {
            scope: self.scope,
            label: self.label.as_deref(),
            broadcast: self.broadcast,
            peer: self.peer,
            options: self.options,
            protocol: self.protocol,
        }
    }
}

/// What an address has beside its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Properties<'a> {
    pub(crate) scope: Scope,
    pub(crate) label: Option<&'a str>,
    pub(crate) broadcast: Option<Ipv4Addr>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) options: Options,
    pub(crate) protocol: u8,
}

/// Why something is no [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddress {
    /// The prefix is longer than the address.
    #[error("prefix length {prefix_len} of {ip} is greater than {max}")]
    PrefixLength {
        /// The address.
        ip: IpAddr,
        /// The prefix length asked for.
        prefix_len: u8,
        /// The greatest possible one.
        max: u8,
    },
    /// The label does not fit.
    #[error(
        "label of {ip} has {len} bytes: an IPv4 address may have one of 1 to {MAX_LABEL_LEN} printable characters, an IPv6 address none"
    )]
    Label {
        /// The address.
        ip: IpAddr,
        /// Length of the label asked for, in bytes.
        len: usize,
    },
    /// The peer is of the other family.
    #[error("{peer} cannot be the peer of {ip}: it is of the other address family")]
    Peer {
        /// The address.
        ip: IpAddr,
        /// The peer asked for.
        peer: IpAddr,
    },
    /// The text is not what `Display` writes.
    #[error("text is not ADDRESS/LENGTH dev INDEX and known properties")]
    Text,
}

/// An address that the kernel has.
///
/// Compare by [`Address::key`], or by [`Address::agrees_with`]: the kernel gives an IPv4 address without a label the interface's name as
/// its label, keeps a router's lifetimes, and older kernels forget the tag.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the kernel's flags, one by one")]
#[non_exhaustive]
pub struct PresentAddress {
    /// Which, with its properties.
    pub address: Address,
    /// IPv6: duplicate address detection has not ended, it is not usable yet.
    pub tentative: bool,
    /// IPv6: somebody else has it, it stays unusable.
    pub duplicate: bool,
    /// IPv4: another address of the same subnet was there before; it goes when that one goes, unless the sysctl
    /// `promote_secondaries` is 1. IPv6: a temporary address.
    pub secondary: bool,
    /// It has no end: neither a router advertisement nor DHCP gave it.
    pub permanent: bool,
}

#[cfg(test)]
pub(crate) mod tests;
