//! A router on its own thread.

use core::time::Duration;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::election::Election;
use crate::error::{BuildError, ShutdownError, Stopped, UnknownVirtualRouter};
use crate::event::Events;
use crate::handle::Handle;
use crate::router::Router;
use crate::scheduling::Scheduling;
use crate::status::Status;

/// What the thread's own bound on its release is exceeded by before it is given up: one netlink request may be
/// in the kernel meanwhile.
const GRACE: Duration = Duration::from_secs(2);

/// A [`Router`] that runs in a thread of its own. Dropping it shuts it down.
#[derive(Debug)]
pub struct RunningRouter {
    handle: Handle,
    events: Events,
    ended: Receiver<Result<(), ShutdownError>>,
    thread: Option<JoinHandle<()>>,
    release_timeout: Duration,
}

impl RunningRouter {
    pub(crate) fn start(mut router: Router, scheduling: Scheduling) -> Result<Self, BuildError> {
        let (handle, events) = (router.handle(), router.events());
        let release_timeout = router.release_timeout();
        let (tell, ended) = crossbeam_channel::bounded(1);
        let namespace = router.namespace.take();
        let run = move || {
            if let Err(error) = scheduling.apply() {
                // It could be had a moment ago.
                log::error!("the VRRP router's thread is scheduled as any other: {error}");
            }
            let result = run(router);
            // Nobody listens any more when the owner gave up waiting.
            drop(tell.send(result));
        };
        let spawn = || std::thread::Builder::new().name("vrrp".to_owned()).spawn(run);
        // A thread lives in the network namespace of the one that starts it.
        let thread = match namespace {
            Some(namespace) => {
                namespace.visit(spawn).map_err(|source| BuildError::Namespace { source })?
            }
            None => spawn(),
        };
        let thread = thread.map_err(|source| BuildError::Thread { source })?;
        Ok(Self { handle, events, ended, thread: Some(thread), release_timeout })
    }

    /// The election of one virtual router.
    pub fn election(&self, virtual_router: &str) -> Result<Election, UnknownVirtualRouter> {
        self.handle.election(virtual_router)
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What happens, in order. See [`Events`].
    #[must_use]
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// What the router does at this moment, and why.
    pub fn status(&self) -> Result<Status, Stopped> {
        self.handle.status()
    }

    /// Ends it: every Master sends priority 0 and removes its addresses; then the thread is joined.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::Timeout`] names what could not be removed within
    /// [`RouterBuilder::release_timeout`](crate::RouterBuilder::release_timeout).
    pub fn shutdown(mut self) -> Result<(), ShutdownError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ShutdownError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.handle.request_shutdown();
        let result = self.ended.recv_timeout(self.release_timeout + GRACE);
        if let Err(RecvTimeoutError::Timeout) = result {
            return Err(ShutdownError::Timeout {
                timeout: self.release_timeout + GRACE,
                remaining: Vec::new(),
            });
        }
        match (thread.join(), result) {
            (Ok(()), Ok(result)) => result,
            (Ok(()) | Err(_), _) => Err(ShutdownError::Panicked),
        }
    }
}

impl Drop for RunningRouter {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            log::error!("the VRRP router did not end cleanly: {error}");
        }
    }
}

/// The thread. Whatever ends the loop, what is held is released.
fn run(mut router: Router) -> Result<(), ShutdownError> {
    let looped = loop {
        match router.wait_and_process() {
            Ok(()) if router.is_stopping() => break Ok(()),
            Ok(()) => {}
            Err(error) => break Err(ShutdownError::Loop { error: error.to_string() }),
        }
    };
    router.release().and(looped)
}
