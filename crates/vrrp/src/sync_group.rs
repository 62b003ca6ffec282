//! The sync groups of a router: tells each group how its members stand, and the members what it wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use vrrp_fsm::{MemberId, SyncGroup as Machine, SyncGroupOutput};

use crate::builder::SyncGroup;
use crate::error::BuildError;
use crate::event::EventKind;
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
        let machine = Machine::new(wanted.members.len())
            .map_err(|source| BuildError::EmptySyncGroup { group: group(), source })?;
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
        self.groups.push(Group { name: Arc::clone(&wanted.name), machine, members });
        Ok(())
    }

    /// Whether a virtual router is in one of them.
    pub(crate) fn contains(&self, router: usize) -> bool {
        self.places.contains_key(&router)
    }

    /// After an input of a virtual router: what follows for the others of its group. `acted` is told of each that was
    /// given a command.
    pub(crate) fn settle(
        &mut self,
        router: usize,
        instances: &mut [Instance],
        shared: &mut Shared,
        mut acted: impl FnMut(usize, &Instance, &Shared),
    ) {
        let Some((group, member)) = self.places.get(&router).copied() else { return };
        let Some(group) = self.groups.get_mut(group) else { return };
        if let Some(instance) = instances.get(router) {
            group.machine.handle_member(shared.now(), member, instance.machine.standing());
        }
        while let Some(output) = group.machine.poll_output() {
            match output {
                SyncGroupOutput::Command { member, command } => {
                    let Some(index) = group.members.get(member.get()).copied() else { continue };
                    let Some(instance) = instances.get_mut(index) else { continue };
                    instance.handle_group(command, shared);
                    let standing = instance.machine.standing();
                    group.machine.handle_member(shared.now(), member, standing);
                    acted(index, instance, shared);
                }
                SyncGroupOutput::StateChanged { from, to } => {
                    shared.events.emit(&group.name, EventKind::SyncGroupChanged { from, to });
                }
                // No guard can be configured here; nobody is asked, and the default verdict counts.
                SyncGroupOutput::AskPromotion { .. } => {}
            }
        }
    }

    /// How they stand, in the order they were added in.
    pub(crate) fn status(&self, instances: &[Instance]) -> Vec<SyncGroupStatus> {
        self.groups.iter().map(|group| group.status(instances)).collect()
    }
}

impl Group {
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
