//! What others do to what is ours, noticed on a real kernel.

use core::time::Duration;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use crate::outside::{Cable, PATIENCE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vip_netlink::{
    Change, Client, Deviation, Event, Listen, Monitor, Object, Progress, Table, Watch,
};

struct Watcher {
    client: Client,
    monitor: Monitor,
    watch: Watch,
    overruns: usize,
    /// Without it: what a watch is that does not read again.
    reads_again: bool,
}

impl Watcher {
    fn new(cable: &Cable, octets: usize) -> Self {
        let monitor = cable.here.run(|| Monitor::listening(Listen::ToRoutesToo, octets)).unwrap();
        let client = cable.client();
        Self { client, monitor, watch: Watch::new(), overruns: 0, reads_again: true }
    }

    fn hold(&mut self, objects: &[Object]) {
        for object in objects {
            self.watch.hold(object.clone());
        }
        let results = self.client.add(objects);
        assert!(results.iter().all(|result| *result == Ok(Change::Made)), "{results:?}");
        assert_eq!(self.look(), [], "our own additions");
    }

    /// What there is to tell now.
    fn look(&mut self) -> Vec<Deviation> {
        let (watch, overruns) = (&mut self.watch, &mut self.overruns);
        let mut each = |event| {
            *overruns += usize::from(event == Event::Overrun);
            watch.handle_event(&event);
        };
        while self.monitor.poll(&mut each).unwrap() == Progress::More {}
        if self.reads_again {
            self.client.refresh(&mut self.watch).unwrap();
        }
        core::iter::from_fn(|| self.watch.poll_output()).collect()
    }

    /// What there is to tell when there is something; fails if that does not come.
    fn next(&mut self) -> Vec<Deviation> {
        loop {
            let deviations = self.look();
            if !deviations.is_empty() {
                return deviations;
            }
            let patience = Timespec::try_from(PATIENCE).unwrap();
            let ready = poll(&mut [PollFd::new(&self.monitor, PollFlags::IN)], Some(&patience));
            assert!(ready.unwrap() > 0, "nothing was noticed");
        }
    }
}

fn object(text: &str) -> Object {
    text.parse().unwrap()
}

fn lost(object: &Object, now_on: Option<u32>) -> Deviation {
    Deviation::Lost { object: object.clone(), now_on }
}

fn ours(cable: &Cable) -> [Object; 5] {
    let index = cable.index;
    [
        object(&format!("192.0.2.100/24 dev {index}")),
        object(&format!("2001:db8::100/64 dev {index}")),
        object(&format!("route 198.51.100.0/24 via 192.0.2.1 dev {index} proto 18")),
        object(&format!("route 2001:db8:1::/48 via 2001:db8::1 dev {index} proto 18")),
        object("rule ipv4 priority 100 lookup 3000 from 192.0.2.100/32 proto 18"),
    ]
}

#[test]
fn every_theft_is_noticed_and_taken_back() {
    lab::need!(netns);
    let cable = Cable::carrying();
    let mut watcher = Watcher::new(&cable, 1 << 20);
    let ours = ours(&cable);
    // Without the addresses the routes would not last.
    cable
        .here
        .ip_batch([
            "address add 192.0.2.7/24 dev eth0",
            "address add 2001:db8::7/64 dev eth0 nodad",
        ])
        .unwrap();
    watcher.hold(&ours);
    for (object, theft) in [
        (&ours[4], "rule del priority 100"),
        (&ours[2], "route del 198.51.100.0/24"),
        (&ours[3], "-6 route del 2001:db8:1::/48"),
        (&ours[0], "address del 192.0.2.100/24 dev eth0"),
        (&ours[1], "address del 2001:db8::100/64 dev eth0"),
    ] {
        let mut ip = Command::new("ip");
        assert!(cable.here.output(ip.args(theft.split(' '))).unwrap().status.success(), "{theft}");
        assert_eq!(watcher.next(), [lost(object, None)], "{theft}");
        let missing: Vec<Object> = watcher.watch.missing().cloned().collect();
        assert_eq!(watcher.client.add(&missing), [Ok(Change::Made)], "{theft}");
        assert_eq!(watcher.next(), [Deviation::Restored { object: object.clone() }]);
    }
    // Our own removal is none.
    for object in &ours {
        watcher.watch.forget(object.clone());
    }
    assert!(watcher.client.remove(&ours).iter().all(|result| *result == Ok(Change::Made)));
    assert_eq!(watcher.look(), []);
}

#[test]
fn moved_altered_and_unwanted_addresses_are_told_apart() {
    lab::need!(netns);
    let cable = Cable::new();
    let mut watcher = Watcher::new(&cable, 1 << 20);
    let [vip, ..] = ours(&cable);
    watcher.hold(core::slice::from_ref(&vip));
    cable
        .here
        .ip_batch(["address add 192.0.2.100/24 dev lo", "address del 192.0.2.100/24 dev eth0"])
        .unwrap();
    assert_eq!(watcher.next(), [lost(&vip, Some(1))]);
    cable.here.ip("address add 192.0.2.100/24 dev eth0 noprefixroute").unwrap();
    let altered = watcher.next();
    let noprefixroute = |present: &Object| present.to_string().contains("noprefixroute");
    assert!(
        matches!(&altered[..], [Deviation::Altered { object, present }] if *object == vip && noprefixroute(present)),
        "{altered:?}"
    );
    let elsewhere = cable.address("192.0.2.200/32");
    watcher.watch.shun(elsewhere.ip());
    cable.here.ip("address add 192.0.2.200/32 dev eth0").unwrap();
    let intruded = watcher.next();
    assert!(
        matches!(&intruded[..], [Deviation::Intruded { address }] if address.key() == elsewhere.key()),
        "{intruded:?}"
    );
}

#[test]
fn an_address_that_another_host_has_is_told() {
    lab::need!(netns);
    let cable = Cable::carrying();
    cable.there.ip("address add 2001:db8::100/64 dev eth1 nodad").unwrap();
    let mut watcher = Watcher::new(&cable, 1 << 20);
    let careless = object(&format!("2001:db8::100/128 dev {}", cable.index));
    let careful = object(&format!("2001:db8::100/64 dev {} dad", cable.index));
    watcher.hold(core::slice::from_ref(&careful));
    assert_eq!(watcher.next(), [Deviation::Duplicate { object: careful.clone() }]);
    watcher.watch.forget(careful.clone());
    assert_eq!(watcher.client.remove(&[careful]), [Ok(Change::Made)]);
    // Without detection nobody finds out.
    watcher.hold(core::slice::from_ref(&careless));
    assert_eq!(watcher.look(), []);
}

#[test]
fn routes_that_go_without_a_word_are_missed_all_the_same() {
    lab::need!(netns);
    let cable = Cable::carrying();
    let mut watcher = Watcher::new(&cable, 1 << 20);
    let ours = ours(&cable);
    watcher.hold(&ours);
    // The kernel removes the IPv4 route with its interface's state and tells nobody.
    cable.here.ip("link set eth0 down").unwrap();
    let mut told = BTreeSet::new();
    while told.len() < 3 {
        for deviation in watcher.next() {
            let Deviation::Lost { object, .. } = deviation else { panic!("{deviation:?}") };
            told.insert(object);
        }
    }
    // An IPv4 address stays on an interface that is down, and rules know no interface.
    assert_eq!(told, [ours[1].clone(), ours[2].clone(), ours[3].clone()].into());
}

#[test]
fn routes_that_go_with_their_source_address_are_missed() {
    lab::need!(netns);
    let cable = Cable::carrying();
    cable.here.ip("address add 192.0.2.7/24 dev eth0").unwrap();
    let mut watcher = Watcher::new(&cable, 1 << 20);
    let vip = object(&format!("192.0.2.100/32 dev {}", cable.index));
    let route = "route 198.51.100.0/24 via 192.0.2.1 dev";
    let route = object(&format!("{route} {} src 192.0.2.100 proto 18", cable.index));
    watcher.hold(&[vip.clone(), route.clone()]);
    cable.here.ip("address del 192.0.2.100/32 dev eth0").unwrap();
    assert_eq!(watcher.next(), [lost(&vip, None), lost(&route, None)]);
}

#[test]
fn a_deletion_is_noticed_within_milliseconds() {
    lab::need!(netns);
    let _alone = lab::time_lock();
    let cable = Cable::new();
    let mut watcher = Watcher::new(&cable, 1 << 20);
    let [vip, ..] = ours(&cable);
    watcher.hold(core::slice::from_ref(&vip));
    let mut took = Vec::new();
    for _ in 0..50 {
        let mut thief = cable.client();
        let before = now();
        assert_eq!(thief.remove(core::slice::from_ref(&vip)), [Ok(Change::Made)]);
        assert_eq!(watcher.next(), [lost(&vip, None)]);
        assert_eq!(watcher.client.add(core::slice::from_ref(&vip)), [Ok(Change::Made)]);
        took.push(now() - before);
        assert_eq!(watcher.next().len(), 1);
    }
    took.sort_unstable();
    println!("removed, noticed and taken back: median {:?}, longest {:?}", took[25], took[49]);
    assert!(took[25] < Duration::from_millis(5), "{took:?}");
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}

/// Thousands of changes against a buffer for a few: what was told in the end, and what is so.
fn flood(reads_again: bool) -> (BTreeSet<Object>, BTreeSet<Object>, usize) {
    let cable = Cable::new();
    let mut watcher = Watcher::new(&cable, 4096);
    let ours: Vec<Object> = (0..1000_u32)
        .map(|n| object(&format!("10.1.{}.{}/32 dev {}", n / 250, n % 250 + 1, cable.index)))
        .collect();
    for object in &ours {
        watcher.watch.hold(object.clone());
    }
    watcher.client.add(&ours);
    watcher.look();
    watcher.reads_again = reads_again;
    let mut thief = cable.client();
    let mut missing = BTreeSet::new();
    for round in 0..5 {
        let stolen: Vec<Object> = ours.iter().skip(round).step_by(7 - round).cloned().collect();
        thief.remove(&stolen);
        if round == 4 {
            missing.extend(stolen);
        } else {
            thief.add(&stolen);
        }
    }
    let mut told = BTreeSet::new();
    for deviation in watcher.look() {
        if let Deviation::Lost { object, .. } = &deviation {
            assert!(told.insert(object.clone()), "{deviation:?}");
        } else if let Deviation::Restored { object } = &deviation {
            assert!(told.remove(object), "{deviation:?}");
        } else {
            panic!("{deviation:?}");
        }
    }
    assert_eq!(watcher.watch.stale().next().is_none(), reads_again || watcher.overruns == 0);
    (told, missing, watcher.overruns)
}

#[test]
fn lost_news_are_made_up_for_by_reading_again() {
    lab::need!(netns);
    let (told, missing, overruns) = flood(true);
    assert!(overruns > 0 && missing.len() > 300, "{overruns} of {}", missing.len());
    assert_eq!(told, missing);
}

#[test]
fn without_reading_again_lost_news_are_lost() {
    lab::need!(netns);
    let (told, missing, overruns) = flood(false);
    assert!(
        overruns > 0 && told != missing,
        "nothing was lost, the buffer is too large for this test"
    );
}

#[test]
fn an_overrun_makes_every_table_stale() {
    lab::need!(netns);
    let cable = Cable::carrying();
    let mut watcher = Watcher::new(&cable, 4096);
    let ours = ours(&cable);
    watcher.client.add(&ours);
    for object in &ours {
        watcher.watch.hold(object.clone());
    }
    watcher.look();
    // All of it goes while nobody can hear.
    let mut thief = cable.client();
    let noise: Vec<Object> =
        (1..200).map(|n| object(&format!("10.0.0.{n}/32 dev {}", cable.index))).collect();
    thief.add(&noise);
    for object in ours.iter().rev() {
        assert_eq!(thief.remove(core::slice::from_ref(object)), [Ok(Change::Made)]);
    }
    watcher.reads_again = false;
    watcher.look();
    assert_eq!(watcher.overruns > 0, watcher.watch.stale().any(|table| table == Table::Rules));
    watcher.reads_again = true;
    let told: BTreeSet<String> =
        watcher.look().iter().map(|deviation| format!("{deviation:?}")).collect();
    assert_eq!(told, ours.iter().map(|object| format!("{:?}", lost(object, None))).collect());
}
