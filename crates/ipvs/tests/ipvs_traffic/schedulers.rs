//! 10,000 connections to four servers: each gets the share that its weight promises. Servers count themselves.

use crate::VIP;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use ipvs::{
    Client, Command, Destination, DestinationKey, ForwardingMethod, Scheduler, Service,
    ServiceFlags, ServiceKey, Weight,
};
use lab::Namespace;
use rustix::net::{RecvFlags, recv};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};

const CONNECTIONS: u32 = 10_000;
/// Connections between two looks at the servers: fewer than their buffers and backlogs hold.
const LOOK: u32 = 50;
const WEIGHTS: [u16; 4] = [1, 2, 4, 1];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// A namespace in which everything happens: every address of 198.18.0.0/15 is its own, and can be a client's.
fn namespace() -> Namespace {
    let namespace = Namespace::new().unwrap();
    namespace
        .ip_batch([
            format!("addr add {VIP}/32 dev lo").as_str(),
            "addr add 10.0.0.1/8 dev lo",
            "route add local 198.18.0.0/15 dev lo",
        ])
        .unwrap();
    namespace
}

fn vip() -> SocketAddr {
    SocketAddr::new(VIP.parse().unwrap(), 80)
}

fn key(protocol: &str) -> ServiceKey {
    format!("{protocol}/{}", vip()).parse().unwrap()
}

/// Ports 8001 to 8004, with [`WEIGHTS`].
fn program(service: Service) {
    let key = service.key();
    let mut commands = vec![Command::NewService(service)];
    for (weight, port) in WEIGHTS.into_iter().zip(8001..) {
        let server = DestinationKey::new(SERVER.into(), port);
        let server = Destination::new(server, ForwardingMethod::Masquerade);
        commands.push(Command::NewDestination(key, server.with_weight(Weight::from(weight))));
    }
    for result in Client::open().unwrap().execute(&commands) {
        result.unwrap();
    }
}

/// The address of a client; with `spread` each has another one, drawn at random.
fn client(random: &mut fastrand::Rng, spread: bool, number: u32) -> SocketAddr {
    let address = if spread {
        let [_, high, middle, low] = random.u32(..1 << 17).to_be_bytes();
        Ipv4Addr::new(198, 18 + high, middle, low)
    } else {
        Ipv4Addr::new(198, 18, 0, u8::try_from(1 + number / 2500).unwrap())
    };
    let port =
        if spread { random.u16(1024..) } else { u16::try_from(2000 + number % 2500).unwrap() };
    SocketAddr::new(address.into(), port)
}

/// How many datagrams of 10,000 clients each server got.
fn datagrams(scheduler: Scheduler, flags: ServiceFlags, spread: bool) -> [u32; 4] {
    namespace().run(|| {
        program(Service::new(key("udp"), scheduler).with_flags(flags));
        let servers = [8001, 8002, 8003, 8004].map(|port| UdpSocket::bind((SERVER, port)).unwrap());
        let mut counts = [0; 4];
        let mut random = fastrand::Rng::with_seed(7);
        for number in 0..CONNECTIONS {
            let socket = loop {
                match UdpSocket::bind(client(&mut random, spread, number)) {
                    Err(error) if spread && error.kind() == io::ErrorKind::AddrInUse => {}
                    other => break other.unwrap(),
                }
            };
            socket.send_to(b"x", vip()).unwrap();
            // Loopback: it is there when `send` has returned.
            if (number + 1) % LOOK == 0 {
                for (server, count) in servers.iter().zip(&mut counts) {
                    while recv(server, &mut [0_u8; 8], RecvFlags::DONTWAIT).is_ok() {
                        *count += 1;
                    }
                }
            }
        }
        assert_eq!(counts.iter().sum::<u32>(), CONNECTIONS, "none was lost");
        counts
    })
}

fn expected(weights: [u16; 4]) -> [f64; 4] {
    let sum: u16 = weights.iter().sum();
    weights.map(|weight| f64::from(CONNECTIONS) * f64::from(weight) / f64::from(sum))
}

#[test]
fn rr_and_wrr_are_exact_to_one() {
    lab::need!(ipvs, netns);
    for (scheduler, weights) in
        [(Scheduler::RoundRobin, [1; 4]), (Scheduler::WeightedRoundRobin, WEIGHTS)]
    {
        let counts = datagrams(scheduler.clone(), ServiceFlags::empty(), false);
        for (count, expected) in counts.into_iter().zip(expected(weights)) {
            assert!((f64::from(count) - expected).abs() <= 1.0, "{scheduler}: {counts:?}");
        }
    }
}

#[test]
fn sh_and_mh_are_within_three_sigma() {
    lab::need!(ipvs, netns);
    for (scheduler, flags) in [
        (Scheduler::SourceHash, ServiceFlags::empty()),
        (Scheduler::SourceHash, ServiceFlags::HASH_PORT),
        (Scheduler::MaglevHash, ServiceFlags::HASH_PORT | ServiceFlags::HASH_FALLBACK),
    ] {
        let counts = datagrams(scheduler.clone(), flags, true);
        for (count, expected) in counts.into_iter().zip(expected(WEIGHTS)) {
            let share = expected / f64::from(CONNECTIONS);
            let sigma = (expected * (1.0 - share)).sqrt();
            let off = (f64::from(count) - expected).abs();
            assert!(off <= 3.0 * sigma, "{scheduler} {flags:?}: {counts:?}, sigma {sigma}");
        }
    }
}

#[test]
fn wlc_is_within_two_percent_while_connections_are_held() {
    lab::need!(ipvs, netns);
    let limit = getrlimit(Resource::Nofile);
    let files = Some(u64::from(CONNECTIONS) * 2 + 1000);
    if limit.current < files {
        // Both ends of every connection are here.
        setrlimit(Resource::Nofile, Rlimit { current: files, maximum: limit.maximum.max(files) })
            .unwrap();
    }
    namespace().run(|| {
        program(Service::new(key("tcp"), Scheduler::WeightedLeastConnections));
        let listeners =
            [8001, 8002, 8003, 8004].map(|port| TcpListener::bind((SERVER, port)).unwrap());
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        let mut held: Vec<TcpStream> = Vec::new();
        let mut counts = [0_u32; 4];
        for number in 0..CONNECTIONS {
            held.push(connect(number));
            if (number + 1) % LOOK == 0 {
                for (listener, count) in listeners.iter().zip(&mut counts) {
                    while let Ok((stream, _)) = listener.accept() {
                        held.push(stream);
                        *count += 1;
                    }
                }
            }
        }
        assert_eq!(counts.iter().sum::<u32>(), CONNECTIONS, "every connection is held");
        for (count, expected) in counts.into_iter().zip(expected(WEIGHTS)) {
            assert!((f64::from(count) / expected - 1.0).abs() <= 0.02, "{counts:?}");
        }
        // The kernel says the same.
        let mut client = Client::open().unwrap();
        for status in client.destinations(&key("tcp")).unwrap() {
            let index = usize::from(status.destination.key().port - 8001);
            assert_eq!(status.active_connections + status.inactive_connections, counts[index]);
        }
    });
}

/// A connection from an address of its own for each 2,500: the ports of one do not suffice.
fn connect(number: u32) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &client(&mut fastrand::Rng::with_seed(1), false, number)).unwrap();
    let IpAddr::V4(_) = vip().ip() else { unreachable!() };
    connect(&socket, &vip()).unwrap();
    socket.into()
}
