//! What states and changes show (`L` and `N` in `docs/properties.md`).

use vrrp_fsm::State as RouterState;

use super::Election;
use crate::{
    machines::Input,
    observation::Observation,
    state::{Seat, State},
};

impl Election {
    /// What the whole state shows.
    pub(super) fn look(&self, state: &mut State) {
        let masters = state.masters().count();
        let mut observe = |observation: Observation, seen: bool| {
            if seen {
                state.observed |= observation.bit();
            }
        };
        observe(Observation::TwoMasters, masters >= 2);
        let candidates = state.seats.iter().flatten().filter(|seat| seat.view.candidate).count();
        observe(Observation::NoMaster, masters == 0 && candidates > 0 && state.served);
        state.served |= masters > 0;
        if state.dual > 0 && self.dual_bound(state).is_some_and(|bound| state.dual > bound) {
            state.observed |= Observation::Dual.bit();
        }
        if state.quiet > self.settle_time && candidates > 0 {
            self.look_when_quiet(state, masters);
        }
    }

    fn look_when_quiet(&self, state: &mut State, masters: usize) {
        if masters != 1 {
            state.observed |= Observation::OneMaster.bit();
        }
        let Some((master, _)) = state.masters().next() else { return };
        let (priority, host) = self.rank(state, master);
        let mut observed = 0;
        let mut all_preempt = true;
        let mut distinct = true;
        let mut best = true;
        for (router, seat) in state.routers().filter(|(_, seat)| seat.view.candidate) {
            let preempt = self.scenario.routers[usize::from(router)].preempt;
            all_preempt &= preempt;
            let (other, other_host) = self.rank(state, router);
            if preempt && other > priority {
                observed |= Observation::Preemption.bit();
            }
            if router != master && other == priority {
                distinct = false;
                if other_host > host {
                    observed |= Observation::Incumbent.bit();
                }
            }
            best &= seat.view.priority <= priority;
        }
        if all_preempt && distinct && !best {
            observed |= Observation::BestMaster.bit();
        }
        state.observed |= observed;
    }

    pub(super) fn changed_state(&self, state: &mut State, router: u8, before: &Seat, input: Input) {
        if state.quiet > self.settle_time {
            state.observed |= Observation::Restless.bit();
        }
        let after = state.seat(router).view.state;
        if after == RouterState::Master {
            state.dual = 0;
        }
        if input != Input::Timeout || after != RouterState::Master {
            return;
        }
        let healthy = |other: u8, seat: &Seat| {
            other != router
                && seat.paused == 0
                && state.cut == 0
                && self.rank(state, other) > self.rank(state, router)
        };
        // What is under way could have told it.
        let unheard = state.flights().any(|flight| flight.to == router);
        if unheard || !state.masters().any(|(other, seat)| healthy(other, seat)) {
            return;
        }
        if before.hurried {
            state.observed |= Observation::StaleRelease.bit();
        }
        if state.budget == self.scenario.budget {
            state.observed |= Observation::Newcomer.bit();
        }
    }

    /// Nothing is wrong with the network and the hosts, and no old packet is under way.
    pub(super) fn is_stable(state: &State) -> bool {
        state.cut == 0
            && state.routers().all(|(_, seat)| seat.paused == 0)
            && state.flights().all(|flight| !flight.stray && !flight.queued)
    }

    /// Ticks for which two Masters may be, if there are two (L5).
    pub(super) fn dual_bound(&self, state: &State) -> Option<u8> {
        let mut ranked: Vec<_> =
            state.masters().map(|(router, _)| (self.rank(state, router), router)).collect();
        if ranked.len() < 2 {
            return None;
        }
        ranked.sort_unstable();
        let interval = |index: usize| self.scenario.routers[usize::from(ranked[index].1)].interval;
        let (winner, loser) = (interval(ranked.len() - 1), interval(ranked.len() - 2));
        let delay = self.scenario.delay;
        let immediate = self.scenario.immediate_answer || self.scenario.judged_by_immediate_answer;
        Some(if immediate && ranked.len() == 2 {
            (winner + delay).min(loser + 2 * delay)
        } else {
            winner + delay
        })
    }
}
