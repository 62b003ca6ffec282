//! Tests the failover of *your* service in virtual time: here a counter that three routers serve, whoever is master.
//!
//! ```text
//! cargo run --example service_failover
//! ```
//!
//! Each router runs an instance of the service. The one on the master reads the counter from a shared storage, keeps
//! it in memory, adds one whenever something happens, writes it back and tells its client "done". The property: **what
//! was acknowledged is counted.** VRRP is not a lock (two masters are possible, and one of them may wake up late), so a
//! service that trusts it alone loses counts. The simulation finds such a world, and makes it small and readable.
//! Then the storage asks for a token that grows with every new leader and refuses older ones: the property holds in
//! every world.

use core::{cell::RefCell, net::IpAddr, time::Duration};
use std::{error::Error, process::ExitCode, rc::Rc};

use vrrp_sim::{
    Act, Conditions, End, Link, Participant, Round, RouterId, Scenario, Simulation, Violation,
    vrrp_fsm::{
        Config, State,
        vrrp_proto::{AddressFamily, Priority, Vrid},
    },
};

/// How many worlds are tried.
const WORLDS: u64 = 300;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service_failover: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    println!("A service that takes mastership for a lock:\n");
    let (world, scenario, violation) = first_failure(Storage::Trusting)?
        .ok_or("nothing was lost in any world: this test proves nothing")?;
    println!("  world {world}: {}", violation.found);
    let small = scenario.shrink(|scenario| play(scenario, Storage::Trusting).is_err());
    let (sim, result) = simulate(&small, Storage::Trusting)?;
    println!("  the smallest world like it: {}\n", result.err().ok_or("not the same")?.found);
    println!("{}", sim.timeline().ok_or("no timeline")?);

    println!("The same service with a token that the storage checks:\n");
    if let Some((world, _, violation)) = first_failure(Storage::Fenced)? {
        return Err(format!("world {world}: {violation}").into());
    }
    let stale = play(&small, Storage::Fenced)?;
    println!(
        "  {WORLDS} worlds: every acknowledged count is there. In the small one {stale} writes of stale leaders were refused."
    );
    Ok(())
}

/// A world in which something was lost.
type Lost = (u64, Scenario, Violation);

/// The first world in which the property does not hold.
fn first_failure(storage: Storage) -> Result<Option<Lost>, Box<dyn Error>> {
    for world in 0..WORLDS {
        let scenario = scenario(world)?;
        if let (_, Err(violation)) = simulate(&scenario, storage)? {
            return Ok(Some((world, scenario, violation)));
        }
    }
    Ok(None)
}

/// Three routers, and faults by chance: `Scenario::random` without its odd configurations.
fn scenario(world: u64) -> Result<Scenario, Box<dyn Error>> {
    let random = Scenario::random_at(world, Duration::from_secs(1));
    let mut routers = Vec::new();
    for (priority, last) in [(200, 10), (150, 11), (100, 12)] {
        let config = Config::new(Vrid::new(51)?, AddressFamily::Ipv4)
            .priority(Priority::new(priority))
            .virtual_addresses(vec![IpAddr::from([192, 0, 2, 1])]);
        let source = IpAddr::from([192, 0, 2, last]);
        let (more_sources, conditions) = (Vec::new(), Conditions::default());
        routers.push(Participant { config, source, more_sources, conditions });
    }
    // Crashes, pauses, partitions: what a service should stand.
    let wanted = |act: &Act| {
        matches!(act, Act::Crash(_) | Act::Start(_) | Act::Pause(_) | Act::Resume(_))
            || matches!(act, Act::Partition(_) | Act::Cut(..) | Act::Heal | Act::SetLinks(_))
    };
    let rounds = random.rounds.into_iter().map(|Round { mut acts, .. }| {
        acts.retain(|(_, act)| wanted(act));
        Round { acts, end: End::FailOver }
    });
    let (processes, more_links) = (Vec::new(), Vec::new());
    Ok(Scenario {
        seed: world,
        routers,
        processes,
        link: Link::default(),
        more_links,
        rounds: rounds.collect(),
    })
}

/// Runs the service in a world. Tells how many writes were refused.
fn play(scenario: &Scenario, storage: Storage) -> Result<u64, Box<dyn Error>> {
    let service = Rc::new(RefCell::new(Service::new(storage)));
    let (_, result) = simulate_with(scenario, Rc::clone(&service))?;
    result?;
    Ok(service.take().refused)
}

type Simulated = (Simulation, Result<(), Violation>);

fn simulate(scenario: &Scenario, storage: Storage) -> Result<Simulated, Box<dyn Error>> {
    simulate_with(scenario, Rc::new(RefCell::new(Service::new(storage))))
}

fn simulate_with(
    scenario: &Scenario,
    service: Rc<RefCell<Service>>,
) -> Result<Simulated, Box<dyn Error>> {
    let sim = Simulation::new(scenario.seed);
    Ok(scenario.run(sim.watched(move |sim| service.borrow_mut().step(sim)))?)
}

/// Whether the storage knows who may write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Storage {
    /// It takes what it is given.
    #[default]
    Trusting,
    /// It hands out tokens and refuses older ones.
    Fenced,
}

/// All instances of the service, and the storage they share.
#[derive(Debug, Default)]
struct Service {
    storage: Storage,
    /// The counter in the storage, and the token it was last written with.
    stored: u64,
    newest_token: u64,
    /// What clients were told is done.
    acknowledged: u64,
    refused: u64,
    leaders: Vec<Option<Leader>>,
}

/// An instance on a router that is master.
#[derive(Debug, Clone, Copy)]
struct Leader {
    /// The mastership it is for.
    term: u64,
    /// The counter as it remembers it.
    count: u64,
    token: u64,
}

impl Service {
    fn new(storage: Storage) -> Self {
        Self { storage, ..Self::default() }
    }

    /// Time has passed, or a router has changed its state.
    fn step(&mut self, sim: &Simulation) -> Result<(), String> {
        self.leaders.resize(sim.routers().count(), None);
        for id in sim.routers() {
            self.step_instance(sim, id);
        }
        if self.stored == self.acknowledged {
            return Ok(());
        }
        Err(format!("{} counts acknowledged, {} in the storage", self.acknowledged, self.stored))
    }

    fn step_instance(&mut self, sim: &Simulation, id: RouterId) {
        let machine = sim.machine(id);
        if machine.is_some() && !sim.is_running(id) {
            // It stands still, and does not know.
            return;
        }
        let former = self.leaders.get_mut(id.index()).and_then(Option::take);
        // What a real one hears from `Leadership` or `StateChanged`. Who crashed has no memory, either.
        let Some(machine) = machine.filter(|machine| machine.reported_state() == State::Master)
        else {
            return;
        };
        let term = machine.term();
        let mut leader = former.filter(|leader| leader.term == term).unwrap_or_else(|| {
            self.newest_token += 1;
            Leader { term, count: self.stored, token: self.newest_token }
        });
        self.count(&mut leader);
        if let Some(slot) = self.leaders.get_mut(id.index()) {
            *slot = Some(leader);
        }
    }

    fn count(&mut self, leader: &mut Leader) {
        if self.storage == Storage::Fenced && leader.token < self.newest_token {
            self.refused += 1;
            return;
        }
        leader.count += 1;
        self.stored = leader.count;
        self.acknowledged += 1;
    }
}
