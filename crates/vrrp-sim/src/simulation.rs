use core::{net::IpAddr, time::Duration};

use fastrand::Rng;
use vrrp_fsm::{
    Config, ConfigError, EffectId, Instant, MAX_DATAGRAM_LEN, Output, PathId, State, Ticket,
    Verdict, VirtualRouter, Wanted,
};

use crate::{
    Conditions, Invariant, Link, RouterId, Subject, Tally, Timeline, Violation, What,
    host::{Host, Packet},
    invariants::Checker,
    local_clock::LocalClock,
    network::Network,
    process::Group,
    queue::Queue,
    settle::DualWatch,
    witness::History,
};

/// Routers on one link, in virtual time.
///
/// Everything that looks like chance comes from the seed: the same calls on a simulation of the same
/// seed give the same run, to the nanosecond. After every step of every machine the
/// [`Invariant`](crate::Invariant)s are checked; whatever steps a machine returns the [`Violation`].
#[derive(Debug)]
pub struct Simulation {
    pub(crate) seed: u64,
    pub(crate) rng: Rng,
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) queue: Queue<Event>,
    pub(crate) tally: Tally,
    pub(crate) timeline: Option<Timeline>,
    pub(crate) duals: DualWatch,
    /// The latest packet sent, a model for forgeries.
    pub(crate) latest: Option<Packet>,
    /// How many state changes there were, also of machines that are gone.
    pub(crate) transitions: u64,
    /// How many answers led to what the step under way sends.
    pub(crate) answers: u32,
    /// How many inputs the machines were given.
    pub(crate) events: u64,
    /// How many advertisements were sent.
    pub(crate) serial: u64,
    pub(crate) outputs: Vec<Output>,
    pub(crate) buffer: Vec<u8>,
    pub(crate) watch: Option<Watch>,
    pub(crate) groups: Vec<Group>,
}

/// A property of the user's own.
pub(crate) struct Watch(Box<Property>);

type Property = dyn FnMut(&Simulation) -> Result<(), String>;

impl core::fmt::Debug for Watch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Watch")
    }
}

/// What is bound to happen to a router.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Arrives { to: RouterId, packet: Packet },
    Verdict { on: RouterId, incarnation: u32, ticket: Ticket, verdict: Verdict },
    AddressesDone { on: RouterId, incarnation: u32, id: EffectId, wanted: Wanted },
}

impl Simulation {
    /// An empty link. Its [`Timeline`] is recorded.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: Rng::with_seed(seed),
            now: Instant::ZERO,
            hosts: Vec::new(),
            network: Network::default(),
            queue: Queue::new(),
            tally: Tally::default(),
            timeline: Some(Timeline::default()),
            duals: DualWatch::default(),
            latest: None,
            transitions: 0,
            events: 0,
            answers: 0,
            serial: 0,
            outputs: Vec::new(),
            buffer: vec![0; MAX_DATAGRAM_LEN],
            watch: None,
            groups: Vec::new(),
        }
    }

    /// The same without a timeline, for runs so long that it would fill the memory.
    #[must_use]
    pub fn without_timeline(mut self) -> Self {
        self.timeline = None;
        self
    }

    /// Has `property` look at the simulation after every step of every machine and every act, for what
    /// else has to hold: something you run on top of the election, stepped here, may look at the states
    /// of its routers and complain. It replaces an earlier one.
    ///
    /// An error is an [`Invariant::Watched`](crate::Invariant::Watched) that is broken, and ends the run.
    #[must_use]
    pub fn watched(mut self, property: impl FnMut(&Self) -> Result<(), String> + 'static) -> Self {
        self.watch = Some(Watch(Box::new(property)));
        self
    }

    /// Shows the simulation to whoever watches.
    pub(crate) fn be_watched(&mut self) -> Result<(), Violation> {
        let Some(mut watch) = self.watch.take() else { return Ok(()) };
        let result = (watch.0)(self);
        self.watch = Some(watch);
        result.map_err(|found| self.violation(None, (Invariant::Watched, found)))
    }

    /// Adds a router that sends from `source`. It does not run until [`start`](Self::start).
    ///
    /// # Errors
    /// What [`VirtualRouter::new`] refuses.
    pub fn add_router(
        &mut self,
        name: &str,
        config: Config,
        source: IpAddr,
    ) -> Result<RouterId, ConfigError> {
        VirtualRouter::new(config.clone(), 0)?;
        let id = RouterId::from_index(self.hosts.len());
        // No two hosts agree on the time, nor do their clocks run equally fast.
        let (epoch, own_drift) = (self.rng.u64(..1 << 50), self.rng.i32(-50..=50));
        self.hosts.push(Host {
            name: name.to_owned(),
            checker: Checker::new(&config),
            config,
            seed: self.rng.u64(..),
            source,
            more_sources: Vec::new(),
            clock: LocalClock::new(epoch, own_drift),
            own_drift,
            conditions: Conditions::default(),
            machine: None,
            incarnation: 0,
            paused: false,
            link_up: true,
            link_told_up: true,
            receive_queue: std::collections::VecDeque::new(),
            overflowed: false,
            effect: None,
            finished: Vec::new(),
            hanging: Vec::new(),
            installed: false,
            deadline: None,
            wake_at: None,
            history: History::default(),
        });
        self.network.add_router();
        if let Some(timeline) = &mut self.timeline {
            timeline.add_router(name);
        }
        Ok(id)
    }

    /// Gives a router its own address on its next path; the first one it was added with. All routers
    /// of an election have the same paths, and each other as named peers.
    pub fn add_path(&mut self, id: RouterId, source: IpAddr) {
        let Some(host) = self.host_mut(id) else { return };
        host.more_sources.push(source);
        let paths = host.more_sources.len() + 1;
        self.network.add_paths(paths);
    }

    /// Sets what the links of one path do that have no own setting.
    pub fn set_path_links(&mut self, path: PathId, link: Link) {
        self.network.set_path_default(path, link);
    }

    /// Sets what all links do that have no own setting, of all paths.
    pub fn set_links(&mut self, link: Link) {
        self.network.set_default(link);
    }

    /// Sets what the way from one router to another does.
    pub fn set_link(&mut self, from: RouterId, to: RouterId, link: Link) {
        self.network.set_link(from, to, link);
    }

    /// Sets what a router's surroundings are like.
    pub fn set_conditions(&mut self, id: RouterId, conditions: Conditions) {
        let now = self.now;
        if let Some(host) = self.host_mut(id) {
            let drifts = host.conditions.clock_drift != conditions.clock_drift;
            host.set_conditions(now, conditions);
            if drifts {
                self.count(Subject::Fault, "clock drift");
                for other in self.process(id).into_iter().filter(|other| *other != id) {
                    if let Some(host) = self.host_mut(other) {
                        let clock_drift = conditions.clock_drift;
                        host.set_conditions(now, Conditions { clock_drift, ..host.conditions });
                    }
                }
            }
        }
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        let end = self.now + duration;
        while self.advance(end)? {}
        Ok(())
    }

    /// Lets time pass until `condition` holds, for `limit` at most. Tells how long it took, or `None` if
    /// it never held. `condition` is asked after every step.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn run_until(
        &mut self,
        limit: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Result<Option<Duration>, Violation> {
        let (start, end) = (self.now, self.now + limit);
        loop {
            if condition(self) {
                return Ok(Some(self.now.saturating_duration_since(start)));
            }
            if !self.advance(end)? {
                return Ok(None);
            }
        }
    }

    /// Carries out the next thing due until `end`; whether there was one. At equal times datagrams
    /// come before deadlines.
    fn advance(&mut self, end: Instant) -> Result<bool, Violation> {
        let wake = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, host)| host.runs())
            .filter_map(|(index, host)| Some((host.wake_at?, RouterId::from_index(index))))
            .min();
        let event = self.queue.next_at();
        let wake_first = match (wake, event) {
            (Some((wake_at, _)), Some(event_at)) => wake_at < event_at,
            (wake, _) => wake.is_some(),
        };
        if let Some((at, id)) = wake.filter(|(at, _)| wake_first && *at <= end) {
            self.now = self.now.max(at);
            self.wake(id)?;
            return Ok(true);
        }
        if !wake_first
            && event.is_some_and(|at| at <= end)
            && let Some((at, event)) = self.queue.pop()
        {
            self.now = self.now.max(at);
            self.happen(event)?;
            return Ok(true);
        }
        self.now = self.now.max(end);
        if let Some(timeline) = &mut self.timeline {
            timeline.set_end(self.now);
        }
        Ok(false)
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The time that has passed since the beginning.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many routers there are times how long they were watched: what a campaign is measured by.
    #[must_use]
    pub fn router_time(&self) -> Duration {
        let count = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        self.now.saturating_duration_since(Instant::ZERO) * count
    }

    /// How many inputs the machines were given so far, each followed by all checks.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// All routers, in the order they were added.
    pub fn routers(&self) -> impl Iterator<Item = RouterId> + use<> {
        (0..self.hosts.len()).map(RouterId::from_index)
    }

    /// The name given to a router.
    #[must_use]
    pub fn name(&self, id: RouterId) -> &str {
        self.host(id).map_or("?", |host| &host.name)
    }

    /// The machine of a router, if its process runs.
    #[must_use]
    pub fn machine(&self, id: RouterId) -> Option<&VirtualRouter> {
        self.host(id)?.machine.as_ref()
    }

    /// Whether the process of a router runs, and does not stand still.
    #[must_use]
    pub fn is_running(&self, id: RouterId) -> bool {
        self.host(id).is_some_and(Host::runs)
    }

    /// Whether the virtual addresses are on the router's interface, whoever put them there.
    #[must_use]
    pub fn has_addresses(&self, id: RouterId) -> bool {
        self.host(id).is_some_and(|host| host.installed)
    }

    /// The routers whose machine is Master, paused ones included.
    pub fn masters(&self) -> impl Iterator<Item = RouterId> {
        self.hosts.iter().enumerate().filter_map(|(index, host)| {
            let machine = host.machine.as_ref()?;
            (machine.state() == State::Master).then(|| RouterId::from_index(index))
        })
    }

    /// The routers that have the virtual addresses on their interface.
    pub fn holders(&self) -> impl Iterator<Item = RouterId> {
        let holders = self.hosts.iter().enumerate().filter(|(_, host)| host.installed);
        holders.map(|(index, _)| RouterId::from_index(index))
    }

    /// What happened how often.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What happened when; `None` [without a timeline](Self::without_timeline).
    #[must_use]
    pub fn timeline(&self) -> Option<&Timeline> {
        self.timeline.as_ref()
    }

    /// Adds a line to the timeline.
    pub fn remark(&mut self, text: &str) {
        self.note(None, || What::Remark(text.to_owned()));
    }

    pub(crate) fn host(&self, id: RouterId) -> Option<&Host> {
        self.hosts.get(id.index())
    }

    pub(crate) fn host_mut(&mut self, id: RouterId) -> Option<&mut Host> {
        self.hosts.get_mut(id.index())
    }

    pub(crate) fn note(&mut self, router: Option<RouterId>, what: impl FnOnce() -> What) {
        if let Some(timeline) = &mut self.timeline {
            timeline.note(self.now, router, what());
        }
    }

    pub(crate) fn count(&mut self, subject: Subject, what: &'static str) {
        self.tally.add(subject, what);
    }
}
