//! The wills of all virtual routers, in a memory file that two processes have.
//!
//! The worker may be killed in the middle of a write. So each will has two banks, which are written in turns, with a number and a
//! checksum; the reader takes the newest that is whole.
//!
//! ```text
//!  0   number of places
//!  8   for each place: offset of its banks (8 octets), capacity of one (4), 0 (4)
//!  ..  bank: number (8), length (4), checksum (4), the will
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{MemfdFlags, memfd_create};

use super::will::{Will, read};

const DIRECTORY: u64 = 8;
const PLACE_LEN: u64 = 16;
const BANK_HEADER: usize = 16;

/// More than any testament has.
const MAX_LEN: u64 = 256 << 20;

/// The worker's side.
#[derive(Debug)]
pub(crate) struct Testament {
    file: File,
    places: Vec<Place>,
    end: u64,
    /// Kept for its memory.
    bank: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    offset: u64,
    capacity: usize,
    number: u64,
    /// What it says now.
    will: Vec<u8>,
}

impl Testament {
    /// With so many places for wills, all empty.
    pub(crate) fn new(places: usize) -> io::Result<Self> {
        let file = File::from(memfd_create("vrrp-testament", MemfdFlags::CLOEXEC)?);
        let count = u64::try_from(places).unwrap_or(0);
        let end = DIRECTORY + PLACE_LEN * count;
        file.set_len(end)?;
        file.write_all_at(&count.to_ne_bytes(), 0)?;
        Ok(Self { file, places: vec![Place::default(); places], end, bank: Vec::new() })
    }

    /// The file, for the sentinel.
    pub(crate) fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Replaces a will. Costs nothing if it is the same as before, one system call otherwise.
    pub(crate) fn set(&mut self, index: usize, will: &[u8]) -> io::Result<()> {
        let Some(place) = self.places.get_mut(index).filter(|place| place.will != will) else {
            return Ok(());
        };
        let grown = (will.len() > place.capacity).then(|| will.len().next_power_of_two().max(256));
        if let Some(capacity) = grown {
            place.capacity = capacity;
            place.offset = self.end;
            let len = u64::try_from((capacity + BANK_HEADER) * 2).unwrap_or(u64::MAX);
            self.end = self.end.saturating_add(len);
            self.file.set_len(self.end)?;
        }
        place.number += 1;
        let bank = if place.number % 2 == 0 { 0 } else { place.capacity + BANK_HEADER };
        self.bank.clear();
        self.bank.extend(place.number.to_ne_bytes());
        self.bank.extend(u32::try_from(will.len()).unwrap_or(u32::MAX).to_ne_bytes());
        self.bank.extend(checksum(place.number, will).to_ne_bytes());
        self.bank.extend(will);
        let at = place.offset.saturating_add(u64::try_from(bank).unwrap_or(u64::MAX));
        self.file.write_all_at(&self.bank, at)?;
        if grown.is_some() {
            // Sixteen octets within a page: they are there whole or not at all.
            let mut entry = place.offset.to_ne_bytes().to_vec();
            entry.extend(u64::try_from(place.capacity).unwrap_or(0).to_ne_bytes());
            let index = u64::try_from(index).unwrap_or(u64::MAX);
            self.file.write_all_at(&entry, DIRECTORY + PLACE_LEN * index)?;
        }
        place.will.clear();
        place.will.extend(will);
        Ok(())
    }
}

/// The sentinel's side: the wills, as far as they are whole.
pub(super) fn read_all(file: &File) -> io::Result<Vec<Will>> {
    let len = file.metadata()?.len().min(MAX_LEN);
    if len < DIRECTORY {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut octets = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut octets, 0)?;
    let number_at = |at: usize| -> Option<u64> {
        Some(u64::from_ne_bytes(octets.get(at..at.checked_add(8)?)?.try_into().ok()?))
    };
    let places = number_at(0).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let entry = |index: usize| -> Option<Will> {
        let at = index.checked_mul(16)?.checked_add(8)?;
        let offset = usize::try_from(number_at(at)?).ok()?;
        let capacity = usize::try_from(number_at(at.checked_add(8)?)?).ok()?;
        let second = offset.checked_add(capacity)?.checked_add(BANK_HEADER)?;
        let banks = [offset, second].into_iter().filter(|_| capacity > 0);
        let newest = banks.filter_map(|at| bank(&octets, at)).max_by_key(|(number, _)| *number);
        read(newest?.1)
    };
    // Each place takes sixteen octets: there are no more of them than that.
    Ok((0..places.min(octets.len() / 16)).filter_map(entry).collect())
}

/// A bank that is whole.
fn bank(octets: &[u8], at: usize) -> Option<(u64, &[u8])> {
    let bank = octets.get(at..)?;
    let (number, rest) = bank.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let number = u64::from_ne_bytes(*number);
    let will = rest.get(..usize::try_from(u32::from_ne_bytes(*length)).ok()?)?;
    let whole = number > 0 && checksum(number, will) == u32::from_ne_bytes(*sum);
    whole.then_some((number, will))
}

/// FNV-1a: against a write that was cut short, not against anybody.
fn checksum(number: u64, octets: &[u8]) -> u32 {
    let all = number.to_ne_bytes().into_iter().chain(octets.iter().copied());
    all.fold(0x811c_9dc5, |sum, octet| (sum ^ u32::from(octet)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::will::{add, begin};
    use std::path::Path;

    fn will(name: &str, packet: &[u8]) -> Vec<u8> {
        let mut will = Vec::new();
        begin(&mut will, name, Path::new("/j"));
        let (source, group) = ("192.0.2.1".parse().unwrap(), "224.0.0.18".parse().unwrap());
        add(&mut will, ("eth0", 2), source, group, packet);
        will
    }

    #[test]
    fn the_newest_will_of_each_place_is_read() {
        let mut testament = Testament::new(3).unwrap();
        let read = |testament: &Testament| -> Vec<(String, usize)> {
            let wills = read_all(&testament.share().unwrap()).unwrap();
            wills.iter().map(|will| (will.name.clone(), will.farewells[0].packet.len())).collect()
        };
        assert_eq!(read(&testament), []);
        testament.set(0, &will("a", &[0; 40])).unwrap();
        testament.set(2, &will("c", &[0; 41])).unwrap();
        assert_eq!(read(&testament), [("a".to_owned(), 40), ("c".to_owned(), 41)]);
        // It grows, several times, and shrinks.
        for length in [40, 300, 5000, 3, 4000] {
            testament.set(0, &will("a", &vec![7; length])).unwrap();
            assert_eq!(read(&testament)[0], ("a".to_owned(), length));
        }
        assert_eq!(read(&testament)[1], ("c".to_owned(), 41));
        testament.set(7, &will("x", &[])).unwrap();
        assert_eq!(read(&testament).len(), 2);
    }

    #[test]
    fn a_write_that_was_cut_short_leaves_the_one_before() {
        let mut testament = Testament::new(1).unwrap();
        testament.set(0, &will("a", &[1; 60])).unwrap();
        testament.set(0, &will("a", &[2; 60])).unwrap();
        let file = testament.share().unwrap();
        let newest = || read_all(&file).unwrap()[0].farewells[0].packet[0];
        assert_eq!(newest(), 2);
        let (offset, bank) = (testament.places[0].offset, testament.bank.clone());
        for octet in 0..bank.len() {
            file.write_all_at(&[bank[octet] ^ 1], offset + u64::try_from(octet).unwrap()).unwrap();
            assert_eq!(newest(), 1, "octet {octet}");
            file.write_all_at(&bank, offset).unwrap();
        }
        assert_eq!(newest(), 2);
    }

    #[test]
    fn no_file_makes_the_reader_panic() {
        for number in [0, 1, 5, u64::MAX] {
            let file = Testament::new(1).unwrap().share().unwrap();
            for at in [0, 8, 16] {
                file.write_all_at(&number.to_ne_bytes(), at).unwrap();
            }
            assert_eq!(read_all(&file).unwrap(), []);
        }
    }
}
