//! One simulated host: the machine, and around it what an adapter and a kernel would be.

use core::{net::IpAddr, time::Duration};
use std::{collections::VecDeque, sync::Arc};

use vrrp_fsm::{Config, Datagram, Discard, EffectId, Instant, PathId, VirtualRouter, Wanted};

use crate::{Chance, invariants::Checker, local_clock::LocalClock, witness::History};

/// Names a router of one [`Simulation`](crate::Simulation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(u32);

impl RouterId {
    /// The router that was added as number `index`, counted from 0. One that was not added is left
    /// alone by everything.
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// 0 for the first router that was added, 1 for the next, and so on.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What the surroundings of one router are like. The default is a good machine: addresses take a
/// millisecond, timers are exact, nothing fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by its users, with `..Conditions::default()`")]
pub struct Conditions {
    /// How long installing and announcing the addresses takes.
    pub install: Duration,
    /// How long removing them takes.
    pub remove: Duration,
    /// How likely installing fails.
    pub install_fails: Chance,
    /// How likely removing fails.
    pub remove_fails: Chance,
    /// How likely installing or removing is never answered: a hook that hangs.
    pub effects_hang: Chance,
    /// How long a guard thinks at most.
    pub guard_takes: Duration,
    /// How likely a guard vetoes a promotion; otherwise it agrees.
    pub guard_vetoes: Chance,
    /// How likely a guard says nothing at all.
    pub guard_hangs: Chance,
    /// How likely sending fails: a firewall that drops our output, a full queue.
    pub send_fails: Chance,
    /// How much later than its deadline a timer may be served: g in the bounds of
    /// [`Bounds`](crate::Bounds).
    pub wake_latency: Duration,
    /// How likely a packet is followed by a wake-up for nothing.
    pub spurious_wakes: Chance,
    /// How many datagrams wait for a process that stands still; a kernel keeps the oldest.
    pub receive_queue: usize,
    /// How much faster (or slower, if negative) the router's clock is than the simulation's, in
    /// parts per million: a bad oscillator, a clock that is slewed. On top of the up to 50 either
    /// way that every router has; its clock does not jump when this changes.
    pub clock_drift: i32,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            install: Duration::from_millis(1),
            remove: Duration::from_millis(1),
            install_fails: Chance::NEVER,
            remove_fails: Chance::NEVER,
            effects_hang: Chance::NEVER,
            guard_takes: Duration::ZERO,
            guard_vetoes: Chance::NEVER,
            guard_hangs: Chance::NEVER,
            send_fails: Chance::NEVER,
            wake_latency: Duration::ZERO,
            spurious_wakes: Chance::NEVER,
            receive_queue: 256,
            clock_drift: 0,
        }
    }
}

/// A datagram under way, as a raw socket would deliver it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) path: PathId,
    /// Who sent it, by its address on the first path.
    pub(crate) sender: IpAddr,
    /// Which transmission it was, the same on all paths; 0 for what nobody sent like that.
    pub(crate) serial: u64,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// IPv6 only; an IPv4 packet has it in its header.
    pub(crate) hop_limit: u8,
    /// IPv4: the whole packet. IPv6: the payload.
    pub(crate) octets: Arc<[u8]>,
    /// How many answers led to it: 0 for an advertisement that came by a timer.
    pub(crate) answers: u32,
}

impl Packet {
    pub(crate) fn datagram(&self) -> Result<Datagram<'_>, Discard> {
        match (self.source, self.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let hop_limit = Some(self.hop_limit);
                Ok(Datagram::ipv6(self.path, source, destination, hop_limit, &self.octets))
            }
            _ => Datagram::ipv4(self.path, &self.octets),
        }
    }
}

/// How many queued datagrams are read before due timers are served.
pub(crate) const BATCH: usize = 64;

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a host")]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) seed: u64,
    /// Its address on the first path, by which it is known.
    pub(crate) source: IpAddr,
    /// On the further ones.
    pub(crate) more_sources: Vec<IpAddr>,
    pub(crate) clock: LocalClock,
    /// Parts per million that its clock is off by under the best conditions.
    pub(crate) own_drift: i32,
    pub(crate) conditions: Conditions,
    /// The process; `None` while it does not run.
    pub(crate) machine: Option<VirtualRouter>,
    /// Counts the processes this host has run, so that what an earlier one began is not finished.
    pub(crate) incarnation: u32,
    pub(crate) paused: bool,
    pub(crate) link_up: bool,
    /// Whether the process knows its link to be up.
    pub(crate) link_told_up: bool,
    pub(crate) receive_queue: VecDeque<Packet>,
    pub(crate) overflowed: bool,
    /// The work on the addresses that was asked for last and is not finished.
    pub(crate) effect: Option<(EffectId, Wanted)>,
    /// The same, finished while the process was paused.
    pub(crate) finished: Vec<(EffectId, Wanted)>,
    /// Work on the addresses that hangs.
    pub(crate) hanging: Vec<(EffectId, Wanted)>,
    /// Whether the addresses are on the interface.
    pub(crate) installed: bool,
    /// The machine's deadline that `wake_at` serves, on its own clock.
    pub(crate) deadline: Option<Instant>,
    /// When the process wakes for it, on the simulation's clock.
    pub(crate) wake_at: Option<Instant>,
    pub(crate) checker: Checker,
    pub(crate) history: History,
}

impl Host {
    /// Its own addresses, path by path.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (PathId, IpAddr)> {
        let further = self.more_sources.iter().copied();
        (0..).map(PathId::new).zip([self.source].into_iter().chain(further))
    }

    /// Its own address on a path.
    pub(crate) fn source_on(&self, path: PathId) -> Option<IpAddr> {
        match usize::from(path.get()).checked_sub(1) {
            None => Some(self.source),
            Some(further) => self.more_sources.get(further).copied(),
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.machine.is_some() && !self.paused
    }

    /// Changes the surroundings. A deadline that is armed comes sooner or later if the clock runs at
    /// another speed.
    pub(crate) fn set_conditions(&mut self, now: Instant, conditions: Conditions) {
        self.conditions = conditions;
        self.clock.set_drift(now, self.own_drift.saturating_add(conditions.clock_drift));
        if let (Some(deadline), Some(wake_at)) = (self.deadline, &mut self.wake_at) {
            *wake_at = self.clock.global(deadline).max(now);
        }
    }

    /// Forgets all that a process knows.
    pub(crate) fn end_process(&mut self) {
        self.machine = None;
        self.incarnation += 1;
        self.history = History::default();
        self.paused = false;
        self.receive_queue.clear();
        self.overflowed = false;
        self.effect = None;
        self.finished.clear();
        self.hanging.clear();
        self.deadline = None;
        self.wake_at = None;
    }

    /// Queues a datagram for a process that does not read.
    pub(crate) fn enqueue(&mut self, packet: Packet) {
        if self.receive_queue.len() < self.conditions.receive_queue {
            self.receive_queue.push_back(packet);
        } else {
            self.overflowed = true;
        }
    }
}
