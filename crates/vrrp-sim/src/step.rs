//! Stepping the machines: what an adapter does, with a checker looking over its shoulder.

use core::mem;
use std::sync::Arc;

use vrrp_fsm::{
    Conflict, Counter, EffectId, Fault, Output, PathId, Reason, Send, State, Ticket, Verdict,
    Wanted,
};

use crate::{
    Counterexample, Invariant, RouterId, Simulation, Subject, Violation, What,
    chance::up_to,
    forge::disguise,
    host::{BATCH, Host, Packet},
    input::Input,
    invariants::{Broken, Snapshot, Step, well_formed},
    network::Fate,
    simulation::Event,
    witness::Seen,
};

impl Simulation {
    /// One input of one machine, the checks, and everything that follows from it.
    pub(crate) fn tell(&mut self, id: RouterId, input: &Input<'_>) -> Result<(), Violation> {
        let at = self.now;
        let mut outputs = mem::take(&mut self.outputs);
        let Some(host) = self.hosts.get_mut(id.index()) else { return Ok(()) };
        let Some(machine) = &mut host.machine else { return Ok(()) };
        self.events += 1;
        let now = host.clock.local(at);
        let before = Snapshot::of(machine);
        let verdict = input.tell(machine, now);
        while let Some(output) = machine.poll_output() {
            outputs.push(output);
        }
        let after = Snapshot::of(machine);
        let step = Step {
            now,
            input,
            verdict,
            config: &host.config,
            source: host.source,
            before,
            after,
            outputs: &outputs,
            installed: host.installed,
            busy: host.effect.is_some(),
        };
        let checked = host.checker.step(&step);
        let deadline = machine.poll_timeout();
        if deadline != host.deadline {
            host.deadline = deadline;
            host.wake_at = deadline.map(|deadline| {
                let due = host.clock.global(deadline).max(at);
                due + up_to(&mut self.rng, host.conditions.wake_latency)
            });
        }
        checked.map_err(|broken| self.violation(Some(id), broken))?;
        if let Some(discard) = verdict {
            self.count(Subject::Discard, discard.counter().name());
        }
        if after.copies(&before) {
            self.count(Subject::Network, "copies");
        }
        let seen = Seen { now, input, verdict, before, after, outputs: &outputs };
        self.witness(id, &seen)?;
        let reports = outputs.iter().any(|output| matches!(output, Output::StateChanged { .. }));
        if before.state != after.state {
            self.transitions += 1;
            if after.state == State::Master {
                self.note(Some(id), || What::Promoted);
            } else if before.state == State::Master && !reports {
                let to = after.state;
                self.note(Some(id), || What::State { to, why: "before anybody knew".to_owned() });
            }
            self.watch_duals()?;
        }
        // What became of the sends is told when all outputs are carried out: order is protocol.
        let mut sent = Vec::new();
        for output in outputs.drain(..) {
            self.carry_out(id, output, &mut sent)?;
        }
        self.outputs = outputs;
        // What failed, first.
        sent.sort_by_key(|(_, ok)| *ok);
        for (path, ok) in sent {
            self.tell(id, &Input::Sent(path, ok))?;
        }
        self.align(id)?;
        self.be_watched()
    }

    pub(crate) fn violation(
        &self,
        router: Option<RouterId>,
        (invariant, found): Broken,
    ) -> Violation {
        Violation { invariant, at: self.now, router, seed: self.seed, found }
    }

    /// Carries out one output. For a `Send`: on which paths it left the host.
    fn carry_out(
        &mut self,
        id: RouterId,
        output: Output,
        results: &mut Vec<(PathId, bool)>,
    ) -> Result<(), Violation> {
        match output {
            Output::Send(send) => {
                let release = send.priority.is_release();
                self.count(Subject::Output, if release { "send priority 0" } else { "send" });
                self.serial += 1;
                let paths = self.host(id).map_or(0, |host| host.config.paths.len());
                for path in (0..).map(PathId::new).take(paths) {
                    results.push((path, self.send(id, send, path)?));
                }
            }
            Output::SetAddresses { wanted, id: effect } => self.set_addresses(id, wanted, effect),
            Output::Announce => self.count(Subject::Output, "announce"),
            Output::AskPromotion { ticket, .. } => self.ask_guard(id, ticket),
            Output::StateChanged { to, reason, .. } => {
                self.count(Subject::Output, state_output(to));
                self.count(Subject::Reason, reason_name(reason));
                self.note(Some(id), || What::State { to, why: reason.to_string() });
            }
            Output::Contended { winner, loser, duration, ongoing } => {
                self.count(Subject::Output, if ongoing { "contended still" } else { "contended" });
                let unheard = |host: &Host| host.source == loser;
                let deaf = self.hosts.iter().position(unheard).map(RouterId::from_index);
                if ongoing
                    && deaf.is_some_and(|deaf| {
                        self.network.is_cut(id, deaf) && !self.network.is_cut(deaf, id)
                    })
                {
                    self.show(Counterexample::OneWay);
                }
                self.note(Some(id), || {
                    let still = if ongoing { " and goes on" } else { "" };
                    let text = format!(
                        "was contended by {loser} for {duration:?}{still}; {winner} is the winner"
                    );
                    What::Remark(text)
                });
            }
            Output::Conflict { conflict, .. } => {
                let owner = matches!(conflict, Conflict::Owner { .. });
                let name = if owner { "owner conflict" } else { "address conflict" };
                self.count(Subject::Output, name);
                self.note(Some(id), || What::Remark(format!("shouts: {conflict}")));
            }
        }
        Ok(())
    }

    /// Whether an advertisement left the host on this path.
    fn send(&mut self, id: RouterId, send: Send, path: PathId) -> Result<bool, Violation> {
        let Some(host) = self.hosts.get_mut(id.index()) else { return Ok(false) };
        if !host.link_up || host.conditions.send_fails.happens(&mut self.rng) {
            self.count(Subject::Fault, "send failed");
            return Ok(false);
        }
        let Some(machine) = &host.machine else { return Ok(false) };
        let (sender, answers, serial) = (host.source, self.answers, self.serial);
        let Some(source) = host.source_on(path) else { return Ok(false) };
        let mut packets = Vec::with_capacity(1);
        let mut broken = None;
        for destination in machine.destinations(path) {
            match machine.encode(&send, path, destination, &mut self.buffer) {
                Ok(octets) => {
                    let octets = Arc::from(octets);
                    packets.push(Packet {
                        path,
                        sender,
                        serial,
                        source,
                        destination,
                        hop_limit: 255,
                        octets,
                        answers,
                    });
                }
                Err(error) => broken = Some((Invariant::WellFormed, error.to_string())),
            }
        }
        if let Some(broken) = broken {
            return Err(self.violation(Some(id), broken));
        }
        for packet in packets {
            let Some(host) = self.host(id) else { continue };
            well_formed(&packet, &host.config)
                .map_err(|broken| self.violation(Some(id), broken))?;
            self.transmit(id, &packet);
            self.latest = Some(packet);
        }
        Ok(true)
    }

    /// Puts a packet on the wire.
    pub(crate) fn transmit(&mut self, from: RouterId, original: &Packet) {
        for to in self.routers() {
            let Some(host) = self.host(to) else { continue };
            // An adapter finds the virtual router that a packet is for.
            if self.host(from).is_some_and(|sender| sender.config.vrid != host.config.vrid) {
                continue;
            }
            let destination = original.destination;
            if !destination.is_multicast() && Some(destination) != host.source_on(original.path) {
                continue;
            }
            let fate = self.network.fate(&mut self.rng, self.now, original.path, from, to);
            let disguised = self.network.disguise().filter(|_| to == from);
            let packet = disguised.and_then(|as_from| disguise(original, as_from));
            let packet = packet.as_ref().unwrap_or(original);
            let mut arrive = |after| {
                self.queue.push(self.now + after, Event::Arrives { to, packet: packet.clone() });
            };
            match fate {
                Fate::Cut => {}
                Fate::Lost => self.count(Subject::Network, "lost"),
                Fate::Arrives(after) => {
                    arrive(after);
                    self.count(Subject::Network, "delivered");
                }
                Fate::Overtakes(after) => {
                    arrive(after);
                    self.count(Subject::Network, "reordered");
                }
                Fate::Twice(first, second) => {
                    arrive(first);
                    arrive(second);
                    self.count(Subject::Network, "duplicated");
                }
            }
        }
    }

    fn set_addresses(&mut self, id: RouterId, wanted: Wanted, effect: EffectId) {
        let Some(host) = self.hosts.get_mut(id.index()) else { return };
        let (name, takes) = match wanted {
            Wanted::All => ("install addresses", host.conditions.install),
            Wanted::None => ("remove addresses", host.conditions.remove),
        };
        host.effect = Some((effect, wanted));
        let incarnation = host.incarnation;
        if host.conditions.effects_hang.happens(&mut self.rng) {
            host.hanging.push((effect, wanted));
            self.count(Subject::Fault, "effect hangs");
            return;
        }
        self.queue.push(
            self.now + takes,
            Event::AddressesDone { on: id, incarnation, id: effect, wanted },
        );
        self.count(Subject::Output, name);
    }

    /// Whoever the guard is, all that is known of it is how long it takes and how likely it objects.
    fn ask_guard(&mut self, id: RouterId, ticket: Ticket) {
        self.count(Subject::Output, "ask promotion");
        let Some(host) = self.hosts.get_mut(id.index()) else { return };
        let (incarnation, conditions) = (host.incarnation, host.conditions);
        if conditions.guard_hangs.happens(&mut self.rng) {
            self.count(Subject::Fault, "guard hangs");
            return;
        }
        let vetoes = conditions.guard_vetoes.happens(&mut self.rng);
        let (verdict, name) = if vetoes {
            (Verdict::Veto, "guard vetoes")
        } else {
            (Verdict::Promote, "guard agrees")
        };
        self.count(Subject::Fault, name);
        let after = up_to(&mut self.rng, conditions.guard_takes);
        let event = Event::Verdict { on: id, incarnation, ticket, verdict };
        self.queue.push(self.now + after, event);
    }

    /// Something that was under way has arrived.
    pub(crate) fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Arrives { to, packet } => {
                let Some(host) = self.hosts.get_mut(to.index()) else { return Ok(()) };
                if host.machine.is_none() || !host.link_up {
                    return Ok(());
                }
                if host.paused {
                    host.enqueue(packet);
                    return Ok(());
                }
                let spurious = host.conditions.spurious_wakes.happens(&mut self.rng);
                self.tell(to, &Input::Datagram(&packet))?;
                if spurious {
                    self.count(Subject::Fault, "spurious wake");
                    self.tell(to, &Input::Timeout)?;
                }
                Ok(())
            }
            Event::Verdict { on, incarnation, ticket, verdict } => {
                let host = self.hosts.get(on.index());
                // Whoever stands still has missed it when it goes on: that is a deadline's business.
                if host.is_none_or(|host| host.incarnation != incarnation || host.paused) {
                    return Ok(());
                }
                self.tell(on, &Input::Verdict(ticket, verdict))
            }
            Event::AddressesDone { on, incarnation, id, wanted } => {
                let Some(host) = self.hosts.get_mut(on.index()) else { return Ok(()) };
                if host.incarnation != incarnation {
                    return Ok(());
                }
                if host.paused {
                    host.finished.push((id, wanted));
                    return Ok(());
                }
                self.addresses_done(on, id, wanted)
            }
        }
    }

    /// Work on the addresses has come to an end. What a later request superseded was left undone, and
    /// its answer must not matter.
    pub(crate) fn addresses_done(
        &mut self,
        on: RouterId,
        id: EffectId,
        wanted: Wanted,
    ) -> Result<(), Violation> {
        let Some(host) = self.hosts.get_mut(on.index()) else { return Ok(()) };
        let current = host.effect == Some((id, wanted));
        if !current {
            self.count(Subject::Fault, "superseded request answered");
            let ok = self.rng.bool();
            return self.tell(on, &Input::Effect { id, current, ok });
        }
        host.effect = None;
        let fails = match wanted {
            Wanted::All => host.conditions.install_fails,
            Wanted::None => host.conditions.remove_fails,
        };
        if fails.happens(&mut self.rng) {
            let what = match wanted {
                Wanted::All => "installing failed",
                Wanted::None => "removing failed",
            };
            self.count(Subject::Fault, what);
            return self.tell(on, &Input::Effect { id, current, ok: false });
        }
        let present = wanted == Wanted::All;
        if host.installed != present {
            host.installed = present;
            self.note(Some(on), || What::Addresses(present));
        }
        self.tell(on, &Input::Effect { id, current, ok: true })
    }

    /// The process wakes for a deadline.
    pub(crate) fn wake(&mut self, id: RouterId) -> Result<(), Violation> {
        if let Some(host) = self.host_mut(id) {
            // Armed again by the step, if the deadline is still there.
            (host.deadline, host.wake_at) = (None, None);
        }
        self.tell(id, &Input::Timeout)
    }

    /// A process that stood still goes on: first what waits in its socket, a batch at a time, then
    /// its deadlines.
    pub(crate) fn catch_up(&mut self, id: RouterId) -> Result<(), Violation> {
        let Some(host) = self.hosts.get_mut(id.index()) else { return Ok(()) };
        if mem::take(&mut host.overflowed) {
            self.count(Subject::Fault, "receive queue overflow");
            self.tell(id, &Input::Overflow)?;
        }
        loop {
            for _ in 0..BATCH {
                let next = self.host_mut(id).and_then(|host| host.receive_queue.pop_front());
                let Some(packet) = next else { break };
                self.tell(id, &Input::Datagram(&packet))?;
            }
            self.tell(id, &Input::Timeout)?;
            if self.host(id).is_none_or(|host| host.receive_queue.is_empty()) {
                break;
            }
        }
        let finished = self.host_mut(id).map(|host| mem::take(&mut host.finished));
        for (effect, wanted) in finished.unwrap_or_default() {
            self.addresses_done(id, effect, wanted)?;
        }
        Ok(())
    }
}

const fn state_output(to: State) -> &'static str {
    match to {
        State::Initialize => "state initialize",
        State::Backup => "state backup",
        State::Master => "state master",
    }
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Startup => "startup",
        Reason::Owner => "owner",
        Reason::MasterSilent => "master silent",
        Reason::MasterReleased { .. } => "master released",
        Reason::Preempted { .. } => "preempted",
        Reason::BetterAdvertisement { .. } => "better advertisement",
        Reason::Shutdown => "shutdown",
        Reason::Fault(Fault::LinkDown) => "link down",
        Reason::Fault(Fault::CannotAdvertise) => "cannot advertise",
        Reason::Fault(Fault::AddressesFailed) => "addresses failed",
        Reason::Fault(_) => "another fault",
        Reason::LateWake { .. } => "late wake",
        Reason::AddressesLost => "addresses lost",
        Reason::SyncGroup => "sync group",
        _ => "another reason",
    }
}

/// The names under which discards are counted.
pub fn discard_names() -> impl Iterator<Item = &'static str> {
    Counter::ALL.into_iter().map(Counter::name)
}
