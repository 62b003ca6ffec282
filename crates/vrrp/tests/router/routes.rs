//! Routes and rules that live and die with the virtual addresses, as `ip` shows them.

use std::process::Command;

use lab::Namespace;
use vrrp::{NextHop, Route, Rule, RuleAction, VirtualRoute, VirtualRouter};

use crate::child::Child;
use crate::support::{PATIENCE, Pair, VIP, has, observer, wait, web};

/// [`web`] with a route that needs its address, one through an interface, and a rule.
pub(crate) fn routed(router: VirtualRouter) -> VirtualRouter {
    let through = NextHop::gateway("192.0.2.254".parse().unwrap());
    let from_vip = Route::new("203.0.113.0/24".parse().unwrap())
        .next_hop(through)
        .preferred_source("192.0.2.100".parse().unwrap());
    let table = Route::new("0.0.0.0/0".parse().unwrap()).next_hop(through).table(100);
    router
        .route(from_vip)
        .route(VirtualRoute::new(Route::new("198.51.100.0/24".parse().unwrap())).interface("eth0"))
        .route(table)
        .rule(Rule::ipv4(100, RuleAction::Lookup(100)).from("192.0.2.100/32".parse().unwrap()))
}

fn shown(namespace: &Namespace, what: &[&str]) -> String {
    let output = namespace.output(Command::new("ip").args(what)).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn routes(namespace: &Namespace) -> String {
    let all = ["route", "show", "table", "all", "proto", "18"];
    shown(namespace, &all) + &shown(namespace, &["rule", "show", "priority", "100"])
}

fn wait_routes(namespace: &Namespace, present: bool) {
    let expected = ["203.0.113.0/24", "198.51.100.0/24", "default", "from 192.0.2.100 lookup 100"];
    let seen = lab::eventually(PATIENCE, || {
        let text = routes(namespace);
        expected.iter().all(|line| text.contains(line) == present).then_some(())
    });
    assert!(seen.is_some(), "present: {present}?\n{}", routes(namespace));
}

#[test]
fn routes_and_rules_come_and_go_with_the_mastership() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(routed(web(200)));
    wait_routes(&pair.a, true);
    assert!(has(&pair.a, VIP));
    let b = pair.start_b(routed(web(100)));
    assert_eq!(routes(&pair.b), "", "a Backup has none");
    a.shutdown().unwrap();
    assert_eq!(routes(&pair.a), "");
    wait_routes(&pair.b, true);
    b.shutdown().unwrap();
    assert_eq!(routes(&pair.b), "");
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn what_a_killed_process_left_is_removed_by_the_next_start() {
    lab::need!(netns);
    let pair = Pair::new();
    let mut child = Child::start_kind(&pair.a, pair.run.path(), 200, "routes");
    wait_routes(&pair.a, true);
    child.kill();
    // What looks alike and is not listed stays.
    pair.a.ip("route add 203.0.113.128/25 via 192.0.2.254").unwrap();
    let a = pair.start_a(observer(200));
    wait_routes(&pair.a, false);
    assert!(!has(&pair.a, VIP));
    assert!(shown(&pair.a, &["route"]).contains("203.0.113.128/25"));
    a.shutdown().unwrap();
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

#[test]
fn what_others_remove_is_taken_back() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(routed(web(200)));
    wait_routes(&pair.a, true);
    let events = a.events();
    pair.a.ip_batch(["route del 203.0.113.0/24", "rule del priority 100"]).unwrap();
    wait_routes(&pair.a, true);
    let told = core::iter::from_fn(|| events.recv_timeout(PATIENCE))
        .map(|event| event.to_string())
        .find(|text| text.contains("was removed by somebody else"))
        .unwrap();
    assert!(told.contains("route 203.0.113.0/24 via 192.0.2.254"), "{told}");
    assert_eq!(a.status().unwrap().virtual_router("web").unwrap().term, 1);
    a.shutdown().unwrap();
    assert_eq!(routes(&pair.a), "");
}

#[test]
fn apply_changes_only_what_differs() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    assert_eq!(routes(&pair.a), "");
    a.handle().apply(routed(web(200))).unwrap();
    wait_routes(&pair.a, true);
    a.handle().apply(web(200)).unwrap();
    wait_routes(&pair.a, false);
    assert!(has(&pair.a, VIP));
    assert_eq!(a.status().unwrap().virtual_router("web").unwrap().term, 1);
    a.shutdown().unwrap();
}

#[test]
fn a_route_that_the_kernel_refuses_makes_no_master_and_is_told() {
    lab::need!(netns);
    let pair = Pair::new();
    let nowhere = Route::new("203.0.113.0/24".parse().unwrap())
        .next_hop(NextHop::gateway("10.9.9.9".parse().unwrap()));
    let a = pair.start_a(web(200).route(nowhere));
    let events = a.events();
    let told = core::iter::from_fn(|| events.recv_timeout(PATIENCE))
        .map(|event| event.to_string())
        .find(|text| text.contains("203.0.113.0/24"))
        .unwrap();
    // With the kernel's own words.
    assert!(told.contains("Nexthop has invalid gateway"), "{told}");
    let released = lab::eventually(PATIENCE, || {
        let status = a.status().unwrap();
        let faults = status.virtual_router("web").unwrap().faults;
        (faults.contains(vrrp::Fault::AddressesFailed) && !has(&pair.a, VIP)).then_some(())
    });
    assert!(released.is_some(), "nothing is half installed");
    a.shutdown().unwrap();
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_changed() {
    lab::need!(netns);
    let pair = Pair::new();
    let build = |router: VirtualRouter| {
        let error = pair.a.run(|| pair.builder().virtual_router(router).build().map(drop));
        let error = error.expect_err("it cannot be");
        let cause = core::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    };
    let mixed = Route::new("203.0.113.0/24".parse().unwrap())
        .preferred_source("2001:db8::1".parse().unwrap())
        .next_hop(NextHop::gateway("192.0.2.254".parse().unwrap()));
    let text = build(web(200).route(mixed));
    assert!(text.contains("\"web\" cannot have route 203.0.113.0/24"), "{text}");
    let elsewhere = VirtualRoute::new(Route::new("203.0.113.0/24".parse().unwrap()));
    let text = build(web(200).route(elsewhere.interface("eth9")));
    assert!(text.contains("there is no interface \"eth9\"; there are: "), "{text}");
    assert_eq!(routes(&pair.a), "");
}
