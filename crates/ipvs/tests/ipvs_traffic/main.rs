//! What the kernel does with packets, given a table of ours: with real clients and servers, each in a network namespace of its own.
#![expect(clippy::unwrap_used, reason = "a panic is this program's way to fail")]
#![allow(
    clippy::allow_attributes,
    clippy::indexing_slicing,
    reason = "a panic is this program's way to fail"
)]

mod failover;
mod forwarding;
mod schedulers;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use ipvs::{
    Client, Destination, DestinationKey, ForwardingMethod, Scheduler, Service, ServiceKey, Table,
};
use lab::{Bridge, Namespace};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The virtual address; the directors' network is 192.0.2.0/24.
pub(crate) const VIP: &str = "192.0.2.100";

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn web(scheduler: Scheduler) -> Service {
    Service::new(ServiceKey::tcp(address(VIP), 80), scheduler)
}

pub(crate) fn server(text: &str, port: u16, method: ForwardingMethod) -> Destination {
    Destination::new(DestinationKey::new(address(text), port), method)
}

/// Programs one service inside `director`.
pub(crate) fn program(director: &Namespace, service: Service, servers: &[Destination]) {
    let mut desired = Table::new();
    let entry = desired.insert(service);
    for server in servers {
        entry.insert(*server);
    }
    director.run(|| {
        let report = Client::open().unwrap().apply(&desired, &BTreeSet::new()).unwrap();
        assert_eq!(report.failures, []);
    });
}

/// A host on a network: `eth0` with this address, plugged into `switch`.
pub(crate) fn host(switch: &Bridge, name: &str, address: &str) -> Namespace {
    let host = Namespace::new().unwrap();
    switch.attach(&host, "eth0", name).unwrap();
    host.ip(&format!("addr add {address} dev eth0")).unwrap();
    host
}

/// Gives a host the virtual address without telling anybody, and serves there.
pub(crate) fn hold_silently(host: &Namespace, interface: &str) {
    for (name, value) in [("arp_ignore", "1"), ("arp_announce", "2"), ("rp_filter", "0")] {
        host.sysctl(&format!("net/ipv4/conf/all/{name}"), value).unwrap();
    }
    host.ip(&format!("addr add {VIP}/32 dev {interface}")).unwrap();
}

/// Serves on an address of `host`: says `name` to everybody, then sends back what comes. Ends with the test.
pub(crate) fn serve(host: &Namespace, listen: SocketAddr, name: &'static str) {
    let listener = host.run(|| TcpListener::bind(listen).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut octets = [0; 16];
                let mut sent = stream.write_all(name.as_bytes());
                while sent.is_ok() {
                    match stream.read(&mut octets) {
                        Ok(len @ 1..) => sent = stream.write_all(&octets[..len]),
                        _ => return,
                    }
                }
            });
        }
    });
}

/// Connects from `client` to the virtual address and tells which server answers (names are three letters).
pub(crate) fn ask(client: &Namespace) -> Option<(TcpStream, String)> {
    ask_at(client, SocketAddr::new(address(VIP), 80))
}

/// The same at another address.
pub(crate) fn ask_at(client: &Namespace, to: SocketAddr) -> Option<(TcpStream, String)> {
    client.run(|| {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut name = [0; 3];
        stream.read_exact(&mut name).ok()?;
        Some((stream, String::from_utf8(name.to_vec()).unwrap()))
    })
}
