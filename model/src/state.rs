//! One state of the model: as small as can be, because there are many.

use vrrp_fsm::State as RouterState;

use std::hash::{Hash, Hasher};

use crate::machines::{Node, Sent, View};

pub(crate) const MAX_ROUTERS: usize = 4;

/// More packets are never under way at once; one more would stop the check.
pub(crate) const MAX_FLIGHTS: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) seats: [Option<Seat>; MAX_ROUTERS],
    /// Sorted, so that their order makes no difference; the empty ones first.
    flights: [Option<Flight>; MAX_FLIGHTS],
    /// The routers on one side of a cut; 0 is a whole link.
    pub(crate) cut: u8,
    /// Faults that are left.
    pub(crate) budget: u8,
    /// Ticks since the last disturbance, up to what matters.
    pub(crate) quiet: u8,
    /// Ticks for which there have been the same Masters, two or more, without a disturbance; up to
    /// what matters.
    pub(crate) dual: u8,
    /// Whether there was a Master.
    pub(crate) served: bool,
    /// What the last step showed of what must not be, or was to be reached.
    pub(crate) observed: u32,
}

/// A router and what the model knows about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Seat {
    pub(crate) node: Node,
    pub(crate) view: View,
    /// Whether its host has the addresses.
    pub(crate) holds: bool,
    /// Ticks for which it has been paused, from 1; 0: it runs.
    pub(crate) paused: u8,
    /// Whether it was Master before a pause in which it must have been replaced, and another router
    /// is Master now.
    pub(crate) replaced: bool,
    /// Whether the priority 0 of a router that it does not follow made it impatient.
    pub(crate) hurried: bool,
    /// Whether it has answered at once within this tick.
    pub(crate) answered: bool,
}

/// A packet under way to one router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Flight {
    pub(crate) sent: Sent,
    pub(crate) to: u8,
    /// Ticks within which it arrives.
    pub(crate) ticks: u8,
    /// How many answers led to it.
    pub(crate) chain: u8,
    /// A copy that arrives whenever it wants.
    pub(crate) stray: bool,
    /// Waits in the socket of a paused router.
    pub(crate) queued: bool,
}

impl State {
    pub(crate) fn new(seats: [Option<Seat>; MAX_ROUTERS], budget: u8) -> Self {
        Self {
            seats,
            flights: [None; MAX_FLIGHTS],
            cut: 0,
            budget,
            quiet: 0,
            dual: 0,
            served: false,
            observed: 0,
        }
    }

    pub(crate) fn seat(&self, router: u8) -> &Seat {
        self.seats[usize::from(router)].as_ref().expect("a router")
    }

    pub(crate) fn seat_mut(&mut self, router: u8) -> &mut Seat {
        self.seats[usize::from(router)].as_mut().expect("a router")
    }

    pub(crate) fn routers(&self) -> impl Iterator<Item = (u8, &Seat)> {
        (0..).zip(self.seats.iter().flatten())
    }

    pub(crate) fn masters(&self) -> impl Iterator<Item = (u8, &Seat)> {
        self.routers().filter(|(_, seat)| seat.view.state == RouterState::Master)
    }

    pub(crate) fn flights(&self) -> impl Iterator<Item = Flight> {
        self.flights.iter().flatten().copied()
    }

    pub(crate) fn launch(&mut self, flight: Flight) {
        let empty = &mut self.flights[0];
        assert!(empty.is_none(), "more packets under way than MAX_FLIGHTS");
        *empty = Some(flight);
        self.flights.sort_unstable();
    }

    pub(crate) fn remove(&mut self, flight: Flight) {
        let index =
            self.flights.iter().position(|other| *other == Some(flight)).expect("under way");
        self.flights[index] = None;
        self.flights.sort_unstable();
    }

    pub(crate) fn remove_all(&mut self, router: u8) {
        for flight in &mut self.flights {
            *flight = flight.filter(|flight| flight.to != router);
        }
        self.flights.sort_unstable();
    }

    pub(crate) fn change_flights(&mut self, mut change: impl FnMut(&mut Flight)) {
        for flight in self.flights.iter_mut().flatten() {
            change(flight);
        }
        self.flights.sort_unstable();
    }

    /// Whether packets get from one router to another.
    pub(crate) fn connects(&self, from: u8, to: u8) -> bool {
        (self.cut >> from) & 1 == (self.cut >> to) & 1
    }
}

/// As few words as can be, because this is done for every step.
impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for seat in self.seats.iter().flatten() {
            let Seat { node, view: _, holds, paused, replaced, hurried, answered } = *seat;
            let flags = [holds, replaced, hurried, answered];
            let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | u64::from(flag));
            state.write_u64(u64::from(node) << 32 | u64::from(paused) << 8 | flags);
        }
        for flight in self.flights() {
            let Flight { sent, to, ticks, chain, stray, queued } = flight;
            // The rest of `sent` follows from its kind.
            let octets =
                [sent.kind, to, ticks, chain, u8::from(stray), u8::from(queued), u8::MAX, 0];
            state.write_u64(u64::from_le_bytes(octets));
        }
        let Self { cut, budget, quiet, dual, served, observed, .. } = *self;
        let octets = [cut, budget, quiet, dual, u8::from(served), 0, 0, 0];
        state.write_u64(u64::from_le_bytes(octets) ^ u64::from(observed) << 40);
    }
}
