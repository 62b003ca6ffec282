//! Reading datagrams: the message header and the kernel's acknowledgements. Pure.

use crate::attribute::{Attributes, align};
use crate::error::{DecodeError, Refusal};

/// Octets of `struct nlmsghdr`.
pub(crate) const HEADER_LEN: usize = 16;

/// Control message types (`linux/netlink.h`).
pub(crate) const NLMSG_NOOP: u16 = 1;
pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const NLMSG_OVERRUN: u16 = 4;

/// `NLM_F_DUMP_INTR`: the table changed while it was dumped.
pub(crate) const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLM_F_CAPPED`: the acknowledgement repeats the request's header only.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow in the acknowledgement.
const ACK_TLVS: u16 = 0x200;

const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;

/// One message of a datagram.
///
/// ```text
///  0               4       6       8               12              16
///  +---------------+-------+-------+---------------+---------------+---------
///  | length        | type  | flags | sequence      | port          | payload
///  +---------------+-------+-------+---------------+---------------+---------
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Message type; below 16 are control messages.
    pub message_type: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    /// The number of the request this answers; 0 for notifications.
    pub sequence: u32,
    /// The bytes after the header.
    pub payload: &'a [u8],
}

impl Message<'_> {
    /// Reads `NLMSG_ERROR` or `NLMSG_DONE`: both start with 0 or a negative error number.
    pub(crate) fn acknowledgement(&self) -> Result<Result<(), Refusal>, DecodeError> {
        let code = match self.payload.first_chunk() {
            Some(&code) => i32::from_ne_bytes(code),
            // Old kernels end some dumps with an empty NLMSG_DONE.
            None if self.message_type == NLMSG_DONE => 0,
            None => return Err(DecodeError::ShortAcknowledgement { len: self.payload.len() }),
        };
        if code == 0 {
            return Ok(Ok(()));
        }
        let errno = code.checked_abs().unwrap_or(i32::MAX);
        let mut refusal = Refusal { errno, message: None, offset: None };
        for attribute in self.extended(code) {
            match attribute.kind {
                NLMSGERR_ATTR_MSG => {
                    refusal.message =
                        attribute.text().filter(|text| !text.is_empty()).map(str::to_owned);
                }
                NLMSGERR_ATTR_OFFS => refusal.offset = attribute.u32(),
                _ => {}
            }
        }
        Ok(Err(refusal))
    }

    /// The attributes of an acknowledgement, behind the error number and the echo of the request.
    fn extended(&self, code: i32) -> Attributes<'_> {
        if self.flags & ACK_TLVS == 0 {
            return Attributes::new(&[]);
        }
        let echo = if self.message_type == NLMSG_DONE {
            0
        } else if self.flags & CAPPED != 0 || code == 0 {
            HEADER_LEN
        } else {
            let echoed = self.payload.get(4..).and_then(<[u8]>::first_chunk).copied();
            usize::try_from(echoed.map_or(u32::MAX, u32::from_ne_bytes)).unwrap_or(usize::MAX)
        };
        Attributes::after(self.payload, echo.saturating_add(4))
    }
}

/// Iterator over the messages of one datagram; ends after the first error.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Walks a datagram from its start.
    #[must_use]
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }

    fn split(&self) -> Result<(Message<'a>, &'a [u8]), DecodeError> {
        let Some((header, _)) = self.rest.split_first_chunk::<HEADER_LEN>() else {
            return Err(DecodeError::ShortHeader { len: self.rest.len() });
        };
        let [l0, l1, l2, l3, t0, t1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let claimed = u32::from_ne_bytes([l0, l1, l2, l3]);
        let length = usize::try_from(claimed).unwrap_or(usize::MAX);
        let Some(payload) = self.rest.get(HEADER_LEN..length) else {
            return Err(DecodeError::Length { claimed, len: self.rest.len() });
        };
        let message = Message {
            message_type: u16::from_ne_bytes([t0, t1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        };
        Ok((message, self.rest.get(align(length)..).unwrap_or_default()))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = self.split();
        self.rest = split.map_or(&[], |(_, rest)| rest);
        Some(split.map(|(message, _)| message))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A message as the kernel would send it.
    pub(crate) fn message(message_type: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER_LEN + payload.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(message_type.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(77_u32.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    fn only(bytes: &[u8]) -> Message<'_> {
        Messages::new(bytes).next().unwrap().unwrap()
    }

    #[test]
    fn a_datagram_of_two_messages() {
        let mut bytes = message(20, 2, 9, &[1, 2, 3]);
        bytes.extend(message(NLMSG_DONE, 2, 9, &[0; 4]));
        let all: Vec<_> = Messages::new(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(
            all[0],
            Message { message_type: 20, flags: 2, sequence: 9, payload: &[1, 2, 3] }
        );
        assert_eq!(all[1].acknowledgement(), Ok(Ok(())));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn impossible_lengths_are_named_and_end_the_walk() {
        let mut walk = Messages::new(&[1, 2, 3]);
        assert_eq!(walk.next(), Some(Err(DecodeError::ShortHeader { len: 3 })));
        assert_eq!(walk.next(), None);
        for claimed in [0_u32, 15, 21, u32::MAX] {
            let mut bytes = message(20, 0, 1, &[0; 4]);
            bytes[..4].copy_from_slice(&claimed.to_ne_bytes());
            let mut walk = Messages::new(&bytes);
            assert_eq!(walk.next(), Some(Err(DecodeError::Length { claimed, len: 20 })));
            assert_eq!(walk.next(), None);
        }
    }

    fn refusal(flags: u16, echo: &[u8], text: &[u8]) -> Refusal {
        let mut payload = (-17_i32).to_ne_bytes().to_vec();
        payload.extend(echo);
        payload.extend(u16::try_from(4 + text.len()).unwrap().to_ne_bytes());
        payload.extend(NLMSGERR_ATTR_MSG.to_ne_bytes());
        payload.extend(text);
        payload.resize(align(payload.len()), 0);
        payload.extend([8, 0, 2, 0, 36, 0, 0, 0]);
        only(&message(NLMSG_ERROR, flags, 1, &payload)).acknowledgement().unwrap().unwrap_err()
    }

    #[test]
    fn extended_text_behind_a_capped_and_a_whole_echo() {
        let request = message(20, 5, 1, &[9; 13]);
        let capped = refusal(CAPPED | ACK_TLVS, &request[..HEADER_LEN], b"already there\0");
        assert_eq!(capped.message.as_deref(), Some("already there"));
        assert_eq!((capped.errno, capped.offset), (17, Some(36)));
        assert_eq!(refusal(ACK_TLVS, &request, b"already there\0"), capped);
        assert_eq!(capped.to_string(), "File exists (os error 17): already there");
        assert_eq!(refusal(0, &request, b"ignored\0").message, None);
    }

    #[test]
    fn hostile_acknowledgements() {
        assert_eq!(
            only(&message(NLMSG_ERROR, 0, 1, &[1])).acknowledgement(),
            Err(DecodeError::ShortAcknowledgement { len: 1 })
        );
        assert_eq!(only(&message(NLMSG_DONE, 0, 1, &[])).acknowledgement(), Ok(Ok(())));
        let worst =
            only(&message(NLMSG_ERROR, ACK_TLVS, 1, &i32::MIN.to_ne_bytes())).acknowledgement();
        assert_eq!(worst.unwrap().unwrap_err().errno, i32::MAX);
    }
}
