//! A hash for keys that nobody outside chooses.

use core::hash::{BuildHasherDefault, Hasher};

/// Builds [`KeyHasher`]s.
pub type KeyHash = BuildHasherDefault<KeyHasher>;

/// A few cycles for a number, where the default of the standard library, which withstands chosen keys, takes tens of nanoseconds. For keys
/// that this program numbers itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

/// 2^64 / golden ratio, odd: neighbours end far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte));
            self.write_u64(word);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(SPREAD);
    }

    fn finish(&self) -> u64 {
        // A table looks at both ends; the product is good at its upper one.
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use core::hash::BuildHasher as _;
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn neighbours_differ_at_both_ends() {
        let hash = KeyHash::default();
        let hashes: Vec<u64> = (0..4096_u64).map(|key| hash.hash_one(key)).collect();
        let ends = |shift: u32, mask: u64| {
            hashes.iter().map(|hash| (hash >> shift) & mask).collect::<HashSet<_>>().len()
        };
        // 4,096 balls into 4,096 boxes by chance: 63 % of the boxes are hit.
        assert!(ends(0, 0xfff) > 2_000, "{}", ends(0, 0xfff));
        assert_eq!(ends(57, 0x7f), 128);
        assert_ne!(hash.hash_one("interval"), hash.hash_one("intervam"));
    }
}
