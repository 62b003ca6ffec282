//! Scripts and FIFOs that are told about changes: keepalived 2.2.7 and vipd on one file tell the same.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod scene;

use core::time::Duration;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use lab::peers::Daemon;
use lab::{Namespace, Node, Process};
use rustix::process::Signal;

use scene::{PATIENCE, Scene, Scripts, fast, vipd};

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// All `notify...` of an instance or a group, with its name in front of the arguments.
fn notify(log: &Path, name: &str) -> String {
    ["_master", "_backup", "_fault", "_stop", ""]
        .map(|kind| format!("notify{kind} \"{} {name}{kind}\"\n", log.display()))
        .concat()
}

/// What a change to a state makes of the scripts above.
fn told(kind: &str, name: &str, state: &str, priority: u8) -> [String; 2] {
    [format!("{name}_{}", state.to_lowercase()), format!("{name} {kind} {name} {state} {priority}")]
}

#[test]
fn instances_groups_and_fifos_are_told_the_same_as_by_keepalived() {
    lab::need!(netns, root, keepalived);
    for daemon in [Daemon::Keepalived, Daemon::Vipd(vipd())] {
        one_story(&daemon);
    }
}

fn one_story(daemon: &Daemon) {
    let scripts = Scripts::new();
    let (node, outside) = (Node::new().unwrap(), Namespace::new().unwrap());
    lab::veth(&node, "eth0", &outside, "eth0").unwrap();
    lab::veth(&node, "eth1", &outside, "eth1").unwrap();
    node.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    node.ip("addr add 198.51.100.1/24 dev eth1").unwrap();
    let log = scripts.path("log.sh");
    let fifo = scripts.path("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let instance = |name: &str, vrid: u8, address: &str| {
        let text =
            fast(name, vrid, address).replace("advert_int", &(notify(&log, name) + "advert_int"));
        if address.starts_with("198") { text.replace("eth0", "eth1") } else { text }
    };
    let text = format!(
        "global_defs {{\nscript_user root\nenable_script_security\nvrrp_notify_fifo {}\n}}\nvrrp_sync_group both {{\ngroup {{\none\ntwo\n}}\n{}}}\n{}{}{}",
        fifo.display(),
        notify(&log, "both"),
        instance("one", 7, "192.0.2.107"),
        instance("two", 8, "198.51.100.108"),
        instance("alone", 9, "198.51.100.109"),
    );
    let path = scripts.path("test.conf");
    std::fs::write(&path, text).unwrap();
    // Open before it is written, for both directions: the daemon must not wait for us, nor we for it.
    let mut reader = File::options().read(true).write(true).open(&fifo).unwrap();
    let mut running = daemon.start(&node, &path).unwrap();
    let all = |state: &str| {
        let mut lines = told("GROUP", "both", state, 0).to_vec();
        for name in ["one", "two", "alone"] {
            lines.extend(told("INSTANCE", name, state, 100));
        }
        lines
    };
    let mut seen = 0;
    let mut expect = |mut expected: Vec<String>, running: &Process| {
        let lines = scripts.next(seen, expected.len(), running);
        seen += lines.len();
        expected.sort();
        assert_eq!(sorted(lines), expected, "{}", daemon.name());
    };
    expect([all("BACKUP"), all("MASTER")].concat(), &running);
    outside.ip("link set eth0 down").unwrap();
    let group = |state: &str| all(state).into_iter().filter(|line| !line.starts_with("alone"));
    expect(group("FAULT").collect(), &running);
    outside.ip("link set eth0 up").unwrap();
    expect(group("BACKUP").chain(group("MASTER")).collect(), &running);
    assert_eq!(running.terminate().unwrap().code(), Some(0), "{}", running.log());
    expect(all("STOP"), &running);

    let expected =
        [("BACKUP", 4), ("MASTER", 4), ("FAULT", 3), ("BACKUP", 3), ("MASTER", 3), ("STOP", 4)];
    let lines: usize = expected.iter().map(|(_, count)| count).sum();
    let mut text = String::new();
    while text.lines().count() < lines || !text.ends_with('\n') {
        let mut part = [0; 4096];
        let length = reader.read(&mut part).unwrap();
        text.push_str(core::str::from_utf8(part.get(..length).unwrap()).unwrap());
    }
    let mut written = text.lines();
    for (state, count) in expected {
        let of_state = [
            format!("GROUP \"both\" {state} 0"),
            format!("INSTANCE \"alone\" {state} 100"),
            format!("INSTANCE \"one\" {state} 100"),
            format!("INSTANCE \"two\" {state} 100"),
        ];
        let part = sorted(written.by_ref().take(count).map(ToOwned::to_owned).collect());
        let known: Vec<&String> = of_state.iter().filter(|line| part.contains(line)).collect();
        assert_eq!((part.len(), known.len()), (count, count), "{}: {part:?}", daemon.name());
    }
    assert!(fifo.exists(), "it was ours");
}

#[test]
fn scripts_about_one_object_never_overlap_and_stay_in_order() {
    lab::need!(netns);
    let scene = Scene::new();
    let scripts = Scripts::new();
    // It writes down when it begins and ends, and takes its time: master, fault and backup come while it runs.
    let slow = scripts.write(
        "slow.sh",
        "#!/bin/sh\necho \"begin $3\" >> \"$(dirname $0)/log.sh.log\"\nsleep 1\necho \"end $3\" >> \"$(dirname $0)/log.sh.log\"\n",
    );
    let text =
        fast("web", 9, "192.0.2.109").replace("advert_int", &format!("notify {slow}\nadvert_int"));
    let mut daemon = scene.start(&text);
    scene.advertisement();
    scene.outside.ip("link set eth0 down").unwrap();
    assert!(daemon.wait_line("-> initialize", PATIENCE).is_some(), "{}", daemon.log());
    scene.outside.ip("link set eth0 up").unwrap();
    let lines = scripts.next(0, 10, &daemon);
    let expected: Vec<String> = ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"]
        .iter()
        .flat_map(|state| [format!("begin {state}"), format!("end {state}")])
        .collect();
    assert_eq!(lines, expected);
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
    // The end waited for it.
    assert_eq!(scripts.next(10, 2, &daemon), ["begin STOP", "end STOP"]);
}

#[test]
fn a_script_that_hangs_holds_nobody_up() {
    lab::need!(netns);
    let scene = Scene::new();
    let scripts = Scripts::new();
    let hangs = scripts.write(
        "hangs.sh",
        "#!/bin/sh\ntrap '' TERM\necho $$ >> \"$0.log\"\nsleep 1000 & wait\nsleep 1000\n",
    );
    let text =
        fast("web", 9, "192.0.2.109").replace("advert_int", &format!("notify {hangs}\nadvert_int"));
    let mut daemon = scene.start(&text);
    for _ in 0..3 {
        assert_eq!(scene.advertisement().priority(), 100);
    }
    let process = || {
        let text = std::fs::read_to_string(scripts.path("hangs.sh.log")).ok()?;
        text.trim().parse::<u32>().ok()
    };
    let process = lab::eventually(PATIENCE, process).unwrap();
    let before = lab::now();
    daemon.signal(Signal::TERM).unwrap();
    let farewell = scene.capture.find(PATIENCE, |frame| {
        scene::Advertisement::of(frame).filter(|one| one.priority() == 0).map(|_| frame.at)
    });
    let farewell = farewell.unwrap().unwrap();
    assert!(daemon.wait_line("scripts that still run after 5s are killed", PATIENCE).is_some());
    let told = daemon.wait_line("scripts that still run", PATIENCE).unwrap().at;
    // Priority 0 does not wait for scripts: it comes before the time that they are given is over.
    assert!(farewell < told && farewell.saturating_sub(before) < Duration::from_secs(5));
    assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(0), "{}", daemon.log());
    let gone = || (!Path::new(&format!("/proc/{process}")).exists()).then_some(());
    assert!(lab::eventually(PATIENCE, gone).is_some(), "the script is killed");
}

#[test]
fn what_a_reload_removes_is_told_of() {
    lab::need!(netns);
    let scene = Scene::new();
    let scripts = Scripts::new();
    let log = scripts.path("log.sh");
    let with = |name: &str, vrid: u8, address: &str, more: &str| {
        let lines = format!("notify {} {more}\nadvert_int", "\"LOG\"")
            .replace("LOG", log.to_str().unwrap());
        fast(name, vrid, address).replace("advert_int", &lines)
    };
    let (plain, deleted) = (
        with("plain", 7, "192.0.2.107", ""),
        with("deleted", 8, "192.0.2.108", &format!("\nnotify_deleted \"{} gone\"", log.display())),
    );
    let stays = with("stays", 9, "192.0.2.109", "");
    let mut daemon = scene.start(&(plain + &deleted + &stays));
    scripts.next(0, 6, &daemon);
    scene.file(&stays);
    daemon.signal(Signal::HUP).unwrap();
    let lines = sorted(scripts.next(6, 3, &daemon));
    assert_eq!(lines, ["INSTANCE deleted DELETED 100", "INSTANCE plain FAULT 100", "gone"]);
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
    assert_eq!(scripts.next(9, 1, &daemon), ["INSTANCE stays STOP 100"]);
}
