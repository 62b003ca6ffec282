//! Routes added to and removed from a real kernel.

use std::process::Command;

use crate::outside::Cable;
use lab::Namespace;
use serde_json::Value;
use vip_netlink::{
    Change, ChangeError, Client, Metric, NextHop, Object, Reason, Route, RouteKind,
    RouterPreference, Scope,
};

fn ready() -> (Cable, Client) {
    let cable = Cable::carrying();
    cable
        .here
        .ip_batch([
            "address add 192.0.2.100/24 dev eth0",
            "address add 2001:db8::100/64 dev eth0 nodad",
        ])
        .unwrap();
    let client = cable.client();
    (cable, client)
}

/// What `ip` shows of the routes to `destination`.
fn shown(namespace: &Namespace, destination: &str) -> Vec<Value> {
    let family = if destination.contains(':') { "-6" } else { "-4" };
    let mut ip = Command::new("ip");
    ip.args([family, "-json", "-details", "-N", "route", "show", "table", "all", destination]);
    let output = namespace.output(&mut ip).unwrap();
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

fn one(mut results: Vec<Result<Change, ChangeError>>) -> Result<Change, ChangeError> {
    assert_eq!(results.len(), 1);
    results.remove(0)
}

fn route(text: &str) -> Route {
    Route::new(text.parse().unwrap())
}

fn via(gateway: &str) -> NextHop {
    NextHop::gateway(gateway.parse().unwrap())
}

#[test]
fn every_property_arrives_in_the_kernel_and_comes_back() {
    lab::need!(netns);
    let (cable, mut client) = ready();
    let index = cable.index;
    let wanted = [
        route("198.51.100.0/24")
            .next_hop(via("192.0.2.1").interface(index))
            .preferred_source("192.0.2.100".parse().unwrap())
            .table(3000)
            .metric(50)
            .tos(16)
            .assume(Metric::Mtu, 1400)
            .assume_locked(Metric::HopLimit, 9)
            .assume(Metric::AdvertisedSegment, 1300),
        route("0.0.0.0/0").next_hop(via("203.0.113.1").interface(index).on_link(true)).protocol(42),
        route("198.51.101.0/24").next_hop(NextHop::link(index)),
        route("198.51.102.0/24").next_hop(NextHop::link(index)).scope(Scope::SITE),
        route("198.51.103.0/24").next_hop(via("192.0.2.1")).next_hop(via("192.0.2.2").weight(3)),
        route("198.51.104.0/24").next_hop(via("fe80::1").interface(index)),
        route("198.51.105.7/32").kind(RouteKind::Local).next_hop(NextHop::link(index)),
        route("198.51.106.0/24").kind(RouteKind::Blackhole),
        route("198.51.107.0/24").kind(RouteKind::Unreachable).metric(7),
        route("198.51.108.0/24").kind(RouteKind::Prohibit),
        route("198.51.109.0/24").kind(RouteKind::Throw).table(300),
        route("2001:db8:1::/48")
            .next_hop(via("2001:db8::1"))
            .preferred_source("2001:db8::100".parse().unwrap())
            .preference(RouterPreference::High)
            .table(3000)
            .assume(Metric::Mtu, 1400),
        route("2001:db8:2::/48")
            .next_hop(via("fe80::1").interface(index))
            .metric(5)
            .preference(RouterPreference::Low),
        route("2001:db8:3::/48")
            .next_hop(via("2001:db8::2"))
            .next_hop(via("2001:db8::1").weight(2)),
        route("2001:db8:4::/48").kind(RouteKind::Unreachable).preference(RouterPreference::Low),
        route("2001:db8:5::/48").kind(RouteKind::Blackhole),
        route("2001:db8:6::/48").kind(RouteKind::Prohibit),
        route("::/0").next_hop(via("2001:db8::1")).from("2001:db8::/64".parse().unwrap()),
    ];
    for (wanted, result) in wanted.iter().zip(client.add(&wanted)) {
        assert_eq!(result, Ok(Change::Made), "{wanted}");
    }
    let first = &shown(&cable.here, "198.51.100.0/24")[0];
    for (key, value) in [
        ("gateway", "192.0.2.1"),
        ("prefsrc", "192.0.2.100"),
        ("table", "3000"),
        ("protocol", "18"),
        ("tos", "0x10"),
    ] {
        assert_eq!(first[key], value, "{first}");
    }
    assert_eq!(first["metric"], 50, "{first}");
    assert_eq!(first["metrics"][0]["mtu"], 1400, "{first}");
    assert_eq!(first["metrics"][0]["hoplimit"], 9, "{first}");
    let shared = &shown(&cable.here, "198.51.103.0/24")[0]["nexthops"];
    assert_eq!((&shared[1]["gateway"], &shared[1]["weight"]), (&"192.0.2.2".into(), &3.into()));
    assert_eq!(shown(&cable.here, "198.51.104.0/24")[0]["via"]["host"], "fe80::1");
    assert_eq!(shown(&cable.here, "198.51.107.0/24")[0]["type"], "7"); // RTN_UNREACHABLE
    assert_eq!(shown(&cable.here, "2001:db8:1::/48")[0]["pref"], "high");

    let present = client.routes(0).unwrap();
    for wanted in &wanted {
        let found = present.iter().find(|present| present.key() == wanted.key());
        let found = found.unwrap_or_else(|| panic!("{wanted} is not among {present:?}"));
        assert!(wanted.agrees_with(found), "{wanted} is {found}");
    }
    let tagged = client.routes(Route::PROTOCOL).unwrap();
    assert_eq!(tagged.len(), wanted.len() - 1, "{tagged:?}");

    // Again: it is so already, and a successor knows them by their text.
    for (wanted, result) in wanted.iter().zip(client.add(&wanted)) {
        assert_eq!(result, Ok(Change::Already), "{wanted}");
    }
    let objects: Vec<Object> =
        wanted.iter().map(|route| format!("route {route}").parse().unwrap()).collect();
    for (wanted, result) in wanted.iter().zip(client.remove(&objects)) {
        assert_eq!(result, Ok(Change::Made), "{wanted}");
    }
    for (wanted, result) in wanted.iter().zip(client.remove(&wanted)) {
        assert_eq!(result, Ok(Change::Already), "{wanted}");
    }
    assert_eq!(client.routes(Route::PROTOCOL).unwrap(), []);
    assert_eq!(shown(&cable.here, "198.51.100.0/24"), Vec::<Value>::new());
}

#[test]
fn anothers_route_is_neither_taken_for_ours_nor_removed() {
    lab::need!(netns);
    let (cable, mut client) = ready();
    cable
        .here
        .ip_batch([
            "route add default via 192.0.2.254 metric 100 proto dhcp",
            "route add 198.51.100.0/24 via 192.0.2.254 proto static",
            "route add 2001:db8:1::/48 via 2001:db8::254 proto static",
        ])
        .unwrap();
    for (text, gateway) in [("198.51.100.0/24", "192.0.2.1"), ("2001:db8:1::/48", "2001:db8::1")] {
        let ours = route(text).next_hop(via(gateway));
        let error = one(client.add(&[ours])).unwrap_err();
        assert!(matches!(error.reason(), Reason::Conflict { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("another one is in its place") && text.contains("254"), "{text}");
        assert_eq!(shown(&cable.here, "198.51.100.0/24")[0]["gateway"], "192.0.2.254");
    }
    // The same gateway, without a metric: the kernel takes that for a wildcard, but for the tag.
    let default = route("0.0.0.0/0").next_hop(via("192.0.2.254"));
    assert_eq!(one(client.remove(&[default])), Ok(Change::Already));
    assert_eq!(shown(&cable.here, "default").len(), 1);
}

#[test]
fn refusals_name_the_route_the_reason_and_the_remedy() {
    lab::need!(netns);
    let (cable, mut client) = ready();
    let index = cable.index;
    let wanted = [
        route("198.51.100.0/24").next_hop(via("203.0.113.1")),
        route("198.51.101.0/24").next_hop(NextHop::link(9999)),
        route("198.51.102.0/24")
            .next_hop(NextHop::link(index))
            .preferred_source("203.0.113.9".parse().unwrap()),
        route("198.51.103.0/24"),
        route("198.51.104.0/24").next_hop(via("192.0.2.1")),
        route("2001:db8:1::/48").next_hop(via("2001:db8:ffff::1")),
    ];
    let results = client.add(&wanted);
    let texts: Vec<String> = results
        .iter()
        .map(|result| result.as_ref().err().map_or(String::new(), ToString::to_string))
        .collect();
    assert_eq!(
        texts[0],
        "cannot add route 198.51.100.0/24 via 203.0.113.1 proto 18: the gateway is on no network of this host: add an address of its network first, or mark the next hop as on the link"
    );
    assert_eq!(
        results[0].as_ref().unwrap_err().kernel_message(),
        Some("Nexthop has invalid gateway")
    );
    assert!(
        texts[1].contains("there is no such interface (any more); there are: lo, eth0"),
        "{}",
        texts[1]
    );
    assert!(
        texts[2].contains("(on eth0)") && texts[2].contains("Invalid prefsrc address"),
        "{}",
        texts[2]
    );
    assert!(
        matches!(results[3].as_ref().unwrap_err().reason(), Reason::Invalid(_)),
        "{}",
        texts[3]
    );
    assert_eq!(results[4], Ok(Change::Made), "the others do not hinder it");
    assert!(texts[5].contains("on no network of this host"), "{}", texts[5]);

    cable.here.ip("link set eth0 down").unwrap();
    let error =
        one(client.add(&[route("198.51.105.0/24").next_hop(NextHop::link(index))])).unwrap_err();
    assert_eq!(*error.reason(), Reason::InterfaceDown, "{error}");
}

#[test]
fn a_route_from_an_address_dies_with_it() {
    lab::need!(netns);
    let (cable, mut client) = ready();
    let vip = cable.address("192.0.2.200/24");
    let from_vip = route("198.51.100.0/24").next_hop(via("192.0.2.1")).preferred_source(vip.ip());
    let together = [Object::from(vip.clone()), Object::from(from_vip.clone())];
    assert_eq!(client.add(&together), [Ok(Change::Made), Ok(Change::Made)]);
    assert_eq!(one(client.remove(&[vip])), Ok(Change::Made));
    assert_eq!(shown(&cable.here, "198.51.100.0/24"), Vec::<Value>::new());
    assert_eq!(one(client.remove(&[from_vip])), Ok(Change::Already));
    // And with its interface.
    let direct = route("198.51.101.0/24").next_hop(NextHop::link(cable.index));
    assert_eq!(one(client.add(core::slice::from_ref(&direct))), Ok(Change::Made));
    cable.here.ip("link del eth0").unwrap();
    assert_eq!(one(client.remove(&[direct])), Ok(Change::Already));
}

#[test]
fn a_thousand_in_one_batch() {
    lab::need!(netns);
    let (cable, mut client) = ready();
    let routes: Vec<Route> = (0..1000_u32)
        .map(|n| route(&format!("10.{}.{}.0/24", n / 256, n % 256)).next_hop(via("192.0.2.1")))
        .collect();
    assert!(client.add(&routes).into_iter().all(|result| result == Ok(Change::Made)));
    let output =
        cable.here.output(Command::new("ip").args(["-o", "route", "show", "proto", "18"])).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1000);
    assert!(client.remove(&routes).into_iter().all(|result| result == Ok(Change::Made)));
    assert!(client.routes(Route::PROTOCOL).unwrap().is_empty());
}
