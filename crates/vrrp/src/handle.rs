//! Orders to a router from other threads.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use reactor::Waker;
use vrrp_fsm::vrrp_proto::Priority;
use vrrp_fsm::{Condition, State, Ticket, Verdict, Why};

use crate::apply::ApplyError;
use crate::election::Election;
use crate::error::{RemoveError, SetTrackerError, Stopped, UnknownVirtualRouter};
use crate::guard::{Party, SharedGuard};
use crate::status::Status;
use crate::virtual_router::VirtualRouter;

/// Which virtual router: its place in the order they were added in.
pub(crate) type Index = usize;

/// Names one campaign, and the leadership that comes of it.
pub(crate) type CampaignId = u64;

/// What other threads ask of the router. Answers go through channels that never block it.
#[derive(Debug)]
pub(crate) enum Command {
    /// Be a candidate; tell when Master.
    Campaign {
        router: Index,
        campaign: CampaignId,
        reply: Sender<Granted>,
    },
    /// Lead if Master already, changing nothing.
    Lead {
        router: Index,
        campaign: CampaignId,
        reply: Sender<Result<Granted, Why>>,
    },
    /// The campaign was given up, or its leadership given back; tell when the addresses are gone.
    Resign {
        router: Index,
        campaign: CampaignId,
        released: Option<Sender<()>>,
    },
    Candidate {
        router: Index,
        candidate: bool,
    },
    Priority {
        router: Index,
        priority: Priority,
    },
    Restarted {
        router: Index,
        tracker: Arc<str>,
    },
    Tracker {
        router: Index,
        /// By name: the list may change while the order is on its way.
        tracker: Arc<str>,
        condition: Condition,
    },
    Ready {
        router: Index,
        ready: bool,
    },
    Remove {
        router: Index,
        released: Sender<()>,
    },
    Verdict {
        party: Party,
        ticket: Ticket,
        verdict: Verdict,
    },
    Apply {
        changed: Vec<(Index, VirtualRouter)>,
        reply: Sender<Result<(), ApplyError>>,
    },
    Status {
        reply: Sender<Status>,
    },
    Shutdown,
}

/// Answers without ever waiting. Each of these channels has room for its one answer; one whose receiver has given up and gone
/// needs none.
pub(crate) fn answer<T>(to: &Sender<T>, value: T) {
    match to.try_send(value) {
        Ok(()) | Err(_) => {}
    }
}

/// A mastership, on its way to the one who campaigned.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) term: u64,
    pub(crate) lost: Receiver<Lost>,
    /// Who may supply a fencing token.
    pub(crate) guard: Option<SharedGuard>,
}

/// We are not Master any more.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Lost {
    /// The state now; from [`State::Initialize`] only an end of the fault or a new campaign leads back.
    pub state: State,
    /// Why.
    pub why: Why,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} now: {}", self.state, self.why)
    }
}

/// Gives orders to a [`Router`](crate::Router) from any thread. Cheap to clone; it does not keep the router alive.
///
/// What waits for an answer ([`Handle::status`], [`Election::campaign`]) must not be called in the thread that steps the
/// router: nobody would answer. [`Router::status`](crate::Router::status) is for there.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: Sender<Command>,
    waker: Waker,
    names: Arc<[Names]>,
}

/// How one virtual router and its trackers are called.
#[derive(Debug)]
pub(crate) struct Names {
    virtual_router: Arc<str>,
    trackers: RwLock<Vec<Arc<str>>>,
}

impl Names {
    pub(crate) fn of(virtual_router: &VirtualRouter) -> Self {
        let trackers = RwLock::new(virtual_router.tracker_names());
        Self { virtual_router: Arc::clone(&virtual_router.name), trackers }
    }

    /// Its trackers are these from now on. The lock is held for a look at a short list, never for longer.
    fn set_trackers(&self, virtual_router: &VirtualRouter) {
        let mut trackers = self.trackers.write().unwrap_or_else(PoisonError::into_inner);
        *trackers = virtual_router.tracker_names();
    }
}

/// How long an answer of the router is waited for before it counts as gone. Its loop answers within milliseconds; this is
/// for a stopped or stuck one.
const PATIENCE: Duration = Duration::from_secs(10);

impl Handle {
    pub(crate) fn new(commands: Sender<Command>, waker: Waker, names: Arc<[Names]>) -> Self {
        Self { commands, waker, names }
    }

    /// The election of one virtual router.
    pub fn election(&self, virtual_router: &str) -> Result<Election, UnknownVirtualRouter> {
        let index = self.index(virtual_router)?;
        Ok(Election::new(self.clone(), index, Arc::from(virtual_router)))
    }

    /// The names of the virtual routers, in the order they were added in.
    pub fn virtual_routers(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|names| names.virtual_router.as_ref())
    }

    /// Says whether the service behind the addresses can serve. One that is not ready is not promoted, and releases if it
    /// is Master ([`Fault::NotReady`](vrrp_fsm::Fault::NotReady)).
    pub fn set_ready(&self, virtual_router: &str, ready: bool) -> Result<(), UnknownVirtualRouter> {
        let router = self.index(virtual_router)?;
        self.tell(Command::Ready { router, ready });
        Ok(())
    }

    /// Tells the condition of what a [`VirtualRouter::track`] watches.
    ///
    /// # Errors
    ///
    /// [`SetTrackerError`]: there is no such tracker.
    pub fn set_tracker(
        &self,
        virtual_router: &str,
        tracker: &str,
        condition: Condition,
    ) -> Result<(), SetTrackerError> {
        let (router, tracker) = self.tracker(virtual_router, tracker)?;
        self.tell(Command::Tracker { router, tracker, condition });
        Ok(())
    }

    /// Tells that the service behind a tracker of [`VirtualRouter::track_restarts`] was restarted, at this moment. For another tracker
    /// it means nothing.
    ///
    /// # Errors
    ///
    /// [`SetTrackerError`]: there is no such tracker.
    pub fn note_restart(&self, virtual_router: &str, tracker: &str) -> Result<(), SetTrackerError> {
        let (router, tracker) = self.tracker(virtual_router, tracker)?;
        self.tell(Command::Restarted { router, tracker });
        Ok(())
    }

    fn tracker(
        &self,
        virtual_router: &str,
        tracker: &str,
    ) -> Result<(Index, Arc<str>), SetTrackerError> {
        let router = self.index(virtual_router)?;
        let known = self
            .names
            .get(router)
            .map(|names| names.trackers.read().unwrap_or_else(PoisonError::into_inner).clone());
        let known = known.unwrap_or_default();
        let found = known.iter().find(|name| name.as_ref() == tracker);
        let found = found.ok_or_else(|| SetTrackerError::Tracker {
            virtual_router: virtual_router.to_owned(),
            name: tracker.to_owned(),
            existing: known.iter().map(ToString::to_string).collect(),
        })?;
        Ok((router, Arc::clone(found)))
    }

    /// The trackers of a virtual router are those of its new configuration.
    pub(crate) fn follow(&self, router: Index, changed: &VirtualRouter) {
        if let Some(names) = self.names.get(router) {
            names.set_trackers(changed);
        }
    }

    /// Changes the priority that the trackers' weights are added to; without trackers the effective one. 0 is taken as 1:
    /// leaving is what [`Handle::set_candidate`] is for.
    pub fn set_priority(
        &self,
        virtual_router: &str,
        priority: u8,
    ) -> Result<(), UnknownVirtualRouter> {
        let router = self.index(virtual_router)?;
        self.tell(Command::Priority { router, priority: Priority::new(priority.max(1)) });
        Ok(())
    }

    /// Stands for election, or no longer does, without anyone waiting for the result.
    pub fn set_candidate(
        &self,
        virtual_router: &str,
        candidate: bool,
    ) -> Result<(), UnknownVirtualRouter> {
        let router = self.index(virtual_router)?;
        self.tell(Command::Candidate { router, candidate });
        Ok(())
    }

    /// Gives the virtual router of the same name another configuration, without leaving the election, and waits until it has it:
    /// [`Router::apply`](crate::Router::apply) from any thread.
    ///
    /// ```no_run
    /// # use vrrp::{Router, VirtualRouter, Vrid};
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0").address("192.0.2.100/24".parse()?);
    /// let router = Router::builder().virtual_router(web.clone()).start()?;
    /// router.handle().apply(web.address("192.0.2.101/24".parse()?))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; nothing has changed then.
    pub fn apply(&self, changed: VirtualRouter) -> Result<(), ApplyError> {
        self.apply_all([changed])
    }

    /// [`Router::apply_all`](crate::Router::apply_all) from any thread.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; nothing has changed then.
    pub fn apply_all(
        &self,
        changed: impl IntoIterator<Item = VirtualRouter>,
    ) -> Result<(), ApplyError> {
        let changed = changed.into_iter();
        let changed: Vec<_> = changed
            .map(|one| Ok((self.index(&one.name)?, one)))
            .collect::<Result<_, UnknownVirtualRouter>>()?;
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(Command::Apply { changed, reply })?;
        answer.recv_timeout(PATIENCE).unwrap_or(Err(ApplyError::Stopped(Stopped)))
    }

    /// Takes a virtual router out of service for good, and waits until its addresses and its journal are given back: another
    /// [`Router`](crate::Router), in this process or elsewhere, can run it then. It sends priority 0 if it is Master. Its name stays
    /// known, without any effect. Members of a sync group should leave together: the group cannot be Master without one of them.
    ///
    /// # Errors
    ///
    /// [`RemoveError`].
    pub fn remove(&self, virtual_router: &str) -> Result<(), RemoveError> {
        let router = self.index(virtual_router)?;
        let (released, answer) = crossbeam_channel::bounded(1);
        self.send(Command::Remove { router, released })?;
        answer.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => RemoveError::Timeout {
                virtual_router: virtual_router.to_owned(),
                timeout: PATIENCE,
            },
            RecvTimeoutError::Disconnected => RemoveError::Stopped(Stopped),
        })
    }

    /// What the router does at this moment, and why.
    pub fn status(&self) -> Result<Status, Stopped> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(Command::Status { reply })?;
        match answer.recv_timeout(PATIENCE) {
            Ok(status) => Ok(status),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }

    /// Asks the router to end: to release everything and stop. Returns at once.
    pub fn request_shutdown(&self) {
        self.tell(Command::Shutdown);
    }

    pub(crate) fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).map_err(|_| Stopped)?;
        self.waker.wake();
        Ok(())
    }

    /// For orders that have no answer: a router that is gone has nothing left to be changed.
    pub(crate) fn tell(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            self.waker.wake();
        }
    }

    pub(crate) fn index(&self, name: &str) -> Result<Index, UnknownVirtualRouter> {
        self.virtual_routers().position(|known| known == name).ok_or_else(|| UnknownVirtualRouter {
            name: name.to_owned(),
            existing: self.virtual_routers().map(ToOwned::to_owned).collect(),
        })
    }
}
