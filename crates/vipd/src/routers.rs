//! The virtual routers that run: in one router, and in further ones for those that reloads have added.

mod change;

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keepalived_conf::Config;
use vrrp::{BuildError, Condition, Events, Router, RunningRouter, Sentinel, ShutdownError, Status};

use crate::instances::{self, InstanceError};
use crate::trackers::Trackers;

/// Where the router keeps its journals unless told otherwise.
const RUN_DIRECTORY: &str = "/run/vrrp";

/// A virtual router to be run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) router: vrrp::VirtualRouter,
    /// The same for one that a reload brings: what it tracks is not waited for.
    pub(crate) reloaded: vrrp::VirtualRouter,
    /// What it puts on interfaces.
    pub(crate) addresses: BTreeSet<IpAddr>,
}

/// The virtual routers and sync groups of a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// In the order of the file.
    routers: Vec<Planned>,
    groups: Vec<(String, Vec<String>)>,
}

impl Plan {
    pub(crate) fn of(config: &Config, trackers: &Trackers) -> Result<Self, InstanceError> {
        let routers = instances::virtual_routers(config, trackers)?;
        let groups = instances::sync_groups(config).into_iter();
        let owned = |(name, members): (&str, Vec<&str>)| {
            (name.to_owned(), members.into_iter().map(ToOwned::to_owned).collect())
        };
        Ok(Self { routers, groups: groups.map(owned).collect() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.routers.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.routers.iter().map(|one| one.name.as_str())
    }

    fn router(&self, name: &str) -> Option<&Planned> {
        self.routers.iter().find(|one| one.name == name)
    }

    /// The sync group that a virtual router is in.
    pub(crate) fn group_of(&self, name: &str) -> Option<&(String, Vec<String>)> {
        self.groups.iter().find(|(_, members)| members.iter().any(|member| member == name))
    }

    /// A virtual router and those that come and go with it.
    fn unit<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match self.group_of(name) {
            Some((_, members)) => members.iter().map(String::as_str).collect(),
            None => vec![name],
        }
    }

    /// What of it concerns these virtual routers.
    fn part(&self, names: &BTreeSet<&str>) -> Self {
        let routers = self.routers.iter().filter(|one| names.contains(one.name.as_str()));
        let is_in = |member: &String| names.contains(member.as_str());
        let groups = self.groups.iter().filter(|(_, members)| members.iter().all(is_in));
        Self { routers: routers.cloned().collect(), groups: groups.cloned().collect() }
    }

    fn build(&self, place: &Place, first: bool) -> Result<Router, BuildError> {
        let form = |one: &Planned| if first { one.router.clone() } else { one.reloaded.clone() };
        let routers = self.routers.iter().map(form);
        let mut builder = Router::builder()
            .virtual_routers(routers)
            .remove_orphans(first)
            .run_directory(&place.directory);
        if let Some(sentinel) = &place.sentinel {
            builder = builder.sentinel(sentinel.clone());
        }
        for (name, members) in &self.groups {
            builder = builder.sync_group(name, members.iter().cloned());
        }
        builder.build()
    }
}

/// What all of them have in common.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    sentinel: Option<Sentinel>,
}

/// One router, and which of its virtual routers are in service.
#[derive(Debug)]
struct Running {
    router: RunningRouter,
    names: BTreeSet<String>,
}

impl Running {
    fn start(router: Router, plan: &Plan) -> Result<Self, BuildError> {
        let names = plan.names().map(ToOwned::to_owned).collect();
        Ok(Self { router: router.start()?, names })
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Routers {
    running: Vec<Running>,
    plan: Plan,
    place: Place,
}

impl Routers {
    /// Starts those of the plan, and removes what dead processes have left of others.
    pub(crate) fn start(
        plan: Plan,
        directory: Option<&Path>,
        sentinel: bool,
    ) -> Result<Self, BuildError> {
        let directory = directory.unwrap_or(Path::new(RUN_DIRECTORY)).to_owned();
        // This very program, also after another one was installed in its place.
        let sentinel = sentinel.then(|| Sentinel::new("/proc/self/exe").argument("sentinel"));
        let place = Place { directory, sentinel };
        let mut running = Vec::new();
        if plan.is_empty() {
            remove_orphans(&place.directory);
        } else {
            running.push(Running::start(plan.build(&place, true)?, &plan)?);
        }
        Ok(Self { running, plan, place })
    }

    /// A receiver for each router.
    pub(crate) fn events(&self) -> Vec<Events> {
        self.running.iter().map(|running| running.router.events()).collect()
    }

    /// Tells what a tracker says. One that is not tracked any more does not matter.
    pub(crate) fn set_tracker(&self, virtual_router: &str, tracker: &str, condition: Condition) {
        if let Some(running) = self.of(virtual_router) {
            let told = running.router.handle().set_tracker(virtual_router, tracker, condition);
            if let Err(error) = told {
                log::debug!("{error}");
            }
        }
    }

    /// Lets a virtual router stand for election, or not.
    pub(crate) fn set_candidate(
        &self,
        virtual_router: &str,
        candidate: bool,
    ) -> Result<(), String> {
        let names: Vec<&str> = self.plan.names().collect();
        let unknown = || {
            format!("there is no vrrp_instance `{virtual_router}`; there are: {}", names.join(", "))
        };
        let running = self.of(virtual_router).ok_or_else(unknown)?;
        let told = running.router.handle().set_candidate(virtual_router, candidate);
        told.map_err(|error| error.to_string())
    }

    /// Those in service, in the order of the configuration.
    pub(crate) fn status(&self) -> Vec<Status> {
        self.running.iter().filter_map(|running| running.router.status().ok()).collect()
    }

    fn of(&self, virtual_router: &str) -> Option<&Running> {
        self.running.iter().find(|running| running.names.contains(virtual_router))
    }

    /// Priority 0, addresses removed. What is told meanwhile is still given to `told`.
    pub(crate) fn shut_down(
        self,
        mut told: impl FnMut(vrrp::Event),
    ) -> Result<(), Vec<ShutdownError>> {
        // All are told before the first is waited for.
        for running in &self.running {
            running.router.handle().request_shutdown();
        }
        let mut errors = Vec::new();
        for running in self.running {
            let events = running.router.events();
            errors.extend(running.router.shutdown().err());
            while let Some(event) = events.try_recv() {
                told(event);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn remove_orphans(directory: &Path) {
    let orphans = vrrp::remove_orphans(directory).unwrap_or_default();
    if let Some(first) = orphans.first() {
        let more = match orphans.len() {
            1 => String::new(),
            number => format!(" and {} more", number - 1),
        };
        log::warn!("{}{more} was left by a process that died; removed", first.address);
    }
}
