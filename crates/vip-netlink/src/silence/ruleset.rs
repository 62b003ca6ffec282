//! The tables, sets and rules that keep a host silent. Pure.

use core::net::IpAddr;

use netlink::Request;

use super::nft::{self, FAMILY_ARP, FAMILY_INET, Rule, Way};
use super::{Manner, Silenced};

/// One set of addresses, and where it is.
pub(super) struct SetOf {
    pub(super) family: u8,
    pub(super) name: &'static str,
    number: u32,
    key: (u32, u32),
    takes: fn(&Silenced) -> bool,
}

/// Types of keys as `nft` numbers them, 6 bits each: `ipv4_addr`, `ipv6_addr`, `iface_index . ipv6_addr`.
const IPV4: (u32, u32) = (7, 4);
const IPV6: (u32, u32) = (8, 16);
const LINK_IPV6: (u32, u32) = (16 << 6 | 8, 20);

pub(super) const SETS: [SetOf; 7] = [
    SetOf {
        family: FAMILY_INET,
        name: "refused4",
        number: 1,
        key: IPV4,
        takes: |one| one.ip.is_ipv4() && one.manner == Manner::Refuse,
    },
    SetOf {
        family: FAMILY_INET,
        name: "muted4",
        number: 2,
        key: IPV4,
        takes: |one| one.ip.is_ipv4() && one.manner == Manner::Mute,
    },
    SetOf {
        family: FAMILY_INET,
        name: "refused6",
        number: 3,
        key: IPV6,
        takes: |one| one.ip.is_ipv6() && !one.is_of_link() && one.manner == Manner::Refuse,
    },
    SetOf {
        family: FAMILY_INET,
        name: "muted6",
        number: 4,
        key: IPV6,
        takes: |one| one.ip.is_ipv6() && !one.is_of_link() && one.manner == Manner::Mute,
    },
    SetOf {
        family: FAMILY_INET,
        name: "refused6_link",
        number: 5,
        key: LINK_IPV6,
        takes: |one| one.is_of_link() && one.manner == Manner::Refuse,
    },
    SetOf {
        family: FAMILY_INET,
        name: "muted6_link",
        number: 6,
        key: LINK_IPV6,
        takes: |one| one.is_of_link() && one.manner == Manner::Mute,
    },
    SetOf {
        family: FAMILY_ARP,
        name: "muted",
        number: 1,
        key: IPV4,
        takes: |one| one.ip.is_ipv4() && one.manner == Manner::Mute,
    },
];

/// The key of an address in its set.
fn key(silenced: &Silenced) -> Vec<u8> {
    match silenced.ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) if silenced.is_of_link() => {
            [&silenced.interface.to_ne_bytes()[..], &ip.octets()].concat()
        }
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

impl SetOf {
    /// The address behind a key of this set; the inverse of [`key`].
    pub(super) fn read(&self, key: &[u8]) -> Option<Silenced> {
        let manner = if self.name.starts_with("muted") { Manner::Mute } else { Manner::Refuse };
        let (interface, ip) = match self.key {
            IPV4 => (0, IpAddr::from(<[u8; 4]>::try_from(key).ok()?)),
            IPV6 => (0, IpAddr::from(<[u8; 16]>::try_from(key).ok()?)),
            _ => {
                let (interface, ip) = key.split_first_chunk()?;
                (u32::from_ne_bytes(*interface), IpAddr::from(<[u8; 16]>::try_from(ip).ok()?))
            }
        };
        Some(Silenced { ip, interface, manner })
    }
}

/// Interfaces that tell nobody what they listen to.
const QUIET: &str = "quiet";
const INTERFACE: (u32, u32) = (16, 4);
const QUIET_NUMBER: u32 = 7;

/// Adds or removes quiet interfaces.
pub(super) fn change_quiet(table: &str, interfaces: &[u32], add: bool) -> Vec<Request> {
    let keys: Vec<Vec<u8>> =
        interfaces.iter().map(|interface| interface.to_ne_bytes().to_vec()).collect();
    nft::elements(FAMILY_INET, table, QUIET, &keys, add).collect()
}

/// Adds or removes addresses.
pub(super) fn change(table: &str, silenced: &[Silenced], add: bool) -> Vec<Request> {
    let mut requests = Vec::new();
    for set in &SETS {
        let keys: Vec<Vec<u8>> = silenced.iter().filter(|one| (set.takes)(one)).map(key).collect();
        requests.extend(nft::elements(set.family, table, set.name, &keys, add));
    }
    requests
}

/// Makes both tables as they shall be, whatever there was under their name.
pub(super) fn replace(table: &str, silenced: &[Silenced], quiet: &[u32]) -> Vec<Request> {
    let mut requests = Vec::new();
    for family in [FAMILY_INET, FAMILY_ARP] {
        // What is not there cannot be deleted: made, deleted and made again, all in one moment.
        requests.push(nft::new_table(family, table));
        requests.push(nft::delete_table(family, table));
        requests.push(nft::new_table(family, table));
    }
    for set in &SETS {
        requests.push(nft::new_set(set.family, table, set.name, set.number, set.key));
    }
    requests.push(nft::new_set(FAMILY_INET, table, QUIET, QUIET_NUMBER, INTERFACE));
    requests.extend(change(table, silenced, true));
    requests.extend(change_quiet(table, quiet, true));
    // NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_ARP_OUT.
    for (family, chain, hook) in
        [(FAMILY_INET, "input", 1), (FAMILY_INET, "output", 3), (FAMILY_ARP, "output", 1)]
    {
        requests.push(nft::new_chain(family, table, chain, hook));
    }
    let rules = input().into_iter().map(|rule| rule.request(FAMILY_INET, table, "input"));
    requests.extend(rules);
    let rules = output().into_iter().map(|rule| rule.request(FAMILY_INET, table, "output"));
    requests.extend(rules);
    // Where an ARP message for Ethernet and IPv4 has its sender (RFC 826).
    let rule = Rule::new().key(NETWORK, 14, 4, None).in_set("muted").drop();
    requests.push(rule.request(FAMILY_ARP, table, "output"));
    requests
}

pub(super) fn remove(table: &str) -> [Request; 2] {
    [FAMILY_INET, FAMILY_ARP].map(|family| nft::delete_table(family, table))
}

const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

/// Types of neighbour and router discovery (RFC 4861 §4).
const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const REDIRECT: u8 = 137;
/// Types of multicast listener discovery (RFC 2710 §3, RFC 3810 §5).
const LISTENER_QUERY: u8 = 130;
const LISTENER_DONE: u8 = 132;
const LISTENER_REPORT_V2: u8 = 143;
const IPPROTO_IGMP: u8 = 2;

fn input() -> Vec<Rule> {
    let way = Some(Way::In);
    // The target follows type, code, checksum and 4 reserved octets.
    let solicited = || Rule::new().icmpv6(NEIGHBOUR_SOLICITATION, NEIGHBOUR_SOLICITATION);
    let to = |interface| Rule::new().ipv6().key(NETWORK, 24, 16, interface);
    vec![
        Rule::new().ipv4().key(NETWORK, 16, 4, None).in_set("muted4").drop(),
        Rule::new().ipv4().key(NETWORK, 16, 4, None).in_set("refused4").drop(),
        solicited().key(TRANSPORT, 8, 16, None).in_set("muted6").drop(),
        solicited().key(TRANSPORT, 8, 16, way).in_set("muted6_link").drop(),
        to(None).in_set("muted6").drop(),
        to(way).in_set("muted6_link").drop(),
        // RFC 9568 §6.4.3: neighbour solicitations and advertisements must not be dropped.
        Rule::new().icmpv6(ROUTER_SOLICITATION, REDIRECT).accept(),
        to(None).in_set("refused6").drop(),
        to(way).in_set("refused6_link").drop(),
    ]
}

fn output() -> Vec<Rule> {
    let from = |interface| Rule::new().ipv6().key(NETWORK, 8, 16, interface);
    let quiet = |rule: Rule| rule.leaving_by().in_set(QUIET).drop();
    vec![
        quiet(Rule::new().ipv4().protocol(IPPROTO_IGMP)),
        quiet(Rule::new().icmpv6(LISTENER_QUERY, LISTENER_DONE)),
        quiet(Rule::new().icmpv6(ROUTER_SOLICITATION, ROUTER_SOLICITATION)),
        quiet(Rule::new().icmpv6(LISTENER_REPORT_V2, LISTENER_REPORT_V2)),
        Rule::new().ipv4().key(NETWORK, 12, 4, None).in_set("muted4").drop(),
        from(None).in_set("muted6").drop(),
        from(Some(Way::Out)).in_set("muted6_link").drop(),
    ]
}
