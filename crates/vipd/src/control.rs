//! The control socket: one line asks, lines answer. Whoever connects can neither hold up the daemon nor make it keep much.

use core::time::Duration;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use reactor::Clock;

/// Where it is unless told otherwise.
pub(crate) const DEFAULT_PATH: &str = "/run/vipd/control";
/// Connections at a time; further ones are closed at once.
const MOST: usize = 16;
/// The longest question, in bytes.
const LONGEST: u64 = 4096;
/// How long a client may take to ask, and to take a part of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(15);
/// Lines that wait for one follower; one that is slower loses some.
const BACKLOG: usize = 1024;

/// A question, and where the answer goes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) answer: Sender<String>,
}

/// Those who follow the events.
type Followers = Arc<Mutex<Vec<Sender<String>>>>;

/// The socket; removed when dropped.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    requests: Receiver<Request>,
    followers: Followers,
}

impl Control {
    /// Listens at `path`, for the user of this process only. A socket that nobody listens at is replaced.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            std::fs::DirBuilder::new().mode(0o755).create(directory)?;
        }
        let there = std::fs::symlink_metadata(path);
        if there.is_ok_and(|there| there.file_type().is_socket()) {
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another daemon listens there",
                ));
            }
            std::fs::remove_file(path)?;
        }
        // Until then the usual umask lets nobody else connect either.
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let (ask, requests) = crossbeam_channel::bounded(MOST);
        let followers = Followers::default();
        let door = Door { ask, followers: Arc::clone(&followers), inside: Arc::default() };
        std::thread::Builder::new().name("control".into()).spawn(move || door.keep(&listener))?;
        Ok(Self { path: path.into(), requests, followers })
    }

    pub(crate) const fn requests(&self) -> &Receiver<Request> {
        &self.requests
    }

    /// Tells everybody who follows; never waits.
    pub(crate) fn tell(&self, line: &str) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|follower| {
            let sent = follower.try_send(line.to_owned());
            !matches!(sent, Err(crossbeam_channel::TrySendError::Disconnected(_)))
        });
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap_or_default();
        // Followers learn of the end by the end of their lines.
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What each connection needs.
#[derive(Clone)]
struct Door {
    ask: Sender<Request>,
    followers: Followers,
    /// Counted by its clones.
    inside: Arc<()>,
}

impl Door {
    /// Until the process ends: the thread holds nothing that would have to be released.
    fn keep(self, listener: &UnixListener) {
        for connection in listener.incoming() {
            let Ok(connection) = connection else {
                // Descriptors may be short for a while.
                crossbeam_channel::never::<()>().recv_timeout(PATIENCE).unwrap_or_default();
                continue;
            };
            if Arc::strong_count(&self.inside) > MOST {
                continue;
            }
            let door = self.clone();
            let thread = std::thread::Builder::new().name("control client".into());
            // Without a thread for it the connection is closed.
            drop(thread.spawn(move || door.serve(connection)));
        }
    }

    fn serve(&self, mut connection: UnixStream) {
        let Ok(line) = question(&connection) else { return };
        connection.set_write_timeout(Some(PATIENCE)).unwrap_or_default();
        if line == "events" {
            self.follow(connection);
            return;
        }
        let (answer, answered) = crossbeam_channel::bounded(1);
        let asked = self.ask.try_send(Request { line, answer });
        let text = match asked.map(|()| answered.recv_timeout(ANSWER)) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) | Err(_) => "error: the daemon is busy\n".into(),
        };
        connection.write_all(text.as_bytes()).unwrap_or_default();
    }

    fn follow(&self, mut connection: UnixStream) {
        let (tell, lines) = crossbeam_channel::bounded(BACKLOG);
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push(tell);
        while let Ok(line) = lines.recv() {
            if connection.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// The first line, if it comes in time and is not too long.
fn question(connection: &UnixStream) -> io::Result<String> {
    let deadline = Clock::now() + PATIENCE;
    let mut reader = BufReader::new(Limited { connection, deadline }.take(LONGEST));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    line.strip_suffix('\n').map(ToOwned::to_owned).ok_or(io::ErrorKind::InvalidData.into())
}

/// A connection that gives up at a deadline, however slowly its other end dribbles.
struct Limited<'a> {
    connection: &'a UnixStream,
    deadline: Instant,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Clock::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.connection.set_read_timeout(Some(left))?;
        let mut connection = self.connection;
        connection.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, PathBuf, Control) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d/control");
        let control = Control::open(&path).unwrap();
        (directory, path, control)
    }

    fn ask(path: &Path, bytes: &[u8]) -> String {
        let mut connection = UnixStream::connect(path).unwrap();
        connection.write_all(bytes).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap_or_default();
        answer
    }

    #[test]
    fn a_question_is_answered_and_the_socket_is_for_its_owner() {
        let (_directory, path, control) = open();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Control::open(&path).is_err(), "it is taken");
        let asked = {
            let path = path.clone();
            std::thread::spawn(move || ask(&path, b"status\n"))
        };
        let request = control.requests().recv().unwrap();
        assert_eq!(request.line, "status");
        request.answer.send("fine\n".into()).unwrap();
        assert_eq!(asked.join().unwrap(), "fine\n");
        drop(control);
        assert!(!path.exists());
    }

    #[test]
    fn who_says_nothing_or_too_much_is_sent_away() {
        let (_directory, path, control) = open();
        assert_eq!(ask(&path, &[b'x'; 5000]), "");
        let silent: Vec<UnixStream> =
            (0..40).map(|_| UnixStream::connect(&path).unwrap()).collect();
        for mut connection in silent {
            let mut answer = Vec::new();
            // Either closed at once because of the crowd, or after its time.
            connection.read_to_end(&mut answer).unwrap_or_default();
            assert!(answer.is_empty(), "{answer:?}");
        }
        assert!(control.requests().is_empty());
    }

    #[test]
    fn a_follower_that_does_not_read_loses_lines_and_holds_nobody_up() {
        let (_directory, path, control) = open();
        let mut connection = UnixStream::connect(&path).unwrap();
        connection.write_all(b"events\n").unwrap();
        let there = || !control.followers.lock().unwrap().is_empty();
        while !there() {
            std::thread::yield_now();
        }
        for _ in 0..20_000 {
            control.tell("a line of some length, so that the socket's buffer is full soon\n");
        }
        drop(control);
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap_or_default();
        let lines = text.lines().count();
        assert!(lines > 100 && lines < 20_000, "{lines}");
    }
}
