//! A routing rule that lives and dies with a virtual address.

use crate::prefix::Prefix;

pub(crate) mod codec;
mod error;
mod text;

pub use error::InvalidRule;

/// What a rule does with the packets it matches (`FR_ACT_*`, `linux/fib_rules.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RuleAction {
    /// Look for a route in this table, 1 to 2^32 - 1.
    Lookup(u32),
    /// Look for a route in the table of the VRF that the packet belongs to (`l3mdev`).
    LookupVrf,
    /// Go on with the first rule of this priority, which has to be greater.
    Goto(u32),
    /// Do nothing.
    Nothing,
    /// Drop in silence.
    Blackhole,
    /// Answer with "network unreachable".
    Unreachable,
    /// Answer with "administratively prohibited".
    Prohibit,
}

/// A routing rule as it shall be: which packets it matches and what happens to them.
///
/// `Display` and `FromStr` agree with each other, so that a rule can be written to a journal and removed by the process that reads it:
///
/// ```
/// use vip_netlink::{Rule, RuleAction};
///
/// let rule = Rule::ipv4(100, RuleAction::Lookup(300)).from("192.0.2.100".parse()?);
/// assert_eq!(rule.to_string(), "ipv4 priority 100 lookup 300 from 192.0.2.100/32 proto 18");
/// assert_eq!(rule.to_string().parse::<Rule>()?, rule);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A rule is told from others by all that it says, but for its tag. Interfaces are given by name here: the kernel keeps the names, too, and the
/// rule outlives its interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    ipv6: bool,
    priority: u32,
    action: RuleAction,
    matches: Matches,
    suppress_prefix_len: Option<u32>,
    suppress_group: Option<u32>,
    protocol: u8,
}

/// Which packets; everything that is `None` (or zero) matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Matches {
    pub(crate) invert: bool,
    pub(crate) from: Option<Prefix>,
    pub(crate) to: Option<Prefix>,
    pub(crate) tos: u8,
    pub(crate) mark: Option<(u32, u32)>,
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) users: Option<(u32, u32)>,
    pub(crate) ip_protocol: Option<u8>,
    pub(crate) source_ports: Option<(u16, u16)>,
    pub(crate) destination_ports: Option<(u16, u16)>,
}

impl Rule {
    /// The tag of who configured a rule, `RTPROT_KEEPALIVED`: see [`Route::PROTOCOL`](crate::Route::PROTOCOL).
    pub const PROTOCOL: u8 = 18;

    /// A rule for IPv4 packets. Rules are asked in the order of their priorities, the lowest first; the kernel's own for the main table
    /// has 32766.
    #[must_use]
    pub fn ipv4(priority: u32, action: RuleAction) -> Self {
        Self::new(false, priority, action)
    }

    /// A rule for IPv6 packets.
    #[must_use]
    pub fn ipv6(priority: u32, action: RuleAction) -> Self {
        Self::new(true, priority, action)
    }

    fn new(ipv6: bool, priority: u32, action: RuleAction) -> Self {
        Self {
            ipv6,
            priority,
            action,
            matches: Matches::default(),
            suppress_prefix_len: None,
            suppress_group: None,
            protocol: Self::PROTOCOL,
        }
    }

    /// Only packets from this network.
    #[must_use]
    pub fn from(mut self, from: Prefix) -> Self {
        self.matches.from = (!from.is_empty()).then_some(from);
        self
    }

    /// Only packets to this network.
    #[must_use]
    pub fn to(mut self, to: Prefix) -> Self {
        self.matches.to = (!to.is_empty()).then_some(to);
        self
    }

    /// Only packets with this type of service.
    #[must_use]
    pub fn tos(mut self, tos: u8) -> Self {
        self.matches.tos = tos;
        self
    }

    /// Only packets whose firewall mark, in the bits of the mask `bits`, is `mark`. A mark and a mask of 0 match all.
    #[must_use]
    pub fn mark(mut self, mark: u32, bits: u32) -> Self {
        self.matches.mark = ((mark, bits) != (0, 0)).then_some((mark, bits));
        self
    }

    /// Only packets that came in through the interface of this name, 1 to 15 bytes.
    #[must_use]
    pub fn input(mut self, name: &str) -> Self {
        self.matches.input = Some(name.to_owned());
        self
    }

    /// Only packets of sockets that are bound to the interface of this name, 1 to 15 bytes.
    #[must_use]
    pub fn output(mut self, name: &str) -> Self {
        self.matches.output = Some(name.to_owned());
        self
    }

    /// Only packets of sockets of these user ids, the first and the last.
    #[must_use]
    pub fn users(mut self, first: u32, last: u32) -> Self {
        self.matches.users = Some((first, last));
        self
    }

    /// Only packets of this IP protocol; 0 matches all.
    #[must_use]
    pub fn ip_protocol(mut self, protocol: u8) -> Self {
        self.matches.ip_protocol = (protocol != 0).then_some(protocol);
        self
    }

    /// Only packets from these ports, the first and the last, 1 to 65535.
    #[must_use]
    pub fn source_ports(mut self, first: u16, last: u16) -> Self {
        self.matches.source_ports = Some((first, last));
        self
    }

    /// Only packets to these ports, the first and the last, 1 to 65535.
    #[must_use]
    pub fn destination_ports(mut self, first: u16, last: u16) -> Self {
        self.matches.destination_ports = Some((first, last));
        self
    }

    /// Only packets that do *not* match.
    #[must_use]
    pub fn invert(mut self, invert: bool) -> Self {
        self.matches.invert = invert;
        self
    }

    /// Takes no route whose prefix has this length or a shorter one, 0 to 128: 0 passes over default routes.
    #[must_use]
    pub fn suppress_prefix_len(mut self, len: u32) -> Self {
        self.suppress_prefix_len = Some(len);
        self
    }

    /// Takes no route through an interface of this group.
    #[must_use]
    pub fn suppress_group(mut self, group: u32) -> Self {
        self.suppress_group = Some(group);
        self
    }

    /// Tags the rule with who configured it (`FRA_PROTOCOL`); the default is [`Rule::PROTOCOL`]. Kernels before 4.17 forget it.
    #[must_use]
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    /// Is it for IPv6 packets, or for IPv4?
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    /// Its priority; lower ones are asked first.
    #[must_use]
    pub fn priority(&self) -> u32 {
        self.priority
    }

    /// Its tag, see [`protocol`](Self::protocol).
    #[must_use]
    pub fn tag(&self) -> u8 {
        self.protocol
    }

    /// What it does.
    #[must_use]
    pub fn action(&self) -> RuleAction {
        self.action
    }

    /// What tells it from others: the rule without its tag.
    pub(crate) fn key(&self) -> Self {
        self.clone().protocol(0)
    }

    /// Is `present` this rule? A tag that an old kernel forgets does not count.
    #[must_use]
    pub fn agrees_with(&self, present: &Self) -> bool {
        self.key() == present.key()
            && (self.protocol == present.protocol || present.protocol == 0 || self.protocol == 0)
    }

    /// Would the kernel, asked to remove this rule, take `present` for it? What a request does not say matches anything.
    pub(crate) fn could_mean(&self, present: &Self) -> bool {
        fn fits<T: PartialEq>(said: Option<&T>, present: Option<&T>) -> bool {
            said.is_none() || said == present
        }
        let (own, other) = (&self.matches, &present.matches);
        (self.ipv6, self.priority, self.action) == (present.ipv6, present.priority, present.action)
            && (self.protocol == 0 || self.protocol == present.protocol)
            && fits(own.from.as_ref(), other.from.as_ref())
            && fits(own.to.as_ref(), other.to.as_ref())
            && (own.tos == 0 || own.tos == other.tos)
            && fits(own.mark.as_ref(), other.mark.as_ref())
            && fits(own.input.as_ref(), other.input.as_ref())
            && fits(own.output.as_ref(), other.output.as_ref())
            && fits(own.users.as_ref(), other.users.as_ref())
            && fits(own.ip_protocol.as_ref(), other.ip_protocol.as_ref())
            && fits(own.source_ports.as_ref(), other.source_ports.as_ref())
            && fits(own.destination_ports.as_ref(), other.destination_ports.as_ref())
    }

    /// Is it something that can be asked of the kernel at all?
    ///
    /// # Errors
    ///
    /// [`InvalidRule`]: a network of the other family, a name that no interface can have, a range that is empty, and more.
    pub fn check(&self) -> Result<(), InvalidRule> {
        error::check(self)
    }
}

#[cfg(test)]
pub(crate) mod tests;
