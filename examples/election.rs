//! Two hosts elect one of them: a failover by this workspace's `vrrp` crate alone, without any daemon.
//!
//! ```text
//! sudo cargo run --example election
//! ```
//!
//! It makes two hosts and a switch (network namespaces that end with it), starts the service below on both as a process of its
//! own, kills the Master, starts it again, and ends it politely. What is printed was seen from outside: on the switch, and in the
//! address tables of the hosts' kernels. On real hosts: `election serve INTERFACE PRIORITY` on each.

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Duration;

use lab::{AddressMonitor, Bridge, Capture, Filter, Frame, Node, Process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use vrrp::{Router, VirtualRouter, Vrid};

const VIRTUAL: &str = "192.0.2.100";
const INTERVAL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

// ---- The embedding: all that a service needs to be one of several and to hold the address while it is the one. ----
fn serve(interface: &str, priority: u8) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let web = VirtualRouter::new("web", Vrid::new(51)?, interface)
        .priority(priority)
        .advertisement_interval(INTERVAL)
        .address(VIRTUAL.parse()?);
    let router = Router::builder().virtual_router(web).start()?; // observes
    let handle = router.handle();
    std::thread::spawn(move || signals.forever().next().map(|_| handle.request_shutdown()));
    while let Ok(leadership) = router.election("web")?.campaign() {
        println!("serving, term {}", leadership.term()); // Master, the address is here: serve until
        println!("{:?}", leadership.lost().recv()); // it is lost, or we are told to end
    }
    Ok(router.shutdown()?) // priority 0 is sent, the address is gone, the other host takes over
}
// ---- The end of the embedding. The rest is the stage. ----

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", interface, priority] => match priority.parse() {
            Ok(priority) => serve(interface, priority),
            Err(_) => Err("PRIORITY is 1 to 255".into()),
        },
        [] => play(),
        _ => Err("usage: election [serve INTERFACE PRIORITY]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("election: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprint!(" ({error})");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

/// A host: its kernel's address table is watched.
struct Host {
    name: &'static str,
    priority: u8,
    node: Node,
    addresses: AddressMonitor,
}

impl Host {
    fn new(
        name: &'static str,
        priority: u8,
        address: &str,
        switch: &Bridge,
    ) -> Result<Self, Box<dyn Error>> {
        let node =
            Node::new().map_err(|error| format!("no network namespace ({error}): run as root"))?;
        switch.attach(&node, "eth0", name)?;
        node.ip(&format!("address add {address}/24 dev eth0"))?;
        Ok(Self { name, priority, addresses: AddressMonitor::open(&node)?, node })
    }

    fn start(&self) -> Result<Process, Box<dyn Error>> {
        let mut service = Command::new(std::env::current_exe()?);
        service.args(["serve", "eth0", &self.priority.to_string()]);
        Ok(Process::start(&self.node, self.name, &mut service)?)
    }

    /// Waits until its kernel has, or has no more, the virtual address; when that was.
    fn wait(&mut self, present: bool, process: &Process) -> Result<Duration, Box<dyn Error>> {
        while let Some(event) = self.addresses.next(PATIENCE)? {
            if event.address.to_string() == VIRTUAL && event.added == present {
                return Ok(event.at);
            }
        }
        let (name, log) = (self.name, process.log());
        Err(format!(
            "{name}: {VIRTUAL} was not {} in time\n{log}",
            if present { "added" } else { "removed" }
        )
        .into())
    }
}

/// What was seen, printed with the time since the beginning.
struct Timeline {
    start: Duration,
}

impl Timeline {
    fn tell(&self, at: Duration, what: &str) {
        println!("{:>9.1} ms  {what}", at.saturating_sub(self.start).as_secs_f64() * 1e3);
    }
}

fn play() -> Result<(), Box<dyn Error>> {
    let switch =
        Bridge::new().map_err(|error| format!("no network namespace ({error}): run as root"))?;
    let mut one = Host::new("one", 200, "192.0.2.1", &switch)?;
    let mut two = Host::new("two", 100, "192.0.2.2", &switch)?;
    let wire = Capture::open_all(switch.namespace(), Filter::Failover)?;
    let timeline = Timeline { start: lab::now() };
    println!("host one has priority 200, host two 100; advertisements every {INTERVAL:?}\n");

    timeline.tell(lab::now(), "the service starts on both hosts");
    let (mut service_one, mut service_two) = (one.start()?, two.start()?);
    let elected = one.wait(true, &service_one)?;
    timeline.tell(elected, "one is elected: its kernel has the address");

    let mut last = hear_one(&wire)?;
    timeline.tell(lab::now(), "one is killed (SIGKILL): it cannot say goodbye");
    service_one.kill()?;
    let taken = loop {
        match next(&wire)? {
            (2, at) => break at,
            (_, at) => last = at,
        }
    };
    let silence = (taken.saturating_sub(last)).as_secs_f64() * 1e3;
    timeline.tell(taken, &format!("two advertises: one was silent for {silence:.1} ms (3 intervals and the skew time: 360.9)"));
    timeline.tell(two.wait(true, &service_two)?, "two has the address");

    timeline.tell(lab::now(), "the service on one is started again");
    service_one = one.start()?;
    let removed = one.wait(false, &service_one)?;
    timeline.tell(removed, "one removes the address that was left in its kernel");
    let back = one.wait(true, &service_one)?;
    timeline.tell(back, "one has the higher priority: it has the address again");
    timeline.tell(two.wait(false, &service_two)?, "two has let it go");

    wire.drain()?;
    hear_one(&wire)?;
    timeline.tell(lab::now(), "the service on one is ended politely (SIGTERM)");
    service_one.signal_stop()?;
    timeline.tell(
        one.wait(false, &service_one)?,
        "one has let the address go, after an advertisement of priority 0",
    );
    timeline.tell(two.wait(true, &service_two)?, "two has it, after its skew time");
    let ended = service_one.wait(PATIENCE)?;
    service_two.terminate()?;
    two.wait(false, &service_two)?;
    println!("\nboth ended ({ended}); nothing is left in either kernel");
    Ok(())
}

/// Waits until host two has heard host one as Master for a while; when it was last.
fn hear_one(wire: &Capture) -> Result<Duration, Box<dyn Error>> {
    let mut heard = (0, Duration::ZERO);
    // Two advertisements: each is captured on its port and on the bridge.
    while heard.0 < 4 {
        if let (1, at) = next(wire)? {
            heard = (heard.0 + 1, at);
        }
    }
    Ok(heard.1)
}

/// The next advertisement on the switch: its sender's last octet, and when.
fn next(wire: &Capture) -> Result<(u8, Duration), Box<dyn Error>> {
    let sender = |frame: &Frame| {
        let source = frame.payload().get(15).copied();
        source
            .filter(|_| frame.is_vrrp() && !frame.outgoing && frame.ethertype() == 0x0800)
            .map(|source| (source, frame.at))
    };
    Ok(wire.find(PATIENCE, sender)?.ok_or("no advertisement on the switch")?)
}
