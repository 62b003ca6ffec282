//! Another configuration for a virtual router that runs.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vip_netlink::{Address, SilenceError};
use vrrp_fsm::{Config, ConfigError, Fault, State, TrackerId, VirtualRouter as Machine};

use crate::addresses::{Companions, Held};
use crate::announce::Schedule;
use crate::builder::{check_unique, held};
use crate::error::{BuildError, Stopped, UnknownVirtualRouter};
use crate::guard::{GuardThread, Party};
use crate::instance::{Instance, Shared};
use crate::route::companions;
use crate::router::Router;
use crate::virtual_router::VirtualRouter;

/// Why a changed configuration is not used. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// No virtual router of this name runs.
    #[error(transparent)]
    VirtualRouter(#[from] UnknownVirtualRouter),
    /// That cannot be changed while it runs.
    #[error("{virtual_router}: {what} cannot be changed at run time: build another router")]
    Fixed {
        /// The virtual router's name.
        virtual_router: String,
        /// What would be another one.
        what: &'static str,
    },
    /// It could not be built like this either.
    #[error(transparent)]
    Invalid(#[from] BuildError),
    /// There is nothing left to be changed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Router {
    /// Gives the virtual router of the same name another configuration, without leaving the election: a Master stays Master,
    /// says at once what is new, and touches only the addresses that differ. A Backup keeps what it knows of its Master.
    ///
    /// VRID, family, interface, paths and sync group stay; a tracker that was there keeps its condition, another one begins; whether it is a candidate and ready is what it was last
    /// told to be. The priority is the configured one again, with what the trackers make of it. When the list of addresses
    /// changes all are announced again.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; nothing has changed then. What the kernel refuses of the new addresses is told by
    /// [`EventKind::AddressFailed`](crate::EventKind::AddressFailed), as always.
    ///
    /// ```no_run
    /// # use vrrp::{Router, VirtualRouter, Vrid};
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0").address("192.0.2.100/24".parse()?).candidate(true);
    /// let mut router = Router::builder().virtual_router(web.clone()).build()?;
    /// router.apply(web.priority(150).address("192.0.2.101/24".parse()?))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&mut self, changed: VirtualRouter) -> Result<(), ApplyError> {
        self.apply_all([changed])
    }

    /// The same for several virtual routers in one step: all of it or nothing. An address that one Master gives up and another Master of this
    /// router wants on the same interface stays where it is, and changes its owner in the journals only.
    ///
    /// # Errors
    ///
    /// As [`Router::apply`].
    pub fn apply_all(
        &mut self,
        changed: impl IntoIterator<Item = VirtualRouter>,
    ) -> Result<(), ApplyError> {
        let handle = self.handle();
        let changed = changed.into_iter();
        let changed: Vec<_> = changed
            .map(|one| Ok((handle.index(&one.name)?, one)))
            .collect::<Result<_, UnknownVirtualRouter>>()?;
        let applied = self.at_home(|router| router.apply_to(changed));
        applied.map_err(|source| BuildError::Namespace { source })?
    }

    pub(crate) fn apply_to(
        &mut self,
        changed: Vec<(usize, VirtualRouter)>,
    ) -> Result<(), ApplyError> {
        self.check_unchanged_neighbours(&changed)?;
        let mut prepared = Vec::with_capacity(changed.len());
        for (router, changed) in changed {
            prepared.push(self.prepare(router, changed)?);
        }
        let also = prepared.iter().filter(|one| !one.changed.accepts());
        let also: Vec<&Held> = also.flat_map(|one| &one.held).collect();
        self.refuse(&also).map_err(not_refused)?;
        if prepared.iter().any(|one| !one.companions.is_empty()) {
            self.listen_to_routes()?;
        }
        self.hand_over(&mut prepared);
        let mut look_again = false;
        for one in prepared {
            look_again |= one.look_again;
            self.commit(one)?;
        }
        self.index();
        if look_again {
            self.look_again();
        }
        Ok(self.refuse(&[]).map_err(not_refused)?)
    }

    /// Whether what changes can still be told from what does not.
    fn check_unchanged_neighbours(
        &self,
        changed: &[(usize, VirtualRouter)],
    ) -> Result<(), ApplyError> {
        let differs = |(router, changed): &(usize, VirtualRouter)| {
            self.instances.get(*router).is_some_and(|instance| {
                instance.settings.listens() != changed.listens()
                    || instance.settings.trackers != changed.trackers
            })
        };
        if changed.iter().any(differs) {
            let others = self.instances.iter().enumerate().filter(|(index, other)| {
                !other.removed && !changed.iter().any(|(router, _)| router == index)
            });
            let others = others.map(|(_, instance)| &instance.settings);
            check_unique(others.chain(changed.iter().map(|(_, changed)| changed)))?;
        }
        Ok(())
    }

    /// Everything that can fail.
    fn prepare(
        &mut self,
        router: usize,
        mut changed: VirtualRouter,
    ) -> Result<Prepared, ApplyError> {
        let Some(instance) = self.instances.get(router) else { return Err(Stopped.into()) };
        let name = || changed.name.to_string();
        if instance.removed {
            let what = "one that was removed";
            return Err(ApplyError::Fixed { virtual_router: name(), what });
        }
        if let Some(what) = fixed(&instance.settings, &changed)? {
            return Err(ApplyError::Fixed { virtual_router: name(), what });
        }
        let sync_group = instance.machine.config().sync_group;
        let look_again = instance.settings.effective_paths() != changed.effective_paths()
            || instance.settings.track_link != changed.track_link;
        changed.set_sync_group(sync_group);
        let config = changed.config()?;
        let refused =
            |source| BuildError::Config { virtual_router: changed.name.to_string(), source };
        drop(Machine::new(config.clone(), 0).map_err(refused)?);
        // What is there of an owner's addresses stays when it leaves.
        let owner = config.priority.is_owner();
        let present = if owner { self.shared.kernel.addresses() } else { Ok(Vec::new()) };
        let present = present.map_err(BuildError::from)?;
        let held = held(&changed, &self.shared.links, &present)?;
        let companions = Companions::new(companions(&changed, &self.shared.links)?);
        let guard = match (&changed.guard, &instance.guard) {
            (Some(guard), Some(running)) if running.is_of(guard) => Some(running.clone()),
            (Some(guard), _) => {
                Some(GuardThread::start(guard.clone(), Party::Router(router), self.handle())?)
            }
            (None, _) => None,
        };
        Ok(Prepared { router, changed, config, held, companions, guard, look_again })
    }

    /// What one Master gives up and another one wants is listed for that one from now on, and not removed.
    fn hand_over(&mut self, prepared: &mut [Prepared]) {
        let mut wanted = BTreeMap::new();
        for one in prepared.iter() {
            let heir = self.instances.get(one.router);
            if heir.is_some_and(|heir| heir.addresses.wants_all()) {
                wanted.extend(one.held.iter().map(|held| (held.address.key(), one.router)));
            }
        }
        for (giver, address) in self.given_up(prepared) {
            let key = address.key();
            let heir = wanted.get(&key).copied().or_else(|| self.other_holder(&key, prepared));
            let Some(heir) = heir.filter(|heir| *heir != giver) else { continue };
            let listed = self.instances.get_mut(heir).map(|heir| heir.addresses.inherit(&address));
            if listed != Some(true) {
                continue;
            }
            let future = prepared.iter_mut().filter(|one| one.router == heir);
            for held in future.flat_map(|one| &mut one.held) {
                if held.address == address {
                    (held.ours, held.foreign) = (true, false);
                }
            }
            if let Some(giver) = self.instances.get_mut(giver) {
                giver.addresses.give(&address);
            }
        }
    }

    /// The addresses that virtual routers have and will not have any more.
    fn given_up(&self, prepared: &[Prepared]) -> Vec<(usize, Address)> {
        let mut all = Vec::new();
        for one in prepared {
            let kept: BTreeSet<_> = one.held.iter().map(|held| held.address.key()).collect();
            let former = self.instances.get(one.router).into_iter();
            let former = former.flat_map(|instance| &instance.addresses.held);
            let gone = former.filter(|held| held.ours && !kept.contains(&held.address.key()));
            all.extend(gone.map(|held| (one.router, held.address.clone())));
        }
        all
    }

    /// A Master that does not change and has the address as well.
    fn other_holder(&self, key: &(u32, IpAddr, u8), prepared: &[Prepared]) -> Option<usize> {
        let holders = self.virtual_addresses.get(key).into_iter().flatten();
        let mut holders = holders.map(|(router, _)| *router);
        holders.find(|router| {
            let wants = |instance: &Instance| instance.addresses.wants_all();
            !prepared.iter().any(|one| one.router == *router)
                && self.instances.get(*router).is_some_and(wants)
        })
    }

    fn commit(&mut self, prepared: Prepared) -> Result<(), ApplyError> {
        let Prepared { router, changed, config, held, companions, guard, .. } = prepared;
        let mut result = Ok(());
        self.with(router, |instance, shared| {
            result =
                instance.reconfigure(changed.clone(), config, (held, companions), guard, shared);
        });
        result.map_err(|source| BuildError::Config {
            virtual_router: changed.name.to_string(),
            source,
        })?;
        self.handle().follow(router, &changed);
        Ok(())
    }
}

/// Another configuration that nothing speaks against.
struct Prepared {
    router: usize,
    changed: VirtualRouter,
    config: Config,
    held: Vec<Held>,
    companions: Companions,
    guard: Option<GuardThread>,
    /// Whether the links and the addresses to advertise from may mean something else.
    look_again: bool,
}

impl Instance {
    fn reconfigure(
        &mut self,
        settings: VirtualRouter,
        config: Config,
        (held, companions): (Vec<Held>, Companions),
        guard: Option<GuardThread>,
        shared: &mut Shared,
    ) -> Result<(), ConfigError> {
        let now = self.synchronize(shared);
        let (owner, mut tracking) = (config.priority.is_owner(), self.tracking.clone());
        if settings.trackers != self.settings.trackers {
            let former = |name: &Arc<str>| {
                let mut names = self.settings.trackers.iter();
                names.position(|(other, _)| other == name).map(TrackerId::new)
            };
            let trackers = settings.trackers.iter();
            tracking.replace(trackers.map(|(name, tracker)| (*tracker, former(name))).collect());
        }
        if settings.watched != self.settings.watched {
            self.watches.replace(&settings.watched);
        }
        self.watches.tell(now, &settings.trackers, &shared.links, &mut tracking);
        tracking.handle_base(config.priority);
        // What the trackers make of it, so that not even one advertisement says otherwise.
        self.machine.handle_config(now, config.priority(tracking.priority()))?;
        self.tracking = tracking;
        self.guard = guard;
        if let Some(guard) = &self.guard {
            // One that is new has not heard of it.
            guard.handle_master(self.machine.reported_state() == State::Master);
        }
        let differ = self.addresses.replace(held, companions, owner);
        if differ || settings.announcements != self.settings.announcements {
            self.schedule = Schedule::new(settings.announcements);
            for link in shared.links.down() {
                self.schedule.handle_link(now, link, false);
            }
            if !self.addresses.is_working() {
                let present = self.addresses.present();
                self.schedule.handle_complete(now, &present, &self.addresses.held);
            }
        }
        let link_matters = settings.track_link;
        self.settings = settings;
        self.follow_trackers(shared);
        if !link_matters {
            self.set_fault(Fault::LinkDown, false, shared);
        }
        Ok(())
    }
}

fn not_refused((virtual_router, source): (String, SilenceError)) -> BuildError {
    BuildError::AcceptMode { virtual_router, source }
}

/// The first thing in which they differ that sockets, journals and handles were made for.
fn fixed(
    former: &VirtualRouter,
    changed: &VirtualRouter,
) -> Result<Option<&'static str>, BuildError> {
    let lines = |one: &VirtualRouter| -> Vec<_> {
        let paths = one.effective_paths().into_iter();
        paths.map(|path| (path.is_multicast(), path.interface)).collect()
    };
    let differences = [
        (former.vrid != changed.vrid, "the VRID"),
        (former.decide_family()? != changed.decide_family()?, "the address family"),
        (former.interface != changed.interface, "the interface"),
        (lines(former) != lines(changed), "the paths' interfaces"),
        (
            former.journal_peer() != changed.journal_peer(),
            "the peer that its journal is named after",
        ),
        (former.virtual_mac != changed.virtual_mac, "the virtual MAC address"),
        (
            former.has_authentication_header() != changed.has_authentication_header(),
            "whether there is an authentication header",
        ),
    ];
    Ok(differences.into_iter().find_map(|(differ, what)| differ.then_some(what)))
}
