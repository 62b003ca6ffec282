//! What a director of many services costs: `cargo xtask bench director`.
//!
//! With `--kernel` the tables are the running kernel's (as root, with `ip_vs`: `cargo xtask uml -- target/release/director --kernel`), else one in memory,
//! so that only our own work is measured: processor time, of the kernel's work for us, too.
#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ipvs::{
    Client, Command, Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey,
    SyncDaemon, Table, Weight,
};
use lvs::{
    Config, Director, Kernel, KernelError, MemoryKernel, RealServer, ServiceConfig, Timing, Traffic,
};

/// keepalived's issue 2318.
const SERVICES: u32 = 2_284;
const SERVERS: u32 = 37_298;
const ROUNDS: usize = 21;

/// Counts what is written and read.
#[derive(Debug)]
struct Counting {
    inner: Box<dyn Kernel>,
    writes: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
}

impl Kernel for Counting {
    fn read(&mut self, services: &BTreeSet<ServiceKey>) -> Result<Table, KernelError> {
        self.reads.fetch_add(usize::from(!services.is_empty()), Ordering::Relaxed);
        self.inner.read(services)
    }

    fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), KernelError>> {
        self.writes.fetch_add(commands.len(), Ordering::Relaxed);
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

struct Bench {
    director: Director,
    writes: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(config: Config, real_kernel: bool) -> Self {
        let inner: Box<dyn Kernel> = if real_kernel {
            Box::new(Client::open().unwrap())
        } else {
            Box::new(MemoryKernel::new())
        };
        let (writes, reads) = (Arc::default(), Arc::default());
        let kernel = Counting { inner, writes: Arc::clone(&writes), reads: Arc::clone(&reads) };
        let directory = tempfile::tempdir().unwrap();
        let builder = Director::builder(config).run_directory(directory.path()).kernel(kernel);
        Self { director: builder.build().unwrap(), writes, reads, _directory: directory }
    }

    fn counted(&self) -> (usize, usize) {
        (self.writes.swap(0, Ordering::Relaxed), self.reads.swap(0, Ordering::Relaxed))
    }
}

fn service(number: u32) -> Service {
    let address = Ipv4Addr::from_bits(0x0a00_0001 + number);
    Service::new(ServiceKey::tcp(address.into(), 80), Scheduler::WeightedRoundRobin)
}

/// A server that is checked, long after we have finished.
fn server(number: u32) -> RealServer {
    let address = IpAddr::from(Ipv4Addr::from_bits(0x0b00_0001 + number));
    let destination =
        Destination::new(DestinationKey::new(address, 80), ForwardingMethod::Masquerade);
    let late = Timing::new().start_delay(Duration::from_secs(3600));
    RealServer::new(destination.with_weight(Weight::from(10))).tcp_check(late)
}

fn many() -> Config {
    let mut numbers = 0..SERVERS;
    (0..SERVICES).fold(Config::new(), |config, index| {
        let share = SERVERS / SERVICES + u32::from(index < SERVERS % SERVICES);
        let servers = numbers.by_ref().take(share.try_into().unwrap());
        config.service(servers.fold(ServiceConfig::new(service(index)), |config, number| {
            config.real_server(server(number))
        }))
    })
}

/// Of this thread: nobody else is waited for, and what other processes take of the machine does not count.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn judge(what: &str, took: Duration, bar: Duration, more: &str) -> bool {
    let met = took <= bar;
    println!("{what:<62} {took:>9.2?}  bar {bar:?} {}  {more}", if met { "met" } else { "MISSED" });
    met
}

/// Nothing has changed.
fn unchanged(real_kernel: bool) -> bool {
    let begin = Instant::now();
    let mut bench = Bench::new(many(), real_kernel);
    println!(
        "{SERVICES} services with {SERVERS} servers: built in {:.2?}, {} commands",
        begin.elapsed(),
        bench.counted().0
    );
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let config = many();
        let begin = processor_time();
        bench.director.apply(Instant::now(), config).unwrap();
        times.push(processor_time() - begin);
    }
    let (writes, reads) = bench.counted();
    let bar = Duration::from_millis(30);
    let counted = format!("{writes} writes, {reads} reads");
    judge("the same configuration applied again", median(times), bar, &counted) & (writes == 0)
}

/// One of 10,000 destinations, of one service, is another.
fn one_changed(real_kernel: bool) -> bool {
    let config = |weight: u16| {
        let base = ServiceConfig::new(service(0));
        let all = (0..10_000).fold(base, |config, number| config.real_server(server(number)));
        let address = IpAddr::from(Ipv4Addr::new(12, 0, 0, 1));
        let last = Destination::new(DestinationKey::new(address, 80), ForwardingMethod::Masquerade);
        Config::new()
            .service(all.real_server(RealServer::new(last.with_weight(Weight::from(weight)))))
    };
    let mut bench = Bench::new(config(1), real_kernel);
    bench.counted();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let config = config(u16::try_from(round % 7 + 2).unwrap());
        let begin = processor_time();
        bench.director.apply(Instant::now(), config).unwrap();
        times.push(processor_time() - begin);
    }
    let (writes, _) = bench.counted();
    // 0.15 of keepalived's 128 ms.
    let bar = Duration::from_micros(19_200);
    let counted = format!("{writes} writes in {ROUNDS} rounds");
    judge("one destination of 10,000 changed", median(times), bar, &counted) & (writes == ROUNDS)
}

/// Servers that refuse: from the last of 5,000 verdicts, in whose step it was taken in, to the table without them.
fn all_dead(services: u32, real_kernel: bool) -> bool {
    const DEAD: u32 = 5_000;
    let timing = Timing::new().start_jitter(Duration::from_millis(500));
    let config = (0..services).fold(Config::new(), |config, index| {
        let share = (0..DEAD / services).map(|number| {
            // Nobody listens on these.
            let address = Ipv4Addr::from_bits(0x7f10_0000 + index * (DEAD / services) + number);
            let key = DestinationKey::from(SocketAddr::new(address.into(), 1));
            RealServer::new(Destination::new(key, ForwardingMethod::Masquerade)).tcp_check(timing)
        });
        config.service(share.fold(ServiceConfig::new(service(index)), ServiceConfig::real_server))
    });
    let mut bench = Bench::new(config, real_kernel);
    let built = bench.counted().0;
    let (mut steps, mut last, begin) = (0, Duration::ZERO, Instant::now());
    while bench.writes.load(Ordering::Relaxed) < DEAD.try_into().unwrap() {
        let step = processor_time();
        bench.director.process(Instant::now()).unwrap();
        last = processor_time() - step;
        steps += 1;
        assert!(begin.elapsed() < Duration::from_secs(60), "they are not found dead");
    }
    let bar = Duration::from_millis(20);
    let what = format!("{DEAD} servers of {services} services dead: the last step of {steps}");
    let more = format!("(all in {:.2?}; {built} commands before)", begin.elapsed());
    judge(&what, last, bar, &more)
}

fn main() -> ExitCode {
    let real_kernel = std::env::args().any(|argument| argument == "--kernel");
    let results = [
        unchanged(real_kernel),
        one_changed(real_kernel),
        all_dead(1, real_kernel),
        all_dead(500, real_kernel),
    ];
    if results.iter().all(|met| *met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
