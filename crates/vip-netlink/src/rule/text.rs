//! Rules as lines of text, for a journal.

use core::fmt;
use core::str::{FromStr, Split};

use super::{InvalidRule, Rule, RuleAction};
use crate::link::is_interface_name;

impl fmt::Display for RuleAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(table) => write!(f, "lookup {table}"),
            Self::LookupVrf => f.write_str("l3mdev"),
            Self::Goto(priority) => write!(f, "goto {priority}"),
            Self::Nothing => f.write_str("nop"),
            Self::Blackhole => f.write_str("blackhole"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Prohibit => f.write_str("prohibit"),
        }
    }
}

/// ` WORD VALUE`, where there is a value.
fn put<T: fmt::Display>(f: &mut fmt::Formatter<'_>, word: &str, value: Option<T>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {word} {value}"))
}

fn range<T: fmt::Display>(range: Option<(T, T)>) -> Option<String> {
    range.map(|(first, last)| format!("{first}-{last}"))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.ipv6 { "ipv6" } else { "ipv4" };
        write!(f, "{family} priority {} {}", self.priority, self.action)?;
        let matches = &self.matches;
        if matches.invert {
            write!(f, " not")?;
        }
        put(f, "from", matches.from)?;
        put(f, "to", matches.to)?;
        put(f, "tos", Some(matches.tos).filter(|tos| *tos != 0))?;
        put(f, "fwmark", matches.mark.map(|(mark, mask)| format!("{mark}/{mask}")))?;
        put(f, "iif", matches.input.as_deref())?;
        put(f, "oif", matches.output.as_deref())?;
        put(f, "uidrange", range(matches.users))?;
        put(f, "ipproto", matches.ip_protocol)?;
        put(f, "sport", range(matches.source_ports))?;
        put(f, "dport", range(matches.destination_ports))?;
        put(f, "suppress_prefixlength", self.suppress_prefix_len)?;
        put(f, "suppress_ifgroup", self.suppress_group)?;
        write!(f, " proto {}", self.protocol)
    }
}

/// The words of a line, one by one.
struct Words<'a>(Split<'a, char>);

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str, InvalidRule> {
        self.0.next().ok_or(InvalidRule::Text)
    }

    fn value<T: FromStr>(&mut self) -> Result<T, InvalidRule> {
        self.next()?.parse().map_err(|_| InvalidRule::Text)
    }

    fn pair<T: FromStr>(&mut self, separator: char) -> Result<(T, T), InvalidRule> {
        let (first, last) = self.next()?.split_once(separator).ok_or(InvalidRule::Text)?;
        let read = |text: &str| text.parse().map_err(|_| InvalidRule::Text);
        Ok((read(first)?, read(last)?))
    }

    fn name(&mut self) -> Result<&'a str, InvalidRule> {
        self.next()
            .and_then(|name| is_interface_name(name).then_some(name).ok_or(InvalidRule::Text))
    }
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let mut words = Words(text.split(' '));
        let ipv6 = match words.next()? {
            "ipv4" => false,
            "ipv6" => true,
            _ => return Err(InvalidRule::Text),
        };
        if words.next()? != "priority" {
            return Err(InvalidRule::Text);
        }
        let priority = words.value()?;
        let action = match words.next()? {
            "lookup" => RuleAction::Lookup(words.value()?),
            "l3mdev" => RuleAction::LookupVrf,
            "goto" => RuleAction::Goto(words.value()?),
            "nop" => RuleAction::Nothing,
            "blackhole" => RuleAction::Blackhole,
            "unreachable" => RuleAction::Unreachable,
            "prohibit" => RuleAction::Prohibit,
            _ => return Err(InvalidRule::Text),
        };
        let mut rule = Self::new(ipv6, priority, action).protocol(0);
        while let Some(word) = words.0.next() {
            rule = match word {
                "not" => rule.invert(true),
                "from" => rule.from(words.value()?),
                "to" => rule.to(words.value()?),
                "tos" => rule.tos(words.value()?),
                "fwmark" => {
                    let (mark, bits) = words.pair('/')?;
                    rule.mark(mark, bits)
                }
                "iif" => rule.input(words.name()?),
                "oif" => rule.output(words.name()?),
                "uidrange" => {
                    let (first, last) = words.pair('-')?;
                    rule.users(first, last)
                }
                "ipproto" => rule.ip_protocol(words.value()?),
                "sport" => {
                    let (first, last) = words.pair('-')?;
                    rule.source_ports(first, last)
                }
                "dport" => {
                    let (first, last) = words.pair('-')?;
                    rule.destination_ports(first, last)
                }
                "suppress_prefixlength" => rule.suppress_prefix_len(words.value()?),
                "suppress_ifgroup" => rule.suppress_group(words.value()?),
                "proto" => rule.protocol(words.value()?),
                _ => return Err(InvalidRule::Text),
            };
        }
        Ok(rule)
    }
}
