//! What a process configured in the kernel, listed in a locked file, so that its successor can clean up.
//!
//! A process that adds an IP address, a load balancer's service or a sysctl should take it away again when it ends. When
//! it is killed (`kill -9`, the OOM killer) it cannot; when it is started again it must know what is its own and what an
//! administrator put there. A journal is that knowledge: write-ahead, bounded, a few microseconds an entry.
//!
//! # Mental model
//!
//! A [`Journal`] is a set of short texts, one for each thing the process has configured outside of itself: an address
//! on an interface, a load balancer's service, the old value of a sysctl. What the texts mean is the caller's business.
//!
//! - [`Journal::record`] **before** the kernel is changed; [`Journal::forget`] **after** the change has been undone. So at any
//!   moment the file lists at least what is configured, and a process killed at any instruction leaves nothing unlisted.
//! - [`Journal::open`] returns what a dead owner left. These entries stay listed until they are forgotten one by one, so
//!   a successor that is killed while it cleans up leaves the rest to *its* successor.
//! - While a journal is open its file is locked: a second process with the same path gets [`JournalError::Held`], which
//!   names the holder's process id. The kernel drops the lock when the holder dies, however it dies.
//! - [`Journal::close`] removes the file when nothing is listed any more.
//!
//! # Example
//!
//! ```
//! use journal::Journal;
//!
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("eth0.journal"); // in earnest: /run/NAME/eth0.journal
//!
//! let (mut journal, leftovers) = Journal::open(&path)?;
//! assert!(leftovers.is_empty());
//! journal.record("eth0 192.0.2.100/24")?; // ... then add the address
//! drop(journal); // the process dies
//!
//! let (mut journal, leftovers) = Journal::open(&path)?;
//! for entry in leftovers {
//!     assert_eq!(entry, "eth0 192.0.2.100/24"); // remove the address, and only then
//!     journal.forget(&entry)?;
//! }
//! journal.close()?;
//! assert!(!path.exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # File format
//!
//! Text lines that a person can read in an emergency:
//!
//! ```text
//! vip-journal 1 0a5c6d2e-7a37-4b53-8f0b-0c6f4c1d2e3f 4711     format version, boot id, process id
//! + eth0 192.0.2.100/24                                       recorded
//! + eth0 192.0.2.101/24
//! - eth0 192.0.2.100/24                                       forgotten
//! ```
//!
//! - **Version.** Another version than 1 is refused, not guessed at.
//! - **Boot id** (`/proc/sys/kernel/random/boot_id`). A reboot empties the kernel too, so entries written before it are dropped.
//! - **Lock.** `flock(2)` on the file itself; it belongs to the open file, so it also excludes a second opener in the same
//!   process, and is not inherited over `exec`. The file has mode 0600: whoever may open it could also lock it.
//! - **Rewriting.** A journal is opened, and compacted, by writing a complete new file beside it and renaming it over the
//!   old one, locked all the while. The file therefore never has half a header. It is compacted when more than
//!   half of its lines, and at least 64 KiB, are history.
//! - **Torn last line.** Bytes after the last line end are ignored. A torn `+` line was written before its change was
//!   made, so nothing is lost; a torn `-` line leaves an entry for something that is gone, and removing a thing
//!   that is gone must be a success anyway.
//! - **No `fsync`.** Bytes given to `write(2)` survive the death of the process; the death of the machine empties the kernel.
//! - **Bounds.** An entry has 1 to [`MAX_ENTRY_LEN`] bytes and no control characters; all entries together at most
//!   [`MAX_LISTED_LEN`] bytes. A file beyond these, or with a line that is none of the above, is an error that names the file and
//!   the line: what it lists is acted upon with privileges, so it is not guessed at either.
//!
//! # What it does not do
//!
//! It does not know what the entries mean and undoes nothing itself.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod error;
mod format;
mod journal;

pub use error::{Defect, JournalError};
pub use format::{MAX_ENTRY_LEN, MAX_LISTED_LEN};
pub use journal::Journal;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    //! What the fuzzer reaches and nobody else.

    use crate::format;

    /// Reads a file, and reads again what it lists.
    ///
    /// # Panics
    /// When the two differ.
    pub fn file(octets: &[u8]) {
        const BOOT: &str = "0a5c6d2e-7a37-4b53-8f0b-0c6f4c1d2e3f";
        let _process = format::holder(octets);
        if let Ok(entries) = format::parse(octets, BOOT) {
            let file = format::render(BOOT, 7, &entries);
            let again = format::parse(file.as_bytes(), BOOT).expect("a file of our own");
            assert_eq!(again.in_order(), entries.in_order());
            assert_eq!(again.listed_len(), entries.listed_len());
        }
    }
}

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
