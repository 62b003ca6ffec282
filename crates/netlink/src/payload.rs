//! Writing what follows the message header: a fixed header and attributes.

use crate::attribute::align;

/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// The bytes after `nlmsghdr`, written front to back.
///
/// An attribute whose length does not fit its 16-bit field makes the payload unsendable: the
/// request then fails with `EMSGSIZE` without reaching the kernel. Callers need no check of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    bytes: Vec<u8>,
    oversize: bool,
}

impl Payload {
    /// Octets for which there is room from the beginning: most messages are not longer.
    const USUAL: usize = 160;

    /// No bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with a family's fixed header (`ifaddrmsg`, `ifinfomsg`, ...), padded to 4.
    #[must_use]
    pub fn with_header(header: &[u8]) -> Self {
        let mut payload = Self::from(header.to_vec());
        payload.pad();
        payload
    }

    /// Starts with `genlmsghdr`: a command of a generic-netlink family.
    #[must_use]
    pub fn generic(command: u8, version: u8) -> Self {
        let mut bytes = Vec::with_capacity(Self::USUAL);
        bytes.extend([command, version, 0, 0]);
        Self::from(bytes)
    }

    /// Appends an attribute with any value.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, value);
        self
    }

    /// Appends an attribute without a value (a flag).
    #[must_use]
    pub fn flag(self, kind: u16) -> Self {
        self.attribute(kind, &[])
    }

    /// Appends an octet.
    #[must_use]
    pub fn u8(self, kind: u16, value: u8) -> Self {
        self.attribute(kind, &[value])
    }

    /// Appends 16 bits in host order.
    #[must_use]
    pub fn u16(self, kind: u16, value: u16) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends 16 bits in network order.
    #[must_use]
    pub fn u16_be(self, kind: u16, value: u16) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends 32 bits in host order.
    #[must_use]
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends 32 bits in network order.
    #[must_use]
    pub fn u32_be(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends 64 bits in host order.
    #[must_use]
    pub fn u64(self, kind: u16, value: u64) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends text with the NUL the kernel wants. Text behind a NUL inside `value` is cut off.
    #[must_use]
    pub fn text(mut self, kind: u16, value: &str) -> Self {
        let text = value.split('\0').next().unwrap_or_default();
        let start = self.open(kind);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.close(start);
        self
    }

    /// Appends an attribute that holds the attributes `inside` writes.
    #[must_use]
    pub fn nest(mut self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        let start = self.open(kind | NESTED);
        let mut payload = inside(self);
        payload.close(start);
        payload
    }

    /// The bytes written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether some attribute was too long to be encoded.
    #[must_use]
    pub fn is_oversize(&self) -> bool {
        self.oversize
    }

    fn put(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    /// Writes an attribute header with an open length and returns where it starts.
    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let len = u16::try_from(self.bytes.len().saturating_sub(start));
        match (len, self.bytes.get_mut(start..start.saturating_add(2))) {
            (Ok(len), Some(field)) => field.copy_from_slice(&len.to_ne_bytes()),
            _ => self.oversize = true,
        }
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }
}

/// Bytes that somebody else serialised.
impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, oversize: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attributes;

    #[test]
    fn written_attributes_read_back() {
        let payload = Payload::with_header(&[1, 2, 3])
            .u8(1, 7)
            .u16_be(2, 443)
            .u32(3, 70_000)
            .u64(4, u64::MAX)
            .text(5, "wrr")
            .flag(6)
            .nest(7, |inside| inside.u16(1, 10).nest(2, |deep| deep.u8(1, 1)));
        let bytes = payload.as_bytes();
        assert_eq!(bytes.len() % 4, 0);
        let all: Vec<_> = Attributes::after(bytes, 3).collect();
        assert_eq!(all.iter().map(|a| a.kind).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(all[0].u8(), Some(7));
        assert_eq!(all[1].u16_be(), Some(443));
        assert_eq!(all[2].u32(), Some(70_000));
        assert_eq!(all[3].u64(), Some(u64::MAX));
        assert_eq!(all[4].value, b"wrr\0");
        assert!(all[5].value.is_empty());
        let nest = all[6].nested();
        assert_eq!(nest.first(1).and_then(|a| a.u16()), Some(10));
        assert_eq!(nest.first(2).and_then(|a| a.nested().first(1)?.u8()), Some(1));
    }

    #[test]
    fn golden_bytes() {
        let payload = Payload::generic(5, 1).nest(2, |dest| dest.u16_be(2, 80).text(6, "rr"));
        let mut expected = vec![5, 1, 0, 0];
        expected.extend(20_u16.to_ne_bytes());
        expected.extend(0x8002_u16.to_ne_bytes());
        expected.extend(6_u16.to_ne_bytes());
        expected.extend(2_u16.to_ne_bytes());
        expected.extend([0, 80, 0, 0]);
        expected.extend(7_u16.to_ne_bytes());
        expected.extend(6_u16.to_ne_bytes());
        expected.extend(b"rr\0\0");
        assert_eq!(payload.as_bytes(), expected);
    }

    #[test]
    fn a_value_beyond_64_kib_is_noticed() {
        assert!(!Payload::new().attribute(1, &vec![0; 65_531]).is_oversize());
        assert!(Payload::new().attribute(1, &vec![0; 65_532]).is_oversize());
        let nested = Payload::new()
            .nest(1, |p| p.attribute(1, &vec![0; 40_000]).attribute(2, &vec![0; 40_000]));
        assert!(nested.is_oversize());
    }

    #[test]
    fn text_is_cut_at_an_inner_nul() {
        assert_eq!(Payload::new().text(1, "a\0b").as_bytes().get(4..6), Some(&b"a\0"[..]));
    }
}
