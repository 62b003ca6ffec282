//! Strategies for arbitrary tables. Few addresses, so that tables overlap.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::{NonZeroU16, NonZeroU32};
use core::time::Duration;

use proptest::prelude::*;

use crate::{
    AddressFamily, Destination, DestinationKey, ForwardingMethod, Name, Netmask, Persistence,
    Protocol, Scheduler, Service, ServiceFlags, ServiceKey, Table, Thresholds, Tunnel,
    TunnelChecksum, Weight,
};

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (1_u8..4).prop_map(|n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))),
        (1_u16..4).prop_map(|n| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n))),
    ]
}

fn family() -> impl Strategy<Value = AddressFamily> {
    prop_oneof![Just(AddressFamily::Ipv4), Just(AddressFamily::Ipv6)]
}

pub(crate) fn service_key() -> impl Strategy<Value = ServiceKey> {
    let protocol = prop_oneof![4 => Just(6_u16), 2 => Just(17), 1 => Just(132), 1 => any::<u16>()];
    prop_oneof![
        3 => (protocol, address(), 79_u16..81).prop_map(|(protocol, address, port)| {
            ServiceKey::Address { protocol: Protocol::from_number(protocol), address, port }
        }),
        1 => (family(), 1_u32..4).prop_map(|(family, mark)| {
            ServiceKey::firewall_mark(family, NonZeroU32::new(mark).unwrap_or(NonZeroU32::MIN))
        }),
    ]
}

pub(crate) fn destination_key() -> impl Strategy<Value = DestinationKey> {
    (address(), 79_u16..81).prop_map(|(address, port)| DestinationKey::new(address, port))
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9]{0,14}".prop_map(|name| name.parse().expect("1 to 15 letters"))
}

pub(crate) fn service() -> impl Strategy<Value = Service> {
    let scheduler = prop_oneof![
        4 => proptest::sample::select(&Scheduler::KNOWN[..]),
        1 => name().prop_map(|name| name.as_str().parse().expect("a name")),
    ];
    let persistence = proptest::option::of((
        1..=Persistence::MAX_SECONDS,
        1_u8..=32,
        proptest::option::of(name()),
    ));
    (service_key(), scheduler, any::<u32>(), persistence).prop_map(
        |(key, scheduler, flags, persistence)| {
            let service =
                Service::new(key, scheduler).with_flags(ServiceFlags::from_bits_truncate(flags));
            let Some((seconds, len, engine)) = persistence else { return service };
            let netmask = Netmask::prefix(key.family(), len).expect("1 to 32 is right for both");
            let persistence =
                Persistence::new(Duration::from_secs(seconds.into()), netmask).expect("in range");
            let persistence = match engine {
                Some(engine) => persistence.with_engine(engine),
                None => persistence,
            };
            service.with_persistence(persistence).expect("of the same family")
        },
    )
}

fn method() -> impl Strategy<Value = ForwardingMethod> {
    let checksum = proptest::sample::select(&[
        TunnelChecksum::None,
        TunnelChecksum::Full,
        TunnelChecksum::RemoteOffload,
    ]);
    let tunnel =
        (0_u8..3, any::<NonZeroU16>(), checksum).prop_map(|(kind, port, checksum)| match kind {
            0 => Tunnel::Ipip,
            1 => Tunnel::Gue { port, checksum },
            _ => Tunnel::Gre { checksum },
        });
    prop_oneof![
        Just(ForwardingMethod::Masquerade),
        Just(ForwardingMethod::Local),
        tunnel.prop_map(ForwardingMethod::Tunnel),
        Just(ForwardingMethod::DirectRoute),
        Just(ForwardingMethod::Bypass),
    ]
}

pub(crate) fn destination() -> impl Strategy<Value = Destination> {
    let thresholds = (0_u32..=0x7fff_ffff).prop_flat_map(|upper| (Just(upper), 0..=upper));
    let weight = prop_oneof![1 => Just(0_u32), 3 => 1..=0x7fff_ffff_u32];
    (destination_key(), method(), weight, proptest::option::of(thresholds)).prop_map(
        |(key, method, weight, thresholds)| {
            let (upper, lower) = thresholds.unwrap_or_default();
            Destination::new(key, method)
                .with_weight(Weight::new(weight).expect("in range"))
                .with_thresholds(Thresholds::new(upper, lower).expect("in order"))
        },
    )
}

pub(crate) fn table() -> impl Strategy<Value = Table> {
    let services = proptest::collection::vec(
        (service(), proptest::collection::vec(destination(), 0..5)),
        0..6,
    );
    services.prop_map(|services| {
        let mut table = Table::new();
        for (service, destinations) in services {
            let entry = table.insert(service);
            for destination in destinations {
                entry.insert(destination);
            }
        }
        table
    })
}

/// Two tables, the second of which has some of the first's services and destinations, changed or not.
pub(crate) fn related_table() -> impl Strategy<Value = (Table, Table)> {
    let change =
        (any::<u8>(), service(), proptest::collection::vec((any::<u8>(), destination()), 5));
    (table(), table(), proptest::collection::vec(change, 6)).prop_map(
        |(first, mut second, changes)| {
            for ((key, entry), (fate, other, destinations)) in first.iter().zip(changes) {
                if fate % 4 == 0 {
                    continue;
                }
                let service = entry.service().clone();
                let service =
                    if fate % 4 == 1 { service } else { service.with_flags(other.flags()) };
                let copy = second.insert(service);
                // Often the servers are replaced, all of them at once.
                let replaced = fate % 3 == 0;
                for (present, (fate, other)) in entry.destinations().zip(destinations) {
                    match if replaced { fate % 3 } else { fate % 5 } {
                        0 => {}
                        1 => drop(copy.insert(other)),
                        2 => drop(copy.insert(present.with_weight(Weight::QUIESCED))),
                        3 => drop(copy.insert(present.with_weight(other.weight()))),
                        _ => drop(copy.insert(*present)),
                    }
                }
                assert!(second.contains(key));
            }
            (first, second)
        },
    )
}
