//! Messages of `nf_tables` (`linux/netfilter/nf_tables.h`). Pure.

use netlink::{Attributes, Flags, Payload, Request};

/// `NFNL_SUBSYS_NFTABLES`.
pub(super) const SUBSYSTEM: u8 = 10;

/// `NFPROTO_*`.
pub(super) const FAMILY_INET: u8 = 1;
pub(super) const FAMILY_ARP: u8 = 3;

const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
const IPPROTO_ICMPV6: u8 = 58;

/// `NFT_MSG_*`, below the subsystem.
const NEWTABLE: u16 = message(0);
const DELTABLE: u16 = message(2);
const NEWCHAIN: u16 = message(3);
const NEWRULE: u16 = message(6);
const NEWSET: u16 = message(9);
pub(super) const NEWSETELEM: u16 = message(12);
const GETSETELEM: u16 = message(13);
const DELSETELEM: u16 = message(14);

const fn message(number: u16) -> u16 {
    10 << 8 | number
}

/// Elements of one message: their nest stays below 64 KiB.
const ELEMENTS: usize = 1000;

/// Octets of `struct nfgenmsg`.
const NFGENMSG_LEN: usize = 4;

const LIST_ELEM: u16 = 1;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;

fn start(family: u8) -> Payload {
    Payload::with_header(&[family, 0, 0, 0])
}

/// Makes the table, or leaves it.
pub(super) fn new_table(family: u8, table: &str) -> Request {
    Request::new(NEWTABLE, Flags::CREATE, start(family).text(1, table))
}

/// Removes the table with all that is in it.
pub(super) fn delete_table(family: u8, table: &str) -> Request {
    Request::new(DELTABLE, Flags::NONE, start(family).text(1, table))
}

/// A chain that every packet passes at `hook`; what no rule drops goes on.
pub(super) fn new_chain(family: u8, table: &str, chain: &str, hook: u32) -> Request {
    const ACCEPT: u32 = 1;
    /// Before the filter chains of others, whose place is 0.
    const PRIORITY: u32 = u32::MAX; // -1
    let payload = start(family)
        .text(1, table)
        .text(3, chain)
        .nest(4, |inside| inside.u32_be(1, hook).u32_be(2, PRIORITY))
        .u32_be(5, ACCEPT)
        .text(7, "filter");
    Request::new(NEWCHAIN, Flags::CREATE, payload)
}

/// A set of keys of `key_len` octets; `key_type` is for `nft list` only.
pub(super) fn new_set(
    family: u8,
    table: &str,
    set: &str,
    number: u32,
    (key_type, key_len): (u32, u32),
) -> Request {
    let payload = start(family)
        .text(1, table)
        .text(2, set)
        .u32_be(3, 0)
        .u32_be(4, key_type)
        .u32_be(5, key_len)
        .u32_be(10, number);
    Request::new(NEWSET, Flags::CREATE, payload)
}

/// Adds keys to a set (those that are there stay), or removes keys, all of which have to be there.
pub(super) fn elements<'a>(
    family: u8,
    table: &'a str,
    set: &'a str,
    keys: &'a [Vec<u8>],
    add: bool,
) -> impl Iterator<Item = Request> + 'a {
    keys.chunks(ELEMENTS).map(move |keys| {
        let element = |inside: Payload, key: &Vec<u8>| {
            inside.nest(LIST_ELEM, |element| {
                element.nest(1, |value| value.attribute(DATA_VALUE, key))
            })
        };
        let payload = start(family)
            .text(1, table)
            .text(2, set)
            .nest(3, |inside| keys.iter().fold(inside, element));
        let (message, flags) =
            if add { (NEWSETELEM, Flags::CREATE) } else { (DELSETELEM, Flags::NONE) };
        Request::new(message, flags, payload)
    })
}

/// Asks for the keys of a set.
pub(super) fn dump_elements(family: u8, table: &str, set: &str) -> Request {
    Request::new(GETSETELEM, Flags::NONE, start(family).text(1, table).text(2, set))
}

/// Reads the keys in the payload of [`NEWSETELEM`].
pub(super) fn decode_elements(payload: &[u8]) -> Vec<Vec<u8>> {
    let Some(list) = Attributes::after(payload, NFGENMSG_LEN).first(3) else {
        return Vec::new();
    };
    let key = |element: netlink::Attribute<'_>| {
        Some(element.nested().first(1)?.nested().first(DATA_VALUE)?.value.to_vec())
    };
    list.nested().filter(|element| element.kind == LIST_ELEM).filter_map(key).collect()
}

/// A rule, expression by expression.
pub(super) struct Rule {
    expressions: Vec<Payload>,
}

/// Registers of 4 octets: the first of them, which a key fills from the front.
const KEY: u32 = 8;
/// Another one, for comparisons.
const SCRATCH: u32 = 20;

impl Rule {
    pub(super) const fn new() -> Self {
        Self { expressions: Vec::new() }
    }

    /// For IPv4, IPv6 (`inet` tables only).
    pub(super) fn ipv4(self) -> Self {
        self.meta(15, SCRATCH).compare(0, &[NFPROTO_IPV4])
    }

    pub(super) fn ipv6(self) -> Self {
        self.meta(15, SCRATCH).compare(0, &[NFPROTO_IPV6])
    }

    /// `ICMPv6` of types `first` to `last`.
    pub(super) fn icmpv6(self, first: u8, last: u8) -> Self {
        const TRANSPORT: u32 = 2;
        const AT_LEAST: u32 = 5;
        const AT_MOST: u32 = 3;
        self.ipv6()
            .protocol(IPPROTO_ICMPV6)
            .load(TRANSPORT, 0, 1, SCRATCH)
            .compare(AT_LEAST, &[first])
            .compare(AT_MOST, &[last])
    }

    /// Packets of this IP protocol, behind extension headers, too.
    pub(super) fn protocol(self, protocol: u8) -> Self {
        self.meta(16, SCRATCH).compare(0, &[protocol])
    }

    /// The key is the interface by which the packet leaves.
    pub(super) fn leaving_by(self) -> Self {
        self.meta(5, KEY)
    }

    /// What follows the key's interface, if it has one: octets of the network header (base 1) or of the transport header (base 2).
    pub(super) fn key(self, base: u32, offset: u32, len: u32, interface: Option<Way>) -> Self {
        match interface {
            None => self.load(base, offset, len, KEY),
            Some(way) => self.meta(if way == Way::In { 4 } else { 5 }, KEY).load(
                base,
                offset,
                len,
                KEY.saturating_add(1),
            ),
        }
    }

    /// The key is in the set.
    pub(super) fn in_set(self, set: &str) -> Self {
        self.push("lookup", |data| data.text(1, set).u32_be(2, KEY))
    }

    pub(super) fn drop(self) -> Self {
        self.verdict(0)
    }

    pub(super) fn accept(self) -> Self {
        self.verdict(1)
    }

    /// The request that appends it to a chain.
    pub(super) fn request(self, family: u8, table: &str, chain: &str) -> Request {
        let list = |inside: Payload| {
            self.expressions.iter().fold(inside, |inside, expression| {
                inside.attribute(LIST_ELEM | NESTED, expression.as_bytes())
            })
        };
        let payload = start(family).text(1, table).text(2, chain).nest(4, list);
        Request::new(NEWRULE, Flags::CREATE | Flags::APPEND, payload)
    }

    fn meta(self, key: u32, register: u32) -> Self {
        self.push("meta", |data| data.u32_be(1, register).u32_be(2, key))
    }

    fn load(self, base: u32, offset: u32, len: u32, register: u32) -> Self {
        self.push("payload", |data| {
            data.u32_be(1, register).u32_be(2, base).u32_be(3, offset).u32_be(4, len)
        })
    }

    fn compare(self, operator: u32, value: &[u8]) -> Self {
        self.push("cmp", |data| {
            data.u32_be(1, SCRATCH)
                .u32_be(2, operator)
                .nest(3, |inside| inside.attribute(DATA_VALUE, value))
        })
    }

    fn verdict(self, code: u32) -> Self {
        self.push("immediate", |data| {
            data.u32_be(1, 0)
                .nest(2, |inside| inside.nest(DATA_VERDICT, |verdict| verdict.u32_be(1, code)))
        })
    }

    fn push(mut self, name: &str, data: impl FnOnce(Payload) -> Payload) -> Self {
        self.expressions.push(Payload::new().text(1, name).nest(2, data));
        self
    }
}

/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// Where a packet's interface is to be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}
