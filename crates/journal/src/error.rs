//! Why a journal cannot be opened or written.

use std::io;
use std::path::PathBuf;

use crate::format::{MAX_ENTRY_LEN, MAX_LISTED_LEN};

/// Why a [`Journal`](crate::Journal) cannot be opened or written. Every message names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process, or another part of this one, has the journal open.
    #[error("{} is in use by {}: stop that process first, or use another journal file", path.display(), holder(*pid))]
    Held {
        /// The journal's file.
        path: PathBuf,
        /// The process id the file's header names; `None` when the holder has not written it yet.
        pid: Option<u32>,
    },
    /// The directory of the journal does not exist and cannot be created.
    #[error("cannot create the directory {}: create it, writable for this user, or choose another run directory", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file cannot be opened, created, locked, read or replaced.
    #[error("cannot open the journal {}: its directory must be writable for this user and have free space", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A line could not be appended; nothing of it is in the file.
    #[error("cannot write to the journal {}: free space in its file system", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file belongs to another user, who could make us remove anything.
    #[error("the journal {} belongs to user {owner}, not to user {user} of this process: delete it, or choose another run directory", path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// The effective user id of this process.
        user: u32,
    },
    /// The file exists and is not a journal of this version.
    #[error("{} is not a journal that can be trusted, {defect}: look at what it lists, undo that by hand, then delete it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        defect: Defect,
    },
    /// The text cannot be an entry.
    #[error("journal {}: an entry has 1 to {MAX_ENTRY_LEN} bytes and no control characters, this one has {len} bytes", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Length of the refused text in bytes.
        len: usize,
    },
    /// The entries together would be larger than [`MAX_LISTED_LEN`].
    #[error("the journal {} is full: it lists at most {MAX_LISTED_LEN} bytes, configure less per journal", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
}

/// What makes a file unusable as a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// Not a regular file.
    #[error("it is not a regular file")]
    NotAFile,
    /// Larger than any journal becomes.
    #[error("it is too large ({len} bytes)")]
    TooLarge {
        /// Its length in bytes.
        len: u64,
    },
    /// The first line is not `vip-journal VERSION BOOT-ID PID`.
    #[error("its first line is no journal header")]
    Header,
    /// A format this code does not know.
    #[error("its format is version {version}, this program reads version 1")]
    Version {
        /// The version in its header.
        version: u32,
    },
    /// A complete line that is neither `+ entry` nor `- entry`, or an entry outside the bounds.
    #[error("its line {line} is neither \"+ entry\" nor \"- entry\"")]
    Line {
        /// The line's number; the header is line 1.
        line: usize,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
