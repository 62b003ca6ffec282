//! What services and destinations can be, each witnessed.

use crate::{Lab, VIP, server, table, web};
use core::num::NonZeroU32;
use core::time::Duration;
use ipvs::{
    AddressFamily, Command, ForwardingMethod, Netmask, Persistence, Scheduler, Service,
    ServiceFlags, ServiceKey, Thresholds, Tunnel, TunnelChecksum, Weight,
};
use netlink::errno;
use std::collections::BTreeSet;

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
