//! A request, before it has a number.

use core::ops::BitOr;

use crate::Payload;
use crate::attribute::align;
use crate::error::RequestError;
use crate::message::HEADER_LEN;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 0x1;

/// Message types of rtnetlink (`linux/rtnetlink.h`) that virtual addresses need.
#[expect(missing_docs, reason = "the kernel's names")]
pub mod message_type {
    pub const RTM_NEWLINK: u16 = 16;
    pub const RTM_DELLINK: u16 = 17;
    pub const RTM_GETLINK: u16 = 18;
    pub const RTM_SETLINK: u16 = 19;
    pub const RTM_NEWADDR: u16 = 20;
    pub const RTM_DELADDR: u16 = 21;
    pub const RTM_GETADDR: u16 = 22;
    pub const RTM_NEWROUTE: u16 = 24;
    pub const RTM_DELROUTE: u16 = 25;
    pub const RTM_GETROUTE: u16 = 26;
    pub const RTM_NEWNEIGH: u16 = 28;
    pub const RTM_DELNEIGH: u16 = 29;
    pub const RTM_GETNEIGH: u16 = 30;
    pub const RTM_NEWRULE: u16 = 32;
    pub const RTM_DELRULE: u16 = 33;
    pub const RTM_GETRULE: u16 = 34;
}

/// `NLM_F_*` flags a caller chooses; combine them with `|`. Those of the envelope (request,
/// acknowledgement, dump) are set by [`Socket`](crate::Socket).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// `NLM_F_REPLACE`: change an existing object.
    pub const REPLACE: Self = Self(0x100);
    /// `NLM_F_EXCL`: fail with `EEXIST` if the object exists.
    pub const EXCLUSIVE: Self = Self(0x200);
    /// `NLM_F_CREATE`: create the object if it does not exist.
    pub const CREATE: Self = Self(0x400);
    /// `NLM_F_APPEND`: add to the end of a list.
    pub const APPEND: Self = Self(0x800);
    /// `NLM_F_ACK`.
    pub(crate) const ACKNOWLEDGE: Self = Self(0x4);
    /// `NLM_F_ROOT | NLM_F_MATCH`.
    pub(crate) const DUMP: Self = Self(0x300);

    /// The bits as they stand in the header.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One message to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    message_type: u16,
    flags: Flags,
    payload: Payload,
}

impl Request {
    /// A request of this type (`RTM_*`, or a family number from
    /// [`Socket::family`](crate::Socket::family)) with `payload` behind the header.
    #[must_use]
    pub fn new(message_type: u16, flags: Flags, payload: impl Into<Payload>) -> Self {
        Self { message_type, flags, payload: payload.into() }
    }

    /// The message type.
    #[must_use]
    pub fn message_type(&self) -> u16 {
        self.message_type
    }

    /// The bytes behind the header.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload.as_bytes()
    }

    pub(crate) fn is_oversize(&self) -> bool {
        self.payload.is_oversize()
    }

    /// Octets this request takes in a datagram, padding included.
    pub(crate) fn encoded_len(&self) -> usize {
        align(HEADER_LEN.saturating_add(self.payload().len()))
    }

    /// Appends header and payload to `buffer`.
    pub(crate) fn encode(
        &self,
        extra: Flags,
        sequence: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), RequestError> {
        let oversize = RequestError::Oversize { len: self.payload().len() };
        if self.payload.is_oversize() {
            return Err(oversize);
        }
        let length =
            u32::try_from(HEADER_LEN.saturating_add(self.payload().len())).map_err(|_| oversize)?;
        buffer.extend_from_slice(&length.to_ne_bytes());
        buffer.extend_from_slice(&self.message_type.to_ne_bytes());
        buffer.extend_from_slice(&(self.flags.bits() | extra.bits() | REQUEST).to_ne_bytes());
        buffer.extend_from_slice(&sequence.to_ne_bytes());
        // Port 0: the kernel puts the socket's own.
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(self.payload());
        buffer.resize(align(buffer.len()), 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Messages;

    #[test]
    fn an_encoded_request_is_one_message() {
        let request = Request::new(20, Flags::CREATE | Flags::EXCLUSIVE, vec![1, 2, 3]);
        let mut buffer = Vec::new();
        request.encode(Flags::ACKNOWLEDGE, 0x0102_0304, &mut buffer).unwrap();
        assert_eq!(buffer.len(), request.encoded_len());
        let all: Vec<_> = Messages::new(&buffer).map(Result::unwrap).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].message_type, all[0].flags, all[0].sequence), (20, 0x605, 0x0102_0304));
        assert_eq!(all[0].payload, [1, 2, 3]);
    }

    #[test]
    fn an_oversize_payload_is_refused() {
        let request = Request::new(20, Flags::NONE, Payload::new().attribute(1, &vec![0; 70_000]));
        let result = request.encode(Flags::NONE, 1, &mut Vec::new());
        assert_eq!(result, Err(RequestError::Oversize { len: 70_004 }));
    }
}
