//! Routers with two lines between them, each with its latency.

use core::time::Duration;

use vrrp_fsm::{Config, Instant, State};

use super::{MILLISECOND, SLOW};
use crate::host::*;

pub(super) struct Lines {
    pub(super) hosts: Vec<Host>,
    addresses: Vec<[&'static str; 2]>,
    pub(super) now: Instant,
    pub(super) latency: [Duration; 2],
    /// Whether nothing passes.
    pub(super) cut: [bool; 2],
    flying: Vec<(Instant, usize, Packet)>,
    arrived: Vec<(usize, Packet)>,
}

impl Lines {
    pub(super) fn new(routers: impl IntoIterator<Item = ([&'static str; 2], Config)>) -> Self {
        let (addresses, hosts) = routers
            .into_iter()
            .map(|(addresses, config)| {
                let mut host = Host::new(config, addresses[0]);
                host.router.handle_source_address(at(0), SLOW, Some(address(addresses[1])));
                host.router.handle_startup(at(0));
                host.carry_out(at(0));
                (addresses, host)
            })
            .unzip();
        let (latency, cut) = ([MILLISECOND, 3 * MILLISECOND], [false; 2]);
        Self { hosts, addresses, now: at(0), latency, cut, flying: vec![], arrived: vec![] }
    }

    pub(super) fn states(&self) -> Vec<State> {
        self.hosts.iter().map(|host| host.router.state()).collect()
    }

    /// What has arrived at a router so far.
    pub(super) fn taken(&self, router: usize) -> Vec<Packet> {
        let own = self.arrived.iter().filter(|(receiver, _)| *receiver == router);
        own.map(|(_, packet)| packet.clone()).collect()
    }

    fn collect(&mut self) {
        for sender in 0..self.hosts.len() {
            while let Some(packet) = self.hosts[sender].wire.pop_front() {
                let path = usize::from(packet.path.get());
                for receiver in (0..self.hosts.len()).filter(|receiver| *receiver != sender) {
                    let own = address(self.addresses[receiver][path]);
                    let addressed = packet.destination.is_multicast() || packet.destination == own;
                    if addressed && !self.cut[path] {
                        self.flying.push((self.now + self.latency[path], receiver, packet.clone()));
                    }
                }
            }
        }
        self.flying.sort_by_key(|(arrival, ..)| *arrival);
    }

    /// Lets everything happen; packets before deadlines.
    pub(super) fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            self.collect();
            let arrival = self.flying.first().map(|(arrival, ..)| *arrival);
            let deadlines = self.hosts.iter().filter_map(|host| host.router.poll_timeout());
            let Some(next) = deadlines.chain(arrival).min().filter(|next| *next <= until) else {
                break;
            };
            self.now = next;
            if arrival == Some(next) {
                let (_, receiver, packet) = self.flying.remove(0);
                let _counted = self.hosts[receiver].receive(next, &packet);
                self.arrived.push((receiver, packet));
            } else {
                let due = |host: &&mut Host| host.router.poll_timeout() == Some(next);
                self.hosts.iter_mut().filter(due).for_each(|host| host.timeout(next));
            }
        }
        self.now = until;
    }
}
