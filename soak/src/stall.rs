//! When the machine itself failed: it stood still, or its kernel dropped packets. Measured from outside, by threads that mostly sleep.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use socket2::{Domain, Socket, Type};

/// How long a sleep is; that late it may end without being noted.
const NAP: Duration = Duration::from_millis(2);
const NOTED: Duration = Duration::from_millis(10);
/// A stall of this length is an excuse.
const EXCUSE: Duration = Duration::from_millis(25);
/// How often the kernel's counter of dropped packets is read.
const LOOK: Duration = Duration::from_millis(25);
const KEPT: usize = 10_000;

/// Something that excuses a bad verdict about the same time.
#[derive(Clone, Copy, Debug)]
struct Mishap {
    from: Duration,
    to: Duration,
    /// None: it stood still.
    dropped: Option<u64>,
}

/// What was wrong with the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stalls(Arc<Mutex<VecDeque<Mishap>>>);

impl Stalls {
    /// Starts a thread for each processor and one for the packets; they run as long as the process.
    pub(crate) fn watch() -> io::Result<Self> {
        let stalls = Self::default();
        let all = sched_getaffinity(None)?;
        for processor in (0..CpuSet::MAX_CPU).filter(|processor| all.is_set(*processor)) {
            let stalls = stalls.clone();
            let thread = std::thread::Builder::new().name(format!("watchdog {processor}"));
            thread.spawn(move || stalls.watch_time(processor))?;
        }
        let packets = stalls.clone();
        std::thread::Builder::new()
            .name("packets".to_owned())
            .spawn(move || packets.watch_packets())?;
        let lock = stalls.clone();
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        std::thread::Builder::new()
            .name("lock".to_owned())
            .spawn(move || lock.watch_lock(&socket))?;
        Ok(stalls)
    }

    fn watch_time(&self, processor: usize) {
        let mut one = CpuSet::new();
        one.set(processor);
        // Where it cannot be bound to its processor it watches the one it happens to be on.
        sched_setaffinity(None, &one).ok();
        loop {
            // The wall clock may be what is being tested.
            let before = Instant::now();
            std::thread::sleep(NAP);
            let (took, to) = (before.elapsed(), lab::now());
            if took > NAP + NOTED {
                let from = to.saturating_sub(took.saturating_sub(NAP));
                self.note(Mishap { from, to, dropped: None });
            }
        }
    }

    fn watch_packets(&self) {
        let mut before = (lab::now(), dropped());
        loop {
            std::thread::sleep(LOOK);
            let now = (lab::now(), dropped());
            if now.1 > before.1 {
                self.note(Mishap { from: before.0, to: now.0, dropped: Some(now.1 - before.1) });
            }
            before = now;
        }
    }

    /// All namespaces share the lock of the network's configuration, which is held for long when one of them is torn down: joining a
    /// group takes it, as adding and removing an address does.
    fn watch_lock(&self, socket: &Socket) {
        let (group, on) = (Ipv4Addr::new(224, 0, 0, 200), Ipv4Addr::LOCALHOST);
        loop {
            std::thread::sleep(LOOK);
            let before = Instant::now();
            // Refused or not: it has had the lock.
            socket.join_multicast_v4(&group, &on).ok();
            socket.leave_multicast_v4(&group, &on).ok();
            let (took, to) = (before.elapsed(), lab::now());
            if took > NOTED {
                self.note(Mishap { from: to.saturating_sub(took), to, dropped: None });
            }
        }
    }

    fn note(&self, mishap: Mishap) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(mishap);
        if all.len() > KEPT {
            all.pop_front();
        }
    }

    /// What excuses a bad verdict about this time, for people.
    pub(crate) fn excuse(&self, from: Duration, to: Duration) -> Option<String> {
        // What was dropped is noted a little later.
        std::thread::sleep(LOOK);
        let (longest, dropped) = self.worst(from, to);
        if longest >= EXCUSE {
            return Some(format!(
                "the machine, or its network's configuration, stood still for {longest:?}"
            ));
        }
        (dropped > 0).then(|| format!("the kernel had no room for {dropped} packets"))
    }

    /// The longest stall that overlaps with this time, and how many packets were dropped in it.
    pub(crate) fn worst(&self, from: Duration, to: Duration) -> (Duration, u64) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = || all.iter().filter(|mishap| mishap.to >= from && mishap.from <= to);
        let stalls = inside().filter(|mishap| mishap.dropped.is_none());
        let longest = stalls.map(|mishap| mishap.to.saturating_sub(mishap.from)).max();
        (longest.unwrap_or_default(), inside().filter_map(|mishap| mishap.dropped).sum())
    }
}

/// How many packets the processors' queues had no room for: those of all namespaces share them, so that a flood in one can cost
/// packets in another.
fn dropped() -> u64 {
    let table = std::fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    // One line a processor; the second number, in hexadecimal (net/core/net-procfs.c).
    let of = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    table.lines().filter_map(of).sum()
}
