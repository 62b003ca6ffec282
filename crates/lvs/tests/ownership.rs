//! Which services are ours, and what becomes of them: over a table in memory, in virtual time.
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

mod bench;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bench::{
    Bench, Recorder, builder, checked, destination, health, key, listen, service, unchecked,
    weights,
};
use healthcheck::Outcome;
use ipvs::{Command, Scheduler, Service, ServiceKey, SyncDaemon, Table, Weight};
use lvs::{
    ApplyError, BuildError, Config, EventKind, Foreign, Kernel, KernelError, MemoryKernel,
    RealServer, ServiceConfig, Traffic,
};
use reactor::Clock;

#[test]
fn a_foreign_service_is_refused_or_adopted_and_others_are_never_touched() {
    let directory = tempfile::tempdir().unwrap();
    let kernel = MemoryKernel::new();
    let stranger = destination("198.51.100.9:80".parse().unwrap());
    for port in [80, 9999] {
        kernel
            .change(&Command::NewService(Service::new(key(port), Scheduler::SourceHash)))
            .unwrap();
        kernel.change(&Command::NewDestination(key(port), stranger)).unwrap();
    }
    let before = kernel.table();
    let ours = RealServer::new(destination("198.51.100.1:80".parse().unwrap()));
    let config = Config::new()
        .service(ServiceConfig::new(service(79)).real_server(ours.clone()))
        .service(ServiceConfig::new(service(80)).real_server(ours));
    let build =
        |foreign| builder(config.clone(), directory.path(), &kernel).foreign(foreign).build();

    let refused = build(Foreign::Refuse).unwrap_err();
    assert!(
        matches!(refused, BuildError::Configuration(ApplyError::Foreign { service }) if service == key(80)),
        "{refused:?}"
    );
    assert_eq!(kernel.table(), before);

    let director = build(Foreign::Adopt).unwrap();
    assert_eq!(director.events().try_recv().unwrap().kind, EventKind::Adopted { service: key(80) });
    assert_eq!(director.events().try_recv().map(|event| event.kind), None);
    let table = kernel.table();
    assert_eq!(table.service(&key(80)).unwrap().service(), &service(80));
    assert_eq!(table.service(&key(80)).unwrap().destination(&stranger.key()), None);
    assert_eq!(table.service(&key(9999)), before.service(&key(9999)));
    director.stop().unwrap();
    let table = kernel.table();
    assert_eq!(table.keys().collect::<Vec<_>>(), [&key(9999)]);
    assert_eq!(table.service(&key(9999)), before.service(&key(9999)));
}

#[test]
fn a_successor_adopts_what_it_wants_without_a_change_and_removes_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let kernel = Recorder::default();
    let build = |config| builder(config, directory.path(), &kernel).build();
    let first = build(Config::new().service(unchecked(80, 1)).service(unchecked(81, 2))).unwrap();
    kernel.told();
    let journal = first.journal_path().to_owned();

    let held = build(Config::new().service(unchecked(80, 1))).unwrap_err();
    let source = core::error::Error::source(&held).unwrap().to_string();
    assert!(source.contains(&std::process::id().to_string()), "names who holds it: {source}");

    first.leave(); // as a killed process does
    assert_eq!(kernel.inner.table().len(), 2);
    assert!(journal.exists());
    let mut second =
        build(Config::new().service(unchecked(80, 1)).service(unchecked(82, 3))).unwrap();
    assert_eq!(
        kernel.told(),
        [
            "add service tcp/192.0.2.1:82 (rr)",
            "add destination 198.51.100.1:3 (direct route, weight 1) to service tcp/192.0.2.1:82",
            "remove service tcp/192.0.2.1:81"
        ],
        "the kept service is not touched"
    );
    let events = second.events();
    let events: Vec<_> =
        core::iter::from_fn(|| events.try_recv()).map(|event| event.kind).collect();
    assert_eq!(
        events,
        [EventKind::Adopted { service: key(80) }, EventKind::Removed { service: key(81) }]
    );
    let same = Config::new().service(unchecked(80, 1)).service(unchecked(82, 3));
    second.apply(Clock::now(), same).unwrap();
    assert_eq!(kernel.told(), [""; 0]);
    assert_eq!(
        second.events().try_recv().map(|event| event.kind),
        None,
        "what is ours is not adopted again"
    );
    second.leave();

    // What a dead predecessor listed and somebody else has removed since is simply forgotten.
    kernel.inner.change(&Command::DelService(key(80))).unwrap();
    let third = build(Config::new().service(unchecked(82, 3))).unwrap();
    assert_eq!(kernel.told(), [""; 0]);
    assert_eq!(
        third.events().recv_timeout(Duration::ZERO).unwrap().kind,
        EventKind::Adopted { service: key(82) }
    );
    assert_eq!(third.events().try_recv().map(|event| event.kind), None);
    drop(third);
    assert!(kernel.inner.table().is_empty(), "dropping a director removes its services");
    assert!(!journal.exists());
}

#[test]
fn a_refusal_is_told_once_and_tried_again_later_and_later() {
    let directory = tempfile::tempdir().unwrap();
    let kernel = Recorder::default();
    kernel.refuse(Some("add service tcp/192.0.2.1:80"));
    let config = Config::new().service(unchecked(80, 1)).service(unchecked(81, 2));
    let director = builder(config, directory.path(), &kernel).build().unwrap();
    assert_eq!(kernel.inner.table().len(), 1, "the other service is there");
    let mut bench = Bench::new(director);
    let events = bench.settle();
    assert!(
        matches!(&events[..], [EventKind::Refused { service: Some(service), error }]
            if *service == key(80) && error.contains("cannot add service tcp/192.0.2.1:80 (rr): Operation not permitted")),
        "one cause, one event: {events:?}"
    );
    assert!(bench.director.status(bench.now).in_trouble);
    kernel.told();
    assert_eq!(bench.pass(Duration::from_secs(60)), []);
    let attempts = kernel.told().iter().filter(|told| told.contains("add service")).count();
    assert_eq!(attempts, 5, "after 1, 3, 7, 15 and 31 s");

    kernel.refuse(None);
    assert_eq!(bench.pass(Duration::from_secs(60)), [EventKind::Converged]);
    assert_eq!(kernel.inner.table().len(), 2);
    assert!(!bench.director.status(bench.now).in_trouble);

    kernel.set_unreadable(true);
    bench.director.repair(bench.now);
    let events = bench.settle();
    assert!(matches!(&events[..], [EventKind::Unreadable { .. }]), "{events:?}");
    kernel.set_unreadable(false);
    assert_eq!(bench.pass(Duration::from_secs(2)), [EventKind::Converged]);
}

#[test]
fn what_cannot_be_removed_at_the_end_is_named_and_stays_in_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let kernel = Recorder::default();
    let build = |config| builder(config, directory.path(), &kernel).build().unwrap();
    let director = build(Config::new().service(unchecked(80, 1)));
    kernel.refuse(Some("remove service"));
    let error = director.stop().unwrap_err().to_string();
    assert!(error.contains("remove service tcp/192.0.2.1:80: Operation not permitted"), "{error}");
    kernel.refuse(None);
    let next = build(Config::new());
    assert!(kernel.inner.table().is_empty());
    next.stop().unwrap();
}

#[test]
fn changes_of_others_are_no_obstacle_and_are_repaired_on_demand() {
    let directory = tempfile::tempdir().unwrap();
    let (listener, kernel) = (listen("127.0.0.84:0"), Recorder::default());
    let address = listener.local_addr().unwrap();
    let config =
        Config::new().service(ServiceConfig::new(service(80)).real_server(checked(&listener)));
    let mut bench = Bench::new(builder(config, directory.path(), &kernel).build().unwrap());
    assert_eq!(bench.settle(), []);

    // By hand: the weight is changed, and nothing undoes that by itself.
    let by_hand = destination(address).with_weight(Weight::QUIESCED);
    kernel.inner.change(&Command::SetDestination(key(80), by_hand)).unwrap();
    assert_eq!(bench.pass(Duration::from_secs(60)), []);
    assert_eq!(weights(&kernel.inner.table(), 80), Some(vec![(address.port(), 0)]));
    bench.director.repair(bench.now);
    assert_eq!(weights(&kernel.inner.table(), 80), Some(vec![(address.port(), 1)]));

    // By hand: the destination is removed before we remove it ourselves.
    kernel.inner.change(&Command::DelDestination(key(80), address.into())).unwrap();
    drop(listener);
    let events = health(bench.pass(Duration::from_secs(8)));
    assert!(
        matches!(events[..], [EventKind::RealServer { outcome: Outcome::Down, .. }]),
        "{events:?}"
    );

    // By hand: the whole service is removed before the server returns.
    kernel.inner.change(&Command::DelService(key(80))).unwrap();
    let _listener = listen(&address.to_string());
    let events = health(bench.pass(Duration::from_secs(6)));
    assert!(
        matches!(events[..], [EventKind::RealServer { outcome: Outcome::Up, .. }]),
        "{events:?}"
    );
    assert_eq!(weights(&kernel.inner.table(), 80), Some(vec![(address.port(), 1)]));
}

/// A kernel that looks into the journal whenever a service is made or removed.
#[derive(Clone, Debug)]
struct Witness {
    inner: MemoryKernel,
    directory: PathBuf,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Kernel for Witness {
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError> {
        self.inner.read(services)
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>> {
        let journal = std::fs::read_dir(&self.directory).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(journal).unwrap();
        for command in commands {
            let listed = command.service().is_some_and(|service| {
                let last = text.lines().rfind(|line| line.ends_with(&format!("service {service}")));
                last.is_some_and(|line| line.starts_with('+'))
            });
            self.seen.lock().unwrap().push(format!("{command}: {listed}"));
        }
        self.inner.execute(commands)
    }

    fn traffic(
        &mut self,
        services: &BTreeSet<ServiceKey>,
    ) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
        self.inner.traffic(services)
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, KernelError> {
        self.inner.daemons()
    }
}

#[test]
fn the_journal_lists_a_service_from_before_it_is_made_until_after_it_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let seen = Arc::default();
    let kernel =
        Witness { inner: MemoryKernel::new(), directory: directory.path().to_owned(), seen };
    let config = Config::new().service(unchecked(80, 1));
    let director = builder(config, directory.path(), &kernel).build().unwrap();
    assert_eq!(director.poll_timeout(), None, "without checks there is nothing to wake up for");
    let journal = director.journal_path().to_owned();
    director.stop().unwrap();
    assert_eq!(
        *kernel.seen.lock().unwrap(),
        [
            "add service tcp/192.0.2.1:80 (rr): true",
            "add destination 198.51.100.1:1 (direct route, weight 1) to service tcp/192.0.2.1:80: true",
            "remove service tcp/192.0.2.1:80: true"
        ]
    );
    assert!(!journal.exists());
}

#[test]
fn two_directors_of_different_names_share_a_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let kernel = MemoryKernel::new();
    let build = |name, port| {
        let config = Config::new().service(unchecked(port, 1));
        builder(config, directory.path(), &kernel).name(name).build().unwrap()
    };
    let (web, mail) = (build("web", 80), build("mail", 25));
    drop(web);
    assert_eq!(kernel.table().keys().collect::<Vec<_>>(), [&key(25)]);
    drop(mail);
    assert!(kernel.table().is_empty());
}
