//! A third host that throws packets at the two.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use lab::Namespace;
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::Pair;

/// What is thrown, in turn: for each of ours the cause it is counted under.
const MESSAGES: [&[u8]; 4] = [
    // A right version and VRID, a wrong checksum.
    &[0x31, 51, 250, 1, 0, 5, 0xde, 0xad, 192, 0, 2, 100],
    // Cut short.
    &[0x31, 51, 250],
    // An unknown version.
    &[0x51, 51, 250, 1, 0, 5, 0, 0, 192, 0, 2, 100],
    // Another virtual router.
    &[0x31, 52, 250, 1, 0, 5, 0, 0, 192, 0, 2, 100],
];

/// A host 192.0.2.66 on the switch.
pub(crate) fn flooder(pair: &Pair) -> Namespace {
    let flooder = Namespace::new().unwrap();
    pair.switch.attach(&flooder, "eth0", "port-f").unwrap();
    flooder.ip("addr add 192.0.2.66/24 dev eth0").unwrap();
    flooder
}

/// Sends broken and foreign packets of protocol 112 to the group, `rate` a second, `duration` long; how many.
pub(crate) fn flood(namespace: &Namespace, rate: u32, duration: Duration) -> u32 {
    namespace.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).unwrap();
        socket.set_multicast_ttl_v4(255).unwrap();
        let interface: Ipv4Addr = "192.0.2.66".parse().unwrap();
        socket.set_multicast_if_v4(&interface).unwrap();
        let group: SocketAddrV4 = "224.0.0.18:0".parse().unwrap();
        let start = lab::now();
        let mut sent = 0;
        while lab::now() - start < duration {
            if Duration::from_secs(1) * sent / rate > lab::now() - start {
                std::thread::yield_now();
                continue;
            }
            for message in MESSAGES {
                sent += u32::from(socket.send_to(message, &group.into()).is_ok());
            }
        }
        sent
    })
}

/// Sends so many packets of our VRID with a wrong checksum to the group; how many left.
pub(crate) fn throw(namespace: &Namespace, packets: u64) -> u64 {
    namespace.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).unwrap();
        socket.set_multicast_ttl_v4(255).unwrap();
        let interface: Ipv4Addr = "192.0.2.66".parse().unwrap();
        socket.set_multicast_if_v4(&interface).unwrap();
        let group: SocketAddrV4 = "224.0.0.18:0".parse().unwrap();
        let send = || u64::from(socket.send_to(MESSAGES[0], &group.into()).is_ok());
        (0..packets).map(|_| send()).sum()
    })
}

/// Sends one packet of `len` octets to an address, in fragments.
pub(crate) fn oversized(namespace: &Namespace, len: usize, to: &str) {
    let to: Ipv4Addr = to.parse().unwrap();
    namespace.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).unwrap();
        let mut message = vec![0; len];
        message[..8].copy_from_slice(&[0x31, 51, 250, 1, 0, 5, 0, 0]);
        socket.send_to(&message, &SocketAddrV4::new(to, 0).into()).unwrap();
    });
}
