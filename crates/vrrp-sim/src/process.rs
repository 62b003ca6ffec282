//! Processes that run several virtual routers, which change state together.

use vrrp_fsm::{MemberId, State, SyncGroup, SyncGroupOutput};

use crate::{Invariant, RouterId, Simulation, Subject, Violation, input::Input};

/// A sync group, and the routers that are its members.
#[derive(Debug)]
pub(crate) struct Group {
    members: Vec<RouterId>,
    machine: SyncGroup,
    /// Commands that are being carried out.
    depth: u32,
}

impl Simulation {
    /// Makes routers one process, in which they are a [`SyncGroup`]: they start, stand still, crash and
    /// change state together. Each needs `Config::sync_group`, and its own VRID; routers of different
    /// VRIDs never meet. Nothing happens for routers that run, or are in a group already.
    pub fn join(&mut self, members: &[RouterId]) {
        let free = |id: &RouterId| {
            let taken = self.groups.iter().any(|group| group.members.contains(id));
            !taken && self.host(*id).is_some_and(|host| host.machine.is_none())
        };
        let (true, Ok(machine)) = (members.iter().all(free), SyncGroup::new(members.len())) else {
            return;
        };
        // One process has one clock.
        let clock = members.first().and_then(|id| self.host(*id)).map(|host| host.clock);
        for id in members {
            if let (Some(clock), Some(host)) = (clock, self.host_mut(*id)) {
                (host.clock, host.own_drift) = (clock, clock.drift_ppm());
            }
        }
        self.groups.push(Group { members: members.to_vec(), machine, depth: 0 });
    }

    /// The routers that run in one process with this one, itself included.
    pub(crate) fn process(&self, id: RouterId) -> Vec<RouterId> {
        let group = self.groups.iter().find(|group| group.members.contains(&id));
        group.map_or_else(|| vec![id], |group| group.members.clone())
    }

    /// The group of a process that starts knows nothing.
    pub(crate) fn start_group(&mut self, id: RouterId) {
        let group = self.groups.iter_mut().find(|group| group.members.contains(&id));
        if let Some(group) = group
            && let Ok(machine) = SyncGroup::new(group.members.len())
        {
            (group.machine, group.depth) = (machine, 0);
        }
    }

    /// After every step of a member: the group may want something of it, and of the others.
    pub(crate) fn align(&mut self, id: RouterId) -> Result<(), Violation> {
        let position = self.groups.iter().position(|group| group.members.contains(&id));
        let Some(index) = position else { return Ok(()) };
        let Some(host) = self.host(id) else { return Ok(()) };
        let Some(machine) = &host.machine else { return Ok(()) };
        let (now, standing) = (host.clock.local(self.now), machine.standing());
        let Some(group) = self.groups.get_mut(index) else { return Ok(()) };
        let member = group.members.iter().position(|member| *member == id).unwrap_or_default();
        group.machine.handle_member(now, MemberId::new(member), standing);
        group.depth += 1;
        loop {
            let group = self.groups.get_mut(index);
            let Some(output) = group.and_then(|group| group.machine.poll_output()) else { break };
            match output {
                SyncGroupOutput::Command { member, command } => {
                    self.count(Subject::Output, "group command");
                    let members = self.groups.get(index).map(|group| &group.members);
                    let told = members.and_then(|members| members.get(member.get()).copied());
                    if let Some(told) = told {
                        self.tell(told, &Input::Group(command))?;
                    }
                }
                SyncGroupOutput::StateChanged { .. } => {
                    self.count(Subject::Output, "group state");
                }
                // Groups have no guard here.
                SyncGroupOutput::AskPromotion { .. } => {}
            }
        }
        let Some(group) = self.groups.get_mut(index) else { return Ok(()) };
        group.depth -= 1;
        if group.depth > 0 { Ok(()) } else { self.check_group(index) }
    }

    /// When all commands are carried out, all members are in one state.
    fn check_group(&self, index: usize) -> Result<(), Violation> {
        let Some(group) = self.groups.get(index) else { return Ok(()) };
        let state = |id: &RouterId| Some(self.host(*id)?.machine.as_ref()?.state());
        let states: Option<Vec<State>> = group.members.iter().map(state).collect();
        // While the process starts, not all of them are there.
        let Some(states) = states else { return Ok(()) };
        let common = states.windows(2).all(|pair| pair.first() == pair.last());
        if common {
            return Ok(());
        }
        let found = format!("{states:?}");
        Err(self.violation(group.members.first().copied(), (Invariant::SyncGroup, found)))
    }
}
