//! Outputs to bytes, and where to send them.

use core::net::IpAddr;

use vrrp_proto::{
    EmitError, Interval, MAX_IPV4_PACKET_LEN, MAX_IPV6_MESSAGE_LEN, Message, MessageError,
    PseudoHeader, TrailerSequence, Version,
};

use crate::{PathId, PathMode, Send, TrailerConfig, VirtualRouter};

/// Octets of the longest datagram [`VirtualRouter::encode`] makes: a buffer of this size is always
/// enough.
pub const MAX_DATAGRAM_LEN: usize = if MAX_IPV4_PACKET_LEN > MAX_IPV6_MESSAGE_LEN {
    MAX_IPV4_PACKET_LEN
} else {
    MAX_IPV6_MESSAGE_LEN
};

impl VirtualRouter {
    /// The bytes of an advertisement for one destination of one path, at the front of `buffer`.
    ///
    /// IPv4: the whole packet, for a socket with `IP_HDRINCL`. IPv6: the VRRP message with its
    /// checksum; the socket has to set the hop limit 255 (RFC 9568 §5.1.2.3). The same output gives
    /// the same bytes, however often it is encoded before the next input.
    ///
    /// # Errors
    /// [`EncodeError`] if the path is unknown or has no source address, or the buffer is too small.
    pub fn encode<'b>(
        &self,
        send: &Send,
        path: PathId,
        destination: IpAddr,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], EncodeError> {
        let known = self.paths.get(path.index()).ok_or(EncodeError::UnknownPath { path })?;
        let source = known.source.or(known.former_source);
        let source = source.ok_or(EncodeError::NoSourceAddress { path })?;
        let message = self.message(*send, destination)?;
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let identification = send.identification;
                Ok(message.emit_ipv4_packet(source, destination, identification, buffer)?)
            }
            (source, destination) => {
                let pseudo_header = PseudoHeader::new(source, destination)
                    .map_err(|_| EncodeError::OtherFamily { destination })?;
                Ok(message.emit(pseudo_header, buffer)?)
            }
        }
    }

    /// To whom a path leads: the group, or every peer. Empty for an unknown path.
    pub fn destinations(&self, path: PathId) -> impl Iterator<Item = IpAddr> {
        let mode = self.config.paths.get(path.index()).map(|path| &path.mode);
        let group = matches!(mode, Some(PathMode::Multicast));
        let group = group.then(|| self.config.family.multicast_group());
        group.into_iter().chain(self.config.unicast_peers(path))
    }

    /// The paths an advertisement goes out on: all of them.
    pub fn paths(&self) -> impl Iterator<Item = PathId> {
        (0..=u8::MAX).take(self.paths.len()).map(PathId::new)
    }

    fn message(&self, send: Send, destination: IpAddr) -> Result<Message<'_>, EncodeError> {
        let config = &self.config;
        let addresses = &config.virtual_addresses;
        let message = match self.interval_in(send.version)? {
            Interval::Seconds(interval) => {
                let authentication = config.authentication;
                let sequence = u32::try_from(send.sequence).unwrap_or(u32::MAX);
                Message::v2(config.vrid, send.priority, interval, authentication, addresses)?
                    .sequence(sequence)
            }
            Interval::Centiseconds(interval) => {
                let form = self.sent_checksum(destination);
                Message::v3(config.vrid, send.priority, interval, form, addresses)?
            }
        };
        let signing_key = config.trailer.as_ref().and_then(TrailerConfig::signing_key);
        Ok(match signing_key {
            Some(key) => message.signed(key, TrailerSequence::from_bits(send.sequence)),
            None => message,
        })
    }

    /// Our interval as it stands in advertisements of a version.
    fn interval_in(&self, version: Version) -> Result<Interval, EncodeError> {
        let also = self.interval_in_version_2.map(Interval::Seconds);
        [Some(self.interval), also]
            .into_iter()
            .flatten()
            .find(|interval| interval.version() == version)
            .ok_or(EncodeError::Version { version })
    }
}

/// Why an advertisement could not be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The path is not configured.
    #[error("path {} is not configured", path.get())]
    UnknownPath {
        /// The path.
        path: PathId,
    },
    /// The path has never had an address to send from.
    #[error("path {} has no source address", path.get())]
    NoSourceAddress {
        /// The path.
        path: PathId,
    },
    /// The destination is of the other address family.
    #[error("{destination} is of the other address family")]
    OtherFamily {
        /// The destination.
        destination: IpAddr,
    },
    /// The router does not speak this version any more: it was configured otherwise after the
    /// output was made.
    #[error("{version} is no longer spoken")]
    Version {
        /// The version of the output.
        version: Version,
    },
    /// The configuration does not fit into an advertisement; one that was accepted does.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The buffer is too small; [`MAX_DATAGRAM_LEN`] octets are always enough.
    #[error(transparent)]
    Emit(#[from] EmitError),
}
