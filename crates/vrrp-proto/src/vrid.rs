use core::{fmt, num::NonZeroU8, str::FromStr};

use crate::{AddressFamily, MacAddress};

/// Virtual Router Identifier, 1–255 (RFC 9568 §5.2.3): names one election on one link and family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(NonZeroU8);

/// The text or number is not a [`Vrid`]: not in 1–255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a virtual router id is a number from 1 to 255")]
#[non_exhaustive]
pub struct InvalidVrid;

impl Vrid {
    /// A VRID from its number.
    ///
    /// # Errors
    /// [`InvalidVrid`] for 0.
    pub const fn new(number: u8) -> Result<Self, InvalidVrid> {
        match NonZeroU8::new(number) {
            Some(number) => Ok(Self(number)),
            None => Err(InvalidVrid),
        }
    }

    /// The number, 1–255.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// The virtual router MAC address, 00-00-5E-00-01-{VRID} for IPv4 and 00-00-5E-00-02-{VRID}
    /// for IPv6 (RFC 9568 §7.3).
    #[must_use]
    pub const fn mac(self, family: AddressFamily) -> MacAddress {
        let block = match family {
            AddressFamily::Ipv4 => 0x01,
            AddressFamily::Ipv6 => 0x02,
        };
        MacAddress::new([0x00, 0x00, 0x5e, 0x00, block, self.get()])
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Vrid {
    type Err = InvalidVrid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| InvalidVrid)
    }
}

impl TryFrom<u8> for Vrid {
    type Error = InvalidVrid;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::new(number)
    }
}

impl From<Vrid> for u8 {
    fn from(vrid: Vrid) -> Self {
        vrid.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_text_beyond_the_range_are_no_vrid() {
        assert_eq!(Vrid::new(0), Err(InvalidVrid));
        for text in ["0", "256", "-1", "", "x"] {
            assert_eq!(text.parse::<Vrid>(), Err(InvalidVrid), "{text:?}");
        }
        assert_eq!("255".parse(), Vrid::new(255));
    }

    #[test]
    fn the_virtual_mac_ends_in_the_vrid() {
        let vrid = Vrid::new(51).unwrap();
        assert_eq!(vrid.mac(AddressFamily::Ipv4).to_string(), "00:00:5e:00:01:33");
        assert_eq!(vrid.mac(AddressFamily::Ipv6).to_string(), "00:00:5e:00:02:33");
    }
}
