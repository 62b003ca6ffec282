//! What is asked of a running director, and what others do to its table: over a kernel in memory, in virtual time.
#![expect(clippy::unwrap_used, reason = "a panic is a test's way to fail")]

mod bench;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::path::Path;

use bench::{Bench, builder, destination, key, service, unchecked, weights};
use ipvs::{
    Backend as _, Command, DestinationKey, Scheduler, Service, Statistics, SyncRole, Weight,
};
use lvs::{
    Config, EventKind, Foreign, MemoryKernel, OnDrift, OrderError, RealServer, Reason,
    ServiceConfig, SyncConfig,
};

const SECOND: Duration = Duration::from_secs(1);

fn real(port: u16) -> DestinationKey {
    SocketAddr::new(IpAddr::from([198, 51, 100, 1]), port).into()
}

/// Service 80 of the real servers 1 and 2, without checks.
fn two() -> ServiceConfig {
    [1, 2].into_iter().fold(ServiceConfig::new(service(80)), |config, port| {
        let address = SocketAddr::new(IpAddr::from([198, 51, 100, 1]), port);
        config.real_server(RealServer::new(destination(address)))
    })
}

fn roles(kernel: &MemoryKernel) -> Vec<SyncRole> {
    kernel.with(|fake| fake.daemons().unwrap()).into_iter().map(|daemon| daemon.role).collect()
}

fn texts(events: &[EventKind]) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}

#[test]
fn the_sync_daemon_follows_the_state_and_is_ours_like_a_service() {
    let (directory, kernel) = (tempfile::tempdir().unwrap(), MemoryKernel::new());
    let config = || Config::new().sync(SyncConfig::new("eth0".parse().unwrap(), 51));
    let build = |config| builder(config, directory.path(), &kernel).build().unwrap();
    let mut bench = Bench::new(build(config()));
    assert_eq!(roles(&kernel), [], "nobody has said what we are");
    bench.director.set_state(bench.now, SyncRole::Backup);
    assert_eq!(roles(&kernel), [SyncRole::Backup]);
    bench.director.set_state(bench.now, SyncRole::Master);
    assert_eq!(roles(&kernel), [SyncRole::Master]);
    assert_eq!(
        texts(&bench.settle()),
        ["the backup sync daemon runs", "the master sync daemon runs"]
    );

    // Who takes over from a dead director lets it run until it is told what to run.
    bench.director.leave();
    let mut next = Bench::new(build(config()));
    assert_eq!(roles(&kernel), [SyncRole::Master]);
    next.director.set_state(next.now, SyncRole::Master);
    assert_eq!(roles(&kernel), [SyncRole::Master]);
    next.director.set_state(next.now, SyncRole::Backup);
    assert_eq!(roles(&kernel), [SyncRole::Backup]);
    next.director.leave();
    build(Config::new()).stop().unwrap();
    assert_eq!(roles(&kernel), [], "not configured any more: stopped");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no journal is left");

    let mut last = build(config());
    last.set_state(bench.now, SyncRole::Master);
    last.stop().unwrap();
    assert_eq!(roles(&kernel), [], "stopped at the end");
}

#[test]
fn the_sync_daemon_of_somebody_else_is_refused_or_taken_over() {
    for (foreign, refused) in [(Foreign::Refuse, true), (Foreign::Adopt, false)] {
        let (directory, kernel) = (tempfile::tempdir().unwrap(), MemoryKernel::new());
        let start = ipvs::SyncDaemon::new(SyncRole::Master, "lo".parse().unwrap(), 9);
        kernel.change(&Command::StartDaemon(start)).unwrap();
        let config = Config::new().sync(SyncConfig::new("eth0".parse().unwrap(), 51));
        let director = builder(config, directory.path(), &kernel).foreign(foreign).build().unwrap();
        let mut bench = Bench::new(director);
        bench.director.set_state(bench.now, SyncRole::Master);
        let told = texts(&bench.settle());
        let running = kernel.with(|fake| fake.daemons().unwrap());
        let [running] = &running[..] else { panic!("{running:?}") };
        assert_eq!(running.sync_id, if refused { 9 } else { 51 });
        let is_told = told.iter().any(|told| told.contains("cannot start master sync daemon"));
        assert_eq!(is_told, refused, "{told:?}");
        bench.director.stop().unwrap();
        assert_eq!(roles(&kernel).len(), usize::from(refused), "what is not ours stays");
    }
}

#[test]
fn a_drained_server_leaves_when_its_connections_have_ended() {
    let (directory, kernel) = (tempfile::tempdir().unwrap(), MemoryKernel::new());
    let config = Config::new().service(two());
    let mut bench = Bench::new(builder(config, directory.path(), &kernel).build().unwrap());
    let connections = |active, inactive| {
        kernel.with(|fake| fake.set_connections(key(80), real(1), active, inactive));
    };
    connections(3, 1);
    assert!(bench.director.drain(bench.now, &key(80), &real(1), 600 * SECOND));
    assert!(!bench.director.drain(bench.now, &key(80), &real(3), SECOND), "there is none");
    assert_eq!(weights(&kernel.table(), 80), Some(vec![(1, 0), (2, 1)]));
    bench.pass(100 * SECOND);
    let why = bench.director.why(bench.now, &key(80), &real(1)).unwrap();
    assert!(
        matches!(why.reason, Reason::Draining { connections: Some(4), remaining, .. } if remaining == 500 * SECOND),
        "{why}"
    );
    connections(0, 1);
    bench.pass(10 * SECOND);
    assert_eq!(weights(&kernel.table(), 80), Some(vec![(1, 0), (2, 1)]));
    connections(0, 0);
    assert_eq!(
        texts(&bench.pass(SECOND)),
        ["tcp/192.0.2.1:80: real server 198.51.100.1:1 is drained: its connections have ended"]
    );
    assert_eq!(weights(&kernel.table(), 80), Some(vec![(2, 1)]));
    assert_eq!(bench.director.poll_timeout(), None, "nobody is counted any more");
    assert!(bench.director.restore(bench.now, &key(80), &real(1)));
    assert_eq!(weights(&kernel.table(), 80), Some(vec![(1, 1), (2, 1)]));
}

fn audited(directory: &Path, kernel: &MemoryKernel, on_drift: OnDrift) -> Bench {
    let config = Config::new().service(two()).service(unchecked(81, 3));
    Bench::new(builder(config, directory, kernel).audit(10 * SECOND, on_drift).build().unwrap())
}

#[test]
fn changes_of_others_are_reported_once_or_undone() {
    let by_hand = || {
        let idle = destination("198.51.100.1:1".parse().unwrap()).with_weight(Weight::QUIESCED);
        [
            Command::SetDestination(key(80), idle),
            Command::DelDestination(key(80), real(2)),
            Command::NewDestination(key(80), destination("198.51.100.1:7".parse().unwrap())),
        ]
    };
    let difference =
        "add destination 198.51.100.1:2 (direct route, weight 1) to service tcp/192.0.2.1:80";
    for on_drift in [OnDrift::Report, OnDrift::Restore] {
        let (directory, kernel) = (tempfile::tempdir().unwrap(), MemoryKernel::new());
        let mut bench = audited(directory.path(), &kernel, on_drift);
        let wanted = kernel.table();
        assert_eq!(bench.pass(60 * SECOND), [], "nobody changed anything");
        for command in by_hand() {
            kernel.change(&command).unwrap();
        }
        kernel.change(&Command::NewService(Service::new(key(99), Scheduler::RoundRobin))).unwrap();
        let changed = kernel.table();
        let told = bench.pass(10 * SECOND);
        let [EventKind::Drift { service, difference: told, restored }] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((*service, *restored), (key(80), on_drift == OnDrift::Restore));
        assert!(
            told.contains(difference) && told.contains("remove destination 198.51.100.1:7"),
            "{told}"
        );
        let mut after = kernel.table();
        if on_drift == OnDrift::Report {
            assert_eq!(after, changed, "left alone");
            assert_eq!(bench.pass(60 * SECOND), [], "and told once");
        } else {
            assert!(after.remove(&key(99)).is_some(), "what is not ours is left alone");
            assert_eq!(after, wanted);
            assert_eq!(bench.pass(60 * SECOND), []);
        }
    }
}

#[test]
fn a_running_director_answers() {
    let (directory, kernel) = (tempfile::tempdir().unwrap(), MemoryKernel::new());
    let config = Config::new().service(two());
    let running = builder(config, directory.path(), &kernel).start().unwrap();
    let handle = running.handle().clone();
    handle.set_weight(key(80), real(1), Some(Weight::from(40))).unwrap();
    assert_eq!(weights(&kernel.table(), 80), Some(vec![(1, 40), (2, 1)]));
    handle.set_weight(key(80), real(1), None).unwrap();
    handle.drain(key(80), real(2), Duration::ZERO).unwrap();
    handle.restore(key(80), real(2)).unwrap();
    assert_eq!(weights(&kernel.table(), 80), Some(vec![(1, 1), (2, 1)]));
    let missing = handle.set_weight(key(80), real(3), None).unwrap_err();
    assert_eq!(missing, OrderError::NoRealServer { service: key(80), real_server: real(3) });
    assert_eq!(
        missing.to_string(),
        "the service tcp/192.0.2.1:80 has no real server 198.51.100.1:3"
    );
    let why = handle.why(key(80), real(1)).unwrap().unwrap().to_string();
    assert!(
        why.starts_with(
            "tcp/192.0.2.1:80: real server 198.51.100.1:1 has weight 1: it has no checks"
        ),
        "{why}"
    );
    assert_eq!(handle.why(key(81), real(1)).unwrap(), None);
    let mut counted = Statistics::default();
    counted.connections = 1 << 40;
    kernel.with(|fake| fake.set_statistics(key(80), counted));
    let traffic = handle.statistics().unwrap();
    assert_eq!(traffic[&key(80)].statistics.connections, 1 << 40, "more than 32 bits");
    assert_eq!(traffic[&key(80)].destinations.len(), 2);
    running.stop().unwrap();
    assert!(handle.status().is_err(), "a handle does not keep it running");
}

#[test]
fn a_scheduler_that_the_kernel_lacks_is_named_with_its_module() {
    let (directory, kernel) = (tempfile::tempdir().unwrap(), MemoryKernel::new());
    kernel.with(|fake| fake.remove_scheduler(&Scheduler::MaglevHash));
    let maglev = ServiceConfig::new(Service::new(key(80), Scheduler::MaglevHash));
    let config = Config::new().service(maglev).service(unchecked(81, 1));
    let director = builder(config, directory.path(), &kernel).build().unwrap();
    let told = director.events().try_recv().unwrap().to_string();
    assert!(told.contains("modprobe ip_vs_mh"), "{told}");
    assert_eq!(kernel.table().len(), 1, "the others are served");
}
