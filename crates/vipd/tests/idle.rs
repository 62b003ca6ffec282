//! A daemon in which nothing happens sleeps but for its timers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use core::time::Duration;

use lab::peers::Daemon;
use lab::{Bridge, Capture, Filter, Node, Process, Usage};

const PATIENCE: Duration = Duration::from_secs(20);
/// Advertisements, and so moments to wake up, that are counted.
const COUNTED: u64 = 30;

fn start(switch: &Bridge, number: u8, priority: u8, files: &tempfile::TempDir) -> (Process, Node) {
    let node = Node::new().unwrap();
    // An address that IPv6 gives itself is news, and news are for the daemon.
    node.sysctl("net/ipv6/conf/all/disable_ipv6", "1").unwrap();
    switch.attach(&node, "eth0", &format!("port-{number}")).unwrap();
    node.ip(&format!("address add 192.0.2.{number}/24 dev eth0")).unwrap();
    let file = files.path().join(format!("{number}.conf"));
    let text = format!(
        "global_defs {{\n vrrp_garp_master_delay 0\n}}\nvrrp_instance web {{\n interface eth0\n version 3\n \
         virtual_router_id 51\n priority {priority}\n advert_int 0.1\n virtual_ipaddress {{\n  192.0.2.100\n }}\n}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let daemon = Daemon::Vipd(env!("CARGO_BIN_EXE_vipd").into());
    (daemon.start(&node, &file).unwrap(), node)
}

#[test]
fn a_master_wakes_to_advertise_and_a_backup_to_hear_it_and_nothing_else() {
    lab::need!(netns);
    let files = tempfile::tempdir().unwrap();
    let switch = Bridge::new().unwrap();
    let (master, _one) = start(&switch, 1, 150, &files);
    master.wait_line("-> master", PATIENCE).unwrap_or_else(|| panic!("{}", master.log()));
    let (backup, _two) = start(&switch, 2, 100, &files);
    backup.wait_line("-> backup", PATIENCE).unwrap_or_else(|| panic!("{}", backup.log()));

    let wire = Capture::open(switch.namespace(), "port-1", Filter::Failover).unwrap();
    let advertisement = || {
        let found = wire.find(PATIENCE, |frame| frame.is_vrrp().then_some(())).unwrap();
        found.unwrap_or_else(|| panic!("{}", master.log()));
    };
    // The first one after everybody has settled.
    for _ in 0..3 {
        advertisement();
    }
    let before = [&master, &backup].map(|daemon| Usage::of(daemon.id()).unwrap());
    for _ in 0..COUNTED {
        advertisement();
    }
    let after = [&master, &backup].map(|daemon| Usage::of(daemon.id()).unwrap());
    for (before, after) in before.iter().zip(&after) {
        let woken = after.wakeups_since(before);
        for (thread, count) in &woken {
            // The first and the last may fall on either side of a count.
            let expected = if *thread == "vrrp" { COUNTED - 2..=COUNTED + 2 } else { 0..=0 };
            assert!(expected.contains(count), "{thread} woke {count} times: {woken:?}");
        }
        assert!(woken.iter().any(|(thread, _)| *thread == "vrrp"), "{woken:?}");
    }
}
