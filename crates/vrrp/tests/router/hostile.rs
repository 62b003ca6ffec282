//! An attacker on the switch, and interfaces that change under our feet.

use core::net::{Ipv4Addr, SocketAddrV4};

use lab::Namespace;
use socket2::{Domain, Protocol, Socket, Type};
use vrrp::{Counter, EventKind, RunningRouter};

use crate::flood::flooder;
use crate::support::{
    INTERVAL, PATIENCE, Pair, VIP, VRID, advertisement, assert_after, has, next, skew,
    until_first_from, wait, web,
};

/// A small generator with a known sequence (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn octet(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// The ones' complement sum over the message (RFC 1071): zero where a checksum is right.
fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts
        .iter()
        .flat_map(|part| part.chunks(2))
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// The campaign of mutations: where its sequence begins, and how many packets it sends.
const SEED: u64 = 0x9568_3768;
const PACKETS: usize = 20_000;

/// Where the packets of these tests come from, and where they go.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

fn pseudo_header(length: usize) -> Vec<u8> {
    let mut header = [ATTACKER.octets(), GROUP.octets()].concat();
    header.extend([0, 112]);
    header.extend(u16::try_from(length).unwrap().to_be_bytes());
    header
}

/// The message with its right checksum.
fn sealed(mut message: Vec<u8>) -> Vec<u8> {
    message[6..8].fill(0);
    let checksum = sum(&[&pseudo_header(message.len()), &message]);
    message[6..8].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// A valid version 3 advertisement that would win every election.
fn winner() -> Vec<u8> {
    sealed(vec![0x31, VRID, 254, 1, 0, 5, 0, 0, 192, 0, 2, 100])
}

/// What is wrong although its checksum is right.
fn sealed_and_wrong(random: &mut Random) -> Vec<u8> {
    let mut message = winner();
    match random.below(4) {
        0 => message[0] = 0x32 + u8::try_from(random.below(14)).unwrap(),
        1 => message[0] = [0x01, 0x11, 0x41, 0xf1][random.below(4)],
        2 => message[4..6].fill(0),
        _ => {
            message[3] = 0;
            message.truncate(8);
        }
    }
    sealed(message)
}

/// The message with some octets changed, cut off or added.
fn mutated(random: &mut Random) -> Vec<u8> {
    let mut message = winner();
    for _ in 0..=random.below(3) {
        match random.below(8) {
            0 => message.truncate(random.below(message.len() + 1)),
            1 => (0..random.below(64)).for_each(|_| message.push(random.octet())),
            _ if message.is_empty() => {}
            _ => {
                let at = random.below(message.len());
                message[at] = random.octet();
            }
        }
    }
    message
}

/// Whether anybody could take it for a valid one: its checksum is right in one of the two forms.
fn plausible(message: &[u8]) -> bool {
    let version_2_without_password = message.first() == Some(&0x21);
    let exact = message.len() == 12 || version_2_without_password;
    exact && (sum(&[message]) == 0 || sum(&[&pseudo_header(message.len()), message]) == 0)
}

struct Attacker(Socket);

impl Attacker {
    fn new(namespace: &Namespace, hop_limit: u32) -> Self {
        Self(namespace.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).unwrap();
            socket.set_multicast_ttl_v4(hop_limit).unwrap();
            socket.set_multicast_if_v4(&ATTACKER).unwrap();
            socket
        }))
    }

    fn send(&self, message: &[u8]) {
        self.0.send_to(message, &SocketAddrV4::new(GROUP, 0).into()).unwrap();
    }
}

/// All discards, those that belong to none included.
fn discarded(router: &RunningRouter) -> u64 {
    let status = router.status().unwrap();
    let unclaimed: u64 = status.unclaimed.iter().map(|(_, number)| number).sum();
    let own = status.virtual_router("web").unwrap().statistics;
    unclaimed + own.discards().map(|(_, number)| number).sum::<u64>()
}

fn reports(router: &RunningRouter) -> Vec<(Counter, u64)> {
    let events = router.events();
    core::iter::from_fn(|| events.try_recv())
        .filter_map(|event| {
            let EventKind::Discarded { discard, total } = event.kind else { return None };
            Some((discard.counter(), total))
        })
        .collect()
}

#[test]
fn mutated_advertisements_change_nothing_and_each_is_counted() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let attacker = Attacker::new(&flooder(&pair), 255);
    let (a, b) = (pair.start_a(web(200)), pair.start_b(web(100)));
    wait(&pair.a, VIP, true);
    let wire = pair.capture();
    next(&wire, 1, 200);

    println!("seed {SEED:#x}");
    let mut random = Random(SEED);
    let (mut ours, mut sent) = (0_u64, 0);
    let mut last = lab::now();
    while sent < PACKETS {
        let message = if random.below(4) == 0 {
            sealed_and_wrong(&mut random)
        } else {
            // One in 65,536 has the right checksum by chance.
            let message = mutated(&mut random);
            if plausible(&message) {
                continue;
            }
            message
        };
        attacker.send(&message);
        sent += 1;
        ours += u64::from(message.get(1) == Some(&VRID));
        // In bursts that a receive queue holds, one at each advertisement.
        if sent % 2000 == 0 {
            let seen = next(&wire, 1, 200);
            assert!(seen.at < lab::now() && last < lab::now());
            last = seen.at;
        }
    }
    assert!(ours > 10_000, "{ours} of {sent} are for us");
    let counted = lab::eventually(PATIENCE, || {
        (discarded(&a), discarded(&b)).eq(&(ours, ours)).then_some(())
    });
    assert!(counted.is_some(), "sent {ours}, counted {} and {}", discarded(&a), discarded(&b));

    let both = [(&a, &pair.a), (&b, &pair.b)];
    assert_eq!(both.map(|(_, host)| has(host, VIP)), [true, false], "nothing has changed");
    let others =
        wire.drain().iter().filter_map(advertisement).filter(|seen| seen.from == 2).count();
    assert_eq!(others, 0, "the Backup has kept silent");
    for (router, _) in both {
        let status = router.status().unwrap();
        let statistics = status.virtual_router("web").unwrap().statistics;
        let causes = statistics.discards().filter(|(_, number)| *number > 0).count();
        assert!(causes >= 5, "the campaign is poor: {statistics:?}");
        let reports = reports(router);
        assert_eq!(reports.len(), causes, "one report a cause, not one a packet: {reports:?}");
        assert!(reports.iter().all(|(_, total)| *total == 1), "of the first: {reports:?}");
    }
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn a_router_in_between_is_told_by_its_hop_limit() {
    lab::need!(netns);
    let pair = Pair::new();
    let flooder = flooder(&pair);
    let b = pair.start_b(web(100));
    wait(&pair.b, VIP, true);
    // All is right with it, and it would win; but it came from another network.
    Attacker::new(&flooder, 254).send(&winner());
    let counted = || {
        let status = b.status().unwrap();
        let statistics = status.virtual_router("web").unwrap().statistics;
        (statistics.discarded(Counter::HopLimit) == 1).then_some(())
    };
    lab::eventually(PATIENCE, counted).expect("it is counted");
    assert!(has(&pair.b, VIP));
    // The control: from this network it wins.
    Attacker::new(&flooder, 255).send(&winner());
    wait(&pair.b, VIP, false);
    b.shutdown().unwrap();
}

#[test]
fn a_flood_does_not_delay_the_takeover() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let flooder = flooder(&pair);
    let mut a = crate::child::Child::start(&pair.a, pair.run.path(), 200);
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100));
    let wire = pair.capture();
    next(&wire, 1, 200);
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| crate::flood::flood(&flooder, 1000, INTERVAL * 12));
        let last = next(&wire, 1, 200);
        a.kill();
        until_first_from(&wire, last, 2)
    });
    let last = seen.iter().rfind(|seen| seen.from == 1).unwrap();
    let first = seen.last().unwrap();
    let thrown = seen.iter().filter(|seen| seen.from == 66).count();
    assert!(thrown > 30, "{thrown} packets are no flood");
    assert_after(last.at, first.at, INTERVAL * 3 + skew(100));
    wait(&pair.b, VIP, true);
    b.shutdown().unwrap();
}

#[test]
fn a_name_that_goes_to_another_interface_takes_the_addresses_along() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(100));
    wait(&pair.a, VIP, true);
    // The interface is renamed, which takes it down, and another one gets its name.
    pair.a.ip_batch(["link set eth0 down", "link set eth0 name old0", "link set old0 up"]).unwrap();
    wait(&pair.a, VIP, false);
    pair.switch.attach(&pair.a, "eth0", "port-n").unwrap();
    let mut monitor = lab::AddressMonitor::open(&pair.a).unwrap();
    pair.a.ip("addr add 192.0.2.11/24 dev eth0").unwrap();
    let index = pair.a.link_index("eth0").unwrap();
    let vip = VIP.split('/').next().unwrap();
    let came = loop {
        let event = monitor.next(PATIENCE).unwrap().expect("the virtual address comes back");
        if event.address.to_string() == vip {
            break event;
        }
    };
    assert_eq!((came.added, came.link), (true, index), "on the interface of that name");
    a.shutdown().unwrap();
    assert!(!has(&pair.a, VIP));
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn other_addresses_in_the_subnet_of_a_virtual_one_stay() {
    lab::need!(netns);
    let pair = Pair::new();
    let promotes = || {
        pair.a.run(|| std::fs::read_to_string("/proc/sys/net/ipv4/conf/eth0/promote_secondaries"))
    };
    pair.a.sysctl("net/ipv4/conf/eth0/promote_secondaries", "0").unwrap();
    let first = "198.51.100.1/24";
    let router = web(100).address(first.parse().unwrap());
    let a = pair.start_a(router);
    wait(&pair.a, first, true);
    // Somebody else's, and secondary to the virtual one.
    let theirs = "198.51.100.77/24";
    pair.a.ip(&format!("addr add {theirs} dev eth0")).unwrap();
    a.shutdown().unwrap();
    assert!(!has(&pair.a, first));
    assert!(has(&pair.a, theirs), "it does not go with the virtual address");
    assert_eq!(promotes().unwrap().trim(), "0", "the sysctl is as it was");
}

#[test]
fn a_sysctl_that_a_killed_process_had_set_is_put_back() {
    lab::need!(netns);
    let pair = Pair::new();
    pair.a.sysctl("net/ipv4/conf/eth0/promote_secondaries", "1").unwrap();
    pair.a.run(|| {
        use std::os::unix::fs::MetadataExt as _;
        let namespace = std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
        let path = pair.run.path().join(format!("{namespace}-eth0-4-{VRID}.journal"));
        let (mut journal, _) = journal::Journal::open(path).unwrap();
        journal.record("sysctl net/ipv4/conf/eth0/promote_secondaries 0 -> 1").unwrap();
    });
    let a = pair.start_a(web(100));
    let value =
        pair.a.run(|| std::fs::read_to_string("/proc/sys/net/ipv4/conf/eth0/promote_secondaries"));
    assert_eq!(value.unwrap().trim(), "0");
    a.shutdown().unwrap();
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}
