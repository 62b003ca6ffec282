//! A host that has addresses and does not answer for them, asked from the other end of the cable.

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use crate::outside::{Cable, PATIENCE};
use lab::{Capture, Filter, Frame, Namespace, eventually};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use vip_netlink::{Change, Client, Entry, Silence, SilenceError, Silenced};

const VIP4: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
const LINK6: &str = "fe80::100";
const OWN4: &str = "192.0.2.7";
const OWN6: &str = "2001:db8::7";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A host with its own and virtual addresses, and a neighbour who asks.
struct Host {
    cable: Cable,
    silence: Silence,
}

impl Host {
    fn new() -> Self {
        let cable = Cable::carrying();
        let add = |address: &str, device: &str| {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            format!("address add {address} dev {device}{nodad}")
        };
        for (namespace, device, addresses) in [
            (&cable.here, "eth0", [OWN4, VIP4, OWN6, VIP6, LINK6].as_slice()),
            (&cable.there, "eth1", ["192.0.2.1", "2001:db8::1", "fe80::1"].as_slice()),
        ] {
            let lines: Vec<String> = addresses
                .iter()
                .map(|address| {
                    let len = if address.contains(':') { 64 } else { 24 };
                    add(&format!("{address}/{len}"), device)
                })
                .collect();
            namespace.ip_batch(lines.iter().map(String::as_str)).unwrap();
        }
        let silence = cable.here.run(|| Silence::open("vrrp")).unwrap();
        let host = Self { cable, silence };
        for address in [OWN4, VIP4, OWN6, VIP6, LINK6] {
            assert!(host.answers(address), "{address} is not there to be silenced");
        }
        host
    }

    /// Pings until there is an answer.
    fn answers(&self, address: &str) -> bool {
        eventually(PATIENCE, || self.ping(address).then_some(())).is_some()
    }

    /// One ping, from somebody who does not know the MAC address.
    fn ping(&self, address: &str) -> bool {
        self.forget();
        self.ping_known(address)
    }

    fn ping_known(&self, address: &str) -> bool {
        let zone = if address.starts_with("fe80") { "%eth1" } else { "" };
        let mut ping = Command::new("ping");
        ping.args(["-n", "-c1", "-W1", &format!("{address}{zone}")]);
        self.cable.there.output(&mut ping).unwrap().status.success()
    }

    /// Does it answer a neighbour who knows it and asks, by unicast, whether it is still there?
    fn confirms(&self, address: &str) -> bool {
        let own = self.cable.client().link("eth0").unwrap().mac.unwrap();
        let mac = own.map(|octet| format!("{octet:02x}")).join(":");
        let capture = Capture::open(&self.cable.there, "eth1", Filter::Failover).unwrap();
        self.cable
            .there
            .ip_batch([
                "neighbour flush dev eth1",
                &format!("neighbour replace {address} lladdr {mac} nud probe dev eth1"),
            ])
            .unwrap();
        let solicited = |frame: &Frame| {
            let payload = frame.payload();
            let of_it = payload.get(48..64).is_some_and(|target| {
                IpAddr::from(<[u8; 16]>::try_from(target).unwrap()) == ip(address)
            });
            (of_it && payload.get(40) == Some(&136) && frame.source_mac() == Some(own))
                .then_some(())
        };
        let found = capture.find(PATIENCE, solicited).unwrap();
        found.is_some()
    }

    fn forget(&self) {
        self.cable.there.ip("neighbour flush dev eth1").unwrap();
    }

    /// What leaves the host in the name of the address while it is asked for twice: ARP replies and neighbour advertisements.
    fn told_of(&self, address: &str) -> usize {
        self.forget();
        let capture = Capture::open(&self.cable.there, "eth1", Filter::Failover).unwrap();
        let mac = self.cable.client().link("eth0").unwrap().mac;
        for _ in 0..2 {
            self.ping(address);
        }
        let of_it = |frame: &Frame| {
            let payload = frame.payload();
            let told = match ip(address) {
                IpAddr::V4(ip) => frame.is_arp() && payload.get(14..18) == Some(&ip.octets()),
                IpAddr::V6(ip) => {
                    frame.is_ip_protocol(58)
                        && payload.get(40) == Some(&136)
                        && payload.get(48..64) == Some(&ip.octets())
                }
            };
            told && frame.source_mac() == mac
        };
        capture.drain().unwrap().iter().filter(|frame| of_it(frame)).count()
    }
}

fn nft(namespace: &Namespace, arguments: &str) -> String {
    let mut nft = Command::new("nft");
    let output = namespace.output(nft.args(arguments.split(' '))).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_muted_address_does_not_exist_for_others() {
    lab::need!(netns, nftables);
    let mut host = Host::new();
    let index = host.cable.index;
    for address in [VIP4, VIP6, LINK6] {
        assert!(
            host.told_of(address) > 0,
            "{address}: the capture sees nothing, the rest proves nothing"
        );
    }
    host.silence
        .set([VIP4, VIP6, LINK6].map(|address| Silenced::muted(ip(address), index)))
        .unwrap();
    for address in [VIP4, VIP6, LINK6] {
        assert_eq!(host.told_of(address), 0, "{address}");
    }
    // Nor for those who know where it is.
    let own = host.cable.client().link("eth0").unwrap().mac.unwrap();
    let own = own.map(|octet| format!("{octet:02x}")).join(":");
    for address in [VIP4, VIP6] {
        host.cable
            .there
            .ip(&format!("neighbour replace {address} lladdr {own} nud permanent dev eth1"))
            .unwrap();
        assert!(!host.ping_known(address), "{address}");
    }
    // The host itself is as it was.
    for address in [OWN4, OWN6] {
        assert!(host.answers(address), "{address}");
    }
    host.silence.set([]).unwrap();
    for address in [VIP4, VIP6, LINK6] {
        assert!(host.answers(address), "{address}");
    }
}

#[test]
fn a_refused_address_is_found_and_takes_no_packets() {
    lab::need!(netns, nftables);
    let mut host = Host::new();
    let index = host.cable.index;
    host.silence
        .set([VIP4, VIP6, LINK6].map(|address| Silenced::refused(ip(address), index)))
        .unwrap();
    for address in [VIP4, VIP6, LINK6] {
        assert!(host.told_of(address) > 0, "{address} is not resolved any more");
        assert!(!host.ping(address), "{address}");
    }
    assert!(host.confirms(VIP6), "RFC 9568 §6.4.3: neighbour solicitations must not be dropped");
    for address in [OWN4, OWN6] {
        assert!(host.answers(address), "{address}");
    }
    assert_eq!(host.silence.remove(), Ok(Change::Made));
    assert_eq!(host.silence.remove(), Ok(Change::Already));
    for address in [VIP4, VIP6, LINK6] {
        assert!(host.answers(address), "{address}");
    }
    assert_eq!(nft(&host.cable.here, "list ruleset"), "");
}

#[test]
fn a_link_local_address_is_silenced_on_its_interface_only() {
    lab::need!(netns, nftables);
    let mut host = Host::new();
    let elsewhere = host.cable.index + 1;
    host.silence
        .set([Silenced::muted(ip(LINK6), elsewhere), Silenced::refused(ip(LINK6), elsewhere)])
        .unwrap();
    assert!(host.answers(LINK6));
    host.silence.set([Silenced::refused(ip(LINK6), host.cable.index)]).unwrap();
    assert!(!host.ping(LINK6));
}

#[test]
fn what_is_there_is_read_replaced_and_made_anew() {
    lab::need!(netns, nftables);
    let namespace = Namespace::new().unwrap();
    nft(&namespace, "add table inet others");
    nft(&namespace, "add table inet vrrp"); // of a predecessor, with other things in it
    nft(&namespace, "add chain inet vrrp other");
    let mut silence = namespace.run(|| Silence::open("vrrp")).unwrap();
    let first: BTreeSet<Silenced> = [
        Silenced::muted(ip(VIP4), 3),
        Silenced::refused(ip(VIP6), 3),
        Silenced::muted(ip(LINK6), 3),
    ]
    .into();
    assert!(namespace.run(|| Silence::open("unused")).unwrap().present().unwrap().is_none());
    silence.set(first.clone()).unwrap();
    assert_eq!(silence.present(), Ok(Some(first)));
    let listed = nft(&namespace, "list ruleset");
    assert!(listed.contains("table inet others") && !listed.contains("chain other"), "{listed}");
    assert!(
        listed.contains("ip daddr @muted4 drop") && listed.contains("arp saddr ip @muted drop"),
        "{listed}"
    );

    let second: BTreeSet<Silenced> =
        [Silenced::refused(ip(VIP4), 3), Silenced::refused(ip(VIP6), 3)].into();
    silence.set(second.clone()).unwrap();
    assert_eq!(silence.present(), Ok(Some(second.clone())));
    // Somebody removes what we removed, and then everything.
    nft(&namespace, "flush set inet vrrp refused4");
    let third: BTreeSet<Silenced> = [Silenced::muted(ip(VIP4), 3)].into();
    silence.set(third.clone()).unwrap();
    assert_eq!(silence.present(), Ok(Some(third)));
    nft(&namespace, "flush ruleset");
    silence.set(second.clone()).unwrap();
    assert_eq!(silence.present(), Ok(Some(second)));
    // A successor removes it by what the journal says.
    let entry: Entry = Entry::Silence("vrrp".to_owned()).to_string().parse().unwrap();
    namespace.run(|| {
        let mut client = Client::open().unwrap();
        assert_eq!(client.undo(&entry).unwrap(), Change::Made);
        assert_eq!(client.undo(&entry).unwrap(), Change::Already);
    });
    assert_eq!(nft(&namespace, "list ruleset"), "");
}

#[test]
fn five_thousand_addresses_change_in_one_transaction() {
    lab::need!(netns, nftables);
    let namespace = Namespace::new().unwrap();
    let mut silence = namespace.run(|| Silence::open("vrrp")).unwrap();
    let addresses = (0..2500_u32).flat_map(|n| {
        [
            IpAddr::from((0x0a00_0000 + n).to_be_bytes()),
            IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(n)).to_be_bytes()),
        ]
    });
    let muted: BTreeSet<Silenced> = addresses.clone().map(|ip| Silenced::muted(ip, 3)).collect();
    let refused: BTreeSet<Silenced> = addresses.map(|ip| Silenced::refused(ip, 3)).collect();
    let mut took = Vec::new();
    for wanted in [&muted, &refused, &BTreeSet::new(), &muted] {
        let before = now();
        silence.set(wanted.iter().copied()).unwrap();
        took.push(now() - before);
        assert_eq!(silence.present().unwrap().as_ref(), Some(wanted));
    }
    assert!(took.iter().all(|took| *took < PATIENCE), "{took:?}");
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn without_privilege_the_missing_capability_is_named() {
    lab::need!(netns, nftables);
    let namespace = Namespace::new().unwrap();
    let error = namespace.run(|| {
        let all = capabilities(None).unwrap();
        set_capabilities(None, CapabilitySets { effective: CapabilitySet::empty(), ..all })
            .unwrap();
        Silence::open("vrrp").unwrap().set([Silenced::muted(ip(VIP4), 3)]).unwrap_err()
    });
    assert!(matches!(error, SilenceError::NoPermission { .. }), "{error:?}");
    assert!(
        error.to_string().contains("cannot make the firewall table vrrp: it needs CAP_NET_ADMIN"),
        "{error}"
    );
}

#[test]
fn a_quiet_interface_does_not_tell_what_it_listens_to() {
    lab::need!(netns, nftables);
    for quiet in [false, true] {
        let cable = Cable::carrying();
        cable.here.ip("address add 2001:db8::7/64 dev eth0 nodad").unwrap();
        let mut silence = cable.here.run(|| Silence::open("vrrp")).unwrap();
        silence.set_quiet(quiet.then_some(cable.index)).unwrap();
        let capture = Capture::open(&cable.there, "eth1", Filter::All).unwrap();
        let own = cable.client().link("eth0").unwrap().mac;
        // Joins and leaves are reported at once, and the ping comes after them.
        cable
            .here
            .ip_batch([
                "address add 2001:db8::8/64 dev eth0 nodad",
                "address del 2001:db8::8/64 dev eth0",
            ])
            .unwrap();
        let _membership = cable.here.run(|| join(cable.index));
        cable.there.ip_batch(["address add 2001:db8::1/64 dev eth1 nodad"]).unwrap();
        let report = |frame: &Frame| {
            let mld = frame.ethertype() == 0x86dd && frame.payload().get(6) == Some(&0); // hop-by-hop: router alert
            frame.source_mac() == own && (mld || frame.is_ip_protocol(2))
        };
        if quiet {
            let reached = eventually(PATIENCE, || {
                let mut ping = Command::new("ping");
                ping.args(["-n", "-c1", "-W1", "2001:db8::7"]);
                cable.there.output(&mut ping).unwrap().status.success().then_some(())
            });
            assert!(reached.is_some(), "all else goes on");
            assert!(!capture.drain().unwrap().iter().any(report));
        } else {
            let found = capture.find(PATIENCE, |frame| report(frame).then_some(())).unwrap();
            assert!(found.is_some(), "there is nothing to keep quiet");
        }
    }
}

/// Listens to a group, as a daemon does.
fn join(interface: u32) -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind("[::]:0").unwrap();
    socket.join_multicast_v6(&"ff02::1234".parse().unwrap(), interface).unwrap();
    socket
}
