use core::fmt;

/// Priority of a router in an election, 0–255 (RFC 9568 §5.2.4): the greater one becomes Master.
///
/// 1–254 are ordinary, 255 belongs to the owner of the addresses, 0 in an advertisement says that
/// its sender stops being Master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// 0: "I stop being Master". Only ever on the wire.
    pub const RELEASE: Self = Self(0);
    /// 100: what a router has that was given none.
    pub const DEFAULT: Self = Self(100);
    /// 255: the router that owns the virtual addresses as its real ones.
    pub const OWNER: Self = Self(255);

    /// A priority from its number; every octet is one.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The number, 0–255.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether this is [`Priority::OWNER`].
    #[must_use]
    pub const fn is_owner(self) -> bool {
        self.0 == Self::OWNER.0
    }

    /// Whether this is [`Priority::RELEASE`].
    #[must_use]
    pub const fn is_release(self) -> bool {
        self.0 == Self::RELEASE.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<u8> for Priority {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
