//! Quiet phases, and how soon the protocol has to be done in them.

use core::time::Duration;

use vrrp_fsm::{Instant, State, VirtualRouter};
use vrrp_proto::Vrid;

use crate::{
    Chance, Counterexample, Invariant, RouterId, Simulation, Subject, Violation,
    bounds::{guard_deadline, interval, learned},
    host::Host,
    invariants::{down_interval, skew_time},
    simulation::Event,
};

/// A new Master after the old one went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Takeover {
    /// Who was Master.
    pub from: RouterId,
    /// Who is.
    pub to: RouterId,
    /// How long there was none.
    pub after: Duration,
    /// How long there may be none.
    pub bound: Duration,
}

/// Watches how long two Masters coexist.
#[derive(Debug, Clone, Default)]
pub(crate) struct DualWatch {
    armed: bool,
    /// Since when there are several, and how long that may last.
    since: Option<(Instant, Duration)>,
    /// Whether there were more than two.
    many: bool,
}

/// The longest that a router stays away by itself: 64 s and an eighth after a fault of its own
/// finding, its longest interval, and seven seconds for an address that could not be removed.
const RECOVERY: Duration = Duration::from_secs(64 * 130);

impl Simulation {
    /// Ends every fault but crashes, shutdowns and [failed paths](Self::fail_path) (cuts, loss, duplication, pauses, lost links,
    /// failing effects; delays, jitter,
    /// reordering and the drift of clocks stay), waits for the election to be over, and checks that
    ///
    /// - some candidate is Master within [`Bounds::some_master`](crate::Bounds::some_master), and exactly one is, within
    ///   [`Bounds::one_master`](crate::Bounds::one_master), which has the addresses,
    /// - two Masters coexisted no longer than `min(A_w + D, A_l + 2D)`, or `A_w + D` if there were
    ///   more (w: the winner, l: the loser),
    /// - no router that preempts has a greater priority, after [`Bounds::best_master`](crate::Bounds::best_master),
    /// - nothing changes any more for another two such times.
    ///
    /// Returns the Master; `None` if there is no candidate.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn settle(&mut self) -> Result<Option<RouterId>, Violation> {
        self.calm()?;
        // What is under way was sent in less quiet times.
        let latest = self.queue.latest(|event| matches!(event, Event::Arrives { .. }));
        let rest = latest.map_or(Duration::ZERO, |at| at.saturating_duration_since(self.now));
        self.run_for(rest)?;
        self.duals = DualWatch { armed: true, ..DualWatch::default() };
        self.watch_duals()?;
        let result = self.settle_watched();
        self.duals.armed = false;
        // There are no echoes by now, and answers to earlier ones are gone.
        self.network.set_disguise(None);
        result
    }

    fn settle_watched(&mut self) -> Result<Option<RouterId>, Violation> {
        // A Master that could not send may give up until it has sent again.
        let interval = self.hosts.iter().map(interval).max().unwrap_or_default();
        self.run_for(self.stretched(interval) + self.slack())?;
        // Who stayed away comes back, who left is gone, addresses that could not be removed are: each
        // of these may take several attempts, further and further apart.
        self.run_until(RECOVERY, |simulation| {
            simulation.hosts.iter().all(|host| {
                let Some(machine) = &host.machine else { return true };
                match machine.state() {
                    State::Initialize => !simulation.takes_part(host) && !host.installed,
                    State::Backup => !host.installed,
                    State::Master => true,
                }
            })
        })?;
        let bounds = self.bounds();
        let start = self.now;
        let somebody = |simulation: &Self| {
            simulation.virtual_routers().into_iter().all(|vrid| {
                let nobody = simulation.candidates_of(vrid).next().is_none();
                nobody || simulation.masters_of(vrid).next().is_some()
            })
        };
        if self.run_until(bounds.some_master, somebody)?.is_none() {
            let found = format!("nobody within {:?}", bounds.some_master);
            return Err(self.violation(None, (Invariant::SomeMaster, found)));
        }
        self.count(Subject::Bound, "some master");
        let spent = self.now.saturating_duration_since(start);
        self.run_for(bounds.one_master.saturating_sub(spent))?;
        // Whoever waited to preempt does so at any moment, and both are Master for one.
        self.run_for(bounds.best_master)?;
        let virtual_routers = self.virtual_routers();
        let mut masters = Vec::new();
        for vrid in &virtual_routers {
            let master = self.one_master(*vrid)?;
            self.best_master(*vrid, master)?;
            masters.push(master);
        }
        self.run_for(bounds.addresses)?;
        for (vrid, master) in virtual_routers.into_iter().zip(&masters) {
            self.addresses_in_place(vrid, *master)?;
        }
        let transitions = self.transitions;
        self.run_for(bounds.one_master * 2)?;
        if self.transitions != transitions {
            let found = format!("{} changes of state", self.transitions - transitions);
            return Err(self.violation(None, (Invariant::Stability, found)));
        }
        self.count(Subject::Bound, "one master, and it stays");
        if self.network.has_failed_path() {
            self.count(Subject::Bound, "one master despite a failed path");
        }
        for master in masters.iter().flatten() {
            self.witness_settled(*master);
        }
        Ok(masters.first().copied().flatten())
    }

    /// Crashes the only Master of a [settled](Self::settle) network and waits for another, which has to
    /// come within kA + S of the best Backup, and D. Where one Backup is better than all others by more
    /// than D, nobody but that one may become Master.
    ///
    /// Returns `None` if there is no Master, or nobody to replace it, or there are
    /// [processes](Self::join) that wait for each other.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn fail_over(&mut self) -> Result<Option<Takeover>, Violation> {
        let master = self.masters().next();
        let interval = master.and_then(|id| self.host(id)).map(interval);
        let (Some(from), Some(interval)) = (master, interval) else { return Ok(None) };
        if !self.groups.is_empty() {
            return Ok(None);
        }
        self.crash(from);
        let bound = self.backups_wait(|host, machine| {
            let wait = down_interval(&host.config, machine.priority(), learned(host, interval));
            wait + guard_deadline(host)
        });
        let best = self.clearly_best(interval);
        let takeover = self.take_over(from, bound, "takeover after a crash")?;
        self.in_order(best, takeover)?;
        Ok(takeover)
    }

    /// Shuts the only Master of a [settled](Self::settle) network down and waits for another, which has
    /// to come within the skew time of the best Backup, and D.
    ///
    /// Returns `None` if there is no Master, or nobody to replace it, or there are
    /// [processes](Self::join) that wait for each other.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn hand_over(&mut self) -> Result<Option<Takeover>, Violation> {
        let master = self.masters().next();
        let interval = master.and_then(|id| self.host(id)).map(interval);
        let (Some(from), Some(interval)) = (master, interval) else { return Ok(None) };
        if !self.groups.is_empty() {
            return Ok(None);
        }
        self.shut_down(from)?;
        // Where packets overtake each other, the release may be followed by an older advertisement.
        let in_order = self.network.in_order();
        let bound = self.backups_wait(|host, machine| {
            let wait = if in_order { skew_time } else { down_interval };
            wait(&host.config, machine.priority(), learned(host, interval)) + guard_deadline(host)
        });
        self.take_over(from, bound, "takeover after a release")
    }

    fn calm(&mut self) -> Result<(), Violation> {
        let was_whole = self.network.is_whole();
        self.heal();
        debug_assert!(was_whole || self.network.is_whole(), "healed");
        self.network.calm();
        for id in self.routers() {
            if let Some(host) = self.host_mut(id) {
                host.conditions.install_fails = Chance::NEVER;
                host.conditions.remove_fails = Chance::NEVER;
                host.conditions.effects_hang = Chance::NEVER;
                host.conditions.guard_vetoes = Chance::NEVER;
                host.conditions.guard_hangs = Chance::NEVER;
                host.conditions.send_fails = Chance::NEVER;
                host.conditions.spurious_wakes = Chance::NEVER;
            }
            self.set_link_up(id)?;
            self.resume(id)?;
            // What hung comes to its end, long superseded or not.
            let hanging = self.host_mut(id).map(|host| core::mem::take(&mut host.hanging));
            for (effect, wanted) in hanging.unwrap_or_default() {
                self.addresses_done(id, effect, wanted)?;
            }
        }
        Ok(())
    }

    fn one_master(&self, vrid: Vrid) -> Result<Option<RouterId>, Violation> {
        let masters: Vec<RouterId> = self.masters_of(vrid).collect();
        let candidates = self.candidates_of(vrid).count();
        let master = match (masters.as_slice(), candidates) {
            ([], 0) => return Ok(None),
            ([master], _) => *master,
            _ => {
                let found = format!("masters {masters:?} of {candidates} candidates");
                return Err(self.violation(None, (Invariant::OneMaster, found)));
            }
        };
        Ok(Some(master))
    }

    fn best_master(&mut self, vrid: Vrid, master: Option<RouterId>) -> Result<(), Violation> {
        let Some(master) = master else { return Ok(()) };
        let priority = self.machine(master).map(VirtualRouter::priority);
        let better = self.candidates_of(vrid).find(|(host, machine)| {
            // All of a process preempt, or none.
            Some(machine.priority()) > priority
                && self.members_of(host).all(|member| self.preempts(member))
        });
        if let Some((host, machine)) = better {
            let found = format!(
                "{} has {}, {} preempts with {}",
                self.name(master),
                priority.unwrap_or_default(),
                host.name,
                machine.priority()
            );
            return Err(self.violation(None, (Invariant::BestMaster, found)));
        }
        self.count(Subject::Bound, "the best of those that preempt");
        Ok(())
    }

    /// Whether a router is better than the Master, and is to replace it.
    fn preempts(&self, host: &Host) -> bool {
        let Some(machine) = &host.machine else { return false };
        let preempts = host.config.preempt_mode || machine.priority().is_owner();
        // After a mastership that failed a router preempts nobody until one has succeeded.
        let failed = machine.statistics().effect_failures + machine.statistics().send_failures;
        let master = self.masters_of(host.config.vrid).next().and_then(|id| self.machine(id));
        preempts && failed == 0 && Some(machine.priority()) > master.map(VirtualRouter::priority)
    }

    fn addresses_in_place(&self, vrid: Vrid, master: Option<RouterId>) -> Result<(), Violation> {
        // A process that was killed left its addresses; nobody is there to remove them.
        let attended = |id: &RouterId| {
            let host = self.host(*id).filter(|host| host.config.vrid == vrid);
            host.is_some_and(|host| host.machine.is_some())
        };
        let holders: Vec<RouterId> = self.holders().filter(attended).collect();
        if holders.iter().copied().eq(master) {
            return Ok(());
        }
        let found = format!("master {master:?}, addresses on {holders:?}");
        Err(self.violation(master, (Invariant::OneMaster, found)))
    }

    /// Where one Backup is clearly the best, no other one becomes Master, not even for a moment.
    fn in_order(
        &mut self,
        best: Option<RouterId>,
        takeover: Option<Takeover>,
    ) -> Result<(), Violation> {
        let (Some(best), Some(takeover)) = (best, takeover) else { return Ok(()) };
        let transitions = self.transitions;
        self.run_for(self.slack() * 2)?;
        if takeover.to != best || self.transitions != transitions {
            let found = format!("{} was to take over alone", self.name(best));
            return Err(self.violation(Some(takeover.to), (Invariant::Takeover, found)));
        }
        self.count(Subject::Bound, "only the best takes over");
        Ok(())
    }

    fn take_over(
        &mut self,
        from: RouterId,
        bound: Option<Duration>,
        what: &'static str,
    ) -> Result<Option<Takeover>, Violation> {
        let Some(bound) = bound else { return Ok(None) };
        self.duals = DualWatch { armed: true, ..DualWatch::default() };
        let after = self.run_until(bound, |simulation| simulation.masters().next().is_some())?;
        self.duals.armed = false;
        let (Some(after), Some(to)) = (after, self.masters().next()) else {
            let found = format!("no master {bound:?} after {} went", self.name(from));
            return Err(self.violation(None, (Invariant::Takeover, found)));
        };
        self.count(Subject::Bound, what);
        Ok(Some(Takeover { from, to, after, bound }))
    }

    /// After every change of state: counts what no protocol can exclude, and in quiet times measures it.
    pub(crate) fn watch_duals(&mut self) -> Result<(), Violation> {
        let virtual_routers = self.virtual_routers();
        let masters = virtual_routers.iter().map(|vrid| self.masters_of(*vrid).count());
        if masters.min() == Some(0) {
            self.show(Counterexample::NoMaster);
        }
        // Of several elections at once, each of which may have to wait for others, nobody knows whose
        // time it is.
        if !self.duals.armed || virtual_routers.len() > 1 {
            return Ok(());
        }
        let masters = self.masters().count();
        self.duals.many |= masters > 2;
        match (masters > 1, self.duals.since) {
            (true, None) => self.duals.since = Some((self.now, self.dual_bound())),
            // Another one joined: the winner may be another, too.
            (true, Some((since, bound))) => {
                self.duals.since = Some((since, bound.max(self.dual_bound())));
            }
            (false, Some((since, bound))) => {
                self.duals.since = None;
                let lasted = self.now.saturating_duration_since(since);
                if lasted > bound {
                    let found = format!("for {lasted:?}, at most {bound:?}");
                    return Err(self.violation(None, (Invariant::DualMasters, found)));
                }
                let many = core::mem::take(&mut self.duals.many);
                let what = if many { "many masters became one" } else { "two masters became one" };
                self.count(Subject::Bound, what);
            }
            (false, None) => {}
        }
        Ok(())
    }

    /// The routers that take part or would like to, and are not held by others.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (&Host, &VirtualRouter)> {
        self.hosts.iter().filter_map(|host| {
            let machine = host.machine.as_ref()?;
            self.takes_part(host).then_some((host, machine))
        })
    }

    fn candidates_of(&self, vrid: Vrid) -> impl Iterator<Item = (&Host, &VirtualRouter)> {
        self.candidates().filter(move |(host, _)| host.config.vrid == vrid)
    }

    fn masters_of(&self, vrid: Vrid) -> impl Iterator<Item = RouterId> {
        let of = move |id: &RouterId| self.host(*id).is_some_and(|host| host.config.vrid == vrid);
        self.masters().filter(of)
    }

    /// The elections there are.
    fn virtual_routers(&self) -> Vec<Vrid> {
        let mut vrids: Vec<Vrid> = self.hosts.iter().map(|host| host.config.vrid).collect();
        vrids.sort_unstable();
        vrids.dedup();
        vrids
    }

    /// Whether a router wants to be in the election, and nobody in its process does not.
    fn takes_part(&self, host: &Host) -> bool {
        let wants = |host: &Host| host.machine.as_ref().is_some_and(VirtualRouter::is_candidate);
        self.members_of(host).all(wants)
    }

    /// The routers in the process of this one, itself included.
    fn members_of(&self, host: &Host) -> impl Iterator<Item = &Host> {
        let index = self.hosts.iter().position(|other| core::ptr::eq(other, host));
        let process = index.map(|index| self.process(RouterId::from_index(index)));
        process.unwrap_or_default().into_iter().filter_map(|id| self.host(id))
    }
}
