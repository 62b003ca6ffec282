//! The lease's files: who made the one with the greatest number holds the lease.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::guard::lease::{Found, MAX_CONTENT, file_name, token_of};

/// The most files beside the lease that are listed: a directory of its own is better.
const MAX_FILES: usize = 4096;

/// The files of a lease.
pub(super) struct Files {
    pub(super) directory: PathBuf,
    pub(super) name: String,
    pub(super) holder: String,
}

impl Files {
    pub(super) fn path(&self, file: &str) -> PathBuf {
        // An empty parent is the working directory.
        self.directory.join(file)
    }

    fn tokens(&self) -> io::Result<Vec<u64>> {
        let here = Path::new(".");
        let directory =
            if self.directory.as_os_str().is_empty() { here } else { self.directory.as_path() };
        let mut tokens = Vec::new();
        for (number, entry) in std::fs::read_dir(directory)?.enumerate() {
            if number >= MAX_FILES {
                return Err(io::Error::other("too many files in its directory"));
            }
            let file = entry?.file_name();
            tokens.extend(file.to_str().and_then(|file| token_of(&self.name, file)));
        }
        Ok(tokens)
    }

    /// The lease: the file with the greatest token.
    pub(super) fn find(&self) -> io::Result<Option<Found>> {
        let Some(token) = self.tokens()?.into_iter().max() else { return Ok(None) };
        // Replaced or removed meanwhile, or something that cannot be read: it is not released, and it does not change.
        let content = self.read(token).unwrap_or_default();
        Ok(Some(Found { token, content }))
    }

    fn read(&self, token: u64) -> io::Result<Vec<u8>> {
        // Neither a link to somewhere else nor a pipe that nobody writes to.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let path = self.path(&file_name(&self.name, token));
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        let mut content = Vec::new();
        if file.metadata()?.is_file() {
            let most = u64::try_from(MAX_CONTENT).unwrap_or(u64::MAX);
            file.take(most).read_to_end(&mut content)?;
        }
        Ok(content)
    }

    /// A file of our own with this content, on its way to its place.
    pub(super) fn write_temporary(&self, content: &str) -> io::Result<Temporary> {
        let name = format!("{}.tmp-{}-{}", self.name, self.holder, std::process::id());
        let temporary = Temporary(self.path(&name));
        // Nobody else has this name; what is there is left from an earlier process.
        drop(std::fs::remove_file(&temporary.0));
        let mut file =
            File::options().write(true).create_new(true).mode(0o644).open(&temporary.0)?;
        file.write_all(content.as_bytes())?;
        // Storage that others read: not only in our memory.
        file.sync_all()?;
        Ok(temporary)
    }

    /// Makes the file of a token; false if somebody else has.
    pub(super) fn create(&self, token: u64, content: &str) -> io::Result<bool> {
        let temporary = self.write_temporary(content)?;
        match std::fs::hard_link(&temporary.0, self.path(&file_name(&self.name, token))) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn replace(&self, token: u64, content: &str) -> io::Result<()> {
        let temporary = self.write_temporary(content)?;
        std::fs::rename(&temporary.0, self.path(&file_name(&self.name, token)))
    }

    /// Removes what earlier holders have left.
    pub(super) fn remove_before(&self, token: u64) {
        for old in self.tokens().unwrap_or_default().into_iter().filter(|old| *old < token) {
            drop(std::fs::remove_file(self.path(&file_name(&self.name, old))));
        }
    }
}

/// A file that is removed again unless it was renamed.
pub(super) struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}
