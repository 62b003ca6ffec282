//! Bringing a table to what is desired.

use std::borrow::Cow;
use std::collections::BTreeSet;

use netlink::errno;

use crate::backend::Backend;
use crate::command::Command;
use crate::destination::{ForwardingMethod, Tunnel};
use crate::error::{CommandError, ReadError};
use crate::key::ServiceKey;
use crate::plan::{foreign, plan};
use crate::table::Table;

/// Times the table is read and changed before what still fails is reported. More than one is needed only when
/// somebody else changes it at the same time.
const ROUNDS: usize = 3;

/// What [`Backend::apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Report {
    /// Commands that were given, successful or not, in order. Empty: everything was as desired.
    pub commands: Vec<Command>,
    /// Commands that were not done. What depended on them (destinations of a service that could not be
    /// made) is not listed.
    pub failures: Vec<CommandError>,
    /// Services that did not exist and were made.
    pub created: BTreeSet<ServiceKey>,
}

impl Report {
    /// Whether the table is now as desired.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }
}

/// See [`Backend::apply`].
pub(crate) fn apply(
    backend: &mut (impl Backend + ?Sized),
    desired: &Table,
    owned: &BTreeSet<ServiceKey>,
) -> Result<Report, ReadError> {
    let mut report = Report::default();
    let mut owned = owned.clone();
    let mut done: Vec<Command> = Vec::new();
    for _ in 0..ROUNDS {
        let current = backend.table(&mut |key| desired.contains(key) || owned.contains(key))?;
        let mut commands = plan(&current, desired, &owned);
        report.failures = strangers(&current, desired, &owned);
        report.failures.extend(ignored(&mut commands, &done));
        if commands.is_empty() {
            break;
        }
        let outcome = carry_out(backend, commands, &mut report.commands);
        report.failures.extend(outcome.failures);
        owned.extend(outcome.created.iter().copied());
        report.created.extend(outcome.created);
        done = outcome.unsure;
        if !outcome.raced && done.is_empty() {
            break;
        }
    }
    Ok(report)
}

/// The changes that are not made because the service is somebody else's.
fn strangers(current: &Table, desired: &Table, owned: &BTreeSet<ServiceKey>) -> Vec<CommandError> {
    let keys = foreign(current, desired, owned);
    let wanted = keys.iter().filter_map(|key| desired.service(key));
    let error = |service| CommandError::Foreign { command: Box::new(Command::SetService(service)) };
    wanted.map(|entry| error(entry.service().clone())).collect()
}

/// Gives the commands, and none about the destinations of a service before it is known that we have made it: if
/// another program was faster, they would change its service.
fn carry_out(
    backend: &mut (impl Backend + ?Sized),
    mut commands: Vec<Command>,
    given: &mut Vec<Command>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = commands.as_slice();
    while let Some((chunk, tail)) = rest.split_at_checked(independent(rest))
        && !chunk.is_empty()
    {
        let chunk = if outcome.missing.is_empty() {
            Cow::Borrowed(chunk)
        } else {
            chunk.iter().filter(|command| !outcome.depends_on_failure(command)).cloned().collect()
        };
        let results = backend.execute(&chunk);
        outcome.add(&chunk, results);
        rest = tail;
    }
    commands.retain(|command| !outcome.depends_on_failure(command));
    if given.is_empty() {
        *given = commands;
    } else {
        given.append(&mut commands);
    }
    outcome
}

/// How many of the commands can be given before one of them has to be known to be done.
fn independent(commands: &[Command]) -> usize {
    let mut new = BTreeSet::new();
    let depends = |command: &Command| {
        if let Command::NewService(service) = command {
            new.insert(service.key());
            return false;
        }
        command.service().is_some_and(|key| new.contains(&key))
    };
    commands.iter().position(depends).unwrap_or(commands.len())
}

/// Takes out the commands that were done before without effect, and reports them.
fn ignored(commands: &mut Vec<Command>, done: &[Command]) -> Vec<CommandError> {
    let repeated = |command: &Command| {
        let Command::SetDestination(key, destination) = command else { return false };
        done.iter().any(|before| {
            matches!(before, Command::NewDestination(k, d) | Command::SetDestination(k, d) if k == key && d == destination)
        })
    };
    let found = commands.extract_if(.., |command| repeated(command));
    found.map(|command| CommandError::Ignored { command: Box::new(command) }).collect()
}

/// What came of one round.
#[derive(Debug, Default)]
struct Outcome {
    failures: Vec<CommandError>,
    /// Services that we have made.
    created: BTreeSet<ServiceKey>,
    /// Services that we have not made although we wanted to.
    missing: BTreeSet<ServiceKey>,
    /// Somebody else changed the table between our reading and writing, or an answer was lost.
    raced: bool,
    /// Done, but a kernel that does not know the setting says so, too.
    unsure: Vec<Command>,
}

impl Outcome {
    fn add(&mut self, commands: &[Command], results: Vec<Result<(), CommandError>>) {
        for (command, result) in commands.iter().zip(results) {
            match result {
                Ok(()) => {
                    if let Command::NewService(service) = command {
                        self.created.insert(service.key());
                    }
                    if is_recent(command) {
                        self.unsure.push(command.clone());
                    }
                }
                Err(error) => self.fold(command, error),
            }
        }
    }

    fn depends_on_failure(&self, command: &Command) -> bool {
        let is_new = matches!(command, Command::NewService(_));
        !is_new && command.service().is_some_and(|key| self.missing.contains(&key))
    }

    fn fold(&mut self, command: &Command, error: CommandError) {
        if let Command::NewService(service) = command {
            self.missing.insert(service.key());
        }
        let unknown =
            matches!(&error, CommandError::Failed { cause, .. } if cause.outcome_unknown());
        match (command, error.errno()) {
            // Gone already.
            (
                Command::DelService(_) | Command::DelDestination(..),
                Some(errno::ESRCH | errno::ENOENT),
            ) => {}
            (Command::NewService(_) | Command::NewDestination(..), Some(errno::EEXIST))
            | (
                Command::SetService(_) | Command::SetDestination(..) | Command::NewDestination(..),
                Some(errno::ESRCH),
            )
            | (Command::SetDestination(..), Some(errno::ENOENT)) => {
                self.raced = true;
                self.failures.push(error);
            }
            _ => {
                self.raced |= unknown;
                self.failures.push(error);
            }
        }
    }
}

/// Whether a command uses a setting that kernels in use ignore silently.
fn is_recent(command: &Command) -> bool {
    let (Command::NewDestination(_, destination) | Command::SetDestination(_, destination)) =
        command
    else {
        return false;
    };
    matches!(destination.method(), ForwardingMethod::Tunnel(tunnel) if tunnel != Tunnel::Ipip)
}

#[cfg(test)]
mod tests {
    use netlink::{Refusal, RequestError};

    use super::*;
    use crate::{Destination, DestinationKey, FakeKernel, Scheduler, Service};

    fn service() -> Service {
        Service::new(ServiceKey::tcp([192, 0, 2, 1].into(), 80), Scheduler::RoundRobin)
    }

    fn new_destination(method: ForwardingMethod) -> Command {
        let key = DestinationKey::new([192, 0, 2, 10].into(), 80);
        Command::NewDestination(service().key(), Destination::new(key, method))
    }

    fn fold(commands: &[Command], errnos: &[i32]) -> Outcome {
        let result = |(command, &errno): (&Command, &i32)| match errno {
            0 => Ok(()),
            _ => Err(CommandError::failed(command, RequestError::Refused(Refusal::new(errno)))),
        };
        let mut outcome = Outcome::default();
        outcome.add(commands, commands.iter().zip(errnos).map(result).collect());
        outcome
    }

    #[test]
    fn already_gone_is_success() {
        let key = service().key();
        let destination = DestinationKey::new([192, 0, 2, 10].into(), 80);
        let commands = [
            Command::DelDestination(key, destination),
            Command::DelDestination(key, destination),
            Command::DelService(key),
        ];
        let outcome = fold(&commands, &[errno::ENOENT, errno::ESRCH, errno::ESRCH]);
        assert!(outcome.failures.is_empty() && !outcome.raced);
    }

    #[test]
    fn destinations_of_a_service_that_could_not_be_made_are_left_out() {
        let mut kernel = FakeKernel::new();
        let broken =
            Service::new(ServiceKey::tcp([192, 0, 2, 1].into(), 81), "nonesuch".parse().unwrap());
        let mut desired = Table::new();
        for service in [broken.clone(), service()] {
            let port = if service.key() == broken.key() { 81 } else { 80 };
            let server = DestinationKey::new([192, 0, 2, 10].into(), port);
            desired.insert(service).insert(Destination::new(server, ForwardingMethod::DirectRoute));
        }
        let report = kernel.apply(&desired, &BTreeSet::new()).unwrap();
        assert_eq!(report.failures.len(), 1);
        assert_eq!(report.failures[0].command(), &Command::NewService(broken));
        assert_eq!(report.commands.len(), 3, "two services and one destination");
        assert_eq!(report.created, BTreeSet::from([service().key()]));
    }

    /// Another program that makes the same service at the same moment.
    #[derive(Debug)]
    struct Rival {
        kernel: FakeKernel,
        service: Option<Service>,
    }

    impl Backend for Rival {
        fn information(&mut self) -> Result<crate::Information, ReadError> {
            self.kernel.information()
        }
        fn timeouts(&mut self) -> Result<crate::Timeouts, ReadError> {
            self.kernel.timeouts()
        }
        fn daemons(&mut self) -> Result<Vec<crate::SyncDaemon>, ReadError> {
            self.kernel.daemons()
        }
        fn services(&mut self) -> Result<Vec<crate::ServiceStatus>, ReadError> {
            self.kernel.services()
        }
        fn service(&mut self, key: &ServiceKey) -> Result<Option<crate::ServiceStatus>, ReadError> {
            self.kernel.service(key)
        }
        fn destinations(
            &mut self,
            key: &ServiceKey,
        ) -> Result<Vec<crate::DestinationStatus>, ReadError> {
            self.kernel.destinations(key)
        }
        fn execute(&mut self, commands: &[Command]) -> Vec<Result<(), CommandError>> {
            if let Some(service) = self.service.take() {
                assert_eq!(self.kernel.execute(&[Command::NewService(service)]), [Ok(())]);
            }
            self.kernel.execute(commands)
        }
    }

    #[test]
    fn a_service_that_somebody_else_makes_first_gets_nothing_of_ours() {
        let theirs = Service::new(service().key(), Scheduler::SourceHash);
        let mut rival = Rival { kernel: FakeKernel::new(), service: Some(theirs.clone()) };
        let mut desired = Table::new();
        let Command::NewDestination(_, destination) =
            new_destination(ForwardingMethod::DirectRoute)
        else {
            unreachable!()
        };
        desired.insert(service()).insert(destination);
        let report = rival.apply(&desired, &BTreeSet::new()).unwrap();
        assert!(matches!(report.failures.as_slice(), [CommandError::Foreign { .. }]), "{report:?}");
        assert!(report.created.is_empty());
        let table = rival.table(&mut |_| true).unwrap();
        let entry = table.service(&theirs.key()).unwrap();
        assert_eq!((entry.service(), entry.destinations().count()), (&theirs, 0));

        // Named as ours it is taken over.
        let report = rival.apply(&desired, &BTreeSet::from([theirs.key()])).unwrap();
        assert!(report.is_complete() && report.created.is_empty());
        assert_eq!(rival.table(&mut |_| true).unwrap(), desired);
    }

    #[test]
    fn a_race_is_noticed() {
        let destination = new_destination(ForwardingMethod::DirectRoute);
        for (command, errno) in [
            (Command::NewService(service()), errno::EEXIST),
            (Command::SetService(service()), errno::ESRCH),
            (destination.clone(), errno::EEXIST),
            (destination, errno::ESRCH),
        ] {
            assert!(fold(&[command], &[errno]).raced);
        }
        assert!(!fold(&[Command::NewService(service())], &[errno::EPERM]).raced);
    }

    #[test]
    fn a_setting_that_has_no_effect_is_reported_once() {
        use core::num::NonZeroU16;

        use crate::TunnelChecksum;
        let gue = Tunnel::Gue { port: NonZeroU16::MIN, checksum: TunnelChecksum::None };
        let new = new_destination(ForwardingMethod::Tunnel(gue));
        let Command::NewDestination(key, destination) = new.clone() else { unreachable!() };
        assert_eq!(fold(core::slice::from_ref(&new), &[0]).unsure, core::slice::from_ref(&new));
        let mut again = vec![Command::SetDestination(key, destination)];
        assert_eq!(ignored(&mut again, core::slice::from_ref(&new)).len(), 1);
        assert!(again.is_empty());
    }
}
