//! What one machine asks for, carried out.

use core::net::IpAddr;
use std::sync::Arc;

use vrrp_fsm::{
    EffectFailed, Fault, GuardConfig, Instant, Output, Reason, Send, State, Ticket, Wanted,
};

use super::{Instance, Shared};
use crate::event::EventKind;
use crate::guard::Question;
use crate::sentinel;

/// Frames announced in one step, before timers and packets have their turn again.
const FRAMES_A_STEP: usize = 64;

/// Addresses that failed that are told of, until all could be installed.
const FAILURES_TOLD: usize = 16;

impl Instance {
    /// Carries out the machine's outputs, and as much of the longer work as one step may take.
    pub(crate) fn work(&mut self, shared: &mut Shared) {
        self.carry_out(shared);
        self.stand(shared);
        if self.addresses.is_working() {
            shared.transmit();
            let step = self.addresses.step(&mut shared.kernel, &shared.links);
            shared.doubt |= core::mem::take(&mut self.addresses.doubt);
            for index in &step.added {
                self.schedule.handle_present(*index, &self.addresses.held);
            }
            for (index, error) in step.failed {
                // Thousands of addresses may fail, for one reason, ten times a second.
                self.failures_told += 1;
                if self.failures_told > FAILURES_TOLD {
                    break;
                }
                let held = self.addresses.held.get(index);
                let address = held.map(|held| shared.links.shown(&held.address));
                let kind = EventKind::AddressFailed { address: address.unwrap_or_default(), error };
                shared.events.emit(&self.name, kind);
            }
            for (object, error) in step.stuck {
                self.failures_told += 1;
                if self.failures_told > FAILURES_TOLD {
                    break;
                }
                let address = shared.links.shown_object(&object);
                shared.events.emit(&self.name, EventKind::AddressFailed { address, error });
            }
            if let Some(done) = step.complete {
                let now = shared.now();
                if done.wanted == Wanted::All {
                    let present = self.addresses.present();
                    self.schedule.handle_complete(now, &present, &self.addresses.held);
                }
                if done.success && done.wanted == Wanted::All {
                    self.failures_told = 0;
                }
                let result = if done.success { Ok(()) } else { Err(EffectFailed) };
                if done.repeated && !done.success {
                    // The machine's order was carried out; what came to it since is missing.
                    self.machine.handle_addresses_lost(now);
                } else {
                    self.machine.handle_effect(now, done.id, result);
                }
                self.carry_out(shared);
            }
        }
        self.announce(shared);
        self.tell_released(shared);
    }

    /// Stands for election exactly as long as somebody wants it: the configuration, a campaign, or a leadership.
    fn stand(&mut self, shared: &mut Shared) {
        let followed = !self.followers.campaigns.is_empty() || !self.followers.leaders.is_empty();
        let wanted = !self.ending && (self.candidate || followed);
        if wanted == self.standing {
            return;
        }
        self.standing = wanted;
        if wanted {
            self.machine.handle_startup(shared.now());
        } else {
            self.machine.handle_shutdown(shared.now());
        }
        self.carry_out(shared);
    }

    /// Carries out all outputs; whether there were any.
    pub(super) fn carry_out(&mut self, shared: &mut Shared) -> bool {
        let mut any = false;
        loop {
            // Before the change of state that follows from it.
            self.note_faults(shared);
            let Some(output) = self.machine.poll_output() else { break };
            any = true;
            match output {
                Output::Send(send) => self.send(send, shared),
                Output::SetAddresses { wanted, id } => {
                    self.addresses.set(id, wanted);
                    if wanted == Wanted::None {
                        self.schedule.handle_release();
                        self.tell_lost(shared);
                    }
                }
                Output::Announce => self.schedule.handle_announce(shared.now()),
                Output::AskPromotion { ticket, reason } => self.ask(ticket, reason),
                Output::StateChanged { from, to, reason, term } => {
                    let priority = self.machine.priority();
                    let kind = EventKind::StateChanged { from, to, reason, term, priority };
                    shared.events.emit(&self.name, kind);
                    if let Some(guard) = &self.guard {
                        guard.handle_master(to == State::Master);
                    }
                    if to == State::Master {
                        self.grant();
                    } else {
                        self.tell_lost(shared);
                    }
                }
                Output::Conflict { conflict, total } => {
                    shared.events.emit(&self.name, EventKind::Conflict { conflict, total });
                }
                Output::Contended { winner, loser, duration, ongoing } => {
                    let kind = EventKind::Contended { winner, loser, duration, ongoing };
                    shared.events.emit(&self.name, kind);
                }
            }
        }
        if any {
            self.bequeath(shared);
        }
        any
    }

    /// Puts one advertisement to all destinations into the outbox. What became of it is told later.
    fn send(&self, send: Send, shared: &mut Shared) {
        for (path, port) in self.paths() {
            let source = self.machine.source(path);
            shared.outbox.begin(self.index, path);
            for destination in self.machine.destinations(path) {
                let buffer = shared.buffer.as_mut_slice();
                if let Ok(bytes) = self.machine.encode(&send, path, destination, buffer) {
                    shared.outbox.push(port, bytes, source, destination);
                }
            }
        }
        if shared.outbox.is_full() {
            shared.transmit();
        }
    }

    /// Tells the sentinel, if there is one, what is to be done if this process dies now.
    fn bequeath(&mut self, shared: &mut Shared) {
        let Some(testator) = &mut shared.testator else { return };
        let will = &mut shared.will;
        will.clear();
        if let Some(journal) = self.addresses.journal() {
            sentinel::begin(will, &self.name, journal.path());
            let now = Instant::from_nanos(shared.clock.now_nanos());
            for send in self.machine.farewell(now) {
                for (path, port) in self.machine.paths().zip(&self.ports) {
                    let device = shared.ports.get(*port).map(|port| &port.device);
                    let (Some(device), Some(source)) = (device, self.machine.source(path)) else {
                        continue;
                    };
                    for destination in self.machine.destinations(path) {
                        let buffer = shared.buffer.as_mut_slice();
                        let encoded = self.machine.encode(&send, path, destination, buffer);
                        if let Ok(packet) = encoded {
                            let on = (device.name.as_str(), device.index);
                            sentinel::add(will, on, source, destination, packet);
                        }
                    }
                }
            }
        }
        if let Err(error) = testator.testament.set(self.index, will) {
            log::error!("{}: the sentinel cannot be told: {error}", self.name);
        }
    }

    /// Announces what is due, at most [`FRAMES_A_STEP`]. A frame that cannot be sent is as good as one
    /// that was lost on the way: the repetitions are for both.
    fn announce(&mut self, shared: &mut Shared) {
        let now = shared.now();
        let mut forwarding = None;
        for _ in 0..FRAMES_A_STEP {
            let Some(index) = self.schedule.poll_output(now, &mut shared.pacer) else { return };
            shared.transmit();
            let Some(address) = self.addresses.held.get(index).map(|held| &held.address) else {
                continue;
            };
            let link =
                shared.links.by_index(address.interface()).filter(|link| link.can_announce());
            let Some((link, mac)) = link.and_then(|link| Some((link, link.mac?))) else { continue };
            drop(match address.ip() {
                IpAddr::V4(ip) => shared.announcer.gratuitous_arp(link.index, mac, ip),
                IpAddr::V6(ip) => {
                    // The R flag has to be the truth (RFC 4861 §7.2.4), which changes: read once a step.
                    let read = || vip_netlink::forwards_ipv6(&link.name).unwrap_or(false);
                    let router = *forwarding.get_or_insert_with(read);
                    shared.announcer.unsolicited_na(link.index, mac, ip, router)
                }
            });
        }
    }

    fn note_faults(&mut self, shared: &Shared) {
        let now = self.machine.faults();
        let Some(told) = self.faults.filter(|told| *told != now) else { return };
        for fault in Fault::ALL {
            match (told.contains(fault), now.contains(fault)) {
                (false, true) => shared.events.emit(&self.name, EventKind::Fault(fault)),
                (true, false) => shared.events.emit(&self.name, EventKind::FaultCleared(fault)),
                (true, true) | (false, false) => {}
            }
        }
        self.faults = Some(now);
    }

    /// The advertised addresses, each with its interface.
    pub(crate) fn advertised(&self) -> impl Iterator<Item = (IpAddr, Arc<str>)> {
        let own: Arc<str> = Arc::from(self.settings.interface.as_str());
        self.settings.addresses.iter().filter(|address| address.advertised).map(move |address| {
            let other = address.interface.as_deref();
            (address.address(), other.map_or_else(|| Arc::clone(&own), Arc::from))
        })
    }

    fn ask(&self, ticket: Ticket, reason: Reason) {
        let config = self.machine.config();
        // Without a thread the default verdict counts.
        let (Some(guard), Some(GuardConfig { deadline, .. })) = (&self.guard, config.guard) else {
            return;
        };
        let (addresses, interfaces) = self.advertised().unzip();
        let question =
            Question { name: Arc::clone(&self.name), addresses, interfaces, reason, deadline };
        guard.ask(ticket, question);
    }
}
