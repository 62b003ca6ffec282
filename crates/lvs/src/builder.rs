//! How a director is made.

use core::time::Duration;
use std::path::PathBuf;

use healthcheck::Driver;
use reactor::{Clock, Interest, Reactor, Token};

use crate::config::Config;
use crate::director::{Director, OnDrift, Parts};
use crate::error::BuildError;
use crate::event::EventSink;
use crate::kernel::Kernel;
use crate::owner::{Foreign, Owner};
use crate::running::RunningDirector;

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
    audit: Option<(Duration, OnDrift)>,
}

impl DirectorBuilder {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            run_directory: PathBuf::from("/run/lvs"),
            name: "director".to_owned(),
            foreign: Foreign::default(),
            event_capacity: 1024,
            max_running_checks: None,
            seed: None,
            kernel: None,
            audit: None,
        }
    }

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

    /// Reads our services in the kernel this often, and says what to do about what others have changed in them; default never: the
    /// kernel tells nobody of a change, and an operator who changes a weight by hand means it.
    pub fn audit(self, interval: Duration, on_drift: OnDrift) -> Self {
        Self { audit: Some((interval, on_drift)), ..self }
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
    /// The kernel is unchanged after an error. A change that the kernel refuses is none: it becomes an [`EventKind::Refused`](crate::EventKind::Refused)
    /// and is tried again.
    pub fn build(self) -> Result<Director, BuildError> {
        self.config.validate(&[])?;
        let path = self.journal();
        let kernel = match self.kernel {
            Some(kernel) => kernel,
            None => Box::new(ipvs::Client::open()?),
        };
        let owner = Owner::open(kernel, &path, self.foreign)?;
        let seed = self
            .seed
            .unwrap_or_else(|| Clock::new().now_nanos() ^ (u64::from(std::process::id()) << 32));
        let mut driver = Driver::new(seed).map_err(|source| BuildError::Loop { source })?;
        driver.set_max_running(self.max_running_checks.unwrap_or_else(half_of_the_descriptors));
        let mut reactor = Reactor::new().map_err(|source| BuildError::Loop { source })?;
        reactor
            .register(&driver, Interest::Readable, Token(0))
            .map_err(|source| BuildError::Loop { source })?;
        let mut director = Director::new(Parts {
            reactor,
            driver,
            owner,
            events: EventSink::new(self.event_capacity),
            audit: self.audit,
            path,
        });
        director.apply(Clock::now(), self.config)?;
        Ok(director)
    }

    /// [`DirectorBuilder::build`], and then [`Director::spawn`].
    pub fn start(self) -> Result<RunningDirector, BuildError> {
        self.build()?.spawn().map_err(|source| BuildError::Thread { source })
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
