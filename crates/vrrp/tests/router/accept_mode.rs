//! What a Master without `Accept_Mode` takes, as a host on the same link finds out (RFC 9568 §6.4.3).

use std::process::Command;

use lab::Namespace;
use vrrp::{VirtualRouter, Vrid};

use crate::neighbours::{answers, host};
use crate::support::{INTERVAL, Pair, VIP, has, wait, web};

/// Whether the address answers a ping within a second.
fn pings(host: &Namespace, address: &str) -> bool {
    let ping = host.output(Command::new("ping").args(["-c1", "-W1", address])).unwrap();
    ping.status.success()
}

/// The MAC address by which the host knows the address, after it asked for it.
fn known(host: &Namespace, address: &str) -> String {
    let show = run(host, &["ip", "neighbour", "show", address]);
    show.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).unwrap_or("").to_owned()
}

/// What a command prints.
fn run(namespace: &Namespace, command: &[&str]) -> String {
    let output = namespace.output(Command::new(command[0]).args(&command[1..])).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn tables(namespace: &Namespace) -> String {
    run(namespace, &["nft", "list", "tables"])
}

fn six() -> VirtualRouter {
    VirtualRouter::new("six", Vrid::new(6).unwrap(), "eth0")
        .advertisement_interval(INTERVAL)
        .address("fe80::100/64".parse().unwrap())
        .address("2001:db8::100/64".parse().unwrap())
        .candidate(true)
}

#[test]
fn a_master_without_accept_mode_is_found_and_takes_nothing() {
    lab::need!(netns, nftables);
    let pair = Pair::new();
    let host = host(&pair);
    let a = pair.start_a(web(100).accept_mode(false));
    wait(&pair.a, VIP, true);
    assert!(!answers(&host, "192.0.2.100") && !pings(&host, "192.0.2.100"));
    assert!(!known(&host, "192.0.2.100").is_empty(), "ARP is answered");
    assert!(pings(&host, "192.0.2.1"), "the host's own address is none of it");
    assert!(tables(&pair.a).contains("table inet vrrp_"));
    a.shutdown().unwrap();
    assert_eq!(tables(&pair.a), "", "nothing is left");
    assert_eq!(std::fs::read_dir(pair.run.path()).unwrap().count(), 0);
}

/// The control: with `Accept_Mode`, and for the owner, the same host gets its answers.
#[test]
fn a_master_with_accept_mode_and_an_owner_take_packets() {
    lab::need!(netns);
    let pair = Pair::new();
    let host = host(&pair);
    for router in [web(100), web(255).accept_mode(false)] {
        let a = pair.start_a(router);
        wait(&pair.a, VIP, true);
        assert!(answers(&host, "192.0.2.100") && pings(&host, "192.0.2.100"));
        a.shutdown().unwrap();
    }
}

#[test]
fn ipv6_without_accept_mode_still_answers_its_neighbours() {
    lab::need!(netns, nftables);
    let pair = Pair::new();
    let host = host(&pair);
    let a = pair.start_a(six().accept_mode(false));
    wait(&pair.a, "2001:db8::100/64", true);
    assert!(!answers(&host, "2001:db8::100"));
    assert!(!known(&host, "2001:db8::100").is_empty(), "solicitations are answered");
    assert!(!pings(&host, "fe80::100%eth0") && !known(&host, "fe80::100").is_empty());
    a.shutdown().unwrap();
}

#[test]
fn accept_mode_changes_while_the_master_stays_master() {
    lab::need!(netns, nftables);
    let pair = Pair::new();
    let host = host(&pair);
    let a = pair.start_a(web(100));
    wait(&pair.a, VIP, true);
    assert!(answers(&host, "192.0.2.100"));
    a.handle().apply(web(100).accept_mode(false)).unwrap();
    assert!(!answers(&host, "192.0.2.100"));
    a.handle().apply(web(100)).unwrap();
    assert!(answers(&host, "192.0.2.100"));
    assert_eq!(a.status().unwrap().virtual_router("web").unwrap().term, 1);
    a.shutdown().unwrap();
}

#[test]
fn tables_of_a_killed_process_are_removed_by_the_next_start() {
    lab::need!(netns, nftables);
    let pair = Pair::new();
    let host = host(&pair);
    let mut child = crate::child::Child::start_kind(&pair.a, pair.run.path(), 100, "refusing");
    wait(&pair.a, VIP, true);
    child.kill();
    assert!(has(&pair.a, VIP) && !answers(&host, "192.0.2.100"), "dead, and as silent as before");
    let a = pair.start_a(web(100));
    wait(&pair.a, VIP, true);
    assert_eq!(tables(&pair.a), "");
    assert!(answers(&host, "192.0.2.100"));
    a.shutdown().unwrap();
}
