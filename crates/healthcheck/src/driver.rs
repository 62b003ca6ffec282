//! Steps all checks from one epoll descriptor.

mod probe;
mod run;
mod watch;
mod watchdog;

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use reactor::{Clock, Events, KeyHash, Reactor, Registration, Timers};

use crate::process::Child;
use crate::{Check, CheckId, Failure, Local, Outcome};
use probe::{Probe, ProbeKey};
use watch::Watch;

pub use watchdog::Watchdog;

/// Events handled in one [`Driver::process`] at most, in batches; more wait for the next call.
const BATCHES: usize = 16;
const BATCH: usize = 256;
/// No run starts earlier than this, and than a hundredth of its interval.
const MOST_EARLY: Duration = Duration::from_millis(10);

/// A known outcome: the first result of a check, or a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The check.
    pub id: CheckId,
    /// What holds now.
    pub outcome: Outcome,
    /// For a down server: why its last run failed.
    pub cause: Option<Failure>,
    /// The exit code of a script's last run, or the number in a file. A change of it is an event, too.
    pub value: Option<i64>,
    /// No run could be made for longer than [`Timing::silence`](crate::Timing::silence): `outcome` is old.
    pub silent: bool,
}

/// What is known about one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What holds now.
    pub outcome: Outcome,
    /// Whether a run has ended with a result; until then `outcome` is assumed.
    pub has_run: bool,
    /// Whether a run is under way.
    pub running: bool,
    /// Runs that succeeded.
    pub successes: u64,
    /// Runs that failed.
    pub failures: u64,
    /// Runs that could not be made for a local reason.
    pub deferred: u64,
    /// Why the last failed run failed.
    pub last_failure: Option<Failure>,
    /// Why the last run that could not be made could not.
    pub last_deferral: Option<Local>,
    /// How long the last run with a result took.
    pub last_duration: Option<Duration>,
    /// The exit code of a script's last run, or the number in a file.
    pub value: Option<i64>,
    /// No run could be made for longer than [`Timing::silence`](crate::Timing::silence).
    pub silent: bool,
}

/// Who hears of a probe.
#[derive(Debug)]
struct Subscription {
    probe: ProbeKey,
    /// Whether an event of this check waits to be polled.
    queued: bool,
}

/// A program that has to end.
#[derive(Debug)]
struct Dying {
    child: Child,
    registration: Registration,
    /// The probe that must not start it again before that.
    owner: Option<ProbeKey>,
}

/// All checks of a process: add them, step it, drain its events. See the [crate documentation](crate).
#[derive(Debug)]
pub struct Driver {
    reactor: Reactor,
    batch: Events,
    timers: Timers<ProbeKey>,
    checks: HashMap<CheckId, Subscription, KeyHash>,
    probes: HashMap<ProbeKey, Probe, KeyHash>,
    /// Equal checks are one probe.
    by_check: HashMap<Check, ProbeKey>,
    /// Programs whose run is over (its time was up, or the check was removed) and which have to end.
    dying: HashMap<ProbeKey, Dying, KeyHash>,
    /// Opened with the first file check.
    watch: Option<Watch>,
    last_key: ProbeKey,
    /// Checks with something to tell, each at most once: an unread event is brought up to date, not repeated.
    queue: VecDeque<CheckId>,
    /// Due checks that wait for one of the running ones to end, since when.
    waiting: VecDeque<(Instant, ProbeKey)>,
    running: usize,
    max_running: usize,
    seed: u64,
    buffer: Box<[u8]>,
    watchdog: Watchdog,
}

impl AsFd for Driver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reactor.as_fd()
    }
}

impl Driver {
    /// A driver without checks. `seed` decides what is left to chance (jitter, query numbers): take a random number, or a constant in tests.
    pub fn new(seed: u64) -> io::Result<Self> {
        Ok(Self {
            reactor: Reactor::new()?,
            batch: Events::with_capacity(BATCH),
            timers: Timers::new(),
            checks: HashMap::default(),
            probes: HashMap::default(),
            by_check: HashMap::new(),
            dying: HashMap::default(),
            watch: None,
            last_key: watch::KEY,
            queue: VecDeque::new(),
            waiting: VecDeque::new(),
            running: 0,
            max_running: usize::MAX,
            seed,
            buffer: vec![0; 16 << 10].into_boxed_slice(),
            watchdog: Watchdog::new(),
        })
    }

    /// Limits how many runs, and so descriptors, are under way at once (1 at least); due checks beyond it wait for their turn.
    /// Without a limit the process's own (`RLIMIT_NOFILE`) is met at some point, which defers runs and leaves the rest of the
    /// process without descriptors.
    pub fn set_max_running(&mut self, max_running: usize) {
        self.max_running = max_running.max(1);
    }

    /// Adds a check, or replaces the one with this number; its schedule starts `now`. A check that is equal to another one joins its
    /// runs: if there is a result already, it is told at once.
    pub fn add(&mut self, now: Instant, id: CheckId, check: Check) {
        self.remove(id);
        if let Some(&key) = self.by_check.get(&check)
            && let Some(probe) = self.probes.get_mut(&key)
        {
            let known = probe.subscribe(id);
            self.checks.insert(id, Subscription { probe: key, queued: known });
            if known {
                self.queue.push_back(id);
            }
            return;
        }
        let key = self.next_key();
        let seed = self.seed.wrapping_add(id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)); // 2^64 / golden ratio: spreads neighbours
        let probe = Probe::new(now, check.clone(), id, seed);
        if let Some(at) = probe.schedule.poll_timeout() {
            self.timers.set(key, at);
        }
        self.by_check.insert(check, key);
        self.probes.insert(key, probe);
        self.checks.insert(id, Subscription { probe: key, queued: false });
        self.watchdog.expect(self.poll_timeout());
    }

    /// Removes a check; when no equal one is left, its run ends, if one is under way. Returns whether it was there.
    pub fn remove(&mut self, id: CheckId) -> bool {
        let Some(subscription) = self.checks.remove(&id) else {
            return false;
        };
        if subscription.queued {
            self.queue.retain(|&queued| queued != id);
        }
        let key = subscription.probe;
        let left = self.probes.get_mut(&key).is_some_and(|probe| probe.unsubscribe(id));
        if !left && let Some(probe) = self.probes.remove(&key) {
            self.by_check.remove(&probe.check);
            self.timers.cancel(&key);
            if let Some(watch) = &mut self.watch {
                watch.forget(key);
            }
            match probe.run {
                Some(run) => self.abandon(Clock::now(), run),
                None => self.waiting.retain(|&(_, waiting)| waiting != key),
            }
        }
        true
    }

    /// Makes the next run of a check due now instead of at its time. Nothing changes while a run is under way.
    pub fn check_now(&mut self, now: Instant, id: CheckId) {
        if let Some(key) = self.checks.get(&id).map(|subscription| subscription.probe) {
            self.hasten(now, key);
        }
    }

    /// How many checks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.checks.len()
    }

    /// Whether there is no check.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// How many distinct checks there are: equal ones share their runs.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.probes.len()
    }

    /// How many runs are under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many programs whose run is over have not ended yet.
    #[must_use]
    pub fn dying(&self) -> usize {
        self.dying.len()
    }

    /// What is known about a check.
    #[must_use]
    pub fn status(&self, id: CheckId) -> Option<Status> {
        let probe = self.probes.get(&self.checks.get(&id)?.probe)?;
        Some(Status { running: probe.run.is_some(), ..probe.status })
    }

    /// Tells another thread whether this driver is still being stepped.
    #[must_use]
    pub fn watchdog(&self) -> Watchdog {
        self.watchdog.clone()
    }

    /// When [`Driver::process`] must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting =
            self.waiting.front().filter(|_| self.running < self.max_running).map(|&(due, _)| due);
        [self.timers.next_deadline(), waiting].into_iter().flatten().min()
    }

    /// Takes in what happened on the connections, then what is due. What arrived counts before the timeout of the same check:
    /// a process that was paused does not take its own pause for a server's silence.
    ///
    /// # Errors
    /// Only if the epoll descriptor itself fails, which is a programming error.
    pub fn process(&mut self, now: Instant) -> io::Result<()> {
        for _ in 0..BATCHES {
            self.reactor.poll(&mut self.batch)?;
            let mut seen = 0_usize;
            while let Some(event) = self.batch.next(&self.reactor) {
                seen = seen.saturating_add(1);
                self.handle_ready(now, event.token().0, event.writable());
            }
            if seen < BATCH {
                break;
            }
        }
        self.handle_deadlines(now);
        while self.running < self.max_running
            && let Some((_, key)) = self.waiting.pop_front()
        {
            self.start(now, key);
        }
        self.report_silence(now);
        self.watchdog.expect(self.poll_timeout());
        Ok(())
    }

    /// What is due. Runs that are nearly due start with those that are: checks fall into step, and many of them cost one waking.
    fn handle_deadlines(&mut self, now: Instant) {
        while let Some((key, due)) = self.timers.pop_due(now) {
            match self.probes.get(&key) {
                Some(probe) if probe.run.is_some() => self.time_out(now, key),
                Some(_) => self.waiting.push_back((due, key)),
                None => self.step_dying(now, key),
            }
        }
        if self.waiting.is_empty() {
            return;
        }
        let soon = now.checked_add(MOST_EARLY).unwrap_or(now);
        let mut too_early = Vec::new();
        while let Some((key, due)) = self.timers.pop_due(soon) {
            match self.probes.get(&key) {
                Some(probe)
                    if probe.run.is_none()
                        && due.saturating_duration_since(now) <= probe.check.times().early() =>
                {
                    self.waiting.push_back((due, key));
                }
                _ => too_early.push((key, due)),
            }
        }
        for (key, due) in too_early {
            self.timers.set(key, due);
        }
    }

    /// The next known outcome; drain it after every [`Driver::process`]. Unread events take room once a check, however
    /// many changes there were: the present outcome is told.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            let id = self.queue.pop_front()?;
            if let Some(subscription) = self.checks.get_mut(&id) {
                subscription.queued = false;
                if let Some(probe) = self.probes.get(&subscription.probe) {
                    return Some(probe.event(id));
                }
            }
        }
    }

    fn next_key(&mut self) -> ProbeKey {
        self.last_key = self.last_key.wrapping_add(1);
        self.last_key
    }

    fn hasten(&mut self, now: Instant, key: ProbeKey) {
        if let Some(probe) = self.probes.get_mut(&key)
            && self.timers.deadline(&key).is_some_and(|due| due > now)
            && probe.run.is_none()
        {
            probe.schedule.hasten(now);
            self.timers.set(key, now);
        }
    }

    /// Everybody who asked for this probe hears of it.
    fn tell(&mut self, key: ProbeKey) {
        let Some(probe) = self.probes.get(&key) else { return };
        for &id in probe.subscribers() {
            if let Some(subscription) = self.checks.get_mut(&id)
                && !subscription.queued
            {
                subscription.queued = true;
                self.queue.push_back(id);
            }
        }
    }

    /// Due checks that wait too long for their turn have not reported, either.
    fn report_silence(&mut self, now: Instant) {
        if let Some(&(_, longest)) = self.waiting.front() {
            self.silence(now, longest);
        }
    }

    fn silence(&mut self, now: Instant, key: ProbeKey) {
        if let Some(probe) = self.probes.get_mut(&key)
            && probe.falls_silent(now)
        {
            probe.status.silent = true;
            self.tell(key);
        }
    }
}
