//! The process under test: one router of a pair, to be killed, stopped and starved.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;
use vrrp::{OwnerReception, Sentinel, VirtualMac, VirtualRouter, Vrid};

use crate::naive;
use crate::rules::{INTERVAL, Mode, VIPS, VRID};

/// Run one router on `eth0` until SIGTERM
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    pub(crate) priority: u8,
    #[arg(long)]
    pub(crate) preempt: bool,
    #[arg(long)]
    pub(crate) mode: Mode,
    /// With a process that outlives it
    #[arg(long)]
    pub(crate) sentinel: bool,
    /// The address of the other one
    #[arg(long)]
    pub(crate) peer: IpAddr,
    /// The directory of the journals
    #[arg(long)]
    pub(crate) run: PathBuf,
    /// Options whose protection is off, for control runs
    #[arg(long, value_delimiter = ',')]
    pub(crate) without: Vec<Without>,
}

/// A protection that a control run does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Without {
    /// The rule that who wakes up too late yields.
    LateWake,
    /// The loss of the link as a fault.
    TrackLink,
    /// The ears of an owner: two of them remain Masters.
    Ears,
    /// The last advertisement of a Master that yields, from which the winner learns that there were two.
    LastWord,
    /// The process that outlives the router.
    Sentinel,
    /// All that is not the election itself: a plain loop around the state machine.
    Driver,
    /// The same, with the wall clock for its timers.
    Monotonic,
    /// The same, and the time that a Backup listens after its start.
    Patience,
}

impl Without {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let without = |what| arguments.without.contains(&what);
    if [Without::Driver, Without::Monotonic, Without::Patience].into_iter().any(without) {
        return naive::run(arguments);
    }
    let Ok(mut signals) = Signals::new([SIGTERM]) else { return ExitCode::FAILURE };
    let vrid = Vrid::new(VRID).expect("a constant that is a VRID");
    let mode = arguments.mode;
    let mut web = VirtualRouter::new("web", vrid, "eth0")
        .priority(arguments.priority)
        .preempt_mode(arguments.preempt)
        .advertisement_interval(INTERVAL)
        .addresses(VIPS.map(|vip| {
            format!("{vip}/{}", mode.prefix()).parse().expect("an address that is formatted as one")
        }))
        .candidate(true)
        .late_wake_rule(!without(Without::LateWake))
        .track_link(!without(Without::TrackLink))
        // Off by default: hosts would go on asking the loser of a partition for seconds.
        .advertise_before_yielding(!without(Without::LastWord));
    match mode {
        Mode::Multicast => {}
        Mode::Unicast => web = web.unicast([arguments.peer]),
        Mode::VirtualMac => {
            web = web.virtual_mac(VirtualMac::new().interface(mode.device()));
        }
    }
    if without(Without::Ears) {
        web = web.owner_reception(OwnerReception::Never);
    }
    let mut builder = vrrp::Router::builder().run_directory(&arguments.run).virtual_router(web);
    if arguments.sentinel {
        // This program is its own sentinel.
        let program = std::env::current_exe().unwrap_or_default();
        builder = builder.sentinel(Sentinel::new(program).argument("sentinel"));
    }
    let router = match builder.start() {
        Ok(router) => router,
        Err(error) => {
            println!("failed: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("ready");
    let events = router.events();
    std::thread::spawn(move || {
        for event in events.iter() {
            println!("{event}");
        }
    });
    signals.forever().next();
    match router.shutdown() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}
