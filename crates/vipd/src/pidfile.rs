//! Files with our process id: written when we start, removed when we stop.

use std::fs::{FileType, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Octets of a pid file that are read: more than any number has.
const LONGEST: u64 = 64;

/// Why a pid file cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PidFileError {
    #[error("cannot write the pid file {}: create its directory, or choose another place with -p", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot write the pid file {}: something else than a file is there; choose another place with -p", path.display())]
    NotAFile { path: PathBuf },
    #[error("already running: {} belongs to process {pid} ({name}); stop it first", path.display())]
    Running { path: PathBuf, pid: u32, name: String },
}

/// A pid file of this process; removed when dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes our process id, unless a living keepalived or vipd has its own there.
    pub(crate) fn write(path: &Path) -> Result<Self, PidFileError> {
        if std::fs::symlink_metadata(path).is_ok_and(|there| !is_writable_kind(there.file_type())) {
            return Err(PidFileError::NotAFile { path: path.into() });
        }
        if let Some((pid, name)) = owner(path) {
            return Err(PidFileError::Running { path: path.into(), pid, name });
        }
        let io = |source| PidFileError::Io { path: path.into(), source };
        // A link there is not followed, and a pipe not waited for: the directory may be writable by others.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .custom_flags(flags)
            .open(path)
            .map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { path: path.into() })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if read(&self.path) == Some(std::process::id()) {
            std::fs::remove_file(&self.path).unwrap_or_else(|error| {
                log::warn!("cannot remove {}: {error}", self.path.display());
            });
        }
    }
}

/// A file, or something like `/dev/null`. Opening a pipe would wait for its other end; a link may point anywhere.
fn is_writable_kind(kind: FileType) -> bool {
    kind.is_file() || kind.is_char_device()
}

fn read(path: &Path) -> Option<u32> {
    let file = std::fs::File::open(path).ok()?;
    // Whatever it is, it need not have an end.
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The living process that a pid file names, if it is one of ours.
fn owner(path: &Path) -> Option<(u32, String)> {
    let pid = read(path).filter(|&pid| pid != std::process::id())?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned();
    matches!(name.as_str(), "vipd" | "keepalived").then_some((pid, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        // What a dead process left is overwritten.
        std::fs::write(&path, "4194304\n").unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn somebody_elses_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let file = PidFile::write(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = PidFile::write(Path::new("/nonexistent/pid")).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot write the pid file /nonexistent/pid: "),
            "{error}"
        );
    }

    #[test]
    fn neither_a_pipe_nor_a_device_without_end_holds_us_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let error = PidFile::write(&path).unwrap_err();
        assert!(matches!(error, PidFileError::NotAFile { .. }), "{error}");
        let error = PidFile::write(directory.path()).unwrap_err();
        assert!(matches!(error, PidFileError::NotAFile { .. }), "{error}");
        PidFile::write(Path::new("/dev/null")).unwrap();
        let error = PidFile::write(Path::new("/dev/full")).unwrap_err();
        assert!(matches!(error, PidFileError::Io { .. }), "{error}");
    }

    #[test]
    fn a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("pid"), directory.path().join("target"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(PidFile::write(&path).is_err());
        assert!(!target.exists());
    }
}
