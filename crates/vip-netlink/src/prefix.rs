//! A network: an address and how many of its bits count.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// A network, as routes and rules name it: `10.0.0.0/8`, `2001:db8::/32`. The bits behind the prefix are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    ip: IpAddr,
    len: u8,
}

impl Prefix {
    /// All of IPv4, the destination of a default route.
    pub const IPV4: Self = Self { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), len: 0 };
    /// All of IPv6, the destination of a default route.
    pub const IPV6: Self = Self { ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED), len: 0 };

    /// A network of 0 to 32 or 128 bits.
    ///
    /// # Errors
    ///
    /// [`InvalidPrefix::Length`], and [`InvalidPrefix::HostBits`] for an address inside the network instead of its first.
    pub fn new(ip: IpAddr, len: u8) -> Result<Self, InvalidPrefix> {
        let max = if ip.is_ipv4() { 32 } else { 128 };
        if len > max {
            return Err(InvalidPrefix::Length { ip, len, max });
        }
        let prefix = Self::containing(ip, len);
        if prefix.ip != ip {
            return Err(InvalidPrefix::HostBits { ip, len, network: prefix.ip });
        }
        Ok(prefix)
    }

    /// The network that this address is in.
    fn containing(ip: IpAddr, len: u8) -> Self {
        let len_bits = u32::from(len);
        let ip = match ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(len_bits)).unwrap_or(0);
                IpAddr::from(Ipv4Addr::from_bits(ip.to_bits() & mask))
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(len_bits)).unwrap_or(0);
                IpAddr::from(Ipv6Addr::from_bits(ip.to_bits() & mask))
            }
        };
        Self { ip, len }
    }

    /// The network that is one address.
    #[must_use]
    pub const fn host(ip: IpAddr) -> Self {
        Self { ip, len: if ip.is_ipv4() { 32 } else { 128 } }
    }

    /// Its first address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.ip
    }

    /// Bits of the prefix.
    #[must_use]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Is it the whole address family?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Is it a network of IPv6, or of IPv4?
    #[must_use]
    pub const fn is_ipv6(self) -> bool {
        self.ip.is_ipv6()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.len)
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    /// Reads `ADDRESS/LENGTH`, or an address alone as a network of its own.
    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let (ip, len) = text.split_once('/').map_or((text, None), |(ip, len)| (ip, Some(len)));
        let ip: IpAddr = ip.parse().map_err(|_| InvalidPrefix::Text)?;
        match len {
            Some(len) => Self::new(ip, len.parse().map_err(|_| InvalidPrefix::Text)?),
            None => Ok(Self::host(ip)),
        }
    }
}

/// Why something is no [`Prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPrefix {
    /// The prefix is longer than the address.
    #[error("prefix length {len} of {ip} is greater than {max}")]
    Length {
        /// The address.
        ip: IpAddr,
        /// The prefix length asked for.
        len: u8,
        /// The greatest possible one.
        max: u8,
    },
    /// It is an address inside a network.
    #[error("{ip}/{len} is no network but an address in one: did you mean {network}/{len}?")]
    HostBits {
        /// The address.
        ip: IpAddr,
        /// The prefix length asked for.
        len: u8,
        /// The first address of the network.
        network: IpAddr,
    },
    /// The text is not `ADDRESS/LENGTH`.
    #[error("text is not ADDRESS/LENGTH")]
    Text,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_reads_back(v4: [u8; 4], v6: [u8; 16], len: u8) {
            for prefix in [Prefix::containing(v4.into(), len % 33), Prefix::containing(v6.into(), len % 129)] {
                prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
                prop_assert_eq!(Prefix::new(prefix.ip(), prefix.len()), Ok(prefix));
            }
        }
    }

    #[test]
    fn host_bits_are_refused_with_the_network_meant() {
        let error = "10.1.2.3/8".parse::<Prefix>().unwrap_err();
        assert!(error.to_string().contains("did you mean 10.0.0.0/8"), "{error}");
        assert!("::1/0".parse::<Prefix>().is_err());
        assert_eq!("192.0.2.1".parse(), Ok(Prefix::host("192.0.2.1".parse().unwrap())));
        for text in ["", "/", "10.0.0.0/33", "::/129", "10.0.0.0/x", "10.0.0.0/-1", "eth0"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
