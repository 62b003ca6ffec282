//! The sentinel: a small process that outlives this one for a moment, and says farewell for a Master that was killed.
//!
//! ```text
//!  worker: Router                               sentinel: serve_as_sentinel
//!    testament (a memory file) -- descriptor -->  reads it when the worker has died
//!    socket ------------------------------------  "ready"; "bye" when the worker ends in order
//!    keeper thread: starts it, starts it again    pidfd of the worker
//! ```

mod keeper;
mod serve;
mod testament;
mod will;

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) use keeper::Keeper;
pub(crate) use serve::pause;
pub use serve::{ServeError, Served, serve_as_sentinel};
pub(crate) use testament::Testament;
use will::{Farewell, Will};
pub(crate) use will::{add, begin};

/// The program that is started as sentinel: see [`RouterBuilder::sentinel`](crate::RouterBuilder::sentinel).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinel {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Sentinel {
    /// The program at this path: `vrrp-sentinel`, of the package of that name, or one of yours that calls
    /// [`serve_as_sentinel`]. It gets this process's identifier as its last argument.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new() }
    }

    /// Adds an argument before the process identifier.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}

/// What the worker has of it.
#[derive(Debug)]
pub(crate) struct Testator {
    pub(crate) testament: Testament,
    keeper: Keeper,
}

impl Testator {
    pub(crate) fn new(testament: Testament, keeper: Keeper) -> Self {
        Self { testament, keeper }
    }

    /// All is released: the sentinel has nothing to do. If this is not said, it acts when this is dropped.
    pub(crate) fn say_goodbye(&mut self) {
        self.keeper.say_goodbye();
    }
}
