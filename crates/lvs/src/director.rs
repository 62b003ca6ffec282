//! The director: checks, pool and ownership, stepped together.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use healthcheck::Driver;
use ipvs::{DestinationKey, ServiceKey, SyncRole, Weight};
use reactor::{Clock, Events as Batch, Reactor};

use crate::builder::DirectorBuilder;
use crate::config::{Config, ServiceConfig};
use crate::error::{ApplyError, StopError};
use crate::event::{EventKind, EventSink, Events};
use crate::kernel::{KernelError, Traffic};
use crate::owner::{Convergence, Owner};
use crate::pool::{Output, Pool, Verdict};
use crate::running::RunningDirector;
use crate::status::Status;
use crate::why::Why;

/// The first pause before a refused change is tried again; it doubles each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);

/// What to do about our services when somebody else has changed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDrift {
    /// Tell of it, once for each difference, and leave it.
    Report,
    /// Tell of it and put back what is wanted.
    Restore,
}

/// A change did not come about.
#[derive(Debug)]
struct Trouble {
    retry_at: Instant,
    pause: Duration,
    /// What was told about it already.
    told: Vec<EventKind>,
}

/// When to look whether others have changed our services.
#[derive(Debug)]
struct Audit {
    interval: Duration,
    on_drift: OnDrift,
    next: Option<Instant>,
    /// What was told about services that differ.
    told: BTreeMap<ServiceKey, String>,
}

/// What a director is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) reactor: Reactor,
    pub(crate) driver: Driver,
    pub(crate) owner: Owner,
    pub(crate) events: EventSink,
    pub(crate) audit: Option<(Duration, OnDrift)>,
    pub(crate) path: PathBuf,
}

/// A running LVS director. See the [crate documentation](crate).
///
/// Step-able: it does nothing by itself. Wait until its descriptor is readable or [`Director::poll_timeout`] is due, call
/// [`Director::process`], and read [`Director::events`] when you like. Dropping it removes its services.
#[derive(Debug)]
pub struct Director {
    reactor: Reactor,
    batch: Batch,
    driver: Driver,
    pool: Pool,
    owner: Owner,
    events: EventSink,
    trouble: Option<Trouble>,
    audit: Option<Audit>,
    path: PathBuf,
}

impl AsFd for Director {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reactor.as_fd()
    }
}

impl Director {
    /// Starts to describe a director of `config`.
    pub fn builder(config: Config) -> DirectorBuilder {
        DirectorBuilder::new(config)
    }

    /// One without services.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { reactor, driver, owner, events, audit, path } = parts;
        let audit = audit.map(|(interval, on_drift)| Audit {
            interval,
            on_drift,
            next: None,
            told: BTreeMap::new(),
        });
        let batch = Batch::with_capacity(2);
        Self {
            reactor,
            batch,
            driver,
            pool: Pool::default(),
            owner,
            events,
            trouble: None,
            audit,
            path,
        }
    }

    /// Runs it on a thread of its own.
    pub fn spawn(self) -> io::Result<RunningDirector> {
        RunningDirector::start(self)
    }

    /// When [`Director::process`] must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let retry = self.trouble.as_ref().map(|trouble| trouble.retry_at);
        let audit = self.audit.as_ref().and_then(|audit| audit.next);
        let deadlines = [self.driver.poll_timeout(), self.pool.poll_timeout(), retry, audit];
        deadlines.into_iter().flatten().min()
    }

    /// Runs the checks that are due, takes in what has happened to those under way, and brings the kernel's table up to
    /// date. Does not block but for the kernel's own work.
    ///
    /// # Errors
    /// Only if an epoll descriptor itself fails, which is a programming error.
    pub fn process(&mut self, now: Instant) -> io::Result<()> {
        self.reactor.poll(&mut self.batch)?;
        self.driver.process(now)?;
        while let Some(event) = self.driver.poll_event() {
            if event.silent {
                self.pool.handle_silence(now, event.id);
                continue;
            }
            let (outcome, cause, value) = (event.outcome, event.cause, event.value);
            self.pool.handle_outcome(now, event.id, Verdict { outcome, cause, value });
        }
        self.pool.handle_timeout(now);
        let drifted = self.look_for_drift(now);
        self.advance(now, drifted);
        Ok(())
    }

    /// Replaces the configuration. Services, real servers and checks that stay keep their state: connections are not
    /// disturbed and a server that is down stays down. What does not differ costs the kernel nothing.
    ///
    /// # Errors
    /// Nothing has changed after an error.
    pub fn apply(&mut self, now: Instant, config: Config) -> Result<(), ApplyError> {
        let known = self.pool.recognise(&config);
        config.validate(&known)?;
        let services = config.services().iter().flat_map(ServiceConfig::services);
        let adopted = self.owner.claim(services.map(ipvs::Service::key))?;
        for service in adopted {
            self.events.emit(EventKind::Adopted { service });
        }
        if !config.has_sync() {
            // Also one that a dead predecessor has left.
            self.owner.want_daemon(None);
        }
        self.pool.handle_config(now, config, &known);
        self.advance(now, true);
        if let Some(audit) = &mut self.audit {
            audit.next = audit.next.or_else(|| now.checked_add(audit.interval));
        }
        Ok(())
    }

    /// Says whether this director is Master, as an election of directors does: it decides which sync daemon runs.
    pub fn set_state(&mut self, now: Instant, state: SyncRole) {
        self.pool.handle_role(now, state);
        self.advance(now, false);
    }

    /// Sets the weight of a real server, or gives it back to checks and configuration (`None`). It stays set whatever is applied.
    /// Returns whether there is such a real server.
    pub fn set_weight(
        &mut self,
        now: Instant,
        service: &ServiceKey,
        real_server: &DestinationKey,
        weight: Option<Weight>,
    ) -> bool {
        let found = self.pool.handle_weight(now, service, real_server, weight);
        self.advance(now, false);
        found
    }

    /// Takes a real server out of service: weight 0 until its connections have ended, but not longer than `at_most`; then it leaves
    /// the table. Returns whether there is such a real server.
    pub fn drain(
        &mut self,
        now: Instant,
        service: &ServiceKey,
        real_server: &DestinationKey,
        at_most: Duration,
    ) -> bool {
        let found = self.pool.handle_drain(now, service, real_server, Some(at_most));
        self.advance(now, false);
        found
    }

    /// Undoes [`Director::drain`]. Returns whether there is such a real server.
    pub fn restore(
        &mut self,
        now: Instant,
        service: &ServiceKey,
        real_server: &DestinationKey,
    ) -> bool {
        let found = self.pool.handle_drain(now, service, real_server, None);
        self.advance(now, false);
        found
    }

    /// A receiver of what happens.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events.events()
    }

    /// What every service, real server and check is at this moment.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let (in_trouble, dropped) = (self.trouble.is_some(), self.events.events().dropped());
        Status::of(now, &self.pool, &self.driver, &self.owner, in_trouble, dropped)
    }

    /// Why a real server stands in the table as it does; `None`: there is no such real server.
    #[must_use]
    pub fn why(
        &self,
        now: Instant,
        service: &ServiceKey,
        real_server: &DestinationKey,
    ) -> Option<Why> {
        Why::of(now, &self.pool, service, real_server)
    }

    /// The kernel's counters of our services and their destinations, 64 bits wide.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn statistics(&mut self) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
        self.owner.traffic()
    }

    /// The journal's file.
    #[must_use]
    pub fn journal_path(&self) -> &Path {
        &self.path
    }

    /// Reads the kernel's table and repairs what others have changed in our services since. Nothing does this by itself unless
    /// [`DirectorBuilder::audit`] says so.
    pub fn repair(&mut self, now: Instant) {
        self.owner.doubt();
        self.advance(now, true);
    }

    /// Removes our services and ends.
    ///
    /// # Errors
    /// What could not be removed stays in the journal: the next director of this name removes it.
    pub fn stop(mut self) -> Result<(), StopError> {
        self.release()
    }

    /// Ends without removing anything: the services stay in the kernel, unwatched, and the next director of this name adopts
    /// them without interruption. For replacing a running program.
    pub fn leave(mut self) {
        self.pool = Pool::default();
        self.owner.abandon();
    }

    pub(crate) fn waker(&self) -> reactor::Waker {
        self.reactor.waker()
    }

    /// Waits until [`Director::process`] has something to do, or the waker is used.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.reactor.wait(self.poll_timeout(), &mut self.batch)
    }

    /// Does what the pool says, changes the table if there is cause to, and tells of it.
    fn advance(&mut self, now: Instant, mut changed: bool) {
        let mut told = Vec::new();
        while let Some(output) = self.pool.poll_output() {
            match output {
                Output::StartCheck(id, check) => self.driver.add(now, id, *check),
                Output::StopCheck(id) => drop(self.driver.remove(id)),
                Output::Table(pool) => {
                    changed = true;
                    for (service, destinations) in self.pool.entries(&pool) {
                        self.owner.want(service, destinations);
                    }
                }
                Output::Unwanted(service) => {
                    changed = true;
                    self.owner.unwant(service);
                }
                Output::Sync(daemon) => {
                    changed = true;
                    told.extend(
                        daemon.as_ref().map(|daemon| EventKind::SyncDaemon { role: daemon.role }),
                    );
                    self.owner.want_daemon(daemon);
                }
                Output::Count(pool) => {
                    let services = self.pool.group_of(&pool).map(|group| {
                        group.config.services().iter().map(ipvs::Service::key).collect()
                    });
                    // Connections that cannot be counted: the drain ends with its deadline.
                    if let Ok(counts) = self.owner.connections(&services.unwrap_or_default()) {
                        self.pool.handle_connections(now, &pool, &counts);
                    }
                }
                Output::Told(event) => told.push(event),
            }
        }
        let retry = self.trouble.as_ref().is_some_and(|trouble| trouble.retry_at <= now);
        let convergence = (changed || retry).then(|| self.owner.converge());
        // Told afterwards: whoever reads of a change finds the table changed.
        for event in told {
            self.events.emit(event);
        }
        if let Some(convergence) = convergence {
            self.report(now, convergence);
        }
    }

    /// Tells of changes of others; returns whether they are to be undone.
    fn look_for_drift(&mut self, now: Instant) -> bool {
        let Some(audit) =
            self.audit.as_mut().filter(|audit| audit.next.is_some_and(|at| at <= now))
        else {
            return false;
        };
        audit.next = now.checked_add(audit.interval);
        let restored = audit.on_drift == OnDrift::Restore;
        // A table that cannot be read now will be read another time; when it has to be changed that is told.
        let Ok(drift) = self.owner.drift(restored) else { return false };
        let difference = |commands: &[ipvs::Command]| {
            let texts: Vec<_> = commands.iter().map(ToString::to_string).collect();
            texts.join(", ")
        };
        let differences: BTreeMap<_, _> =
            drift.iter().map(|(service, commands)| (*service, difference(commands))).collect();
        for (&service, difference) in &differences {
            if restored || audit.told.get(&service) != Some(difference) {
                let difference = difference.clone();
                self.events.emit(EventKind::Drift { service, difference, restored });
            }
        }
        audit.told = differences;
        restored && !drift.is_empty()
    }

    fn release(&mut self) -> Result<(), StopError> {
        self.pool.handle_stop(Clock::now());
        while let Some(output) = self.pool.poll_output() {
            if let Output::Told(event) = output {
                self.events.emit(event);
            }
        }
        match self.owner.release() {
            Convergence::Done { .. } => Ok(()),
            Convergence::Refused(refused) => {
                let errors =
                    refused.iter().map(|(command, error)| format!("{command}: {error}")).collect();
                Err(StopError::Refused { errors })
            }
            Convergence::Unreadable(source) => Err(StopError::Unreadable { source }),
        }
    }

    /// Tells how a change of the table went, and plans the next attempt if it did not.
    fn report(&mut self, now: Instant, convergence: Convergence) {
        let told = match convergence {
            Convergence::Done { removed } => {
                if self.trouble.take().is_some() {
                    self.events.emit(EventKind::Converged);
                }
                for service in removed {
                    self.events.emit(EventKind::Removed { service });
                }
                return;
            }
            Convergence::Refused(refused) => refused
                .into_iter()
                .map(|(command, error)| EventKind::Refused {
                    service: command.service(),
                    error: error.to_string(),
                })
                .collect(),
            Convergence::Unreadable(error) => {
                vec![EventKind::Unreadable { error: error.to_string() }]
            }
        };
        let pause = self
            .trouble
            .as_ref()
            .map_or(RETRY_FIRST, |before| before.pause.saturating_mul(2).min(RETRY_MOST));
        // Each trouble is told once, not with every attempt.
        let before = self.trouble.take().map(|before| before.told).unwrap_or_default();
        for event in &told {
            if !before.contains(event) {
                self.events.emit(event.clone());
            }
        }
        self.trouble =
            Some(Trouble { retry_at: now.checked_add(pause).unwrap_or(now), pause, told });
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        if self.release().is_err() {
            // The journal lists what is left; the next director of this name removes it.
        }
    }
}
