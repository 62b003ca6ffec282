//! Every forwarding method leads to every server, and the answers come back.

use crate::{VIP, address, ask, ask_at, hold_silently, host, program, serve, server, web};
use core::net::SocketAddr;
use core::time::Duration;
use ipvs::{
    AddressFamily, ForwardingMethod, Netmask, Persistence, Scheduler, Service, ServiceKey, Tunnel,
    TunnelChecksum,
};
use lab::{Bridge, Namespace};

const SERVERS: [(&str, &str); 2] = [("192.0.2.11", "one"), ("192.0.2.12", "two")];

/// A client, a director that holds the virtual address, and two servers, all on one network.
struct Network {
    _switch: Bridge,
    client: Namespace,
    director: Namespace,
    servers: Vec<Namespace>,
}

impl Network {
    fn new() -> Self {
        let switch = Bridge::new().unwrap();
        let client = host(&switch, "client", "192.0.2.1/24");
        let director = host(&switch, "director", "192.0.2.2/24");
        director.ip(&format!("addr add {VIP}/32 dev eth0")).unwrap();
        let servers = SERVERS
            .map(|(address, name)| host(&switch, name, &format!("{address}/24")))
            .into_iter()
            .collect();
        Self { _switch: switch, client, director, servers }
    }

    /// Programs both servers with this method; 12 clients in turn reach them in turn.
    fn check(&self, service: Service, port: u16, method: ForwardingMethod) {
        let servers = SERVERS.map(|(address, _)| server(address, port, method));
        program(&self.director, service, &servers);
        let names: Vec<String> =
            (0..12).map(|_| ask(&self.client).expect("every client gets an answer").1).collect();
        for pair in names.chunks(2) {
            assert!(
                pair.contains(&"one".to_owned()) && pair.contains(&"two".to_owned()),
                "{names:?}"
            );
        }
    }
}

#[test]
fn direct_routing() {
    lab::need!(ipvs, netns);
    let network = Network::new();
    for (host, (_, name)) in network.servers.iter().zip(SERVERS) {
        hold_silently(host, "lo");
        serve(host, SocketAddr::new(address(VIP), 80), name);
    }
    network.check(web(Scheduler::RoundRobin), 80, ForwardingMethod::DirectRoute);
}

#[test]
fn direct_routing_of_ipv6() {
    lab::need!(ipvs, netns);
    let network = Network::new();
    let give = |host: &Namespace, address: &str, interface: &str| {
        host.ip(&format!("addr add {address} dev {interface} nodad")).unwrap();
    };
    give(&network.client, "2001:db8::1/64", "eth0");
    give(&network.director, "2001:db8::2/64", "eth0");
    give(&network.director, "2001:db8::100/128", "eth0");
    let to = SocketAddr::new(address("2001:db8::100"), 80);
    let real = ["2001:db8::11", "2001:db8::12"];
    for ((host, real), (_, name)) in network.servers.iter().zip(real).zip(SERVERS) {
        give(host, &format!("{real}/64"), "eth0");
        // Neighbours are not answered for an address that is on another interface.
        give(host, "2001:db8::100/128", "lo");
        serve(host, to, name);
    }
    let service = Service::new(ServiceKey::tcp(to.ip(), 80), Scheduler::RoundRobin);
    let servers = real.map(|real| server(real, 80, ForwardingMethod::DirectRoute));
    program(&network.director, service, &servers);
    let mut names: Vec<String> =
        (0..4).map(|_| ask_at(&network.client, to).expect("an answer").1).collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "one", "two", "two"]);
}

#[test]
fn masquerading() {
    lab::need!(ipvs, netns);
    let outside = Bridge::new().unwrap();
    let client = host(&outside, "client", "198.51.100.1/24");
    let network = Network::new();
    // The servers answer through the director, to another port than was asked.
    outside.attach(&network.director, "eth1", "director").unwrap();
    network.director.ip("addr add 198.51.100.2/24 dev eth1").unwrap();
    network.director.sysctl("net/ipv4/ip_forward", "1").unwrap();
    client.ip("route add default via 198.51.100.2").unwrap();
    for (host, (listen, name)) in network.servers.iter().zip(SERVERS) {
        host.ip("route add default via 192.0.2.2").unwrap();
        serve(host, SocketAddr::new(address(listen), 8080), name);
    }
    let network = Network { client, ..network };
    network.check(web(Scheduler::RoundRobin), 8080, ForwardingMethod::Masquerade);
}

#[test]
fn tunnels() {
    lab::need!(ipvs, netns);
    let gue = Tunnel::Gue { port: 5555.try_into().unwrap(), checksum: TunnelChecksum::Full };
    let gre = Tunnel::Gre { checksum: TunnelChecksum::None };
    for tunnel in [Tunnel::Ipip, gre, gue] {
        let network = Network::new();
        for (host, (local, name)) in network.servers.iter().zip(SERVERS) {
            let link = if matches!(tunnel, Tunnel::Gre { .. }) { "gre" } else { "ipip" };
            host.ip_batch([
                format!("link add unwrap type {link} local {local}").as_str(),
                "link set unwrap up",
            ])
            .unwrap();
            if matches!(tunnel, Tunnel::Gue { .. }) {
                host.ip("fou add port 5555 gue").unwrap();
            }
            host.sysctl("net/ipv4/conf/unwrap/rp_filter", "0").unwrap();
            hold_silently(host, "unwrap");
            serve(host, SocketAddr::new(address(VIP), 80), name);
        }
        network.check(web(Scheduler::RoundRobin), 80, ForwardingMethod::Tunnel(tunnel));
    }
}

#[test]
fn persistence_keeps_a_client_where_it_is() {
    lab::need!(ipvs, netns);
    let network = Network::new();
    for (host, (_, name)) in network.servers.iter().zip(SERVERS) {
        hold_silently(host, "lo");
        serve(host, SocketAddr::new(address(VIP), 80), name);
    }
    let persistence =
        Persistence::new(Duration::from_secs(300), Netmask::host(AddressFamily::Ipv4)).unwrap();
    let service = web(Scheduler::RoundRobin).with_persistence(persistence).unwrap();
    let servers = SERVERS.map(|(text, _)| server(text, 80, ForwardingMethod::DirectRoute));
    program(&network.director, service, &servers);
    let first = ask(&network.client).unwrap().1;
    for _ in 0..6 {
        assert_eq!(ask(&network.client).unwrap().1, first);
    }
    // Another client goes to the other server, and stays there.
    network
        .client
        .ip_batch([
            "addr add 192.0.2.3/24 dev eth0",
            "route add 192.0.2.100 dev eth0 src 192.0.2.3",
        ])
        .unwrap();
    for _ in 0..6 {
        assert_ne!(ask(&network.client).unwrap().1, first);
    }
}
