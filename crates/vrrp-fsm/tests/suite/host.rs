//! A host for one virtual router: carries out its outputs in an instant and remembers them.

use core::{net::IpAddr, time::Duration};
use std::collections::VecDeque;

use vrrp_fsm::{
    Config, Datagram, Discard, EffectFailed, EffectId, Instant, MAX_DATAGRAM_LEN, Output, PathId,
    SendFailed, State, VirtualRouter, Wanted,
    vrrp_proto::{AddressFamily, Priority, Vrid},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const SEED: u64 = 42;

pub(crate) fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// VRRPv3, IPv4, VRID 51, 192.0.2.1, 1 s.
pub(crate) fn config(priority: u8) -> Config {
    Config::new(Vrid::new(51).unwrap(), AddressFamily::Ipv4)
        .priority(Priority::new(priority))
        .virtual_addresses(vec![address("192.0.2.1")])
}

/// The same with IPv6 and `fe80::1`.
pub(crate) fn config_v6(priority: u8) -> Config {
    Config::new(Vrid::new(51).unwrap(), AddressFamily::Ipv6)
        .priority(Priority::new(priority))
        .virtual_addresses(vec![address("fe80::1")])
}

/// One packet on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) path: PathId,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    pub(crate) fn datagram(&self) -> Datagram<'_> {
        match (self.source, self.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                Datagram::ipv6(self.path, source, destination, Some(self.hop_limit), &self.bytes)
            }
            _ => Datagram::ipv4(self.path, &self.bytes).unwrap(),
        }
    }
}

/// Decides what becomes of effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effects {
    Succeed,
    Fail,
    /// No answer: the test gives it.
    Wait,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) router: VirtualRouter,
    pub(crate) source: IpAddr,
    /// Every output, in order.
    pub(crate) log: Vec<Output>,
    /// Packets that were sent and not taken yet.
    pub(crate) wire: VecDeque<Packet>,
    pub(crate) effects: Effects,
    pub(crate) sending: Result<(), SendFailed>,
    /// Paths nothing can be sent on.
    pub(crate) dead: Vec<PathId>,
    /// Whether the addresses are installed.
    pub(crate) installed: bool,
    pub(crate) pending: Option<(EffectId, Wanted)>,
}

impl Host {
    /// A router with a source address that is not started yet.
    pub(crate) fn new(config: Config, source: &str) -> Self {
        Self::seeded(config, source, SEED)
    }

    /// The same with another seed, as another router has.
    pub(crate) fn seeded(config: Config, source: &str, seed: u64) -> Self {
        let source = address(source);
        let mut router = VirtualRouter::new(config, seed).unwrap();
        router.handle_source_address(Instant::ZERO, PathId::FIRST, Some(source));
        Self {
            router,
            source,
            log: Vec::new(),
            wire: VecDeque::new(),
            effects: Effects::Succeed,
            sending: Ok(()),
            dead: Vec::new(),
            installed: false,
            pending: None,
        }
    }

    /// The same, started.
    pub(crate) fn started(config: Config, source: &str) -> Self {
        let mut host = Self::new(config, source);
        host.router.handle_startup(Instant::ZERO);
        host.carry_out(Instant::ZERO);
        host
    }

    /// The same, and Master out of silence. Its log starts behind that.
    pub(crate) fn master(config: Config, source: &str) -> (Self, Instant) {
        let mut host = Self::started(config, source);
        let mut now = Instant::ZERO;
        while host.router.state() != State::Master {
            now = host.step().unwrap();
        }
        host.log.clear();
        host.wire.clear();
        (host, now)
    }

    /// Carries out the outputs.
    pub(crate) fn carry_out(&mut self, now: Instant) {
        while let Some(output) = self.router.poll_output() {
            self.log.push(output);
            match output {
                Output::Send(send) => {
                    let mut buffer = [0; MAX_DATAGRAM_LEN];
                    for path in self.router.paths().collect::<Vec<_>>() {
                        let works = self.sending.is_ok() && !self.dead.contains(&path);
                        let source = self.router.source(path).filter(|_| works);
                        if let Some(source) = source {
                            for destination in self.router.destinations(path) {
                                let bytes =
                                    self.router.encode(&send, path, destination, &mut buffer);
                                self.wire.push_back(Packet {
                                    path,
                                    source,
                                    destination,
                                    hop_limit: 255,
                                    bytes: bytes.unwrap().to_vec(),
                                });
                            }
                        }
                        self.router.handle_send(now, path, source.map(drop).ok_or(SendFailed));
                    }
                }
                Output::SetAddresses { wanted, id } => match self.effects {
                    _ if self.pending.take().is_some_and(|(older, _)| older >= id) => {
                        panic!("{id:?} is not newer")
                    }
                    Effects::Succeed => {
                        self.installed = wanted == Wanted::All;
                        self.router.handle_effect(now, id, Ok(()));
                    }
                    Effects::Fail => self.router.handle_effect(now, id, Err(EffectFailed)),
                    Effects::Wait => self.pending = Some((id, wanted)),
                },
                Output::Announce
                | Output::AskPromotion { .. }
                | Output::StateChanged { .. }
                | Output::Contended { .. }
                | Output::Conflict { .. } => {}
            }
        }
    }

    /// Answers the effect that waits.
    pub(crate) fn answer(&mut self, now: Instant, result: Result<(), EffectFailed>) {
        let (id, wanted) = self.pending.take().expect("an effect that waits");
        if result.is_ok() {
            self.installed = wanted == Wanted::All;
        }
        self.router.handle_effect(now, id, result);
        self.carry_out(now);
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.router.handle_timeout(now);
        self.carry_out(now);
    }

    /// Goes to the next deadline, if there is one, and serves it.
    pub(crate) fn step(&mut self) -> Option<Instant> {
        let now = self.router.poll_timeout()?;
        self.timeout(now);
        Some(now)
    }

    /// Serves every deadline up to and including `until`.
    pub(crate) fn run_until(&mut self, until: Instant) {
        while self.router.poll_timeout().is_some_and(|at| at <= until) {
            self.step();
        }
    }

    pub(crate) fn receive(&mut self, now: Instant, packet: &Packet) -> Result<(), Discard> {
        let result = self.router.handle_datagram(now, packet.datagram());
        self.carry_out(now);
        result
    }

    /// Takes the outputs so far.
    pub(crate) fn take_log(&mut self) -> Vec<Output> {
        core::mem::take(&mut self.log)
    }
}

/// An advertisement as another router with this configuration sends it.
pub(crate) fn advertisement(config: Config, source: &str, priority: u8) -> Packet {
    advertisement_at(Duration::ZERO, config, source, priority)
}

/// The same at this moment of the wall clock.
pub(crate) fn advertisement_at(
    utc: Duration,
    config: Config,
    source: &str,
    priority: u8,
) -> Packet {
    let source_address = source;
    let config = config.priority(Priority::OWNER).owner_skips_backup(true);
    let config = config.start_delay(Duration::ZERO).guard(None);
    let mut host = Host::new(config, source_address);
    host.router.handle_utc(Instant::ZERO, utc);
    host.router.handle_startup(Instant::ZERO);
    let Some(Output::Send(mut send)) = host.router.poll_output() else { panic!("no Send") };
    send.priority = Priority::new(priority);
    let destination = host.router.destinations(PathId::FIRST).next().unwrap();
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    let bytes = host.router.encode(&send, PathId::FIRST, destination, &mut buffer).unwrap();
    let path = PathId::FIRST;
    Packet { path, source: host.source, destination, hop_limit: 255, bytes: bytes.to_vec() }
}
