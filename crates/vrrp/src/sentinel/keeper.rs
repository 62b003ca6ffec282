//! The worker's side: a thread that starts the sentinel, and another one when it has ended.

use core::time::Duration;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender};
use reactor::Clock;

use super::Sentinel;

/// How long one may take to be ready.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause before another one is started, which doubles; the first time there is none.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Above those of sockets, below the usual limit of 1,024.
const HIGH_DESCRIPTOR: i32 = 1000;

/// One that lived so long did not end because of how it was started.
const GOOD_LIFE: Duration = Duration::from_secs(60);

/// Keeps a sentinel alive.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Dropped to end the thread.
    ending: Option<Sender<()>>,
    link: Arc<Mutex<Option<UnixStream>>>,
    goodbye: bool,
}

impl Keeper {
    /// Starts a sentinel with this testament, in the network namespace of the calling thread, and waits until it is ready.
    pub(crate) fn start(sentinel: Sentinel, testament: File) -> io::Result<Self> {
        let (ending, ended) = crossbeam_channel::bounded(0);
        let link = Arc::new(Mutex::new(None));
        let (report, ready) = crossbeam_channel::bounded(1);
        let post = Post { sentinel, testament, link: Arc::clone(&link) };
        std::thread::Builder::new()
            .name("vrrp-sentinel".to_owned())
            .spawn(move || post.keep(&ended, &report))?;
        ready.recv().unwrap_or_else(|_| Err(io::Error::other("its thread ended")))?;
        Ok(Self { ending: Some(ending), link, goodbye: false })
    }

    /// The next drop is an end in order.
    pub(crate) fn say_goodbye(&mut self) {
        self.goodbye = true;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // First, so that the thread does not start another one.
        drop(self.ending.take());
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut link) = link
            && self.goodbye
            && let Err(error) = link.write_all(super::serve::GOODBYE)
        {
            log::debug!("the sentinel has ended before: {error}");
        }
    }
}

/// What the thread has.
struct Post {
    sentinel: Sentinel,
    testament: File,
    link: Arc<Mutex<Option<UnixStream>>>,
}

impl Post {
    fn keep(&self, ended: &Receiver<()>, report: &Sender<io::Result<()>>) {
        let mut pause = None;
        let mut first = true;
        loop {
            let started = Clock::now();
            match self.spawn() {
                Ok((child, link)) => {
                    *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
                    if core::mem::take(&mut first) {
                        crate::handle::answer(report, Ok(()));
                    }
                    let how = wait(child);
                    if is_over(ended) {
                        return;
                    }
                    if Clock::now().saturating_duration_since(started) >= GOOD_LIFE {
                        pause = None;
                    }
                    log::warn!("the sentinel has ended ({how}); another one is started");
                }
                Err(error) if first => return crate::handle::answer(report, Err(error)),
                Err(error) => log::error!("no sentinel can be started: {error}"),
            }
            if let Some(pause) = pause
                && ended.recv_timeout(pause) != Err(crossbeam_channel::RecvTimeoutError::Timeout)
            {
                return;
            }
            if is_over(ended) {
                return;
            }
            pause = Some(pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
        }
    }

    /// One that is ready.
    fn spawn(&self) -> io::Result<(Child, UnixStream)> {
        let Sentinel { program, arguments } = &self.sentinel;
        let (ours, theirs) = UnixStream::pair()?;
        let ours = closed_first(ours);
        let mut command = Command::new(program);
        command.args(arguments).arg(std::process::id().to_string());
        command.stdin(self.testament.try_clone()?).stdout(Stdio::from(OwnedFd::from(theirs)));
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.display()))
        };
        let mut child = command.spawn().map_err(named)?;
        // Its end of the socket is only its own.
        drop(command);
        match read_line(&ours) {
            Ok(line) if line == super::serve::READY => Ok((child, ours)),
            result => {
                // One that is not ready is of no use.
                drop(child.kill());
                drop(child.wait());
                Err(named(io::Error::other(match result {
                    Ok(line) if line.is_empty() => "it has ended at once".to_owned(),
                    Ok(line) => line,
                    Err(error) => format!("it is not ready: {error}"),
                })))
            }
        }
    }
}

/// The same link under a number that a dying process closes before its others: the kernel closes the highest first, and a packet
/// socket takes it ten milliseconds, in which nobody would know of the death.
fn closed_first(link: UnixStream) -> UnixStream {
    match rustix::io::fcntl_dupfd_cloexec(&link, HIGH_DESCRIPTOR) {
        Ok(high) => UnixStream::from(high),
        // Beyond the limit of open files: it works all the same.
        Err(_) => link,
    }
}

fn is_over(ended: &Receiver<()>) -> bool {
    ended.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected)
}

fn wait(mut child: Child) -> String {
    match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// The first line, without its end.
fn read_line(mut link: &UnixStream) -> io::Result<String> {
    link.set_read_timeout(Some(START_TIMEOUT))?;
    let mut said = Vec::new();
    let mut octet = [0];
    while said.len() < 1024 && link.read(&mut octet)? == 1 && octet != *b"\n" {
        said.extend(octet);
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
