use core::fmt;

/// A reason why a virtual router may not take part in the election.
///
/// While any is present the machine is in [`State::Initialize`](crate::State::Initialize): what
/// keepalived calls the FAULT state. RFC 9568 §6.4.1 leaves Initialize on a Startup event only, so
/// the last fault to clear acts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The interface is down or gone. Set and cleared by the caller.
    LinkDown,
    /// No path has an address to send from. Follows
    /// [`handle_source_address`](crate::VirtualRouter::handle_source_address).
    NoSourceAddress,
    /// The service behind the addresses is not ready to serve. Set and cleared by the caller.
    NotReady,
    /// Advertisements could not be sent on any path for a master-down interval. Set by the machine,
    /// which also clears it after a growing pause to try again.
    CannotAdvertise,
    /// The virtual addresses could not be installed. Set by the machine, which also clears it after
    /// a growing pause to try again.
    AddressesFailed,
    /// A watched object is down. Set and cleared by [`Tracking`](crate::Tracking).
    Tracker,
    /// A watched object has no first result yet. Set and cleared by [`Tracking`](crate::Tracking).
    TrackerUnknown,
    /// Another member of the sync group cannot take part. Set and cleared by
    /// [`SyncGroup`](crate::SyncGroup).
    SyncGroup,
}

impl Fault {
    /// All faults, in order.
    pub const ALL: [Self; 8] = [
        Self::LinkDown,
        Self::NoSourceAddress,
        Self::NotReady,
        Self::CannotAdvertise,
        Self::AddressesFailed,
        Self::Tracker,
        Self::TrackerUnknown,
        Self::SyncGroup,
    ];

    const fn bit(self) -> u16 {
        match self {
            Self::LinkDown => 1,
            Self::NoSourceAddress => 1 << 1,
            Self::NotReady => 1 << 2,
            Self::CannotAdvertise => 1 << 3,
            Self::AddressesFailed => 1 << 4,
            Self::Tracker => 1 << 5,
            Self::TrackerUnknown => 1 << 6,
            Self::SyncGroup => 1 << 7,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkDown => "the link is down",
            Self::NoSourceAddress => "no address to send from",
            Self::NotReady => "the service is not ready",
            Self::CannotAdvertise => "advertisements cannot be sent",
            Self::AddressesFailed => "the virtual addresses cannot be installed",
            Self::Tracker => "a tracked object is down",
            Self::TrackerUnknown => "a tracked object has no first result yet",
            Self::SyncGroup => "another member of the sync group cannot take part",
        })
    }
}

/// The set of faults that are present.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults(u16);

impl Faults {
    /// No fault.
    pub const NONE: Self = Self(0);

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `fault` is present.
    #[must_use]
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// The faults that are present, in the order of [`Fault::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.contains(*fault))
    }

    /// Adds a fault; whether it is new.
    pub(crate) fn insert(&mut self, fault: Fault) -> bool {
        let new = !self.contains(fault);
        self.0 |= fault.bit();
        new
    }

    /// Removes a fault; whether it was present.
    pub(crate) fn remove(&mut self, fault: Fault) -> bool {
        let present = self.contains(fault);
        self.0 &= !fault.bit();
        present
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The faults separated by commas; `none` if there is none.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, fault) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_each_fault_once() {
        let mut faults = Faults::NONE;
        for fault in Fault::ALL {
            assert!(faults.insert(fault));
            assert!(!faults.insert(fault));
        }
        assert!(faults.iter().eq(Fault::ALL));
        for fault in Fault::ALL {
            assert!(faults.remove(fault));
            assert!(!faults.remove(fault));
        }
        assert!(faults.is_empty());
    }
}
