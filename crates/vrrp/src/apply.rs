//! Another configuration for a virtual router that runs.

use std::sync::Arc;

use vip_netlink::SilenceError;
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
        let router = self.handle().index(&changed.name)?;
        self.apply_to(router, changed)
    }

    pub(crate) fn apply_to(
        &mut self,
        router: usize,
        mut changed: VirtualRouter,
    ) -> Result<(), ApplyError> {
        let Some(instance) = self.instances.get(router) else { return Err(Stopped.into()) };
        let name = || changed.name.to_string();
        if instance.removed {
            let what = "one that was removed";
            return Err(ApplyError::Fixed { virtual_router: name(), what });
        }
        if let Some(what) = fixed(&instance.settings, &changed)? {
            return Err(ApplyError::Fixed { virtual_router: name(), what });
        }
        if instance.settings.listens() != changed.listens()
            || instance.settings.trackers != changed.trackers
        {
            let others = self.instances.iter().enumerate();
            let others = others.filter(|(index, other)| *index != router && !other.removed);
            let others = others.map(|(_, instance)| &instance.settings);
            check_unique(others.chain([&changed]))?;
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
        let also = if changed.accepts() { &[] } else { held.as_slice() };
        self.refuse(also).map_err(not_refused)?;
        let mut result = Ok(());
        if !companions.is_empty() {
            self.listen_to_routes()?;
        }
        self.with(router, |instance, shared| {
            result =
                instance.reconfigure(changed.clone(), config, (held, companions), guard, shared);
        });
        result.map_err(refused)?;
        self.handle().follow(router, &changed);
        self.index();
        if look_again {
            self.look_again();
        }
        Ok(self.refuse(&[]).map_err(not_refused)?)
    }
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
