//! Routing rules added to and removed from a real kernel.

use std::process::Command;

use crate::outside::Cable;
use lab::Namespace;
use serde_json::Value;
use vip_netlink::{Change, Client, Object, Reason, Rule, RuleAction};

fn shown(namespace: &Namespace, family: &str, priority: u32) -> Vec<Value> {
    let priority = priority.to_string();
    let mut ip = Command::new("ip");
    ip.args([family, "-json", "-details", "-N", "rule", "show", "priority", &priority]);
    let output = namespace.output(&mut ip).unwrap();
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

fn lookup(priority: u32) -> Rule {
    Rule::ipv4(priority, RuleAction::Lookup(3000))
}

#[test]
fn every_property_arrives_in_the_kernel_and_comes_back() {
    lab::need!(netns);
    let namespace = Namespace::new().unwrap();
    let mut client = namespace.run(Client::open).unwrap();
    let wanted = [
        lookup(100)
            .from("192.0.2.100".parse().unwrap())
            .to("198.51.100.0/24".parse().unwrap())
            .tos(16)
            .mark(0x10, 0xff)
            .input("eth0")
            .output("eth1"),
        lookup(101).suppress_prefix_len(0).suppress_group(7),
        lookup(102).users(0, 0).ip_protocol(6).source_ports(1024, 2048).destination_ports(80, 80),
        lookup(103).invert(true).from("192.0.2.0/24".parse().unwrap()).protocol(42),
        Rule::ipv4(104, RuleAction::Unreachable).from("192.0.2.1".parse().unwrap()),
        Rule::ipv4(105, RuleAction::Blackhole),
        Rule::ipv4(106, RuleAction::Prohibit).mark(1, u32::MAX),
        Rule::ipv4(107, RuleAction::Goto(200)),
        Rule::ipv4(200, RuleAction::Nothing),
        Rule::ipv4(201, RuleAction::LookupVrf),
        Rule::ipv6(100, RuleAction::Lookup(254)).from("2001:db8::100".parse().unwrap()),
        Rule::ipv6(101, RuleAction::Unreachable).to("2001:db8:1::/48".parse().unwrap()),
        // What a mask of 0 marks is everything.
        lookup(0),
    ];
    for (wanted, result) in wanted.iter().zip(client.add(&wanted)) {
        assert_eq!(result, Ok(Change::Made), "{wanted}");
    }
    let first = &shown(&namespace, "-4", 100)[0];
    for (key, value) in [
        ("src", "192.0.2.100"),
        ("dst", "198.51.100.0"),
        ("fwmark", "0x10"),
        ("fwmask", "0xff"),
        ("iif", "eth0"),
        ("oif", "eth1"),
        ("table", "3000"),
        ("protocol", "18"),
    ] {
        assert_eq!(first[key], value, "{first}");
    }
    let third = &shown(&namespace, "-4", 102)[0];
    assert_eq!((&third["uid_start"], &third["uid_end"]), (&0.into(), &0.into()), "{third}");
    let present = client.rules().unwrap();
    for wanted in &wanted {
        assert!(present.contains(wanted), "{wanted} is not among {present:#?}");
    }
    for (wanted, result) in wanted.iter().zip(client.add(&wanted)) {
        assert_eq!(result, Ok(Change::Already), "{wanted}");
    }
    let objects: Vec<Object> =
        wanted.iter().map(|rule| format!("rule {rule}").parse().unwrap()).collect();
    for (wanted, result) in wanted.iter().zip(client.remove(&objects)) {
        assert_eq!(result, Ok(Change::Made), "{wanted}");
    }
    for (wanted, result) in wanted.iter().zip(client.remove(&wanted)) {
        assert_eq!(result, Ok(Change::Already), "{wanted}");
    }
    assert!(
        client.rules().unwrap().iter().all(|rule| rule.tag() != Rule::PROTOCOL && rule.tag() != 42)
    );
}

#[test]
fn anothers_rule_is_not_removed_instead_of_ours() {
    lab::need!(netns);
    let namespace = Namespace::new().unwrap();
    let mut client = namespace.run(Client::open).unwrap();
    // More precise than ours, the same tag and priority: to the kernel, ours fits it.
    namespace.ip("rule add priority 100 fwmark 7 lookup 3000 protocol 18").unwrap();
    let ours = lookup(100);
    assert_eq!(client.remove(core::slice::from_ref(&ours)), [Ok(Change::Already)]);
    assert_eq!(shown(&namespace, "-4", 100).len(), 1);
    assert_eq!(client.add(core::slice::from_ref(&ours)), [Ok(Change::Made)]);
    let error = client.remove(core::slice::from_ref(&ours)).remove(0).unwrap_err();
    assert!(matches!(error.reason(), Reason::Ambiguous { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot remove rule ipv4 priority 100 lookup 3000 proto 18: the kernel would remove rule ipv4 priority 100 lookup 3000 fwmark 7/4294967295 proto 18 instead: give our rule a priority of its own"
    );
    assert_eq!(shown(&namespace, "-4", 100).len(), 2);
    // Without it ours goes, and two of ours that look alike go one after the other.
    namespace.ip("rule del priority 100 fwmark 7").unwrap();
    let precise = ours.clone().mark(9, u32::MAX);
    assert_eq!(client.add(core::slice::from_ref(&precise)), [Ok(Change::Made)]);
    assert_eq!(client.remove(&[ours, precise]), [Ok(Change::Made), Ok(Change::Made)]);
    assert_eq!(shown(&namespace, "-4", 100).len(), 0);
}

#[test]
fn a_rule_from_a_virtual_address_works_and_leaves_with_it() {
    lab::need!(netns);
    let cable = Cable::carrying();
    cable
        .here
        .ip_batch(["address add 192.0.2.7/24 dev eth0", "route add 198.51.100.0/24 via 192.0.2.1"])
        .unwrap();
    let mut client = cable.client();
    let objects: Vec<Object> = [
        format!("192.0.2.100/24 dev {}", cable.index),
        "route unreachable 198.51.100.0/24 table 3000 proto 18".to_owned(),
        "rule ipv4 priority 100 lookup 3000 from 192.0.2.100/32 proto 18".to_owned(),
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    let way = || {
        let mut ip = Command::new("ip");
        let output = cable
            .here
            .output(ip.args(["route", "get", "198.51.100.1", "from", "192.0.2.100"]))
            .unwrap();
        output.status.success()
    };
    assert_eq!(client.add(&objects), [Ok(Change::Made), Ok(Change::Made), Ok(Change::Made)]);
    assert!(!way(), "the rule does not send packets of the virtual address to its own table");
    let reversed: Vec<Object> = objects.iter().rev().cloned().collect();
    assert_eq!(client.remove(&reversed), [Ok(Change::Made), Ok(Change::Made), Ok(Change::Made)]);
    assert!(!way(), "no source of that name any more");
    cable.here.ip("address add 192.0.2.100/24 dev eth0").unwrap();
    assert!(way());
}

#[test]
fn refusals_name_the_rule() {
    lab::need!(netns);
    let namespace = Namespace::new().unwrap();
    let mut client = namespace.run(Client::open).unwrap();
    let wrong = lookup(100).from("2001:db8::/64".parse().unwrap());
    let error = client.add(&[wrong]).remove(0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot add rule ipv4 priority 100 lookup 3000 from 2001:db8::/64 proto 18: 2001:db8::/64 does not go with rule 100: it is of the other address family"
    );
    let error = client.add(&[lookup(100).tos(1)]).remove(0).unwrap_err();
    assert!(matches!(error.reason(), Reason::Refused(_)) && error.errno().is_some(), "{error:?}");
}
