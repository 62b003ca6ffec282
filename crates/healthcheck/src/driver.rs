//! Steps all checks from one epoll descriptor.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use reactor::{Events, Interest, Reactor, Registration, Timers, Token};

use crate::check::AnyMachine;
use crate::connection::{Connection, OpenError, Received};
use crate::machine::{Machine, Output};
use crate::schedule::{Change, Schedule};
use crate::{Check, CheckId, Failure, Local, Outcome};

/// Events handled in one [`Driver::process`] at most, in batches; more wait for the next call.
const BATCHES: usize = 16;
const BATCH: usize = 256;
/// Reads of one connection in one event; more come with the next, so that no server can hold the loop.
const READS: usize = 4;

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
}

#[derive(Debug)]
struct Run {
    machine: AnyMachine,
    /// `None` once the machine has closed it.
    connection: Option<(Connection, Registration)>,
    /// What the registration waits for.
    interest: Interest,
    started: Instant,
}

#[derive(Debug)]
struct Entry {
    check: Check,
    schedule: Schedule,
    run: Option<Run>,
    status: Status,
    /// Whether an event of this check waits to be polled.
    queued: bool,
}

/// All checks of a process: add them, step it, drain its events. See the [crate documentation](crate).
#[derive(Debug)]
pub struct Driver {
    reactor: Reactor,
    batch: Events,
    timers: Timers<CheckId>,
    checks: HashMap<CheckId, Entry>,
    /// Checks with something to tell, each at most once: an unread event is brought up to date, not repeated.
    queue: VecDeque<CheckId>,
    /// Due checks that wait for one of the running ones to end, since when.
    waiting: VecDeque<(Instant, CheckId)>,
    running: usize,
    max_running: usize,
    seed: u64,
    buffer: Box<[u8]>,
}

impl AsFd for Driver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reactor.as_fd()
    }
}

impl Driver {
    /// A driver without checks. `seed` decides the jitter of first runs: take a random number, or a constant in tests.
    pub fn new(seed: u64) -> io::Result<Self> {
        Ok(Self {
            reactor: Reactor::new()?,
            batch: Events::with_capacity(BATCH),
            timers: Timers::new(),
            checks: HashMap::new(),
            queue: VecDeque::new(),
            waiting: VecDeque::new(),
            running: 0,
            max_running: usize::MAX,
            seed,
            buffer: vec![0; 4096].into_boxed_slice(),
        })
    }

    /// Limits how many runs, and so descriptors, are under way at once (1 at least); due checks beyond it wait for their turn.
    /// Without a limit the process's own (`RLIMIT_NOFILE`) is met at some point, which defers runs and leaves the rest of the
    /// process without descriptors.
    pub fn set_max_running(&mut self, max_running: usize) {
        self.max_running = max_running.max(1);
    }

    /// Adds a check, or replaces the one with this number; its schedule starts `now`.
    pub fn add(&mut self, now: Instant, id: CheckId, check: Check) {
        self.remove(id);
        let seed = self.seed.wrapping_add(id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)); // 2^64 / golden ratio: spreads neighbours
        let schedule = Schedule::new(now, *check.parts().1, seed);
        if let Some(at) = schedule.poll_timeout() {
            self.timers.set(id, at);
        }
        let status = Status {
            outcome: schedule.outcome(),
            has_run: false,
            running: false,
            successes: 0,
            failures: 0,
            deferred: 0,
            last_failure: None,
            last_deferral: None,
            last_duration: None,
        };
        self.checks.insert(id, Entry { check, schedule, run: None, status, queued: false });
    }

    /// Removes a check and ends its run, if one is under way. Returns whether it was there.
    pub fn remove(&mut self, id: CheckId) -> bool {
        self.timers.cancel(&id);
        let Some(entry) = self.checks.remove(&id) else {
            return false;
        };
        if entry.queued {
            self.queue.retain(|&queued| queued != id);
        }
        if entry.run.is_none() {
            self.waiting.retain(|&(_, waiting)| waiting != id);
        }
        if let Some(run) = entry.run {
            self.running = self.running.saturating_sub(1);
            if let Some((_, registration)) = run.connection {
                self.reactor.forget(registration);
            }
        }
        true
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

    /// How many runs are under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// What is known about a check.
    #[must_use]
    pub fn status(&self, id: CheckId) -> Option<Status> {
        self.checks.get(&id).map(|entry| Status { running: entry.run.is_some(), ..entry.status })
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
                self.handle_ready(now, CheckId(event.token().0), event.writable());
            }
            if seen < BATCH {
                break;
            }
        }
        while let Some((id, due)) = self.timers.pop_due(now) {
            if let Some(run) = self.checks.get_mut(&id).and_then(|entry| entry.run.as_mut()) {
                run.machine.handle_timeout(now.saturating_duration_since(run.started));
                self.settle(now, id);
            } else {
                self.waiting.push_back((due, id));
            }
        }
        while self.running < self.max_running
            && let Some((_, id)) = self.waiting.pop_front()
        {
            self.start(now, id);
        }
        Ok(())
    }

    /// The next known outcome; drain it after every [`Driver::process`]. Unread events take room once a check, however
    /// many changes there were: the present outcome is told.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            let id = self.queue.pop_front()?;
            if let Some(entry) = self.checks.get_mut(&id) {
                entry.queued = false;
                let outcome = entry.schedule.outcome();
                let cause = if outcome == Outcome::Down { entry.status.last_failure } else { None };
                return Some(Event { id, outcome, cause });
            }
        }
    }

    fn start(&mut self, now: Instant, id: CheckId) {
        let Some(entry) = self.checks.get_mut(&id) else {
            return;
        };
        let opened = Connection::open(entry.check.target(), entry.check.parts().0);
        let connection = match opened {
            Ok(connection) => connection,
            Err(OpenError::Local(local)) => {
                self.defer(now, id, local);
                return;
            }
            Err(OpenError::Failed(failure)) => {
                entry.schedule.handle_started(now);
                let machine = entry.check.kind().run();
                entry.run = Some(Run {
                    machine,
                    connection: None,
                    interest: Interest::ErrorsOnly,
                    started: now,
                });
                self.running = self.running.saturating_add(1);
                self.close(id, Some(failure));
                self.settle(now, id);
                return;
            }
        };
        let interest = connection.interest();
        let registration = match self.reactor.register(&connection, interest, Token(id.0)) {
            Ok(registration) => registration,
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                self.defer(now, id, Local::Socket { errno });
                return;
            }
        };
        self.timers.set(id, entry.schedule.handle_started(now));
        let machine = entry.check.kind().run();
        entry.run = Some(Run {
            machine,
            connection: Some((connection, registration)),
            interest,
            started: now,
        });
        self.running = self.running.saturating_add(1);
        self.settle(now, id);
    }

    fn defer(&mut self, now: Instant, id: CheckId, local: Local) {
        if let Some(entry) = self.checks.get_mut(&id) {
            entry.status.deferred = entry.status.deferred.saturating_add(1);
            entry.status.last_deferral = Some(local);
            entry.schedule.handle_deferred(now);
            if let Some(at) = entry.schedule.poll_timeout() {
                self.timers.set(id, at);
            }
        }
    }

    /// The connection of a check can be read or written, or has ended.
    fn handle_ready(&mut self, now: Instant, id: CheckId, writable: bool) {
        let Some(run) = self.checks.get_mut(&id).and_then(|entry| entry.run.as_mut()) else {
            return;
        };
        let Some((connection, _)) = &mut run.connection else {
            return;
        };
        let mut end = None;
        if connection.is_connected() {
            if writable && let Err(failure) = connection.flush() {
                end = Some(Some(failure));
            }
            for _ in 0..READS {
                match connection.receive(&mut self.buffer) {
                    Received::Data(bytes) => run.machine.handle_data(bytes),
                    Received::Nothing => break,
                    Received::End(failure) => {
                        end = Some(failure);
                        break;
                    }
                }
            }
        } else {
            match connection.finish_connect(now.saturating_duration_since(run.started)) {
                Ok(()) => run.machine.handle_connected(),
                Err(failure) => end = Some(Some(failure)),
            }
        }
        if let Some(failure) = end {
            self.close(id, failure);
        }
        self.settle(now, id);
    }

    /// The connection of a check is gone.
    fn close(&mut self, id: CheckId, failure: Option<Failure>) {
        if let Some(run) = self.checks.get_mut(&id).and_then(|entry| entry.run.as_mut()) {
            run.machine.handle_closed(failure);
            if let Some((_, registration)) = run.connection.take() {
                self.reactor.forget(registration);
            }
        }
    }

    /// Does what the machine of a check wants.
    fn settle(&mut self, now: Instant, id: CheckId) {
        let Some(entry) = self.checks.get_mut(&id) else {
            return;
        };
        let Some(run) = &mut entry.run else {
            return;
        };
        let mut failed = None;
        while let Some(output) = run.machine.poll_output() {
            match output {
                Output::Transmit(bytes) => {
                    if let Some((connection, _)) = &mut run.connection {
                        failed = connection.send(bytes).err();
                    }
                }
                Output::Close => {
                    if let Some((_, registration)) = run.connection.take() {
                        self.reactor.forget(registration);
                    }
                }
                Output::Done(result) => {
                    self.finish(now, id, result);
                    return;
                }
            }
            if let Some(failure) = failed.take() {
                run.machine.handle_closed(Some(failure));
            }
        }
        let Some((connection, registration)) = &run.connection else {
            return;
        };
        let interest = connection.interest();
        if interest != run.interest {
            run.interest = interest;
            if let Err(error) = self.reactor.modify(*registration, connection, interest) {
                let errno = error.raw_os_error().unwrap_or(0);
                self.finish(now, id, Err(Failure::Os { errno }));
            }
        }
    }

    /// A run has ended with a result.
    fn finish(&mut self, now: Instant, id: CheckId, result: Result<(), Failure>) {
        let Some(entry) = self.checks.get_mut(&id) else {
            return;
        };
        if let Some(run) = entry.run.take() {
            self.running = self.running.saturating_sub(1);
            entry.status.last_duration = Some(now.saturating_duration_since(run.started));
            if let Some((_, registration)) = run.connection {
                self.reactor.forget(registration);
            }
        }
        let outcome = match result {
            Ok(()) => {
                entry.status.successes = entry.status.successes.saturating_add(1);
                Outcome::Up
            }
            Err(failure) => {
                entry.status.failures = entry.status.failures.saturating_add(1);
                entry.status.last_failure = Some(failure);
                Outcome::Down
            }
        };
        let change = entry.schedule.handle_result(now, outcome);
        entry.status.outcome = entry.schedule.outcome();
        entry.status.has_run = true;
        if change != Change::None && !entry.queued {
            entry.queued = true;
            self.queue.push_back(id);
        }
        if let Some(at) = entry.schedule.poll_timeout() {
            self.timers.set(id, at);
        }
    }
}
