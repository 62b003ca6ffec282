//! Real servers that die and return at random, on a real kernel, and clients that notice nothing beyond the time it takes to find a server
//! dead. `cargo xtask director --minutes 60` runs it for longer.
#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::print_stdout,
    reason = "a failed helper of a test is a failed test; what a campaign did is worth reading"
)]

mod network;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use ipvs::{Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey, Weight};
use lvs::{Config, Director, RealServer, RunningDirector, ServiceConfig, Timing};
use network::{Lab, Server, VIRTUAL};
use reactor::Clock;

const SERVERS: u8 = 6;
const CLIENTS: u32 = 3;
const INTERVAL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_millis(500);
/// A server is found dead one interval and one timeout after it died. The rest is for a slow machine.
const DETECTION: Duration = Duration::from_millis(2_500);
/// A client gives up after this: longer than any retransmission of a SYN that got lost.
const GIVE_UP: Duration = Duration::from_secs(5);

/// An attempt of a client that did not succeed.
struct Failed {
    began: Instant,
    ended: Instant,
    error: String,
}

impl core::fmt::Debug for Failed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} after {:?}", self.error, self.ended.duration_since(self.began))
    }
}

/// What one client did.
#[derive(Debug, Default)]
struct Diary {
    /// When each attempt that succeeded began.
    served: Vec<Instant>,
    failed: Vec<Failed>,
}

fn connect() -> Result<String, std::io::Error> {
    let address: SocketAddr = VIRTUAL.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&address, GIVE_UP)?;
    stream.set_read_timeout(Some(GIVE_UP))?;
    let mut name = String::new();
    stream.read_to_string(&mut name)?;
    if name.starts_with("10.1.0.") { Ok(name) } else { Err(std::io::Error::other("no name")) }
}

/// Connects until it is told to stop, about fifty times a second.
fn client(lab: &Lab, stop: Receiver<()>) -> JoinHandle<Diary> {
    lab.client.run(|| {
        std::thread::spawn(move || {
            let mut diary = Diary::default();
            let pause = Duration::from_millis(20);
            while stop.recv_timeout(pause) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                let began = Clock::now();
                match connect() {
                    Ok(_) => diary.served.push(began),
                    Err(error) => {
                        let (ended, error) = (Clock::now(), error.to_string());
                        diary.failed.push(Failed { began, ended, error });
                    }
                }
            }
            diary
        })
    })
}

/// How a server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    /// Its process ends: connections are refused.
    Refuses,
    /// Its host is gone: nobody answers.
    Silent,
    /// It is drained first: nobody may notice anything at all.
    Drained,
}

struct Campaign<'a> {
    lab: &'a Lab,
    director: RunningDirector,
    random: fastrand::Rng,
    running: BTreeMap<u8, Server>,
    dead: BTreeMap<u8, Death>,
    deaths: Vec<Instant>,
    counts: BTreeMap<Death, u32>,
    reweighed: u32,
    stop: Sender<()>,
}

fn key() -> ServiceKey {
    ServiceKey::tcp([10, 0, 0, 100].into(), 80)
}

fn address(server: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 1, 0, server]), 8080)
}

fn servers() -> impl Iterator<Item = u8> {
    11..11 + SERVERS
}

fn config(checks: bool) -> Config {
    let timing =
        Timing::new().interval(INTERVAL).timeout(TIMEOUT).retries(0).start_jitter(Duration::ZERO);
    let service = Service::new(key(), Scheduler::WeightedRoundRobin);
    let pool = servers().fold(ServiceConfig::new(service), |pool, server| {
        let destination =
            Destination::new(DestinationKey::from(address(server)), ForwardingMethod::Masquerade);
        let server = RealServer::new(destination.with_weight(Weight::from(4)));
        pool.real_server(if checks { server.tcp_check(timing) } else { server })
    });
    Config::new().service(pool)
}

impl Campaign<'_> {
    fn weight(&self, server: u8) -> Option<Weight> {
        let status = self.director.status().unwrap();
        let real = DestinationKey::from(address(server));
        let mut servers = status.services.into_iter().flat_map(|service| service.real_servers);
        servers.find(|server| server.destination == real).unwrap().weight
    }

    /// Whether somebody else lives and takes connections: one that has just returned is not in the table yet.
    fn others_serve(&self, server: u8) -> bool {
        let mut others = self.running.keys().filter(|other| **other != server);
        others.any(|other| self.weight(*other).is_some_and(|weight| weight.value() > 0))
    }

    fn kill(&mut self, server: u8) {
        let death = self.random.choice([Death::Refuses, Death::Silent, Death::Drained]).unwrap();
        if death == Death::Drained {
            // The connections are short; what the kernel keeps of them for minutes is not waited for.
            let most = Duration::from_secs(2);
            self.director.handle().drain(key(), address(server).into(), most).unwrap();
            let gone =
                lab::eventually(network::PATIENCE, || self.weight(server).is_none().then_some(()));
            assert!(gone.is_some(), "{server} is not drained");
        } else {
            self.deaths.push(Clock::now());
        }
        if death == Death::Silent {
            self.lab.servers.ip(&format!("addr del 10.1.0.{server}/32 dev eth0")).unwrap();
        }
        self.running.remove(&server);
        self.dead.insert(server, death);
        *self.counts.entry(death).or_default() += 1;
    }

    fn revive(&mut self, server: u8) {
        let death = self.dead.remove(&server).unwrap();
        if death == Death::Silent {
            self.lab.servers.ip(&format!("addr add 10.1.0.{server}/32 dev eth0")).unwrap();
        }
        self.running.insert(server, self.lab.serve(&address(server).to_string()));
        if death == Death::Drained {
            self.director.handle().restore(key(), address(server).into()).unwrap();
        }
    }

    /// Some die at once, some return, weights change; then nothing happens for longer than it takes to notice.
    fn round(&mut self, pause: &Receiver<()>) {
        let mut order: Vec<u8> = servers().collect();
        self.random.shuffle(&mut order);
        for server in order {
            let is_dead = self.dead.contains_key(&server);
            match self.random.u8(0..3) {
                0 if is_dead => self.revive(server),
                0 | 1 if !is_dead && self.others_serve(server) => self.kill(server),
                2 => {
                    let weight = Some(Weight::from(self.random.u16(1..8)));
                    let handle = self.director.handle();
                    handle.set_weight(key(), address(server).into(), weight).unwrap();
                    self.reweighed += 1;
                }
                _ => {}
            }
        }
        let quiet = DETECTION + Duration::from_millis(self.random.u64(500..3_000));
        pause.recv_timeout(quiet).unwrap_err(); // nobody sends: a pause
    }
}

/// What came of a campaign.
#[derive(Debug, Default)]
struct Verdict {
    served: usize,
    /// Attempts that began when every death was long enough ago.
    judged: usize,
    excused: usize,
    /// Those of them that failed.
    violations: Vec<Failed>,
}

impl Verdict {
    fn of(diaries: Vec<Diary>, deaths: &[Instant]) -> Self {
        let excused = |began: Instant, ended: Instant| {
            deaths.iter().any(|death| began <= *death + DETECTION && ended >= *death)
        };
        let mut verdict = Self::default();
        for diary in diaries {
            verdict.served += diary.served.len();
            verdict.judged +=
                diary.served.iter().filter(|began| !excused(**began, **began)).count();
            for failed in diary.failed {
                if excused(failed.began, failed.ended) {
                    verdict.excused += 1;
                } else {
                    verdict.violations.push(failed);
                }
            }
        }
        verdict
    }
}

/// Runs a campaign of so long; without checks if it is the control.
fn run(time: Duration, checks: bool, seed: u64) -> Verdict {
    let (lab, directory) = (Lab::new(), tempfile::tempdir().unwrap());
    // A retransmission to a server that is gone makes the client start anew, and not time out.
    lab.director.sysctl("net/ipv4/vs/expire_nodest_conn", "1").unwrap();
    lab.client.sysctl("net/ipv4/ip_local_port_range", "1024 65535").unwrap();
    let running =
        servers().map(|server| (server, lab.serve(&address(server).to_string()))).collect();
    let builder = Director::builder(config(checks)).run_directory(directory.path());
    let director = lab.director.run(|| builder.start().unwrap());
    let (stop, stopped) = crossbeam_channel::bounded(0);
    let clients: Vec<_> = (0..CLIENTS).map(|_| client(&lab, stopped.clone())).collect();
    let mut campaign = Campaign {
        lab: &lab,
        director,
        random: fastrand::Rng::with_seed(seed),
        running,
        dead: BTreeMap::new(),
        deaths: Vec::new(),
        counts: BTreeMap::new(),
        reweighed: 0,
        stop,
    };
    let (_keep, pause) = crossbeam_channel::bounded(0);
    let end = Clock::now() + time;
    let mut rounds = 0;
    while Clock::now() < end {
        campaign.round(&pause);
        rounds += 1;
    }
    let Campaign { director, deaths, counts, reweighed, stop, .. } = campaign;
    drop(stop);
    let diaries = clients.into_iter().map(|client| client.join().unwrap()).collect();
    director.stop().unwrap();
    let verdict = Verdict::of(diaries, &deaths);
    println!(
        "seed {seed}: {rounds} rounds in {time:?}: deaths {counts:?}, {reweighed} weights set; {} connections served, {} of them with every death \
         longer ago than {DETECTION:?}; {} failed within that time of a death, {} later",
        verdict.served,
        verdict.judged,
        verdict.excused,
        verdict.violations.len()
    );
    if time >= Duration::from_secs(60) {
        assert_eq!(counts.len(), 3, "a kind of death never happened");
    }
    assert!(verdict.judged > 0, "nothing was judged");
    verdict
}

/// Seconds of the campaign: `LVS_CAMPAIGN_SECONDS`, or so short that it fits into every test run.
fn seconds() -> u64 {
    std::env::var("LVS_CAMPAIGN_SECONDS").map_or(12, |seconds| seconds.parse().unwrap())
}

fn seed() -> u64 {
    let given = std::env::var("LVS_CAMPAIGN_SEED").ok().map(|seed| seed.parse().unwrap());
    given.unwrap_or_else(|| Clock::new().now_nanos())
}

#[test]
fn clients_notice_no_death_beyond_its_detection() {
    lab::need!(ipvs, ipvsadm);
    let verdict = run(Duration::from_secs(seconds()), true, seed());
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
}

#[test]
fn without_checks_clients_notice() {
    lab::need!(ipvs, ipvsadm);
    let verdict = run(Duration::from_secs(seconds().min(30)), false, seed());
    assert!(!verdict.violations.is_empty(), "the campaign would not have noticed anything");
}
