//! Elections with keepalived 2.2.7 as the other router, in both roles.

use core::time::Duration;
use std::fs;

use lab::peers::Daemon;
use lab::{Bridge, Capture, Filter, Namespace, Node, Process};
use vrrp::{
    Authentication, Counter, HeaderKey, Password, RunningRouter, Version, VirtualRouter, Vrid,
};

use crate::support::{PATIENCE, VIP, VRID, Wire, assert_after, has, next, wait};

const INTERVAL: Duration = Duration::from_millis(100);

/// Ours on 192.0.2.1, keepalived on 192.0.2.2.
struct Mixed {
    ours: Namespace,
    theirs: Node,
    switch: Bridge,
    directory: tempfile::TempDir,
}

impl Mixed {
    fn new() -> Self {
        let (ours, theirs) = (Namespace::new().unwrap(), Node::new().unwrap());
        let switch = Bridge::new().unwrap();
        switch.attach(&ours, "eth0", "port-a").unwrap();
        switch.attach(&theirs, "eth0", "port-b").unwrap();
        ours.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        theirs.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
        Self { ours, theirs, switch, directory: tempfile::tempdir().unwrap() }
    }

    fn capture(&self) -> Wire {
        let capture = Capture::open_all(self.switch.namespace(), Filter::Failover).unwrap();
        Wire::new(capture, self.switch.namespace())
    }

    fn start_ours(&self, virtual_router: VirtualRouter) -> RunningRouter {
        let builder = vrrp::Router::builder().run_directory(self.directory.path().join("run"));
        self.ours.run(|| builder.virtual_router(virtual_router).start()).unwrap()
    }

    /// Starts keepalived with these lines in its `vrrp_instance` and waits until it is Backup.
    fn start_theirs(&self, lines: &str) -> Process {
        let file = self.directory.path().join("keepalived.conf");
        let conf = format!(
            "vrrp_instance web {{\n state BACKUP\n interface eth0\n virtual_router_id {VRID}\n{lines}\n}}\n"
        );
        fs::write(&file, conf).unwrap();
        let keepalived = Daemon::Keepalived.start(&self.theirs, &file).unwrap();
        assert!(keepalived.wait_line("BACKUP STATE", PATIENCE).is_some(), "{}", keepalived.log());
        keepalived
    }
}

fn ours(priority: u8) -> VirtualRouter {
    VirtualRouter::new("web", Vrid::new(VRID).unwrap(), "eth0")
        .priority(priority)
        .advertisement_interval(INTERVAL)
        .candidate(true)
}

const THEIRS: &str = " version 3\n priority 100\n advert_int 0.1\n virtual_ipaddress {\n  192.0.2.100/24 dev eth0\n }";

#[test]
fn ours_is_master_leaves_and_returns() {
    lab::need!(netns, keepalived);
    let mixed = Mixed::new();
    let _measuring = lab::time_lock();
    let web = || ours(200).address(VIP.parse().unwrap());
    let router = mixed.start_ours(web());
    wait(&mixed.ours, VIP, true);
    let keepalived = mixed.start_theirs(THEIRS);
    let wire = mixed.capture();
    for _ in 0..5 {
        next(&wire, 1, 200);
    }
    assert!(!has(&mixed.theirs, VIP), "it accepts our advertisements\n{}", keepalived.log());
    router.shutdown().unwrap();
    let released = next(&wire, 1, 0);
    let taken = next(&wire, 2, 100);
    assert_after(released.at, taken.at, INTERVAL * (256 - 100) / 256);
    wait(&mixed.theirs, VIP, true);
    let router = mixed.start_ours(web());
    wait(&mixed.ours, VIP, true);
    wait(&mixed.theirs, VIP, false);
    router.shutdown().unwrap();
}

#[test]
fn keepalived_is_master_leaves_and_returns() {
    lab::need!(netns, keepalived);
    let mixed = Mixed::new();
    let _measuring = lab::time_lock();
    let mut keepalived = mixed.start_theirs(THEIRS);
    wait(&mixed.theirs, VIP, true);
    let router = mixed.start_ours(ours(50).address(VIP.parse().unwrap()));
    let wire = mixed.capture();
    for _ in 0..5 {
        next(&wire, 2, 100);
    }
    assert!(!has(&mixed.ours, VIP));
    let status = router.status().unwrap();
    let statistics = status.virtual_router("web").unwrap().statistics;
    assert_eq!(statistics.discards().map(|(_, number)| number).sum::<u64>(), 0, "{statistics:?}");
    keepalived.signal_stop().unwrap();
    let released = next(&wire, 2, 0);
    let taken = next(&wire, 1, 50);
    assert_after(released.at, taken.at, INTERVAL * (256 - 50) / 256);
    wait(&mixed.ours, VIP, true);
    keepalived.wait(PATIENCE).unwrap();
    let mut keepalived = mixed.start_theirs(THEIRS);
    wait(&mixed.theirs, VIP, true);
    wait(&mixed.ours, VIP, false);
    router.shutdown().unwrap();
    keepalived.terminate().unwrap();
}

#[test]
fn unicast_both_ways() {
    lab::need!(netns, keepalived);
    let mixed = Mixed::new();
    let keepalived = mixed.start_theirs(&format!(
        "{THEIRS}\n unicast_src_ip 192.0.2.2\n unicast_peer {{\n  192.0.2.1\n }}"
    ));
    wait(&mixed.theirs, VIP, true);
    let peer = "192.0.2.2".parse().unwrap();
    let router = mixed.start_ours(ours(200).address(VIP.parse().unwrap()).unicast([peer]));
    wait(&mixed.ours, VIP, true);
    wait(&mixed.theirs, VIP, false);
    router.shutdown().unwrap();
    wait(&mixed.theirs, VIP, true);
    let router = mixed.start_ours(ours(50).address(VIP.parse().unwrap()).unicast([peer]));
    let wire = mixed.capture();
    for _ in 0..5 {
        assert_eq!(next(&wire, 2, 100).to, 1);
    }
    assert!(!has(&mixed.ours, VIP), "ours hears it\n{}", keepalived.log());
    router.shutdown().unwrap();
}

#[test]
fn version_2_with_a_password_both_ways() {
    lab::need!(netns, keepalived);
    let mixed = Mixed::new();
    let lines = " version 2\n priority 100\n advert_int 1\n authentication {\n  auth_type PASS\n  auth_pass secret\n }\n \
                 virtual_ipaddress {\n  192.0.2.100/24 dev eth0\n }";
    let web = |priority| {
        ours(priority)
            .version(Version::V2)
            .advertisement_interval(Duration::from_secs(1))
            .password("secret")
            .address(VIP.parse().unwrap())
    };
    let keepalived = mixed.start_theirs(lines);
    wait(&mixed.theirs, VIP, true);
    let router = mixed.start_ours(web(250));
    wait(&mixed.ours, VIP, true);
    wait(&mixed.theirs, VIP, false);
    router.shutdown().unwrap();
    wait(&mixed.theirs, VIP, true);
    let router = mixed.start_ours(web(50));
    let wire = mixed.capture();
    next(&wire, 2, 100);
    next(&wire, 2, 100);
    let status = router.status().unwrap();
    let statistics = status.virtual_router("web").unwrap().statistics;
    assert!(statistics.advertisements_received >= 1, "{statistics:?}\n{}", keepalived.log());
    router.shutdown().unwrap();
}

/// keepalived's counter of authentication headers goes on from the greatest it has heard, and so does
/// ours: else neither would hear the other after a change of Master.
#[test]
fn version_2_with_authentication_headers_both_ways() {
    lab::need!(netns, keepalived);
    let mixed = Mixed::new();
    let lines = " version 2\n priority 100\n advert_int 1\n authentication {\n  auth_type AH\n  auth_pass secret\n }\n \
                 virtual_ipaddress {\n  192.0.2.100/24 dev eth0\n }";
    let web = |priority, key: &str| {
        let key = HeaderKey::new(Password::new(key.as_bytes()).unwrap());
        ours(priority)
            .version(Version::V2)
            .advertisement_interval(Duration::from_secs(1))
            .authentication(Authentication::Header(key))
            .address(VIP.parse().unwrap())
    };
    let statistics =
        |router: &RunningRouter| router.status().unwrap().virtual_router("web").unwrap().statistics;
    let mut keepalived = mixed.start_theirs(lines);
    wait(&mixed.theirs, VIP, true);
    let router = mixed.start_ours(web(250, "secret"));
    wait(&mixed.ours, VIP, true);
    wait(&mixed.theirs, VIP, false);
    router.shutdown().unwrap();
    wait(&mixed.theirs, VIP, true);
    let router = mixed.start_ours(web(50, "secret"));
    let heard =
        || (statistics(&router).advertisements_received >= 3).then_some(statistics(&router));
    let heard = lab::eventually(PATIENCE, heard).expect("three advertisements");
    let discarded: u64 = heard.discards().map(|(_, number)| number).sum();
    assert_eq!(discarded, 0, "{heard:?}\n{}", keepalived.log());
    assert!(!has(&mixed.ours, VIP));
    keepalived.signal_stop().unwrap();
    wait(&mixed.ours, VIP, true);
    assert_eq!(statistics(&router).priority_zero_received, 1);
    keepalived.wait(PATIENCE).unwrap();
    // Restarted, it hears us before it takes over.
    let keepalived = mixed.start_theirs(lines);
    wait(&mixed.theirs, VIP, true);
    wait(&mixed.ours, VIP, false);
    router.shutdown().unwrap();
    // The control: with another key nobody hears the other.
    let router = mixed.start_ours(web(50, "another"));
    wait(&mixed.ours, VIP, true);
    assert!(has(&mixed.theirs, VIP), "{}", keepalived.log());
    assert!(statistics(&router).discarded(Counter::AuthenticationFailure) > 0);
    router.shutdown().unwrap();
}

/// Towards peers keepalived leaves the TTL out of its check values.
#[test]
fn authentication_headers_between_unicast_peers() {
    lab::need!(netns, keepalived);
    let mixed = Mixed::new();
    let lines = " version 2\n priority 100\n advert_int 1\n unicast_src_ip 192.0.2.2\n unicast_peer {\n  192.0.2.1\n }\n \
                 authentication {\n  auth_type AH\n  auth_pass secret\n }\n \
                 virtual_ipaddress {\n  192.0.2.100/24 dev eth0\n }";
    let key = HeaderKey::new(Password::new(b"secret").unwrap());
    let web = ours(250)
        .version(Version::V2)
        .advertisement_interval(Duration::from_secs(1))
        .authentication(Authentication::Header(key))
        .unicast(["192.0.2.2".parse().unwrap()])
        .address(VIP.parse().unwrap());
    let keepalived = mixed.start_theirs(lines);
    wait(&mixed.theirs, VIP, true);
    let router = mixed.start_ours(web);
    wait(&mixed.ours, VIP, true);
    wait(&mixed.theirs, VIP, false);
    let status = router.status().unwrap();
    let statistics = status.virtual_router("web").unwrap().statistics;
    assert!(statistics.advertisements_received > 0, "{statistics:?}\n{}", keepalived.log());
    let discarded: u64 = statistics.discards().map(|(_, number)| number).sum();
    assert_eq!(discarded, 0, "{statistics:?}");
    router.shutdown().unwrap();
    wait(&mixed.theirs, VIP, true);
}

const GLOBAL: &str = "2001:db8::100/64";

#[test]
fn ipv6_both_ways() {
    lab::need!(netns, keepalived);
    let mixed = Mixed::new();
    let lines = " version 3\n priority 100\n advert_int 0.1\n virtual_ipaddress {\n  fe80::100/64 dev eth0\n  2001:db8::100/64 dev eth0\n }";
    let six = |priority| {
        ours(priority).address("fe80::100/64".parse().unwrap()).address(GLOBAL.parse().unwrap())
    };
    // keepalived does not wait for its link-local address: it has to be usable when it starts.
    let usable = || (!crate::support::addresses(&mixed.theirs).contains("tentative")).then_some(());
    lab::eventually(PATIENCE, usable).unwrap();
    let keepalived = mixed.start_theirs(lines);
    wait(&mixed.theirs, GLOBAL, true);
    let router = mixed.start_ours(six(200));
    wait(&mixed.ours, GLOBAL, true);
    wait(&mixed.theirs, GLOBAL, false);
    router.shutdown().unwrap();
    wait(&mixed.theirs, GLOBAL, true);
    let router = mixed.start_ours(six(50));
    let heard = || {
        let status = router.status().unwrap();
        (status.virtual_router("web").unwrap().statistics.advertisements_received > 10)
            .then_some(())
    };
    assert!(lab::eventually(PATIENCE, heard).is_some(), "{}", keepalived.log());
    assert!(!has(&mixed.ours, GLOBAL));
    router.shutdown().unwrap();
}
