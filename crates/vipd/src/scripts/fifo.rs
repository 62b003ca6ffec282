//! Lines for a reader on a named pipe, as keepalived writes them. A reader that is not there, or too slow, loses lines: they are
//! counted, and nobody waits.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// What a FIFO is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `notify_fifo`.
    All,
    /// `vrrp_notify_fifo`.
    Vrrp,
    /// `lvs_notify_fifo`.
    Lvs,
}

impl Kind {
    /// Whether it is told what is of that kind.
    pub(crate) fn takes(self, kind: Self) -> bool {
        self == Self::All || self == kind
    }
}

#[derive(Debug)]
pub(crate) struct Fifo {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    file: File,
    /// It was not there before: it is removed at the end.
    made: bool,
    lost: u64,
}

impl Fifo {
    /// Opens the pipe, making it if nothing is there. Open for both directions, so that lines wait for a reader that is to come.
    pub(crate) fn open(kind: Kind, path: &Path) -> io::Result<Self> {
        let made = match rustix::fs::mknodat(
            rustix::fs::CWD,
            path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        ) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let file = File::options().read(true).write(true).custom_flags(flags).open(path)?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "something else than a FIFO is there",
            ));
        }
        Ok(Self { kind, path: path.into(), file, made, lost: 0 })
    }

    /// Writes a line whole or not at all: it is shorter than what a pipe takes at once.
    pub(crate) fn write(&mut self, line: &str) {
        let shown = self.path.display();
        match self.file.write(line.as_bytes()) {
            Ok(_) if self.lost > 0 => {
                log::warn!("{shown}: {} lines were lost because nobody read them", self.lost);
                self.lost = 0;
            }
            Ok(_) => {}
            Err(error) => {
                if self.lost == 0 {
                    log::warn!("{shown}: lines are being lost: {error}");
                }
                self.lost += 1;
            }
        }
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        if self.made {
            std::fs::remove_file(&self.path).unwrap_or_else(|error| {
                log::warn!("cannot remove {}: {error}", self.path.display());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_loses_lines_and_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mut fifo = Fifo::open(Kind::All, &path).unwrap();
        let line = format!("{}\n", "x".repeat(99));
        for _ in 0..10_000 {
            fifo.write(&line);
        }
        assert!(fifo.lost > 0);
        // What was taken is whole.
        let mut reader = File::open(&path).unwrap();
        let mut bytes = vec![0; 1 << 20];
        let length = reader.read(&mut bytes).unwrap();
        assert!(length >= 100 && length.is_multiple_of(100), "{length}");
        fifo.write(&line);
        assert_eq!(fifo.lost, 0);
        drop(fifo);
        assert!(!path.exists());
    }

    #[test]
    fn somebody_elses_pipe_stays_and_a_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        drop(Fifo::open(Kind::Vrrp, &path).unwrap());
        assert!(path.exists());
        let file = directory.path().join("file");
        std::fs::write(&file, "kept").unwrap();
        assert!(Fifo::open(Kind::All, &file).is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
        assert!(Kind::All.takes(Kind::Lvs) && !Kind::Vrrp.takes(Kind::Lvs));
    }
}
