//! Health to table, over loopback and a table in memory: connections are real, time is virtual.

mod bench;

use core::time::Duration;
use std::collections::BTreeSet;

use bench::{
    Bench, PATIENCE, Recorder, builder, checked, destination, health, key, listen, service, timing,
    unchecked, weights,
};
use healthcheck::{Check, Failure, Kind, Outcome};
use ipvs::Weight;
use lvs::{ApplyError, Config, EventKind, MemoryKernel, RealServer, ServiceConfig, WhenDown};

#[test]
fn a_real_server_that_stops_leaves_the_table_and_one_that_returns_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (listen("127.0.0.81:0"), listen("127.0.0.81:0"));
    let (stops, stays) = (first.local_addr().unwrap(), second.local_addr().unwrap());
    let kernel = MemoryKernel::new();
    let web =
        ServiceConfig::new(service(80)).real_server(checked(&first)).real_server(checked(&second));
    let director = builder(Config::new().service(web), directory.path(), &kernel).build().unwrap();
    let mut bench = Bench::new(director);
    let both: BTreeSet<_> = [(stops.port(), 1), (stays.port(), 1)].into();
    let present = || weights(&kernel.table(), 80).unwrap().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(present(), both, "real servers are assumed up");
    assert_eq!(bench.pass(Duration::from_secs(20)), []);

    drop(first);
    let told = |outcome, cause| {
        vec![EventKind::RealServer { service: key(80), destination: stops.into(), outcome, cause }]
    };
    assert_eq!(bench.pass(Duration::from_secs(8)), told(Outcome::Down, Some(Failure::Refused)));
    assert_eq!(present(), [(stays.port(), 1)].into());
    let status = bench.director.status(bench.now);
    let server = status.services[0]
        .real_servers
        .iter()
        .find(|server| server.destination == stops.into())
        .unwrap();
    assert_eq!((server.outcome, server.weight), (Outcome::Down, None));

    let _first = listen(&stops.to_string());
    assert_eq!(bench.pass(Duration::from_secs(6)), told(Outcome::Up, None));
    assert_eq!(present(), both);
    bench.director.stop().unwrap();
    assert!(kernel.table().is_empty());
}

#[test]
fn a_quiesced_real_server_stays_with_weight_zero() {
    let directory = tempfile::tempdir().unwrap();
    let (listener, kernel) = (listen("127.0.0.82:0"), MemoryKernel::new());
    let address = listener.local_addr().unwrap();
    let server = RealServer::new(destination(address).with_weight(Weight::from(7)))
        .tcp_check(timing())
        .when_down(WhenDown::Quiesce);
    let config = Config::new().service(ServiceConfig::new(service(80)).real_server(server));
    let mut bench = Bench::new(builder(config, directory.path(), &kernel).build().unwrap());
    assert_eq!(bench.settle(), []);
    assert_eq!(weights(&kernel.table(), 80), Some(vec![(address.port(), 7)]));
    drop(listener);
    assert_eq!(health(bench.pass(Duration::from_secs(8))).len(), 1);
    assert_eq!(weights(&kernel.table(), 80), Some(vec![(address.port(), 0)]));
}

#[test]
fn a_real_server_is_up_while_all_its_checks_are() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second, kernel) =
        (listen("127.0.0.83:0"), listen("127.0.0.83:0"), MemoryKernel::new());
    let other = Check::new(second.local_addr().unwrap(), Kind::Tcp).timing(timing());
    let waiting = RealServer::new(destination(first.local_addr().unwrap()))
        .tcp_check(timing().initial(Outcome::Down));
    let config = Config::new()
        .service(ServiceConfig::new(service(80)).real_server(checked(&first).check(other)))
        .service(ServiceConfig::new(service(81)).real_server(waiting));
    let director = builder(config, directory.path(), &kernel).build().unwrap();
    assert_eq!(weights(&kernel.table(), 81), Some(vec![]), "assumed down until the first success");
    let mut bench = Bench::new(director);
    assert_eq!(health(bench.settle()).len(), 1);
    assert_eq!(weights(&kernel.table(), 81).unwrap().len(), 1);
    drop(second);
    assert_eq!(health(bench.pass(Duration::from_secs(8))).len(), 1);
    assert_eq!(weights(&kernel.table(), 80), Some(vec![]));
    assert_eq!(weights(&kernel.table(), 81).unwrap().len(), 1);
}

#[test]
fn a_new_configuration_keeps_what_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (up, down, kernel) = (listen("127.0.0.85:0"), listen("127.0.0.85:0"), Recorder::default());
    let up_port = up.local_addr().unwrap().port();
    let web = ServiceConfig::new(service(80)).real_server(checked(&up)).real_server(checked(&down));
    drop(down);
    let config = |other| Config::new().service(web.clone()).service(other);
    let director = builder(config(unchecked(81, 1)), directory.path(), &kernel).build().unwrap();
    let mut bench = Bench::new(director);
    assert_eq!(bench.settle().len(), 1);
    kernel.told();

    bench.director.apply(bench.now, config(unchecked(82, 1))).unwrap();
    assert_eq!(bench.settle(), [EventKind::Removed { service: key(81) }]);
    assert_eq!(
        weights(&kernel.inner.table(), 80),
        Some(vec![(up_port, 1)]),
        "still down, not assumed up again"
    );
    assert!(
        !kernel.told().iter().any(|told| told.contains("1:80")),
        "the service that stays is not touched"
    );
    assert_eq!(
        bench.director.poll_timeout(),
        Some(bench.now + Duration::from_secs(6)),
        "nor checked anew"
    );

    bench.director.apply(bench.now, Config::new().service(unchecked(82, 1))).unwrap();
    assert_eq!(bench.director.poll_timeout(), None, "checks that are gone do not run");
    bench.director.apply(bench.now, config(unchecked(82, 1))).unwrap();

    let twice = Config::new().service(unchecked(82, 1)).service(unchecked(82, 2));
    let error = bench.director.apply(bench.now, twice).unwrap_err();
    assert!(matches!(error, ApplyError::Config(_)), "{error:?}");
    let server = RealServer::new(destination("198.51.100.1:1".parse().unwrap()));
    let twice = ServiceConfig::new(service(80)).real_server(server.clone()).real_server(server);
    let error = bench.director.apply(bench.now, Config::new().service(twice)).unwrap_err();
    assert!(matches!(error, ApplyError::Config(_)), "{error:?}");
    assert_eq!(kernel.inner.table().len(), 2, "nothing changed");
}

#[test]
fn on_a_thread_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (listener, kernel) = (listen("127.0.0.86:0"), MemoryKernel::new());
    let address = listener.local_addr().unwrap();
    let fast =
        timing().interval(Duration::from_millis(20)).retry_interval(Duration::from_millis(5));
    let server = RealServer::new(destination(address)).tcp_check(fast);
    let config = Config::new().service(ServiceConfig::new(service(80)).real_server(server));
    let director = builder(config, directory.path(), &kernel).start().unwrap();
    let events = director.events();
    let next = || loop {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        if let EventKind::RealServer { outcome, .. } = event.kind {
            break outcome;
        }
    };
    drop(listener);
    assert_eq!(next(), Outcome::Down);
    let _listener = listen(&address.to_string());
    assert_eq!(next(), Outcome::Up);
    let status = director.status().unwrap();
    assert_eq!(status.services[0].real_servers[0].weight, Some(Weight::ONE));
    director.apply(Config::new().service(unchecked(81, 1))).unwrap();
    assert_eq!(weights(&kernel.table(), 80), None);
    assert_eq!(weights(&kernel.table(), 81), Some(vec![(1, 1)]));
    director.stop().unwrap();
    assert!(kernel.table().is_empty());
    assert_eq!(
        events.iter().map(|event| event.kind).last(),
        Some(EventKind::Removed { service: key(80) })
    );
}
