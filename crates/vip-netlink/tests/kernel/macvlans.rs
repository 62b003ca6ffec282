//! Interfaces for virtual MAC addresses on a real kernel, as the other end of the cable sees them.

use std::process::Command;

use crate::outside::{Cable, PATIENCE};
use lab::{Capture, Filter, Frame, eventually};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use vip_netlink::{
    Address, Change, Client, Entry, Macvlan, MacvlanError, MacvlanMode, SysctlChange, SysctlClaims,
    all_rp_filter_pushed_down, parent_sysctls,
};

const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 0x33];
const MAC6: [u8; 6] = [0, 0, 0x5e, 0, 2, 0x33];

fn device(cable: &Cable) -> Macvlan {
    Macvlan::new("vrrp.51", cable.index, MAC).unwrap()
}

/// Makes the device with its sysctls, gives it the address and sets it up; what was changed on other interfaces.
fn hold(cable: &Cable, device: &Macvlan, vip: &str, with_sysctls: bool) -> Vec<SysctlChange> {
    let ipv6 = vip.contains(':');
    cable.here.run(|| {
        let mut client = Client::open().unwrap();
        let (change, link) = client.create_macvlan(device).unwrap();
        assert_eq!(change, Change::Made);
        let mut shared = Vec::new();
        if with_sysctls {
            device.sysctls(ipv6).unwrap().iter().for_each(|change| change.apply().unwrap());
            shared = parent_sysctls("eth0").unwrap();
            shared.extend(all_rp_filter_pushed_down(["lo", "eth0"]).unwrap());
            for change in &shared {
                change.apply().unwrap();
            }
        }
        let (ip, len) = vip.split_once('/').unwrap();
        let address = Address::new(link.index, ip.parse().unwrap(), len.parse().unwrap()).unwrap();
        assert_eq!(client.add(&[address]), [Ok(Change::Made)]);
        client.set_up(device).unwrap();
        shared
    })
}

/// The MAC addresses of all who answer an ARP request for the address, until one of them is `last`.
fn answers_until(cable: &Cable, vip: &str, last: [u8; 6]) -> Vec<[u8; 6]> {
    let target: core::net::Ipv4Addr = vip.parse().unwrap();
    let capture = Capture::open(&cable.there, "eth1", Filter::Failover).unwrap();
    let mut answers = Vec::new();
    let is_reply = |frame: &Frame| {
        let arp = frame.payload();
        let fits =
            frame.is_arp() && arp.get(7) == Some(&2) && arp.get(14..18) == Some(&target.octets());
        fits.then(|| frame.source_mac()).flatten()
    };
    eventually(PATIENCE, || {
        // Each ping of an address that nobody is known for asks for it once.
        drop(cable.there.ip("neighbour flush dev eth1"));
        cable.there.output(Command::new("ping").args(["-c1", "-W1", vip])).unwrap();
        for frame in capture.drain().unwrap() {
            answers.extend(is_reply(&frame));
        }
        answers.contains(&last).then_some(())
    });
    answers
}

fn own_mac(cable: &Cable) -> [u8; 6] {
    cable.client().link("eth0").unwrap().mac.unwrap()
}

#[test]
fn only_the_virtual_mac_answers_for_the_virtual_address() {
    lab::need!(netns, macvlan);
    let cable = Cable::carrying();
    cable.here.ip("address add 192.0.2.7/24 dev eth0").unwrap();
    cable.there.ip("address add 192.0.2.1/24 dev eth1").unwrap();
    let device = device(&cable);
    let shared = hold(&cable, &device, "192.0.2.100/32", true);
    let answers = answers_until(&cable, "192.0.2.100", MAC);
    assert!(!answers.is_empty() && answers.iter().all(|mac| *mac == MAC), "{answers:x?}");
    // The host's own address still has the host's own MAC address.
    let own = own_mac(&cable);
    let answers = answers_until(&cable, "192.0.2.7", own);
    assert!(!answers.is_empty() && answers.iter().all(|mac| *mac == own), "{answers:x?}");
    // Put back, nothing is left.
    cable.here.run(|| {
        let mut client = Client::open().unwrap();
        assert_eq!(client.remove_macvlan(&device), Ok(Change::Made));
        assert!(
            shared
                .iter()
                .rev()
                .filter(|change| change.is_needed())
                .all(|change| change.undo().unwrap())
        );
        assert_eq!(client.remove_macvlan(&device), Ok(Change::Already));
        for change in parent_sysctls("eth0").unwrap() {
            assert!(change.is_needed() && change.before() == "0", "{change}");
        }
    });
    assert!(answers_until(&cable, "192.0.2.7", own).contains(&own));
}

#[test]
fn without_the_sysctls_the_real_mac_answers_too() {
    lab::need!(netns, macvlan);
    let cable = Cable::carrying();
    cable.here.ip("address add 192.0.2.7/24 dev eth0").unwrap();
    cable.there.ip("address add 192.0.2.1/24 dev eth1").unwrap();
    hold(&cable, &device(&cable), "192.0.2.100/32", false);
    let own = own_mac(&cable);
    assert!(answers_until(&cable, "192.0.2.100", own).contains(&own), "nothing to protect from");
}

#[test]
fn ipv6_has_its_own_mac_and_no_address_but_ours() {
    lab::need!(netns, macvlan);
    let cable = Cable::carrying();
    // The kernel's default, which the cable switched off.
    cable.here.sysctl("net/ipv6/conf/default/addr_gen_mode", "0").unwrap();
    cable.there.ip("address add 2001:db8::1/64 dev eth1 nodad").unwrap();
    let device = Macvlan::new("vrrp6.51", cable.index, MAC6).unwrap();
    hold(&cable, &device, "2001:db8::100/64", true);
    let mut client = cable.client();
    let link = client.link("vrrp6.51").unwrap();
    assert_eq!(
        (link.mac, link.parent, link.kind.as_deref()),
        (Some(MAC6), Some(cable.index), Some("macvlan"))
    );
    let here =
        client.addresses().unwrap().into_iter().filter(|one| one.address.interface() == link.index);
    let here: Vec<String> = here.map(|one| one.address.ip().to_string()).collect();
    assert_eq!(here, ["2001:db8::100"]);
    let reached = eventually(PATIENCE, || {
        let ping =
            cable.there.output(Command::new("ping").args(["-6", "-c1", "-W1", "2001:db8::100"]));
        ping.unwrap().status.success().then_some(())
    });
    assert!(reached.is_some());
    let output = cable
        .there
        .output(Command::new("ip").args(["neighbour", "show", "2001:db8::100"]))
        .unwrap();
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(known.contains("00:00:5e:00:02:33"), "{known}");
}

#[test]
fn one_that_is_left_is_adopted_and_one_of_others_is_not() {
    lab::need!(netns, macvlan);
    let cable = Cable::new();
    let mut client = cable.client();
    let device = device(&cable).mode(MacvlanMode::Bridge);
    let (change, link) = client.create_macvlan(&device).unwrap();
    assert_eq!(change, Change::Made);
    client.set_up(&device).unwrap();
    let (change, adopted) = client.create_macvlan(&device).unwrap();
    assert_eq!((change, adopted.index), (Change::Already, link.index));
    assert!(!client.link("vrrp.51").unwrap().switched_on, "its addresses come first");

    // Any difference makes it another's.
    let mac = Macvlan::new("vrrp.51", cable.index, [0, 0, 0x5e, 0, 1, 9]).unwrap();
    for other in [
        mac.mode(MacvlanMode::Bridge),
        self::device(&cable),
        Macvlan::new("eth0", cable.index, MAC).unwrap(),
    ] {
        let error = client.create_macvlan(&other).unwrap_err();
        assert!(matches!(error, MacvlanError::NameTaken { .. }), "{error:?}");
        assert!(
            error.to_string().contains("there is another interface of that name (index "),
            "{error}"
        );
        assert_eq!(client.remove_macvlan(&other), Ok(Change::Already));
    }
    assert!(client.link("eth0").is_ok() && client.link("vrrp.51").is_ok());
    // A successor removes it by what the journal says.
    let entry: Entry = Entry::from(device).to_string().parse().unwrap();
    assert_eq!(client.undo(&entry).unwrap(), Change::Made);
    assert_eq!(client.undo(&entry).unwrap(), Change::Already);
    assert!(client.link("vrrp.51").is_err());
}

#[test]
fn the_parents_group_is_taken_over() {
    lab::need!(netns, macvlan);
    let cable = Cable::new();
    cable.here.ip("link set eth0 group 7").unwrap();
    let mut client = cable.client();
    let (_, link) = client.create_macvlan(&device(&cable)).unwrap();
    assert_eq!((link.group, link.master), (7, None));
}

#[test]
fn refusals_say_what_to_do() {
    lab::need!(netns, macvlan);
    let cable = Cable::new();
    let mut client = cable.client();
    let orphan = Macvlan::new("vrrp.51", 9999, MAC).unwrap();
    assert_eq!(
        client.create_macvlan(&orphan).unwrap_err().to_string(),
        "cannot create vrrp.51 on the interface with index 9999: there is no such interface (any more); there are: lo, eth0"
    );
    let first = device(&cable);
    client.create_macvlan(&first).unwrap();
    client.set_up(&first).unwrap();
    let second = Macvlan::new("vrrp.52", cable.index, MAC).unwrap();
    client.create_macvlan(&second).unwrap();
    assert_eq!(
        client.set_up(&second).unwrap_err().to_string(),
        "cannot set vrrp.52 up: vrrp.51 has its MAC address already; two virtual routers of one VRID on one interface, or one left behind"
    );
    client.remove_macvlan(&second).unwrap();
    let error = cable.here.run(|| {
        let all = capabilities(None).unwrap();
        set_capabilities(None, CapabilitySets { effective: CapabilitySet::empty(), ..all })
            .unwrap();
        Client::open().unwrap().create_macvlan(&second).unwrap_err()
    });
    assert!(error.to_string().contains("cannot create vrrp.52: it needs CAP_NET_ADMIN"), "{error}");
}

#[test]
fn rp_filter_of_all_is_pushed_down_and_put_back() {
    lab::need!(netns, macvlan);
    let cable = Cable::new();
    let read = |interface: &str| {
        let path = format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter");
        cable.here.run(|| std::fs::read_to_string(path).unwrap()).trim().to_owned()
    };
    for (name, value) in [("all", "1"), ("eth0", "0"), ("lo", "2")] {
        cable.here.sysctl(&format!("net/ipv4/conf/{name}/rp_filter"), value).unwrap();
    }
    let mut claims = SysctlClaims::new();
    let changes = cable.here.run(|| all_rp_filter_pushed_down(["lo", "eth0"])).unwrap();
    for change in &changes {
        let change = claims.claim(change).unwrap().unwrap();
        cable.here.run(|| change.apply()).unwrap();
    }
    assert_eq!((read("all"), read("eth0"), read("lo")), ("0".into(), "1".into(), "2".into()));
    for change in changes.iter().rev() {
        let change = claims.release(change.name()).unwrap();
        assert!(cable.here.run(|| change.undo()).unwrap());
    }
    assert_eq!((read("all"), read("eth0"), read("lo")), ("1".into(), "0".into(), "2".into()));
}
