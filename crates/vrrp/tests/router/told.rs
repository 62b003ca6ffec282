//! What a router tells about itself: once, in the order of cause and effect, in words for people.

use crate::support::{INTERVAL, PATIENCE, Pair, VIP, has, wait, web};

fn told(events: &vrrp::Events, last: &str) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(event) = events.recv_timeout(PATIENCE) {
        all.push(event.to_string());
        if all.last().is_some_and(|text| text.contains(last)) {
            return all;
        }
    }
    panic!("{last:?} is missing in {all:?}")
}

#[test]
fn a_start_without_trouble_tells_of_none() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    let expected = [
        "web: initialize -> backup: started",
        "web: backup -> master: no master was heard (term 1)",
    ];
    assert_eq!(told(&a.events(), "-> master"), expected);
    a.shutdown().unwrap();
}

#[test]
fn what_is_missing_at_the_start_is_told_and_when_it_comes() {
    lab::need!(netns);
    let pair = Pair::new();
    pair.a.ip("addr del 192.0.2.1/24 dev eth0").unwrap();
    let a = pair.start_a(web(200));
    let events = a.events();
    assert_eq!(told(&events, ""), ["web: cannot take part: no address to send from"]);
    pair.a.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    let expected = [
        "web: no longer the case: no address to send from",
        "web: initialize -> backup: started",
        "web: backup -> master: no master was heard (term 1)",
    ];
    assert_eq!(told(&events, "-> master"), expected);
    a.shutdown().unwrap();
}

#[test]
fn causes_are_told_before_what_follows_and_interfaces_by_name() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    let events = a.events();
    wait(&pair.a, VIP, true);
    told(&events, "-> master");
    let held = &a.status().unwrap().virtual_routers[0].addresses;
    assert_eq!(*held, ["192.0.2.100/24 dev eth0"]);
    pair.a.ip(&format!("addr del {VIP} dev eth0")).unwrap();
    assert_eq!(
        told(&events, ""),
        ["web: 192.0.2.100/24 dev eth0 was removed by somebody else: takes it back"]
    );
    pair.switch.unplug("port-a").unwrap();
    let expected =
        ["web: cannot take part: the link is down", "web: master -> initialize: the link is down"];
    assert_eq!(told(&events, "-> initialize"), expected);
    pair.switch.plug("port-a").unwrap();
    let expected =
        ["web: no longer the case: the link is down", "web: initialize -> backup: started"];
    assert_eq!(told(&events, "-> backup"), expected);
    a.shutdown().unwrap();
}

#[test]
fn a_master_that_is_configured_otherwise_is_told_once_and_heard() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200).address("192.0.2.101/24".parse().unwrap()));
    wait(&pair.a, VIP, true);
    let b = pair.start_b(web(100).advertisement_interval(INTERVAL * 2));
    let events = b.events();
    let noted = || {
        let status = b.status().unwrap();
        let statistics = status.virtual_router("web").unwrap().statistics;
        (statistics.address_list_noted >= 10 && statistics.interval_noted >= 10).then_some(())
    };
    lab::eventually(PATIENCE, noted).expect("ten advertisements are heard");
    // It is the Master's election all the same.
    assert!(!has(&pair.b, VIP));
    b.shutdown().unwrap();
    let expected = [
        "web: initialize -> backup: started",
        "web: 192.0.2.1 advertises other addresses than this router (1 so far)",
        "web: 192.0.2.1 advertises another interval than this router (1 so far)",
        "web: backup -> initialize: shut down",
    ];
    assert_eq!(told(&events, "-> initialize"), expected);
    a.shutdown().unwrap();
}
