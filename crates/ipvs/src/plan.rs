//! The smallest change from one table to another. Pure.

use std::collections::BTreeSet;

use crate::command::Command;
use crate::key::ServiceKey;
use crate::table::{Entry, Table};

/// The commands that turn `current` into `desired`, as few as there are, in an order that never takes away
/// before it has given: services are added and changed, then destinations, then superfluous destinations are
/// removed, then services.
///
/// Services of `current` that are not desired are removed if they are in `owned` (we made them), and left
/// alone otherwise: the kernel does not note who made a service. A desired service that is there already is
/// changed to what is desired, destinations included.
///
/// A changed scheduler, persistence, weight, method or threshold is changed in place, so that connections and
/// counters survive.
#[must_use]
pub fn plan(current: &Table, desired: &Table, owned: &BTreeSet<ServiceKey>) -> Vec<Command> {
    let mut services = Vec::new();
    let mut additions = Vec::new();
    let mut removals = Vec::new();
    for (key, wanted) in desired.iter() {
        let present = current.service(key);
        match present {
            None => services.push(Command::NewService(wanted.service().clone())),
            Some(present) if present.service() != wanted.service() => {
                services.push(Command::SetService(wanted.service().clone()));
            }
            Some(_) => {}
        }
        for destination in wanted.destinations() {
            match present.and_then(|present| present.destination(&destination.key())) {
                None => additions.push(Command::NewDestination(*key, *destination)),
                Some(present) if present != destination => {
                    additions.push(Command::SetDestination(*key, *destination));
                }
                Some(_) => {}
            }
        }
        for superfluous in present.into_iter().flat_map(Entry::destinations) {
            if wanted.destination(&superfluous.key()).is_none() {
                removals.push(Command::DelDestination(*key, superfluous.key()));
            }
        }
    }
    let gone = owned.iter().filter(|key| current.contains(key) && !desired.contains(key));
    removals.extend(gone.map(|key| Command::DelService(*key)));
    services.append(&mut additions);
    services.append(&mut removals);
    services
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{service_key, table};

    /// Which stage of the order a command belongs to.
    fn stage(command: &Command) -> u8 {
        match command {
            Command::NewService(_) | Command::SetService(_) => 0,
            Command::NewDestination(..) | Command::SetDestination(..) => 1,
            Command::DelDestination(..) => 2,
            Command::DelService(_) => 3,
            other @ (Command::Zero(_)
            | Command::Flush
            | Command::SetTimeouts(_)
            | Command::StartDaemon(_)
            | Command::StopDaemon(_)) => panic!("never planned: {other}"),
        }
    }

    proptest! {
        #[test]
        fn a_plan_leads_to_the_desired_table(
            current in table(), desired in table(), owned in proptest::collection::btree_set(service_key(), 0..6),
            take in any::<bool>(),
        ) {
            // Keys drawn independently seldom meet: often own the whole of what is there.
            let owned: BTreeSet<_> = if take { current.keys().copied().collect() } else { owned };
            let commands = plan(&current, &desired, &owned);
            let mut result = current.clone();
            for command in &commands {
                prop_assert_eq!(result.execute(command), Ok(()), "{}", command);
            }
            for (key, entry) in desired.iter() {
                prop_assert_eq!(result.service(key), Some(entry));
            }
            for (key, entry) in result.iter() {
                if !desired.contains(key) {
                    prop_assert!(!owned.contains(key), "{} should be gone", key);
                    prop_assert_eq!(current.service(key), Some(entry), "foreign service changed");
                }
            }
            for key in current.keys().filter(|key| !owned.contains(key)) {
                prop_assert!(result.contains(key), "foreign service {} is gone", key);
            }
            prop_assert!(plan(&result, &desired, &owned).is_empty(), "the second plan is empty");
            prop_assert!(commands.is_sorted_by_key(stage));
            // Minimal: every command changes something, and none touches an object another one touches.
            let objects: BTreeSet<_> = commands.iter().map(|command| {
                let destination = if let Command::NewDestination(_, d) | Command::SetDestination(_, d) = command {
                    Some(d.key())
                } else if let Command::DelDestination(_, key) = command {
                    Some(*key)
                } else {
                    None
                };
                (command.service(), destination)
            }).collect();
            prop_assert_eq!(objects.len(), commands.len());
            for command in &commands {
                let mut without = current.clone();
                for other in commands.iter().filter(|other| *other != command) {
                    // A destination without its service fails, as it would in the kernel.
                    let _refused = without.execute(other);
                }
                prop_assert_ne!(&without, &result, "{} is needless", command);
            }
        }
    }
}
