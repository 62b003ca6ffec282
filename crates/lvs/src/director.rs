//! The director: checks, pool and ownership, stepped together.

use core::time::Duration;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use healthcheck::Driver;
use ipvs::ServiceKey;
use reactor::{Clock, Events as Batch, Interest, Reactor, Token};

use crate::config::Config;
use crate::error::{BuildError, ReconfigureError, StopError};
use crate::event::{EventKind, EventSink, Events};
use crate::kernel::Kernel;
use crate::owner::{Convergence, Foreign, Owner};
use crate::pool::Pool;
use crate::running::RunningDirector;
use crate::status::Status;

/// The first pause before a refused change is tried again; it doubles each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);

/// How a director is made. See [`Director::builder`].
#[derive(Debug)]
#[must_use]
pub struct DirectorBuilder {
    config: Config,
    run_directory: PathBuf,
    name: String,
    foreign: Foreign,
    event_capacity: usize,
    max_running_checks: Option<usize>,
    seed: Option<u64>,
    kernel: Option<Box<dyn Kernel>>,
}

impl DirectorBuilder {
    /// Where the journal is kept; default `/run/lvs`.
    pub fn run_directory(self, path: impl Into<PathBuf>) -> Self {
        Self { run_directory: path.into(), ..self }
    }

    /// The name of this director among others in the same network namespace; default `director`. It is part of the journal's name:
    /// a successor of a killed director finds what that has left by it.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// What to do about services of others under configured keys; default [`Foreign::Refuse`].
    pub fn foreign(self, foreign: Foreign) -> Self {
        Self { foreign, ..self }
    }

    /// How many unread events are kept; default 1024.
    pub fn event_capacity(self, event_capacity: usize) -> Self {
        Self { event_capacity, ..self }
    }

    /// How many checks, and so descriptors, may be under way at once; default half of the process's limit. Others wait for
    /// their turn.
    pub fn max_running_checks(self, max_running_checks: usize) -> Self {
        Self { max_running_checks: Some(max_running_checks), ..self }
    }

    /// The seed of the jitter of first checks, for repeatable tests; default from the clock and the process.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Another table than the running kernel's, such as a [`MemoryKernel`](crate::MemoryKernel).
    pub fn kernel(self, kernel: impl Kernel + 'static) -> Self {
        Self { kernel: Some(Box::new(kernel)), ..self }
    }

    /// Whether a director of this name is running, or has died and left services: then building one, of an empty configuration if
    /// nothing is to be served any more, removes them.
    #[must_use]
    pub fn has_leftovers(&self) -> bool {
        self.journal().exists()
    }

    fn journal(&self) -> PathBuf {
        self.run_directory.join(format!("{}-{}.journal", namespace_inode(), self.name))
    }

    /// Makes the director: takes the journal, adopts or removes what a dead predecessor has left, and installs the services.
    /// Real servers that are assumed up serve from now on; checks start with the first [`Director::process`].
    ///
    /// # Errors
    /// The kernel is unchanged after an error. A change that the kernel refuses is none: it becomes an [`EventKind::Refused`]
    /// and is tried again.
    pub fn build(self) -> Result<Director, BuildError> {
        self.config.validate()?;
        let path = self.journal();
        let kernel = match self.kernel {
            Some(kernel) => kernel,
            None => Box::new(ipvs::Client::open()?),
        };
        let owner = Owner::open(kernel, &path)?;
        let seed = self
            .seed
            .unwrap_or_else(|| Clock::new().now_nanos() ^ (u64::from(std::process::id()) << 32));
        let mut driver = Driver::new(seed).map_err(|source| BuildError::Loop { source })?;
        driver.set_max_running(self.max_running_checks.unwrap_or_else(half_of_the_descriptors));
        let mut reactor = Reactor::new().map_err(|source| BuildError::Loop { source })?;
        reactor
            .register(&driver, Interest::Readable, Token(0))
            .map_err(|source| BuildError::Loop { source })?;
        let mut director = Director {
            reactor,
            batch: Batch::with_capacity(2),
            driver,
            pool: Pool::default(),
            owner,
            foreign: self.foreign,
            events: EventSink::new(self.event_capacity),
            trouble: None,
            path,
        };
        director.reconfigure(Clock::now(), self.config)?;
        Ok(director)
    }

    /// [`DirectorBuilder::build`], and then [`Director::spawn`].
    pub fn start(self) -> Result<RunningDirector, BuildError> {
        self.build()?.spawn().map_err(|source| BuildError::Thread { source })
    }
}

/// A change did not come about.
#[derive(Debug)]
struct Trouble {
    retry_at: Instant,
    pause: Duration,
    /// What was told about it already.
    told: Vec<EventKind>,
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
    foreign: Foreign,
    events: EventSink,
    trouble: Option<Trouble>,
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
        DirectorBuilder {
            config,
            run_directory: PathBuf::from("/run/lvs"),
            name: "director".to_owned(),
            foreign: Foreign::default(),
            event_capacity: 1024,
            max_running_checks: None,
            seed: None,
            kernel: None,
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
        [self.driver.poll_timeout(), retry].into_iter().flatten().min()
    }

    /// Runs the checks that are due, takes in what has happened to those under way, and brings the kernel's table up to
    /// date. Does not block but for the kernel's own work.
    ///
    /// # Errors
    /// Only if an epoll descriptor itself fails, which is a programming error.
    pub fn process(&mut self, now: Instant) -> io::Result<()> {
        self.reactor.poll(&mut self.batch)?;
        self.driver.process(now)?;
        let mut changes = Vec::new();
        while let Some(event) = self.driver.poll_event() {
            if let Some(change) = self.pool.handle_outcome(event.id, event.outcome) {
                changes.push(EventKind::RealServer {
                    service: change.service,
                    destination: change.destination,
                    outcome: change.outcome,
                    cause: event.cause,
                });
            }
        }
        if !changes.is_empty()
            || self.trouble.as_ref().is_some_and(|trouble| trouble.retry_at <= now)
        {
            let convergence = self.owner.converge(&self.pool.desired());
            // Told afterwards: whoever reads of a change finds the table changed.
            for change in changes {
                self.events.emit(change);
            }
            self.report(now, convergence);
        }
        Ok(())
    }

    /// Replaces the configuration. Services, real servers and checks that stay keep their state: connections are not
    /// disturbed and a server that is down stays down.
    ///
    /// # Errors
    /// Nothing has changed after an error.
    pub fn reconfigure(&mut self, now: Instant, config: Config) -> Result<(), ReconfigureError> {
        config.validate()?;
        let pool = Pool::new(config, &self.pool);
        let wanted: BTreeSet<ServiceKey> = pool.services.keys().copied().collect();
        for service in self.owner.claim(&wanted, self.foreign)? {
            self.events.emit(EventKind::Adopted { service });
        }
        for (id, _) in self.pool.checks() {
            if !pool.has_check(id) {
                self.driver.remove(id);
            }
        }
        for (id, check) in pool.checks() {
            if !self.pool.has_check(id) {
                self.driver.add(now, id, check.clone());
            }
        }
        self.pool = pool;
        self.converge(now);
        Ok(())
    }

    /// A receiver of what happens.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events.events()
    }

    /// What every service, real server and check is at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(
            &self.pool,
            &self.driver,
            &self.owner,
            self.trouble.is_some(),
            self.events.events().dropped(),
        )
    }

    /// The journal's file.
    #[must_use]
    pub fn journal_path(&self) -> &Path {
        &self.path
    }

    /// Reads the kernel's table and repairs what others have changed in our services since. Nothing does this by itself: an operator
    /// who changes a weight by hand means it, and the kernel tells nobody.
    pub fn repair(&mut self, now: Instant) {
        self.owner.doubt();
        self.converge(now);
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
        self.owner.abandon();
    }

    pub(crate) fn waker(&self) -> reactor::Waker {
        self.reactor.waker()
    }

    /// Waits until [`Director::process`] has something to do, or the waker is used.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.reactor.wait(self.poll_timeout(), &mut self.batch)
    }

    fn release(&mut self) -> Result<(), StopError> {
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

    fn converge(&mut self, now: Instant) {
        let convergence = self.owner.converge(&self.pool.desired());
        self.report(now, convergence);
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

/// Leaves the other half to the program around us.
fn half_of_the_descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit / 2).ok()).unwrap_or(usize::MAX)
}

/// The inode of this thread's network namespace: IPVS tables belong to namespaces, and so do journals.
fn namespace_inode() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net")
        .map_or(0, |metadata| std::os::unix::fs::MetadataExt::ino(&metadata))
}
