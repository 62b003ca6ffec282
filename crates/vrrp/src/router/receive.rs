//! Datagrams: read in bulk, within a budget, and handed to their virtual routers.

use core::time::Duration;

use reactor::Timers;
use vrrp_fsm::vrrp_proto::AddressFamily;
use vrrp_fsm::{Demux, Instant};

use super::{Router, conclude};
use crate::event::EventKind;
use crate::guard::Party;
use crate::instance::{Instance, Shared};
use crate::socket::control::Control;
use crate::sync_group::SyncGroups;
use crate::sys::{Received, Taken};

/// The most datagrams that are read from one socket in one turn: about a millisecond's work.
const BUDGET: usize = 1024;

/// The most datagrams of one interface that those who live there wait for: more than a queue holds.
pub(super) const MAX_BACKLOG: usize = 16_384;

/// The virtual routers on a flooded interface that tell of it.
const OVERFLOWS_TOLD: usize = 4;

/// After so many datagrams, Masters whose advertisement is due send it.
const FAIRNESS: usize = 64;

impl Router {
    /// How many datagrams of a port were read without an end; 0: nothing is unread.
    pub(super) fn backlog(&self, port: usize) -> usize {
        self.backlogs.get(port).copied().unwrap_or(0)
    }

    /// Reads the queues of a port, within the budget.
    pub(super) fn receive(&mut self, port: usize) {
        let receivers = self.shared.ports.get(port).map_or(0, |port| port.receivers.len());
        let before = Some(self.backlog(port)).filter(|unread| *unread < MAX_BACKLOG);
        let (mut read, mut is_all, mut lost) = (before.unwrap_or(0), true, false);
        for receiver in 0..receivers {
            let (count, is_all_of_it, is_lost) = self.read(port, receiver);
            read += count;
            is_all &= is_all_of_it;
            lost |= is_lost;
        }
        let backlog = if is_all { 0 } else { read.min(MAX_BACKLOG) };
        if self.backlogs.len() <= port {
            self.backlogs.resize(port + 1, 0);
        }
        if let Some(of_port) = self.backlogs.get_mut(port) {
            *of_port = backlog;
        }
        // What is still unread after so much may hold the Master's advertisement, as what was lost may.
        if lost || backlog == MAX_BACKLOG {
            self.overflowed(port);
        }
    }

    /// Reads a socket's queue: how many datagrams, whether these were all, and whether others were lost.
    fn read(&mut self, port: usize, receiver: usize) -> (usize, bool, bool) {
        let (mut total, mut since_kept_up, mut lost) = (0, 0, false);
        let is_all = loop {
            let Some(socket) =
                self.shared.ports.get(port).and_then(|port| port.receivers.get(receiver))
            else {
                break true;
            };
            // An error here is the interface's going down, told once; the monitor tells the same.
            let Ok(Taken { count, is_all }) = socket.receive(&mut self.batch) else { break true };
            let now = self.shared.now();
            for received in self.batch.received().take(count) {
                lost |= deliver(
                    (port, receiver, now),
                    &received,
                    &mut self.demux,
                    (&mut self.instances, &mut self.groups),
                    &mut self.shared,
                    &mut self.timers,
                );
            }
            self.finish_sends();
            total += count;
            if is_all {
                break true;
            }
            since_kept_up += count;
            if since_kept_up >= FAIRNESS {
                since_kept_up = 0;
                self.keep_up();
            }
            if total >= BUDGET {
                break false;
            }
        };
        let ports = &mut self.shared.ports;
        if let Some(socket) = ports.get_mut(port).and_then(|port| port.receivers.get_mut(receiver))
            && total >= FAIRNESS
        {
            // The kernel keeps the oldest datagrams, so the counter beside them does not tell of a loss after them.
            lost |= socket.has_overflowed();
        }
        (total, is_all, lost)
    }

    fn overflowed(&mut self, port: usize) {
        self.overflows += 1;
        // A flood is told of once a second, and not by hundreds.
        let now = self.shared.now();
        let tell = self.overflow_told.is_none_or(|told| now >= told + Duration::from_secs(1));
        if tell {
            self.overflow_told = Some(now);
        }
        let members =
            self.shared.ports.get(port).map(|port| port.members.clone()).unwrap_or_default();
        for (number, index) in members.into_iter().enumerate() {
            let told = self.instances.get(index).filter(|_| tell && number < OVERFLOWS_TOLD);
            if let Some(instance) = told {
                self.shared.events.emit(&instance.name, EventKind::ReceiveQueueOverflow);
            }
            self.act(index, Instance::handle_overflow);
        }
        self.finish_sends();
    }
}

/// Hands one datagram to its virtual router; whether datagrams before it were lost.
fn deliver(
    (port, socket, now): (usize, usize, Instant),
    received: &Received<'_>,
    demux: &mut Demux,
    (instances, groups): (&mut [Instance], &mut SyncGroups),
    shared: &mut Shared,
    timers: &mut Timers<Party, Instant>,
) -> bool {
    let Some(port) = shared.ports.get_mut(port) else { return false };
    let Some(socket) = port.receivers.get_mut(socket) else { return false };
    let control = Control::parse(received.control);
    let lost = control.overflow.is_some_and(|counter| socket.note_overflow(counter));
    let interface = port.device.index;
    let found = match (port.family, received.source, control.destination) {
        (AddressFamily::Ipv4, _, _) => demux.ipv4(interface, received.bytes),
        (AddressFamily::Ipv6, Some(source), Some(destination)) => {
            demux.ipv6(interface, source, destination, control.hop_limit, received.bytes)
        }
        // The kernel told less than we asked it for.
        (AddressFamily::Ipv6, _, _) => return lost,
    };
    // What belongs to none is counted by the demultiplexer.
    if let Ok((index, datagram)) = found
        && let Some(instance) = instances.get_mut(index)
    {
        instance.handle_datagram(now, datagram, shared);
        conclude((index, now), (instances, groups), shared, timers);
    }
    lost
}
