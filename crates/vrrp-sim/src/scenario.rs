//! A whole run as data: it can be printed, repeated, and cut down to what matters.

use core::{net::IpAddr, time::Duration};

use vrrp_fsm::{Config, ConfigError, PathId};
use vrrp_proto::Priority;

use crate::{Chance, Conditions, Forgery, Link, RouterId, Simulation, Violation};

/// Routers, a network, and what happens to them, round by round.
///
/// Each round is a list of acts at odd moments and an [`End`], which ends all faults and checks the
/// bounds. Leaving out an act, a round or a router gives a scenario again.
///
/// ```
/// use vrrp_sim::{Scenario, Simulation};
///
/// for seed in 0..10 {
///     let scenario = Scenario::random(seed);
///     let (simulation, result) = scenario.run(Simulation::new(seed))?;
///     if let Err(violation) = result {
///         println!("{}{scenario:#?}", simulation.timeline().expect("recorded by default"));
///         panic!("{violation}");
///     }
/// }
/// # Ok::<(), vrrp_sim::vrrp_fsm::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "scenarios are made and cut down by their users")]
pub struct Scenario {
    /// The seed of the simulation.
    pub seed: u64,
    /// The routers; [`RouterId`]s count them from 0.
    pub routers: Vec<Participant>,
    /// Those of them that are one process and change state together (see [`Simulation::join`]).
    pub processes: Vec<Vec<RouterId>>,
    /// What all links do.
    pub link: Link,
    /// What those of the further paths do instead, path by path.
    pub more_links: Vec<Link>,
    /// What happens.
    pub rounds: Vec<Round>,
}

/// One router of a [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "scenarios are made and cut down by their users")]
pub struct Participant {
    /// Its configuration.
    pub config: Config,
    /// Its own address.
    pub source: IpAddr,
    /// Its own addresses on its further paths, as in [`Simulation::add_path`].
    pub more_sources: Vec<IpAddr>,
    /// What its surroundings are like.
    pub conditions: Conditions,
}

/// One round of a [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "scenarios are made and cut down by their users")]
pub struct Round {
    /// What is done, each after the time that passes since the one before.
    pub acts: Vec<(Duration, Act)>,
    /// How the round ends.
    pub end: End,
}

/// How a [`Round`] ends; each way checks the bounds of [`Simulation::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// All faults end.
    Settle,
    /// And then the Master crashes, once more.
    FailOver,
    /// And then the Master is shut down.
    HandOver,
}

/// Something done to a router or the network, as the method of [`Simulation`] with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the methods of the same names are documented")]
pub enum Act {
    /// Nothing but the time before it.
    Wait,
    Start(RouterId),
    Crash(RouterId),
    Kill(RouterId),
    Pause(RouterId),
    Resume(RouterId),
    ShutDown(RouterId),
    StartUp(RouterId),
    LinkDown(RouterId),
    LinkUp(RouterId),
    SetPriority(RouterId, Priority),
    StealAddresses(RouterId),
    SendForgery(RouterId, Forgery),
    Replay(RouterId, Duration),
    /// Cuts the first so many routers off the others.
    Partition(usize),
    Cut(RouterId, RouterId),
    Heal,
    SetLinks(Link),
    /// The same on one path.
    SetPathLinks(PathId, Link),
    FailPath(PathId, usize, Chance),
    SetEcho(Chance),
    SetDisguise(IpAddr),
    SetConditions(RouterId, Conditions),
}

impl Scenario {
    /// Runs it. Returns the simulation as it was left, and what went wrong.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration that cannot be used.
    pub fn run(
        &self,
        simulation: Simulation,
    ) -> Result<(Simulation, Result<(), Violation>), ConfigError> {
        let mut simulation = simulation;
        for (index, participant) in self.routers.iter().enumerate() {
            let Participant { config, source, more_sources, conditions } = participant;
            let name = format!("{} ({})", index, config.priority);
            let id = simulation.add_router(&name, config.clone(), *source)?;
            for source in more_sources {
                simulation.add_path(id, *source);
            }
            simulation.set_conditions(id, *conditions);
        }
        for members in &self.processes {
            simulation.join(members);
        }
        self.set_links(&mut simulation);
        let result = self.run_rounds(&mut simulation);
        Ok((simulation, result))
    }

    fn set_links(&self, simulation: &mut Simulation) {
        simulation.set_links(self.link);
        for (path, link) in (1..).map(PathId::new).zip(&self.more_links) {
            simulation.set_path_links(path, *link);
        }
    }

    fn run_rounds(&self, simulation: &mut Simulation) -> Result<(), Violation> {
        simulation.start_all()?;
        for round in &self.rounds {
            for (after, act) in &round.acts {
                simulation.run_for(*after)?;
                act.perform(simulation)?;
            }
            for (index, participant) in self.routers.iter().enumerate() {
                simulation.set_conditions(RouterId::from_index(index), participant.conditions);
            }
            self.set_links(simulation);
            simulation.settle()?;
            match round.end {
                End::Settle => {}
                End::FailOver => {
                    simulation.fail_over()?;
                    simulation.settle()?;
                }
                End::HandOver => {
                    let takeover = simulation.hand_over()?;
                    simulation.settle()?;
                    if let Some(takeover) = takeover {
                        simulation.start_up(takeover.from)?;
                    }
                }
            }
            simulation.start_all()?;
        }
        Ok(())
    }
}

impl Act {
    fn perform(self, simulation: &mut Simulation) -> Result<(), Violation> {
        match self {
            Self::Wait => {}
            Self::Start(id) => simulation.start(id)?,
            Self::Crash(id) => simulation.crash(id),
            Self::Kill(id) => simulation.kill(id),
            Self::Pause(id) => simulation.pause(id),
            Self::Resume(id) => simulation.resume(id)?,
            Self::ShutDown(id) => simulation.shut_down(id)?,
            Self::StartUp(id) => simulation.start_up(id)?,
            Self::LinkDown(id) => simulation.set_link_down(id)?,
            Self::LinkUp(id) => simulation.set_link_up(id)?,
            Self::SetPriority(id, priority) => simulation.set_priority(id, priority)?,
            Self::StealAddresses(id) => simulation.steal_addresses(id)?,
            Self::SendForgery(to, forgery) => simulation.send_forgery(to, forgery),
            Self::Replay(to, after) => simulation.replay(to, after),
            Self::Partition(first) => {
                let group: Vec<RouterId> = simulation.routers().take(first).collect();
                simulation.partition(&[&group]);
            }
            Self::Cut(from, to) => simulation.cut(from, to),
            Self::Heal => simulation.heal(),
            Self::SetLinks(link) => simulation.set_links(link),
            Self::SetPathLinks(path, link) => simulation.set_path_links(path, link),
            Self::FailPath(path, first, loss) => simulation.fail_path(path, first, loss),
            Self::SetEcho(echo) => simulation.set_echo(echo),
            Self::SetDisguise(source) => simulation.set_disguise(source),
            Self::SetConditions(id, conditions) => simulation.set_conditions(id, conditions),
        }
        simulation.be_watched()
    }
}
