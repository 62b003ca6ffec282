//! An address as we want it on an interface, and as the kernel has it.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::str::FromStr;

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
/// The kernel tells addresses apart by interface, address and prefix length ([`Address::key`]). The interface is given by its index,
/// which stays when an interface is renamed and is not used again for another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    interface: u32,
    ip: IpAddr,
    prefix_len: u8,
    scope: Scope,
    label: Option<String>,
    broadcast: Option<Ipv4Addr>,
    detect_duplicates: bool,
    deprecated: bool,
    prefix_route: bool,
    protocol: u8,
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
            detect_duplicates: false,
            deprecated: ip.is_ipv6() && prefix_len == 128,
            prefix_route: true,
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
    pub fn detect_duplicates(mut self, detect: bool) -> Self {
        self.detect_duplicates = detect;
        self
    }

    /// Marks the address so that it is not chosen as a source address. The default is so for IPv6 /128 only.
    #[must_use]
    pub fn deprecated(mut self, deprecated: bool) -> Self {
        self.deprecated = deprecated;
        self
    }

    /// Makes the kernel add a route for the prefix, too; this is the default.
    #[must_use]
    pub fn prefix_route(mut self, prefix_route: bool) -> Self {
        self.prefix_route = prefix_route;
        self
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

    /// All properties, for the encoder.
    pub(crate) fn properties(&self) -> Properties<'_> {
        Properties {
            scope: self.scope,
            label: self.label.as_deref(),
            broadcast: self.broadcast,
            detect_duplicates: self.detect_duplicates,
            deprecated: self.deprecated,
            prefix_route: self.prefix_route,
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
    pub(crate) detect_duplicates: bool,
    pub(crate) deprecated: bool,
    pub(crate) prefix_route: bool,
    pub(crate) protocol: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} dev {}", self.ip, self.prefix_len, self.interface)?;
        if self.scope != Scope::GLOBAL {
            write!(f, " scope {}", self.scope.0)?;
        }
        if let Some(label) = &self.label {
            write!(f, " label {label}")?;
        }
        if let Some(broadcast) = self.broadcast {
            write!(f, " broadcast {broadcast}")?;
        }
        if self.detect_duplicates {
            write!(f, " dad")?;
        }
        if self.deprecated {
            write!(f, " deprecated")?;
        }
        if !self.prefix_route {
            write!(f, " noprefixroute")?;
        }
        if self.protocol != 0 {
            write!(f, " proto {}", self.protocol)?;
        }
        Ok(())
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        fn parse<T: FromStr>(word: Option<&str>) -> Result<T, InvalidAddress> {
            word.and_then(|word| word.parse().ok()).ok_or(InvalidAddress::Text)
        }
        let mut words = text.split(' ');
        let (ip, prefix_len) =
            words.next().and_then(|word| word.split_once('/')).ok_or(InvalidAddress::Text)?;
        if words.next() != Some("dev") {
            return Err(InvalidAddress::Text);
        }
        let mut address =
            Self::new(parse(words.next())?, parse(Some(ip))?, parse(Some(prefix_len))?)?
                .deprecated(false);
        while let Some(word) = words.next() {
            address = match word {
                "scope" => address.scope(Scope(parse(words.next())?)),
                "label" => address.label(words.next().ok_or(InvalidAddress::Text)?)?,
                "broadcast" => address.broadcast(parse(words.next())?),
                "dad" => address.detect_duplicates(true),
                "deprecated" => address.deprecated(true),
                "noprefixroute" => address.prefix_route(false),
                "proto" => address.protocol(parse(words.next())?),
                _ => return Err(InvalidAddress::Text),
            };
        }
        Ok(address)
    }
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
    /// The text is not what `Display` writes.
    #[error("text is not ADDRESS/LENGTH dev INDEX and known properties")]
    Text,
}

/// An address that the kernel has.
///
/// Compare by [`Address::key`]: the kernel gives an IPv4 address without a label the interface's name as its label, keeps a router's
/// lifetimes, and older kernels forget the tag.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_address() -> impl Strategy<Value = Address> {
        let ip = prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from)
        ];
        let label = proptest::option::of("[a-z0-9:.]{1,15}");
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        let numbers = (any::<u32>(), any::<u8>(), any::<u8>(), any::<u8>());
        (ip, label, proptest::option::of(any::<[u8; 4]>()), flags, numbers).prop_map(
            |(
                ip,
                label,
                broadcast,
                (dad, deprecated, route),
                (interface, len, scope, protocol),
            )| {
                let max = if ip.is_ipv4() { 32 } else { 128 };
                let mut address = Address::new(interface, ip, len % (max + 1)).unwrap();
                if let (Some(label), true) = (label, ip.is_ipv4()) {
                    address = address.label(&label).unwrap();
                }
                if let Some(broadcast) = broadcast {
                    address = address.broadcast(broadcast.into());
                }
                address
                    .scope(Scope::new(scope))
                    .detect_duplicates(dad)
                    .deprecated(deprecated)
                    .prefix_route(route)
                    .protocol(protocol)
            },
        )
    }

    proptest! {
        #[test]
        fn text_reads_back(address in any_address()) {
            let text = address.to_string();
            prop_assert_eq!(text.parse::<Address>(), Ok(address), "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
            }
        }
    }

    #[test]
    fn refuses_what_the_kernel_would() {
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(
            Address::new(1, ip, 33),
            Err(InvalidAddress::PrefixLength { ip, prefix_len: 33, max: 32 })
        );
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert!(Address::new(1, v6, 129).is_err());
        for label in ["", "sixteen-letters-", "a b", "a\nb"] {
            let refused = Address::new(1, ip, 24).unwrap().label(label);
            assert_eq!(refused, Err(InvalidAddress::Label { ip, len: label.len() }));
        }
        assert!(Address::new(1, v6, 64).unwrap().label("eth0:1").is_err());
        for text in [
            "",
            "192.0.2.1/24",
            "192.0.2.1 dev 3",
            "192.0.2.1/24 dev",
            "192.0.2.1/24 dev 3 what",
            "192.0.2.1/24 dev 3 label",
        ] {
            assert_eq!(text.parse::<Address>(), Err(InvalidAddress::Text), "{text:?}");
        }
    }

    #[test]
    fn ipv6_host_addresses_are_deprecated_by_default() {
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert!(Address::new(1, v6, 128).unwrap().properties().deprecated);
        assert!(!Address::new(1, v6, 64).unwrap().properties().deprecated);
        assert!(
            !Address::new(1, "192.0.2.1".parse().unwrap(), 32).unwrap().properties().deprecated
        );
    }
}
