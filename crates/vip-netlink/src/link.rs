//! A network interface, as the kernel describes it.

use netlink::Attributes;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the kernel's flags, one by one")]
#[non_exhaustive]
pub struct Link {
    /// Its index, from 1; it stays when the interface is renamed.
    pub index: u32,
    /// Its name, 1 to 15 bytes.
    pub name: String,
    /// Its Ethernet address; `None` if it is of another kind (loopback, tunnel, `InfiniBand`).
    pub mac: Option<[u8; 6]>,
    /// It is switched on and has a carrier (`IFF_UP` and `IFF_RUNNING`): packets can leave.
    pub up: bool,
    /// How often the carrier has come back (`IFLA_CARRIER_UP_COUNT`; 0 in kernels before 4.16). The kernel tells of a carrier that was gone
    /// for less than a second by this number only.
    pub carrier_ups: u32,
    /// It is switched on (`IFF_UP`), with a carrier or without.
    pub switched_on: bool,
    /// It is a loopback interface.
    pub loopback: bool,
    /// It takes part in multicast (`IFF_MULTICAST`).
    pub multicast: bool,
    /// It does without ARP (`IFF_NOARP`): nobody listens to a gratuitous one.
    pub no_arp: bool,
    /// Largest packet in octets, without the Ethernet header.
    pub mtu: u32,
    /// Index of the interface that this one sits on (VLAN, macvlan), or, for a veth, of its peer.
    pub parent: Option<u32>,
    /// Index of the bridge, bond or VRF that this one is a port of.
    pub master: Option<u32>,
    /// What software it is made of: `veth`, `macvlan`, `bridge`, `vrf`, ...; `None` for hardware and the loopback.
    pub kind: Option<String>,
    /// The group of interfaces it belongs to, 0 by default.
    pub group: u32,
    /// The mode of a macvlan (`enum macvlan_mode`).
    pub(crate) macvlan_mode: Option<u32>,
}

impl Link {
    /// Does it make sense to announce an address on it?
    #[must_use]
    pub fn can_announce(&self) -> bool {
        self.mac.is_some() && self.up && !self.no_arp && !self.loopback
    }
}

/// Length of `struct ifinfomsg` (`linux/rtnetlink.h`).
pub(crate) const IFINFOMSG_LEN: usize = 16;

/// Attributes of a link (`linux/if_link.h`).
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_GROUP: u16 = 27;
const IFLA_CARRIER_UP_COUNT: u16 = 47;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_MACVLAN_MODE: u16 = 1;

/// Flags of a link (`linux/if.h`).
const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_RUNNING: u32 = 0x40;
const IFF_NOARP: u32 = 0x80;
const IFF_MULTICAST: u32 = 0x1000;

/// `ARPHRD_ETHER` (`linux/if_arp.h`).
const ETHERNET: u16 = 1;

/// Reads the payload of `RTM_NEWLINK` or `RTM_DELLINK`.
///
/// `None` for what is not about the interface itself (a bridge tells of its ports with the same message types, in its own address
/// family) and for what is too short.
pub(crate) fn decode(payload: &[u8]) -> Option<Link> {
    let header: &[u8; IFINFOMSG_LEN] = payload.first_chunk()?;
    let [family, _, type_0, type_1, index @ .., f0, f1, f2, f3, _, _, _, _] = *header;
    if family != 0 {
        return None;
    }
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let mut link = Link {
        index: u32::from_ne_bytes(index),
        name: String::new(),
        mac: None,
        up: flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING,
        carrier_ups: 0,
        switched_on: flags & IFF_UP != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        multicast: flags & IFF_MULTICAST != 0,
        no_arp: flags & IFF_NOARP != 0,
        mtu: 0,
        parent: None,
        master: None,
        kind: None,
        group: 0,
        macvlan_mode: None,
    };
    let ethernet = u16::from_ne_bytes([type_0, type_1]) == ETHERNET;
    for attribute in Attributes::after(payload, IFINFOMSG_LEN) {
        match attribute.kind {
            IFLA_ADDRESS if ethernet => link.mac = attribute.value.try_into().ok(),
            IFLA_IFNAME => link.name = name(attribute.value),
            IFLA_MTU => link.mtu = attribute.u32()?,
            IFLA_LINK => link.parent = attribute.u32().filter(|&index| index != 0),
            IFLA_MASTER => link.master = attribute.u32(),
            IFLA_CARRIER_UP_COUNT => link.carrier_ups = attribute.u32()?,
            IFLA_GROUP => link.group = attribute.u32()?,
            IFLA_LINKINFO => {
                let information = attribute.nested();
                link.kind = information
                    .first(IFLA_INFO_KIND)
                    .and_then(|kind| kind.text())
                    .map(str::to_owned);
                let data = information.first(IFLA_INFO_DATA).map(|data| data.nested());
                if link.kind.as_deref() == Some("macvlan") {
                    link.macvlan_mode = data.and_then(|data| data.first(IFLA_MACVLAN_MODE)?.u32());
                }
            }
            _ => {}
        }
    }
    Some(link)
}

/// What `dev_valid_name` of the kernel allows, without what would not survive in a line of words.
pub(crate) fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
}

/// Any octets but `/` and white space can be a name.
fn name(octets: &[u8]) -> String {
    let end = octets.iter().position(|&octet| octet == 0).unwrap_or(octets.len());
    String::from_utf8_lossy(octets.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use netlink::Payload;

    use super::*;

    fn header(family: u8, flags: u32) -> Vec<u8> {
        let mut header = vec![family, 0];
        header.extend(ETHERNET.to_ne_bytes());
        header.extend(7_u32.to_ne_bytes());
        header.extend(flags.to_ne_bytes());
        header.extend([0; 4]);
        header
    }

    fn eth0(family: u8, flags: u32) -> Payload {
        Payload::with_header(&header(family, flags))
            .text(IFLA_IFNAME, "eth0")
            .u32(IFLA_MTU, 1500)
            .u32(IFLA_LINK, 8)
            .attribute(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1])
            .u32(IFLA_GROUP, 9)
            .u32(IFLA_CARRIER_UP_COUNT, 5)
            .nest(IFLA_LINKINFO, |inside| {
                inside
                    .text(IFLA_INFO_KIND, "macvlan")
                    .nest(IFLA_INFO_DATA, |data| data.u32(IFLA_MACVLAN_MODE, 4))
            })
    }

    #[test]
    fn reads_an_ethernet_link() {
        let link = decode(eth0(0, IFF_UP | IFF_RUNNING | IFF_MULTICAST).as_bytes()).unwrap();
        assert_eq!((link.index, link.name.as_str(), link.mtu), (7, "eth0", 1500));
        assert_eq!((link.mac, link.parent, link.master), (Some([2, 0, 0, 0, 0, 1]), Some(8), None));
        assert!(link.up && link.multicast && link.can_announce());
        assert_eq!(link.carrier_ups, 5);
        assert_eq!(
            (link.kind.as_deref(), link.group, link.macvlan_mode),
            (Some("macvlan"), 9, Some(4))
        );
    }

    #[test]
    fn up_needs_a_carrier() {
        let link = decode(eth0(0, IFF_UP).as_bytes()).unwrap();
        assert!(link.switched_on && !link.up && !link.can_announce());
        assert!(!decode(eth0(0, IFF_RUNNING).as_bytes()).unwrap().up);
    }

    #[test]
    fn news_of_a_bridge_about_its_port_are_not_about_the_link() {
        const AF_BRIDGE: u8 = 7;
        assert_eq!(decode(eth0(AF_BRIDGE, IFF_UP).as_bytes()), None);
    }

    #[test]
    fn any_truncation_is_survived() {
        let whole = eth0(0, IFF_UP);
        for len in 0..whole.as_bytes().len() {
            let link = decode(&whole.as_bytes()[..len]);
            assert_eq!(link.is_some(), len >= IFINFOMSG_LEN, "{len}");
        }
    }
}
