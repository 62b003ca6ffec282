use core::fmt;

/// Version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a further version would change every user anyway")]
pub enum Version {
    /// RFC 3768 and, with authentication, RFC 2338: IPv4 only, whole seconds.
    V2,
    /// RFC 9568 and RFC 5798: IPv4 and IPv6, centiseconds.
    V3,
}

impl Version {
    /// The number in the first four bits of a message.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// The version of that number, if it is one of ours.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VRRPv{}", self.number())
    }
}
