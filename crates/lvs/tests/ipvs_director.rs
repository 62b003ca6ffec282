//! Against a real kernel with `ip_vs`: see `network`.
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

mod network;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command as Process;

use ipvs::{
    Client, Command, Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey,
    SyncDaemon, Table,
};
use lvs::{
    Config, Director, EventKind, Events, Kernel, KernelError, Outcome, RealServer, ServiceConfig,
    Timing, Traffic,
};
use network::{FOREIGN, Lab, PATIENCE};
use reactor::Clock;

const ONE: &str = "10.1.0.11:8080";
const TWO: &str = "10.1.0.12:8080";

const INTERVAL: Duration = Duration::from_millis(200);
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

fn service(port: u16) -> ServiceConfig {
    let key = ServiceKey::tcp([10, 0, 0, 100].into(), port);
    let timing = Timing::new()
        .interval(INTERVAL)
        .retries(1)
        .retry_interval(RETRY_INTERVAL)
        .start_jitter(Duration::ZERO);
    [ONE, TWO].into_iter().fold(
        ServiceConfig::new(Service::new(key, Scheduler::RoundRobin)),
        |config, address| {
            let key = DestinationKey::from(address.parse::<SocketAddr>().unwrap());
            let destination = Destination::new(key, ForwardingMethod::Masquerade);
            config.real_server(RealServer::new(destination).tcp_check(timing))
        },
    )
}

fn director(config: Config, directory: &Path) -> lvs::DirectorBuilder {
    Director::builder(config).run_directory(directory)
}

/// Waits for the next event, which is the change of a real server.
fn next_change(events: &Events) -> (String, Outcome) {
    let event = events.recv_timeout(PATIENCE).expect("a real server changes");
    let EventKind::RealServer { destination, outcome, .. } = event.kind else {
        unreachable!("another event: {event}");
    };
    (destination.to_string(), outcome)
}

#[test]
fn a_real_server_that_stops_leaves_the_table_and_one_that_returns_is_back() {
    lab::need!(ipvs, ipvsadm);
    let (lab, directory) = (Lab::new(), tempfile::tempdir().unwrap());
    let (one, _two) = (lab.serve(ONE), lab.serve(TWO));
    let config = Config::new().service(service(80));
    let director = lab.director.run(|| director(config, directory.path()).start().unwrap());
    let events = director.events();
    let full = table(&[
        FOREIGN,
        "TCP 10.0.0.100:80 rr",
        "-> 10.1.0.11:8080 Masq 1",
        "-> 10.1.0.12:8080 Masq 1",
    ]);
    assert_eq!(lab.listed(), full);
    assert_eq!(lab.reached(4).into_iter().collect::<BTreeSet<_>>(), table(&[ONE, TWO]));

    let stopped = Clock::now();
    drop(one);
    assert_eq!(next_change(&events), (ONE.to_owned(), Outcome::Down));
    let (took, allowed) = (stopped.elapsed(), INTERVAL + RETRY_INTERVAL);
    println!("left the table {took:?} after it stopped; the schedule allows {allowed:?}");
    assert!(took < allowed + Duration::from_secs(2), "{took:?}: more than a slow machine explains");
    assert_eq!(lab.listed(), table(&[FOREIGN, "TCP 10.0.0.100:80 rr", "-> 10.1.0.12:8080 Masq 1"]));
    assert_eq!(lab.reached(4), [TWO; 4]);

    let _one = lab.serve(ONE);
    assert_eq!(next_change(&events), (ONE.to_owned(), Outcome::Up));
    assert_eq!(lab.listed(), full);
    assert_eq!(lab.reached(4).into_iter().collect::<BTreeSet<_>>(), table(&[ONE, TWO]));

    director.stop().unwrap();
    assert_eq!(lab.listed(), table(&[FOREIGN]), "nothing of ours is left, and what is not ours is");
}

#[test]
fn the_successor_of_a_killed_director_adopts_and_cleans() {
    lab::need!(ipvs, ipvsadm);
    if let Some(directory) = std::env::var_os("LVS_TEST_DIRECTORY") {
        // The director that will be killed: this test, started once more by itself.
        let config = Config::new().service(service(80)).service(service(81));
        let director = director(config, Path::new(&directory)).start().unwrap();
        println!("installed");
        director.events().iter().for_each(|event| println!("{event}"));
        return;
    }
    let (lab, directory) = (Lab::new(), tempfile::tempdir().unwrap());
    let _servers = [lab.serve(ONE), lab.serve(TWO)];
    let mut victim = Process::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "--nocapture", "the_successor_of_a_killed_director_adopts_and_cleans"]);
    victim.env("LVS_TEST_DIRECTORY", directory.path());
    let mut victim = lab::Process::start(&lab.director, "director", &mut victim).unwrap();
    assert!(victim.wait_line("installed", PATIENCE).is_some(), "{}", victim.log());

    let config = Config::new().service(service(80));
    let refused =
        lab.director.run(|| director(config.clone(), directory.path()).build().unwrap_err());
    let holder = core::error::Error::source(&refused).unwrap().to_string();
    assert!(holder.contains(&victim.id().to_string()), "names the process that runs: {holder}");

    lab.reached(2);
    victim.kill().unwrap();
    let both = [
        FOREIGN,
        "TCP 10.0.0.100:80 rr",
        "-> 10.1.0.11:8080 Masq 1",
        "-> 10.1.0.12:8080 Masq 1",
        "TCP 10.0.0.100:81 rr",
    ];
    assert_eq!(lab.listed(), table(&both), "a killed director leaves its services");
    let connections = |lab: &Lab| {
        let statistics = lab.ipvsadm("-Ln --stats");
        let line = statistics.lines().find(|line| line.contains("10.0.0.100:80")).unwrap();
        line.split_whitespace().nth(2).unwrap().parse::<u32>().unwrap()
    };
    // The kernel adds its counters up every two seconds.
    lab::eventually(PATIENCE, || (connections(&lab) == 2).then_some(()))
        .expect("two connections are counted");

    let successor = lab.director.run(|| director(config, directory.path()).build().unwrap());
    let events = successor.events();
    let told: Vec<_> =
        core::iter::from_fn(|| events.try_recv()).map(|event| event.to_string()).collect();
    assert_eq!(
        told,
        [
            "tcp/10.0.0.100:80 was there already; taken over",
            "tcp/10.0.0.100:81 is not configured any more; removed"
        ]
    );
    assert_eq!(lab.listed(), table(&both[..4]));
    assert_eq!(connections(&lab), 2, "the service was kept, not made anew");
    successor.stop().unwrap();
    assert_eq!(lab.listed(), table(&[FOREIGN]));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no journal is left");
}

/// The kernel's table, one command at a time; the process is killed after so many.
#[derive(Debug)]
struct KilledAfter {
    client: Client,
    commands: usize,
}

impl Kernel for KilledAfter {
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError> {
        Kernel::read(&mut self.client, services)
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>> {
        let one = |command: &Command| {
            if self.commands == 0 {
                rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                )
                .unwrap();
            }
            self.commands -= 1;
            Kernel::execute(&mut self.client, core::slice::from_ref(command)).remove(0)
        };
        commands.iter().map(one).collect()
    }

    fn traffic(
        &mut self,
        services: &BTreeSet<ServiceKey>,
    ) -> Result<BTreeMap<ServiceKey, Traffic>, KernelError> {
        self.client.traffic(services)
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, KernelError> {
        Kernel::daemons(&mut self.client)
    }
}

#[test]
fn killed_after_any_command_nothing_is_lost_from_sight() {
    lab::need!(ipvs, ipvsadm);
    if let Some(directory) = std::env::var_os("LVS_TEST_DIRECTORY") {
        let commands = std::env::var("LVS_TEST_COMMANDS").unwrap().parse().unwrap();
        let kernel = KilledAfter { client: Client::open().unwrap(), commands };
        let config = Config::new().service(service(80)).service(service(81));
        director(config, Path::new(&directory)).kernel(kernel).build().unwrap().stop().unwrap();
        return;
    }
    let (lab, directory) = (Lab::new(), tempfile::tempdir().unwrap());
    // Two services and four destinations are added, then two services removed.
    for commands in 0..=8 {
        let mut victim = Process::new(std::env::current_exe().unwrap());
        victim.args([
            "--exact",
            "--nocapture",
            "killed_after_any_command_nothing_is_lost_from_sight",
        ]);
        victim
            .env("LVS_TEST_DIRECTORY", directory.path())
            .env("LVS_TEST_COMMANDS", commands.to_string());
        let end = lab.director.output(&mut victim).unwrap();
        let killed = std::os::unix::process::ExitStatusExt::signal(&end.status) == Some(9);
        assert_eq!(
            (killed, end.status.success()),
            (commands < 8, commands == 8),
            "{commands}: {end:?}"
        );

        let left =
            lab.listed().into_iter().filter(|line| line.starts_with("TCP 10.0.0.100")).count();
        assert_eq!(left, [0, 1, 2, 2, 2, 2, 2, 1, 0][commands], "after {commands} commands");
        let journal = std::fs::read_dir(directory.path())
            .unwrap()
            .next()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
        let listed = journal
            .map_or(0, |text| text.lines().filter(|line| line.starts_with("+ service")).count());
        assert!(
            listed >= left,
            "all that is left is listed: {listed} of {left} after {commands} commands"
        );

        let successor =
            lab.director.run(|| director(Config::new(), directory.path()).build().unwrap());
        assert_eq!(lab.listed(), table(&[FOREIGN]), "after {commands} commands");
        successor.stop().unwrap();
    }
}

fn table(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}
