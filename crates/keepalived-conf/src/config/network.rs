//! Addresses with prefix lengths.

use core::fmt;
use core::net::IpAddr;

/// An address with the length of its network's prefix, `192.0.2.1/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

impl Network {
    /// The address as written, host bits and all.
    #[must_use]
    pub const fn addr(&self) -> IpAddr {
        self.address
    }

    /// The prefix length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6.
    #[must_use]
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Reads `192.0.2.1/24`; the prefix length is not optional.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix_len) = text.split_once('/')?;
        let address = address.parse().ok()?;
        // A sign is no digit, though numbers may have one.
        let digits = prefix_len.bytes().all(|octet| octet.is_ascii_digit());
        let prefix_len = prefix_len.parse().ok().filter(|_| digits)?;
        (prefix_len <= longest_prefix(address)).then_some(Self { address, prefix_len })
    }
}

/// The longest prefix of an address's family.
const fn longest_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address alone: with the longest prefix.
impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self { address, prefix_len: longest_prefix(address) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_both_ways() {
        for text in ["192.0.2.1/24", "192.0.2.1/0", "2001:db8::1/128"] {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
        for text in ["192.0.2.1", "192.0.2.1/", "192.0.2.1/33", "::1/129", "192.0.2.1/+4", "/4"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert_eq!(Network::from(IpAddr::from([192, 0, 2, 1])).to_string(), "192.0.2.1/32");
    }
}
