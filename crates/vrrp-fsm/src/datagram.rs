use core::net::{IpAddr, Ipv6Addr};

use vrrp_proto::{AddressFamily, AuthenticationHeader, Header, Ipv4Packet, PacketError};

use crate::{Discard, PathId};

/// One received datagram, as it came from a raw socket, on one path.
///
/// Nothing in it has been checked: that is what
/// [`handle_datagram`](crate::VirtualRouter::handle_datagram) does, in one order and with one
/// counter for each cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    path: PathId,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: Option<u8>,
    identification: Option<u16>,
    content: Content<'a>,
}

/// What stands behind the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Message(&'a [u8]),
    /// A message behind an authentication header (RFC 2338 §5.3.6).
    Authenticated(AuthenticationHeader<'a>),
    /// Something that claims to be an authentication header.
    BrokenHeader(PacketError),
    /// Another protocol.
    Other {
        payload: &'a [u8],
        error: PacketError,
    },
}

impl<'a> Datagram<'a> {
    /// An IPv4 packet with its header, which a raw socket always delivers.
    ///
    /// # Errors
    /// [`Discard::Packet`] if the header does not hold together; there is no virtual router to
    /// charge it to.
    #[inline]
    pub fn ipv4(path: PathId, packet: &'a [u8]) -> Result<Self, Discard> {
        let packet = Ipv4Packet::parse(packet)?;
        let content = match packet.message() {
            Ok(message) => Content::Message(message),
            Err(PacketError::AuthenticationHeader) => AuthenticationHeader::parse(&packet)
                .map_or_else(Content::BrokenHeader, Content::Authenticated),
            Err(error) => Content::Other { payload: packet.payload(), error },
        };
        Ok(Self {
            path,
            source: packet.source().into(),
            destination: packet.destination().into(),
            hop_limit: Some(packet.ttl()),
            identification: Some(packet.identification()),
            content,
        })
    }

    /// The payload of an IPv6 packet of next header 112, and what the control data told about its
    /// header.
    ///
    /// `hop_limit` is `None` if the socket did not tell; that is good enough for unicast only. The
    /// socket option `IPV6_CHECKSUM` should be off: the kernel would drop bad checksums uncounted.
    #[must_use]
    pub fn ipv6(
        path: PathId,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: Option<u8>,
        message: &'a [u8],
    ) -> Self {
        Self {
            path,
            source: source.into(),
            destination: destination.into(),
            hop_limit,
            identification: None,
            content: Content::Message(message),
        }
    }

    /// The same datagram on another path.
    #[must_use]
    pub const fn on_path(mut self, path: PathId) -> Self {
        self.path = path;
        self
    }

    /// The path it came in on.
    #[must_use]
    pub const fn path(&self) -> PathId {
        self.path
    }

    /// Who sent it.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// To whom it was sent.
    #[must_use]
    pub const fn destination(&self) -> IpAddr {
        self.destination
    }

    /// Its TTL or hop limit on arrival.
    #[must_use]
    pub const fn hop_limit(&self) -> Option<u8> {
        self.hop_limit
    }

    /// The identification of an IPv4 packet.
    pub(crate) const fn identification(&self) -> Option<u16> {
        self.identification
    }

    /// Its address family.
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        AddressFamily::of(&self.source)
    }

    /// The octet where an advertisement names its virtual router, unverified; `None` if it is too
    /// short for one.
    #[must_use]
    pub fn vrid(&self) -> Option<u8> {
        let message = match self.content {
            Content::Message(message) | Content::Other { payload: message, .. } => message,
            Content::Authenticated(header) => header.unverified_message(),
            Content::BrokenHeader(_) => return None,
        };
        message.get(1).copied()
    }

    /// The header of the message, unverified.
    pub(crate) fn header(&self) -> Result<Header, Discard> {
        match self.content {
            Content::Message(message) => Ok(Header::parse(message)?),
            Content::Authenticated(header) => Ok(Header::parse(header.unverified_message())?),
            Content::BrokenHeader(error) | Content::Other { error, .. } => Err(error.into()),
        }
    }

    /// What stands behind the IP header, unverified.
    pub(crate) const fn content(&self) -> Content<'a> {
        self.content
    }
}
