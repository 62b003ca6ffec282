//! Two routers with what only one may have: a source address, or the ownership of the addresses.

use core::{fmt, net::IpAddr, num::NonZeroU16, time::Duration};

use vrrp_proto::{Advertisement, Header, PseudoHeader};

use crate::{Datagram, Discard, Instant, Output, VirtualRouter, datagram::Content, state::Phase};

/// What another router has although only one may have it. Both are mistakes of an operator, and
/// both routers of the two find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Conflict {
    /// Our source address. What it advertises is discarded, because it cannot be told from an echo
    /// of ours by those who look at addresses: both stay Master, or neither preempts the other.
    ///
    /// Linux keeps IPv4 packets from a host's own address to itself, so that nothing is heard of it
    /// unless `net.ipv4.conf.<interface>.accept_local` is on. It reports duplicate IPv6 addresses
    /// itself.
    SourceAddress {
        /// The address.
        address: IpAddr,
    },
    /// Priority 255, which belongs to the owner of the addresses. The greater source address
    /// decides who remains Master (RFC 9568 §7.1, erratum 8298).
    Owner {
        /// The other one's source address.
        other: IpAddr,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceAddress { address } => {
                write!(f, "another router advertises from our own address {address}")
            }
            Self::Owner { other } => {
                write!(f, "{other} claims to own the addresses (priority 255), too")
            }
        }
    }
}

/// When a conflict of each kind was told of last, and what it takes to find one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Conflicts {
    source_told: Option<Instant>,
    owner_told: Option<Instant>,
    /// Our latest advertisement.
    pub(crate) sent_at: Option<Instant>,
}

/// At most one output of a kind in this time.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// Echoes of our advertisements come within this time.
const ECHO_TIME: Duration = Duration::from_secs(1);

/// As many identifications as can be used up in that time: one each 10 ms, and as many answers.
const ECHOES: u16 = 256;

impl VirtualRouter {
    /// A datagram from our own source address: an echo, or from a router that has the same one.
    pub(crate) fn discard_own_source(&self, now: Instant, datagram: &Datagram<'_>) -> Discard {
        let source_address = datagram.source();
        let running = !matches!(self.phase, Phase::Initialize);
        if running && self.is_of_this_election(datagram) && !self.is_echo(now, datagram) {
            Discard::AddressConflict { source_address }
        } else {
            Discard::OwnSource { source_address }
        }
    }

    /// Tells of a conflict, unless that was done a moment ago.
    pub(crate) fn conflicting(&mut self, now: Instant, conflict: Conflict) {
        let (told, total) = match conflict {
            Conflict::SourceAddress { .. } => {
                let cause = crate::Counter::AddressConflict;
                (&mut self.conflicts.source_told, self.statistics.discarded(cause))
            }
            Conflict::Owner { .. } => {
                self.statistics.owner_conflicts += 1;
                (&mut self.conflicts.owner_told, self.statistics.owner_conflicts)
            }
        };
        if told.is_none_or(|told| now >= told + TELL_INTERVAL) {
            *told = Some(now);
            self.push(Output::Conflict { conflict, total });
        }
    }

    /// Whether it is a whole advertisement of our virtual router. Its authentication does not
    /// matter: that the address is there twice is true with any password.
    fn is_of_this_election(&self, datagram: &Datagram<'_>) -> bool {
        advertisement(datagram)
            .is_some_and(|advertisement| advertisement.vrid() == self.config.vrid)
    }

    /// Whether we have sent it, and a moment ago. IPv4 packets tell by their identification, a
    /// number that begins anywhere and grows; what comes by IPv6, where the kernel watches over
    /// duplicate addresses, by what it says.
    fn is_echo(&self, now: Instant, datagram: &Datagram<'_>) -> bool {
        let recently = self.conflicts.sent_at.is_some_and(|sent| now <= sent + ECHO_TIME);
        if !recently {
            return false;
        }
        match datagram.identification() {
            Some(identification) => NonZeroU16::new(identification)
                .is_some_and(|found| (1..=ECHOES).contains(&age(self.identification, found))),
            None => advertisement(datagram).is_some_and(|advertisement| {
                let priority = advertisement.priority();
                (priority == self.priority || priority.is_release())
                    && advertisement.interval() == self.interval
            }),
        }
    }
}

/// How many packets before the one with the identification `next` the one with `found` was sent.
/// Identifications are 1 to 65,535 and then 1 again.
fn age(next: NonZeroU16, found: NonZeroU16) -> u16 {
    let (next, found) = (next.get(), found.get());
    next.checked_sub(found).unwrap_or_else(|| u16::MAX - found + next)
}

fn advertisement<'a>(datagram: &Datagram<'a>) -> Option<Advertisement<'a>> {
    let octets = match datagram.content() {
        Content::Message(message) => message,
        Content::Authenticated(header) => header.unverified_message(),
        Content::BrokenHeader(_) | Content::Other { .. } => return None,
    };
    // What follows the message, such as a trailer, does not matter here.
    let (message, _) = Header::parse(octets).ok()?.split(octets, datagram.family()).ok()?;
    let pseudo_header = PseudoHeader::new(datagram.source(), datagram.destination()).ok()?;
    Advertisement::parse(message, pseudo_header).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_an_identification_counts_across_its_wrap() {
        let between =
            |next, found| age(NonZeroU16::new(next).unwrap(), NonZeroU16::new(found).unwrap());
        assert_eq!(between(5, 5), 0, "not sent yet");
        assert_eq!(between(5, 4), 1);
        assert_eq!(between(1, u16::MAX), 1);
        assert_eq!(between(3, u16::MAX - 1), 4);
        assert_eq!(between(5, 6), u16::MAX - 1);
    }
}
