//! The same servers die and return in the same order under keepalived 2.2.7 and under a director that is configured alike: what `ipvsadm`
//! lists after each step, and what is told of the quorum, must be the same.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed helper of a test is a failed test"
)]

mod network;

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command as Process;

use Step::{Dies, Returns};
use ipvs::{Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey, Weight};
use lvs::{
    Config, Director, EventKind, Events, Outcome, RealServer, ServiceConfig, SorryServer, Timing,
    WhenDown,
};
use network::{Lab, PATIENCE, Server};

/// What is configured alike: three real servers of weight 2, checked twice a second.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "that many keywords")]
struct Alike {
    quorum: u32,
    hysteresis: u32,
    sorry: bool,
    inhibit: bool,
    alpha: bool,
    omega: bool,
}

const SERVERS: [u8; 3] = [11, 12, 13];
const SORRY: u8 = 16;

/// A step: a server dies or returns.
#[derive(Clone, Copy, Debug)]
enum Step {
    Dies(u8),
    Returns(u8),
}

fn address(server: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 1, 0, server]), 8080)
}

impl Alike {
    fn keepalived(self, told: &Path) -> String {
        let mut conf = String::from(
            "virtual_server 10.0.0.100 80 {\n  lb_algo wrr\n  lb_kind NAT\n  protocol TCP\n",
        );
        let Self { quorum, hysteresis, .. } = self;
        writeln!(
            conf,
            "  delay_loop 0.5\n  delay_before_retry 0.2\n  warmup 0\n  quorum {quorum}\n  hysteresis {hysteresis}"
        )
        .unwrap();
        for state in ["up", "down"] {
            let file = told.display();
            writeln!(conf, "  quorum_{state} \"/bin/sh -c 'echo quorum {state} >> {file}'\"")
                .unwrap();
        }
        if self.alpha {
            conf.push_str("  alpha\n");
        }
        if self.omega {
            conf.push_str("  omega\n");
        }
        if self.sorry {
            writeln!(conf, "  sorry_server 10.1.0.{SORRY} 8080").unwrap();
        }
        if self.sorry && self.inhibit {
            conf.push_str("  sorry_server_inhibit\n");
        }
        for server in SERVERS {
            writeln!(conf, "  real_server 10.1.0.{server} 8080 {{\n    weight 2").unwrap();
            if self.inhibit {
                conf.push_str("    inhibit_on_failure\n");
            }
            conf.push_str("    TCP_CHECK {\n      connect_timeout 1\n    }\n  }\n");
        }
        conf.push_str("}\n");
        format!("global_defs {{\n  script_user root\n}}\n{conf}")
    }

    fn director(self) -> Config {
        let initial = if self.alpha { Outcome::Down } else { Outcome::Up };
        let timing = Timing::new()
            .interval(Duration::from_millis(500))
            .timeout(Duration::from_secs(1))
            .retries(1)
            .retry_interval(Duration::from_millis(200))
            .start_jitter(Duration::ZERO)
            .initial(initial);
        let destination = |server| {
            Destination::new(DestinationKey::from(address(server)), ForwardingMethod::Masquerade)
        };
        let service = Service::new(
            ServiceKey::tcp([10, 0, 0, 100].into(), 80),
            Scheduler::WeightedRoundRobin,
        );
        let mut pool = ServiceConfig::new(service)
            .quorum(self.quorum)
            .hysteresis(self.hysteresis)
            .tell_start(true)
            .tell_end(self.omega);
        if self.sorry {
            let sorry = SorryServer::new(destination(SORRY)).standby(self.inhibit);
            pool = pool.sorry_server(sorry.keep_connections(false));
        }
        let rule = if self.inhibit { WhenDown::Quiesce } else { WhenDown::Remove };
        let pool = SERVERS.into_iter().fold(pool, |pool, server| {
            let destination = destination(server).with_weight(Weight::from(2));
            pool.real_server(RealServer::new(destination).tcp_check(timing).when_down(rule))
        });
        Config::new().service(pool)
    }
}

/// Our service: `12:2` is a real server and its weight.
fn listed(lab: &Lab) -> Vec<String> {
    let all = lab.ipvsadm("-Sn");
    let ours = all.lines().filter(|line| line.starts_with("-a -t 10.0.0.100:80 "));
    let short = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let server = words.iter().find_map(|word| word.strip_prefix("10.1.0.")).unwrap();
        let weight = words.iter().skip_while(|word| **word != "-w").nth(1).unwrap();
        format!("{}:{weight}", server.split(':').next().unwrap())
    };
    ours.map(short).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The servers of a run, which is told what to do with them.
struct Servers<'a> {
    lab: &'a Lab,
    running: BTreeMap<u8, Server>,
}

impl<'a> Servers<'a> {
    fn new(lab: &'a Lab, alive: &[u8]) -> Self {
        let mut servers = Self { lab, running: BTreeMap::new() };
        for server in alive {
            servers.step(Returns(*server));
        }
        servers
    }

    fn step(&mut self, step: Step) {
        match step {
            Dies(server) => drop(self.running.remove(&server)),
            Returns(server) => {
                self.running.insert(server, self.lab.serve(&address(server).to_string()));
            }
        }
    }
}

/// What was seen from outside after the start and after each step, and what was told of the quorum until the end.
type Seen = (Vec<Vec<String>>, Vec<String>);

fn under_the_director(setup: Alike, alive: &[u8], steps: &[Step]) -> Seen {
    let (lab, directory) = (Lab::new(), tempfile::tempdir().unwrap());
    let mut servers = Servers::new(&lab, alive);
    let builder = Director::builder(setup.director()).run_directory(directory.path());
    let director = lab.director.run(|| builder.start().unwrap());
    let events = director.events();
    let mut told = Vec::new();
    if setup.alpha {
        for _ in alive {
            wait(&events, &mut told);
        }
    }
    drain(&events, &mut told);
    let mut tables = vec![listed(&lab)];
    for step in steps {
        servers.step(*step);
        wait(&events, &mut told);
        // Told afterwards, in one go with the change of the server.
        drain(&events, &mut told);
        tables.push(listed(&lab));
    }
    director.stop().unwrap();
    drain(&events, &mut told);
    (tables, told)
}

/// Waits for a server to go up or down.
fn wait(events: &Events, told: &mut Vec<String>) {
    loop {
        let event = events.recv_timeout(PATIENCE).expect("a real server changes").kind;
        note(&event, told);
        if matches!(event, EventKind::RealServer { .. }) {
            return;
        }
    }
}

fn drain(events: &Events, told: &mut Vec<String>) {
    while let Some(event) = events.recv_timeout(Duration::from_millis(200)) {
        note(&event.kind, told);
    }
}

fn note(event: &EventKind, told: &mut Vec<String>) {
    if matches!(event, EventKind::QuorumGained { .. }) {
        told.push("quorum up".to_owned());
    } else if matches!(event, EventKind::QuorumLost { .. }) {
        told.push("quorum down".to_owned());
    }
}

fn under_keepalived(setup: Alike, alive: &[u8], steps: &[Step], expected: &[Vec<String>]) -> Seen {
    let (lab, directory) = (Lab::new(), tempfile::tempdir().unwrap());
    let (conf, told) = (directory.path().join("keepalived.conf"), directory.path().join("told"));
    std::fs::write(&conf, setup.keepalived(&told)).unwrap();
    let mut servers = Servers::new(&lab, alive);
    let mut command = Process::new(lab::need::find_program("keepalived").unwrap());
    command.env("PATH", lab::need::search_path());
    command
        .args(["--dont-fork", "--log-console", "--log-detail", "--check", "--use-file"])
        .arg(&conf);
    for (option, name) in [("--pid", "pid"), ("--checkers_pid", "checkers")] {
        command.arg(option).arg(directory.path().join(name));
    }
    let mut keepalived = lab::Process::start(&lab.director, "keepalived", &mut command).unwrap();
    let mut tables = Vec::new();
    let mut settle = |keepalived: &lab::Process, wanted: Option<&Vec<String>>| {
        // What it comes to in the end is what counts; a table that is never as expected is shown as it is.
        let found = lab::eventually(Duration::from_secs(10), || {
            (Some(&listed(&lab)) == wanted).then_some(())
        });
        if found.is_none() {
            println!("{}", keepalived.log());
        }
        tables.push(listed(&lab));
    };
    settle(&keepalived, expected.first());
    for (step, wanted) in steps.iter().zip(expected.iter().skip(1)) {
        let since = keepalived.lines().last().map_or(Duration::ZERO, |line| line.at);
        servers.step(*step);
        let (server, outcome) = match step {
            Dies(server) => (server, "failed"),
            Returns(server) => (server, "success"),
        };
        let line = format!("[10.1.0.{server}]:tcp:8080 {outcome}");
        let seen = keepalived.wait_line_after(since, &line, PATIENCE);
        assert!(seen.is_some(), "{line}\n{}", keepalived.log());
        settle(&keepalived, Some(wanted));
    }
    keepalived.terminate().unwrap();
    let told = std::fs::read_to_string(&told).unwrap_or_default();
    (tables, told.lines().map(str::to_owned).collect())
}

/// Plays it under both.
fn compare(setup: Alike, alive: &[u8], steps: &[Step]) -> Seen {
    let ours = under_the_director(setup, alive, steps);
    let theirs = under_keepalived(setup, alive, steps, &ours.0);
    assert_eq!(ours, theirs, "ours, and keepalived's: {setup:?} {steps:?}");
    ours
}

const PLAIN: Alike =
    Alike { quorum: 4, hysteresis: 1, sorry: true, inhibit: false, alpha: false, omega: false };
const THERE_AND_BACK: [Step; 4] = [Dies(11), Dies(12), Returns(12), Returns(11)];

#[test]
fn quorum_hysteresis_and_sorry_server() {
    lab::need!(ipvs, ipvsadm, keepalived);
    let (tables, told) = compare(PLAIN, &SERVERS, &THERE_AND_BACK);
    let expected: [&[&str]; 5] = [
        &["11:2", "12:2", "13:2"],
        &["12:2", "13:2"],
        &["16:1"],
        &["16:1"],
        &["11:2", "12:2", "13:2"],
    ];
    assert_eq!(tables, expected);
    assert_eq!(told, ["quorum up", "quorum down", "quorum up"]);
}

#[test]
fn without_a_sorry_server() {
    lab::need!(ipvs, ipvsadm, keepalived);
    let steps = [Dies(11), Dies(12), Dies(13), Returns(13), Returns(12), Returns(11)];
    let (_, told) = compare(Alike { sorry: false, ..PLAIN }, &SERVERS, &steps);
    assert_eq!(told, ["quorum up", "quorum down", "quorum up"]);
}

#[test]
fn inhibited() {
    lab::need!(ipvs, ipvsadm, keepalived);
    compare(Alike { inhibit: true, ..PLAIN }, &SERVERS, &THERE_AND_BACK);
}

#[test]
fn alpha_and_omega() {
    lab::need!(ipvs, ipvsadm, keepalived);
    let alike = Alike { alpha: true, omega: true, ..PLAIN };
    compare(alike, &SERVERS, &THERE_AND_BACK);
    compare(alike, &[], &[Returns(11), Returns(12), Returns(13), Dies(11)]);
}
