//! Virtual servers on a kernel that has IPVS (user-mode Linux where the running one has not).
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use core::time::Duration;
use std::net::TcpListener;
use std::path::PathBuf;

use lab::peers::Daemon;
use lab::peers::Table;
use lab::{Namespace, Node, Process};

const PATIENCE: Duration = Duration::from_secs(20);
const SERVICE: &str = "192.0.2.100:80";

/// A director with `eth0`, and real servers 192.0.2.11 and .12 at the other end of the cable.
struct Scene {
    director: Node,
    servers: Namespace,
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let (director, servers) = (Node::new().unwrap(), Namespace::new().unwrap());
        lab::veth(&director, "eth0", &servers, "eth0").unwrap();
        director.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        servers
            .ip_batch(["addr add 192.0.2.11/24 dev eth0", "addr add 192.0.2.12/24 dev eth0"])
            .unwrap();
        Self { director, servers, directory: tempfile::tempdir().unwrap() }
    }

    fn start(&self, text: &str) -> Process {
        let path = self.directory.path().join("test.conf");
        std::fs::write(&path, text).unwrap();
        Daemon::Vipd(PathBuf::from(env!("CARGO_BIN_EXE_vipd")))
            .start(&self.director, &path)
            .unwrap()
    }

    fn serve(&self, address: &str) -> TcpListener {
        self.servers.run(|| TcpListener::bind((address, 80))).unwrap()
    }

    /// Waits until the service has these real servers; with none: until it is gone or empty.
    fn wait_for(&self, addresses: &[&str]) -> Option<()> {
        lab::eventually(PATIENCE, || {
            let table = Table::of_proc(&self.director).unwrap();
            let found: Vec<String> = table
                .service(SERVICE)
                .map(|service| service.destinations.iter().map(|one| one.address.clone()).collect())
                .unwrap_or_default();
            (found == addresses).then_some(())
        })
    }

    fn has_service(&self) -> bool {
        Table::of_proc(&self.director).unwrap().service(SERVICE).is_some()
    }
}

/// Two real servers with checks twice a second.
fn configuration() -> String {
    let real = |address: &str| {
        format!(
            "real_server {address} 80 {{\nweight 7\nTCP_CHECK {{\nconnect_timeout 1\nretry 1\ndelay_before_retry 0.2\n}}\n}}\n"
        )
    };
    format!(
        "virtual_server 192.0.2.100 80 {{\ndelay_loop 0.5\nlb_algo wlc\nlb_kind DR\npersistence_timeout 60\nprotocol TCP\n{}{}}}\n",
        real("192.0.2.11"),
        real("192.0.2.12")
    )
}

#[test]
fn real_servers_come_and_go_and_the_service_ends_with_the_daemon() {
    lab::need!(netns, ipvs);
    let scene = Scene::new();
    let (_first, second) = (scene.serve("192.0.2.11"), scene.serve("192.0.2.12"));
    let mut daemon = scene.start(&configuration());
    scene
        .wait_for(&["192.0.2.11:80", "192.0.2.12:80"])
        .unwrap_or_else(|| panic!("{}", daemon.log()));
    let table = Table::of_proc(&scene.director).unwrap();
    let service = table.service(SERVICE).unwrap();
    assert_eq!((service.scheduler.as_str(), service.destinations[0].weight), ("wlc", 7));
    assert_eq!(service.destinations[0].forward, "Route");
    assert!(service.flags.contains("persistent"), "{service:?}");

    drop(second);
    scene.wait_for(&["192.0.2.11:80"]).unwrap_or_else(|| panic!("{}", daemon.log()));
    assert!(
        daemon.wait_line("real server 192.0.2.12:80 is down", PATIENCE).is_some(),
        "{}",
        daemon.log()
    );
    let _second = scene.serve("192.0.2.12");
    scene
        .wait_for(&["192.0.2.11:80", "192.0.2.12:80"])
        .unwrap_or_else(|| panic!("{}", daemon.log()));

    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
    assert!(!scene.has_service());
}

#[test]
fn a_reload_changes_what_differs_and_leaves_the_service() {
    lab::need!(netns, ipvs);
    let scene = Scene::new();
    let (_first, _second) = (scene.serve("192.0.2.11"), scene.serve("192.0.2.12"));
    let mut daemon = scene.start(&configuration());
    let both = scene.wait_for(&["192.0.2.11:80", "192.0.2.12:80"]);
    assert!(both.is_some(), "{}", daemon.log());
    let third = "real_server 192.0.2.13 80 {\n}\nreal_server 192.0.2.12";
    let changed =
        configuration().replace("weight 7", "weight 9").replace("real_server 192.0.2.12", third);
    std::fs::write(scene.directory.path().join("test.conf"), changed).unwrap();
    daemon.signal(rustix::process::Signal::HUP).unwrap();
    let three = scene.wait_for(&["192.0.2.11:80", "192.0.2.12:80", "192.0.2.13:80"]);
    assert!(three.is_some(), "{}", daemon.log());
    let table = Table::of_proc(&scene.director).unwrap();
    let weights: Vec<u32> =
        table.service(SERVICE).unwrap().destinations.iter().map(|one| one.weight).collect();
    assert_eq!(weights, [9, 9, 1]);
    // None is configured any more.
    std::fs::write(scene.directory.path().join("test.conf"), "global_defs {\n}\n").unwrap();
    daemon.signal(rustix::process::Signal::HUP).unwrap();
    let gone = lab::eventually(PATIENCE, || (!scene.has_service()).then_some(()));
    assert!(gone.is_some(), "{}", daemon.log());
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
}

#[test]
fn a_killed_daemon_leaves_the_service_to_its_successor() {
    lab::need!(netns, ipvs);
    a_successor_removes_what_a_killed_daemon_left(
        &configuration().replace("192.0.2.100 80", "192.0.2.100 81"),
    );
}

#[test]
fn services_of_a_killed_daemon_go_although_none_is_configured_any_more() {
    lab::need!(netns, ipvs);
    a_successor_removes_what_a_killed_daemon_left("! no virtual_server any more\n");
}

fn a_successor_removes_what_a_killed_daemon_left(successor: &str) {
    let scene = Scene::new();
    let (_first, _second) = (scene.serve("192.0.2.11"), scene.serve("192.0.2.12"));
    let mut daemon = scene.start(&configuration());
    let served = scene.wait_for(&["192.0.2.11:80", "192.0.2.12:80"]);
    assert!(served.is_some(), "{}", daemon.log());
    daemon.kill().unwrap();
    assert!(scene.has_service(), "nobody was there to remove it");
    let mut successor = scene.start(successor);
    assert!(
        lab::eventually(PATIENCE, || (!scene.has_service()).then_some(())).is_some(),
        "{}",
        successor.log()
    );
    assert_eq!(successor.terminate().unwrap().code(), Some(0), "{}", successor.log());
    assert_eq!(Table::of_proc(&scene.director).unwrap().services, []);
}

#[test]
fn a_router_that_cannot_start_takes_the_services_with_it() {
    lab::need!(netns, ipvs);
    let scene = Scene::new();
    let router = "vrrp_instance web {\ninterface nix0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.100\n}\n}\n";
    let mut daemon = scene.start(&(configuration() + router));
    assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(1));
    assert!(daemon.wait_line("\"nix0\"", PATIENCE).is_some(), "{}", daemon.log());
    assert!(!scene.has_service());
}
