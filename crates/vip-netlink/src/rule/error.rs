//! What is no rule.

use super::{Rule, RuleAction};
use crate::link::is_interface_name;
use crate::prefix::{InvalidPrefix, Prefix};

/// Why something is no [`Rule`] that could be asked of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRule {
    /// A network is of the other family.
    #[error("{prefix} does not go with rule {priority}: it is of the other address family")]
    Family {
        /// The rule's priority.
        priority: u32,
        /// The network.
        prefix: Prefix,
    },
    /// A name that no interface can have.
    #[error(
        "rule {priority} matches packets of the interface {name:?}: no interface can have that name"
    )]
    Interface {
        /// The rule's priority.
        priority: u32,
        /// The name.
        name: String,
    },
    /// A range without anything in it, or with port 0.
    #[error("rule {priority} matches {what} from {first} to {last}: no packet has them")]
    Range {
        /// The rule's priority.
        priority: u32,
        /// What there is a range of.
        what: &'static str,
        /// The first.
        first: u32,
        /// The last.
        last: u32,
    },
    /// The rule goes on with itself or with one before it.
    #[error("rule {priority} goes on with rule {target}: that has to be a later one")]
    Goto {
        /// The rule's priority.
        priority: u32,
        /// The priority asked for.
        target: u32,
    },
    /// Table 0 is none.
    #[error("rule {priority} looks into table 0, which there is not")]
    Table {
        /// The rule's priority.
        priority: u32,
    },
    /// A network is none.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
    /// The text is not what `Display` writes.
    #[error("text is not FAMILY priority NUMBER ACTION and known properties")]
    Text,
}

pub(super) fn check(rule: &Rule) -> Result<(), InvalidRule> {
    let (priority, matches) = (rule.priority, &rule.matches);
    let networks = [matches.from, matches.to].into_iter().flatten();
    if let Some(prefix) = networks.into_iter().find(|prefix| prefix.is_ipv6() != rule.ipv6) {
        return Err(InvalidRule::Family { priority, prefix });
    }
    for name in [&matches.input, &matches.output].into_iter().flatten() {
        if !is_interface_name(name) {
            return Err(InvalidRule::Interface { priority, name: name.clone() });
        }
    }
    let ports = |(first, last): (u16, u16)| (first.into(), last.into());
    let ranges = [
        ("user ids", matches.users, 0),
        ("source ports", matches.source_ports.map(ports), 1),
        ("destination ports", matches.destination_ports.map(ports), 1),
    ];
    for (what, range, least) in ranges {
        if let Some((first, last)) = range.filter(|(first, last)| first > last || *first < least) {
            return Err(InvalidRule::Range { priority, what, first, last });
        }
    }
    match rule.action {
        RuleAction::Lookup(0) => return Err(InvalidRule::Table { priority }),
        RuleAction::Goto(target) if target <= priority => {
            return Err(InvalidRule::Goto { priority, target });
        }
        RuleAction::Lookup(_)
        | RuleAction::LookupVrf
        | RuleAction::Goto(_)
        | RuleAction::Nothing
        | RuleAction::Blackhole
        | RuleAction::Unreachable
        | RuleAction::Prohibit => {}
    }
    Ok(())
}
