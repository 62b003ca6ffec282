//! From what the operator said to a router that runs: everything that can fail does so here, before the kernel is changed.

mod kernel;
mod parts;
mod unique;

use core::hash::{BuildHasher as _, Hasher as _};
use core::time::Duration;
use std::hash::RandomState;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use reactor::{Clock, Interest, Reactor};
use vip_netlink::{Announcer, Client, Monitor, Pacer};
use vrrp_fsm::{GuardConfig, Verdict};

use crate::addresses::{Addresses, Companions};
use crate::error::BuildError;
use crate::guard::{Guard, GuardThread, Party, Question, SharedGuard};
use crate::handle::{Handle, Names};
use crate::instance::{Instance, Shared};
use crate::links::Links;
use crate::namespace::Namespace;
use crate::outbox::Outbox;
use crate::port::Port;
use crate::refusal::Refusal;
use crate::route::companions;
use crate::router::{self, Router};
use crate::running::RunningRouter;
use crate::scheduling::Scheduling;
use crate::sentinel::{Keeper, Sentinel, Testament, Testator};
use crate::sync_group::SyncGroups;
use crate::virtual_router::VirtualRouter;
pub(crate) use kernel::{find, held, network_namespace};
use kernel::{may_change_addresses, open_journal};
pub(crate) use unique::check_unique;

/// How long the sentinel of a predecessor is waited for.
const SENTINEL_PATIENCE: Duration = Duration::from_secs(2);

/// Where journals are kept unless [`RouterBuilder::run_directory`] says otherwise.
const RUN_DIRECTORY: &str = "/run/vrrp";

/// Collects virtual routers and makes a [`Router`] of them.
#[derive(Debug)]
#[must_use = "a builder does nothing before build() or start()"]
pub struct RouterBuilder {
    virtual_routers: Vec<VirtualRouter>,
    sync_groups: Vec<SyncGroup>,
    /// By the names of the groups.
    group_guards: Vec<(Arc<str>, GuardConfig, SharedGuard)>,
    run_directory: PathBuf,
    release_timeout: Duration,
    scheduling: Scheduling,
    event_capacity: Option<usize>,
    remove_orphans: bool,
    namespace: Option<Namespace>,
    sentinel: Option<Sentinel>,
}

/// What an operator says about one sync group.
#[derive(Debug)]
pub(crate) struct SyncGroup {
    pub(crate) name: Arc<str>,
    /// The names of virtual routers.
    pub(crate) members: Vec<String>,
    pub(crate) guard: Option<(GuardConfig, SharedGuard)>,
}

impl Default for RouterBuilder {
    fn default() -> Self {
        Self {
            virtual_routers: Vec::new(),
            sync_groups: Vec::new(),
            group_guards: Vec::new(),
            run_directory: PathBuf::from(RUN_DIRECTORY),
            release_timeout: Duration::from_secs(5),
            scheduling: Scheduling::default(),
            event_capacity: None,
            remove_orphans: false,
            namespace: None,
            sentinel: None,
        }
    }
}

impl RouterBuilder {
    /// Adds a virtual router.
    pub fn virtual_router(mut self, virtual_router: VirtualRouter) -> Self {
        self.virtual_routers.push(virtual_router);
        self
    }

    /// Adds virtual routers.
    pub fn virtual_routers(
        mut self,
        virtual_routers: impl IntoIterator<Item = VirtualRouter>,
    ) -> Self {
        self.virtual_routers.extend(virtual_routers);
        self
    }

    /// Adds a sync group: its virtual routers, called by their names, are Master all together or none of them. So a gateway
    /// that loses one of its links leaves the other one, too. Who would be Master waits until all would; a fault of one
    /// takes all down ([`Fault::SyncGroup`](vrrp_fsm::Fault::SyncGroup)). A virtual router can be in one group.
    /// [`Status::sync_group`](crate::Status::sync_group) tells for whom a group waits,
    /// [`EventKind::SyncGroupChanged`](crate::EventKind::SyncGroupChanged) when all are in one state.
    ///
    /// All virtual routers of a group should have the same order of priorities on all hosts. The rules are those of
    /// [`vrrp_fsm::SyncGroup`].
    ///
    /// ```no_run
    /// # use vrrp::{Router, VirtualRouter, Vrid};
    /// let outside = VirtualRouter::new("outside", Vrid::new(51)?, "eth0").address("192.0.2.1/24".parse()?);
    /// let inside = VirtualRouter::new("inside", Vrid::new(52)?, "eth1").address("10.0.0.1/24".parse()?);
    /// let router = Router::builder()
    ///     .virtual_routers([outside.candidate(true), inside.candidate(true)])
    ///     .sync_group("gateway", ["outside", "inside"])
    ///     .start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync_group<M: Into<String>>(
        mut self,
        name: impl AsRef<str>,
        members: impl IntoIterator<Item = M>,
    ) -> Self {
        let members = members.into_iter().map(Into::into).collect();
        self.sync_groups.push(SyncGroup { name: Arc::from(name.as_ref()), members, guard: None });
        self
    }

    /// Gives a sync group a guard, which is asked once for all its members: [`VirtualRouter::guard`] is for those that are in
    /// none. A veto holds all of them.
    ///
    /// ```no_run
    /// # use core::time::Duration;
    /// # use vrrp::{GuardConfig, Router, Verdict, VirtualRouter, Vrid};
    /// # fn is_alive(address: &core::net::IpAddr) -> bool { true }
    /// # let outside = VirtualRouter::new("outside", Vrid::new(51)?, "eth0").address("192.0.2.1/24".parse()?);
    /// # let inside = VirtualRouter::new("inside", Vrid::new(52)?, "eth1").address("10.0.0.1/24".parse()?);
    /// let router = Router::builder()
    ///     .virtual_routers([outside.candidate(true), inside.candidate(true)])
    ///     .sync_group("gateway", ["outside", "inside"])
    ///     .sync_group_guard(
    ///         "gateway",
    ///         GuardConfig::new(Duration::from_millis(500), Verdict::Promote),
    ///         |question| {
    ///             let alive = question.addresses.iter().any(is_alive);
    ///             if alive { Verdict::Veto } else { Verdict::Promote }
    ///         },
    ///     )
    ///     .start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync_group_guard(
        self,
        group: impl AsRef<str>,
        config: GuardConfig,
        ask: impl Fn(&Question) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.sync_group_guarded_by(group, config, ask)
    }

    /// As [`RouterBuilder::sync_group_guard`], with a guard that is ready-made: [`VipProbe`](crate::VipProbe),
    /// [`GatewayPing`](crate::GatewayPing), ...
    pub fn sync_group_guarded_by(
        mut self,
        group: impl AsRef<str>,
        config: GuardConfig,
        guard: impl Guard + 'static,
    ) -> Self {
        self.group_guards.push((Arc::from(group.as_ref()), config, SharedGuard::new(guard)));
        self
    }

    /// Where the journals of what we configured are kept; `/run/vrrp` by default. It should be on a tmpfs, be the same
    /// after a restart, and is created if missing.
    pub fn run_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.run_directory = directory.into();
        self
    }

    /// The network namespace to run in, by a descriptor of `/run/netns/NAME` or `/proc/PID/ns/net`; by default that of the thread that builds.
    /// Everything is opened in it, guards ask in it, and [`RunningRouter`]'s thread lives in it. [`Router::process`] goes there and comes back, which
    /// costs two system calls each way. It needs `CAP_SYS_ADMIN`.
    ///
    /// ```no_run
    /// # use vrrp::{Router, VirtualRouter, Vrid};
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0").address("192.0.2.100/24".parse()?);
    /// let router = Router::builder()
    ///     .virtual_router(web)
    ///     .namespace(std::fs::File::open("/run/netns/tenant")?)
    ///     .start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn namespace(mut self, descriptor: impl Into<OwnedFd>) -> Self {
        self.namespace = Some(Namespace::new(descriptor.into()));
        self
    }

    /// Whether [`RouterBuilder::build`] also removes what dead processes have left of virtual routers that are not configured here
    /// (any more); off by default. For a program that has the run directory for itself: another one that is about to
    /// start again would find the addresses gone, and for a moment its journal locked.
    pub fn remove_orphans(mut self, remove: bool) -> Self {
        self.remove_orphans = remove;
        self
    }

    /// How long a shutdown tries to remove the addresses; 5 s by default.
    pub fn release_timeout(mut self, timeout: Duration) -> Self {
        self.release_timeout = timeout;
        self
    }

    /// How soon the router's own thread gets a processor, and whether its memory is locked; as any other thread's by default. For
    /// [`RouterBuilder::start`]; see [`Scheduling`].
    pub fn scheduling(mut self, scheduling: Scheduling) -> Self {
        self.scheduling = scheduling;
        self
    }

    /// Starts a second, small process that waits for the death of this one; none by default. If this process is killed (`kill -9`, the
    /// kernel's out-of-memory killer) or crashes while it is Master, the sentinel sends priority 0 on every path and removes what is
    /// listed in the journals: the others take over after the skew time instead of a master-down interval, and nobody keeps
    /// answering for the addresses. Without it they stay until this program is started again.
    ///
    /// It needs the capabilities of this process. When it is killed itself, another one is started. A program that is started again
    /// waits, at most 2 s, until the sentinel of its predecessor has done its work. The death of a process becomes known when the
    /// kernel has freed its memory, which takes longer the more it has.
    ///
    /// Signed advertisements: the farewell is signed by this process, ahead of its death; the sentinel has no keys. Those with an
    /// HMAC are dated, and made anew with each advertisement.
    ///
    /// ```no_run
    /// # use vrrp::{Router, Sentinel, VirtualRouter, Vrid};
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0").address("192.0.2.100/24".parse()?);
    /// let router = Router::builder()
    ///     .virtual_router(web)
    ///     .sentinel(Sentinel::new("/usr/libexec/vrrp-sentinel"))
    ///     .start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sentinel(mut self, sentinel: Sentinel) -> Self {
        self.sentinel = Some(sentinel);
        self
    }

    /// How many unread events are kept, at least 1; by default 16 for each virtual router, and 256 at least. They take their memory
    /// at once, about 100 octets each.
    pub fn event_capacity(mut self, capacity: usize) -> Self {
        self.event_capacity = Some(capacity);
        self
    }

    /// Opens sockets and journals, removes what a dead predecessor left, and lets the virtual routers of
    /// [`VirtualRouter::candidate`] stand for election. The router belongs to the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// See [`BuildError`]; nothing is configured in the kernel then.
    pub fn build(mut self) -> Result<Router, BuildError> {
        let Some(namespace) = self.namespace.take() else { return self.build_here() };
        let build = || {
            namespace.enter().map_err(|source| BuildError::Namespace { source })?;
            self.build_here()
        };
        // A thread that ends there needs no way back.
        let outcome = std::thread::scope(|scope| scope.spawn(build).join());
        let mut router = match outcome {
            Ok(router) => router?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        router.namespace = Some(namespace);
        Ok(router)
    }

    fn build_here(mut self) -> Result<Router, BuildError> {
        if self.virtual_routers.is_empty() {
            return Err(BuildError::NoVirtualRouters);
        }
        check_unique(&self.virtual_routers)?;
        self.assign_group_guards()?;
        let mut groups = SyncGroups::new(&self.sync_groups, &self.virtual_routers)?;
        for (index, virtual_router) in self.virtual_routers.iter_mut().enumerate() {
            virtual_router.set_sync_group(groups.contains(index));
        }
        let mut reactor = open("the event loop", Reactor::new())?;
        // The monitor before the tables, so that nothing falls between.
        let mut monitor = Monitor::open()?;
        open("the event loop", reactor.register(&monitor, Interest::Readable, router::MONITOR))?;
        let mut kernel = Client::open()?;
        let links = Links::new(kernel.links()?);
        let machines = self.machines(&links)?;
        may_change_addresses(&mut kernel, &links)?;
        let mut journals = Vec::with_capacity(machines.len());
        for (virtual_router, machine) in self.virtual_routers.iter().zip(&machines) {
            let family = machine.config().family;
            let patience = self.sentinel.as_ref().map_or(Duration::ZERO, |_| SENTINEL_PATIENCE);
            let directory = &self.run_directory;
            journals.push(open_journal(directory, virtual_router, family, patience)?);
        }
        let testator = self.sentinel.take().map(|sentinel| testator(sentinel, machines.len()));
        let testator = testator.transpose().map_err(|source| BuildError::Sentinel { source })?;
        let mut refusal = Refusal::default();
        let (devices, removed) = self.devices(&mut kernel, &links, &mut journals, &mut refusal)?;
        let links = Links::new(kernel.links()?);
        monitor.ignore_changes_of(&kernel)?;
        let present = kernel.addresses()?;
        let ports = self.ports(&mut reactor, &links)?;
        let announcer = Announcer::open()?;
        let mut leftovers = Vec::new();
        let mut instances = Vec::with_capacity(machines.len());
        let routers = self.virtual_routers.iter().zip(machines);
        for ((virtual_router, machine), (journal, left)) in routers.zip(journals) {
            let index = instances.len();
            let family = machine.config().family;
            let through = virtual_router.effective_paths().into_iter().filter_map(|path| {
                let interface = virtual_router.socket_interface(&path);
                let is_its = |port: &Port| (&port.device.name, port.family) == (&interface, family);
                ports.iter().position(is_its)
            });
            let through = through.collect();
            leftovers.extend(left.into_iter().map(|text| (index, text)));
            let held = held(virtual_router, &links, &present)?;
            let keep_foreign = machine.priority().is_owner();
            let companions = Companions::new(companions(virtual_router, &links)?);
            let addresses = Addresses::new(held, companions, Some(journal), keep_foreign);
            instances.push(Instance::new(virtual_router.clone(), machine, addresses, through));
        }

        let names = self.virtual_routers.iter().map(Names::of).collect();
        let (sender, commands) = crossbeam_channel::unbounded();
        let handle = Handle::new(sender, reactor.waker(), names);
        for (router, instance) in instances.iter_mut().enumerate() {
            let guard = instance.settings.guard.clone();
            let start = |guard| GuardThread::start(guard, Party::Router(router), handle.clone());
            instance.guard = guard.map(start).transpose()?;
        }
        groups.start_guards(&handle)?;
        let shared = Shared {
            clock: Clock::new(),
            kernel,
            announcer,
            links,
            pacer: Pacer::new(),
            doubt: false,
            devices,
            refusal,
            ports,
            events: self.event_sink(),
            buffer: Shared::buffer(),
            outbox: Outbox::default(),
            testator,
            will: Vec::new(),
        };
        let mut router = Router::new(
            reactor,
            monitor,
            shared,
            instances,
            groups,
            (commands, handle),
            self.release_timeout,
        );
        router.refuse(&[]).map_err(|(virtual_router, source)| BuildError::AcceptMode {
            virtual_router,
            source,
        })?;
        if !router.companions.is_empty() {
            router.listen_to_routes()?;
        }
        // From here on addresses are changed, and nothing can fail.
        router.tell_removed(&removed);
        router.remove_leftovers(&leftovers);
        if self.remove_orphans {
            router.remove_orphans(&self.run_directory);
        }
        // Without what was left; there is no news of what we remove ourselves.
        let present = router.shared.kernel.addresses().unwrap_or(present);
        router.begin(&present);
        Ok(router)
    }

    /// Builds the router and runs it in a thread of its own.
    ///
    /// # Errors
    ///
    /// As [`RouterBuilder::build`], [`BuildError::Scheduling`] and [`BuildError::Thread`].
    pub fn start(self) -> Result<RunningRouter, BuildError> {
        let scheduling = self.scheduling;
        scheduling.try_out()?;
        RunningRouter::start(self.build()?, scheduling)
    }
}

/// Where the identifications of our packets begin. Not the same on two hosts, whatever they have in common, such as the
/// process identifiers of two containers: by them a router knows its own packets from those of another with its address.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn testator(sentinel: Sentinel, places: usize) -> io::Result<Testator> {
    let testament = Testament::new(places)?;
    let keeper = Keeper::start(sentinel, testament.share()?)?;
    Ok(Testator::new(testament, keeper))
}

fn open<T>(what: &'static str, result: io::Result<T>) -> Result<T, BuildError> {
    result.map_err(|source| BuildError::Open { what, source })
}

fn socket_error(interface: String, source: io::Error) -> BuildError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        BuildError::Permission { capability: "CAP_NET_RAW", action: "raw sockets", source }
    } else {
        BuildError::Socket { interface, source }
    }
}
