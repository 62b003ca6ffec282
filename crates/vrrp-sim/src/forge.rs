//! Packets that nobody may act upon, made from genuine ones.

use core::net::IpAddr;

use vrrp_fsm::PathId;
use vrrp_proto::{AddressFamily, Header};

use crate::host::Packet;

/// One thing that is wrong with an otherwise genuine advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forgery {
    /// It came through a router: TTL or hop limit 254.
    Forwarded,
    /// Version 4.
    Version,
    /// Type 2.
    Type,
    /// The last octet is missing, and the lengths say so.
    Truncated,
    /// It claims one more address than it lists.
    Count,
    /// It lists no address.
    NoAddresses,
    /// One bit of the priority is flipped, the checksum is of before.
    Checksum,
    /// It is about another virtual router.
    Vrid,
    /// The interval is zero.
    Interval,
    /// Another protocol than VRRP (IPv4 only).
    Protocol,
    /// It was sent to another group.
    Destination,
    /// Version 2: an authentication type that does not exist.
    AuthenticationType,
    /// Version 2: the other authentication type than the genuine one.
    OtherAuthentication,
    /// Version 2: other authentication data, wrong if there is a password. With a trailer: another
    /// check value.
    Password,
    /// Its trailer names a key that nobody has.
    UnknownKey,
    /// Its trailer is missing.
    Unsigned,
    /// It comes from a host that is no peer (matters on unicast paths only).
    Stranger,
}

impl Forgery {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Forwarded,
        Self::Version,
        Self::Type,
        Self::Truncated,
        Self::Count,
        Self::NoAddresses,
        Self::Checksum,
        Self::Vrid,
        Self::Interval,
        Self::Protocol,
        Self::Destination,
        Self::AuthenticationType,
        Self::OtherAuthentication,
        Self::Password,
        Self::UnknownKey,
        Self::Unsigned,
        Self::Stranger,
    ];
}

/// The protocol number of what hides the message.
const AUTHENTICATION_HEADER: u8 = 51;

/// The number of a key that nobody has.
const UNKNOWN_KEY: u8 = 255;

/// Offsets in an IPv4 header without options, which is what the machines send.
mod ipv4 {
    pub(super) const LEN: usize = 20;
    pub(super) const TOTAL_LENGTH: usize = 2;
    pub(super) const TTL: usize = 8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const SOURCE: usize = 12;
    pub(super) const DESTINATION: usize = 16;
}

/// The forged copy, or `None` where the change makes no sense.
pub(crate) fn forge(genuine: &Packet, forgery: Forgery) -> Option<Packet> {
    let mut forged = Draft::from(genuine)?;
    if forged.header.get(ipv4::PROTOCOL) == Some(&AUTHENTICATION_HEADER) {
        // Whatever is changed, the check value is wrong.
        *forged.message.last_mut()? ^= 1;
        return forged.finish();
    }
    let version_2 = *forged.message.first()? >> 4 == 2;
    match forgery {
        Forgery::Forwarded => forged.set_hop_limit(254)?,
        Forgery::Version => *forged.message.first_mut()? = 0x41,
        Forgery::Type => *forged.message.first_mut()? += 1,
        Forgery::Truncated => {
            forged.message.pop()?;
        }
        Forgery::Count => *forged.message.get_mut(3)? = forged.message.get(3)?.wrapping_add(1),
        Forgery::NoAddresses => {
            *forged.message.get_mut(3)? = 0;
            let authentication: &[u8] = if version_2 { &[0; 8] } else { &[] };
            forged.message.truncate(8);
            forged.message.extend_from_slice(authentication);
        }
        Forgery::Checksum => *forged.message.get_mut(2)? ^= 1,
        Forgery::Vrid => {
            *forged.message.get_mut(1)? = forged.message.get(1)?.wrapping_add(1).max(1);
        }
        Forgery::Interval => {
            *forged.message.get_mut(5)? = 0;
            // In version 2 the authentication type stands in front of it.
            if !version_2 {
                *forged.message.get_mut(4)? = 0;
            }
        }
        // Over IPv6 the header is not ours to see: `get_mut` finds none.
        Forgery::Protocol => *forged.header.get_mut(ipv4::PROTOCOL)? = 17,
        Forgery::Destination => forged.set_destination()?,
        Forgery::AuthenticationType if version_2 => *forged.message.get_mut(4)? = 3,
        Forgery::OtherAuthentication if version_2 => *forged.message.get_mut(4)? ^= 1,
        Forgery::Password if !forged.trailer.is_empty() => *forged.trailer.last_mut()? ^= 1,
        Forgery::Password if version_2 => *forged.message.last_mut()? ^= 1,
        Forgery::AuthenticationType | Forgery::OtherAuthentication | Forgery::Password => {
            return None;
        }
        // Behind the algorithm.
        Forgery::UnknownKey => *forged.trailer.get_mut(1)? = UNKNOWN_KEY,
        Forgery::Unsigned if forged.trailer.is_empty() => return None,
        Forgery::Unsigned => forged.trailer.clear(),
        Forgery::Stranger => {
            forged.set_source(with_last_octet(forged.source, 250))?;
            forged.sender = forged.source;
        }
    }
    if forgery != Forgery::Checksum {
        forged.correct_checksum()?;
    }
    forged.finish()
}

/// The same advertisement as if another host had sent it.
pub(crate) fn disguise(genuine: &Packet, source: IpAddr) -> Option<Packet> {
    let mut forged = Draft::from(genuine)?;
    forged.set_source(source)?;
    forged.correct_checksum()?;
    Some(Packet { answers: genuine.answers, sender: source, ..forged.finish()? })
}

/// A packet in its parts.
struct Draft {
    path: PathId,
    sender: IpAddr,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    /// The IPv4 header; empty for IPv6.
    header: Vec<u8>,
    message: Vec<u8>,
    /// What signs the message, behind it.
    trailer: Vec<u8>,
}

impl Draft {
    fn from(packet: &Packet) -> Option<Self> {
        let header_len = if packet.source.is_ipv4() { ipv4::LEN } else { 0 };
        let (header, octets) = packet.octets.split_at_checked(header_len)?;
        let (message, trailer) = match header.get(ipv4::PROTOCOL) {
            Some(&AUTHENTICATION_HEADER) => (octets, [].as_slice()),
            _ => {
                Header::parse(octets).ok()?.split(octets, AddressFamily::of(&packet.source)).ok()?
            }
        };
        Some(Self {
            path: packet.path,
            sender: packet.sender,
            source: packet.source,
            destination: packet.destination,
            hop_limit: packet.hop_limit,
            header: header.to_vec(),
            message: message.to_vec(),
            trailer: trailer.to_vec(),
        })
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Option<()> {
        self.hop_limit = hop_limit;
        if self.source.is_ipv4() {
            *self.header.get_mut(ipv4::TTL)? = hop_limit;
        }
        Some(())
    }

    fn set_source(&mut self, source: IpAddr) -> Option<()> {
        if source.is_ipv4() != self.source.is_ipv4() {
            return None;
        }
        self.source = source;
        if let IpAddr::V4(source) = self.source {
            let field = self.header.get_mut(ipv4::SOURCE..ipv4::DESTINATION)?;
            field.copy_from_slice(&source.octets());
        }
        Some(())
    }

    fn set_destination(&mut self) -> Option<()> {
        // For unicast paths the group is the wrong destination, for multicast another group.
        self.destination = match self.destination {
            address if address.is_multicast() => with_last_octet(address, 99),
            IpAddr::V4(_) => IpAddr::from([224, 0, 0, 18]),
            IpAddr::V6(_) => IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 0x12]),
        };
        if let IpAddr::V4(destination) = self.destination {
            let field = self.header.get_mut(ipv4::DESTINATION..ipv4::LEN)?;
            field.copy_from_slice(&destination.octets());
        }
        Some(())
    }

    /// In the form without a pseudo-header over IPv4, which every default configuration accepts.
    fn correct_checksum(&mut self) -> Option<()> {
        let len = u32::try_from(self.message.len()).ok()?;
        let mut sum = match (self.source, self.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                words(&source.octets()) + words(&destination.octets()) + len + 112
            }
            _ => 0,
        };
        let field = self.message.get_mut(6..8)?;
        field.fill(0);
        sum += words(&self.message);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let checksum = !u16::try_from(sum).ok()?;
        self.message.get_mut(6..8)?.copy_from_slice(&checksum.to_be_bytes());
        Some(())
    }

    fn finish(mut self) -> Option<Packet> {
        if self.source.is_ipv4() {
            let total =
                u16::try_from(self.header.len() + self.message.len() + self.trailer.len()).ok()?;
            let field = self.header.get_mut(ipv4::TOTAL_LENGTH..ipv4::TOTAL_LENGTH + 2)?;
            field.copy_from_slice(&total.to_be_bytes());
        }
        let (source, destination, hop_limit) = (self.source, self.destination, self.hop_limit);
        self.header.append(&mut self.message);
        self.header.append(&mut self.trailer);
        Some(Packet {
            path: self.path,
            sender: self.sender,
            serial: 0,
            source,
            destination,
            hop_limit,
            octets: self.header.into(),
            answers: 0,
        })
    }
}

fn with_last_octet(address: IpAddr, last: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::from([a, b, c, last])
        }
        IpAddr::V6(address) => {
            let mut segments = address.segments();
            let [.., segment] = &mut segments;
            *segment = u16::from(last);
            IpAddr::from(segments)
        }
    }
}

/// The words of `octets` added up (RFC 1071), an odd octet as the upper half of one.
fn words(octets: &[u8]) -> u32 {
    let (words, rest) = octets.as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    sum + rest.iter().map(|octet| u32::from(*octet) << 8).sum::<u32>()
}
