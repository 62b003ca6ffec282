//! Rules to and from `struct fib_rule_hdr` and its attributes (`linux/fib_rules.h`). Pure.

use netlink::{Attribute, Attributes, Payload};

use super::{Rule, RuleAction};
use crate::address::codec::{AF_INET, AF_INET6, ip, put_ip};
use crate::link::is_interface_name;
use crate::prefix::Prefix;

pub(crate) const FIB_RULE_HDR_LEN: usize = 12;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_L3MDEV: u16 = 19;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;

const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_GOTO: u8 = 2;
const FR_ACT_NOP: u8 = 3;
const FR_ACT_BLACKHOLE: u8 = 6;
const FR_ACT_UNREACHABLE: u8 = 7;
const FR_ACT_PROHIBIT: u8 = 8;

const FIB_RULE_INVERT: u32 = 0x2;

/// The payload of `RTM_NEWRULE` and `RTM_DELRULE`.
pub(crate) fn encode(rule: &Rule) -> Payload {
    let matches = &rule.matches;
    let (action, table) = match rule.action {
        RuleAction::Lookup(table) => (FR_ACT_TO_TBL, table),
        RuleAction::LookupVrf => (FR_ACT_TO_TBL, 0),
        RuleAction::Goto(_) => (FR_ACT_GOTO, 0),
        RuleAction::Nothing => (FR_ACT_NOP, 0),
        RuleAction::Blackhole => (FR_ACT_BLACKHOLE, 0),
        RuleAction::Unreachable => (FR_ACT_UNREACHABLE, 0),
        RuleAction::Prohibit => (FR_ACT_PROHIBIT, 0),
    };
    let len = |prefix: Option<Prefix>| prefix.map_or(0, Prefix::len);
    let header = [
        if rule.ipv6 { AF_INET6 } else { AF_INET },
        len(matches.to),
        len(matches.from),
        matches.tos,
        u8::try_from(table).unwrap_or(0), // in FRA_TABLE
        0,
        0,
        action,
    ];
    let flags = if matches.invert { FIB_RULE_INVERT } else { 0 };
    let mut payload = Payload::with_header(&[&header[..], &flags.to_ne_bytes()].concat())
        .u32(FRA_PRIORITY, rule.priority);
    match rule.action {
        RuleAction::Lookup(table) => payload = payload.u32(FRA_TABLE, table),
        RuleAction::LookupVrf => payload = payload.u8(FRA_L3MDEV, 1),
        RuleAction::Goto(priority) => payload = payload.u32(FRA_GOTO, priority),
        RuleAction::Nothing
        | RuleAction::Blackhole
        | RuleAction::Unreachable
        | RuleAction::Prohibit => {}
    }
    for (kind, prefix) in [(FRA_DST, matches.to), (FRA_SRC, matches.from)] {
        if let Some(prefix) = prefix {
            payload = put_ip(payload, kind, prefix.ip());
        }
    }
    for (kind, name) in [(FRA_IIFNAME, &matches.input), (FRA_OIFNAME, &matches.output)] {
        if let Some(name) = name {
            payload = payload.text(kind, name);
        }
    }
    if let Some((mark, mask)) = matches.mark {
        payload = payload.u32(FRA_FWMARK, mark).u32(FRA_FWMASK, mask);
    }
    if let Some((first, last)) = matches.users {
        let range = [first, last].map(u32::to_ne_bytes);
        payload = payload.attribute(FRA_UID_RANGE, range.as_flattened());
    }
    if let Some(protocol) = matches.ip_protocol {
        payload = payload.u8(FRA_IP_PROTO, protocol);
    }
    for (kind, ports) in
        [(FRA_SPORT_RANGE, matches.source_ports), (FRA_DPORT_RANGE, matches.destination_ports)]
    {
        if let Some((first, last)) = ports {
            // In host order, unlike ports elsewhere.
            let range = [first, last].map(u16::to_ne_bytes);
            payload = payload.attribute(kind, range.as_flattened());
        }
    }
    for (kind, value) in [
        (FRA_SUPPRESS_PREFIXLEN, rule.suppress_prefix_len),
        (FRA_SUPPRESS_IFGROUP, rule.suppress_group),
    ] {
        if let Some(value) = value {
            payload = payload.u32(kind, value);
        }
    }
    if rule.protocol == 0 { payload } else { payload.u8(FRA_PROTOCOL, rule.protocol) }
}

/// The payload of a dump of one family.
pub(crate) fn encode_dump(family: u8) -> Payload {
    let mut header = [0; FIB_RULE_HDR_LEN];
    header.iter_mut().zip([family]).for_each(|(to, from)| *to = from);
    Payload::with_header(&header)
}

/// Reads the payload of `RTM_NEWRULE` or `RTM_DELRULE`; `None` for another family's or one that makes no sense.
pub(crate) fn decode(payload: &[u8]) -> Option<Rule> {
    let header: &[u8; FIB_RULE_HDR_LEN] = payload.first_chunk()?;
    let [family, to_len, from_len, tos, table, _, _, action, flags @ ..] = *header;
    let ipv6 = match family {
        AF_INET => false,
        AF_INET6 => true,
        _ => return None,
    };
    let attributes = Attributes::after(payload, FIB_RULE_HDR_LEN);
    let number = |kind| attributes.first(kind).and_then(|attribute| attribute.u32());
    let vrf = attributes.first(FRA_L3MDEV).and_then(|flag| flag.u8()).is_some_and(|on| on != 0);
    let action = match action {
        FR_ACT_TO_TBL if vrf => RuleAction::LookupVrf,
        FR_ACT_TO_TBL => RuleAction::Lookup(number(FRA_TABLE).unwrap_or(table.into())),
        FR_ACT_GOTO => RuleAction::Goto(number(FRA_GOTO)?),
        FR_ACT_NOP => RuleAction::Nothing,
        FR_ACT_BLACKHOLE => RuleAction::Blackhole,
        FR_ACT_UNREACHABLE => RuleAction::Unreachable,
        FR_ACT_PROHIBIT => RuleAction::Prohibit,
        _ => return None,
    };
    // The rule of priority 0 says nothing of it.
    let mut rule = Rule::new(ipv6, number(FRA_PRIORITY).unwrap_or(0), action).tos(tos).protocol(0);
    rule.matches.invert = u32::from_ne_bytes(flags) & FIB_RULE_INVERT != 0;
    rule = rule.mark(number(FRA_FWMARK).unwrap_or(0), number(FRA_FWMASK).unwrap_or(0));
    for attribute in attributes {
        rule = match attribute.kind {
            FRA_SRC => rule.from(Prefix::new(ip(family, attribute.value)?, from_len).ok()?),
            FRA_DST => rule.to(Prefix::new(ip(family, attribute.value)?, to_len).ok()?),
            FRA_IIFNAME => rule.input(name(&attribute)?),
            FRA_OIFNAME => rule.output(name(&attribute)?),
            FRA_UID_RANGE => {
                let [first, last] = pair(attribute.value)?.map(u32::from_ne_bytes);
                rule.users(first, last)
            }
            FRA_IP_PROTO => rule.ip_protocol(attribute.u8()?),
            FRA_SPORT_RANGE => {
                let [first, last] = pair(attribute.value)?.map(u16::from_ne_bytes);
                rule.source_ports(first, last)
            }
            FRA_DPORT_RANGE => {
                let [first, last] = pair(attribute.value)?.map(u16::from_ne_bytes);
                rule.destination_ports(first, last)
            }
            // The kernel tells that there is none by all ones.
            FRA_SUPPRESS_PREFIXLEN => match attribute.u32()? {
                u32::MAX => rule,
                len => rule.suppress_prefix_len(len),
            },
            FRA_SUPPRESS_IFGROUP => match attribute.u32()? {
                u32::MAX => rule,
                group => rule.suppress_group(group),
            },
            FRA_PROTOCOL => rule.protocol(attribute.u8()?),
            _ => rule,
        };
    }
    Some(rule)
}

fn name<'a>(attribute: &Attribute<'a>) -> Option<&'a str> {
    attribute.text().filter(|name| is_interface_name(name))
}

/// Two values of `N` octets, one after the other.
fn pair<const N: usize>(octets: &[u8]) -> Option<[[u8; N]; 2]> {
    let (first, rest) = octets.split_first_chunk()?;
    Some([*first, *rest.first_chunk()?])
}
