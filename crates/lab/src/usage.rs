//! What a process costs while it runs: how often its threads wake up, processor time, memory.

use std::fs;
use std::io;
use std::time::Duration;

/// What a process has used so far. The difference of two says what it used in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its threads, in the order in which they were started.
    pub threads: Vec<ThreadUsage>,
    /// The time its threads have spent on processors.
    pub processor: Duration,
    /// Its share of the memory it maps (`Pss`), in KiB: pages that several processes share count in parts.
    pub memory: u64,
}

/// What one thread has used so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadUsage {
    /// The kernel's id.
    pub id: u32,
    /// The name it has given itself.
    pub name: String,
    /// How often it went to sleep for something, and so had to be woken (`voluntary_ctxt_switches` of proc(5)). To lose
    /// the processor to somebody else does not count.
    pub wakeups: u64,
}

impl Usage {
    /// Of the process with this id.
    pub fn of(process: u32) -> io::Result<Self> {
        let folder = format!("/proc/{process}");
        let mut ids: Vec<u32> = fs::read_dir(format!("{folder}/task"))?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        ids.sort_unstable();
        let mut usage = Self {
            threads: Vec::new(),
            processor: Duration::ZERO,
            memory: field(&fs::read_to_string(format!("{folder}/smaps_rollup"))?, "Pss")?,
        };
        for id in ids {
            let thread = format!("{folder}/task/{id}");
            let status = fs::read_to_string(format!("{thread}/status"))?;
            let name = fs::read_to_string(format!("{thread}/comm"))?.trim_end().to_owned();
            let wakeups = field(&status, "voluntary_ctxt_switches")?;
            usage.threads.push(ThreadUsage { id, name, wakeups });
            let schedule = fs::read_to_string(format!("{thread}/schedstat"))?;
            let running = schedule.split_whitespace().next().and_then(|first| first.parse().ok());
            usage.processor += Duration::from_nanos(running.ok_or_else(|| missing("schedstat"))?);
        }
        Ok(usage)
    }

    /// Of this process.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// How often all threads together had to be woken.
    pub fn wakeups(&self) -> u64 {
        self.threads.iter().map(|thread| thread.wakeups).sum()
    }

    /// How often each thread had to be woken since `before`, by name, those first that were started first.
    pub fn wakeups_since(&self, before: &Self) -> Vec<(&str, u64)> {
        let of = |id| before.threads.iter().find(|thread| thread.id == id);
        self.threads
            .iter()
            .map(|thread| {
                let earlier = of(thread.id).map_or(0, |earlier| earlier.wakeups);
                (thread.name.as_str(), thread.wakeups - earlier)
            })
            .collect()
    }
}

/// The number in the line `name: number` of a file of proc(5).
fn field(text: &str, name: &str) -> io::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc does not tell {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_is_woken_once_for_each_message() {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<u8>(0);
        let (answer, answered) = std::sync::mpsc::sync_channel(0);
        let waiting = move || {
            for number in receiver {
                answer.send(number).expect("the test listens");
            }
        };
        let thread = std::thread::Builder::new().name("waiting".into()).spawn(waiting);
        let of_thread = |usage: &Usage, before: &Usage| {
            let woken = usage.wakeups_since(before);
            woken.iter().find(|(name, _)| *name == "waiting").map(|(_, count)| *count)
        };
        sender.send(0).expect("the thread listens");
        answered.recv().expect("the thread answers");
        let before = Usage::own().expect("proc is there");
        for number in 0..20 {
            sender.send(number).expect("the thread listens");
            answered.recv().expect("the thread answers");
        }
        let after = Usage::own().expect("proc is there");
        let woken = of_thread(&after, &before).expect("the thread lives");
        // Waits to receive, and perhaps to send, each time; a spinning channel may save some.
        assert!((1..=60).contains(&woken), "{woken}");
        assert!(after.processor > Duration::ZERO && after.memory > 0, "{after:?}");
        drop(sender);
        thread.expect("a thread").join().expect("it ends");
    }
}
