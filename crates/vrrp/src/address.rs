//! A virtual address, with what Linux can be told about it.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::str::FromStr;

use ipnet::IpNet;

/// An address that the Master holds.
///
/// Parsed from `192.0.2.100/24`; without a prefix length from `192.0.2.100`, as a host address (/32,
/// /128), which is also what keeps a virtual address from becoming the source of our own
/// connections or from changing the routes of its network. Where a virtual address
/// is the first of its subnet on the interface, Linux would remove others' later ones together with it: `promote_secondaries`
/// is set for the moment of its removal.
///
/// ```
/// use vrrp::VirtualAddress;
///
/// let address: VirtualAddress = "192.0.2.100/24".parse()?;
/// let elsewhere = "198.51.100.7".parse::<VirtualAddress>()?.interface("eth1").label("eth1:web");
/// assert_eq!(elsewhere.to_string(), "198.51.100.7/32 dev eth1");
/// # Ok::<(), vrrp::VirtualAddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent properties, as the kernel has them")]
pub struct VirtualAddress {
    pub(crate) net: IpNet,
    pub(crate) interface: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) broadcast: Option<Ipv4Addr>,
    pub(crate) scope: u8,
    pub(crate) duplicate_detection: bool,
    pub(crate) preferred: Option<bool>,
    pub(crate) prefix_route: bool,
    pub(crate) advertised: bool,
    pub(crate) installed: bool,
    pub(crate) watched: bool,
}

impl VirtualAddress {
    /// An address with its prefix length, on the virtual router's own interface.
    #[must_use]
    pub const fn new(net: IpNet) -> Self {
        Self {
            net,
            interface: None,
            label: None,
            broadcast: None,
            scope: 0,
            duplicate_detection: false,
            preferred: None,
            prefix_route: true,
            advertised: true,
            installed: true,
            watched: true,
        }
    }

    /// The address itself.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.net.addr()
    }

    /// The address with its prefix length.
    #[must_use]
    pub const fn net(&self) -> IpNet {
        self.net
    }

    /// Install it on another interface than the one that carries the advertisements.
    #[must_use]
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interface = Some(name.into());
        self
    }

    /// IPv4 only: the label that old tools show as an alias (`eth0:1`), 15 octets at most.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// IPv4 only: the broadcast address.
    #[must_use]
    pub const fn broadcast(mut self, broadcast: Ipv4Addr) -> Self {
        self.broadcast = Some(broadcast);
        self
    }

    /// IPv4 only: the scope number (`RT_SCOPE_*`: 0 global, 253 link, 254 host).
    #[must_use]
    pub const fn scope(mut self, scope: u8) -> Self {
        self.scope = scope;
        self
    }

    /// IPv6 only: let the kernel probe for duplicates before the address can be used (RFC 4862 §5.4). Off by
    /// default: it would make the address unusable for the first second after a takeover.
    #[must_use]
    pub const fn duplicate_detection(mut self, on: bool) -> Self {
        self.duplicate_detection = on;
        self
    }

    /// IPv6 only: whether the kernel may choose it as the source of new connections. By default a
    /// /128 is not (it is *deprecated*), any other is.
    #[must_use]
    pub const fn preferred(mut self, preferred: bool) -> Self {
        self.preferred = Some(preferred);
        self
    }

    /// Whether adding it also adds the route to its network; true by default.
    #[must_use]
    pub const fn prefix_route(mut self, on: bool) -> Self {
        self.prefix_route = on;
        self
    }

    /// Whether it is listed in advertisements; true by default. An IPv4 advertisement holds at most 255 addresses, an
    /// IPv6 one about 90: with more, list some and only install the others.
    #[must_use]
    pub const fn advertised(mut self, advertised: bool) -> Self {
        self.advertised = advertised;
        self
    }

    /// Whether the Master adds it to the kernel; true by default. An election whose result something
    /// else acts on (a cloud's API) advertises an address that is not installed.
    #[must_use]
    pub const fn installed(mut self, installed: bool) -> Self {
        self.installed = installed;
        self
    }

    /// Whether its removal by somebody else is noticed; true by default.
    #[must_use]
    pub const fn watched(mut self, watched: bool) -> Self {
        self.watched = watched;
        self
    }
}

impl From<IpNet> for VirtualAddress {
    fn from(net: IpNet) -> Self {
        Self::new(net)
    }
}

impl From<IpAddr> for VirtualAddress {
    fn from(address: IpAddr) -> Self {
        Self::new(address.into())
    }
}

impl FromStr for VirtualAddress {
    type Err = VirtualAddressError;

    fn from_str(text: &str) -> Result<Self, VirtualAddressError> {
        let net = if text.contains('/') {
            text.parse::<IpNet>().ok()
        } else {
            text.parse::<IpAddr>().ok().map(IpNet::from)
        };
        net.map(Self::new).ok_or_else(|| VirtualAddressError { text: text.to_owned() })
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.net.fmt(f)?;
        self.interface.as_ref().map_or(Ok(()), |interface| write!(f, " dev {interface}"))
    }
}

/// The text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address: write one like 192.0.2.100/24 or 2001:db8::1/64")]
pub struct VirtualAddressError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.1/24", "192.0.2.1/24"),
            ("fe80::1", "fe80::1/128"),
            ("2001:db8::1/64", "2001:db8::1/64"),
        ] {
            assert_eq!(text.parse::<VirtualAddress>().unwrap().to_string(), shown);
        }
        for text in ["", "192.0.2", "192.0.2.1/33", "192.0.2.1/", "host/24", "fe80::1%eth0"] {
            assert!(text.parse::<VirtualAddress>().is_err(), "{text}");
        }
    }
}
