//! The kernel's connection table. Witness: `ipvsadm -Lcn`.

use crate::{Lab, VIP, server, table, web};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU32;
use core::time::Duration;
use ipvs::{
    AddressFamily, ConnectionState, ForwardingMethod, Netmask, Origin, Persistence, Protocol,
    Scheduler, Service, ServiceKey,
};
use std::net::{TcpListener, TcpStream};

#[test]
fn connections_of_both_families_and_templates() {
    lab::need!(ipvs, ipvsadm, netns);
    Lab::run(|lab| {
        let six: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let persistence =
            Persistence::new(Duration::from_secs(60), Netmask::host(AddressFamily::Ipv4)).unwrap();
        let four = web().with_persistence(persistence).unwrap();
        let other = Service::new(ServiceKey::tcp(six.into(), 80), Scheduler::RoundRobin);
        let mark = NonZeroU32::new(7).unwrap();
        let marked = Service::new(
            ServiceKey::firewall_mark(AddressFamily::Ipv4, mark),
            Scheduler::RoundRobin,
        );
        lab.apply(&table([
            (four, vec![server("10.0.0.1", 8080, ForwardingMethod::Masquerade)]),
            (other, vec![server("2001:db8::1", 8080, ForwardingMethod::Masquerade)]),
            (marked, Vec::new()),
        ]));
        let listeners = [
            TcpListener::bind((Ipv4Addr::new(10, 0, 0, 1), 8080)).unwrap(),
            TcpListener::bind((six, 8080)).unwrap(),
        ];
        let streams = [TcpStream::connect((VIP, 80)), TcpStream::connect((six, 80))]
            .map(|stream| stream.unwrap());
        let _accepted = listeners.each_ref().map(|listener| listener.accept().unwrap());

        let found = lab.client.connections(100).unwrap();
        assert_eq!((found.unreadable, found.truncated), (0, false));
        for (stream, port) in streams.iter().zip([80, 80]) {
            let local = stream.local_addr().unwrap();
            let connection = found.entries.iter().find(|entry| entry.client == local);
            let connection = connection.expect("the connection is listed");
            assert_eq!(connection.protocol, Protocol::Tcp);
            assert_eq!(connection.virtual_address.port(), port);
            assert_eq!(connection.destination.port(), 8080);
            assert_eq!(connection.state, ConnectionState::Established);
            assert!(connection.expires > Duration::from_secs(60), "{connection:?}");
        }
        // The template of the persistent service.
        let client = SocketAddr::new(streams[0].local_addr().unwrap().ip(), 0);
        let template = found.entries.iter().find(|entry| entry.client == client).unwrap();
        assert!(template.expires <= Duration::from_secs(60), "{template:?}");
        assert_eq!(found.entries.len(), 3, "{found:?}");

        let shown = lab.ipvsadm("-Lcn");
        for entry in found.entries.iter().filter(|entry| entry.client.is_ipv4()) {
            let words = [entry.client, entry.virtual_address, entry.destination];
            let words = words.map(|address| address.to_string()).join(" ");
            let line = shown
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .find(|line| line.ends_with(&words));
            let line = line.unwrap_or_else(|| panic!("{words} not in {shown}"));
            assert!(line.contains(&format!(" {} ", entry.state)), "{line}");
        }

        let origins = lab.client.connections_with_origins(100).unwrap();
        assert_eq!(origins.entries.len(), 3);
        assert!(origins.entries.iter().all(|entry| entry.origin == Some(Origin::Local)));
        let bounded = lab.client.connections(2).unwrap();
        assert_eq!((bounded.entries.len(), bounded.truncated), (2, true));
    });
}
