//! The peers and the watchers, on real programs.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use lab::peers::{Daemon, Frr, FrrVirtualRouter, Nginx};
use lab::probe::Prober;
use lab::{AddressMonitor, Bridge, Capture, Filter, Namespace, Node, need};

const PATIENCE: Duration = Duration::from_secs(10);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 80);

#[test]
fn a_prober_sees_a_server_stop_and_start() {
    need!(netns, nginx);
    let (client, server) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    lab::veth(&client, "eth0", &server, "eth0").unwrap();
    client.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    server.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
    let prober = Prober::start(&client, CLIENT, SERVER, Duration::from_millis(1)).unwrap();
    let nginx = Nginx::start(&server, "one").unwrap();
    let first = prober.wait_answer(Duration::ZERO, PATIENCE).unwrap();
    assert_eq!(client.run(|| lab::http::get(CLIENT, SERVER, PATIENCE)).unwrap(), "one");
    nginx.stop().unwrap();
    let stopped = lab::now();
    assert_eq!(
        client.run(|| lab::http::get(CLIENT, SERVER, PATIENCE)).unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    let _nginx = Nginx::start(&server, "two").unwrap();
    let second = prober.wait_answer(stopped, PATIENCE).unwrap();
    assert_eq!(client.run(|| lab::http::get(CLIENT, SERVER, PATIENCE)).unwrap(), "two");
    let gaps = lab::probe::gaps(&prober.stop().unwrap());
    let between =
        gaps.iter().find(|gap| gap.to == Some(second)).expect("a gap before the second nginx");
    assert!(between.from > first && between.lost > 0, "{between:?}");
}

#[test]
fn a_monitor_hears_of_both_families() {
    need!(netns);
    let node = Namespace::new().unwrap();
    let mut monitor = AddressMonitor::open(&node).unwrap();
    // One after the other: the kernel tells of IPv6 addresses when it comes to it.
    for (command, added, address, prefix) in [
        ("addr add 192.0.2.7/32 dev lo", true, "192.0.2.7", 32),
        ("addr add 2001:db8::7/128 dev lo nodad", true, "2001:db8::7", 128),
        ("addr del 192.0.2.7/32 dev lo", false, "192.0.2.7", 32),
    ] {
        node.ip(command).unwrap();
        let event = monitor.next(PATIENCE).unwrap().expect(command);
        let address: IpAddr = address.parse().unwrap();
        assert_eq!((event.added, event.address, event.prefix), (added, address, prefix));
        assert_eq!((event.link, event.at <= lab::now()), (1, true));
    }
}

#[test]
fn keepalived_takes_an_address_and_gives_it_back() {
    need!(netns, keepalived);
    let (switch, node) = (Bridge::new().unwrap(), Node::new().unwrap());
    switch.attach(&node, "ens33", "director").unwrap();
    node.ip("addr add 192.0.2.3/24 dev ens33").unwrap();
    let files = tempfile::tempdir().unwrap();
    let conf = files.path().join("keepalived.conf");
    let text = "vrrp_instance V {\n interface ens33\n virtual_router_id 7\n priority 254\n advert_int 1\n \
                virtual_ipaddress {\n 192.0.2.9\n }\n}\n";
    std::fs::write(&conf, text).unwrap();
    let capture = Capture::open(switch.namespace(), "director", Filter::Failover).unwrap();
    let mut monitor = AddressMonitor::open(&node).unwrap();
    let mut daemon = Daemon::Keepalived.start(&node, &conf).unwrap();
    let mut address = |added| {
        let wanted = |event: &lab::AddressEvent| event.address == IpAddr::from([192, 0, 2, 9]);
        let event = std::iter::from_fn(|| monitor.next(PATIENCE).unwrap()).find(wanted);
        assert_eq!(event.map(|event| event.added), Some(added), "{}", daemon.log());
    };
    address(true);
    let advertisement =
        capture.find(PATIENCE, |frame| frame.is_vrrp().then(|| frame.clone())).unwrap().unwrap();
    // IPv4 header of 20 octets (24 with a router alert is not keepalived's habit), then version and type.
    assert_eq!(advertisement.payload().get(20), Some(&0x21));
    daemon.signal(rustix::process::Signal::TERM).unwrap();
    address(false);
    daemon.terminate().unwrap();
}

#[test]
fn frr_takes_its_interface_up_says_goodbye_and_leaves_nothing() {
    need!(netns, frr);
    let (switch, node) = (Bridge::new().unwrap(), Node::new().unwrap());
    switch.attach(&node, "eth0", "router").unwrap();
    node.ip("addr add 192.0.2.3/24 dev eth0").unwrap();
    Frr::virtual_interface(&node, "vrrp4", "eth0", 7, &["192.0.2.9/24"]).unwrap();
    let configuration = FrrVirtualRouter {
        interface: "eth0",
        vrid: 7,
        version: 3,
        priority: 254,
        milliseconds: 100,
        preempt: true,
        addresses: &["192.0.2.9".parse().unwrap()],
    }
    .configuration();
    let capture = Capture::open(switch.namespace(), "router", Filter::Failover).unwrap();
    let frr = Frr::start(&node, &configuration).unwrap();
    let next = |wanted: u8| {
        let find = |frame: &lab::Frame| {
            (frame.is_vrrp() && frame.payload().get(22) == Some(&wanted)).then(|| frame.clone())
        };
        capture.find(PATIENCE, find).unwrap().unwrap_or_else(|| panic!("{}", frr.log()))
    };
    assert_eq!(next(254).source_mac(), Some([0, 0, 0x5e, 0, 1, 7]));
    frr.vrrpd().signal_stop().unwrap();
    next(0);
    let ids = frr.ids();
    frr.stop().unwrap();
    assert!(ids.iter().all(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()));
}
