//! What one turn of the loop reads, stepped by hand: no time is measured.

use core::time::Duration;

use lab::Namespace;
use vrrp::{Counter, Router, State, VirtualRouter, Vrid};

use crate::flood::{flooder, throw};
use crate::support::{PATIENCE, Pair, advertisement, web};

/// What is thrown: more than the budget of a turn (1,024), less than a receive queue holds.
const PACKETS: u64 = 4_000;

/// Octets in the receive queues of VRRP sockets (112 = 0x70), by `/proc/net/raw`.
fn queued(host: &Namespace) -> u64 {
    let table = host.run(|| std::fs::read_to_string("/proc/thread-self/net/raw")).unwrap();
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_vrrp = fields[1].ends_with(":0070");
        let queue = fields[4].split_once(':').unwrap().1;
        is_vrrp.then(|| u64::from_str_radix(queue, 16).unwrap())
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

/// Throws them and waits until they are in the queue: on a busy machine that takes a moment.
fn fill_queue(pair: &Pair, flooder: &Namespace) {
    assert_eq!(queued(&pair.a), 0);
    assert_eq!(throw(flooder, 1), 1);
    let one = || Some(queued(&pair.a)).filter(|octets| *octets > 0);
    let one = lab::eventually(PATIENCE, one).expect("the first one");
    assert_eq!(throw(flooder, PACKETS - 1), PACKETS - 1);
    lab::eventually(PATIENCE, || (queued(&pair.a) >= one * PACKETS).then_some(())).expect("all");
}

fn state(router: &Router, name: &str) -> State {
    router.status().virtual_router(name).unwrap().state
}

fn read(router: &Router) -> u64 {
    router.status().virtual_router("web").unwrap().statistics.discarded(Counter::Checksum)
}

/// Waits until the router has something to do by its own clock, and does nothing.
fn wait_until_due(router: &Router) {
    let due = router.poll_timeout().expect("a Backup has a deadline");
    lab::eventually(PATIENCE, || (due.elapsed() > Duration::from_millis(5)).then_some(())).unwrap();
}

#[test]
fn a_flood_on_one_interface_delays_no_other() {
    lab::need!(netns);
    let pair = Pair::new();
    let other = lab::Bridge::new().unwrap();
    other.attach(&pair.a, "eth1", "port-a").unwrap();
    pair.a.ip("addr add 203.0.113.1/24 dev eth1").unwrap();
    let flooder = flooder(&pair);
    let wire = crate::support::Wire::new(
        lab::Capture::open_all(other.namespace(), lab::Filter::Failover).unwrap(),
        other.namespace(),
    );
    let elsewhere = VirtualRouter::new("elsewhere", Vrid::new(51).unwrap(), "eth1")
        .priority(200)
        .address("203.0.113.100/24".parse().unwrap())
        .advertisement_interval(crate::support::INTERVAL)
        .candidate(true);
    let builder = pair.builder().virtual_routers([web(200), elsewhere]);
    let mut router = pair.a.run(|| builder.build()).unwrap();

    fill_queue(&pair, &flooder);
    wait_until_due(&router);
    router.process().unwrap();
    let unread = PACKETS - read(&router);
    assert!(unread > PACKETS / 2, "a turn has its budget: {unread} are unread");
    assert_eq!(state(&router, "elsewhere"), State::Master, "it does not wait for another's flood");
    let first = wire.find(advertisement).expect("and advertises in this turn");
    assert_eq!((first.from, first.priority), (1, 200));
    // Among what is unread might be its Master's advertisement.
    assert_eq!(state(&router, "web"), State::Backup);

    let mut turns = 1;
    while read(&router) < PACKETS {
        assert!(turns < 20, "{} of {PACKETS} read in {turns} turns", read(&router));
        assert_eq!(state(&router, "web"), State::Backup, "{} of {PACKETS} read", read(&router));
        router.process().unwrap();
        turns += 1;
    }
    assert!(turns >= 4, "by the budget: {turns}");
    // It may think that it was away for too long, and listen once more.
    while state(&router, "web") == State::Backup {
        wait_until_due(&router);
        router.process().unwrap();
    }
    router.shutdown().unwrap();
}

#[test]
fn a_master_advertises_in_the_midst_of_a_flood() {
    lab::need!(netns);
    let pair = Pair::new();
    let flooder = flooder(&pair);
    // The owner is Master at once; after two seconds without a turn it would yield.
    let owner = web(255).advertisement_interval(Duration::from_secs(1));
    let mut router = pair.a.run(|| pair.builder().virtual_router(owner).build()).unwrap();
    while state(&router, "web") != State::Master {
        wait_until_due(&router);
        router.process().unwrap();
    }
    let statistics = |router: &Router| router.status().virtual_router("web").unwrap().statistics;
    // Its addresses are announced, and what remains is to advertise.
    let sent = statistics(&router).advertisements_sent;
    while statistics(&router).advertisements_sent == sent {
        wait_until_due(&router);
        router.process().unwrap();
    }
    let sent = statistics(&router).advertisements_sent;
    fill_queue(&pair, &flooder);
    wait_until_due(&router);
    router.process().unwrap();
    assert!(read(&router) < PACKETS);
    assert!(statistics(&router).advertisements_sent > sent);
    router.shutdown().unwrap();
}
