//! A virtual router that gets another configuration while it runs.

use core::net::IpAddr;

use lab::AddressMonitor;
use vrrp::{ApplyError, Condition, RunningRouter, State, Tracker, VirtualRouter, Vrid};

use crate::support::{
    INTERVAL, PATIENCE, Pair, SLACK, Seen, VIP, Wire, advertisement, has, next, observer, wait, web,
};

const LEAVES: &str = "192.0.2.102/24";
const COMES: &str = "192.0.2.101/24";

fn before() -> VirtualRouter {
    web(200).address(LEAVES.parse().unwrap())
}

/// Another priority and another address in the place of one.
fn after() -> VirtualRouter {
    web(150).address(COMES.parse().unwrap())
}

fn term(router: &RunningRouter) -> u64 {
    router.status().unwrap().virtual_router("web").unwrap().term
}

/// The changes of addresses until the new one has come and the old one has gone: when it was added, and which.
fn changes(monitor: &mut AddressMonitor) -> Vec<(bool, IpAddr)> {
    let mut seen = Vec::new();
    let wanted = [(true, ip(COMES)), (false, ip(LEAVES))];
    while !wanted.iter().all(|change| seen.contains(change)) {
        let event = monitor.next(PATIENCE).unwrap();
        let event = event.unwrap_or_else(|| panic!("only {seen:?}"));
        seen.push((event.added, event.address));
    }
    seen
}

fn ip(address: &str) -> IpAddr {
    address.split('/').next().unwrap().parse().unwrap()
}

/// All advertisements until the tenth with the new priority.
fn advertisements(wire: &Wire) -> Vec<Seen> {
    let mut seen = Vec::new();
    while seen.iter().filter(|one: &&Seen| one.priority == 150).count() < 10 {
        seen.push(wire.find(advertisement).unwrap_or_else(|| panic!("only {seen:?}")));
    }
    seen
}

#[test]
fn a_master_stays_master_and_touches_only_what_differs() {
    lab::need!(netns);
    let _measuring = lab::time_lock();
    let pair = Pair::new();
    let a = pair.start_a(before());
    wait(&pair.a, VIP, true);
    wait(&pair.a, LEAVES, true);
    let b = pair.start_b(web(100).address(LEAVES.parse().unwrap()));
    let wire = pair.capture();
    next(&wire, 1, 200);
    let mut monitor = AddressMonitor::open(&pair.a).unwrap();

    a.handle().apply(after()).unwrap();
    let mut changes = changes(&mut monitor);
    changes.sort_unstable();
    assert_eq!(changes, [(false, ip(LEAVES)), (true, ip(COMES))]);
    let seen = advertisements(&wire);
    assert!(seen.iter().all(|one| one.from == 1 && [200, 150].contains(&one.priority)), "{seen:?}");
    let longest = seen.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap();
    assert!(longest < INTERVAL + SLACK, "the longest gap is {longest:?}");
    let one_by_one = |pair: &[Seen]| pair[1].identification == pair[0].identification + 1;
    assert!(seen.windows(2).all(one_by_one), "{seen:?}");
    assert_eq!(term(&a), 1);
    assert!(has(&pair.a, VIP) && !has(&pair.b, VIP));

    a.shutdown().unwrap();
    assert!(!has(&pair.a, VIP) && !has(&pair.a, COMES));
    b.shutdown().unwrap();
}

/// The control: what a restart with the other configuration does.
#[test]
fn a_restart_leaves_and_touches_everything() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(before());
    wait(&pair.a, LEAVES, true);
    let wire = pair.capture();
    next(&wire, 1, 200);
    let mut monitor = AddressMonitor::open(&pair.a).unwrap();
    a.shutdown().unwrap();
    let a = pair.start_a(after());
    assert!(changes(&mut monitor).contains(&(false, ip(VIP))), "the address that stays was away");
    assert!(advertisements(&wire).iter().any(|one| one.priority == 0));
    a.shutdown().unwrap();
}

#[test]
fn a_backup_keeps_its_master_and_later_installs_the_new_addresses() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200).address(COMES.parse().unwrap()));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100).address(LEAVES.parse().unwrap()));
    let wire = pair.capture();
    next(&wire, 1, 200);
    b.handle().apply(web(90).address(COMES.parse().unwrap())).unwrap();
    for _ in 0..8 {
        assert_eq!(wire.find(advertisement).unwrap().from, 1);
    }
    a.shutdown().unwrap();
    next(&wire, 2, 90);
    wait(&pair.b, COMES, true);
    assert!(!has(&pair.b, LEAVES));
    b.shutdown().unwrap();
}

#[test]
fn what_is_not_advertised_and_prefixes_change_as_well() {
    lab::need!(netns);
    let pair = Pair::new();
    let unheard = |text: &str| text.parse::<vrrp::VirtualAddress>().unwrap().advertised(false);
    let a = pair.start_a(web(200).address(unheard("198.51.100.1/24")));
    wait(&pair.a, "198.51.100.1/24", true);
    let mut monitor = AddressMonitor::open(&pair.a).unwrap();
    a.handle().apply(web(200).address(unheard("198.51.100.1/25"))).unwrap();
    wait(&pair.a, "198.51.100.1/25", true);
    assert!(!has(&pair.a, "198.51.100.1/24"));
    a.handle().apply(web(200)).unwrap();
    wait(&pair.a, "198.51.100.1/25", false);
    for (added, prefix) in [(false, 24), (true, 25), (false, 25)] {
        let event = monitor.next(PATIENCE).unwrap().unwrap();
        let expected = (added, ip("198.51.100.1"), prefix);
        assert_eq!((event.added, event.address, event.prefix), expected);
    }
    assert_eq!(term(&a), 1);
    a.shutdown().unwrap();
    assert!(!has(&pair.a, VIP));
}

#[test]
fn what_is_tracked_goes_on_to_count() {
    lab::need!(netns);
    let pair = Pair::new();
    let tracked = |priority| web(priority).track("nginx", Tracker::new(-50).unwrap());
    let a = pair.start_a(tracked(200));
    a.handle().set_tracker("web", "nginx", Condition::Down).unwrap();
    let wire = pair.capture();
    next(&wire, 1, 150);
    a.handle().apply(tracked(120)).unwrap();
    next(&wire, 1, 70);
    a.handle().apply(tracked(200)).unwrap();
    let seen = advertisements(&wire);
    assert!(seen.iter().all(|one| [70, 150].contains(&one.priority)), "{seen:?}");
    a.shutdown().unwrap();
}

#[test]
fn what_cannot_be_changed_is_refused_and_changes_nothing() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(before());
    wait(&pair.a, LEAVES, true);
    let refused = |changed: VirtualRouter| a.handle().apply(changed).unwrap_err().to_string();
    let other = VirtualRouter::new("web", Vrid::new(52).unwrap(), "eth0");
    let other = other.address(VIP.parse().unwrap());
    assert_eq!(refused(other), "web: the VRID cannot be changed at run time: build another router");
    let unicast = refused(web(200).unicast([ip("192.0.2.2")]));
    assert!(unicast.contains("the paths' interfaces cannot"), "{unicast}");
    let twice = web(200).track("nginx", Tracker::new(0).unwrap());
    let twice = refused(twice.track("nginx", Tracker::new(1).unwrap()));
    assert!(twice.contains("two trackers named \"nginx\""), "{twice}");
    let interval = INTERVAL / 7;
    let error = a.handle().apply(web(200).advertisement_interval(interval)).unwrap_err();
    assert!(matches!(error, ApplyError::Invalid(_)), "{error}");
    let elsewhere = "192.0.2.101/24".parse::<vrrp::VirtualAddress>().unwrap().interface("eth7");
    let error = a.handle().apply(web(200).address(elsewhere)).unwrap_err();
    assert!(matches!(error, ApplyError::Invalid(_)), "{error}");
    let stranger = VirtualRouter::new("wbe", Vrid::new(51).unwrap(), "eth0");
    assert_eq!(refused(stranger), "there is no virtual router \"wbe\"; there are: web");
    let status = a.status().unwrap();
    let web = status.virtual_router("web").unwrap();
    assert_eq!((web.state, web.priority.get(), web.term), (State::Master, 200, 1));
    assert!(has(&pair.a, VIP) && has(&pair.a, LEAVES));
    // Whether it stands for election is what it was last told.
    a.handle().apply(observer(150).address(LEAVES.parse().unwrap())).unwrap();
    let wire = pair.capture();
    next(&wire, 1, 150);
    a.shutdown().unwrap();
}

/// Another Master beside [`web`].
fn mail() -> VirtualRouter {
    VirtualRouter::new("mail", Vrid::new(52).unwrap(), "eth0")
        .priority(200)
        .advertisement_interval(INTERVAL)
        .address("192.0.2.110/24".parse().unwrap())
        .candidate(true)
}

fn holder(router: &RunningRouter, address: &str) -> Vec<String> {
    let status = router.status().unwrap();
    let holds = |one: &&vrrp::VirtualRouterStatus| {
        one.addresses.iter().any(|shown| shown.starts_with(address))
    };
    status.virtual_routers.iter().filter(holds).map(|one| one.name.to_string()).collect()
}

/// Both Masters are there, the first with the address that leaves.
fn two_masters(pair: &Pair) -> RunningRouter {
    let start = || pair.builder().virtual_routers([before(), mail()]).start();
    let router = pair.a.run(start).unwrap();
    wait(&pair.a, LEAVES, true);
    wait(&pair.a, "192.0.2.110/24", true);
    router
}

#[test]
fn an_address_moves_between_two_masters_without_a_moment_without_it() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = two_masters(&pair);
    assert_eq!(holder(&a, LEAVES), ["web"]);
    let mut monitor = AddressMonitor::open(&pair.a).unwrap();
    // There and back, in either order.
    let there = [web(200), mail().address(LEAVES.parse().unwrap())];
    let back = [mail(), before()];
    for (changed, to) in [
        (there.to_vec(), "mail"),
        (back.to_vec(), "web"),
        ([there[1].clone(), there[0].clone()].to_vec(), "mail"),
    ] {
        a.handle().apply_all(changed).unwrap();
        let moved = || (holder(&a, LEAVES) == [to]).then_some(());
        lab::eventually(PATIENCE, moved).unwrap_or_else(|| panic!("not {to}'s"));
        assert!(has(&pair.a, LEAVES));
    }
    // Something that is seen, so that what was not seen did not happen.
    a.handle().apply(web(200).address(COMES.parse().unwrap())).unwrap();
    let first = monitor.next(PATIENCE).unwrap().unwrap();
    assert_eq!((first.added, first.address), (true, ip(COMES)), "no other change before");
    let terms: Vec<u64> = a.status().unwrap().virtual_routers.iter().map(|one| one.term).collect();
    assert_eq!(terms, [1, 1]);
    a.shutdown().unwrap();
    assert!(!has(&pair.a, LEAVES));
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

/// The control: in two steps there is a moment without the address.
#[test]
fn an_address_that_moves_in_two_steps_is_away_for_a_moment() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = two_masters(&pair);
    let mut monitor = AddressMonitor::open(&pair.a).unwrap();
    a.handle().apply(web(200)).unwrap();
    a.handle().apply(mail().address(LEAVES.parse().unwrap())).unwrap();
    let seen = [(); 2].map(|()| monitor.next(PATIENCE).unwrap().unwrap());
    assert_eq!(
        seen.map(|event| (event.added, event.address)),
        [(false, ip(LEAVES)), (true, ip(LEAVES))]
    );
    a.shutdown().unwrap();
}

#[test]
fn of_several_changes_all_or_none_are_made() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = two_masters(&pair);
    let invalid = mail().priority(0);
    a.handle().apply_all([web(150), invalid]).unwrap_err();
    assert_eq!(a.status().unwrap().virtual_router("web").unwrap().priority.get(), 200);
    assert!(has(&pair.a, LEAVES));
    a.shutdown().unwrap();
}
