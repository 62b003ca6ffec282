//! SIGHUP: what runs is brought to the file as it is now, watched from outside.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod scene;

use core::net::IpAddr;
use core::time::Duration;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use lab::peers::Daemon;
use lab::{AddressMonitor, Capture, Filter, Frame, Node, Process};
use rustix::process::Signal;

use scene::{Advertisement, PATIENCE, Scene, fast, vipd};

/// Writes another configuration, asks for it and waits for what the log says about it.
fn reload(scene: &Scene, daemon: &Process, text: &str, said: &str) {
    scene.file(text);
    let before = lab::now();
    daemon.signal(Signal::HUP).unwrap();
    let line = daemon.wait_line_after(before, said, PATIENCE);
    assert!(line.is_some(), "no {said:?} in {}", daemon.log());
}

/// Advertisements of one virtual router until one is as wanted.
fn until(scene: &Scene, vrid: u8, wanted: impl Fn(&Advertisement) -> bool) -> Vec<Advertisement> {
    let mut seen = Vec::new();
    loop {
        let of = |frame: &Frame| {
            Advertisement::of(frame).filter(|one| one.message.get(1) == Some(&vrid))
        };
        let one = scene.capture.find(PATIENCE, of).unwrap();
        seen.push(one.expect("another advertisement"));
        if seen.last().is_some_and(&wanted) {
            return seen;
        }
    }
}

fn wait(scene: &Scene, address: &str, present: bool) {
    let there = || (scene.has(address) == present).then_some(());
    assert!(lab::eventually(PATIENCE, there).is_some(), "{address}: not {present}");
}

#[test]
fn a_master_stays_master_and_only_what_differs_is_touched() {
    lab::need!(netns);
    let scene = Scene::new();
    let before = fast("web", 9, "192.0.2.109\n192.0.2.110");
    let mut daemon = scene.start(&before);
    wait(&scene, "192.0.2.109/32", true);
    wait(&scene, "192.0.2.110/32", true);
    let mut monitor = AddressMonitor::open(&scene.node).unwrap();
    scene.capture.drain().unwrap();
    let after = fast("web", 9, "192.0.2.109\n192.0.2.111")
        .replace("advert_int", "priority 120\nadvert_int");
    reload(&scene, &daemon, &after, "virtual routers: 1 changed, 0 added, 0 removed");
    let seen = until(&scene, 9, |one| one.priority() == 120);
    assert!(seen.iter().all(|one| [100, 120].contains(&one.priority())), "{seen:?}");
    wait(&scene, "192.0.2.111/32", true);
    wait(&scene, "192.0.2.110", false);
    let mut changed = Vec::new();
    while changed.len() < 2 {
        let event = monitor.next(PATIENCE).unwrap().unwrap();
        changed.push((event.added, event.address));
    }
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    changed.sort();
    assert_eq!(changed, [(false, address("192.0.2.110")), (true, address("192.0.2.111"))]);
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
    assert!(!scene.has("192.0.2.109") && !scene.has("192.0.2.111"));
}

#[test]
fn a_file_with_errors_is_refused_and_the_former_one_runs_on() {
    lab::need!(netns);
    let scene = Scene::new();
    let before = fast("web", 9, "192.0.2.109");
    let mut daemon = scene.start(&before);
    wait(&scene, "192.0.2.109", true);
    scene.capture.drain().unwrap();
    let refused = "the new configuration is refused, the former one runs on";
    // A brace is missing, an interface does not exist, the file is gone.
    reload(&scene, &daemon, before.trim_end().trim_end_matches('}'), refused);
    let elsewhere = fast("new", 10, "192.0.2.120").replace("eth0", "eth7");
    reload(&scene, &daemon, &(before.clone() + &elsewhere), "no interface \"eth7\"");
    let file = scene.file(&before);
    std::fs::remove_file(&file).unwrap();
    let gone = lab::now();
    daemon.signal(Signal::HUP).unwrap();
    assert!(daemon.wait_line_after(gone, refused, PATIENCE).is_some(), "{}", daemon.log());
    for _ in 0..5 {
        assert_eq!(scene.advertisement().priority(), 100);
    }
    assert!(scene.has("192.0.2.109"));
    reload(&scene, &daemon, &before, "0 changed, 0 added, 0 removed, 0 started again, 1 as before");
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
}

#[test]
fn instances_come_and_go_beside_one_that_does_not_notice() {
    lab::need!(netns);
    let scene = Scene::new();
    let stays = fast("stays", 7, "192.0.2.107");
    let leaves = fast("leaves", 8, "192.0.2.108");
    let mut daemon = scene.start(&(stays.clone() + &leaves));
    wait(&scene, "192.0.2.107", true);
    wait(&scene, "192.0.2.108", true);
    scene.capture.drain().unwrap();
    // One more.
    let comes = fast("comes", 10, "192.0.2.110");
    let three = stays.clone() + &leaves + &comes;
    reload(&scene, &daemon, &three, "0 changed, 1 added, 0 removed, 0 started again, 2 as before");
    wait(&scene, "192.0.2.110", true);
    // One less: it says farewell.
    let two = stays.clone() + &comes;
    reload(&scene, &daemon, &two, "0 changed, 0 added, 1 removed, 0 started again, 2 as before");
    assert!(!scene.has("192.0.2.108"));
    until(&scene, 8, |one| one.priority() == 0);
    // The same VRID under another name, with the other's address: it leaves and comes.
    let renamed = fast("named", 10, "192.0.2.108");
    let renamed = stays.clone() + &renamed;
    reload(&scene, &daemon, &renamed, "0 changed, 0 added, 1 removed, 1 started again");
    wait(&scene, "192.0.2.108", true);
    assert!(!scene.has("192.0.2.110"));
    // Another VRID is another virtual router.
    let other = stays.clone() + &fast("named", 11, "192.0.2.108");
    reload(&scene, &daemon, &other, "named: the VRID cannot be changed at run time");
    wait(&scene, "192.0.2.108", true);
    until(&scene, 11, |one| one.priority() == 100);
    // All go, and one comes back.
    reload(&scene, &daemon, "global_defs {\n}\n", "2 removed");
    assert!(!scene.has("192.0.2.107") && !scene.has("192.0.2.108"));
    reload(&scene, &daemon, &stays, "1 added");
    wait(&scene, "192.0.2.107", true);
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
    assert!(!scene.has("192.0.2.107"));
}

#[test]
fn the_one_that_stays_misses_no_advertisement() {
    lab::need!(netns);
    let scene = Scene::new();
    let stays = fast("stays", 7, "192.0.2.107");
    let mut daemon = scene.start(&stays);
    wait(&scene, "192.0.2.107", true);
    let _measuring = lab::time_lock();
    scene.capture.drain().unwrap();
    let more = stays.clone() + &fast("comes", 10, "192.0.2.110");
    reload(&scene, &daemon, &more, "1 added");
    reload(&scene, &daemon, &stays, "1 removed");
    // Another one would be Master after 361 ms of silence; three intervals are the slack of a loaded machine.
    let mut last = None;
    for _ in 0..10 {
        let of = |frame: &Frame| {
            let one = Advertisement::of(frame)?;
            (one.message.get(1) == Some(&7)).then_some((frame.at, one.priority()))
        };
        let (at, priority) = scene.capture.find(PATIENCE, of).unwrap().unwrap();
        assert_eq!(priority, 100);
        if let Some(last) = last {
            assert!(at.saturating_sub(last) < Duration::from_millis(300), "{last:?} {at:?}");
        }
        last = Some(at);
    }
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
}

#[test]
fn a_sync_group_changes_as_a_whole() {
    lab::need!(netns);
    let scene = Scene::new();
    let both = fast("one", 7, "192.0.2.107") + &fast("two", 8, "192.0.2.108");
    let group = "vrrp_sync_group both {\ngroup {\none\ntwo\n}\n}\n";
    let mut daemon = scene.start(&(both.clone() + group));
    wait(&scene, "192.0.2.107", true);
    // Within the group one instance changes, and its mastership stays.
    scene.capture.drain().unwrap();
    let changed = both.replacen("advert_int", "priority 130\nadvert_int", 1) + group;
    reload(&scene, &daemon, &changed, "1 changed, 0 added, 0 removed, 0 started again");
    let seen = until(&scene, 7, |one| one.priority() == 130);
    assert!(seen.iter().all(|one| one.priority() != 0), "{seen:?}");
    // Without the group they are others.
    reload(&scene, &daemon, &both, "0 changed, 0 added, 0 removed, 2 started again");
    wait(&scene, "192.0.2.107", true);
    wait(&scene, "192.0.2.108", true);
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
}

/// On two hosts the file is changed on one after the other: for a while their lists of addresses differ.
#[test]
fn a_reload_on_one_of_two_hosts_makes_no_second_master() {
    lab::need!(netns);
    let (a, b) = (Node::new().unwrap(), Node::new().unwrap());
    lab::veth(&a, "eth0", &b, "eth0").unwrap();
    a.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    b.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
    let capture = Capture::open(&b, "eth0", Filter::Failover).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let text = |priority: u8, address: &str| {
        fast("web", 9, address).replace("advert_int", &format!("priority {priority}\nadvert_int"))
    };
    let at_a = file("a.conf", &text(150, "192.0.2.109"));
    let mut first = Daemon::Vipd(vipd()).start(&a, &at_a).unwrap();
    let from = |source: u8| {
        move |frame: &Frame| Advertisement::of(frame).filter(|one| one.source.octets()[3] == source)
    };
    assert!(capture.find(PATIENCE, from(1)).unwrap().is_some(), "{}", first.log());
    let at_b = file("b.conf", &text(100, "192.0.2.109"));
    let mut second = Daemon::Vipd(vipd()).start(&b, &at_b).unwrap();
    assert!(second.wait_line("-> backup", PATIENCE).is_some(), "{}", second.log());
    capture.drain().unwrap();
    let changes = [(&first, "a.conf", 150), (&second, "b.conf", 100)];
    for (daemon, name, priority) in changes {
        file(name, &text(priority, "192.0.2.109\n192.0.2.119"));
        daemon.signal(Signal::HUP).unwrap();
        let said = daemon.wait_line("virtual routers: 1 changed", PATIENCE);
        assert!(said.is_some(), "{}", daemon.log());
        // More than three intervals.
        for _ in 0..10 {
            let one = capture.find(PATIENCE, Advertisement::of).unwrap().unwrap();
            assert_eq!((one.source.octets()[3], one.priority()), (1, 150), "{one:?}");
        }
    }
    // It was there all the time: the other one takes over when the Master leaves.
    assert_eq!(first.terminate().unwrap().code(), Some(0));
    let taken = capture.find(PATIENCE, from(2)).unwrap();
    assert_eq!(taken.map(|one| one.message.get(3).copied()), Some(Some(2)), "two addresses");
    assert_eq!(second.terminate().unwrap().code(), Some(0));
}

#[test]
fn the_service_manager_is_told() {
    lab::need!(netns);
    let scene = Scene::new();
    let path = scene.directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer.get(..length).unwrap().to_vec()).unwrap()
    };
    let text = fast("web", 9, "192.0.2.109");
    let mut command = Command::new(vipd());
    command.arg("run").arg(scene.file(&text)).env("NOTIFY_SOCKET", &path);
    let mut daemon = Process::start(&scene.node, "vipd", &mut command).unwrap();
    assert_eq!(told(), "READY=1");
    let monotonic = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
    };
    let before = Duration::from_micros(monotonic().as_micros().try_into().unwrap());
    daemon.signal(Signal::HUP).unwrap();
    let reloading = told();
    let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    let at = Duration::from_micros(at.parse().unwrap());
    assert!(at >= before && at <= monotonic(), "{before:?} {at:?}");
    assert_eq!(told(), "READY=1");
    assert_eq!(daemon.terminate().unwrap().code(), Some(0));
    assert_eq!(told(), "STOPPING=1");
}
