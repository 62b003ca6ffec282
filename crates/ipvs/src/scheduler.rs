//! Scheduling algorithms and kernel names.

use core::fmt;
use core::str::FromStr;

/// How a service distributes connections over its destinations (`ip_vs_NAME` kernel modules).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scheduler {
    /// `rr`: each in turn.
    RoundRobin,
    /// `wrr`: each in turn, as often as its weight says.
    WeightedRoundRobin,
    /// `lc`: the one with the fewest connections.
    LeastConnections,
    /// `wlc`: the one with the fewest connections for its weight.
    WeightedLeastConnections,
    /// `fo`: the one with the highest weight.
    WeightedFailover,
    /// `ovf`: the one with the highest weight until it has as many connections as its weight says.
    WeightedOverflow,
    /// `lblc`: the one this destination address went to before, unless overloaded. For caches.
    LocalityLeastConnections,
    /// `lblcr`: a set of servers for each destination address. For caches.
    LocalityLeastConnectionsReplicated,
    /// `dh`: by a hash of the destination address.
    DestinationHash,
    /// `sh`: by a hash of the source address.
    SourceHash,
    /// `mh`: by a hash of the source address that moves few clients when a server goes (Maglev).
    MaglevHash,
    /// `sed`: the one with the shortest expected delay.
    ShortestExpectedDelay,
    /// `nq`: an idle one, else as `sed`.
    NeverQueue,
    /// `twos`: the less loaded of two drawn by weight (Linux 5.12).
    PowerOfTwoChoices,
    /// `none`: the kernel picks none; for services whose connections come from a sync daemon.
    None,
    /// Any other scheduler, by its kernel name.
    Other(Name),
}

impl Scheduler {
    /// The kernel's name, at most 15 octets.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::RoundRobin => "rr",
            Self::WeightedRoundRobin => "wrr",
            Self::LeastConnections => "lc",
            Self::WeightedLeastConnections => "wlc",
            Self::WeightedFailover => "fo",
            Self::WeightedOverflow => "ovf",
            Self::LocalityLeastConnections => "lblc",
            Self::LocalityLeastConnectionsReplicated => "lblcr",
            Self::DestinationHash => "dh",
            Self::SourceHash => "sh",
            Self::MaglevHash => "mh",
            Self::ShortestExpectedDelay => "sed",
            Self::NeverQueue => "nq",
            Self::PowerOfTwoChoices => "twos",
            Self::None => "none",
            Self::Other(name) => name.as_str(),
        }
    }

    /// Every scheduler this crate has a name for, in the order of the variants.
    pub const KNOWN: [Self; 15] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::LeastConnections,
        Self::WeightedLeastConnections,
        Self::WeightedFailover,
        Self::WeightedOverflow,
        Self::LocalityLeastConnections,
        Self::LocalityLeastConnectionsReplicated,
        Self::DestinationHash,
        Self::SourceHash,
        Self::MaglevHash,
        Self::ShortestExpectedDelay,
        Self::NeverQueue,
        Self::PowerOfTwoChoices,
        Self::None,
    ];
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scheduler {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        match Self::KNOWN.into_iter().find(|known| known.name() == name) {
            Some(known) => Ok(known),
            None => name.parse().map(Self::Other),
        }
    }
}

/// A name the kernel can take: 1 to 15 octets without NUL, white space or control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Octets of the longest name.
    pub const MAX_LEN: usize = 15;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        if name.is_empty() || name.len() > Self::MAX_LEN {
            return Err(NameError::Length { len: name.len() });
        }
        if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(NameError::Character);
        }
        Ok(Self(name.into()))
    }
}

/// Why text cannot be a kernel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Empty, or longer than 15 octets.
    #[error("name of {len} octets, the kernel takes 1 to {}", Name::MAX_LEN)]
    Length {
        /// Octets of the name.
        len: usize,
    },
    /// White space or a control character.
    #[error("name with white space or a control character")]
    Character,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_reads_back() {
        for scheduler in Scheduler::KNOWN {
            assert_eq!(scheduler.name().parse(), Ok(scheduler));
        }
        let custom: Scheduler = "mine".parse().unwrap();
        assert_eq!((custom.name(), matches!(custom, Scheduler::Other(_))), ("mine", true));
    }

    #[test]
    fn names_the_kernel_refuses() {
        assert_eq!("".parse::<Name>(), Err(NameError::Length { len: 0 }));
        assert_eq!("a234567890123456".parse::<Scheduler>(), Err(NameError::Length { len: 16 }));
        assert!("a23456789012345".parse::<Scheduler>().is_ok());
        assert_eq!("a b".parse::<Name>(), Err(NameError::Character));
        assert_eq!("a\0".parse::<Name>(), Err(NameError::Character));
    }
}
