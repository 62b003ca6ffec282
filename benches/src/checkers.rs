//! Who checks: `lvs-healthcheck` in a process of its own, or keepalived.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use healthcheck::{Check, CheckId, Driver, Http, Kind, Outcome, Request, Timing};
use lab::Node;
use reactor::{Clock, Events, Interest, Reactor, Token};
use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Protocol, Socket, Type};

use crate::daemons::{Result, pass};
use crate::sink::PORT;

/// Servers of one virtual server in keepalived's configuration.
const POOL: u32 = 100;

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// By HTTP; else by TCP alone.
    pub pages: bool,
    /// How many servers.
    pub targets: u32,
    /// Between two checks of one.
    pub interval: Duration,
}

/// Who checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "those that are compared")]
pub enum Checker {
    /// This project's driver.
    Ours,
    /// keepalived.
    Keepalived,
    /// Nobody: sockets that connect and are closed, at the same pace. It is what the kernel takes for a TCP check at least.
    Floor,
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 100, 0, 1).to_bits() + number)
}

impl Load {
    fn conf(self) -> Result<String> {
        let mut text = String::from("global_defs {\n checker_log_all_failures false\n}\n");
        let check = if self.pages {
            "HTTP_GET {\n url {\n path /\n status_code 200\n }\n"
        } else {
            "TCP_CHECK {\n"
        };
        let interval = self.interval.as_secs_f64();
        for first in (0..self.targets).step_by(100) {
            let pool = first / POOL;
            write!(
                text,
                "virtual_server 10.99.{}.{} {PORT} {{\n delay_loop {interval}\n lb_algo rr\n lb_kind NAT\n protocol TCP\n",
                pool / 250,
                pool % 250 + 1
            )?;
            for number in first..self.targets.min(first + POOL) {
                let server = address(number);
                write!(
                    text,
                    "real_server {server} {PORT} {{\n {check} connect_timeout 3\n retry 0\n delay_before_retry 1\n }}\n }}\n"
                )?;
            }
            text.push_str("}\n");
        }
        Ok(text)
    }

    /// The words with which this program is started again to check.
    fn words(self) -> [String; 3] {
        let kind = if self.pages { "http" } else { "tcp" };
        let interval = self.interval.as_millis().to_string();
        [kind.into(), self.targets.to_string(), interval]
    }

    /// From the words.
    #[must_use]
    pub fn of(kind: &str, targets: &str, interval: &str) -> Option<Self> {
        Some(Self {
            pages: kind == "http",
            targets: targets.parse().ok()?,
            interval: Duration::from_millis(interval.parse().ok()?),
        })
    }
}

/// Checks until it is killed, and prints a line for each server that goes down.
pub fn drive(load: Load) -> Result<()> {
    let mut driver = Driver::new(4711)?;
    driver.set_max_running(8192);
    let now = Clock::now();
    // As keepalived's default: the first run within an interval after a second.
    let timing = Timing::new()
        .interval(load.interval)
        .timeout(Duration::from_secs(3))
        .start_delay(Duration::from_secs(1))
        .start_jitter(load.interval)
        .keepalived_retry(0, Duration::from_secs(1));
    let kind = if load.pages {
        Kind::Http(Http::new(Request::new("/")?.whole().statuses([200..=200])))
    } else {
        Kind::Tcp
    };
    for number in 0..load.targets {
        let target = SocketAddr::from((address(number), PORT));
        let check = Check::new(target, kind.clone()).timing(timing);
        driver.add(now, CheckId(u64::from(number)), check);
    }
    let (mut reactor, mut events) = (Reactor::new()?, Events::with_capacity(1));
    reactor.register(&driver, Interest::Readable, Token(0))?;
    loop {
        reactor.wait(driver.poll_timeout(), &mut events)?;
        driver.process(Clock::now())?;
        while let Some(event) = driver.poll_event() {
            if event.outcome == Outcome::Down {
                println!("{} is down: {:?}", event.id.0, event.cause);
            }
        }
    }
}

/// Connects and closes until it is killed.
pub fn floor(load: Load) -> Result<()> {
    let step = Duration::from_millis(10);
    let steps = u32::try_from(load.interval.as_millis() / step.as_millis())?;
    let (mut open, mut next, mut due) = (Vec::new(), 0, Clock::now());
    loop {
        open.clear(); // a reset each
        for number in (next..next + load.targets / steps).map(|number| number % load.targets) {
            let socket =
                Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
            socket.set_linger(Some(Duration::ZERO))?;
            let _under_way = socket.connect(&SocketAddr::from((address(number), PORT)).into());
            open.push(socket);
        }
        next = (next + load.targets / steps) % load.targets;
        due += step;
        pass(due.saturating_duration_since(Clock::now()));
    }
}

/// A checker that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    reader: Option<JoinHandle<()>>,
    down: Arc<Mutex<Vec<Instant>>>,
    _files: tempfile::TempDir,
}

impl Checker {
    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "lvs-healthcheck",
            Self::Keepalived => "keepalived",
            Self::Floor => "connect and close alone",
        }
    }

    /// Starts it on the node.
    pub fn start(self, node: &Node, load: Load) -> Result<Running> {
        let files = tempfile::tempdir()?;
        let (mut command, text) = match self {
            Self::Ours | Self::Floor => {
                let mut command = Command::new(std::env::current_exe()?);
                let order = if self == Self::Ours { "drive" } else { "floor" };
                command.arg(order).args(load.words());
                (command, "is down")
            }
            Self::Keepalived => {
                let conf = files.path().join("keepalived.conf");
                fs::write(&conf, load.conf()?)?;
                let program = lab::need::find_program("keepalived");
                let mut command = Command::new(program.ok_or("keepalived is missing")?);
                command.env("LD_PRELOAD", shim(files.path())?);
                command.args(["-n", "-l", "-G", "-C", "-f"]).arg(conf);
                for (option, file) in [("-p", "keepalived.pid"), ("-c", "checkers.pid")] {
                    command.arg(option).arg(files.path().join(file));
                }
                (command, "Removing service")
            }
        };
        // keepalived prints its log there; what it says of a server that goes is counted.
        let (output, input) = std::io::pipe()?;
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        let child = node.spawn(&mut command)?;
        drop(command); // and with it our ends for writing
        let down = Arc::new(Mutex::new(Vec::new()));
        let times = Arc::clone(&down);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
                if line.contains(text) {
                    times.lock().unwrap_or_else(PoisonError::into_inner).push(Clock::now());
                }
            }
        });
        Ok(Running { child, reader: Some(reader), down, _files: files })
    }
}

impl Running {
    /// Its processes.
    pub fn tree(&self) -> Result<Vec<u32>> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let mut all: Vec<u32> =
            children.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
        all.push(id);
        Ok(all)
    }

    /// When it told of servers that went down.
    #[must_use]
    pub fn down(&self) -> Vec<Instant> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        if let Some(reader) = self.reader.take() {
            let _ended = reader.join();
        }
        Ok(())
    }
}

/// Builds what lets keepalived run without IPVS in the kernel.
fn shim(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    fs::write(&source, include_str!("shim.c"))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source);
    let built = compiler.status().map_err(|error| format!("cc: {error} (apt-get install gcc)"))?;
    if !built.success() {
        return Err("cc cannot build the shim".into());
    }
    Ok(library)
}
