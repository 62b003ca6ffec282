//! Several lines between two routers: one that is cut makes no second Master.

use vrrp::{BuildError, Fault, Path, RunningRouter, State, VirtualRouter, VirtualRouterStatus};

use crate::support::{PATIENCE, Pair, VIP, Wire, has, next, wait, web};
use lab::{Capture, Filter};

/// The pair, with a second line between interfaces `eth1`: 10.9.9.1 and .2, ports `port-a` and `port-b`.
struct Lines {
    pair: Pair,
    second: lab::Bridge,
}

impl Lines {
    fn new() -> Self {
        let (pair, second) = (Pair::new(), lab::Bridge::new().unwrap());
        second.attach(&pair.a, "eth1", "port-a").unwrap();
        second.attach(&pair.b, "eth1", "port-b").unwrap();
        pair.a.ip("addr add 10.9.9.1/24 dev eth1").unwrap();
        pair.b.ip("addr add 10.9.9.2/24 dev eth1").unwrap();
        Self { pair, second }
    }

    fn capture_second(&self) -> Wire {
        let switch = self.second.namespace();
        Wire::new(Capture::open_all(switch, Filter::Failover).unwrap(), switch)
    }
}

/// Whether frames go from one port of the switch to the other: both links stay up, as they do when a line between two
/// switches breaks.
pub(crate) fn cut(switch: &lab::Bridge, cut: bool) {
    let isolated = if cut { "on" } else { "off" };
    for port in ["port-a", "port-b"] {
        switch
            .namespace()
            .ip(&format!("link set {port} type bridge_slave isolated {isolated}"))
            .unwrap();
    }
}

/// With both lines; `other` is the last octet of the other host.
fn on_both(priority: u8, other: u8) -> VirtualRouter {
    let addresses = [format!("192.0.2.{other}"), format!("10.9.9.{other}")];
    web(priority)
        .paths([Path::multicast("eth0"), Path::unicast("eth1")])
        .peer("other", addresses.map(|address| address.parse().unwrap()))
}

fn status(router: &RunningRouter) -> VirtualRouterStatus {
    router.status().unwrap().virtual_router("web").unwrap().clone()
}

/// After it has not been heard on the first line for a master-down interval, and then some.
fn stays_backup_without_the_first_line(wire: &Wire, pair: &Pair, b: &RunningRouter) {
    for _ in 0..12 {
        next(wire, 1, 200);
    }
    let status = status(b);
    assert_eq!(status.state, State::Backup);
    assert!(status.why.to_string().ends_with("not heard on path 0"), "{}", status.why);
    assert!(has(&pair.a, VIP) && !has(&pair.b, VIP));
}

#[test]
fn a_line_that_is_cut_makes_no_second_master() {
    lab::need!(netns);
    let lines = Lines::new();
    let pair = &lines.pair;
    let a = pair.start_a(on_both(200, 2));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(on_both(100, 1));
    let wire = lines.capture_second();
    next(&wire, 1, 200);
    cut(&pair.switch, true);
    stays_backup_without_the_first_line(&wire, pair, &b);

    // Only when the last line is cut as well there are two; then one again, by the second line alone.
    cut(&lines.second, true);
    wait(&pair.b, VIP, true);
    assert!(has(&pair.a, VIP));
    cut(&lines.second, false);
    wait(&pair.b, VIP, false);
    assert!(has(&pair.a, VIP));

    // And a farewell over the second line is enough for the other to take over.
    a.shutdown().unwrap();
    wait(&pair.b, VIP, true);
    b.shutdown().unwrap();
}

/// The control: the same cut with one path.
#[test]
fn with_one_path_the_same_cut_makes_two_masters() {
    lab::need!(netns);
    let lines = Lines::new();
    let pair = &lines.pair;
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100));
    let wire = pair.capture();
    next(&wire, 1, 200);
    cut(&pair.switch, true);
    wait(&pair.b, VIP, true);
    assert!(has(&pair.a, VIP), "two Masters");
    cut(&pair.switch, false);
    wait(&pair.b, VIP, false);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn a_dead_link_of_a_second_path_is_no_fault() {
    lab::need!(netns);
    let lines = Lines::new();
    let pair = &lines.pair;
    let (a, b) = (pair.start_a(on_both(200, 2)), pair.start_b(on_both(100, 1)));
    wait(&pair.a, VIP, true);
    lines.second.unplug("port-a").unwrap();
    pair.b.ip("link del eth1").unwrap();
    let wire = pair.capture();
    for _ in 0..8 {
        next(&wire, 1, 200);
    }
    for (router, state) in [(&a, State::Master), (&b, State::Backup)] {
        let status = status(router);
        assert_eq!((status.state, status.faults.contains(Fault::LinkDown)), (state, false));
    }
    assert!(has(&pair.a, VIP) && !has(&pair.b, VIP));
    // The interface of the addresses is another matter.
    pair.switch.unplug("port-a").unwrap();
    wait(&pair.a, VIP, false);
    wait(&pair.b, VIP, true);
    assert!(status(&a).faults.contains(Fault::LinkDown));
    pair.switch.plug("port-a").unwrap();
    wait(&pair.a, VIP, true);
    wait(&pair.b, VIP, false);

    // The line is used again when it is back, on another interface of the same name.
    lines.second.attach(&pair.b, "eth1", "port-c").unwrap();
    pair.b.ip("addr add 10.9.9.2/24 dev eth1").unwrap();
    lines.second.plug("port-a").unwrap();
    // Else the old MAC address is written to until ARP gives up, which takes as long as our patience.
    pair.a.ip("neigh flush dev eth1").unwrap();
    let heard = || status(&b).paths[1].heard.filter(|ago| *ago < crate::support::INTERVAL * 2);
    lab::eventually(PATIENCE, heard).expect("the second line is heard");
    cut(&pair.switch, true);
    let wire = lines.capture_second();
    stays_backup_without_the_first_line(&wire, pair, &b);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn who_has_no_name_is_not_heard() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(100).peer("c", ["192.0.2.3".parse().unwrap()]));
    let b = pair.start_b(web(200).peer("a", ["192.0.2.1".parse().unwrap()]));
    wait(&pair.a, VIP, true);
    wait(&pair.b, VIP, true);
    let strangers = || {
        let discarded = status(&a).statistics.discarded(vrrp::Counter::UnknownPeer);
        (discarded > 3).then_some(())
    };
    lab::eventually(PATIENCE, strangers).expect("they are counted");
    assert!(has(&pair.a, VIP), "a stranger of a higher priority changes nothing");
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn paths_that_make_no_sense_are_refused() {
    lab::need!(netns);
    let lines = Lines::new();
    let pair = &lines.pair;
    let refused = |virtual_router: VirtualRouter| {
        let build = || pair.builder().virtual_router(virtual_router).build();
        pair.a.run(|| build().err()).expect("an error")
    };
    let error = refused(on_both(100, 2).paths([Path::multicast("eth0"), Path::multicast("eth7")]));
    assert!(matches!(error, BuildError::NoSuchInterface { .. }), "{error}");
    let error = refused(on_both(100, 2).paths([Path::multicast("eth1"), Path::multicast("eth1")]));
    assert_eq!(
        error.to_string(),
        "virtual router \"web\" has two multicast paths on eth1: name each interface once"
    );
    let error = refused(web(100).paths([Path::multicast("eth0"), Path::unicast("eth1")]));
    assert!(matches!(error, BuildError::Config { .. }), "peers without names: {error}");
    let error = refused(on_both(100, 2).unicast(["192.0.2.2".parse().unwrap()]));
    assert!(matches!(error, BuildError::Config { .. }), "peers twice: {error}");
}
