//! A wire in memory between several routers, with latency and partitions.

use core::time::Duration;

use crate::host::*;
use vrrp_fsm::{Config, Instant, State};

pub(crate) const LATENCY: Duration = Duration::from_millis(5);

/// Hosts whose packets reach all others after [`LATENCY`], unless the wire is cut between them.
pub(crate) struct Wire {
    pub(crate) hosts: Vec<Host>,
    pub(crate) now: Instant,
    /// Arrival, receiver, packet; in the order of arrival.
    pub(crate) flying: Vec<(Instant, usize, Packet)>,
    /// Whether nothing passes from the first to the second.
    pub(crate) cut: fn(usize, usize) -> bool,
    pub(crate) packets: usize,
    /// The longest time in which there was more than one Master, and the present one.
    pub(crate) longest_double: Duration,
    double_since: Option<Instant>,
}

impl Wire {
    pub(crate) fn new(configs: impl IntoIterator<Item = (&'static str, Config)>) -> Self {
        let hosts = configs.into_iter().map(|(source, config)| Host::started(config, source));
        let mut wire = Self {
            hosts: hosts.collect(),
            now: at(0),
            flying: Vec::new(),
            cut: |_, _| false,
            packets: 0,
            longest_double: Duration::ZERO,
            double_since: None,
        };
        wire.collect();
        wire
    }

    /// Takes what the hosts have sent.
    fn collect(&mut self) {
        for sender in 0..self.hosts.len() {
            while let Some(packet) = self.hosts[sender].wire.pop_front() {
                self.packets += 1;
                for receiver in 0..self.hosts.len() {
                    let host = &self.hosts[receiver];
                    let addressed =
                        packet.destination.is_multicast() || packet.destination == host.source;
                    if receiver != sender && addressed && !(self.cut)(sender, receiver) {
                        self.flying.push((self.now + LATENCY, receiver, packet.clone()));
                    }
                }
            }
        }
    }

    fn note_double(&mut self) {
        let double = self.masters().len() > 1;
        let since = self.double_since.filter(|_| double).or(double.then_some(self.now));
        if let Some(since) = self.double_since.filter(|_| !double) {
            self.longest_double =
                self.longest_double.max(self.now.saturating_duration_since(since));
        }
        self.double_since = since;
    }

    /// Lets everything happen up to and including `until`; packets before deadlines.
    pub(crate) fn run_until(&mut self, until: Instant) {
        loop {
            let arrival = self.flying.first().map(|(at, ..)| *at);
            let deadlines = self.hosts.iter().filter_map(|host| host.router.poll_timeout());
            let Some(next) = deadlines.chain(arrival).min().filter(|next| *next <= until) else {
                break;
            };
            self.now = next;
            if arrival == Some(next) {
                let (now, receiver, packet) = self.flying.remove(0);
                let _discarded = self.hosts[receiver].receive(now, &packet);
            } else {
                for host in &mut self.hosts {
                    if host.router.poll_timeout() == Some(next) {
                        host.timeout(next);
                    }
                }
            }
            self.collect();
            self.note_double();
        }
        self.now = until;
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Does something to one host now.
    pub(crate) fn with(&mut self, host: usize, change: impl FnOnce(&mut Host, Instant)) {
        change(&mut self.hosts[host], self.now);
        self.hosts[host].carry_out(self.now);
        self.collect();
        self.note_double();
    }

    pub(crate) fn masters(&self) -> Vec<usize> {
        let is_master = |host: &usize| self.hosts[*host].router.state() == State::Master;
        (0..self.hosts.len()).filter(is_master).collect()
    }

    /// Who holds the addresses.
    pub(crate) fn holders(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| self.hosts[*host].installed).collect()
    }
}
