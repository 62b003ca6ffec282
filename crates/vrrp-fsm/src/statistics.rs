use vrrp_proto::ChecksumForm;

use crate::{Counter, Discard};

/// What a virtual router has counted since it was made.
///
/// Together these are the statistics of RFC 8347 (YANG), RFC 6527 and RFC 2787 (MIBs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// Times the router became Master.
    pub master_transitions: u64,
    /// Advertisements handed out for sending, those with priority 0 included.
    pub advertisements_sent: u64,
    /// Advertisements with priority 0 handed out for sending.
    pub priority_zero_sent: u64,
    /// Valid advertisements received while Backup or Master, those with priority 0 included.
    pub advertisements_received: u64,
    /// Valid advertisements with priority 0 received.
    pub priority_zero_received: u64,
    /// Of several paths: accepted advertisements that meant nothing, because another path had brought
    /// them, or a farewell, before.
    pub copies_received: u64,
    /// Of those with priority 0, the ones ignored because their sender is not the recorded Master.
    pub priority_zero_ignored: u64,
    /// Advertisements received while Master that have less right to it than we have.
    pub losing_received: u64,
    /// Advertisements accepted although they are not signed, see
    /// [`TrailerMode`](crate::TrailerMode).
    pub unsigned_received: u64,
    /// Advertisements accepted although their address list differs from ours (RFC 9568 §7.1).
    pub address_list_noted: u64,
    /// Advertisements of version 3 accepted with another interval than ours (RFC 9568 §7.1).
    pub interval_noted: u64,
    /// Times the checksum form heard from the Master or a unicast peer became another one, and so
    /// that of our own with [`ChecksumPolicy::Auto`](crate::ChecksumPolicy::Auto); the first form of
    /// each counts as well.
    pub checksum_changes: u64,
    /// Advertisements of another owner (priority 255) received by an owner.
    pub owner_conflicts: u64,
    /// Transmissions that failed, one a path.
    pub send_failures: u64,
    /// Attempts to install or remove the addresses that failed.
    pub effect_failures: u64,
    /// Of those, the ones that were not answered in time
    /// ([`Config::effect_deadline`](crate::Config::effect_deadline)).
    pub effects_unanswered: u64,
    /// Times the addresses were deleted by someone else.
    pub addresses_lost: u64,
    /// Times the router yielded, or waited longer, because it woke up late or packets were lost.
    pub late_wakes: u64,
    /// Times a guard was asked before a promotion.
    pub promotions_asked: u64,
    /// Promotions that a guard objected to.
    pub promotions_vetoed: u64,
    /// Questions whose deadline came before their verdict.
    pub verdicts_missed: u64,
    /// Outputs that were lost because the caller does not drain
    /// [`poll_output`](crate::VirtualRouter::poll_output).
    pub outputs_lost: u64,
    pub(crate) discards: Discards,
    pub(crate) checksums: [u64; ChecksumForm::ALL.len()],
}

impl Statistics {
    /// How many datagrams were discarded for this cause.
    #[must_use]
    pub fn discarded(&self, cause: Counter) -> u64 {
        self.discards.of(cause)
    }

    /// How many of the received advertisements of version 3 over IPv4 had this checksum.
    #[must_use]
    pub fn received_with(&self, form: ChecksumForm) -> u64 {
        let numbers = ChecksumForm::ALL.into_iter().zip(self.checksums);
        numbers.filter(|(known, _)| *known == form).map(|(_, number)| number).sum()
    }

    #[inline]
    pub(crate) fn count_checksum(&mut self, form: ChecksumForm, changes: bool) {
        self.checksum_changes += u64::from(changes);
        for (known, number) in ChecksumForm::ALL.into_iter().zip(&mut self.checksums) {
            *number += u64::from(known == form);
        }
    }

    /// All causes with their numbers, in the order of the checks.
    pub fn discards(&self) -> impl Iterator<Item = (Counter, u64)> {
        Counter::ALL.into_iter().map(|cause| (cause, self.discarded(cause)))
    }
}

/// One number for each cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Discards([u64; Counter::COUNT]);

impl Discards {
    pub(crate) const NONE: Self = Self([0; Counter::COUNT]);

    pub(crate) fn of(&self, cause: Counter) -> u64 {
        self.0.get(cause.index()).copied().unwrap_or_default()
    }

    pub(crate) fn count(&mut self, discard: Discard) {
        if let Some(number) = self.0.get_mut(discard.counter().index()) {
            *number += 1;
        }
    }
}
