//! Reading attributes (`struct nlattr`): bounds-checked, alignment-free.

/// Bits of the attribute type that are the type; the two above are `NLA_F_NESTED` and
/// `NLA_F_NET_BYTEORDER` (`linux/netlink.h`).
const TYPE_MASK: u16 = 0x3fff;

/// One attribute of a message.
///
/// The readers take what they need from the front of the value and ignore the rest, as the kernel
/// does: a newer kernel may send a longer attribute. `None` means the value is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a type and a value is all an attribute has")]
pub struct Attribute<'a> {
    /// Attribute type without the nested and byte-order flags, 0 to 0x3fff.
    pub kind: u16,
    /// The value without padding.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    fn head<const N: usize>(&self) -> Option<[u8; N]> {
        self.value.first_chunk().copied()
    }

    /// The first octet.
    #[must_use]
    pub fn u8(&self) -> Option<u8> {
        self.value.first().copied()
    }

    /// 16 bits in host order.
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        self.head().map(u16::from_ne_bytes)
    }

    /// 16 bits in network order, as ports are.
    #[must_use]
    pub fn u16_be(&self) -> Option<u16> {
        self.head().map(u16::from_be_bytes)
    }

    /// 32 bits in host order.
    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        self.head().map(u32::from_ne_bytes)
    }

    /// 32 bits in network order.
    #[must_use]
    pub fn u32_be(&self) -> Option<u32> {
        self.head().map(u32::from_be_bytes)
    }

    /// 64 bits in host order; netlink aligns to 4, so the value is copied.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        self.head().map(u64::from_ne_bytes)
    }

    /// Text up to the first NUL, or to the end if there is none. `None` when it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let end = self.value.iter().position(|&octet| octet == 0);
        let text = end.map_or(self.value, |end| self.value.get(..end).unwrap_or_default());
        core::str::from_utf8(text).ok()
    }

    /// The value as attributes of its own.
    #[must_use]
    pub fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }
}

/// Iterator over the attributes in a byte string.
///
/// It ends at the end of the bytes or before an attribute whose length is impossible; then
/// [`leftover`](Self::leftover) is not empty.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Walks `bytes` from the start.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Walks what follows a fixed header of `header` octets (rounded up to 4), as in
    /// `ifaddrmsg` (8) or `ifinfomsg` (16). A payload shorter than that has no attributes.
    #[must_use]
    pub fn after(payload: &'a [u8], header: usize) -> Self {
        Self { rest: payload.get(align(header)..).unwrap_or_default() }
    }

    /// What the walk could not read; empty after a whole walk over well-formed bytes.
    #[must_use]
    pub fn leftover(&self) -> &'a [u8] {
        self.rest
    }

    /// The first remaining attribute of this type.
    #[must_use]
    pub fn first(&self, kind: u16) -> Option<Attribute<'a>> {
        self.clone().find(|attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (&[len_0, len_1, kind_0, kind_1], _) = self.rest.split_first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([len_0, len_1]));
        let value = self.rest.get(4..len)?;
        self.rest = self.rest.get(align(len)..).unwrap_or_default();
        Some(Attribute { kind: u16::from_ne_bytes([kind_0, kind_1]) & TYPE_MASK, value })
    }
}

/// The next multiple of four, the alignment of messages and attributes.
pub(crate) const fn align(len: usize) -> usize {
    len.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walk_masks_flags_and_skips_padding() {
        let mut bytes = Vec::new();
        for (len, kind, value) in [(5_u16, 0x8001_u16, &[7, 0, 0, 0][..]), (8, 2, &[1, 2, 3, 4])] {
            bytes.extend(len.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
        }
        let mut walk = Attributes::new(&bytes);
        assert_eq!(walk.next(), Some(Attribute { kind: 1, value: &[7] }));
        assert_eq!(walk.next(), Some(Attribute { kind: 2, value: &[1, 2, 3, 4] }));
        assert_eq!(walk.next(), None);
        assert!(walk.leftover().is_empty());
    }

    #[test]
    fn an_impossible_length_ends_the_walk() {
        for len in [0_u16, 1, 3, 9, 0xffff] {
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.extend([1, 0, 9, 9, 9, 9]);
            let mut walk = Attributes::new(&bytes);
            assert_eq!(walk.next(), None, "length {len}");
            assert_eq!(walk.leftover().len(), 8);
        }
    }

    #[test]
    fn the_last_attribute_may_lack_its_padding() {
        let mut bytes = 5_u16.to_ne_bytes().to_vec();
        bytes.extend([3, 0, 42]);
        assert_eq!(Attributes::new(&bytes).first(3).and_then(|a| a.u8()), Some(42));
    }

    #[test]
    fn short_values_read_as_none_and_long_ones_by_their_front() {
        let short = Attribute { kind: 1, value: &[1] };
        assert_eq!((short.u16(), short.u32(), short.u64()), (None, None, None));
        let long = Attribute { kind: 1, value: &[0, 80, 9, 9, 9] };
        assert_eq!(long.u16_be(), Some(80));
        assert_eq!(Attribute { kind: 1, value: b"rr\0junk" }.text(), Some("rr"));
        assert_eq!(Attribute { kind: 1, value: &[0xff] }.text(), None);
    }
}
