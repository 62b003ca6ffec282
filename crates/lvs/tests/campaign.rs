//! Random servers, configurations, refusals and strangers, in virtual time: whenever things stay as they are for a while,
//! the table is what servers and configuration say.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is a test's way to fail"
)]

mod bench;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use bench::{Bench, Recorder, builder, destination, key, listen, service, timing};
use healthcheck::Outcome;
use ipvs::{Command, Scheduler, Service, Table, Weight};
use lvs::{Config, EventKind, Foreign, RealServer, ServiceConfig, WhenDown};

const SERVERS: usize = 12;
const STEPS: usize = 600;
/// Services 1 to 4 may be ours, 5 never is.
const STRANGER: u16 = 5;

#[derive(Clone, Debug, Default)]
struct Wanted(BTreeMap<u16, BTreeMap<usize, WhenDown>>);

struct Campaign {
    random: fastrand::Rng,
    bench: Bench,
    kernel: Recorder,
    addresses: Vec<SocketAddr>,
    listeners: Vec<Option<TcpListener>>,
    wanted: Wanted,
    told: BTreeMap<&'static str, u32>,
}

impl Campaign {
    fn config(&self) -> Config {
        self.wanted.0.iter().fold(Config::new(), |config, (&port, servers)| {
            let service = servers.iter().fold(
                ServiceConfig::new(service(port)),
                |service, (&server, &when_down)| {
                    let server = RealServer::new(destination(self.addresses[server]));
                    service.real_server(server.tcp_check(timing()).when_down(when_down))
                },
            );
            config.service(service)
        })
    }

    fn expected(&self) -> Table {
        let mut table = Table::new();
        for (&port, servers) in &self.wanted.0 {
            let entry = table.insert(service(port));
            for (&server, &when_down) in servers {
                let up = destination(self.addresses[server]);
                if self.listeners[server].is_some() {
                    entry.insert(up);
                } else if when_down == WhenDown::Quiesce {
                    entry.insert(up.with_weight(Weight::QUIESCED));
                }
            }
        }
        table.insert(Service::new(key(STRANGER), Scheduler::SourceHash));
        table
    }

    fn pass(&mut self, time: Duration) {
        let events = self.bench.pass(time);
        self.count(&events);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "counts what it knows")]
    fn count(&mut self, events: &[EventKind]) {
        for event in events {
            let name = match event {
                EventKind::RealServer { outcome: Outcome::Up, .. } => "up",
                EventKind::RealServer { outcome: Outcome::Down, .. } => "down",
                EventKind::Refused { .. } => "refused",
                EventKind::Unreadable { .. } => "unreadable",
                EventKind::Converged => "converged",
                EventKind::Removed { .. } => "removed",
                EventKind::Adopted { .. } => "adopted",
                _ => "other",
            };
            *self.told.entry(name).or_default() += 1;
        }
    }

    fn step(&mut self) {
        match self.random.u8(0..10) {
            0..4 => {
                let server = self.random.usize(0..SERVERS);
                let address = self.addresses[server].to_string();
                let slot = &mut self.listeners[server];
                *slot = if slot.is_some() { None } else { Some(listen(&address)) };
            }
            4 => {
                let ports: BTreeSet<u16> = (0..3).map(|_| self.random.u16(1..STRANGER)).collect();
                self.wanted =
                    Wanted(ports.into_iter().map(|port| (port, self.servers())).collect());
                if self.bench.director.apply(self.bench.now, self.config()).is_err() {
                    // The table cannot be read at present: the director keeps the old configuration, so try again then.
                    self.kernel.set_unreadable(false);
                    self.bench.director.apply(self.bench.now, self.config()).unwrap();
                }
            }
            5 => self.kernel.refuse(
                self.random.choice([None, Some("add "), Some("change "), Some("remove ")]).unwrap(),
            ),
            6 => {
                let unreadable = self.random.bool();
                self.kernel.set_unreadable(unreadable);
            }
            7 => self.stranger(),
            _ => {
                let time = Duration::from_millis(self.random.u64(0..20_000));
                self.pass(time);
            }
        }
    }

    fn servers(&mut self) -> BTreeMap<usize, WhenDown> {
        let count = self.random.usize(0..6);
        let mut any = || {
            let when_down = if self.random.bool() { WhenDown::Quiesce } else { WhenDown::Remove };
            (self.random.usize(0..SERVERS), when_down)
        };
        (0..count).map(|_| any()).collect()
    }

    /// Somebody else changes what they like; that an object is there already, or not there, is their problem.
    fn stranger(&mut self) {
        let service = key(self.random.u16(1..STRANGER));
        let real = destination(self.addresses[self.random.usize(0..SERVERS)]);
        let command = match self.random.u8(0..5) {
            0 => Command::NewService(Service::new(service, Scheduler::SourceHash)),
            1 => Command::DelService(service),
            2 => Command::NewDestination(service, real),
            3 => Command::SetDestination(service, real.with_weight(Weight::from(9))),
            _ => Command::DelDestination(service, real.key()),
        };
        drop(self.kernel.inner.change(&command));
    }

    /// Nothing is refused any more, and things stay as they are.
    fn check(&mut self) {
        self.kernel.refuse(None);
        self.kernel.set_unreadable(false);
        self.pass(Duration::from_secs(90));
        self.bench.director.repair(self.bench.now);
        self.pass(Duration::ZERO);
        let mut table = self.kernel.inner.table();
        let ours: Vec<_> =
            self.wanted.0.keys().map(|&port| key(port)).chain([key(STRANGER)]).collect();
        let others: Vec<_> = table.keys().filter(|key| !ours.contains(key)).copied().collect();
        for key in others {
            table.remove(&key); // a stranger's
        }
        assert_eq!(table, self.expected());
        let status = self.bench.director.status(self.bench.now);
        assert!(!status.in_trouble);
        for (service, (&port, servers)) in status.services.iter().zip(&self.wanted.0) {
            assert_eq!(
                (service.service, service.real_servers.len(), service.installed),
                (key(port), servers.len(), true)
            );
        }
    }
}

#[test]
fn the_table_follows() {
    let directory = tempfile::tempdir().unwrap();
    let listeners: Vec<_> = (0..SERVERS).map(|_| Some(listen("127.0.0.87:0"))).collect();
    let addresses =
        listeners.iter().flatten().map(|listener| listener.local_addr().unwrap()).collect();
    let kernel = Recorder::default();
    kernel
        .inner
        .change(&Command::NewService(Service::new(key(STRANGER), Scheduler::SourceHash)))
        .unwrap();
    let director =
        builder(Config::new(), directory.path(), &kernel).foreign(Foreign::Adopt).build().unwrap();
    let mut campaign = Campaign {
        random: fastrand::Rng::with_seed(20),
        bench: Bench::new(director),
        kernel: kernel.clone(),
        addresses,
        listeners,
        wanted: Wanted::default(),
        told: BTreeMap::new(),
    };
    for step in 1..=STEPS {
        campaign.step();
        if step % 12 == 0 {
            campaign.check();
        }
    }
    println!("events of {STEPS} steps: {:?}", campaign.told);
    for name in ["up", "down", "refused", "unreadable", "converged", "removed", "adopted"] {
        assert!(
            campaign.told.contains_key(name),
            "the campaign never came to {name:?}: {:?}",
            campaign.told
        );
    }
    let wanted: Vec<_> = campaign.wanted.0.keys().map(|&port| key(port)).collect();
    assert!(wanted.iter().all(|key| kernel.inner.table().contains(key)));
    campaign.bench.director.stop().unwrap();
    let left = kernel.inner.table();
    assert!(wanted.iter().all(|key| !left.contains(key)) && left.contains(&key(STRANGER)));
}
