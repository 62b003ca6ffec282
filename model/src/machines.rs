//! The real machines, stepped: each state of each router once, each of its inputs once.
//!
//! A state of the model names the states of its routers by number. What a machine does with an input
//! is found out the first time by doing it, and remembered.

use core::{cell::RefCell, net::IpAddr, time::Duration};
use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use vrrp_fsm::{
    Datagram, EffectFailed, EffectId, Instant, MAX_DATAGRAM_LEN, Output, PathId, State,
    VirtualRouter, Wanted,
    vrrp_proto::{Advertisement, Ipv4Packet, Priority},
};

use crate::{
    forge::Forgeries,
    observation::Observation,
    rules,
    scenario::{Scenario, TICK},
};

/// The moment at which every stored machine stands.
pub(crate) const NOW: Instant = VirtualRouter::CANONICAL_NOW;

/// Spreads small numbers nobody has chosen to collide.
#[derive(Debug, Default)]
struct QuickHasher(u64);

impl Hasher for QuickHasher {
    fn write(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.write_u8(octet);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(u64::from_ne_bytes(number.to_ne_bytes()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// Number of a machine in one state.
pub(crate) type Node = u32;

/// Number of a packet's contents.
pub(crate) type Kind = u8;

/// An advertisement that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) from: u8,
    pub(crate) priority: u8,
}

/// What the model has to know of a machine at every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) state: State,
    pub(crate) priority: u8,
    pub(crate) candidate: bool,
    /// Whether its deadline has come.
    pub(crate) due: bool,
    /// Of a Backup: the last octet of the Master it follows.
    pub(crate) follows: Option<u8>,
    /// Whether it waits for an answer to a wish for addresses.
    pub(crate) waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    Tick,
    Timeout,
    Datagram(Kind),
    Answer,
    Startup,
    Shutdown,
    Priority(u8),
}

/// What came of an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) node: Node,
    pub(crate) view: View,
    /// What it sent, in order.
    pub(crate) sent: [Option<Sent>; 3],
    /// Whether its addresses were installed or removed.
    pub(crate) holds: Option<bool>,
    /// Whether its timer was moved.
    pub(crate) moved: bool,
    pub(crate) observed: u32,
}

#[derive(Debug)]
struct Packet {
    router: usize,
    priority: Priority,
    bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Machines {
    /// Tells the memories of several models apart.
    id: u64,
    scenario: Scenario,
    table: Mutex<Table>,
    forgeries: Vec<Forgeries>,
}

type Steps = HashMap<(Node, Input), Step, BuildHasherDefault<QuickHasher>>;

#[derive(Debug, Default)]
struct Table {
    nodes: Vec<(usize, VirtualRouter)>,
    /// By hash, which several may share.
    numbers: HashMap<u64, Vec<Node>>,
    steps: Steps,
    packets: Vec<Packet>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Of one model at a time, which is named.
    static MEMORY: RefCell<(u64, Steps)> = RefCell::default();
}

impl Machines {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let forgeries = (0..scenario.routers.len())
            .map(|router| Forgeries::new(scenario.config(router), scenario.address(router)))
            .collect();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed) + 1;
        Self { id, scenario, table: Mutex::default(), forgeries }
    }

    /// A process that has not been told to take part yet.
    pub(crate) fn fresh(&self, router: usize) -> (Node, View) {
        let seed = u64::try_from(router).unwrap_or_default();
        let mut machine =
            VirtualRouter::new(self.scenario.config(router), seed).expect("a valid configuration");
        machine.handle_source_address(NOW, PathId::FIRST, Some(self.scenario.address(router)));
        machine.canonicalize(NOW);
        let mut table = self.lock();
        let (node, _) = table.number(router, machine);
        (node, table.view(node))
    }

    pub(crate) fn step(&self, node: Node, input: Input) -> Step {
        MEMORY.with_borrow_mut(|(id, steps)| {
            if *id != self.id {
                steps.clear();
                *id = self.id;
            }
            *steps.entry((node, input)).or_insert_with(|| {
                let mut table = self.lock();
                if let Some(step) = table.steps.get(&(node, input)) {
                    return *step;
                }
                let step = self.find_out(&mut table, node, input);
                table.steps.insert((node, input), step);
                step
            })
        })
    }

    /// How many states of machines there are, and how many steps.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let table = self.lock();
        (table.nodes.len(), table.steps.len())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find_out(&self, table: &mut Table, node: Node, input: Input) -> Step {
        let (router, before) = table.machine(node).clone();
        let mut machine = before.clone();
        let mut now = NOW;
        let mut heard = None;
        match input {
            Input::Tick => now += TICK,
            Input::Timeout => machine.handle_timeout(now),
            Input::Datagram(kind) => {
                let packet = &table.packets[usize::from(kind)];
                let datagram =
                    Datagram::ipv4(PathId::FIRST, &packet.bytes).expect("our own packet");
                let discarded = machine.handle_datagram(now, datagram).is_err();
                heard = Some(rules::Heard {
                    priority: packet.priority,
                    source: self.scenario.address(packet.router),
                    interval: TICK * u32::from(self.scenario.routers[packet.router].interval),
                    discarded,
                });
            }
            Input::Answer => {
                let id = machine.pending_effect().expect("a wish that waits");
                machine.handle_effect(now, id, Ok(()));
            }
            Input::Startup => machine.handle_startup(now),
            Input::Shutdown => machine.handle_shutdown(now),
            Input::Priority(priority) => machine.handle_priority(now, Priority::new(priority)),
        }
        let mut done = Done::default();
        self.carry_out(table, router, &mut machine, now, &mut done);
        if input == Input::Answer {
            done.holds = Some(machine.state() == State::Master);
        }
        let mut observed = done.observed;
        if input != Input::Tick {
            let case = rules::Case {
                before: &before,
                after: &machine,
                input,
                heard,
                address: self.scenario.address(router),
                outputs: &done.outputs,
            };
            observed |= case.check();
        }
        let moved = machine.poll_timeout() != before.poll_timeout();
        machine.canonicalize(now);
        let (node, is_new) = table.number(router, machine);
        if is_new {
            observed |= self.check_what_changes_nothing(router, &table.machine(node).1);
        }
        let view = table.view(node);
        Step { node, view, sent: done.sent, holds: done.holds, moved, observed }
    }

    fn carry_out(
        &self,
        table: &mut Table,
        router: usize,
        machine: &mut VirtualRouter,
        now: Instant,
        done: &mut Done,
    ) {
        while let Some(output) = machine.poll_output() {
            done.outputs.push(output);
            match output {
                Output::Send(send) => {
                    let mut buffer = [0; MAX_DATAGRAM_LEN];
                    for to in machine.destinations(PathId::FIRST) {
                        // Which number a packet has does not matter, only that it has one.
                        let bytes = machine
                            .encode(&send, PathId::FIRST, to, &mut buffer)
                            .expect("what was accepted can be encoded");
                        done.observed |= check_bytes(bytes, send.priority);
                        let known = table.sent(router, send.priority, bytes);
                        let slot = done.sent.iter_mut().find(|slot| slot.is_none());
                        *slot.expect("at most three at once") = Some(known);
                    }
                    machine.handle_send(now, PathId::FIRST, Ok(()));
                }
                Output::SetAddresses { wanted, id } => {
                    if !self.scenario.slow_effects {
                        machine.handle_effect(now, id, Ok(()));
                        done.holds = Some(wanted == Wanted::All);
                    }
                }
                Output::AskPromotion { .. } => unreachable!("there is no guard"),
                Output::Announce
                | Output::StateChanged { .. }
                | Output::Contended { .. }
                | Output::Conflict { .. } => {}
            }
        }
    }

    /// A7, A8 and A9, in every state a machine ever is in.
    fn check_what_changes_nothing(&self, router: usize, machine: &VirtualRouter) -> u32 {
        // Whoever wakes up too late acts whatever the input is.
        if machine.poll_timeout().is_some_and(|deadline| deadline < NOW) {
            return 0;
        }
        let mut observed = 0;
        for forgery in self.forgeries[router].iter() {
            let mut copy = machine.clone();
            let accepted = copy.handle_datagram(NOW, forgery).is_ok();
            if accepted || !is_unchanged(copy, machine) {
                observed |= Observation::Invalid.bit();
            }
        }
        let mut copy = machine.clone();
        copy.handle_effect(NOW, EffectId::default(), Err(EffectFailed));
        let mut early = machine.clone();
        if early.poll_timeout() != Some(NOW) {
            early.handle_timeout(NOW);
        }
        if !is_unchanged(copy, machine) || !is_unchanged(early, machine) {
            observed |= Observation::Stale.bit();
        }
        observed
    }
}

impl Table {
    fn machine(&self, node: Node) -> &(usize, VirtualRouter) {
        &self.nodes[usize::try_from(node).expect("an index")]
    }

    fn view(&self, node: Node) -> View {
        let machine = &self.machine(node).1;
        View {
            state: machine.state(),
            priority: machine.priority().get(),
            candidate: machine.is_candidate(),
            due: machine.poll_timeout().is_some_and(|deadline| deadline <= NOW),
            follows: machine.master().and_then(|master| match master.source {
                IpAddr::V4(source) => Some(source.octets()[3]),
                IpAddr::V6(_) => None,
            }),
            waits: machine.pending_effect().is_some(),
        }
    }

    /// The number of a machine in canonical form, and whether it is a new one.
    fn number(&mut self, router: usize, machine: VirtualRouter) -> (Node, bool) {
        let mut hasher = DefaultHasher::new();
        (router, &machine).hash(&mut hasher);
        let numbers = self.numbers.entry(hasher.finish()).or_default();
        for &number in numbers.iter() {
            let (of, known) = &self.nodes[usize::try_from(number).expect("an index")];
            if *of == router && *known == machine {
                return (number, false);
            }
        }
        let number = Node::try_from(self.nodes.len()).expect("fewer states of machines");
        numbers.push(number);
        self.nodes.push((router, machine));
        (number, true)
    }

    fn sent(&mut self, router: usize, priority: Priority, bytes: &[u8]) -> Sent {
        let known =
            self.packets.iter().position(|packet| packet.bytes == bytes && packet.router == router);
        let index = known.unwrap_or_else(|| {
            self.packets.push(Packet { router, priority, bytes: bytes.to_vec() });
            self.packets.len() - 1
        });
        Sent {
            kind: Kind::try_from(index).expect("few kinds of packets"),
            from: u8::try_from(router).expect("few routers"),
            priority: priority.get(),
        }
    }
}

#[derive(Debug, Default)]
struct Done {
    outputs: Vec<Output>,
    sent: [Option<Sent>; 3],
    holds: Option<bool>,
    observed: u32,
}

fn is_unchanged(mut copy: VirtualRouter, original: &VirtualRouter) -> bool {
    while let Some(output) = copy.poll_output() {
        // Our own address on another router: told, and not acted upon.
        if !matches!(output, Output::Conflict { .. }) {
            return false;
        }
    }
    copy.canonicalize(NOW);
    copy == *original
}

/// A10.
fn check_bytes(bytes: &[u8], priority: Priority) -> u32 {
    let valid = Ipv4Packet::parse(bytes).is_ok_and(|packet| {
        packet.ttl() == 255
            && packet.payload().get(4).is_some_and(|octet| octet & 0xf0 == 0)
            && Advertisement::parse(packet.payload(), packet.pseudo_header()).is_ok_and(|parsed| {
                parsed.priority() == priority
                    && parsed.interval().as_duration() >= Duration::from_millis(10)
            })
    });
    if valid { 0 } else { Observation::Wire.bit() }
}
