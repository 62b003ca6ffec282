//! The journal's file: open, lock, append, compact, remove.

use core::ops::{Deref, DerefMut};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::error::{Defect, JournalError};
use crate::format::{self, COMPACTION_SLACK, Entries, MAX_FILE_LEN, MAX_LISTED_LEN};

/// An open, locked journal: the set of things this process has configured outside of itself.
///
/// See the [crate's documentation](crate) for the order of calls and the file format.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Locked,
    boot_id: String,
    entries: Entries,
    /// Length of the file up to which it is known to be whole lines.
    len: usize,
    /// A failed write may have left bytes beyond `len` that could not be cut off yet.
    torn: bool,
}

impl Journal {
    /// Opens, creates and locks the journal at `path`, creating its directory (mode 0755) if it does not exist.
    ///
    /// Returns what a dead owner left listed, oldest first. These entries are part of the new journal: undo what they stand for
    /// and [`forget`](Self::forget) them, or [`record`](Self::record) them again when the thing is wanted still.
    ///
    /// # Errors
    ///
    /// [`JournalError::Held`] while another owner lives, [`JournalError::Damaged`] and [`JournalError::ForeignOwner`] for a file that
    /// cannot be trusted, [`JournalError::Directory`] and [`JournalError::Open`] for what the kernel refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<(Self, Vec<String>), JournalError> {
        let path = path.as_ref();
        let mut old = match lock(path) {
            Err(JournalError::Open { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                create_directory(path)?;
                lock(path)?
            }
            result => result?,
        };
        let boot_id = boot_id();
        let entries = read(path, &mut old, &boot_id)?;
        if entries.is_empty() && old.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            // Nobody has anything in it: what a death here leaves is as good as an empty file.
            let text = format::render(&boot_id, std::process::id(), &entries);
            if old.write_all_at(text.as_bytes(), 0).is_ok() {
                let (file, len) = (old, text.len());
                let path = path.to_owned();
                return Ok((Self { path, file, boot_id, entries, len, torn: false }, Vec::new()));
            }
            // Half a header would be taken for damage.
            old.set_len(0).map_err(|source| open_error(path, source))?;
        }
        let leftovers = entries.in_order().into_iter().map(str::to_owned).collect();
        // The old file stays locked until the new one, locked too, has taken its name.
        let (file, len) = replace(path, &boot_id, &entries).map_err(|source| {
            remove_if_new(path, &old);
            open_error(path, source)
        })?;
        drop(old);
        Ok((Self { path: path.to_owned(), file, boot_id, entries, len, torn: false }, leftovers))
    }

    /// Lists `entry`. Call it **before** the change is made. Listing it twice is the same as once.
    ///
    /// # Errors
    ///
    /// Nothing is listed on [`JournalError::Entry`], [`JournalError::Full`] and [`JournalError::Write`]: do not make the change.
    pub fn record(&mut self, entry: &str) -> Result<(), JournalError> {
        self.record_all([entry])
    }

    /// Lists all of `entries`, or on an error none of them, with one write to the file.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn record_all<I>(&mut self, entries: I) -> Result<(), JournalError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut lines = String::new();
        let mut fresh = Vec::new();
        for entry in entries {
            let entry = entry.as_ref();
            if !format::is_entry(entry) {
                return Err(JournalError::Entry { path: self.path.clone(), len: entry.len() });
            }
            if !self.entries.contains(entry) {
                format::push_line(&mut lines, '+', entry);
                fresh.push(entry.to_owned());
            }
        }
        if self.entries.listed_len() + lines.len() > MAX_LISTED_LEN {
            return Err(JournalError::Full { path: self.path.clone() });
        }
        self.append(&lines)?;
        for entry in &fresh {
            self.entries.insert(entry);
        }
        Ok(())
    }

    /// Takes `entry` from the list. Call it **after** the change has been undone. An entry that is not listed is ignored.
    ///
    /// # Errors
    ///
    /// [`JournalError::Write`]: the entry is still listed; a successor will try to undo the change once more.
    pub fn forget(&mut self, entry: &str) -> Result<(), JournalError> {
        self.forget_all([entry])
    }

    /// Takes all of `entries` from the list, or on an error none of them, with one write to the file.
    ///
    /// # Errors
    ///
    /// As [`forget`](Self::forget).
    pub fn forget_all<I>(&mut self, entries: I) -> Result<(), JournalError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut lines = String::new();
        let mut gone = Vec::new();
        for entry in entries {
            let entry = entry.as_ref();
            if self.entries.contains(entry) {
                format::push_line(&mut lines, '-', entry);
                gone.push(entry.to_owned());
            }
        }
        self.append(&lines)?;
        for entry in &gone {
            self.entries.remove(entry);
        }
        self.compact_if_worthwhile()
    }

    /// Is `entry` listed?
    #[must_use]
    pub fn contains(&self, entry: &str) -> bool {
        self.entries.contains(entry)
    }

    /// What is listed, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<&str> {
        self.entries.in_order()
    }

    /// Number of listed entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is nothing listed?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The journal's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Unlocks the journal and, when nothing is listed, removes its file. Dropping a journal does the same without telling of
    /// errors.
    ///
    /// # Errors
    ///
    /// [`JournalError::Write`] when the file cannot be removed.
    pub fn close(self) -> Result<(), JournalError> {
        self.remove_if_empty()
            .map_err(|source| JournalError::Write { path: self.path.clone(), source })
    }

    fn append(&mut self, lines: &str) -> Result<(), JournalError> {
        if lines.is_empty() {
            return Ok(());
        }
        let written = self
            .cut_torn_bytes()
            .and_then(|()| self.file.write_all_at(lines.as_bytes(), offset(self.len)));
        match written {
            Ok(()) => {
                self.len += lines.len();
                Ok(())
            }
            Err(source) => {
                // Half a line must not become the beginning of the next one.
                self.torn = true;
                if self.cut_torn_bytes().is_err() {
                    // Tried again before the next write; until then the reader ignores a torn last line.
                }
                Err(JournalError::Write { path: self.path.clone(), source })
            }
        }
    }

    fn cut_torn_bytes(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(offset(self.len))?;
            self.torn = false;
        }
        Ok(())
    }

    /// Rewrites the file when most of it is history. A failure is harmless (the history is right, only long), so it is
    /// reported when the file has become much too long.
    fn compact_if_worthwhile(&mut self) -> Result<(), JournalError> {
        let history = self.len.saturating_sub(self.entries.listed_len());
        if history < COMPACTION_SLACK || history < self.entries.listed_len() {
            return Ok(());
        }
        match replace(&self.path, &self.boot_id, &self.entries) {
            Ok((file, len)) => {
                (self.file, self.len, self.torn) = (file, len, false);
                Ok(())
            }
            Err(_) if self.len < MAX_FILE_LEN / 2 => Ok(()),
            Err(source) => Err(JournalError::Write { path: self.path.clone(), source }),
        }
    }

    fn remove_if_empty(&self) -> io::Result<()> {
        if self.entries.is_empty() && is_at(&self.file, &self.path)? {
            fs::remove_file(&self.path)
        } else {
            Ok(())
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // After `close` the file is gone or not empty: nothing happens then.
        if self.remove_if_empty().is_err() {
            // An empty journal that stays is harmless: the next opener takes it over.
        }
    }
}

/// Lengths are bounded by [`MAX_FILE_LEN`].
fn offset(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn open_error(path: &Path, source: io::Error) -> JournalError {
    JournalError::Open { path: path.to_owned(), source }
}

fn create_directory(path: &Path) -> Result<(), JournalError> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .map_err(|source| JournalError::Directory { path: directory.to_owned(), source }),
        _ => Ok(()),
    }
}

/// A locked file. It is unlocked, not only closed: a child process that another thread is just starting has inherited the
/// descriptor until its `exec`, and would keep the lock until then.
#[derive(Debug)]
struct Locked(File);

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if flock(&self.0, FlockOperation::Unlock).is_err() {
            // Closing unlocks it as well, a little later.
        }
    }
}

/// Opens the file that is at `path` now, creating it empty, and locks it.
fn lock(path: &Path) -> Result<Locked, JournalError> {
    loop {
        let file =
            open_options().create(true).open(path).map_err(|source| match Errno::from_io_error(
                &source,
            ) {
                Some(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
                    JournalError::Damaged { path: path.to_owned(), defect: Defect::NotAFile }
                }
                _ => open_error(path, source),
            })?;
        check_metadata(path, &file)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut head = [0; 256];
                let len = file.read_at(&mut head, 0).unwrap_or(0);
                let pid = head.get(..len).and_then(format::holder);
                return Err(JournalError::Held { path: path.to_owned(), pid });
            }
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(open_error(path, errno.into())),
        }
        let file = Locked(file);
        // Between our open and our lock the holder may have removed or replaced the file: then we have locked a ghost.
        if is_at(&file, path).map_err(|source| open_error(path, source))? {
            return Ok(file);
        }
    }
}

/// After a failure: takes away the empty file that [`lock`] has just made.
fn remove_if_new(path: &Path, locked: &File) {
    let new = locked.metadata().is_ok_and(|metadata| metadata.len() == 0);
    if new && is_at(locked, path).unwrap_or(false) && fs::remove_file(path).is_err() {
        // An empty journal that stays is harmless: the next opener takes it over.
    }
}

/// A journal is read and written by its owner only; no symbolic link and no pipe is followed or waited for.
fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    options.read(true).write(true).mode(0o600).custom_flags(flags.bits().cast_signed());
    options
}

fn check_metadata(path: &Path, file: &File) -> Result<(), JournalError> {
    let metadata = file.metadata().map_err(|source| open_error(path, source))?;
    if !metadata.is_file() {
        return Err(JournalError::Damaged { path: path.to_owned(), defect: Defect::NotAFile });
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(JournalError::ForeignOwner {
            path: path.to_owned(),
            owner: metadata.uid(),
            user,
        });
    }
    if metadata.len() > offset(MAX_FILE_LEN) {
        return Err(JournalError::Damaged {
            path: path.to_owned(),
            defect: Defect::TooLarge { len: metadata.len() },
        });
    }
    Ok(())
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read(path: &Path, file: &mut File, boot_id: &str) -> Result<Entries, JournalError> {
    let mut bytes = Vec::new();
    file.take(offset(MAX_FILE_LEN))
        .read_to_end(&mut bytes)
        .map_err(|source| open_error(path, source))?;
    format::parse(&bytes, boot_id)
        .map_err(|defect| JournalError::Damaged { path: path.to_owned(), defect })
}

/// Puts a complete new file, locked, in the place of the one at `path`, which the caller has locked.
fn replace(path: &Path, boot_id: &str, entries: &Entries) -> io::Result<(Locked, usize)> {
    let mut beside = OsString::from(path);
    beside.push(".new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // an opener that was killed here left it
    }
    let mut file = open_options().create_new(true).open(&beside)?;
    let text = format::render(boot_id, std::process::id(), entries);
    let replaced = flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(io::Error::from)
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&beside, path));
    match replaced {
        Ok(()) => Ok((Locked(file), text.len())),
        Err(error) => {
            if fs::remove_file(&beside).is_err() {
                // The next `replace` removes it.
            }
            Err(error)
        }
    }
}

/// The kernel's name for this boot. Without `/proc` all boots look alike: then leftovers of an earlier boot are
/// removed once more, which finds nothing.
fn boot_id() -> String {
    let mut id = [0; 64];
    let read =
        File::open("/proc/sys/kernel/random/boot_id").and_then(|mut file| file.read(&mut id));
    let id = read.ok().and_then(|len| str::from_utf8(id.get(..len)?).ok());
    id.and_then(|id| id.split_ascii_whitespace().next()).unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_has_not_executed_its_program_yet_keeps_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.record("one").unwrap();
        // What such a child holds: another descriptor of the same open file.
        let inherited = journal.file.try_clone().unwrap();
        drop(journal);
        let (_journal, leftovers) = Journal::open(&path).unwrap();
        assert_eq!(leftovers, ["one"]);
        drop(inherited);
    }
}
