//! The smallest change from one table to another. Pure.

use std::collections::BTreeSet;

use crate::command::Command;
use crate::destination::{Destination, Weight};
use crate::key::ServiceKey;
use crate::table::{Entry, Table};

/// New services that are made before the first of them gets its destinations: few, so that none is without for long, and not one, because
/// who wants to know whether a service was made before filling it ([`Backend::apply`](crate::Backend::apply)) has to wait there.
const BLOCK: usize = 64;

/// The commands that turn `current` into `desired`, as few as there are.
///
/// A service of `current` that is not in `owned` was made by somebody else, because the kernel does not note who made a service: it is
/// neither removed nor changed, not even when `desired` has it ([`foreign`] tells which those are). To take a service
/// over, name it in `owned`.
///
/// The order takes nothing away before it has given: a service that has a destination of a weight above 0, and shall have one,
/// has one after every single command. Within a service, what shall take connections is added and changed first, then what shall
/// take none, then superfluous destinations are removed; superfluous services go last.
///
/// A changed scheduler, persistence, weight, method or threshold is changed in place, so that connections and
/// counters survive.
#[must_use]
pub fn plan(current: &Table, desired: &Table, owned: &BTreeSet<ServiceKey>) -> Vec<Command> {
    // New services are what many commands come of.
    let new = desired.iter().filter(|(key, _)| !current.contains(key));
    let mut commands =
        Vec::with_capacity(new.map(|(_, entry)| entry.len().saturating_add(1)).sum());
    let mut block = Block::default();
    for (key, wanted) in desired.iter() {
        let present = current.service(key);
        if present.is_none() || owned.contains(key) {
            block.add(key, present, wanted);
        }
        if block.services.len() >= BLOCK {
            block.drain_into(&mut commands);
        }
    }
    block.drain_into(&mut commands);
    let gone = owned.iter().filter(|key| current.contains(key) && !desired.contains(key));
    commands.extend(gone.map(|key| Command::DelService(*key)));
    commands
}

/// The services of `desired` that [`plan`] leaves alone although they differ: they are in `current` and not in `owned`.
#[must_use]
pub fn foreign(
    current: &Table,
    desired: &Table,
    owned: &BTreeSet<ServiceKey>,
) -> BTreeSet<ServiceKey> {
    let differs = |key: &&ServiceKey| {
        let present = current.service(key);
        present.is_some() && present != desired.service(key)
    };
    desired.keys().filter(|key| !owned.contains(key)).filter(differs).copied().collect()
}

/// Commands for some services, by the order in which they have to be done.
#[derive(Debug, Default)]
struct Block {
    services: Vec<Command>,
    live: Vec<Command>,
    quiesced: Vec<Command>,
    removals: Vec<Command>,
}

impl Block {
    fn add(&mut self, key: &ServiceKey, present: Option<&Entry>, wanted: &Entry) {
        match present {
            None => self.services.push(Command::NewService(wanted.service().clone())),
            Some(present) if present.service() != wanted.service() => {
                self.services.push(Command::SetService(wanted.service().clone()));
            }
            Some(_) => {}
        }
        for destination in wanted.destinations() {
            let command = match present.and_then(|entry| entry.destination(&destination.key())) {
                None => Command::NewDestination(*key, *destination),
                Some(present) if present != destination => {
                    Command::SetDestination(*key, *destination)
                }
                Some(_) => continue,
            };
            if is_live(destination) { &mut self.live } else { &mut self.quiesced }.push(command);
        }
        for superfluous in present.into_iter().flat_map(Entry::destinations) {
            if wanted.destination(&superfluous.key()).is_none() {
                self.removals.push(Command::DelDestination(*key, superfluous.key()));
            }
        }
    }

    fn drain_into(&mut self, commands: &mut Vec<Command>) {
        for stage in [&mut self.services, &mut self.live, &mut self.quiesced, &mut self.removals] {
            commands.append(stage);
        }
    }
}

/// Whether it gets new connections.
fn is_live(destination: &Destination) -> bool {
    destination.weight() != Weight::QUIESCED
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{related_table, service_key, table};
    use crate::{DestinationKey, ForwardingMethod, Scheduler, Service};

    fn object(command: &Command) -> (Option<ServiceKey>, Option<DestinationKey>) {
        let destination =
            if let Command::NewDestination(_, d) | Command::SetDestination(_, d) = command {
                Some(d.key())
            } else if let Command::DelDestination(_, key) = command {
                Some(*key)
            } else {
                None
            };
        (command.service(), destination)
    }

    fn has_live(table: &Table, key: &ServiceKey) -> bool {
        table.service(key).is_some_and(|entry| entry.destinations().any(is_live))
    }

    /// What has to hold of every plan.
    fn check(
        current: &Table,
        desired: &Table,
        owned: &BTreeSet<ServiceKey>,
    ) -> Result<(), TestCaseError> {
        let commands = plan(current, desired, owned);
        let mut result = current.clone();
        for command in &commands {
            let before = result.clone();
            prop_assert_eq!(result.execute(command), Ok(()), "{}", command);
            for key in desired.keys() {
                if has_live(&before, key) && has_live(desired, key) {
                    prop_assert!(has_live(&result, key), "{} leaves {} without", command, key);
                }
            }
        }
        let strangers = foreign(current, desired, owned);
        for (key, entry) in desired.iter() {
            if strangers.contains(key) {
                prop_assert_eq!(
                    result.service(key),
                    current.service(key),
                    "foreign service changed"
                );
            } else {
                prop_assert_eq!(result.service(key), Some(entry));
            }
        }
        for (key, entry) in result.iter() {
            if !desired.contains(key) {
                prop_assert!(!owned.contains(key), "{} should be gone", key);
                prop_assert_eq!(current.service(key), Some(entry), "foreign service changed");
            }
        }
        for (key, entry) in current.iter().filter(|(key, _)| !owned.contains(key)) {
            prop_assert_eq!(result.service(key), Some(entry), "foreign service {} changed", key);
        }
        let made: BTreeSet<_> = owned
            .iter()
            .chain(desired.keys())
            .filter(|key| !strangers.contains(key))
            .copied()
            .collect();
        prop_assert!(plan(&result, desired, &made).is_empty(), "the second plan is empty");
        // Minimal: every command changes something, and none touches an object another one touches.
        let objects: BTreeMap<_, _> =
            commands.iter().map(|command| (object(command), command)).collect();
        prop_assert_eq!(objects.len(), commands.len());
        for command in &commands {
            let mut without = current.clone();
            for other in commands.iter().filter(|other| *other != command) {
                // A destination without its service fails, as it would in the kernel.
                let _refused = without.execute(other);
            }
            prop_assert_ne!(&without, &result, "{} is needless", command);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_plan_between_arbitrary_tables(
            current in table(), desired in table(), owned in proptest::collection::btree_set(service_key(), 0..6),
        ) {
            check(&current, &desired, &owned)?;
        }

        /// Keys drawn independently seldom meet.
        #[test]
        fn a_plan_between_tables_that_have_much_in_common(
            (current, desired) in related_table(), strangers in proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        ) {
            let mut owned: BTreeSet<_> = current.keys().copied().collect();
            for stranger in strangers {
                if let Some(key) = owned.iter().nth(stranger.index(current.len().max(1))).copied() {
                    owned.remove(&key);
                }
            }
            check(&current, &desired, &owned)?;
        }
    }

    #[test]
    fn the_only_server_is_replaced_without_a_moment_without() {
        let service = Service::new("tcp/192.0.2.1:80".parse().unwrap(), Scheduler::RoundRobin);
        let key = service.key();
        let server = |last: u8, weight: u16| {
            let key = DestinationKey::new([192, 0, 2, last].into(), 80);
            Destination::new(key, ForwardingMethod::DirectRoute).with_weight(weight.into())
        };
        let (mut current, mut desired) = (Table::new(), Table::new());
        current.insert(service.clone()).insert(server(10, 1));
        let entry = desired.insert(service);
        entry.insert(server(10, 0));
        entry.insert(server(11, 1));
        let owned = BTreeSet::from([key]);
        let expected = [
            Command::NewDestination(key, server(11, 1)),
            Command::SetDestination(key, server(10, 0)),
        ];
        assert_eq!(plan(&current, &desired, &owned), expected);
    }

    #[test]
    fn many_new_services_wait_for_few_others_before_they_are_filled() {
        let mut desired = Table::new();
        for port in 1..=200 {
            let key = ServiceKey::tcp([192, 0, 2, 1].into(), port);
            let server = DestinationKey::new([192, 0, 2, 10].into(), port);
            let entry = desired.insert(Service::new(key, Scheduler::RoundRobin));
            entry.insert(Destination::new(server, ForwardingMethod::DirectRoute));
        }
        let commands = plan(&Table::new(), &desired, &BTreeSet::new());
        let mut empty = 0_usize;
        for command in &commands {
            if matches!(command, Command::NewService(_)) {
                empty += 1;
            } else {
                empty -= 1;
            }
            assert!(empty <= BLOCK);
        }
        assert_eq!((commands.len(), empty), (400, 0));
    }
}
