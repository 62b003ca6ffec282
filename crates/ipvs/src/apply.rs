//! Bringing the kernel's table to what is desired.

use std::collections::BTreeSet;

use netlink::errno;

use crate::client::Client;
use crate::command::Command;
use crate::destination::{ForwardingMethod, Tunnel};
use crate::error::{CommandError, ReadError};
use crate::key::ServiceKey;
use crate::plan::plan;
use crate::table::Table;

/// Times the table is read and changed before what still fails is reported. More than one is needed only when
/// somebody else changes it at the same time.
const ROUNDS: usize = 3;

/// What [`Client::apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Report {
    /// Commands that were given, successful or not, in order. Empty: everything was as desired.
    pub commands: Vec<Command>,
    /// Commands that were not done. What depended on them (destinations of a service that could not be
    /// made) is not listed.
    pub failures: Vec<CommandError>,
}

impl Report {
    /// Whether the kernel's table is now as desired.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }
}

impl Client {
    /// Reads the services that are in `desired` or `owned`, makes a [`plan`] and carries it out.
    ///
    /// A service or destination that is already as desired gets no command, so that a second call does nothing.
    /// That others add or remove the same object meanwhile is no error: the table is read again.
    /// One object's failure does not keep the others from being done.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the table cannot be read; nothing more is changed then. Failures of single objects are in the
    /// [`Report`].
    pub fn apply(
        &mut self,
        desired: &Table,
        owned: &BTreeSet<ServiceKey>,
    ) -> Result<Report, ReadError> {
        let mut report = Report::default();
        let mut done: Vec<Command> = Vec::new();
        for _ in 0..ROUNDS {
            let current = self.table(|key| desired.contains(key) || owned.contains(key))?;
            let mut commands = plan(&current, desired, owned);
            report.failures = ignored(&mut commands, &done);
            if commands.is_empty() {
                break;
            }
            let results = self.execute(&commands);
            let outcome = Outcome::of(&commands, results);
            report.failures.extend(outcome.failures);
            report.commands.extend(commands);
            done = outcome.unsure;
            if !outcome.raced && done.is_empty() {
                break;
            }
        }
        Ok(report)
    }
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
    /// Somebody else changed the table between our reading and writing, or an answer was lost.
    raced: bool,
    /// Done, but a kernel that does not know the setting says so, too.
    unsure: Vec<Command>,
}

impl Outcome {
    fn of(commands: &[Command], results: Vec<Result<(), CommandError>>) -> Self {
        let mut outcome = Self::default();
        let mut missing = BTreeSet::new();
        for (command, result) in commands.iter().zip(results) {
            match result {
                Ok(()) if is_recent(command) => outcome.unsure.push(command.clone()),
                Ok(()) => {}
                Err(error) => outcome.fold(command, error, &mut missing),
            }
        }
        outcome
    }

    fn fold(&mut self, command: &Command, error: CommandError, missing: &mut BTreeSet<ServiceKey>) {
        if let CommandError::Failed { cause, .. } = &error
            && cause.outcome_unknown()
        {
            self.raced = true;
            self.failures.push(error);
            return;
        }
        match (command, error.errno()) {
            // Gone already.
            (
                Command::DelService(_) | Command::DelDestination(..),
                Some(errno::ESRCH | errno::ENOENT),
            ) => {}
            // Follows from a failure that is reported.
            (Command::NewDestination(key, _), Some(errno::ESRCH)) if missing.contains(key) => {}
            (Command::NewService(_) | Command::NewDestination(..), Some(errno::EEXIST))
            | (
                Command::SetService(_) | Command::SetDestination(..) | Command::NewDestination(..),
                Some(errno::ESRCH),
            )
            | (Command::SetDestination(..), Some(errno::ENOENT)) => {
                self.raced = true;
                self.failures.push(error);
            }
            (Command::NewService(service), _) => {
                missing.insert(service.key());
                self.failures.push(error);
            }
            _ => self.failures.push(error),
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
    use netlink::RequestError;

    use super::*;
    use crate::{Destination, DestinationKey, Scheduler, Service};

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
            _ => Err(CommandError::failed(command, RequestError::Socket { call: "test", errno })),
        };
        Outcome::of(commands, commands.iter().zip(errnos).map(result).collect())
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
    fn destinations_of_a_service_that_could_not_be_made_are_not_reported() {
        let commands =
            [Command::NewService(service()), new_destination(ForwardingMethod::DirectRoute)];
        let outcome = fold(&commands, &[errno::ENOENT, errno::ESRCH]);
        assert_eq!(outcome.failures.len(), 1);
        assert_eq!(outcome.failures[0].command(), &commands[0]);
        assert!(!outcome.raced, "reading again would not help");
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
