use core::net::SocketAddr;

use healthcheck::{Kind, Timing};
use ipvs::{ForwardingMethod, Scheduler};
use proptest::prelude::*;

use super::*;
use crate::config::{RealServer, ServiceConfig};

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], port))
}

/// Services 1.., with these many checks for each of their real servers 1..; every second server is quiesced when down.
fn config(services: &[Vec<usize>]) -> Config {
    let mut config = Config::new();
    for (servers, service) in services.iter().zip(1..) {
        let key = ServiceKey::tcp([192, 0, 2, 1].into(), service);
        let mut service = ServiceConfig::new(Service::new(key, Scheduler::RoundRobin));
        for (&checks, port) in servers.iter().zip(1..) {
            let destination = Destination::new(address(port).into(), ForwardingMethod::DirectRoute);
            let when_down = if port % 2 == 0 { WhenDown::Quiesce } else { WhenDown::Remove };
            let mut server = RealServer::new(destination).when_down(when_down);
            for check in 0..checks {
                let port = u16::try_from(check).unwrap();
                let initial = if check % 3 == 2 { Outcome::Down } else { Outcome::Up };
                server = server.check(
                    Check::new(address(port), Kind::Tcp).timing(Timing::new().initial(initial)),
                );
            }
            service = service.real_server(server);
        }
        config = config.service(service);
    }
    config
}

/// The outcome of every check, kept beside the pool.
type Model = BTreeMap<CheckId, Outcome>;

fn check_table(pool: &Pool, model: &Model) {
    let table = pool.desired();
    assert_eq!(table.len(), pool.services.len(), "every service is there whatever its servers are");
    for (key, service) in &pool.services {
        let entry = table.service(key).unwrap();
        for (key, server) in &service.servers {
            let up = server.checks.iter().all(|check| model[&check.id] == Outcome::Up);
            let weight = entry.destination(key).map(|destination| destination.weight().value());
            let expected = if up {
                Some(1)
            } else if key.port % 2 == 0 {
                Some(0)
            } else {
                None
            };
            assert_eq!(weight, expected, "{key}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_table_follows_the_checks_and_changes_are_told_exactly(
        first in proptest::collection::vec(proptest::collection::vec(0..4_usize, 0..5), 0..4),
        second in proptest::collection::vec(proptest::collection::vec(0..4_usize, 0..5), 0..4),
        outcomes in proptest::collection::vec((0..60_u64, any::<bool>()), 0..60),
    ) {
        let mut pool = Pool::new(config(&first), &Pool::default());
        let mut model: Model = pool.checks().map(|(id, check)| (id, check.assumed())).collect();
        check_table(&pool, &model);
        for &(id, up) in &outcomes {
            let (id, outcome) = (CheckId(id), if up { Outcome::Up } else { Outcome::Down });
            let before = pool.desired();
            let change = pool.handle_outcome(id, outcome);
            if let Some(known) = model.get_mut(&id) {
                *known = outcome;
            } else {
                prop_assert_eq!(change, None, "a check that is not there");
            }
            check_table(&pool, &model);
            prop_assert_eq!(change.is_some(), pool.desired() != before);
        }
        // Another configuration: what stays keeps its number and its outcome, what is new is as assumed.
        let next = Pool::new(config(&second), &pool);
        let mut kept = 0;
        for (id, check) in next.checks() {
            let old = pool.checks().find(|(old, _)| *old == id);
            let outcome = next.services.values().flat_map(|s| s.servers.values()).flat_map(|s| &s.checks)
                .find(|c| c.id == id).unwrap().outcome;
            if let Some((_, old)) = old {
                kept += 1;
                prop_assert_eq!(old, check);
                prop_assert_eq!(outcome, model[&id]);
            } else {
                prop_assert_eq!(outcome, check.assumed());
            }
        }
        let expected: usize = first.iter().zip(&second)
            .flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| *a.min(b)).sum();
        prop_assert_eq!(kept, expected);
    }
}
