//! The Monitor, told of what others do.

use std::collections::{BTreeSet, VecDeque};

use crate::outside::{Cable, PATIENCE};
use lab::{Bridge, Namespace};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vip_netlink::{Change, Event, Monitor, Progress};

struct Listener {
    monitor: Monitor,
    unread: VecDeque<Event>,
}

impl Listener {
    fn new(namespace: &Namespace) -> Self {
        Self { monitor: namespace.run(Monitor::open).unwrap(), unread: VecDeque::new() }
    }

    /// All events up to the first that `wanted` takes, which is the last; fails when it does not come.
    fn until(&mut self, mut wanted: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            while let Some(event) = self.unread.pop_front() {
                let found = wanted(&event);
                events.push(event);
                if found {
                    return events;
                }
            }
            let progress = self.monitor.poll(|event| self.unread.push_back(event)).unwrap();
            if self.unread.is_empty() && progress == Progress::Drained {
                let patience = Timespec::try_from(PATIENCE).unwrap();
                let ready = poll(&mut [PollFd::new(&self.monitor, PollFlags::IN)], Some(&patience))
                    .unwrap();
                assert!(ready > 0, "not the event wanted: {events:?}");
            }
        }
    }

    fn rest(mut self) -> VecDeque<Event> {
        while self.monitor.poll(|event| self.unread.push_back(event)).unwrap() == Progress::More {}
        self.unread
    }
}

#[test]
fn additions_and_deletions_by_others_are_seen() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let mut monitor = Listener::new(&cable.here);
    let addresses = [
        cable.address("192.0.2.100/24").label("eth0:web").unwrap(),
        cable.address("2001:db8::100/64"),
    ];
    for result in client.add(&addresses) {
        assert_eq!(result.unwrap(), Change::Made);
    }
    for address in &addresses {
        let is_it = |event: &Event| matches!(event, Event::AddressAdded(present) if present.address == *address);
        monitor.until(is_it);
    }
    cable
        .here
        .ip_batch(["address del 192.0.2.100/24 dev eth0", "address del 2001:db8::100/64 dev eth0"])
        .unwrap();
    for address in &addresses {
        monitor.until(
            |event| matches!(event, Event::AddressRemoved(gone) if gone.key() == address.key()),
        );
    }
    let rest = monitor.rest();
    assert!(rest.iter().all(|event| matches!(event, Event::Link(_))), "{rest:?}");
}

#[test]
fn links_going_down_and_up_and_away_are_seen() {
    lab::need!(netns);
    let cable = Cable::carrying();
    let mut monitor = Listener::new(&cable.here);
    let state = |wanted_up: bool, on: bool| move |event: &Event| matches!(event, Event::Link(link) if link.index == cable.index && link.up == wanted_up && link.switched_on == on);
    cable.here.ip("link set eth0 down").unwrap();
    monitor.until(state(false, false));
    cable.here.ip("link set eth0 up").unwrap();
    monitor.until(state(true, true));
    // The other end goes down: switched on still, but no carrier.
    cable.there.ip("link set eth1 down").unwrap();
    monitor.until(state(false, true));
    cable.there.ip("link set eth1 up").unwrap();
    monitor.until(state(true, true));
    cable.here.ip("link set eth0 name wan0").unwrap();
    monitor.until(|event| matches!(event, Event::Link(link) if link.name == "wan0"));
    cable.there.ip("link del eth1").unwrap();
    let gone = Event::LinkGone { index: cable.index, name: "wan0".to_owned() };
    monitor.until(|event| *event == gone);
}

#[test]
fn a_port_that_leaves_its_bridge_is_not_gone() {
    lab::need!(netns);
    let (bridge, node) = (Bridge::new().unwrap(), Namespace::new().unwrap());
    bridge.attach(&node, "eth0", "port0").unwrap();
    let mut monitor = Listener::new(bridge.namespace());
    bridge.namespace().ip("link set port0 nomaster").unwrap();
    bridge.namespace().ip("link set port0 alias left").unwrap(); // an event after all others
    let last = |event: &Event| matches!(event, Event::Link(link) if link.name == "port0" && link.master.is_none());
    let mut events = monitor.until(last);
    events.extend(monitor.rest());
    assert!(!events.iter().any(|event| matches!(event, Event::LinkGone { .. })), "{events:?}");
}

#[test]
fn after_an_overrun_reading_again_gives_the_truth() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut client = cable.client();
    let mut monitor = Listener {
        monitor: cable.here.run(|| Monitor::with_receive_buffer(4096)).unwrap(),
        unread: VecDeque::new(),
    };
    let addresses: Vec<_> = (1..=200).map(|n| cable.address(&format!("10.0.0.{n}/32"))).collect();
    for result in client.add(&addresses) {
        assert_eq!(result.unwrap(), Change::Made);
    }
    client.remove(&addresses[..100]);
    let events = monitor.until(|event| *event == Event::Overrun);
    assert!(events.len() < 100, "nothing was lost, the buffer is too large for this test");
    let read: BTreeSet<_> =
        client.addresses().unwrap().iter().map(|present| present.address.ip()).collect();
    assert!(addresses[100..].iter().all(|address| read.contains(&address.ip())));
    assert!(addresses[..100].iter().all(|address| !read.contains(&address.ip())));
    // It goes on.
    cable.here.ip("address del 10.0.0.200/32 dev eth0").unwrap();
    let events = monitor.until(
        |event| matches!(event, Event::AddressRemoved(gone) if gone.key() == addresses[199].key()),
    );
    assert_eq!(events.len(), 1, "news from before the loss: {events:?}");
}

#[test]
fn what_a_client_does_itself_can_be_left_out() {
    lab::need!(netns);
    let cable = Cable::new();
    let (mut ours, mut other) = (cable.client(), cable.client());
    let mut monitor = cable.here.run(Monitor::open).unwrap();
    monitor.ignore_changes_of(&ours).unwrap();
    let address = |last: u8| cable.address(&format!("192.0.2.{last}/24"));
    for client in [&mut ours, &mut other] {
        assert_eq!(client.add(&[address(1)]), [Ok(Change::Made)]);
        assert_eq!(client.remove(&[address(1)]), [Ok(Change::Made)]);
    }
    // By the one what the other adds, and the other way round.
    assert_eq!(other.add(&[address(2)]), [Ok(Change::Made)]);
    assert_eq!(ours.remove(&[address(2)]), [Ok(Change::Made)]);
    cable.here.ip("address add 192.0.2.3/24 dev eth0").unwrap();
    let mut seen = Vec::new();
    let told = lab::eventually(PATIENCE, || {
        let mut note = |event| {
            if let Event::AddressAdded(present) = &event {
                seen.push((true, present.address.ip()));
            }
            if let Event::AddressRemoved(address) = &event {
                seen.push((false, address.ip()));
            }
        };
        monitor.poll(&mut note).unwrap();
        seen.iter().any(|(_, ip)| *ip == address(3).ip()).then_some(())
    });
    assert!(told.is_some());
    let expected = [(true, 1), (false, 1), (true, 2), (true, 3)];
    assert_eq!(seen, expected.map(|(added, last)| (added, address(last).ip())));
}
