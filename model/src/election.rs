//! The model: what can happen next, and what becomes of it.

use core::sync::atomic::{AtomicU32, Ordering};

use stateright::{Model, Property};
use vrrp_fsm::State as RouterState;

use crate::{
    machines::{Input, Machines, Sent, Step},
    observation::Observation,
    scenario::{Expected, Fault, Scenario},
    state::{Flight, MAX_ROUTERS, Seat, State},
};

mod watch;

#[derive(Debug)]
pub(crate) struct Election {
    pub(crate) scenario: Scenario,
    pub(crate) machines: Machines,
    /// What was to be reached and has been.
    reached: AtomicU32,
    /// The bits of what must not be.
    never: u32,
    /// The bits of what has to be reachable.
    wanted: u32,
    settle_time: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    /// A deadline is served.
    Expire(u8),
    Deliver(Flight),
    Drop(Flight),
    Duplicate(Flight),
    /// A wish for addresses is fulfilled.
    Answer(u8),
    Start(u8),
    Shutdown(u8),
    Crash(u8),
    Pause(u8),
    Resume(u8),
    Cut(u8),
    Heal,
    Priority(u8, u8),
}

/// The priorities that one can be changed to.
const PRIORITIES: [u8; 2] = [64, 192];

impl Election {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let bits = |expected| {
            Observation::ALL
                .into_iter()
                .filter(|observation| scenario.expects(*observation) == expected)
                .map(Observation::bit)
                .sum()
        };
        Self {
            never: bits(Expected::Never),
            wanted: bits(Expected::Reachable),
            settle_time: scenario.settle_time(),
            machines: Machines::new(scenario.clone()),
            reached: AtomicU32::new(0),
            scenario,
        }
    }

    fn allows(&self, state: &State, fault: Fault) -> bool {
        state.budget > 0 && self.scenario.faults.contains(&fault)
    }

    /// Gives an input to a router; `chain` is how many answers led to it.
    fn give(&self, state: &mut State, router: u8, input: Input, chain: u8) -> Step {
        let before = *state.seat(router);
        let step = self.machines.step(before.node, input);
        state.observed |= step.observed;
        let replaced = before.replaced;
        let seat = state.seat_mut(router);
        (seat.node, seat.view) = (step.node, step.view);
        seat.holds = step.holds.unwrap_or(seat.holds);
        seat.replaced = false;
        if seat.holds_wrongly() {
            state.observed |= Observation::Addresses.bit();
        }
        if replaced && step.view.state == RouterState::Master {
            state.observed |= Observation::Zombie.bit();
        }
        if step.view.state != before.view.state {
            let seat = state.seat_mut(router);
            seat.hurried = false;
            self.changed_state(state, router, &before, input);
        }
        let answers = matches!(input, Input::Datagram(_));
        for sent in step.sent.into_iter().flatten() {
            if answers {
                let seat = state.seat_mut(router);
                if core::mem::replace(&mut seat.answered, true) {
                    state.observed |= Observation::Rate.bit();
                }
                if chain >= self.routers() {
                    state.observed |= Observation::Chain.bit();
                }
            }
            let chain = if answers { (chain + 1).min(self.routers()) } else { 0 };
            self.broadcast(state, sent, chain);
        }
        step
    }

    fn broadcast(&self, state: &mut State, sent: Sent, chain: u8) {
        for to in 0..self.routers() {
            // Whoever does not take part has no socket open.
            if to != sent.from && state.connects(sent.from, to) && state.seat(to).view.candidate {
                let ticks = self.scenario.delay;
                let flight = Flight { sent, to, ticks, chain, stray: false, queued: false };
                state.launch(flight);
            }
        }
    }

    fn routers(&self) -> u8 {
        u8::try_from(self.scenario.routers.len()).expect("few routers")
    }

    fn rank(&self, state: &State, router: u8) -> (u8, u8) {
        (state.seat(router).view.priority, self.scenario.routers[usize::from(router)].host)
    }

    fn deliver(&self, state: &mut State, flight: Flight) {
        state.remove(flight);
        let Sent { kind, from, priority } = flight.sent;
        let before = *state.seat(flight.to);
        let host = self.scenario.routers[usize::from(from)].host;
        let follows = before.view.follows;
        let step = self.give(state, flight.to, Input::Datagram(kind), flight.chain);
        let answered = step.sent[0].is_some();
        let equal = self.rank(state, from).1 == self.rank(state, flight.to).1
            && priority == before.view.priority;
        if answered && equal {
            state.observed |= Observation::Echo.bit();
        }
        if step.moved && step.view.state == RouterState::Backup {
            state.seat_mut(flight.to).hurried =
                priority == 0 && follows.is_some_and(|follows| follows != host);
        }
    }

    fn tick(&self, state: &mut State) {
        for router in 0..self.routers() {
            let seat = state.seat_mut(router);
            let step = self.machines.step(seat.node, Input::Tick);
            (seat.node, seat.view) = (step.node, step.view);
            seat.answered = false;
            if seat.paused > 0 {
                seat.paused += 1;
            }
        }
        let paused = state
            .routers()
            .fold(0, |paused, (router, seat)| paused | (u8::from(seat.paused > 0) << router));
        state.change_flights(|flight| {
            if flight.ticks > 0 {
                flight.ticks -= 1;
            } else if !flight.stray {
                flight.queued |= (paused >> flight.to) & 1 == 1;
            }
        });
        if Self::is_stable(state) {
            state.quiet = (state.quiet + 1).min(self.settle_time + 1);
            let bound = self.dual_bound(state);
            state.dual = bound.map_or(0, |bound| (state.dual + 1).min(bound + 1));
        }
    }

    fn apply(&self, state: &mut State, action: Action) {
        if is_disturbance(action) {
            disturb(state);
        }
        match action {
            Action::Tick => self.tick(state),
            Action::Expire(router) => {
                self.give(state, router, Input::Timeout, 0);
            }
            Action::Answer(router) => {
                self.give(state, router, Input::Answer, 0);
            }
            Action::Deliver(flight) => self.deliver(state, flight),
            Action::Drop(flight) => {
                state.remove(flight);
            }
            Action::Duplicate(flight) => {
                state.launch(Flight { stray: true, chain: 0, ticks: 0, ..flight });
            }
            Action::Start(router) => {
                self.give(state, router, Input::Startup, 0);
            }
            Action::Shutdown(router) => {
                self.give(state, router, Input::Shutdown, 0);
                state.remove_all(router);
            }
            Action::Crash(router) => {
                let (node, view) = self.machines.fresh(usize::from(router));
                *state.seat_mut(router) = Seat::new(node, view);
                state.remove_all(router);
            }
            Action::Pause(router) => {
                state.seat_mut(router).paused = 1;
            }
            Action::Resume(router) => self.resume(state, router),
            Action::Cut(side) => {
                state.cut = side;
            }
            Action::Heal => {
                state.cut = 0;
            }
            Action::Priority(router, priority) => {
                self.give(state, router, Input::Priority(priority), 0);
                // Chains end because who answers is always better than who is answered.
                state.change_flights(|flight| flight.chain = 0);
            }
        }
        if is_fault(action) {
            state.budget -= 1;
        }
    }

    fn resume(&self, state: &mut State, router: u8) {
        let others = state.masters().any(|(other, seat)| other != router && seat.paused == 0);
        let missable = 3 * self.scenario.routers[usize::from(router)].interval;
        let seat = state.seat_mut(router);
        // It began with 1.
        let long = seat.paused - 1 > missable;
        seat.replaced = long && others && seat.view.state == RouterState::Master;
        seat.paused = 0;
    }
}

impl Model for Election {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut seats = [None; MAX_ROUTERS];
        for (router, seat) in seats.iter_mut().enumerate().take(self.scenario.routers.len()) {
            let (node, view) = self.machines.fresh(router);
            *seat = Some(Seat::new(node, view));
        }
        let mut state = State::new(seats, self.scenario.budget);
        if self.scenario.together {
            for router in 0..self.routers() {
                self.apply(&mut state, Action::Start(router));
            }
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut busy = false;
        let mut last = None;
        for flight in state.flights() {
            // Equal packets are next to each other.
            if last.replace(flight) == Some(flight) {
                continue;
            }
            if state.seat(flight.to).paused == 0 {
                actions.push(Action::Deliver(flight));
                busy |= flight.ticks == 0 && !flight.stray;
            }
            if flight.stray {
                continue;
            }
            if self.allows(state, Fault::Drop) {
                actions.push(Action::Drop(flight));
            }
            if self.allows(state, Fault::Duplicate) {
                actions.push(Action::Duplicate(flight));
            }
        }
        for (router, seat) in state.routers() {
            let runs = seat.paused == 0;
            if runs && seat.view.waits {
                actions.push(Action::Answer(router));
                busy = true;
            }
            if runs && seat.view.due {
                // What waits in the socket comes first.
                let queued = state.flights().any(|flight| flight.to == router && flight.queued);
                if !queued {
                    actions.push(Action::Expire(router));
                }
                busy = true;
            }
            if !runs {
                actions.push(Action::Resume(router));
                busy |= seat.paused > self.scenario.longest_pause();
            } else if seat.view.candidate {
                self.faults_of(state, router, seat, actions);
            } else if seat.view.state == RouterState::Initialize {
                actions.push(Action::Start(router));
            }
        }
        if state.cut != 0 {
            actions.push(Action::Heal);
        } else if self.allows(state, Fault::Partition) {
            // Each cut once: the last router is always on the other side.
            actions.extend((1..1 << (self.routers() - 1)).map(Action::Cut));
        }
        if !busy {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        state.observed = 0;
        self.apply(&mut state, action);
        self.look(&mut state);
        // What is to be reached makes a difference only once: otherwise there were more states.
        let mut keep = self.never;
        let news = state.observed & self.wanted;
        if news & !self.reached.load(Ordering::Relaxed) != 0 {
            keep |= !self.reached.fetch_or(news, Ordering::Relaxed);
        }
        state.observed &= keep & (self.never | self.wanted);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = Vec::new();
        macro_rules! properties {
            ($($number:literal)*) => {$(
                let observation = Observation::ALL[$number];
                match self.scenario.expects(observation) {
                    Expected::Never => properties.push(Property::always(
                        observation.name(),
                        |_, state: &State| state.observed & (1 << $number) == 0,
                    )),
                    Expected::Reachable => properties.push(Property::sometimes(
                        observation.name(),
                        |_, state: &State| state.observed & (1 << $number) != 0,
                    )),
                    Expected::Open => {}
                }
            )*};
        }
        // The conditions are plain functions and cannot hold a number.
        properties!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22);
        properties
    }
}

impl Election {
    fn faults_of(&self, state: &State, router: u8, seat: &Seat, actions: &mut Vec<Action>) {
        if state.budget == 0 {
            return;
        }
        for fault in self.scenario.faults {
            match fault {
                Fault::Crash => actions.push(Action::Crash(router)),
                Fault::Pause => actions.push(Action::Pause(router)),
                Fault::Shutdown => actions.push(Action::Shutdown(router)),
                Fault::Priority => {
                    let others =
                        PRIORITIES.into_iter().filter(|priority| *priority != seat.view.priority);
                    actions.extend(others.map(|priority| Action::Priority(router, priority)));
                }
                Fault::Drop | Fault::Duplicate | Fault::Partition => {}
            }
        }
    }
}

impl Seat {
    const fn new(node: u32, view: crate::machines::View) -> Self {
        Self {
            node,
            view,
            holds: false,
            paused: 0,
            replaced: false,
            hurried: false,
            answered: false,
        }
    }

    /// Whether the host of a router that is not Master has the addresses and nobody removes them.
    fn holds_wrongly(&self) -> bool {
        self.holds && self.view.state != RouterState::Master && !self.view.waits
    }
}

fn disturb(state: &mut State) {
    (state.quiet, state.dual) = (0, 0);
}

/// Whether what is quiet begins anew.
const fn is_disturbance(action: Action) -> bool {
    match action {
        Action::Deliver(flight) => flight.stray,
        Action::Start(_) | Action::Resume(_) | Action::Heal => true,
        other => is_fault(other),
    }
}

const fn is_fault(action: Action) -> bool {
    match action {
        Action::Drop(_)
        | Action::Duplicate(_)
        | Action::Shutdown(_)
        | Action::Crash(_)
        | Action::Pause(_)
        | Action::Cut(_)
        | Action::Priority(..) => true,
        Action::Tick
        | Action::Expire(_)
        | Action::Deliver(_)
        | Action::Answer(_)
        | Action::Start(_)
        | Action::Resume(_)
        | Action::Heal => false,
    }
}
