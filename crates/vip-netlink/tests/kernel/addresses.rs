//! Addresses added to and removed from a real kernel.

use core::net::IpAddr;

use crate::outside::Cable;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use vip_netlink::{
    Action, Address, Change, Client, Object, PresentAddress, QueryError, Scope, SysctlChange,
};
use vip_netlink::{link_local_ipv6, primary_ipv4};

fn all(results: Vec<Result<Change, vip_netlink::ChangeError>>, change: Change) -> usize {
    let count = results.len();
    for result in results {
        assert_eq!(result.unwrap(), change);
    }
    count
}

#[test]
fn adding_and_removing_are_idempotent() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let addresses = [cable.address("192.0.2.100/24"), cable.address("2001:db8::100/64")];
    let keys: Vec<(IpAddr, u64)> =
        addresses.iter().map(|address| (address.ip(), address.prefix_len().into())).collect();

    assert_eq!(all(client.add(&addresses), Change::Made), 2);
    assert_eq!(cable.shown_keys(), keys);
    all(client.add(&addresses), Change::Already);
    assert_eq!(cable.shown_keys(), keys);
    all(client.remove(&addresses), Change::Made);
    assert!(cable.shown_keys().is_empty());
    all(client.remove(&addresses), Change::Already);
    all(client.add(&addresses), Change::Made);
    assert_eq!(cable.shown_keys(), keys);
    assert!(client.add::<Address>(&[]).is_empty() && client.remove::<Address>(&[]).is_empty());
}

#[test]
fn what_others_added_is_adopted_and_what_others_removed_is_gone() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let address = cable.address("192.0.2.100/24");
    cable.here.ip("address add 192.0.2.100/24 dev eth0").unwrap();
    all(client.add(core::slice::from_ref(&address)), Change::Already);
    cable.here.ip("address del 192.0.2.100/24 dev eth0").unwrap();
    all(client.remove(core::slice::from_ref(&address)), Change::Already);

    // Another prefix length is another IPv4 address, and the same IPv6 address.
    cable
        .here
        .ip_batch(["address add 192.0.2.100/32 dev eth0", "address add 2001:db8::100/128 dev eth0"])
        .unwrap();
    all(client.add(&[address]), Change::Made);
    all(client.add(&[cable.address("2001:db8::100/64")]), Change::Already);
    assert_eq!(cable.shown_keys().len(), 3);
}

#[test]
fn three_hundred_at_once() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let v4 = (0..300_u32).map(|n| IpAddr::from((0x0a00_0001_u32 + n).to_be_bytes()));
    let v6 = (1..=300_u16).map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]));
    let addresses: Vec<_> = v4
        .chain(v6)
        .map(|ip| Address::new(cable.index, ip, if ip.is_ipv4() { 32 } else { 128 }).unwrap())
        .collect();
    assert_eq!(all(client.add(&addresses), Change::Made), 600);
    let mut shown = cable.shown_keys();
    shown.sort_unstable();
    let mut wanted: Vec<_> =
        addresses.iter().map(|a| (a.ip(), u64::from(a.prefix_len()))).collect();
    wanted.sort_unstable();
    assert!(shown == wanted, "{} of {}", shown.len(), wanted.len());
    // In chunks of a caller's choice, with a half of it gone already.
    for chunk in addresses.chunks(16) {
        client.remove(&chunk[..chunk.len() / 2]);
    }
    let removed: Vec<_> =
        addresses.chunks(16).flat_map(|chunk| client.remove(chunk)).map(Result::unwrap).collect();
    let count = |wanted| removed.iter().filter(|&&change| change == wanted).count();
    assert_eq!((count(Change::Made), count(Change::Already)), (300, 300));
    assert!(cable.shown_keys().is_empty());
}

#[test]
fn properties_arrive_in_the_kernel_and_come_back() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let labelled = cable
        .address("192.0.2.100/24")
        .label("eth0:web")
        .unwrap()
        .broadcast([192, 0, 2, 255].into())
        .scope(Scope::LINK)
        .prefix_route(false)
        .protocol(18);
    let host = cable.address("2001:db8::100/128");
    let subnet = cable.address("2001:db8:1::100/64");
    let wanted = [labelled.clone(), host.clone(), subnet.clone()];
    all(client.add(&wanted), Change::Made);

    let shown = cable.shown();
    let find = |ip: &str| shown.iter().find(|info| info["local"] == ip).unwrap();
    let info = find("192.0.2.100");
    assert_eq!(
        (info["label"].as_str(), info["scope"].as_str()),
        (Some("eth0:web"), Some("link")),
        "{info}"
    );
    assert_eq!(
        (info["broadcast"].as_str(), info["noprefixroute"].as_bool()),
        (Some("192.0.2.255"), Some(true))
    );
    assert!(info["protocol"].as_str().is_none_or(|name| name == "keepalived"), "{info}"); // from Linux 5.18, its number is 18
    let info = find("2001:db8::100");
    assert_eq!(
        (info["deprecated"].as_bool(), info["preferred_life_time"].as_u64()),
        (Some(true), Some(0)),
        "{info}"
    );
    assert_eq!(
        (info["nodad"].as_bool(), info["tentative"].as_bool()),
        (Some(true), None),
        "{info}"
    );
    let info = find("2001:db8:1::100");
    assert_eq!((info["deprecated"].as_bool(), info["tentative"].as_bool()), (None, None), "{info}");

    let present = client.addresses().unwrap();
    for address in &wanted {
        let found = present.iter().find(|present| present.address.key() == address.key()).unwrap();
        assert_eq!(found.address, *address);
        assert!(found.permanent && !found.tentative && !found.secondary && !found.duplicate);
    }
    // The text of an address is enough to remove it.
    let read: Vec<Address> =
        wanted.iter().map(|address| address.to_string().parse().unwrap()).collect();
    all(client.remove(&read), Change::Made);
    assert!(cable.shown_keys().is_empty());
}

#[test]
fn duplicate_detection_happens_only_on_demand() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let without = cable.address("2001:db8::1/64");
    let with = cable.address("2001:db8::2/64").detect_duplicates(true);
    all(client.add(&[without.clone(), with.clone()]), Change::Made);
    let present = client.addresses().unwrap();
    let tentative = |address: &Address| {
        present.iter().find(|present| present.address.key() == address.key()).unwrap().tentative
    };
    assert!(!tentative(&without));
    assert!(tentative(&with));
}

#[test]
fn each_address_has_its_own_error_with_a_remedy() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    cable.here.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1").unwrap();
    let addresses = [
        cable.address("192.0.2.1/32"),
        Address::new(9999, "192.0.2.2".parse().unwrap(), 24).unwrap(),
        cable.address("2001:db8::1/64"),
        cable.address("192.0.2.3/32"),
    ];
    let results = client.add(&addresses);
    assert_eq!(
        (results[0].clone().unwrap(), results[3].clone().unwrap()),
        (Change::Made, Change::Made)
    );
    let missing = results[1].clone().unwrap_err();
    assert_eq!(
        (missing.action(), missing.object(), missing.errno()),
        (Action::Add, &Object::Address(addresses[1].clone()), Some(libc::ENODEV))
    );
    assert_eq!(
        missing.to_string(),
        "cannot add 192.0.2.2/24 on the interface with index 9999: there is no such interface (any more); there are: lo, eth0"
    );
    let disabled = results[2].clone().unwrap_err().to_string();
    assert!(
        disabled.contains("2001:db8::1/64 on eth0")
            && disabled.contains("net/ipv6/conf/eth0/disable_ipv6"),
        "{disabled}"
    );
    assert_eq!(cable.shown_keys().len(), 2);
    // An interface that is gone has no addresses, nor one without IPv6: that is what removing is for.
    let removed: Vec<_> = client.remove(&addresses).into_iter().map(Result::unwrap).collect();
    assert_eq!(removed, [Change::Made, Change::Already, Change::Already, Change::Made]);
}

#[test]
fn without_privilege_the_missing_capability_is_named() {
    lab::need!(netns);
    let cable = Cable::new();
    let refused = cable.here.run(|| {
        let effective = capabilities(None).unwrap();
        let dropped = CapabilitySets { effective: CapabilitySet::empty(), ..effective };
        set_capabilities(None, dropped).unwrap(); // of this thread, which ends with this closure
        let mut client = Client::open().unwrap();
        client.links().unwrap();
        client.add(&[cable.address("192.0.2.1/24")]).remove(0).unwrap_err()
    });
    assert!(refused.to_string().contains("CAP_NET_ADMIN"), "{refused}");
    assert!(cable.shown_keys().is_empty());
}

#[test]
fn a_missing_interface_is_answered_with_those_that_exist() {
    lab::need!(netns);
    let cable = Cable::carrying();
    let mut client = cable.client();
    let link = client.link("eth0").unwrap();
    assert_eq!(
        (link.index, link.up, link.can_announce(), link.mtu),
        (cable.index, true, true, 1500)
    );
    let lo = client.link("lo").unwrap();
    assert!(lo.loopback && lo.up && !lo.can_announce() && lo.mac.is_none());
    let error = client.link("eth7").unwrap_err();
    assert!(
        matches!(&error, QueryError::NoSuchInterface { existing, .. } if existing == &["lo", "eth0"])
    );
    assert_eq!(error.to_string(), "there is no network interface \"eth7\"; there are: lo, eth0");
}

#[test]
fn promoted_secondaries_outlive_their_primary() {
    lab::need!(netns);
    for promote in ["0", "1"] {
        let cable = Cable::new();
        let mut client = cable.client();
        cable.here.run(|| {
            SysctlChange::plan_ipv4("all", "promote_secondaries", "0").unwrap().apply().unwrap();
            SysctlChange::plan_ipv4("eth0", "promote_secondaries", promote)
                .unwrap()
                .apply()
                .unwrap();
        });
        let addresses = [cable.address("192.0.2.1/24"), cable.address("192.0.2.2/24")];
        all(client.add(&addresses), Change::Made);
        assert!(client.addresses().unwrap().iter().any(|present| present.secondary));
        all(client.remove(&addresses[..1]), Change::Made);
        assert_eq!(cable.shown_keys().len(), usize::from(promote == "1"));
        let second = if promote == "1" { Change::Made } else { Change::Already };
        all(client.remove(&addresses[1..]), second);
    }
}

#[test]
fn own_source_addresses_are_found_among_virtual_ones() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let virtual_addresses = [cable.address("192.0.2.100/24"), cable.address("fe80::100/64")];
    all(client.add(&virtual_addresses), Change::Made); // left from an earlier life: before the own address
    cable
        .here
        .ip_batch(["address add 192.0.2.7/24 dev eth0", "address add fe80::7/64 dev eth0 nodad"])
        .unwrap();
    let present: Vec<PresentAddress> = client.addresses().unwrap();
    let excluded: Vec<IpAddr> = virtual_addresses.iter().map(Address::ip).collect();
    assert_eq!(primary_ipv4(&present, cable.index, &excluded), Some([192, 0, 2, 7].into()));
    assert_eq!(primary_ipv4(&present, cable.index, &[]), Some([192, 0, 2, 100].into()));
    assert_eq!(link_local_ipv6(&present, cable.index, &excluded), Some("fe80::7".parse().unwrap()));
}

#[test]
fn peers_and_rare_properties_arrive_and_come_back() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let peer = |address: Address, peer: &str| address.peer(peer.parse().unwrap()).unwrap();
    let wanted = [
        peer(cable.address("10.0.0.1/32"), "10.0.0.2"),
        peer(cable.address("10.0.0.1/24"), "10.0.1.2"),
        peer(cable.address("2001:db8::1/128"), "2001:db8::2").deprecated(false),
        cable.address("2001:db8::3/64").home(true),
        cable.address("2001:db8::4/64").manage_temporary(true).prefix_route(false),
        cable.address("10.0.0.9/32").deprecated(true),
    ];
    all(client.add(&wanted), Change::Made);
    all(client.add(&wanted), Change::Already);
    let shown = cable.shown();
    let find = |ip: &str| shown.iter().find(|info| info["local"] == ip).unwrap();
    assert_eq!(find("10.0.0.1")["address"], "10.0.0.2");
    assert_eq!(find("2001:db8::1")["address"], "2001:db8::2");
    assert_eq!(find("2001:db8::4")["mngtmpaddr"], true);
    assert_eq!(find("10.0.0.9")["deprecated"], true);
    let present: Vec<Address> =
        client.addresses().unwrap().into_iter().map(|present| present.address).collect();
    for wanted in &wanted {
        assert!(
            present.iter().any(|present| wanted.agrees_with(present)),
            "{wanted} is not among {present:?}"
        );
    }
    let read: Vec<Address> =
        wanted.iter().map(|address| address.to_string().parse().unwrap()).collect();
    all(client.remove(&read), Change::Made);
    assert!(
        cable.shown_keys().iter().all(|(ip, _)| !wanted.iter().any(|wanted| wanted.ip() == *ip))
    );
}
