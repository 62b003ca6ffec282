//! An election, a partition, a frozen master and a crash, in virtual time: no privilege, no network, no waiting.
//!
//! ```text
//! cargo run --example sim            # seed 42
//! cargo run --example sim -- 7       # another world: other clocks, other jitter, the same rules
//! ```
//!
//! The two routers are the machines that the `vrrp` crate runs on real interfaces. Here their bytes cross a simulated
//! wire, and everything that must hold (no addresses without mastership, no master that yields for nothing, one master
//! soon after the network is whole) is checked at every step.

use core::{net::IpAddr, time::Duration};
use std::{error::Error, process::ExitCode};

use vrrp_sim::{
    Link, RouterId, Simulation,
    vrrp_fsm::{
        Config,
        vrrp_proto::{AddressFamily, Priority, Vrid},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(42), |seed| seed.parse())?;
    let mut sim = Simulation::new(seed);
    // A switched network on a bad day: 1 to 6 ms.
    let (delay, jitter) = (Duration::from_millis(1), Duration::from_millis(5));
    sim.set_links(Link { delay, jitter, ..Link::default() });
    let left = sim.add_router("left", config(200)?, IpAddr::from([192, 0, 2, 2]))?;
    let right = sim.add_router("right", config(100)?, IpAddr::from([192, 0, 2, 3]))?;
    let mut story = Story::default();

    sim.start_all()?;
    let master = sim.settle()?;
    story.tell(&sim, "Two routers start. The one of the higher priority waits less, and is first.");
    assert_eq!(master, Some(left));

    sim.partition(&[&[left], &[right]]);
    sim.run_for(6 * SECOND)?;
    story.tell(
        &sim,
        "The cable between them breaks. Each is alone, and each is master: nobody could tell them.",
    );
    assert_eq!(sim.masters().count(), 2);

    sim.settle()?;
    story.tell(&sim, "The cable is back. One advertisement is enough.");

    sim.pause(left);
    sim.run_for(8 * SECOND)?;
    sim.resume(left)?;
    sim.settle()?;
    story.tell(
        &sim,
        "The left process is frozen for eight seconds, its addresses stay. It wakes, sees how late it is, and lets go before it sends anything.",
    );

    let takeover = sim.fail_over()?.ok_or("nobody took over")?;
    sim.settle()?;
    story.tell(&sim, "The left host loses its power.");

    println!("{}", sim.timeline().ok_or("no timeline")?.lanes(96));
    println!(
        "█ master with the addresses   Z frozen with them   ░ being removed   ─ backup   ╳ cut\n"
    );
    println!(
        "After the crash there was no master for {:.0} ms; the protocol allows {:.0}.",
        millis(takeover.after),
        millis(takeover.bound)
    );
    println!(
        "{:.0} virtual seconds. Seed {seed} tells the same story to the nanosecond, any time.",
        (sim.router_time() / 2).as_secs_f64()
    );
    Ok(())
}

fn config(priority: u8) -> Result<Config, Box<dyn Error>> {
    Ok(Config::new(Vrid::new(51)?, AddressFamily::Ipv4)
        .priority(Priority::new(priority))
        .advertisement_interval(SECOND)
        .virtual_addresses(vec![IpAddr::from([192, 0, 2, 1])]))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Prints what happened since the last chapter.
#[derive(Default)]
struct Story {
    told: usize,
}

impl Story {
    fn tell(&mut self, sim: &Simulation, chapter: &str) {
        println!("{chapter}\n");
        let notes = sim.timeline().map_or(&[][..], |timeline| timeline.notes());
        for note in notes.iter().skip(self.told) {
            let name = note.router.map_or("network", |id: RouterId| sim.name(id));
            println!("  {:>12}  {name:<8} {}", note.at, note.what);
        }
        println!();
        self.told = notes.len();
    }
}
