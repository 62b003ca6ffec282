use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

pub(crate) fn any_prefix(ipv6: bool) -> BoxedStrategy<Prefix> {
    if ipv6 {
        (any::<u128>(), 0_u32..=128)
            .prop_map(|(bits, len)| {
                let bits = bits & u128::MAX.checked_shl(128 - len).unwrap_or(0);
                Prefix::new(Ipv6Addr::from_bits(bits).into(), u8::try_from(len).unwrap()).unwrap()
            })
            .boxed()
    } else {
        (any::<u32>(), 0_u32..=32)
            .prop_map(|(bits, len)| {
                let bits = bits & u32::MAX.checked_shl(32 - len).unwrap_or(0);
                Prefix::new(Ipv4Addr::from_bits(bits).into(), u8::try_from(len).unwrap()).unwrap()
            })
            .boxed()
    }
}

fn any_ip(ipv6: bool) -> BoxedStrategy<IpAddr> {
    if ipv6 {
        any::<[u8; 16]>().prop_map(IpAddr::from).boxed()
    } else {
        any::<[u8; 4]>().prop_map(IpAddr::from).boxed()
    }
}

fn any_hop(ipv6: bool) -> impl Strategy<Value = NextHop> {
    let gateway = if ipv6 { any_ip(true) } else { any::<bool>().prop_flat_map(any_ip).boxed() };
    let gateway = proptest::option::of(gateway);
    (gateway, proptest::option::of(1..u32::MAX), 1_u16..=256, any::<bool>()).prop_map(
        |(gateway, interface, weight, on_link)| {
            let mut hop = gateway.map_or(NextHop::link(7), NextHop::gateway);
            if let Some(interface) = interface {
                hop = hop.interface(interface);
            }
            hop.weight(weight).on_link(on_link)
        },
    )
}

fn any_route_of(ipv6: bool) -> impl Strategy<Value = Route> {
    let kind = prop_oneof![
        Just(RouteKind::Unicast),
        Just(RouteKind::Local),
        Just(RouteKind::Blackhole),
        Just(RouteKind::Unreachable),
        Just(RouteKind::Prohibit),
        Just(RouteKind::Throw),
    ];
    let preference = prop_oneof![
        Just(RouterPreference::Low),
        Just(RouterPreference::Medium),
        Just(RouterPreference::High)
    ];
    let metrics = proptest::collection::vec((0_usize..15, any::<u32>(), any::<bool>()), 0..4);
    let hops = proptest::collection::vec(any_hop(ipv6), 1..4);
    let places = (any_prefix(ipv6), any_prefix(ipv6), proptest::option::of(any_ip(ipv6)));
    let numbers =
        (any::<u32>(), any::<u32>(), any::<u8>(), any::<u8>(), proptest::option::of(any::<u8>()));
    (places, kind, preference, metrics, hops, numbers).prop_map(
        move |((to, from, source), kind, preference, metrics, hops, numbers)| {
            let (table, metric, tos, protocol, scope) = numbers;
            let mut route =
                Route::new(to).kind(kind).table(table).metric(metric).protocol(protocol);
            if ipv6 {
                route = route.from(from).preference(preference);
            } else {
                route = route.tos(tos);
                if let Some(scope) = scope {
                    route = route.scope(Scope::new(scope));
                }
            }
            if let Some(source) = source {
                route = route.preferred_source(source);
            }
            for (index, value, lock) in metrics {
                let metric = Metric::all().nth(index).unwrap();
                route = if lock {
                    route.assume_locked(metric, value)
                } else {
                    route.assume(metric, value)
                };
            }
            if kind.has_next_hop() {
                let hops = if hops.len() == 1 { vec![hops[0].weight(1)] } else { hops };
                route.hops = hops;
            }
            route
        },
    )
}

pub(crate) fn any_route() -> impl Strategy<Value = Route> {
    any::<bool>().prop_flat_map(any_route_of)
}

proptest! {
    #[test]
    fn text_reads_back(route in any_route()) {
        let text = route.to_string();
        prop_assert_eq!(text.parse::<Route>(), Ok(route), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(blackhole )?[0-9a-f:./]{1,12}( (via|dev|nexthop|src|mtu|lock|pref|proto|table|[0-9.:]{1,8})){0,6}") {
        if let Ok(route) = text.parse::<Route>() {
            prop_assert_eq!(route.to_string().parse::<Route>(), Ok(route));
        }
    }

    #[test]
    fn what_is_written_is_read(route in any_route()) {
        prop_assert_eq!(route.check(), Ok(()));
        let read = codec::decode(codec::encode_new(&route).as_bytes()).unwrap();
        // The scope that follows from the route was written out, and an interface that was not given as 0.
        let mut expected = route.clone();
        expected.scope = (!route.destination.is_ipv6()).then(|| route.effective_scope());
        if let [_, _, ..] = expected.hops.as_slice() {
            for hop in &mut expected.hops {
                hop.interface = hop.interface.or(Some(0));
            }
        }
        prop_assert_eq!(&read, &expected);
        prop_assert!(route.agrees_with(&read));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), family in 0_usize..3) {
        let mut bytes = bytes;
        if let (Some(first), Some(&family)) = (bytes.first_mut(), [2_u8, 10].get(family)) {
            *first = family;
        }
        if let Some(route) = codec::decode(&bytes) {
            prop_assert_eq!(route.to_string().parse(), Ok(route));
        }
    }

    #[test]
    fn any_truncation_is_read_or_refused(route in any_route(), cut: u16, change: (u16, u8)) {
        let mut bytes = codec::encode_new(&route).as_bytes().to_vec();
        let len = bytes.len();
        bytes[usize::from(change.0) % len] = change.1;
        bytes.truncate(usize::from(cut) % (len + 1));
        if let Some(route) = codec::decode(&bytes) {
            prop_assert_eq!(route.to_string().parse(), Ok(route));
        }
    }
}

fn route(text: &str) -> Route {
    text.parse().unwrap()
}

#[test]
fn golden_ipv4() {
    let route =
        route("198.51.100.0/24 via 192.0.2.1 dev 3 src 192.0.2.100 table 300 mtu 1400 proto 18");
    let mut expected = vec![2, 24, 0, 0, 0, 18, 0, 1];
    expected.extend([0; 4]);
    for (kind, value) in [
        (15_u16, &300_u32.to_ne_bytes()[..]),
        (6, &[0; 4]),
        (1, &[198, 51, 100, 0]),
        (7, &[192, 0, 2, 100]),
        (5, &[192, 0, 2, 1]),
        (4, &3_u32.to_ne_bytes()),
    ] {
        expected.extend(8_u16.to_ne_bytes());
        expected.extend(kind.to_ne_bytes());
        expected.extend(value);
    }
    let without_metrics = expected.clone();
    expected.extend(12_u16.to_ne_bytes());
    expected.extend(0x8008_u16.to_ne_bytes());
    expected.extend(8_u16.to_ne_bytes());
    expected.extend(2_u16.to_ne_bytes());
    expected.extend(1400_u32.to_ne_bytes());
    assert_eq!(codec::encode_new(&route).as_bytes(), expected);
    let deleted = codec::encode_delete(&route);
    assert_eq!(deleted.as_bytes()[6], 255, "the scope is left open");
    assert_eq!(deleted.as_bytes()[8..], without_metrics[8..]);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    for (text, reason) in [
        (
            "10.0.0.0/8 proto 18",
            "route to 10.0.0.0/8 has no next hop: give it a gateway or an interface",
        ),
        (
            "blackhole 10.0.0.0/8 dev 3 proto 18",
            "route to 10.0.0.0/8 drops packets and has a next hop all the same",
        ),
        (
            "2001:db8::/32 via 192.0.2.1 proto 18",
            "192.0.2.1 does not go with a route to 2001:db8::/32: it is of the other address family",
        ),
        (
            "10.0.0.0/8 dev 3 src 2001:db8::1 proto 18",
            "2001:db8::1 does not go with a route to 10.0.0.0/8: it is of the other address family",
        ),
        (
            "10.0.0.0/8 dev 3 from 10.0.0.0/8 proto 18",
            "route to 10.0.0.0/8 cannot have a source network: its address family has none",
        ),
        (
            "10.0.0.0/8 dev 3 pref high proto 18",
            "route to 10.0.0.0/8 cannot have a router preference: its address family has none",
        ),
        (
            "2001:db8::/32 dev 3 tos 4 proto 18",
            "route to 2001:db8::/32 cannot have a type of service: its address family has none",
        ),
    ] {
        assert_eq!(route(text).check().unwrap_err().to_string(), reason);
    }
    assert_eq!(route("10.0.0.0/8 via fe80::1 dev 3 proto 18").check(), Ok(()));
    for text in [
        "",
        "eth0",
        "10.0.0.1/8 dev 3",
        "10.0.0.0/8 via",
        "10.0.0.0/8 nexthop",
        "10.0.0.0/8 dev 3 what 4",
    ] {
        assert!(text.parse::<Route>().is_err(), "{text:?}");
    }
}

#[test]
fn agreement_forgives_what_the_kernel_fills_in() {
    let wanted = route("10.0.0.0/8 nexthop via 192.0.2.1 nexthop via 192.0.2.2 weight 3 proto 18");
    assert!(wanted.agrees_with(&route("10.0.0.0/8 nexthop via 192.0.2.2 dev 3 weight 3 nexthop via 192.0.2.1 dev 3 scope 0 proto 18")));
    for other in [
        "10.0.0.0/8 nexthop via 192.0.2.2 dev 3 nexthop via 192.0.2.1 dev 3 proto 18",
        "10.0.0.0/8 via 192.0.2.1 dev 3 proto 18",
        "10.0.0.0/8 nexthop via 192.0.2.2 dev 3 weight 3 nexthop via 192.0.2.1 dev 3 scope 253 proto 18",
        "10.0.0.0/8 nexthop via 192.0.2.2 dev 3 weight 3 nexthop via 192.0.2.1 dev 3 mtu 1400 proto 18",
        "10.0.0.0/8 nexthop via 192.0.2.2 dev 3 weight 3 nexthop via 192.0.2.1 dev 3 proto 3",
        "10.0.0.0/9 nexthop via 192.0.2.2 dev 3 weight 3 nexthop via 192.0.2.1 dev 3 proto 18",
    ] {
        assert!(!wanted.agrees_with(&route(other)), "{other}");
    }
    assert_eq!(route("2001:db8::/32 dev 3 proto 18").metric(0).key().metric, 1024);
}
