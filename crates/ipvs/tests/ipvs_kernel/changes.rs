//! Changes of a table: one at a time, many, refused, and beside those of others.

use crate::{Lab, VIP, server, table, web};
use core::net::Ipv4Addr;
use core::time::Duration;
use ipvs::{
    Command, CommandError, DestinationKey, ForwardingMethod, Report, Scheduler, Service,
    ServiceKey, Table, Weight,
};
use netlink::errno;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Serves one connection on `listener`: sends back what comes.
fn echo_once(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut octets = [0; 5];
    stream.read_exact(&mut octets).unwrap();
    stream.write_all(&octets).unwrap();
}

#[test]
fn statistics_count_connections_and_survive_changes() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let real = server("10.0.0.1", 8080, ForwardingMethod::Masquerade);
        let mut desired = table([(web(), vec![real])]);
        lab.apply(&desired);
        let listener = TcpListener::bind((Ipv4Addr::new(10, 0, 0, 1), 8080)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..3).for_each(|_| echo_once(&listener)));
            for _ in 0..3 {
                let mut stream = TcpStream::connect((VIP, 80)).unwrap();
                stream.write_all(b"hello").unwrap();
                let mut answer = [0; 5];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"hello");
            }
        });
        // The kernel sums up every two seconds.
        let counters = lab::eventually(Duration::from_secs(20), || {
            let counters = lab.client.service(&web().key()).unwrap().unwrap().statistics;
            (counters.connections == 3).then_some(counters)
        });
        let counters = counters.unwrap();
        assert!(counters.incoming_packets >= 9 && counters.outgoing_packets >= 6, "{counters:?}");
        assert!(counters.incoming_bytes > 15 && counters.outgoing_bytes > 15, "{counters:?}");
        let destinations = lab.client.destinations(&web().key()).unwrap();
        assert_eq!(destinations.len(), 1);
        assert_eq!(destinations[0].statistics.connections, 3);
        assert_eq!(destinations[0].active_connections + destinations[0].inactive_connections, 3);
        let listed = lab.listed("--stats --exact");
        assert!(listed.iter().any(|line| line.starts_with("TCP 192.0.2.1:80 3 ")), "{listed:?}");

        // A change in place keeps the counters.
        desired.insert(Service::new(web().key(), Scheduler::WeightedLeastConnections));
        desired.service_mut(&web().key()).unwrap().insert(real.with_weight(Weight::from(7)));
        lab.apply(&desired);
        assert_eq!(lab.client.service(&web().key()).unwrap().unwrap().statistics.connections, 3);
        for zero in [Command::Zero(Some(web().key())), Command::Zero(None)] {
            let connection = TcpStream::connect((VIP, 80)).unwrap();
            drop((connection, listener.accept().unwrap()));
            let counted = lab::eventually(Duration::from_secs(20), || {
                let status = lab.client.service(&web().key()).unwrap().unwrap();
                (status.statistics.connections != 0).then_some(())
            });
            assert!(counted.is_some());
            lab.one(zero).unwrap();
            assert_eq!(
                lab.client.service(&web().key()).unwrap().unwrap().statistics.connections,
                0
            );
        }
    });
}

#[test]
fn duplicates_and_missing_objects() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let key = web().key();
        let real = server("10.0.0.11", 80, ForwardingMethod::DirectRoute);
        let missing = server("10.0.0.99", 80, ForwardingMethod::DirectRoute);
        let cases = [
            (Command::DelService(key), Some(errno::ESRCH)),
            (Command::SetService(web()), Some(errno::ESRCH)),
            (Command::NewDestination(key, real), Some(errno::ESRCH)),
            (Command::Zero(Some(key)), Some(errno::ESRCH)),
            (Command::NewService(web()), None),
            (Command::NewService(web()), Some(errno::EEXIST)),
            (Command::NewDestination(key, real), None),
            (Command::NewDestination(key, real), Some(errno::EEXIST)),
            (Command::SetDestination(key, missing), Some(errno::ENOENT)),
            (Command::DelDestination(key, missing.key()), Some(errno::ENOENT)),
            (Command::DelDestination(key, real.key()), None),
            (Command::DelService(key), None),
        ];
        let commands: Vec<_> = cases.iter().map(|(command, _)| command.clone()).collect();
        // One batch: what follows a failure is still done, and each result is its own.
        let results = lab.client.execute(&commands);
        assert_eq!(results.len(), cases.len());
        let mut model = Table::new();
        for ((command, expected), result) in cases.iter().zip(results) {
            let got = result.as_ref().err().and_then(CommandError::errno);
            assert_eq!(got, *expected, "{command}: {result:?}");
            assert_eq!(
                model.execute(command).err(),
                *expected,
                "the model says what the kernel says: {command}"
            );
        }
        let errors = lab.client.execute(&[Command::DelDestination(key, missing.key())]);
        assert_eq!(
            errors[0].as_ref().unwrap_err().to_string(),
            "cannot remove destination 10.0.0.99:80 of service tcp/192.0.2.1:80: No such process (os error 3); there \
             is no such service: it was removed by another program"
        );
        assert_eq!(lab.client.destinations(&key), Ok(Vec::new()));
        assert_eq!(lab.client.service(&key), Ok(None));
        assert!(lab.listed("").is_empty());
    });
}

#[test]
fn three_hundred_services() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let services = (1..=300).map(|port| {
            let reals = (11..14)
                .map(|n| server(&format!("10.0.0.{n}"), port, ForwardingMethod::DirectRoute));
            (
                Service::new(ServiceKey::tcp(VIP, port), Scheduler::WeightedRoundRobin),
                reals.collect(),
            )
        });
        let desired = table(services);
        assert_eq!(lab.apply(&desired).len(), 1200);
        assert_eq!(lab.client.services().unwrap().len(), 300);
        assert_eq!(lab.client.table(|_| true).unwrap(), desired);
        assert_eq!(lab.listed("").len(), 1200);

        // One server less everywhere, one service less: 299 + 1 commands.
        let mut fewer = desired.clone();
        let owned: BTreeSet<_> = desired.keys().copied().collect();
        fewer.remove(&ServiceKey::tcp(VIP, 300));
        for key in &owned {
            if let Some(entry) = fewer.service_mut(key) {
                let ServiceKey::Address { port, .. } = *key else { unreachable!() };
                entry.remove(&DestinationKey::new([10, 0, 0, 13].into(), port));
            }
        }
        let report = lab.client.apply(&fewer, &owned).unwrap();
        assert_eq!((report.commands.len(), report.failures.len()), (300, 0));
        assert_eq!(lab.listed("").len(), 299 * 3);

        // All gone, and every one of the messages fails when repeated: more refusals than a default buffer holds.
        let commands: Vec<_> = owned.iter().copied().map(Command::DelService).collect();
        let results = lab.client.execute(&commands);
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 299);
        for result in lab.client.execute(&commands) {
            assert_eq!(result.unwrap_err().errno(), Some(errno::ESRCH));
        }
        assert!(lab.listed("").is_empty());
    });
}

#[test]
fn foreign_services_are_not_touched() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        lab.ipvsadm("-A -t 192.0.2.1:443 -s lc -p 300");
        lab.ipvsadm("-a -t 192.0.2.1:443 -r 10.0.0.21:443 -g -w 9");
        lab.ipvsadm("-A -f 3 -s wlc");
        let before = lab.ipvsadm("-Sn");

        let desired =
            table([(web(), vec![server("10.0.0.11", 80, ForwardingMethod::DirectRoute)])]);
        lab.apply(&desired);
        let during: Vec<_> = lab.ipvsadm("-Sn").lines().map(str::to_owned).collect();
        assert!(before.lines().all(|line| during.iter().any(|other| other == line)), "{during:?}");
        assert_eq!(during.len(), before.lines().count() + 2);

        let owned = BTreeSet::from([web().key()]);
        let report = lab.client.apply(&Table::new(), &owned).unwrap();
        assert_eq!(report.commands, [Command::DelService(web().key())]);
        assert_eq!(lab.ipvsadm("-Sn"), before);
        // Owned and gone already: nothing to do.
        assert_eq!(lab.client.apply(&Table::new(), &owned).unwrap(), Report::default());
    });
}

#[test]
fn a_desired_service_of_another_program_is_left_alone() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        lab.ipvsadm("-A -t 192.0.2.1:80 -s lc");
        lab.ipvsadm("-a -t 192.0.2.1:80 -r 10.0.0.11:80 -m -w 3");
        let before = lab.ipvsadm("-Sn");
        let other = Service::new(ServiceKey::tcp(VIP, 81), Scheduler::RoundRobin);
        let real = |port| server("10.0.0.12", port, ForwardingMethod::DirectRoute);
        let desired = table([(web(), vec![real(80)]), (other.clone(), vec![real(81)])]);
        let report = lab.client.apply(&desired, &BTreeSet::new()).unwrap();
        assert!(matches!(report.failures.as_slice(), [CommandError::Foreign { .. }]), "{report:?}");
        assert_eq!(report.created, BTreeSet::from([other.key()]));
        let text = report.failures[0].to_string();
        assert!(text.contains("tcp/192.0.2.1:80") && text.contains("another program"), "{text}");
        let now = lab.ipvsadm("-Sn");
        assert!(before.lines().all(|line| now.lines().any(|other| other == line)), "{now}");
        assert_eq!(now.lines().count(), 4);

        // What is as desired already is no conflict, whoever made it.
        let theirs = lab.client.table(|key| *key == web().key()).unwrap();
        let report = lab.client.apply(&theirs, &BTreeSet::new()).unwrap();
        assert_eq!(report, Report::default());
    });
}

#[test]
fn a_service_that_is_there_already_is_adopted() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        lab.ipvsadm("-A -t 192.0.2.1:80 -s lc");
        lab.ipvsadm("-a -t 192.0.2.1:80 -r 10.0.0.11:80 -m -w 3");
        lab.ipvsadm("-a -t 192.0.2.1:80 -r 10.0.0.12:80 -g");
        let real = server("10.0.0.11", 80, ForwardingMethod::DirectRoute);
        let commands = lab.apply(&table([(web(), vec![real])]));
        assert_eq!(
            commands,
            [
                Command::SetService(web()),
                Command::SetDestination(web().key(), real),
                Command::DelDestination(
                    web().key(),
                    DestinationKey::new([10, 0, 0, 12].into(), 80)
                ),
            ]
        );
        assert_eq!(lab.listed(""), ["TCP 192.0.2.1:80 rr", "-> 10.0.0.11:80 Route 1 0 0"]);
    });
}

#[test]
fn one_failure_does_not_hold_up_the_others() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let broken = Service::new(ServiceKey::tcp(VIP, 81), "nonesuch".parse().unwrap());
        let desired = table([
            (broken, vec![server("10.0.0.11", 81, ForwardingMethod::DirectRoute)]),
            (
                web(),
                vec![
                    server("10.0.0.11", 80, ForwardingMethod::DirectRoute),
                    server("224.0.0.1", 80, ForwardingMethod::DirectRoute),
                ],
            ),
        ]);
        let report = lab.client.apply(&desired, &BTreeSet::new()).unwrap();
        let texts: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[0].contains("service tcp/192.0.2.1:81") && texts[0].contains("modprobe"),
            "{}",
            texts[0]
        );
        assert!(
            texts[1].contains("destination 224.0.0.1:80") && texts[1].contains("unicast"),
            "{}",
            texts[1]
        );
        assert!(!report.is_complete());
        assert_eq!(lab.listed(""), ["TCP 192.0.2.1:80 rr", "-> 10.0.0.11:80 Route 1 0 0"]);
    });
}
