//! Log lines on standard error. A thread that logs never waits: lines go through a bounded queue to a writer thread;
//! when standard error is slow, lines are dropped and counted.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::clock;
use crate::render::printable;

/// Lines that may wait for standard error.
const QUEUE: usize = 1024;
/// How long the end of the process waits for standard error to take the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

enum Entry {
    Line(String),
    Stop,
}

struct Queue {
    entries: SyncSender<Entry>,
    dropped: &'static AtomicU64,
    form: Form,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// For people: the time, and the level in words.
    Plain,
    /// For the journal of systemd, which has its own time stamps and reads levels as numbers (`sd-daemon(3)`).
    Journal,
}

impl Form {
    /// What standard error is. The environment alone does not tell: it is inherited by whoever redirects it.
    fn of_stderr() -> Self {
        let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return Self::Plain };
        let stat = rustix::fs::fstat(std::io::stderr());
        let here = stat.map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
        if here.is_ok_and(|here| stream == here.as_str()) { Self::Journal } else { Self::Plain }
    }

    fn line(self, level: Level, text: &str) -> String {
        match self {
            Self::Plain => {
                let level = match level {
                    Level::Error => "error: ",
                    Level::Warn => "warning: ",
                    Level::Info => "",
                    Level::Debug | Level::Trace => "detail: ",
                };
                format!("{} {level}{text}\n", clock::timestamp())
            }
            Self::Journal => {
                let level = match level {
                    Level::Error => 3,
                    Level::Warn => 4,
                    Level::Info => 6,
                    Level::Debug | Level::Trace => 7,
                };
                format!("<{level}>{text}\n")
            }
        }
    }
}

static DROPPED: AtomicU64 = AtomicU64::new(0);

impl Log for Queue {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = self.form.line(record.level(), &printable(&record.args().to_string()));
        if self.entries.try_send(Entry::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// Stops the writer when dropped, after it has written what waits.
pub(crate) struct Logging {
    entries: SyncSender<Entry>,
    finished: Receiver<()>,
}

/// Starts the writer and installs the logger. Called once, before any other thread starts.
pub(crate) fn start(detail: bool) -> Logging {
    let (entries, received) = sync_channel(QUEUE);
    let (finish, finished) = sync_channel(1);
    let writer = std::thread::Builder::new().name("log".into());
    let spawned = writer.spawn(move || {
        write(&received, &DROPPED, &mut std::io::stderr());
        finish.try_send(()).unwrap_or_default();
    });
    if spawned.is_ok() {
        let queue = Queue { entries: entries.clone(), dropped: &DROPPED, form: Form::of_stderr() };
        if log::set_boxed_logger(Box::new(queue)).is_ok() {
            log::set_max_level(if detail { LevelFilter::Debug } else { LevelFilter::Info });
        }
    }
    Logging { entries, finished }
}

impl Drop for Logging {
    fn drop(&mut self) {
        // A full queue means that standard error is stuck: nothing to wait for.
        if self.entries.try_send(Entry::Stop).is_ok() {
            self.finished.recv_timeout(LAST_LINES).unwrap_or_default();
        }
    }
}

/// Writes lines until told to stop. Errors of standard error have nowhere to go.
fn write(entries: &Receiver<Entry>, dropped: &AtomicU64, to: &mut impl Write) {
    let mut stopped = false;
    while !stopped {
        match entries.recv() {
            Ok(Entry::Line(line)) => to.write_all(line.as_bytes()).unwrap_or_default(),
            Ok(Entry::Stop) | Err(_) => stopped = true,
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            to.write_all(
                format!("warning: {lost} log lines were dropped because standard error is slow\n")
                    .as_bytes(),
            )
            .unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_people_have_the_time_and_those_for_the_journal_a_number() {
        let plain = Form::Plain.line(Level::Warn, "text");
        assert!(plain.starts_with("20") && plain.ends_with("Z warning: text\n"), "{plain}");
        assert_eq!(Form::Journal.line(Level::Warn, "text"), "<4>text\n");
        assert_eq!(Form::Journal.line(Level::Debug, "text"), "<7>text\n");
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let dropped: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        let (entries, received) = sync_channel(2);
        let queue = Queue { entries: entries.clone(), dropped, form: Form::Journal };
        for number in 0..5 {
            queue.log(
                &Record::builder()
                    .args(format_args!("line {number}\u{1b}[31m"))
                    .level(Level::Info)
                    .build(),
            );
        }
        drop((queue, entries));
        let mut written = Vec::new();
        write(&received, dropped, &mut written);
        let written = String::from_utf8(written).unwrap();
        assert_eq!(
            written,
            "<6>line 0\\u{1b}[31m\nwarning: 3 log lines were dropped because standard error is slow\n<6>line 1\\u{1b}[31m\n"
        );
    }
}
