//! Which checksums others send, and which of them ours follow: VRRPv3 over IPv4 only.

use alloc::vec::Vec;
use core::net::IpAddr;

use vrrp_proto::ChecksumForm;

use crate::{ChecksumPolicy, Config, PathId, VirtualRouter};

/// So many advertisements in a row have to have a form before it is adopted: fewer may be spoofed,
/// or right by chance.
const ENOUGH: u8 = 3;

/// What is known of one sender, or of the recorded Master whoever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Dialect {
    /// The form of its latest advertisement.
    heard: Option<ChecksumForm>,
    /// How many in a row had it, up to `ENOUGH`.
    streak: u8,
    adopted: Option<ChecksumForm>,
}

impl Dialect {
    /// Whether the form that is adopted changes.
    #[inline]
    fn hear(&mut self, form: ChecksumForm) -> bool {
        self.streak = if self.heard == Some(form) { (self.streak + 1).min(ENOUGH) } else { 1 };
        self.heard = Some(form);
        self.streak == ENOUGH && self.adopted.replace(form) != Some(form)
    }
}

/// The forms of those whom our advertisements have to please.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialects {
    /// Of the recorded Master, for what goes to the group.
    master: Dialect,
    /// Whom that is about.
    master_source: Option<IpAddr>,
    /// Of every unicast peer of every path.
    peers: Vec<(IpAddr, Dialect)>,
}

impl Dialects {
    pub(crate) fn new(config: &Config) -> Self {
        let mut dialects =
            Self { master: Dialect::default(), master_source: None, peers: Vec::new() };
        dialects.configure(config);
        dialects
    }

    /// Keeps what is known of peers that stay.
    pub(crate) fn configure(&mut self, config: &Config) {
        let paths = (0..=u8::MAX).take(config.paths.len()).map(PathId::new);
        let peers = paths.flat_map(|path| config.unicast_peers(path));
        let known = core::mem::take(&mut self.peers);
        let dialect_of = |peer| known.iter().find(|(known, _)| *known == peer);
        self.peers = peers
            .map(|peer| (peer, dialect_of(peer).map_or_else(Dialect::default, |known| known.1)))
            .collect();
    }

    /// An accepted advertisement, and by which address its sender is known if it is the recorded
    /// Master. Whether a form that is adopted changes.
    #[inline]
    pub(crate) fn hear(
        &mut self,
        source: IpAddr,
        form: ChecksumForm,
        master: Option<IpAddr>,
    ) -> bool {
        let mut changes = false;
        if let Some((_, dialect)) = self.peers.iter_mut().find(|(peer, _)| *peer == source) {
            changes |= dialect.hear(form);
        }
        if let Some(master) = master {
            if self.master_source.replace(master) != Some(master) {
                self.master.streak = 0;
            }
            changes |= self.master.hear(form);
        }
        changes
    }

    fn of(&self, destination: IpAddr) -> Dialect {
        if destination.is_multicast() {
            return self.master;
        }
        let peer = self.peers.iter().find(|(peer, _)| *peer == destination);
        peer.map_or_else(Dialect::default, |(_, dialect)| *dialect)
    }

    /// See [`VirtualRouter::canonicalize`].
    pub(crate) fn canonicalize(&mut self, config: &Config) {
        if !matches!(config.checksum, ChecksumPolicy::Auto { .. }) {
            *self = Self::new(config);
        }
    }
}

impl VirtualRouter {
    /// The checksum form of our next advertisement to this destination, if it is of version 3 and
    /// over IPv4: the group or a unicast peer.
    #[must_use]
    pub fn sent_checksum(&self, destination: IpAddr) -> ChecksumForm {
        match self.config.checksum {
            ChecksumPolicy::Strict(form) | ChecksumPolicy::AcceptAny { send: form } => form,
            ChecksumPolicy::Auto { initially } => {
                self.dialects.of(destination).adopted.unwrap_or(initially)
            }
        }
    }

    /// The checksum form of the latest accepted advertisement of a unicast peer, or for the group
    /// that of the latest recorded Master. `None` while there was none, and where there is no
    /// choice: in version 2 and over IPv6.
    #[must_use]
    pub fn heard_checksum(&self, peer_or_group: IpAddr) -> Option<ChecksumForm> {
        self.dialects.of(peer_or_group).heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_are_adopted_and_a_change_of_the_sender_starts_over() {
        use ChecksumForm::{MessageOnly, PseudoHeader};
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let group = IpAddr::from([224, 0, 0, 18]);
        let vrid = vrrp_proto::Vrid::new(1).unwrap();
        let mut dialects = Dialects::new(&Config::new(vrid, vrrp_proto::AddressFamily::Ipv4));
        for (source, form, changes) in [
            (one, MessageOnly, false),
            (one, MessageOnly, false),
            (other, MessageOnly, false),
            (one, MessageOnly, false),
            (one, PseudoHeader, false),
            (one, MessageOnly, false),
            (one, MessageOnly, false),
            (one, MessageOnly, true),
            (one, MessageOnly, false),
            (one, PseudoHeader, false),
            (one, PseudoHeader, false),
            (one, MessageOnly, false),
            (one, PseudoHeader, false),
            (one, PseudoHeader, false),
            (one, PseudoHeader, true),
        ] {
            assert!(!dialects.hear(other, PseudoHeader, None), "not the recorded Master");
            assert_eq!(dialects.hear(source, form, Some(source)), changes);
            assert_eq!(dialects.of(group).heard, Some(form));
        }
        assert_eq!(dialects.of(group).adopted, Some(PseudoHeader));
        assert_eq!(dialects.of(one).adopted, None);
    }
}
