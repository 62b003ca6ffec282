//! The loop: one thread, one epoll, one heap of deadlines, any number of virtual routers.
//!
//! The order of a turn is the safety argument. Datagrams that are already queued are read before any
//! deadline is acted upon: after a pause (SIGSTOP, a frozen cgroup, a stalled host) a Backup must hear
//! the Master's advertisements before it believes in its silence. A flood on one interface must neither
//! silence a Master nor delay another interface: at most `BUDGET` datagrams a socket are read in a turn,
//! due advertisements of Masters go out after every `FAIRNESS` of them, and only those who live on a socket
//! with unread datagrams wait for them, up to `MAX_BACKLOG` (all three in `receive.rs`).
//!
//! What is due together leaves together: first everyone's advertisements, by few system calls, then what
//! takes longer.

mod deadlines;
mod receive;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant as Moment;

use crossbeam_channel::Receiver;
use reactor::{Clock, Reactor, Timers, Token};
use vip_netlink::{Monitor, PresentAddress};
use vrrp_fsm::{Counter, Demux, Instant, Key, PathId, Route, SyncGroup};

use crate::builder::RouterBuilder;
use crate::error::ShutdownError;
use crate::event::Events;
use crate::guard::Party;
use crate::handle::{Command, Handle};
use crate::instance::{Instance, Shared};
use crate::kernel::Changes;
use crate::namespace::Namespace;
use crate::outbox::Outcome;
use crate::status::Status;
use crate::sync_group::SyncGroups;
use crate::sys::Batch;

pub(crate) const MONITOR: Token = Token(u64::MAX);

pub(crate) fn port_token(index: usize) -> Token {
    Token(u64::try_from(index).unwrap_or(u64::MAX - 1))
}

/// A VRRP router: any number of virtual routers over few sockets.
///
/// Step-able: readable by [`AsFd`] or due by [`Router::poll_timeout`], call [`Router::process`]. It makes no thread;
/// [`Router::start`] does, and [`RouterBuilder::start`] is the short way there. It belongs to the network namespace in
/// which it was built. Dropping it releases everything, as [`Router::shutdown`] does.
pub struct Router {
    pub(crate) reactor: Reactor,
    ready: reactor::Events,
    /// The namespace that it was built in, if that is not the caller's.
    pub(crate) namespace: Option<Namespace>,
    pub(crate) monitor: Monitor,
    /// As soon as somebody has routes or rules.
    pub(crate) route_monitor: Option<Monitor>,
    pub(crate) shared: Shared,
    pub(crate) instances: Vec<Instance>,
    groups: SyncGroups,
    demux: Demux,
    /// The virtual addresses by the kernel's key: of which virtual router, at which place.
    pub(crate) virtual_addresses: BTreeMap<(u32, IpAddr, u8), Vec<(usize, usize)>>,
    /// The virtual routers that have routes or rules: few.
    pub(crate) companions: Vec<usize>,
    timers: Timers<Party, Instant>,
    commands: Receiver<Command>,
    handle: Handle,
    batch: Batch,
    /// By port: how many datagrams were read since nothing was left unread; 0 when nothing is, `MAX_BACKLOG` when it is given up.
    backlogs: Vec<usize>,
    /// Ports with something to read, and virtual routers with something due: kept for their memory.
    readable: Vec<usize>,
    due: Vec<usize>,
    due_groups: Vec<usize>,
    /// Masters whose advertisement goes out with those that are due, and when it would be due itself.
    early: Vec<(usize, Instant)>,
    outcomes: Vec<Outcome>,
    pub(crate) changes: Changes,
    /// When what could not be done about the changes is tried again.
    pub(crate) look_at: Option<Instant>,
    overflows: u64,
    overflow_told: Option<Instant>,
    pub(crate) stopping: bool,
    pub(crate) ended: bool,
    release_timeout: Duration,
}

impl core::fmt::Debug for Router {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names: Vec<&str> = self.handle.virtual_routers().collect();
        f.debug_struct("Router").field("virtual_routers", &names).finish_non_exhaustive()
    }
}

impl Router {
    /// Starts to describe a router.
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    pub(crate) fn new(
        reactor: Reactor,
        monitor: Monitor,
        shared: Shared,
        instances: Vec<Instance>,
        groups: SyncGroups,
        (commands, handle): (Receiver<Command>, Handle),
        release_timeout: Duration,
    ) -> Self {
        let ready = reactor::Events::with_capacity(shared.ports.len() + 2);
        let mut router = Self {
            reactor,
            ready,
            namespace: None,
            monitor,
            route_monitor: None,
            shared,
            instances,
            groups,
            demux: Demux::new(),
            virtual_addresses: BTreeMap::new(),
            companions: Vec::new(),
            timers: Timers::new(),
            commands,
            handle,
            batch: Batch::new(),
            backlogs: Vec::new(),
            readable: Vec::new(),
            due: Vec::new(),
            due_groups: Vec::new(),
            early: Vec::new(),
            outcomes: Vec::new(),
            changes: Changes::default(),
            look_at: None,
            overflows: 0,
            overflow_told: None,
            stopping: false,
            ended: false,
            release_timeout,
        };
        for (index, instance) in router.instances.iter_mut().enumerate() {
            instance.index = index;
        }
        router.index();
        router
    }

    /// Notes by what the datagrams and the addresses of each virtual router are known.
    pub(crate) fn index(&mut self) {
        self.virtual_addresses.clear();
        let with = |(index, instance): (usize, &Instance)| {
            (!instance.addresses.companions.is_empty()).then_some(index)
        };
        self.companions = self.instances.iter().enumerate().filter_map(with).collect();
        for (index, instance) in self.instances.iter().enumerate() {
            self.demux.remove_router(index);
            for (key, path) in keys(instance, &self.shared) {
                self.demux.insert(key, Route { router: index, path });
            }
            for (place, held) in instance.addresses.held.iter().enumerate() {
                self.virtual_addresses.entry(held.address.key()).or_default().push((index, place));
            }
        }
    }

    /// Orders and questions from other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What happens, in order. See [`Events`].
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.events.events()
    }

    /// What it does at this moment, and why.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            virtual_routers: self
                .instances
                .iter()
                .filter(|instance| !instance.removed)
                .map(|instance| instance.status(&self.shared))
                .collect(),
            sync_groups: self.groups.status(&self.instances),
            unclaimed: Counter::ALL
                .into_iter()
                .map(|cause| (cause, self.demux.discarded(cause)))
                .collect(),
            receive_queue_overflows: self.overflows,
            events_dropped: self.shared.events.events().dropped(),
        }
    }

    /// The moment by which [`Router::process`] wants to be called, readable or not.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let next = [self.timers.next_deadline(), self.look_at].into_iter().flatten().min();
        next.map(|at| self.shared.clock.instant_of(at.as_nanos()))
    }

    /// Does all that can be done now, without waiting: reads sockets, obeys orders, acts on deadlines. An address change of
    /// the kernel takes about a millisecond of it at most; more is left for the next call.
    ///
    /// # Errors
    ///
    /// Only what makes the event loop impossible. What concerns one virtual router is its machine's business.
    pub fn process(&mut self) -> io::Result<()> {
        self.at_home(|router| router.turn(Some(Clock::now())))?
    }

    /// Does something in the network namespace that it was built in.
    pub(crate) fn at_home<T>(&mut self, job: impl FnOnce(&mut Self) -> T) -> io::Result<T> {
        let Some(namespace) = self.namespace.take() else { return Ok(job(self)) };
        let result = namespace.visit(|| job(self));
        self.namespace = Some(namespace);
        result
    }

    /// Runs it in a thread of its own.
    ///
    /// # Errors
    ///
    /// [`BuildError::Thread`](crate::BuildError::Thread).
    pub fn start(self) -> Result<crate::RunningRouter, crate::BuildError> {
        crate::RunningRouter::start(self, crate::Scheduling::default())
    }

    /// Releases everything and ends, within [`RouterBuilder::release_timeout`].
    ///
    /// # Errors
    ///
    /// [`ShutdownError::Timeout`] names what could not be removed.
    pub fn shutdown(mut self) -> Result<(), ShutdownError> {
        self.release_at_home()
    }

    fn release_at_home(&mut self) -> Result<(), ShutdownError> {
        let released = self.at_home(Self::release);
        released.unwrap_or_else(|error| Err(ShutdownError::Loop { error: error.to_string() }))
    }

    pub(crate) const fn release_timeout(&self) -> Duration {
        self.release_timeout
    }

    /// An order to shut down has come.
    pub(crate) const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// One turn of the loop, which waits for its first event until the next deadline.
    pub(crate) fn wait_and_process(&mut self) -> io::Result<()> {
        self.turn(self.poll_timeout())
    }

    /// The state of the world at the start: links, sources, candidates.
    pub(crate) fn begin(&mut self, present: &[PresentAddress]) {
        self.warn_of_foreign();
        self.apply_links();
        self.apply_sources(present);
        for index in 0..self.instances.len() {
            self.with(index, Instance::begin);
        }
    }

    /// Releases everything, for at most the release timeout.
    pub(crate) fn release(&mut self) -> Result<(), ShutdownError> {
        (self.stopping, self.ended) = (true, true);
        for index in 0..self.instances.len() {
            self.with(index, Instance::shut_down);
        }
        let until = Clock::now() + self.release_timeout;
        while !self.instances.iter().all(Instance::is_released) {
            if Clock::now() >= until {
                self.shared.refusal.keep();
                return Err(ShutdownError::Timeout {
                    timeout: self.release_timeout,
                    remaining: self.remaining(),
                });
            }
            let next = self.poll_timeout().map_or(until, |next| next.min(until));
            self.turn(Some(next))
                .map_err(|error| ShutdownError::Loop { error: error.to_string() })?;
        }
        self.remove_surroundings();
        if let Some(testator) = &mut self.shared.testator {
            testator.say_goodbye();
        }
        Ok(())
    }

    fn remaining(&self) -> Vec<(String, Vec<String>)> {
        let unreleased = self.instances.iter().filter(|instance| !instance.is_released());
        unreleased
            .map(|instance| (instance.name.to_string(), instance.held(&self.shared)))
            .collect()
    }

    fn turn(&mut self, until: Option<Moment>) -> io::Result<()> {
        self.reactor.wait(until, &mut self.ready)?;
        let mut news = false;
        while let Some(event) = self.ready.next(&self.reactor) {
            match event.token() {
                MONITOR => news = true,
                Token(port) => self.readable.extend(usize::try_from(port)),
            }
        }
        for port in core::mem::take(&mut self.readable) {
            self.receive(port);
        }
        if news || self.look_at.is_some_and(|at| at <= self.shared.now()) {
            self.follow_kernel()?;
        }
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command);
        }
        self.act_on_deadlines();
        if core::mem::take(&mut self.shared.doubt) {
            self.doubt_addresses();
        }
        Ok(())
    }

    /// Sends what waits, and tells the machines what became of it.
    fn finish_sends(&mut self) {
        while !self.shared.outbox.is_empty() {
            self.shared.transmit();
            let now = self.shared.now();
            let mut outcomes = core::mem::take(&mut self.outcomes);
            self.shared.outbox.take_outcomes(&mut outcomes);
            for Outcome { router, path, result } in outcomes.drain(..) {
                let Some(instance) = self.instances.get_mut(router) else { continue };
                if instance.handle_send(now, path, result, &mut self.shared) || result.is_err() {
                    let all = (self.instances.as_mut_slice(), &mut self.groups);
                    conclude((router, now), all, &mut self.shared, &mut self.timers);
                }
            }
            self.outcomes = outcomes;
        }
    }

    /// Lets one virtual router act, sends what it has to say, and notes its next deadline.
    pub(crate) fn with(&mut self, index: usize, act: impl FnOnce(&mut Instance, &mut Shared)) {
        self.act(index, act);
        self.finish_sends();
    }

    /// The same where many act, one after the other: what they have to say is sent by [`Router::finish_sends`].
    fn act(&mut self, index: usize, act: impl FnOnce(&mut Instance, &mut Shared)) {
        if let Some(instance) = self.instances.get_mut(index) {
            act(instance, &mut self.shared);
            let now = self.shared.now();
            let all = (self.instances.as_mut_slice(), &mut self.groups);
            conclude((index, now), all, &mut self.shared, &mut self.timers);
        }
    }

    /// Gives a sync group an input; its members act upon what follows.
    pub(crate) fn with_group(&mut self, group: usize, act: impl FnOnce(&mut SyncGroup, Instant)) {
        let (shared, timers) = (&mut self.shared, &mut self.timers);
        self.groups.with(group, act, &mut self.instances, shared, |party, at| {
            schedule(party, at, timers);
        });
        self.finish_sends();
    }
}

/// By what the datagrams of a virtual router are known, on which path.
fn keys(instance: &Instance, shared: &Shared) -> Vec<(Key, PathId)> {
    let config = instance.machine.config();
    let (family, vrid) = (config.family, config.vrid);
    let mut keys = Vec::new();
    for ((path, port), known) in instance.paths().zip(instance.settings.listens()) {
        let interface = shared.ports.get(port).map_or(0, |port| port.device.index);
        let key = |(_, peer)| (Key { interface, family, vrid, peer }, path);
        keys.extend(known.into_iter().map(key));
    }
    keys
}

/// What follows from an input of a virtual router: for its sync group, and for the deadlines.
fn conclude(
    (index, now): (usize, Instant),
    (instances, groups): (&mut [Instance], &mut SyncGroups),
    shared: &mut Shared,
    timers: &mut Timers<Party, Instant>,
) {
    groups.settle(index, instances, shared, |party, at| schedule(party, at, timers));
    if let Some(instance) = instances.get(index) {
        let (party, at) = (Party::Router(index), instance.poll_timeout(shared));
        // Each advertisement of its Master moves the deadline of a Backup back. It stays where it is while that is far away, and
        // is moved when it comes near.
        let left = |at: Instant| at.saturating_duration_since(now);
        let is_far = |old| at.is_some_and(|at| old <= at && left(at) / 4 < left(old));
        if !timers.deadline(&party).is_some_and(is_far) {
            schedule(party, at, timers);
        }
    }
}

fn schedule(party: Party, at: Option<Instant>, timers: &mut Timers<Party, Instant>) {
    match at {
        Some(at) => timers.set(party, at),
        None => timers.cancel(&party),
    };
}

impl AsFd for Router {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reactor.as_fd()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = self.release_at_home()
        {
            log::error!("a VRRP router was dropped and could not release everything: {error}");
        }
    }
}
