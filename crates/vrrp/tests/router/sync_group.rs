//! Gateways: two virtual routers on two links, which are to be Master together.

use core::net::IpAddr;
use core::time::Duration;

use vrrp::{
    BuildError, EventKind, Events, Fault, GuardConfig, Question, RouterBuilder, RunningRouter,
    State, Verdict, VirtualRouter, Vrid,
};

use crate::paths::cut;
use crate::support::{INTERVAL, PATIENCE, Pair, VIP, Wire, has, next, wait, web};
use lab::{Capture, Filter, Namespace};

const INSIDE: &str = "10.0.0.100/24";

/// The pair, with a second switch between interfaces `eth1`: 10.0.0.1 and .2, ports `port-a` and `port-b`.
struct Gateways {
    pair: Pair,
    inside: lab::Bridge,
}

impl Gateways {
    fn new() -> Self {
        let (pair, inside) = (Pair::new(), lab::Bridge::new().unwrap());
        inside.attach(&pair.a, "eth1", "port-a").unwrap();
        inside.attach(&pair.b, "eth1", "port-b").unwrap();
        pair.a.ip("addr add 10.0.0.1/24 dev eth1").unwrap();
        pair.b.ip("addr add 10.0.0.2/24 dev eth1").unwrap();
        Self { pair, inside }
    }

    fn start(
        &self,
        host: &Namespace,
        priority: u8,
        group: fn(RouterBuilder) -> RouterBuilder,
    ) -> RunningRouter {
        let members = [web(priority), inside(priority)];
        host.run(|| group(self.pair.builder().virtual_routers(members)).start()).unwrap()
    }

    fn capture_inside(&self) -> Wire {
        let switch = self.inside.namespace();
        Wire::new(Capture::open_all(switch, Filter::Failover).unwrap(), switch)
    }
}

fn inside(priority: u8) -> VirtualRouter {
    VirtualRouter::new("inside", Vrid::new(52).unwrap(), "eth1")
        .priority(priority)
        .advertisement_interval(INTERVAL)
        .address(INSIDE.parse().unwrap())
        .candidate(true)
}

fn gateway(builder: RouterBuilder) -> RouterBuilder {
    builder.sync_group("gateway", ["web", "inside"])
}

fn wait_both(host: &Namespace, present: bool) {
    wait(host, VIP, present);
    wait(host, INSIDE, present);
}

/// Reads events until all members of the group are in this state.
fn await_group(events: &Events, state: State) {
    loop {
        let event = events.recv_timeout(PATIENCE).expect("a change of the group");
        if let EventKind::SyncGroupChanged { to, .. } = event.kind
            && to == state
        {
            return assert_eq!(event.virtual_router.as_ref(), "gateway");
        }
    }
}

#[test]
fn the_loss_of_one_link_moves_the_addresses_of_both() {
    lab::need!(netns);
    let gateways = Gateways::new();
    let Gateways { pair, inside } = &gateways;
    let a = gateways.start(&pair.a, 200, gateway);
    wait_both(&pair.a, true);
    await_group(&a.events(), State::Master);
    let b = gateways.start(&pair.b, 100, gateway);
    let wire = gateways.capture_inside();
    next(&wire, 1, 200);

    pair.switch.unplug("port-a").unwrap();
    // It leaves the healthy link as well, and says so there.
    next(&wire, 1, 0);
    next(&wire, 2, 100);
    wait_both(&pair.b, true);
    wait_both(&pair.a, false);
    await_group(&b.events(), State::Master);
    let status = a.status().unwrap();
    let group = status.sync_group("gateway").unwrap();
    assert_eq!(group.to_string(), "initialize; cannot take part: web");
    let faults = |name| status.virtual_router(name).unwrap().faults;
    assert!(faults("web").contains(Fault::LinkDown));
    assert!(faults("inside").contains(Fault::SyncGroup));
    assert!(!faults("inside").contains(Fault::LinkDown));

    pair.switch.plug("port-a").unwrap();
    wait_both(&pair.a, true);
    wait_both(&pair.b, false);
    inside.unplug("port-a").unwrap();
    wait_both(&pair.b, true);
    wait_both(&pair.a, false);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
    assert!(!has(&pair.b, VIP) && !has(&pair.b, INSIDE));
}

/// The control: without the group, each link has a Master of its own.
#[test]
fn without_a_group_the_other_address_stays() {
    lab::need!(netns);
    let gateways = Gateways::new();
    let pair = &gateways.pair;
    let a = gateways.start(&pair.a, 200, |builder| builder);
    wait_both(&pair.a, true);
    let b = gateways.start(&pair.b, 100, |builder| builder);
    let wire = gateways.capture_inside();
    pair.switch.unplug("port-a").unwrap();
    wait(&pair.b, VIP, true);
    wait(&pair.a, VIP, false);
    wire.drain();
    for _ in 0..8 {
        next(&wire, 1, 200);
    }
    assert!(has(&pair.a, INSIDE) && !has(&pair.b, INSIDE), "traffic comes in and cannot go out");
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn nobody_is_master_before_all_would_be() {
    lab::need!(netns);
    let gateways = Gateways::new();
    let pair = &gateways.pair;
    // One who is alone on one link, and has a better one on the other.
    let better = pair.b.run(|| pair.builder().virtual_router(inside(250)).start()).unwrap();
    wait(&pair.b, INSIDE, true);
    let a = gateways.start(&pair.a, 200, gateway);
    let asks = || {
        let status = a.status().unwrap();
        let group = status.sync_group("gateway").unwrap();
        let why = status.virtual_router("web").unwrap().why.to_string();
        (group.to_string() == "backup; waits for inside").then_some(why)
    };
    let why = lab::eventually(PATIENCE, asks).expect("it waits");
    assert!(why.contains("waits for the other members of the sync group"), "{why}");
    assert!(!has(&pair.a, VIP));
    better.shutdown().unwrap();
    wait_both(&pair.a, true);
    a.shutdown().unwrap();
}

#[test]
fn a_member_that_is_shut_down_or_not_ready_takes_the_others_along() {
    lab::need!(netns);
    let gateways = Gateways::new();
    let pair = &gateways.pair;
    let a = gateways.start(&pair.a, 200, gateway);
    wait_both(&pair.a, true);
    a.handle().set_ready("inside", false).unwrap();
    wait_both(&pair.a, false);
    a.handle().set_ready("inside", true).unwrap();
    wait_both(&pair.a, true);
    a.handle().set_candidate("web", false).unwrap();
    wait_both(&pair.a, false);
    a.shutdown().unwrap();
}

#[test]
fn groups_that_make_no_sense_are_refused() {
    lab::need!(netns);
    let gateways = Gateways::new();
    let pair = &gateways.pair;
    let refused = |group: fn(RouterBuilder) -> RouterBuilder| {
        let members = [web(100), inside(100)];
        let build = || group(pair.builder().virtual_routers(members)).build();
        pair.a.run(|| build().err()).expect("an error")
    };
    let error = refused(|builder| builder.sync_group("gateway", ["web", "insied"]));
    assert_eq!(
        error.to_string(),
        "sync group \"gateway\": there is no virtual router \"insied\"; there are: web, inside"
    );
    let error = refused(|builder| builder.sync_group("gateway", ["web", "web"]));
    assert!(matches!(error, BuildError::DuplicateMember { .. }), "{error}");
    let error = refused(|builder| gateway(builder).sync_group("other", ["inside"]));
    assert_eq!(
        error.to_string(),
        "virtual router \"inside\" is in sync group \"gateway\" and again in \"other\": it can be in one"
    );
    let error = refused(|builder| gateway(builder).sync_group("gateway", ["inside"]));
    assert!(matches!(error, BuildError::DuplicateSyncGroup { .. }), "{error}");
    let error = refused(|builder| builder.sync_group("gateway", [""; 0]));
    assert!(matches!(error, BuildError::EmptySyncGroup { .. }), "{error}");
}

/// Both lines are cut, and both routers live. The guard is asked for both members at once.
#[test]
fn a_group_asks_its_guard_once_for_all_members() {
    lab::need!(netns);
    let gateways = Gateways::new();
    let pair = &gateways.pair;
    let a = gateways.start(&pair.a, 200, gateway);
    wait_both(&pair.a, true);
    let (ask, questions) = crossbeam_channel::unbounded();
    let (verdicts, answers) = crossbeam_channel::unbounded();
    let guard = move |question: &Question| {
        ask.send(question.clone()).unwrap();
        answers.recv().unwrap_or(Verdict::Veto)
    };
    let config = GuardConfig::new(Duration::from_secs(60), Verdict::Promote);
    let guarded = || gateway(pair.builder()).virtual_routers([web(100), inside(100)]);
    let start = || guarded().sync_group_guard("gateway", config, guard).start();
    let b = pair.b.run(start).unwrap();
    let wire = gateways.capture_inside();
    next(&wire, 1, 200);
    cut(&pair.switch, true);
    cut(&gateways.inside, true);
    for verdict in [Verdict::Veto, Verdict::Veto, Verdict::Promote] {
        let question = questions.recv_timeout(PATIENCE).expect("a question");
        assert_eq!(question.name.as_ref(), "gateway");
        let addresses = ["192.0.2.100", "10.0.0.100"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(question.addresses, addresses);
        assert!(!has(&pair.b, VIP) && !has(&pair.b, INSIDE));
        verdicts.send(verdict).unwrap();
    }
    wait_both(&pair.b, true);
    assert!(questions.try_recv().is_err(), "once for both");
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn the_default_verdict_counts_when_the_guard_of_a_group_hangs() {
    lab::need!(netns);
    let gateways = Gateways::new();
    let pair = &gateways.pair;
    let (end, never) = crossbeam_channel::bounded::<()>(0);
    let (ask, asked) = crossbeam_channel::unbounded();
    let guard = move |_: &Question| {
        ask.send(()).unwrap();
        assert!(never.recv().is_err(), "it is never answered");
        Verdict::Veto
    };
    let config = GuardConfig::new(INTERVAL * 2, Verdict::Promote);
    let guarded = || gateway(pair.builder()).virtual_routers([web(100), inside(100)]);
    let start = || guarded().sync_group_guard("gateway", config, guard).start();
    let b = pair.b.run(start).unwrap();
    wait_both(&pair.b, true);
    assert_eq!(asked.len(), 1);
    b.shutdown().unwrap();
    drop(end);
}

#[test]
fn a_guard_needs_its_group() {
    lab::need!(netns);
    let gateways = Gateways::new();
    let pair = &gateways.pair;
    let refused = |group: &str, deadline| {
        let config = GuardConfig::new(deadline, Verdict::Veto);
        let members = gateway(pair.builder()).virtual_routers([web(100), inside(100)]);
        let guarded = members.sync_group_guard(group, config, |_| Verdict::Veto);
        pair.a.run(|| guarded.build().err()).expect("an error")
    };
    assert_eq!(
        refused("gatway", INTERVAL).to_string(),
        "there is no sync group \"gatway\" to be guarded; there are: gateway"
    );
    let error = refused("gateway", Duration::ZERO);
    assert!(matches!(error, BuildError::SyncGroupGuard { .. }), "{error}");
    let config = GuardConfig::new(INTERVAL, Verdict::Veto);
    let own = inside(100).guard(config, |_| Verdict::Veto);
    let build = || gateway(pair.builder()).virtual_routers([web(100), own]).build();
    let error = pair.a.run(|| build().err()).expect("an error");
    assert!(matches!(error, BuildError::Config { .. }), "{error}");
}
