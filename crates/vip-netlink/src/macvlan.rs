//! An interface of its own for a virtual MAC address (RFC 9568 §7.3), on top of a real one.

use core::fmt;
use core::str::FromStr;

mod client;
mod error;
mod sysctls;

pub use error::MacvlanError;
pub use sysctls::{ClaimError, SysctlClaims, all_rp_filter_pushed_down, parent_sysctls};

use crate::link::{Link, is_interface_name};

/// Who hears whom among the interfaces on top of one parent (`enum macvlan_mode`, `linux/if_link.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum MacvlanMode {
    /// Nobody. Frames from outside whose source is the own MAC address arrive, so a router with the same virtual MAC address is
    /// heard: what VRRP needs.
    #[default]
    Private,
    /// All, through the switch outside.
    Vepa,
    /// All, directly. Frames from outside whose source is the own MAC address are dropped.
    Bridge,
}

/// With the kernel's number and the word that stands for it in text.
const MODES: [(MacvlanMode, u32, &str); 3] = [
    (MacvlanMode::Private, 1, "private"),
    (MacvlanMode::Vepa, 2, "vepa"),
    (MacvlanMode::Bridge, 4, "bridge"),
];

impl MacvlanMode {
    fn entry(self) -> (u32, &'static str) {
        let entry = MODES.iter().find(|(mode, ..)| *mode == self);
        entry.map_or((0, ""), |(_, number, word)| (*number, *word))
    }
}

/// A macvlan as it shall be: an interface with a MAC address of its own that shares the wire of its parent.
///
/// [`Client::create_macvlan`](crate::Client::create_macvlan) makes it or adopts the one that is there, set down; give it its addresses and
/// [`set it up`](crate::Client::set_up). `Display` and `FromStr` agree with each other, so that it can be written to a journal and removed
/// by the process that reads it:
///
/// ```
/// use vip_netlink::Macvlan;
///
/// let device = Macvlan::new("vrrp.51", 3, [0, 0, 0x5e, 0, 1, 51])?;
/// assert_eq!(device.to_string(), "vrrp.51 on 3 mac 00:00:5e:00:01:33 mode private");
/// assert_eq!(device.to_string().parse::<Macvlan>()?, device);
/// # Ok::<(), vip_netlink::MacvlanError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Macvlan {
    name: String,
    parent: u32,
    mac: [u8; 6],
    mode: MacvlanMode,
}

impl Macvlan {
    /// A private macvlan of this name (1 to 15 bytes) on the interface with the index `parent`, with this unicast MAC address:
    /// 00-00-5E-00-01-VRID for IPv4, 00-00-5E-00-02-VRID for IPv6.
    ///
    /// # Errors
    ///
    /// [`MacvlanError::Name`] and [`MacvlanError::Mac`].
    pub fn new(name: &str, parent: u32, mac: [u8; 6]) -> Result<Self, MacvlanError> {
        if !is_interface_name(name) {
            return Err(MacvlanError::Name { name: name.to_owned() });
        }
        let multicast = mac.first().is_none_or(|first| first & 1 != 0);
        if multicast || mac == [0; 6] {
            return Err(MacvlanError::Mac { mac: Mac(mac).to_string() });
        }
        Ok(Self { name: name.to_owned(), parent, mac, mode: MacvlanMode::Private })
    }

    /// Sets the mode.
    #[must_use]
    pub fn mode(mut self, mode: MacvlanMode) -> Self {
        self.mode = mode;
        self
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The index of the interface it is on.
    #[must_use]
    pub fn parent(&self) -> u32 {
        self.parent
    }

    /// Its MAC address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Is this link it?
    #[must_use]
    pub fn is(&self, link: &Link) -> bool {
        link.name == self.name
            && link.kind.as_deref() == Some("macvlan")
            && link.parent == Some(self.parent)
            && link.mac == Some(self.mac)
            && link.macvlan_mode == Some(self.mode.entry().0)
    }
}

/// A MAC address as text.
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|octet| write!(f, ":{octet:02x}"))
    }
}

impl FromStr for Mac {
    type Err = MacvlanError;

    fn from_str(text: &str) -> Result<Self, MacvlanError> {
        let octets: Vec<u8> = text
            .split(':')
            .map(|octet| u8::from_str_radix(octet, 16).ok().filter(|_| octet.len() == 2))
            .collect::<Option<_>>()
            .ok_or(MacvlanError::Text)?;
        octets.try_into().map(Self).map_err(|_| MacvlanError::Text)
    }
}

impl fmt::Display for Macvlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.mode.entry().1;
        write!(f, "{} on {} mac {} mode {mode}", self.name, self.parent, Mac(self.mac))
    }
}

impl FromStr for Macvlan {
    type Err = MacvlanError;

    fn from_str(text: &str) -> Result<Self, MacvlanError> {
        let words: Vec<&str> = text.split(' ').collect();
        let [name, "on", parent, "mac", mac, "mode", mode] = words.as_slice() else {
            return Err(MacvlanError::Text);
        };
        let mode = MODES.iter().find(|(.., word)| word == mode).ok_or(MacvlanError::Text)?.0;
        let parent = parent.parse().map_err(|_| MacvlanError::Text)?;
        Ok(Self::new(name, parent, mac.parse::<Mac>()?.0)?.mode(mode))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_macvlan() -> impl Strategy<Value = Macvlan> {
        (any::<u32>(), any::<[u8; 5]>(), 0_usize..3, "[a-z0-9.-]{3,15}").prop_map(
            |(parent, [a, b, c, d, e], mode, name)| {
                let mac = [2, a, b, c, d, e];
                Macvlan::new(&name, parent, mac).unwrap().mode(MODES[mode].0)
            },
        )
    }

    proptest! {
        #[test]
        fn text_reads_back(device in any_macvlan()) {
            let text = device.to_string();
            prop_assert_eq!(text.parse::<Macvlan>().unwrap(), device);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Ok(device) = text.parse::<Macvlan>() {
                prop_assert_eq!(device.to_string(), text);
            }
        }
    }

    #[test]
    fn names_and_mac_addresses_that_cannot_be() {
        for name in ["", "sixteen-letters-", "a/b", "a b", "..", "eth0:1"] {
            assert!(
                matches!(Macvlan::new(name, 1, [2; 6]), Err(MacvlanError::Name { .. })),
                "{name}"
            );
        }
        for mac in [[0; 6], [1, 0, 0x5e, 0, 0, 0x12], [0xff; 6]] {
            assert!(matches!(Macvlan::new("x", 1, mac), Err(MacvlanError::Mac { .. })));
        }
        for text in [
            "x on 1 mac 02:00:00:00:00:0 mode private",
            "x on 1 mac 02:00:00:00:00 mode private",
            "x on 1 mac 02:00:00:00:00:01 mode x",
        ] {
            assert!(text.parse::<Macvlan>().is_err(), "{text}");
        }
    }
}
