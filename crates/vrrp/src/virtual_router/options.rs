//! Fine points of the protocol, which few change.

use vrrp_fsm::{
    AddressListPolicy, AddressesLostPolicy, ChecksumPolicy, HopLimitPolicy, OwnerReception,
    ReleasePolicy, SendFailurePolicy, TrailingOctetsPolicy,
};

use super::VirtualRouter;

impl VirtualRouter {
    /// How many advertisements may be missed before the Master counts as dead; 3 by default (RFC 9568 §6.1).
    #[must_use]
    pub fn missed_advertisements(self, number: u8) -> Self {
        self.configure(|config| config.missed_advertisements(number))
    }

    /// Which checksums of version 3 over IPv4 are sent and accepted.
    #[must_use]
    pub fn checksum(self, policy: ChecksumPolicy) -> Self {
        self.configure(|config| config.checksum(policy))
    }

    /// What happens to octets behind an advertisement that nobody asked for: by default it is discarded with them.
    #[must_use]
    pub fn trailing_octets(self, policy: TrailingOctetsPolicy) -> Self {
        self.configure(|config| config.trailing_octets(policy))
    }

    /// What happens to an advertisement whose addresses are not ours.
    #[must_use]
    pub fn address_list_mismatch(self, policy: AddressListPolicy) -> Self {
        self.configure(|config| config.address_list_mismatch(policy))
    }

    /// Whether an IPv6 address list has to start with a link-local address (RFC 9568 §5.2.9); true by default.
    #[must_use]
    pub fn link_local_first(self, required: bool) -> Self {
        self.configure(|config| config.link_local_first(required))
    }

    /// Whether a Master answers an advertisement that loses against its own at once; true by default.
    #[must_use]
    pub fn immediate_answer(self, on: bool) -> Self {
        self.configure(|config| config.immediate_answer(on))
    }

    /// Whose priority 0 makes a Backup take over early.
    #[must_use]
    pub fn release_from(self, policy: ReleasePolicy) -> Self {
        self.configure(|config| config.release_from(policy))
    }

    /// Whether the owner of the addresses is Master at once; true by default.
    #[must_use]
    pub fn owner_skips_backup(self, on: bool) -> Self {
        self.configure(|config| config.owner_skips_backup(on))
    }

    /// Whether the owner of the addresses hears what others advertise.
    #[must_use]
    pub fn owner_reception(self, reception: OwnerReception) -> Self {
        self.configure(|config| config.owner_reception(reception))
    }

    /// Whether a Master advertises once more before it yields to a better one, so that a winner on the other side of a
    /// partition learns that there were two; false by default.
    #[must_use]
    pub fn advertise_before_yielding(self, on: bool) -> Self {
        self.configure(|config| config.advertise_before_yielding(on))
    }

    /// Whether a router that wakes up too late yields; true by default.
    #[must_use]
    pub fn late_wake_rule(self, on: bool) -> Self {
        self.configure(|config| config.late_wake_rule(on))
    }

    /// What a Master does that cannot send.
    #[must_use]
    pub fn send_failure(self, policy: SendFailurePolicy) -> Self {
        self.configure(|config| config.send_failure(policy))
    }

    /// What a Master does when someone deletes its addresses.
    #[must_use]
    pub fn addresses_lost(self, policy: AddressesLostPolicy) -> Self {
        self.configure(|config| config.addresses_lost(policy))
    }

    /// Which hop limits are accepted from unicast peers.
    #[must_use]
    pub fn unicast_hop_limit(self, policy: HopLimitPolicy) -> Self {
        self.configure(|config| config.unicast_hop_limit(policy))
    }
}
