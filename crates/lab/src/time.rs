//! The one clock of the lab, a lock for tests that measure time, and waiting for the outside world.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};

/// The wall clock as time since the Unix epoch: the clock that the kernel's packet timestamps use, so every
/// moment in the lab can be subtracted from every other.
pub fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Held while a test measures time; dropping it lets the next one start.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct TimeLock {
    _file: File,
}

/// Waits for the one lock that all tests which measure time share, in this process and in others, whoever runs them.
pub fn time_lock() -> TimeLock {
    let path = std::env::temp_dir().join("lab-time.lock");
    let file = lock_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // A flock belongs to the open file, so two threads of one process exclude each other as well.
    while let Err(error) = flock(&file, FlockOperation::LockExclusive) {
        assert!(error == rustix::io::Errno::INTR, "{}: {error}", path.display());
    }
    TimeLock { _file: file }
}

/// Opens the file, which another user may have created: to lock it, reading is enough. Not with `O_CREAT`, which is refused for
/// another's file in `/tmp` even to root (`fs.protected_regular`).
fn lock_file(path: &Path) -> io::Result<File> {
    loop {
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        match OpenOptions::new().write(true).create_new(true).open(path) {
            // For all to read, whatever the umask says.
            Ok(file) => file.set_permissions(Permissions::from_mode(0o644))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Asks `look` again and again until it gives a value, at most for `patience`; for things outside this process
/// that send no event. The last look is after the end of the patience.
pub fn eventually<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        let late = Instant::now() >= end;
        if let Some(found) = look() {
            return Some(found);
        }
        if late {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Waits until there may be something to read; false when `end` has come instead.
pub(crate) fn readable_before(source: BorrowedFd<'_>, end: Instant) -> io::Result<bool> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(false);
    }
    let left = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(&source, PollFlags::IN)], Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eventually_looks_once_more_at_the_end() {
        let mut looks = 0;
        let found = eventually(Duration::ZERO, || {
            looks += 1;
            None::<()>
        });
        assert_eq!((found, looks), (None, 1));
        let mut left = 3;
        let found = eventually(Duration::from_secs(5), || {
            left -= 1;
            (left == 0).then_some("there")
        });
        assert_eq!(found, Some("there"));
    }

    #[test]
    fn a_lock_that_another_user_has_created_can_be_taken() {
        let path = std::env::temp_dir().join(format!("lab-time-test-{}", std::process::id()));
        let mode = |file: &File| file.metadata().expect("its metadata").permissions().mode();
        let created = lock_file(&path).expect("a new file");
        assert_eq!(mode(&created) & 0o777, 0o644);
        created.set_permissions(Permissions::from_mode(0o444)).expect("our own file");
        // Mode 0444 stops others; root is stopped by the owner.
        rustix::fs::fchown(&created, Some(rustix::fs::Uid::from_raw(65_534)), None).ok();
        let again = lock_file(&path).expect("the file that is there");
        flock(&created, FlockOperation::LockExclusive).expect("the lock");
        let second = flock(&again, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(second, Err(rustix::io::Errno::WOULDBLOCK));
        std::fs::remove_file(&path).expect("our own directory entry");
    }

    #[test]
    fn the_time_lock_excludes_other_threads() {
        let lock = time_lock();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _second = time_lock();
                sender.send(now()).expect("the receiver lives");
            });
            assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err());
            let released = now();
            drop(lock);
            assert!(receiver.recv().expect("the thread sends") >= released);
        });
    }
}
