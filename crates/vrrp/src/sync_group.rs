//! The sync groups of a router: tells each group how its members stand, and the members what it wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use vrrp_fsm::{
    GuardConfig, Instant, MemberId, Reason, State, SyncGroup as Machine, SyncGroupOutput, Ticket,
};

use crate::builder::SyncGroup;
use crate::error::BuildError;
use crate::event::EventKind;
use crate::guard::{GuardThread, Party, Question, SharedGuard};
use crate::handle::Handle;
use crate::instance::{Instance, Shared};
use crate::status::SyncGroupStatus;
use crate::virtual_router::VirtualRouter;

/// All of them, and which virtual router is where.
#[derive(Debug, Default)]
pub(crate) struct SyncGroups {
    groups: Vec<Group>,
    /// By virtual router: its group, and which member of it it is.
    places: BTreeMap<usize, (usize, MemberId)>,
}

#[derive(Debug)]
struct Group {
    name: Arc<str>,
    machine: Machine,
    /// The virtual routers, by the place in which each was named.
    members: Vec<usize>,
    guard: Option<(GuardConfig, SharedGuard)>,
    thread: Option<GuardThread>,
}

impl SyncGroups {
    /// The groups that were asked for, of these virtual routers.
    pub(crate) fn new(
        wanted: &[SyncGroup],
        virtual_routers: &[VirtualRouter],
    ) -> Result<Self, BuildError> {
        let mut all = Self::default();
        for group in wanted {
            all.add(group, virtual_routers)?;
        }
        Ok(all)
    }

    fn add(
        &mut self,
        wanted: &SyncGroup,
        virtual_routers: &[VirtualRouter],
    ) -> Result<(), BuildError> {
        let group = || wanted.name.to_string();
        if self.groups.iter().any(|other| other.name == wanted.name) {
            return Err(BuildError::DuplicateSyncGroup { name: group() });
        }
        let mut machine = Machine::new(wanted.members.len())
            .map_err(|source| BuildError::EmptySyncGroup { group: group(), source })?;
        if let Some((guard, _)) = &wanted.guard {
            let refused = |source| BuildError::SyncGroupGuard { group: group(), source };
            machine = machine.guard(*guard).map_err(refused)?;
        }
        let mut members = Vec::with_capacity(wanted.members.len());
        for (place, member) in wanted.members.iter().enumerate() {
            let found = virtual_routers.iter().position(|one| *one.name == **member);
            let router = found.ok_or_else(|| BuildError::UnknownMember {
                group: group(),
                member: member.clone(),
                existing: virtual_routers.iter().map(|one| one.name.to_string()).collect(),
            })?;
            let place = (self.groups.len(), MemberId::new(place));
            if let Some((other, _)) = self.places.insert(router, place) {
                let first =
                    self.groups.get(other).map_or_else(group, |other| other.name.to_string());
                return Err(BuildError::DuplicateMember {
                    member: member.clone(),
                    first,
                    second: group(),
                });
            }
            members.push(router);
        }
        let (name, guard) = (Arc::clone(&wanted.name), wanted.guard.clone());
        self.groups.push(Group { name, machine, members, guard, thread: None });
        Ok(())
    }

    /// Whether a virtual router is in one of them.
    pub(crate) fn contains(&self, router: usize) -> bool {
        self.places.contains_key(&router)
    }

    /// Starts the threads of the guards.
    pub(crate) fn start_guards(&mut self, handle: &Handle) -> Result<(), BuildError> {
        for (index, group) in self.groups.iter_mut().enumerate() {
            let start = |guard| GuardThread::start(guard, Party::SyncGroup(index), handle.clone());
            group.thread = group.guard.clone().map(|(_, guard)| start(guard)).transpose()?;
        }
        Ok(())
    }

    /// The virtual routers of a group.
    pub(crate) fn members(&self, group: usize) -> &[usize] {
        self.groups.get(group).map_or(&[], |group| &group.members)
    }

    /// After an input of a virtual router: what follows for the others of its group. `schedule` is told the next deadline of
    /// each that had a part in it.
    pub(crate) fn settle(
        &mut self,
        router: usize,
        instances: &mut [Instance],
        shared: &mut Shared,
        schedule: impl FnMut(Party, Option<Instant>),
    ) {
        let Some((group, member)) = self.places.get(&router).copied() else { return };
        let Some(instance) = instances.get(router) else { return };
        let standing = instance.machine.standing();
        let tell = |machine: &mut Machine, now| machine.handle_member(now, member, standing);
        self.with(group, tell, instances, shared, schedule);
    }

    /// An input of a group, and what follows for its members.
    pub(crate) fn with(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Machine, Instant),
        instances: &mut [Instance],
        shared: &mut Shared,
        mut schedule: impl FnMut(Party, Option<Instant>),
    ) {
        let Some(group) = self.groups.get_mut(index) else { return };
        act(&mut group.machine, shared.now());
        while let Some(output) = group.machine.poll_output() {
            match output {
                SyncGroupOutput::Command { member, command } => {
                    let Some(router) = group.members.get(member.get()).copied() else { continue };
                    let Some(instance) = instances.get_mut(router) else { continue };
                    instance.handle_group(command, shared);
                    let standing = instance.machine.standing();
                    group.machine.handle_member(shared.now(), member, standing);
                    schedule(Party::Router(router), instance.poll_timeout(shared));
                }
                SyncGroupOutput::StateChanged { from, to } => {
                    if let Some(thread) = &group.thread {
                        thread.handle_master(to == State::Master);
                    }
                    shared.events.emit(&group.name, EventKind::SyncGroupChanged { from, to });
                }
                SyncGroupOutput::AskPromotion { ticket, reason } => {
                    group.ask(ticket, reason, instances);
                }
            }
        }
        schedule(Party::SyncGroup(index), group.machine.poll_timeout());
    }

    /// How they stand, in the order they were added in.
    pub(crate) fn status(&self, instances: &[Instance]) -> Vec<SyncGroupStatus> {
        self.groups.iter().map(|group| group.status(instances)).collect()
    }
}

impl Group {
    fn ask(&self, ticket: Ticket, reason: Reason, instances: &[Instance]) {
        // Without a thread the default verdict counts.
        let (Some(thread), Some((config, _))) = (&self.thread, &self.guard) else { return };
        let members = self.members.iter().filter_map(|index| instances.get(*index));
        let (addresses, interfaces) = members.flat_map(Instance::advertised).unzip();
        let question = Question {
            name: Arc::clone(&self.name),
            addresses,
            interfaces,
            reason,
            deadline: config.deadline,
        };
        thread.ask(ticket, question);
    }

    fn status(&self, instances: &[Instance]) -> SyncGroupStatus {
        let name = |member: MemberId| {
            let instance = instances.get(*self.members.get(member.get())?)?;
            Some(Arc::clone(&instance.name))
        };
        SyncGroupStatus {
            name: Arc::clone(&self.name),
            state: self.machine.reported_state(),
            members: (0..self.members.len()).map(MemberId::new).filter_map(name).collect(),
            unable: self.machine.unable().filter_map(name).collect(),
            asking: self.machine.asking().filter_map(name).collect(),
        }
    }
}
