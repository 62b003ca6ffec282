//! Against a real kernel with `ip_vs`, each test in a network namespace of its own. Witness: `ipvsadm`.
#![expect(clippy::unwrap_used, reason = "a panic is this program's way to fail")]

use core::net::{IpAddr, Ipv4Addr};
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command as Process;

use ipvs::{
    AddressFamily, Client, Command, CommandError, Destination, DestinationKey, ForwardingMethod,
    Name, Netmask, OpenError, Persistence, Protocol, Report, Scheduler, Service, ServiceFlags,
    ServiceKey, SyncDaemon, SyncRole, Table, Thresholds, Timeouts, Tunnel, TunnelChecksum, Weight,
};
use netlink::errno;

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A fresh namespace, the client in it, and `ipvsadm` as the outside witness.
struct Lab<'a> {
    namespace: &'a lab::Namespace,
    client: Client,
}

impl Lab<'_> {
    /// Runs `test` in a namespace where 192.0.2.0/24, 10.0.0.0/8 and `2001:db8::/64` lie on a link.
    fn run(test: impl FnOnce(&mut Lab<'_>) + Send) {
        let (namespace, other) = (lab::Namespace::new().unwrap(), lab::Namespace::new().unwrap());
        lab::veth(&namespace, "eth0", &other, "eth0").unwrap();
        namespace
            .ip_batch([
                "addr add 192.0.2.1/24 dev eth0",
                "addr add 10.0.0.1/8 dev eth0",
                "addr add 2001:db8::1/64 dev eth0 nodad",
            ])
            .unwrap();
        namespace.run(|| test(&mut Lab { namespace: &namespace, client: Client::open().unwrap() }));
    }

    fn ipvsadm(&self, arguments: &str) -> String {
        let output =
            self.namespace.output(Process::new("ipvsadm").args(arguments.split(' '))).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ipvsadm {arguments}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `ipvsadm`'s table without headings, white space collapsed.
    fn listed(&self, options: &str) -> Vec<String> {
        let text = self.ipvsadm(format!("-Ln {options}").trim_end());
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let objects = ["TCP", "UDP", "SCTP", "FWM", "->"];
        text.lines()
            .map(words)
            .filter(|line| {
                objects.iter().any(|object| line.starts_with(object))
                    && !line.contains("RemoteAddress")
            })
            .collect()
    }

    /// Applies, checks that nothing failed, and that a second time there is nothing to do.
    fn apply(&mut self, desired: &Table) -> Vec<Command> {
        let owned = desired.keys().copied().collect();
        let report = self.client.apply(desired, &owned).unwrap();
        assert_eq!(report.failures, []);
        let again = self.client.apply(desired, &owned).unwrap();
        assert_eq!(
            (again.commands.as_slice(), again.failures.as_slice()),
            (&[][..], &[][..]),
            "idempotent"
        );
        report.commands
    }

    fn one(&mut self, command: Command) -> Result<(), CommandError> {
        let mut results = self.client.execute(&[command]);
        assert_eq!(results.len(), 1);
        results.remove(0)
    }
}

fn server(address: &str, port: u16, method: ForwardingMethod) -> Destination {
    Destination::new(DestinationKey::new(address.parse().unwrap(), port), method)
}

fn table(services: impl IntoIterator<Item = (Service, Vec<Destination>)>) -> Table {
    let mut table = Table::new();
    for (service, destinations) in services {
        let entry = table.insert(service);
        for destination in destinations {
            entry.insert(destination);
        }
    }
    table
}

fn web() -> Service {
    Service::new(ServiceKey::tcp(VIP, 80), Scheduler::RoundRobin)
}

#[test]
fn every_scheduler() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let mut lacking = Vec::new();
        for (scheduler, port) in Scheduler::KNOWN.into_iter().zip(1..) {
            let key = ServiceKey::tcp(VIP, port);
            match lab.one(Command::NewService(Service::new(key, scheduler.clone()))) {
                Ok(()) => {
                    let status = lab.client.service(&key).unwrap().unwrap();
                    assert_eq!(status.service.scheduler(), &scheduler);
                    let line = format!("TCP 192.0.2.1:{port} {scheduler}");
                    assert!(lab.listed("").contains(&line), "{line} not in {:?}", lab.listed(""));
                }
                Err(error) => {
                    assert_eq!(error.errno(), Some(errno::ENOENT), "{error}");
                    assert!(
                        error.to_string().contains(&format!("modprobe ip_vs_{scheduler}")),
                        "{error}"
                    );
                    lacking.push(scheduler);
                }
            }
        }
        // The youngest may be missing; the others are in every kernel's ip_vs.
        assert!(lacking.is_empty() || lacking == [Scheduler::PowerOfTwoChoices], "{lacking:?}");

        let unknown = Service::new(ServiceKey::tcp(VIP, 99), "nonesuch".parse().unwrap());
        let error = lab.one(Command::NewService(unknown)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot add service tcp/192.0.2.1:99 (nonesuch): No such file or directory (os error 2); the kernel lacks \
             the scheduler: run `modprobe ip_vs_nonesuch` on the host"
        );
    });
}

#[test]
fn every_forwarding_method() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let gue = |checksum| {
            ForwardingMethod::Tunnel(Tunnel::Gue { port: 5555.try_into().unwrap(), checksum })
        };
        let gre = |checksum| ForwardingMethod::Tunnel(Tunnel::Gre { checksum });
        let methods = [
            (ForwardingMethod::Masquerade, "Masq"),
            (ForwardingMethod::Local, "Local"),
            (ForwardingMethod::Tunnel(Tunnel::Ipip), "Tunnel"),
            (ForwardingMethod::DirectRoute, "Route"),
            (gue(TunnelChecksum::None), "Tunnel"),
            (gue(TunnelChecksum::Full), "Tunnel"),
            (gue(TunnelChecksum::RemoteOffload), "Tunnel"),
            (gre(TunnelChecksum::None), "Tunnel"),
            (gre(TunnelChecksum::Full), "Tunnel"),
            // ipvsadm has no name for it.
            (ForwardingMethod::Bypass, "(null)"),
        ];
        let destinations = methods
            .iter()
            .zip(11_u16..)
            .map(|((method, _), n)| {
                server(&format!("10.0.0.{n}"), 80, *method).with_weight(Weight::from(n))
            })
            .collect();
        let desired = table([(web(), destinations)]);
        assert_eq!(lab.apply(&desired).len(), 11);
        assert_eq!(lab.client.table(|_| true).unwrap(), desired);

        let mut lines = vec!["TCP 192.0.2.1:80 rr".to_owned()];
        lines.extend(
            methods
                .iter()
                .zip(11..)
                .map(|((_, shown), n)| format!("-> 10.0.0.{n}:80 {shown} {n} 0 0")),
        );
        let mut listed = lab.listed("");
        listed.sort_unstable();
        lines.sort_unstable();
        assert_eq!(listed, lines);

        let tunnels = lab.listed("--tun-info").join("\n");
        let shown =
            ["ipip", "n/a", "gue:5555:-c", "gue:5555:+c", "gue:5555:r+c", "gre:-c", "gre:+c"];
        for (tunnel, n) in shown.iter().zip(13..) {
            assert!(tunnels.contains(&format!(" {tunnel} {n} 0 0")), "{tunnel} not in\n{tunnels}");
        }

        // Every method into every other, in place: an edit without tunnel attributes resets them.
        for (method, shown) in methods {
            let changed = server("10.0.0.15", 80, method);
            let mut desired = desired.clone();
            desired.service_mut(&web().key()).unwrap().insert(changed);
            let commands = lab.apply(&desired);
            assert!(commands.iter().all(|command| matches!(command, Command::SetDestination(..))));
            assert!(lab.listed("").contains(&format!("-> 10.0.0.15:80 {shown} 1 0 0")));
        }
    });
}

#[test]
fn ipv6_services_and_mixed_families() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let six =
            Service::new("tcp/[2001:db8::1]:443".parse().unwrap(), Scheduler::WeightedRoundRobin);
        let dns = Service::new("udp/[2001:db8::1]:53".parse().unwrap(), Scheduler::SourceHash);
        let desired = table([
            (six.clone(), vec![server("2001:db8::11", 443, ForwardingMethod::DirectRoute)]),
            (dns, vec![server("2001:db8::11", 5353, ForwardingMethod::Masquerade)]),
            (web(), vec![server("2001:db8::12", 80, ForwardingMethod::Tunnel(Tunnel::Ipip))]),
        ]);
        lab.apply(&desired);
        assert_eq!(lab.client.table(|_| true).unwrap(), desired);
        let listed = lab.listed("");
        for line in [
            "TCP [2001:db8::1]:443 wrr",
            "-> [2001:db8::11]:443 Route 1 0 0",
            "UDP [2001:db8::1]:53 sh",
            "-> [2001:db8::11]:5353 Masq 1 0 0",
            "-> [2001:db8::12]:80 Tunnel 1 0 0",
        ] {
            assert!(listed.iter().any(|shown| shown == line), "{line} not in {listed:?}");
        }

        let mixed = server("10.0.0.11", 443, ForwardingMethod::DirectRoute);
        let error = lab.one(Command::NewDestination(six.key(), mixed)).unwrap_err();
        assert_eq!(error.errno(), Some(errno::EINVAL));
        assert!(error.to_string().contains("address family unless it is tunnelled to"), "{error}");
    });
}

#[test]
fn firewall_marks_of_both_families() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let mark = NonZeroU32::new(7).unwrap();
        let key = |family| ServiceKey::firewall_mark(family, mark);
        let desired = table([
            (
                Service::new(key(AddressFamily::Ipv4), Scheduler::RoundRobin),
                vec![server("10.0.0.11", 0, ForwardingMethod::DirectRoute)],
            ),
            (
                Service::new(key(AddressFamily::Ipv6), Scheduler::LeastConnections),
                vec![server("2001:db8::11", 0, ForwardingMethod::DirectRoute)],
            ),
        ]);
        lab.apply(&desired);
        assert_eq!(lab.client.table(|_| true).unwrap(), desired);
        let listed = lab.listed("");
        assert!(
            listed.contains(&"FWM 7 rr".to_owned()) && listed.contains(&"FWM 7 IPv6 lc".to_owned()),
            "{listed:?}"
        );

        // One of the two goes, the other stays.
        lab.one(Command::DelService(key(AddressFamily::Ipv4))).unwrap();
        assert_eq!(lab.client.service(&key(AddressFamily::Ipv4)), Ok(None));
        assert!(lab.client.service(&key(AddressFamily::Ipv6)).unwrap().is_some());
    });
}

#[test]
fn persistence_and_flags() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let persistence = |seconds, family, len| {
            Persistence::new(Duration::from_secs(seconds), Netmask::prefix(family, len).unwrap())
                .unwrap()
        };
        let four = web().with_persistence(persistence(600, AddressFamily::Ipv4, 24)).unwrap();
        let six = Service::new("tcp/[2001:db8::1]:80".parse().unwrap(), Scheduler::RoundRobin)
            .with_persistence(persistence(30, AddressFamily::Ipv6, 64))
            .unwrap();
        let hash = Service::new("udp/192.0.2.1:53".parse().unwrap(), Scheduler::SourceHash)
            .with_flags(
                ServiceFlags::ONE_PACKET | ServiceFlags::HASH_PORT | ServiceFlags::HASH_FALLBACK,
            );
        let every_port = Service::new(ServiceKey::tcp(VIP, 0), Scheduler::RoundRobin)
            .with_persistence(persistence(60, AddressFamily::Ipv4, 32))
            .unwrap();
        let mut desired = table([four, six, hash, every_port].map(|service| (service, Vec::new())));
        lab.apply(&desired);
        let listed = lab.listed("");
        for line in [
            "TCP 192.0.2.1:80 rr persistent 600 mask 255.255.255.0",
            "TCP [2001:db8::1]:80 rr persistent 30 mask 64",
            "UDP 192.0.2.1:53 sh (sh-fallback,sh-port) ops",
            "TCP 192.0.2.1:0 rr persistent 60",
        ] {
            let words: BTreeSet<_> = line.split(' ').collect();
            let found =
                listed.iter().any(|shown| shown.split(' ').collect::<BTreeSet<_>>() == words);
            assert!(found, "{line} not in {listed:?}");
        }

        // Persistence and flags go away in place.
        desired.insert(web());
        desired.insert(Service::new("udp/192.0.2.1:53".parse().unwrap(), Scheduler::RoundRobin));
        let commands = lab.apply(&desired);
        assert!(commands.iter().all(|command| matches!(command, Command::SetService(_))));
        assert_eq!(commands.len(), 2);
        let listed = lab.listed("");
        assert!(listed.contains(&"TCP 192.0.2.1:80 rr".to_owned()), "{listed:?}");
        assert!(listed.contains(&"UDP 192.0.2.1:53 rr".to_owned()), "{listed:?}");
    });
}

#[test]
fn a_persistence_engine() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let engine = |name: &str| {
            let persistence =
                Persistence::new(Duration::from_secs(60), Netmask::host(AddressFamily::Ipv4))
                    .unwrap();
            Service::new("udp/192.0.2.1:5060".parse().unwrap(), Scheduler::RoundRobin)
                .with_persistence(persistence.with_engine(name.parse().unwrap()))
                .unwrap()
        };
        let error = lab.one(Command::NewService(engine("nonesuch"))).unwrap_err();
        assert_eq!(error.errno(), Some(errno::ENOENT));
        assert!(error.to_string().contains("modprobe ip_vs_pe_nonesuch"), "{error}");
        let desired = table([(engine("sip"), Vec::new())]);
        lab.apply(&desired);
        assert_eq!(lab.client.table(|_| true).unwrap(), desired);
        assert!(lab.listed("").iter().any(|line| line.contains("pe sip")), "{:?}", lab.listed(""));
    });
}

#[test]
fn thresholds_and_weights() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let limited = server("10.0.0.11", 80, ForwardingMethod::DirectRoute)
            .with_thresholds(Thresholds::new(100, 50).unwrap())
            .with_weight(Weight::MAX);
        let quiesced =
            server("10.0.0.12", 80, ForwardingMethod::DirectRoute).with_weight(Weight::QUIESCED);
        let mut desired = table([(web(), vec![limited, quiesced])]);
        lab.apply(&desired);
        assert_eq!(lab.client.table(|_| true).unwrap(), desired);
        let listed = lab.listed("--thresholds");
        assert!(listed.contains(&"-> 10.0.0.11:80 100 50 0 0".to_owned()), "{listed:?}");
        assert!(lab.listed("").contains(&"-> 10.0.0.11:80 Route 2147483647 0 0".to_owned()));
        assert!(lab.listed("").contains(&"-> 10.0.0.12:80 Route 0 0 0".to_owned()));

        desired.service_mut(&web().key()).unwrap().insert(quiesced.with_weight(Weight::ONE));
        assert_eq!(lab.apply(&desired).len(), 1);
    });
}

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
        lab.one(Command::Zero(Some(web().key()))).unwrap();
        assert_eq!(lab.client.service(&web().key()).unwrap().unwrap().statistics.connections, 0);
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

#[test]
fn an_unusual_protocol_survives_the_round_trip() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let sctp = Service::new(ServiceKey::sctp(VIP, 3868), Scheduler::RoundRobin);
        let key = ServiceKey::Address { protocol: Protocol::Other(47), address: VIP, port: 1 };
        let desired =
            table([(sctp, Vec::new()), (Service::new(key, Scheduler::RoundRobin), Vec::new())]);
        lab.apply(&desired);
        assert_eq!(lab.client.table(|_| true).unwrap(), desired);
        assert!(lab.listed("").contains(&"SCTP 192.0.2.1:3868 rr".to_owned()));
    });
}

#[test]
fn information_timeouts_and_flush() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let information = lab.client.information().unwrap();
        let heading = lab.ipvsadm("-Ln");
        let (major, minor, patch) = information.version;
        let expected = format!(
            "IP Virtual Server version {major}.{minor}.{patch} (size={})",
            information.connection_table_size
        );
        assert_eq!(heading.lines().next(), Some(expected.as_str()));

        let seconds = Duration::from_secs;
        let timeouts = Timeouts { tcp: seconds(901), tcp_fin: seconds(31), udp: Duration::ZERO };
        let udp = lab.client.timeouts().unwrap().udp;
        lab.one(Command::SetTimeouts(timeouts)).unwrap();
        assert_eq!(lab.client.timeouts().unwrap(), Timeouts { udp, ..timeouts }, "zero keeps");
        let shown = lab.ipvsadm("-Ln --timeout");
        assert_eq!(shown.trim(), format!("Timeout (tcp tcpfin udp): 901 31 {}", udp.as_secs()));
        let error = lab
            .one(Command::SetTimeouts(Timeouts { tcp: seconds(1 << 31), ..timeouts }))
            .unwrap_err();
        assert!(error.to_string().contains("too long for the kernel"), "{error}");

        lab.one(Command::NewService(web())).unwrap();
        lab.one(Command::Flush).unwrap();
        assert!(lab.listed("").is_empty());
    });
}

#[test]
fn sync_daemons() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let interface: Name = "eth0".parse().unwrap();
        let mut master = SyncDaemon::new(SyncRole::Master, interface.clone(), 3);
        master.group = Some([224, 0, 0, 82].into());
        master.port = Some(8900);
        master.ttl = Some(2);
        let backup = SyncDaemon::new(SyncRole::Backup, interface, 4);
        let nowhere = SyncDaemon::new(SyncRole::Master, "nothere0".parse().unwrap(), 1);
        let error = lab.one(Command::StartDaemon(nowhere)).unwrap_err();
        assert!(error.to_string().contains("no interface nothere0"), "{error}");

        lab.one(Command::StartDaemon(master.clone())).unwrap();
        lab.one(Command::StartDaemon(backup.clone())).unwrap();
        assert_eq!(lab.one(Command::StartDaemon(backup)).unwrap_err().errno(), Some(errno::EEXIST));
        let daemons = lab.client.daemons().unwrap();
        assert_eq!(daemons.len(), 2);
        assert_eq!((daemons[0].role, daemons[0].sync_id), (SyncRole::Master, 3));
        assert_eq!(
            (daemons[0].group, daemons[0].port, daemons[0].ttl),
            (master.group, master.port, master.ttl)
        );
        assert_eq!(
            (daemons[1].role, daemons[1].sync_id, daemons[1].port),
            (SyncRole::Backup, 4, Some(8848))
        );
        let shown = lab.ipvsadm("-Ln --daemon");
        assert!(shown.contains("mcast=eth0, syncid=3") && shown.contains("port=8900"), "{shown}");

        for role in [SyncRole::Master, SyncRole::Backup] {
            lab.one(Command::StopDaemon(role)).unwrap();
            assert_eq!(lab.one(Command::StopDaemon(role)).unwrap_err().errno(), Some(errno::ESRCH));
        }
        assert_eq!(lab.client.daemons(), Ok(Vec::new()));
    });
}

#[test]
fn without_the_capability_the_error_names_it() {
    lab::need!(ipvs, netns);
    Lab::run(|_| {
        // Capabilities are a thread's; this one ends with the test.
        std::thread::spawn(|| {
            let none = rustix::thread::CapabilitySet::empty();
            let sets = rustix::thread::CapabilitySets {
                effective: none,
                permitted: none,
                inheritable: none,
            };
            rustix::thread::set_capabilities(None, sets).unwrap();
            let error = Client::open().unwrap_err();
            assert_eq!(error, OpenError::NotPermitted);
            assert!(
                error.to_string().contains("CAP_NET_ADMIN in the initial user namespace"),
                "{error}"
            );
        })
        .join()
        .unwrap();
    });
}
