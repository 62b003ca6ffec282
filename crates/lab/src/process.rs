//! A daemon inside a namespace: its lines with timestamps, ended with its owner.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::namespace::Namespace;
use crate::sys;

/// A line that a daemon printed.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was read, since the Unix epoch.
    pub at: Duration,
    /// The text without its end of line.
    pub text: String,
}

#[derive(Debug, Default)]
struct Lines {
    all: Mutex<Vec<Line>>,
    more: Condvar,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, from: impl Read) {
        for text in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&text).trim_end().to_owned();
            self.lock().push(Line { at: crate::now(), text });
            self.more.notify_all();
        }
    }
}

/// A running daemon. Dropping it kills it and its output is gone; [`Process::terminate`] asks politely.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    lines: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` inside `namespace`. The kernel kills it should this process be killed.
    pub fn start(namespace: &Namespace, name: &str, command: &mut Command) -> io::Result<Self> {
        sys::die_with_parent(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = namespace
            .spawn(command)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        let lines = Arc::new(Lines::default());
        let mut readers = Vec::new();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let lines = Arc::clone(&lines);
            let thread = std::thread::Builder::new().name(format!("{name} output"));
            readers.push(thread.spawn(move || lines.read(stream))?);
        }
        Ok(Self { child, name: name.to_owned(), lines, readers })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The ids of the processes that it has started itself and that still run.
    pub fn children(&self) -> io::Result<Vec<u32>> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        children.split_whitespace().map(|id| id.parse().map_err(io::Error::other)).collect()
    }

    /// The same, started by any of its threads.
    pub fn descendants(&self) -> io::Result<Vec<u32>> {
        let mut all = Vec::new();
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let children = std::fs::read_to_string(thread?.path().join("children"))?;
            for id in children.split_whitespace() {
                all.push(id.parse().map_err(io::Error::other)?);
            }
        }
        Ok(all)
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it has printed so far, in the order of arrival.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().clone()
    }

    /// All that it has printed, as one text for messages.
    pub fn log(&self) -> String {
        self.lines.lock().iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Waits until a line contains `text`; none within `patience`. A line that came before is found too.
    pub fn wait_line(&self, text: &str, patience: Duration) -> Option<Line> {
        self.wait_line_after(Duration::ZERO, text, patience)
    }

    /// Waits until a line of `since` (of the clock of [`crate::now`]) or later contains `text`; none within `patience`.
    pub fn wait_line_after(&self, since: Duration, text: &str, patience: Duration) -> Option<Line> {
        let end = Instant::now() + patience;
        let mut seen = 0;
        let mut lines = self.lines.lock();
        loop {
            if let Some(found) =
                lines.iter().skip(seen).find(|line| line.at >= since && line.text.contains(text))
            {
                return Some(found.clone());
            }
            seen = lines.len();
            let left = end.checked_duration_since(Instant::now())?;
            lines =
                self.lines.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.ok_or_else(|| io::Error::other("no such process"))?, signal)?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and does not wait.
    pub fn signal_stop(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end; an error of kind `TimedOut` when it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        let ended = crate::eventually(patience, || self.child.try_wait().transpose());
        ended.unwrap_or_else(|| {
            let message = format!("{} still runs after {patience:?}", self.name);
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        })
    }

    /// Sends SIGTERM and waits for the end, ten seconds at most.
    pub fn terminate(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait(Duration::from_secs(10))
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        // A grandchild may hold the pipes open a little longer: the readers end by themselves.
        self.readers.clear();
    }
}
