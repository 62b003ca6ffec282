//! Decisions of an operator that are one of a few, named for what they do.

use vrrp_proto::ChecksumForm;

/// Which checksums of version 3 over IPv4 are sent and accepted.
///
/// RFC 9568 §5.2.8 sums the message only; RFC 5798 as deployed (keepalived, FRR) also a
/// pseudo-header. Version 2 and IPv6 have one form each and are not concerned. Which form others
/// send is reported in every case, see
/// [`heard_checksum`](crate::VirtualRouter::heard_checksum).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChecksumPolicy {
    /// Every form is accepted.
    AcceptAny {
        /// The form of our own advertisements.
        send: ChecksumForm,
    },
    /// Every form is accepted, and ours follow what is heard: to a unicast peer the form of its
    /// latest three advertisements, to the group that of the latest three of the recorded Master.
    /// Fewer change nothing, so that no single spoofed packet does.
    Auto {
        /// The form until then.
        initially: ChecksumForm,
    },
    /// One form is sent, and nothing else accepted.
    Strict(ChecksumForm),
}

impl Default for ChecksumPolicy {
    fn default() -> Self {
        Self::AcceptAny { send: ChecksumForm::PseudoHeader }
    }
}

/// What happens to octets behind an advertisement, where no
/// [`trailer`](field@crate::Config::trailer) is configured. Link padding is none of them: the IP
/// header tells where the packet ends.
///
/// RFC 9568 §7.1 only wants the message complete; keepalived and FRR discard what is longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TrailingOctetsPolicy {
    /// The packet is discarded.
    #[default]
    Discard,
    /// They are ignored, whatever they are: the trailers of routers that sign already, for one.
    Ignore,
}

/// What happens to an advertisement whose address list differs from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AddressListPolicy {
    /// Version 2 discards it unless its priority is 255 (RFC 3768 §7.1); version 3 counts it (RFC
    /// 9568 §7.1).
    #[default]
    ByVersion,
    /// It is counted and used.
    Count,
    /// It is counted and discarded.
    Discard,
}

/// Whether the owner of the addresses hears what others advertise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OwnerReception {
    /// In version 3 (RFC 9568 §7.1, erratum 8298: two owners settle by their addresses), not in
    /// version 2 (RFC 3768 §7.1: two owners stay Master both).
    #[default]
    ByVersion,
    /// In both versions, as keepalived does.
    Always,
    /// In neither: RFC 9568 §7.1 as published.
    Never,
}

/// Whose priority 0 makes a Backup take over early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ReleasePolicy {
    /// Only the one of the Master that was heard last: a late duplicate of a former Master's is
    /// ignored. A restriction of RFC 9568 §6.4.2, which does not look at the sender.
    #[default]
    RecordedMaster,
    /// Everyone's (RFC 9568 §6.4.2 to the letter).
    Anyone,
}

/// What a Master does when no advertisement leaves on any path for a master-down interval: by then
/// the other routers have elected another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SendFailurePolicy {
    /// It releases the addresses, with [`Fault::CannotAdvertise`](crate::Fault::CannotAdvertise).
    #[default]
    Release,
    /// It keeps them: two Masters rather than none.
    Keep,
}

/// What a Master does when someone else deletes its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AddressesLostPolicy {
    /// It installs them again.
    #[default]
    Reinstall,
    /// It releases the rest with priority 0 and becomes Backup for one skew time, as keepalived
    /// does.
    StepDown,
}

/// Which hop limits are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HopLimitPolicy {
    /// Every one, also an unknown one: routers may lie between the peers, and keepalived sends
    /// unicast IPv6 with 64.
    #[default]
    Any,
    /// This one or more (RFC 5082): 255 allows only neighbours, 254 one router between, and so on.
    AtLeast(u8),
}
