//! The runs: from due to done.

use core::time::Duration;
use std::time::Instant;

use reactor::{Interest, Registration, Token};
use rustix::io::Errno;

use crate::check::{AnyMachine, Subject};
use crate::driver::probe::ProbeKey;
use crate::driver::watch::{self, Watch};
use crate::driver::{Driver, Dying};
use crate::machine::Output;
use crate::process::{Child, Exit, SpawnError};
use crate::schedule::Change;
use crate::transport::{Ended, Transport, Trouble};
use crate::{Failure, Local, Outcome};

#[derive(Debug)]
pub(super) struct Run {
    work: Work,
    started: Instant,
}

#[derive(Debug)]
enum Work {
    Machine {
        machine: AnyMachine,
        /// `None` once the machine has closed it.
        link: Option<Link>,
    },
    Program(Child, Registration),
}

/// A transport in the reactor.
#[derive(Debug)]
struct Link {
    transport: Transport,
    registration: Registration,
    /// What the registration waits for.
    interest: Interest,
}

impl Driver {
    pub(super) fn start(&mut self, now: Instant, key: ProbeKey) {
        let Some(probe) = self.probes.get_mut(&key) else { return };
        if probe.dying.is_some() {
            self.defer(now, key, Local::StillRunning);
            return;
        }
        let work = match probe.check.subject() {
            Subject::Server(server) => {
                let machine = AnyMachine::of(server, probe.random.u64(..));
                Work::Machine { machine, link: None }
            }
            Subject::Script(script) => match script.program().spawn(now) {
                Ok(child) => match self.reactor.register(&child, Interest::Readable, Token(key)) {
                    Ok(registration) => Work::Program(child, registration),
                    Err(error) => {
                        let errno = error.raw_os_error().unwrap_or(0);
                        self.defer(now, key, Local::Process { errno });
                        return;
                    }
                },
                Err(SpawnError::Local { errno }) => {
                    self.defer(now, key, Local::Process { errno });
                    return;
                }
                Err(SpawnError::CannotRun { errno }) => {
                    probe.schedule.handle_started(now);
                    self.finish(now, key, Err(Failure::CannotRun { errno }), None);
                    return;
                }
            },
            Subject::File(file) => {
                watch::ensure(&mut self.watch, &mut self.reactor, file.path(), key);
                match file.run() {
                    Ok((value, result)) => {
                        probe.schedule.handle_started(now);
                        self.finish(now, key, result, value);
                    }
                    Err(local) => self.defer(now, key, local),
                }
                return;
            }
        };
        self.timers.set(key, probe.schedule.handle_started(now));
        probe.run = Some(Run { work, started: now });
        self.running = self.running.saturating_add(1);
        if matches!(probe.check.subject(), Subject::Server(_)) && self.connect(now, key) {
            self.settle(now, key);
        }
    }

    /// Opens the transport of a run. `false`: that was not possible for a local reason, and the run is put off.
    fn connect(&mut self, now: Instant, key: ProbeKey) -> bool {
        let Some(probe) = self.probes.get_mut(&key) else { return false };
        let (Some(Run { work: Work::Machine { machine, link }, .. }), Subject::Server(server)) =
            (&mut probe.run, probe.check.subject())
        else {
            return false;
        };
        let transport = match Transport::open(server) {
            Ok(transport) => transport,
            Err(Trouble::Failed(failure)) => {
                machine.handle_closed(Some(failure));
                return true;
            }
            Err(Trouble::Local(local)) => {
                self.defer(now, key, local);
                return false;
            }
        };
        let interest = transport.interest();
        match self.reactor.register(&transport, interest, Token(key)) {
            Ok(registration) => {
                if transport.is_ready() {
                    machine.inner().handle_connected();
                }
                *link = Some(Link { transport, registration, interest });
                true
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                self.defer(now, key, Local::Socket { errno });
                false
            }
        }
    }

    /// A run cannot be made, or not be made to its end, for a local reason.
    fn defer(&mut self, now: Instant, key: ProbeKey, local: Local) {
        let Some(probe) = self.probes.get_mut(&key) else { return };
        probe.status.deferred = probe.status.deferred.saturating_add(1);
        probe.status.last_deferral = Some(local);
        probe.schedule.handle_deferred(now);
        if let Some(at) = probe.schedule.poll_timeout() {
            self.timers.set(key, at);
        }
        if let Some(run) = probe.run.take() {
            self.abandon(now, run);
        }
        self.silence(now, key);
    }

    /// Ends a run that gives no result.
    pub(super) fn abandon(&mut self, now: Instant, run: Run) {
        self.running = self.running.saturating_sub(1);
        match run.work {
            Work::Machine { link, .. } => {
                if let Some(link) = link {
                    self.reactor.forget(link.registration);
                }
            }
            Work::Program(child, registration) => {
                self.bury(now, child, registration, None);
            }
        }
    }

    /// A program whose run is over has to end; its descriptor and deadlines get a name of their own.
    fn bury(
        &mut self,
        now: Instant,
        mut child: Child,
        registration: Registration,
        owner: Option<ProbeKey>,
    ) -> Option<ProbeKey> {
        // It was registered, so it can be taken out.
        let _taken = self.reactor.deregister(registration, &child);
        child.terminate(now);
        let key = self.next_key();
        // Without a descriptor for epoll its deadlines alone will do: it is dropped, and so killed.
        let registration = self.reactor.register(&child, Interest::Readable, Token(key)).ok()?;
        if let Some(at) = child.poll_timeout() {
            self.timers.set(key, at);
        }
        self.dying.insert(key, Dying { child, registration, owner });
        Some(key)
    }

    /// A program that has to end has ended, or is due for the next signal.
    pub(super) fn step_dying(&mut self, now: Instant, key: ProbeKey) {
        let Some(dying) = self.dying.get_mut(&key) else { return };
        if dying.child.process(now).is_none() {
            if let Some(at) = dying.child.poll_timeout() {
                self.timers.set(key, at);
            }
            return;
        }
        self.reactor.forget(dying.registration);
        self.timers.cancel(&key);
        let owner = self.dying.remove(&key).and_then(|dying| dying.owner);
        if let Some(probe) = owner.and_then(|owner| self.probes.get_mut(&owner)) {
            probe.dying = None;
        }
    }

    /// A descriptor of a run can be read or written, or has ended.
    pub(super) fn handle_ready(&mut self, now: Instant, key: ProbeKey, writable: bool) {
        if key == watch::KEY {
            for key in self.watch.as_mut().map(Watch::changed).unwrap_or_default() {
                self.hasten(now, key);
            }
            return;
        }
        let Some(probe) = self.probes.get_mut(&key) else {
            self.step_dying(now, key);
            return;
        };
        let Some(run) = &mut probe.run else { return };
        match &mut run.work {
            Work::Machine { machine, link } => {
                let Some(open) = link else { return };
                let after = now.saturating_duration_since(run.started);
                let handled =
                    open.transport.handle_ready(after, writable, &mut self.buffer, machine.inner());
                if let Err(Ended(failure)) = handled {
                    machine.handle_closed(failure);
                    self.reactor.forget(open.registration);
                    *link = None;
                }
                self.settle(now, key);
            }
            Work::Program(child, _) => {
                if let (Some(exit), Subject::Script(script)) =
                    (child.process(now), probe.check.subject())
                {
                    let value = match exit {
                        Exit::Code(code) => Some(i64::from(code)),
                        Exit::Signal(_) | Exit::Lost => None,
                    };
                    let Some(result) = script.judge(exit) else {
                        let errno = Errno::CHILD.raw_os_error();
                        self.defer(now, key, Local::Process { errno });
                        return;
                    };
                    self.finish(now, key, result, value);
                }
            }
        }
    }

    /// The time of a run is up.
    pub(super) fn time_out(&mut self, now: Instant, key: ProbeKey) {
        let Some(probe) = self.probes.get_mut(&key) else { return };
        let Some(run) = &mut probe.run else { return };
        let after = now.saturating_duration_since(run.started);
        match &mut run.work {
            Work::Machine { machine, .. } => {
                machine.handle_timeout(after);
                self.settle(now, key);
            }
            Work::Program(..) => {
                if let Some(Run { work: Work::Program(child, registration), .. }) = probe.run.take()
                {
                    self.running = self.running.saturating_sub(1);
                    let dying = self.bury(now, child, registration, Some(key));
                    if let Some(probe) = self.probes.get_mut(&key) {
                        probe.dying = dying;
                    }
                    self.finish(now, key, Err(Failure::TimedOut { after }), None);
                }
            }
        }
    }

    /// Does what the machine of a run wants.
    fn settle(&mut self, now: Instant, key: ProbeKey) {
        loop {
            let Some(probe) = self.probes.get_mut(&key) else { return };
            let Some(Run { work: Work::Machine { machine, link }, .. }) = &mut probe.run else {
                return;
            };
            let Some(output) = machine.poll_output() else { break };
            match output {
                Output::Transmit(bytes) => {
                    let sent = link.as_mut().map_or(Ok(()), |open| open.transport.send(bytes));
                    match sent {
                        Ok(()) => {}
                        Err(Trouble::Failed(failure)) => machine.handle_closed(Some(failure)),
                        Err(Trouble::Local(local)) => {
                            self.defer(now, key, local);
                            return;
                        }
                    }
                }
                Output::Close | Output::Reconnect => {
                    let again = output == Output::Reconnect;
                    if let Some(open) = link.take() {
                        self.reactor.forget(open.registration);
                    }
                    if again && !self.connect(now, key) {
                        return;
                    }
                }
                Output::Done(result) => {
                    self.finish(now, key, result, None);
                    return;
                }
            }
        }
        let Some(probe) = self.probes.get_mut(&key) else { return };
        let Some(Run { work: Work::Machine { link: Some(open), .. }, .. }) = &mut probe.run else {
            return;
        };
        let interest = open.transport.interest();
        if interest != open.interest {
            open.interest = interest;
            if let Err(error) = self.reactor.modify(open.registration, &open.transport, interest) {
                let errno = error.raw_os_error().unwrap_or(0);
                self.finish(now, key, Err(Failure::Os { errno }), None);
            }
        }
    }

    /// A run has ended with a result.
    fn finish(
        &mut self,
        now: Instant,
        key: ProbeKey,
        result: Result<(), Failure>,
        value: Option<i64>,
    ) {
        let Some(probe) = self.probes.get_mut(&key) else { return };
        let mut took = Duration::ZERO;
        if let Some(run) = probe.run.take() {
            self.running = self.running.saturating_sub(1);
            took = now.saturating_duration_since(run.started);
            match run.work {
                Work::Machine { link, .. } => {
                    if let Some(open) = link {
                        self.reactor.forget(open.registration);
                    }
                }
                Work::Program(_, registration) => self.reactor.forget(registration),
            }
        }
        let status = &mut probe.status;
        let outcome = match result {
            Ok(()) => {
                status.successes = status.successes.saturating_add(1);
                Outcome::Up
            }
            Err(failure) => {
                status.failures = status.failures.saturating_add(1);
                status.last_failure = Some(failure);
                Outcome::Down
            }
        };
        let other = status.value != value || status.silent;
        let change = probe.schedule.handle_result(now, outcome);
        status.last_duration = Some(took);
        status.outcome = probe.schedule.outcome();
        status.has_run = true;
        status.value = value;
        status.silent = false;
        probe.hear(now);
        if let Some(at) = probe.schedule.poll_timeout() {
            self.timers.set(key, at);
        }
        if change != Change::None || other {
            self.tell(key);
        }
    }
}
