//! Bytes of a journal file and the entries they list. Pure.

use core::fmt::Write as _;
use core::str;
use std::collections::BTreeMap;

use crate::error::Defect;

/// The longest entry, in bytes.
pub const MAX_ENTRY_LEN: usize = 1024;

/// All entries of a journal together, in bytes of their lines. Fifty thousand addresses fit.
pub const MAX_LISTED_LEN: usize = 4 << 20;

/// History that is tolerated before a file is compacted, in bytes.
pub(crate) const COMPACTION_SLACK: usize = 64 << 10;

/// No file that this code wrote is longer: twice what may be listed (half of it history), and one batch of lines.
pub(crate) const MAX_FILE_LEN: usize = 4 * MAX_LISTED_LEN + COMPACTION_SLACK;

const MAGIC: &str = "vip-journal";
const VERSION: u32 = 1;

/// The set of entries, each with the number of its recording, so that it can be listed in that order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Entries {
    by_text: BTreeMap<String, u64>,
    recorded: u64,
    listed_len: usize,
}

impl Entries {
    /// Adds an entry; `false` if it was there already.
    pub(crate) fn insert(&mut self, entry: &str) -> bool {
        if self.contains(entry) {
            return false;
        }
        self.by_text.insert(entry.to_owned(), self.recorded);
        self.recorded += 1;
        self.listed_len += line_len(entry);
        true
    }

    /// Removes an entry; `false` if it was not there.
    pub(crate) fn remove(&mut self, entry: &str) -> bool {
        let removed = self.by_text.remove(entry).is_some();
        if removed {
            self.listed_len -= line_len(entry);
        }
        removed
    }

    pub(crate) fn contains(&self, entry: &str) -> bool {
        self.by_text.contains_key(entry)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_text.len()
    }

    /// Bytes that the entries take in a compacted file, without the header.
    pub(crate) fn listed_len(&self) -> usize {
        self.listed_len
    }

    /// The entries, oldest first.
    pub(crate) fn in_order(&self) -> Vec<&str> {
        let mut entries: Vec<_> =
            self.by_text.iter().map(|(text, order)| (*order, text.as_str())).collect();
        entries.sort_unstable();
        entries.into_iter().map(|(_, text)| text).collect()
    }
}

/// Bytes of an entry's line.
pub(crate) fn line_len(entry: &str) -> usize {
    entry.len() + "+ \n".len()
}

/// Can `entry` be listed?
pub(crate) fn is_entry(entry: &str) -> bool {
    (1..=MAX_ENTRY_LEN).contains(&entry.len()) && !entry.chars().any(char::is_control)
}

/// A complete file: the header and one line for each entry.
pub(crate) fn render(boot_id: &str, pid: u32, entries: &Entries) -> String {
    let mut text = String::with_capacity(entries.listed_len() + 80);
    writeln!(text, "{MAGIC} {VERSION} {boot_id} {pid}").expect("writing to a String cannot fail");
    for entry in entries.in_order() {
        push_line(&mut text, '+', entry);
    }
    text
}

/// Appends the line of one event.
pub(crate) fn push_line(text: &mut String, sign: char, entry: &str) {
    text.push(sign);
    text.push(' ');
    text.push_str(entry);
    text.push('\n');
}

/// The process id in the header, if there is one.
pub(crate) fn holder(file: &[u8]) -> Option<u32> {
    let (header, _) = split_line(file)?;
    Some(parse_header(header).ok()?.1)
}

/// What a file lists: nothing if it is empty or was written before the boot `boot_id`.
///
/// # Errors
///
/// The first [`Defect`] of the file.
pub(crate) fn parse(file: &[u8], boot_id: &str) -> Result<Entries, Defect> {
    let mut entries = Entries::default();
    if file.is_empty() {
        return Ok(entries); // created by an opener that was killed before it wrote
    }
    let (header, mut rest) = split_line(file).ok_or(Defect::Header)?;
    let (written_in, _) = parse_header(header)?;
    if written_in != boot_id {
        return Ok(entries);
    }
    let mut line = 1;
    while let Some((event, after)) = split_line(rest) {
        line += 1;
        rest = after;
        let text = str::from_utf8(event).map_err(|_| Defect::Line { line })?;
        let (sign, entry) = text.split_at_checked(2).ok_or(Defect::Line { line })?;
        match sign {
            _ if !is_entry(entry) => return Err(Defect::Line { line }),
            "+ " => entries.insert(entry),
            "- " => entries.remove(entry),
            _ => return Err(Defect::Line { line }),
        };
    }
    Ok(entries) // what follows the last line end is torn, see the crate's documentation
}

fn parse_header(line: &[u8]) -> Result<(&str, u32), Defect> {
    let line = str::from_utf8(line).map_err(|_| Defect::Header)?;
    let mut words = line.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(Defect::Header);
    }
    let version = words.next().and_then(|word| word.parse().ok()).ok_or(Defect::Header)?;
    if version != VERSION {
        return Err(Defect::Version { version });
    }
    match (words.next(), words.next().map(str::parse), words.next()) {
        (Some(boot_id), Some(Ok(pid)), None) => Ok((boot_id, pid)),
        _ => Err(Defect::Header),
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = bytes.split_at(end);
    Some((line, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOOT: &str = "0a5c6d2e-7a37-4b53-8f0b-0c6f4c1d2e3f";

    fn listed(file: &str) -> Result<Vec<String>, Defect> {
        parse(file.as_bytes(), BOOT)
            .map(|entries| entries.in_order().into_iter().map(str::to_owned).collect())
    }

    fn with_header(lines: &str) -> String {
        format!("vip-journal 1 {BOOT} 7\n{lines}")
    }

    #[test]
    fn lists_what_is_recorded_and_not_forgotten_in_order() {
        let file = with_header("+ b\n+ a\n+ c\n- a\n+ b\n- never there\n");
        assert_eq!(listed(&file).unwrap(), ["b", "c"]);
    }

    #[test]
    fn ignores_a_torn_last_line() {
        assert_eq!(listed(&with_header("+ a\n+ tor")).unwrap(), ["a"]);
        assert_eq!(listed(&with_header("+ a\n- a")).unwrap(), ["a"]);
        assert_eq!(listed(&with_header("+ a\n\u{fffd}")).unwrap(), ["a"]);
    }

    #[test]
    fn drops_entries_of_an_earlier_boot() {
        let file = "vip-journal 1 11111111-7a37-4b53-8f0b-0c6f4c1d2e3f 7\n+ a\nwhatever\n";
        assert_eq!(listed(file).unwrap(), [""; 0]);
    }

    #[test]
    fn names_the_defect() {
        for (file, defect) in [
            ("vip-journal".to_owned(), Defect::Header),
            ("\n".to_owned(), Defect::Header),
            ("other 1 x 7\n".to_owned(), Defect::Header),
            ("vip-journal 1 x\n".to_owned(), Defect::Header),
            ("vip-journal 1 x 7 8\n".to_owned(), Defect::Header),
            ("vip-journal 1 x -7\n".to_owned(), Defect::Header),
            ("vip-journal 2 x 7 more\n".to_owned(), Defect::Version { version: 2 }),
            (with_header("+ a\n* b\n"), Defect::Line { line: 3 }),
            (with_header("+ \n"), Defect::Line { line: 2 }),
            (with_header("+\n"), Defect::Line { line: 2 }),
            (with_header("\n"), Defect::Line { line: 2 }),
            (with_header("é\n"), Defect::Line { line: 2 }),
            (with_header("+ a\u{0}b\n"), Defect::Line { line: 2 }),
            (
                with_header(&format!("+ {}\n", "x".repeat(MAX_ENTRY_LEN + 1))),
                Defect::Line { line: 2 },
            ),
        ] {
            assert_eq!(listed(&file), Err(defect), "{file:?}");
        }
        assert_eq!(
            parse(&[&with_header("+ a\n+ ").into_bytes()[..], b"\xff\n"].concat(), BOOT),
            Err(Defect::Line { line: 3 })
        );
    }

    #[test]
    fn finds_the_holder() {
        assert_eq!(holder(b"vip-journal 1 x 4711\n+ a\n"), Some(4711));
        assert_eq!(holder(b"vip-journal 1 x 47"), None);
        assert_eq!(holder(b""), None);
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_listed(texts in proptest::collection::vec("[^\\p{Cc}]{1,40}", 0..40), forgotten in 0_usize..40) {
            let mut entries = Entries::default();
            for text in &texts {
                entries.insert(text);
            }
            if let Some(text) = texts.get(forgotten) {
                entries.remove(text);
            }
            let file = render(BOOT, 7, &entries);
            let read = parse(file.as_bytes(), BOOT).unwrap();
            prop_assert_eq!(read.in_order(), entries.in_order());
            prop_assert_eq!(read.listed_len(), entries.listed_len());
            prop_assert_eq!(file.len(), entries.listed_len() + file.find('\n').unwrap() + 1);
        }

        #[test]
        fn any_bytes_are_listed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), header: bool) {
            let file = if header { [with_header("").into_bytes(), bytes].concat() } else { bytes };
            if let Ok(entries) = parse(&file, BOOT) {
                prop_assert!(entries.in_order().into_iter().all(is_entry));
            }
        }
    }
}
