//! What identifies a service and a destination, and their one-word spellings.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU32;
use core::str::FromStr;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "IPVS knows no third family")]
pub enum AddressFamily {
    /// `AF_INET`.
    Ipv4,
    /// `AF_INET6`.
    Ipv6,
}

impl AddressFamily {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// `AF_INET` or `AF_INET6`.
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::Ipv4 => 2,
            Self::Ipv6 => 10,
        }
    }

    pub(crate) const fn from_number(number: u16) -> Option<Self> {
        match number {
            2 => Some(Self::Ipv4),
            10 => Some(Self::Ipv6),
            _ => None,
        }
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// Transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP, 6.
    Tcp,
    /// UDP, 17.
    Udp,
    /// SCTP, 132.
    Sctp,
    /// A number that IPVS balances nothing for. The kernel takes any; such services come from others.
    Other(u16),
}

impl Protocol {
    /// The IP protocol number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
            Self::Other(number) => number,
        }
    }

    /// The protocol of an IP protocol number.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        match number {
            6 => Self::Tcp,
            17 => Self::Udp,
            132 => Self::Sctp,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Sctp => f.write_str("sctp"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

impl FromStr for Protocol {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => text.parse().map(Self::from_number).map_err(|_| ParseKeyError::Protocol),
        }
    }
}

/// What identifies a virtual service: it cannot be changed without deleting the service.
///
/// Written and read as `tcp/192.0.2.1:80`, `udp/[2001:db8::1]:53` or `fwmark/7/ipv4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has these two kinds of key")]
pub enum ServiceKey {
    /// Packets to an address.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// The virtual address.
        address: IpAddr,
        /// Port; 0 is every port and useful with persistence only.
        port: u16,
    },
    /// Packets that netfilter has marked.
    FirewallMark {
        /// Family of the packets: IPv4 and IPv6 services with one mark are two services.
        family: AddressFamily,
        /// The mark.
        mark: NonZeroU32,
    },
}

impl ServiceKey {
    /// A TCP service.
    #[must_use]
    pub const fn tcp(address: IpAddr, port: u16) -> Self {
        Self::Address { protocol: Protocol::Tcp, address, port }
    }

    /// A UDP service.
    #[must_use]
    pub const fn udp(address: IpAddr, port: u16) -> Self {
        Self::Address { protocol: Protocol::Udp, address, port }
    }

    /// An SCTP service.
    #[must_use]
    pub const fn sctp(address: IpAddr, port: u16) -> Self {
        Self::Address { protocol: Protocol::Sctp, address, port }
    }

    /// A service for marked packets.
    #[must_use]
    pub const fn firewall_mark(family: AddressFamily, mark: NonZeroU32) -> Self {
        Self::FirewallMark { family, mark }
    }

    /// The family of the packets.
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        match self {
            Self::Address { address, .. } => AddressFamily::of(address),
            Self::FirewallMark { family, .. } => *family,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, address, port } => {
                write!(f, "{protocol}/{}", SocketAddr::new(*address, *port))
            }
            Self::FirewallMark { family, mark } => write!(f, "fwmark/{mark}/{family}"),
        }
    }
}

impl FromStr for ServiceKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let (kind, rest) = text.split_once('/').ok_or(ParseKeyError::Form)?;
        if kind == "fwmark" {
            let (mark, family) = rest.split_once('/').ok_or(ParseKeyError::Form)?;
            let family = match family {
                "ipv4" => AddressFamily::Ipv4,
                "ipv6" => AddressFamily::Ipv6,
                _ => return Err(ParseKeyError::Family),
            };
            return Ok(Self::firewall_mark(family, mark.parse().map_err(|_| ParseKeyError::Mark)?));
        }
        let protocol = kind.parse()?;
        let DestinationKey { address, port } = rest.parse()?;
        Ok(Self::Address { protocol, address, port })
    }
}

/// What identifies a real server within its service.
///
/// Written and read as `192.0.2.10:8080` or `[2001:db8::10]:8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the kernel's key: address, whose type is the family, and port"
)]
pub struct DestinationKey {
    /// The real server's address.
    pub address: IpAddr,
    /// Its port; with direct routing and tunnels the service's port, because packets arrive unchanged.
    pub port: u16,
}

impl DestinationKey {
    /// The real server at this address and port.
    #[must_use]
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }
}

impl From<SocketAddr> for DestinationKey {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl fmt::Display for DestinationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

impl FromStr for DestinationKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let (address, port) = text.rsplit_once(':').ok_or(ParseKeyError::Form)?;
        let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
            None => address.parse::<Ipv4Addr>().map(IpAddr::V4),
        };
        let address = address.map_err(|_| ParseKeyError::Address)?;
        Ok(Self::new(address, port.parse().map_err(|_| ParseKeyError::Port)?))
    }
}

/// Why text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// The parts are not there.
    #[error("not of the form protocol/address:port, fwmark/mark/family or address:port")]
    Form,
    /// Neither `tcp`, `udp`, `sctp` nor a number.
    #[error("unknown protocol")]
    Protocol,
    /// Not an IPv4 address and not an IPv6 address in brackets.
    #[error("not an address")]
    Address,
    /// Not 0 to 65535.
    #[error("not a port")]
    Port,
    /// Not 1 to 4294967295.
    #[error("not a firewall mark")]
    Mark,
    /// Neither `ipv4` nor `ipv6`.
    #[error("unknown address family")]
    Family,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings() {
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        let mark = NonZeroU32::new(7).unwrap();
        for (key, text) in [
            (ServiceKey::tcp([192, 0, 2, 1].into(), 80), "tcp/192.0.2.1:80"),
            (ServiceKey::udp(six, 53), "udp/[2001:db8::1]:53"),
            (ServiceKey::sctp([192, 0, 2, 1].into(), 0), "sctp/192.0.2.1:0"),
            (ServiceKey::firewall_mark(AddressFamily::Ipv6, mark), "fwmark/7/ipv6"),
            (
                ServiceKey::Address { protocol: Protocol::Other(47), address: six, port: 1 },
                "47/[2001:db8::1]:1",
            ),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }

    #[test]
    fn wrong_spellings() {
        for (text, error) in [
            ("", ParseKeyError::Form),
            ("tcp", ParseKeyError::Form),
            ("tcp/192.0.2.1", ParseKeyError::Form),
            ("icmp/192.0.2.1:80", ParseKeyError::Protocol),
            ("tcp/2001:db8::1:80", ParseKeyError::Address),
            ("tcp/[192.0.2.1]:80", ParseKeyError::Address),
            ("tcp/192.0.2.1:65536", ParseKeyError::Port),
            ("fwmark/0/ipv4", ParseKeyError::Mark),
            ("fwmark/1/ipv5", ParseKeyError::Family),
            ("fwmark/1", ParseKeyError::Form),
        ] {
            assert_eq!(text.parse::<ServiceKey>(), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_survive_being_written(key in crate::testing::service_key(), destination in crate::testing::destination_key()) {
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            prop_assert_eq!(destination.to_string().parse(), Ok(destination));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,40}") {
            let _key = text.parse::<ServiceKey>();
            let _destination = text.parse::<DestinationKey>();
        }
    }
}
