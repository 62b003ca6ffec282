//! Tracked scripts, watched from outside, by keepalived 2.2.7 and by vipd on one file.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod scene;

use core::time::Duration;
use std::path::Path;

use lab::peers::Daemon;
use lab::{Capture, Filter, Namespace, Node, Process};
use rustix::process::Signal;

use scene::{Advertisement, PATIENCE, Scene, Scripts, fast, vipd};

/// A host whose instance tracks a script that succeeds while `good` is there.
struct Tracked {
    node: Node,
    _outside: Namespace,
    capture: Capture,
    scripts: Scripts,
    process: Process,
}

impl Tracked {
    fn start(daemon: &Daemon, options: &str, good: bool) -> Self {
        let (node, outside) = (Node::new().unwrap(), Namespace::new().unwrap());
        lab::veth(&node, "eth0", &outside, "eth0").unwrap();
        node.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        let capture = Capture::open(&outside, "eth0", Filter::Failover).unwrap();
        let scripts = Scripts::new();
        let script = scripts.write("chk.sh", "#!/bin/sh\ntest -e \"$(dirname $0)/good\"\n");
        if good {
            std::fs::write(scripts.path("good"), "").unwrap();
        }
        let text = format!(
            "global_defs {{\nscript_user root\nenable_script_security\n}}\nvrrp_script chk {{\nscript \"{script}\"\ninterval 1\n{options}\n}}\n{}",
            fast("web", 9, "192.0.2.109")
                .replace("advert_int", "track_script {\nchk\n}\nadvert_int")
        );
        let path = scripts.path("test.conf");
        std::fs::write(&path, text).unwrap();
        let process = daemon.start(&node, &path).unwrap();
        Self { node, _outside: outside, capture, scripts, process }
    }

    fn good(&self, good: bool) {
        if good {
            std::fs::write(self.scripts.path("good"), "").unwrap();
        } else {
            std::fs::remove_file(self.scripts.path("good")).unwrap();
        }
    }

    /// All priorities until this one.
    fn until(&self, priority: u8) -> Vec<u8> {
        let mut seen = Vec::new();
        while seen.last() != Some(&priority) {
            let one = self.capture.find(PATIENCE, Advertisement::of).unwrap();
            assert!(one.is_some(), "no {priority} in {seen:?}: {}", self.process.log());
            seen.extend(one.map(|one| one.priority()));
        }
        seen.dedup();
        seen
    }

    fn wait(&self, present: bool) {
        let has = || {
            let mut command = std::process::Command::new("ip");
            let shown = self.node.output(command.args(["-o", "addr"])).unwrap();
            let has = String::from_utf8_lossy(&shown.stdout).contains(" 192.0.2.109/");
            (has == present).then_some(())
        };
        assert!(lab::eventually(PATIENCE, has).is_some(), "{present}: {}", self.process.log());
    }

    fn end(mut self) {
        assert_eq!(self.process.terminate().unwrap().code(), Some(0), "{}", self.process.log());
    }
}

fn both() -> [Daemon; 2] {
    [Daemon::Keepalived, Daemon::Vipd(vipd())]
}

#[test]
fn a_script_without_weight_decides_about_taking_part() {
    lab::need!(netns, root, keepalived);
    for daemon in both() {
        let tracked = Tracked::start(&daemon, "", true);
        assert_eq!(tracked.until(100), [100], "{}", daemon.name());
        tracked.wait(true);
        tracked.good(false);
        assert_eq!(tracked.until(0), [100, 0], "{}", daemon.name());
        tracked.wait(false);
        tracked.good(true);
        // keepalived says farewell more than once.
        let back = tracked.until(100);
        assert!(back.iter().all(|priority| [0, 100].contains(priority)), "{back:?}");
        tracked.wait(true);
        tracked.end();
    }
}

#[test]
fn weights_change_the_priority() {
    lab::need!(netns, root, keepalived);
    for daemon in both() {
        for (options, good, bad) in
            [("weight -30", 100, 70), ("weight 20", 120, 100), ("weight 20 reverse", 80, 100)]
        {
            let tracked = Tracked::start(&daemon, options, true);
            tracked.until(good);
            tracked.good(false);
            assert_eq!(tracked.until(bad), [good, bad], "{} {options}", daemon.name());
            tracked.end();
        }
    }
}

#[test]
fn without_a_first_success_it_does_not_take_part() {
    lab::need!(netns, root, keepalived);
    for daemon in both() {
        for options in ["", "init_fail\nrise 2"] {
            let tracked = Tracked::start(&daemon, options, false);
            let frames = tracked.capture.find(Duration::from_millis(2500), Advertisement::of);
            assert!(frames.unwrap().is_none(), "{}: {options}", daemon.name());
            tracked.good(true);
            assert_eq!(tracked.until(100), [100], "{}: {options}", daemon.name());
            tracked.end();
        }
    }
}

#[test]
fn the_number_in_a_file_changes_the_priority() {
    lab::need!(netns, root, keepalived);
    for daemon in both() {
        let scene = Scene::new();
        let path = scene.directory.path().join("load");
        let text = format!("track_file load {{\nfile {}\n}}\n", path.display())
            + &fast("web", 9, "192.0.2.109")
                .replace("advert_int", "track_file {\nload weight 2\n}\nadvert_int");
        let mut process = daemon.start(&scene.node, &scene.file(&text)).unwrap();
        let until = |priority: u8| {
            let with = |one: &Advertisement| one.priority() == priority;
            let one = scene.capture.find(PATIENCE, |frame| Advertisement::of(frame).filter(with));
            assert!(one.unwrap().is_some(), "{} {priority}: {}", daemon.name(), process.log());
        };
        until(100);
        std::fs::write(&path, "-20\n").unwrap();
        until(60);
        std::fs::write(&path, "5\n").unwrap();
        until(110);
        // A hundred and twenty-seven times two is a fault.
        std::fs::write(&path, "-127\n").unwrap();
        until(0);
        std::fs::remove_file(&path).unwrap();
        until(100);
        assert_eq!(process.terminate().unwrap().code(), Some(0), "{}", process.log());
    }
}

/// A host with a second link, whose instance tracks it.
fn with_second_link(daemon: &Daemon, track: &str) -> (Node, Namespace, Capture, Process) {
    let (node, outside) = (Node::new().unwrap(), Namespace::new().unwrap());
    for link in ["eth0", "eth1"] {
        lab::veth(&node, link, &outside, link).unwrap();
    }
    node.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
    let capture = Capture::open(&outside, "eth0", Filter::Failover).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.conf");
    let lines = format!("track_interface {{\n{track}\n}}\nadvert_int");
    std::fs::write(&path, fast("web", 9, "192.0.2.109").replace("advert_int", &lines)).unwrap();
    let process = daemon.start(&node, &path).unwrap();
    let first = capture.find(PATIENCE, Advertisement::of).unwrap();
    assert!(first.is_some(), "{}: {}", daemon.name(), process.log());
    (node, outside, capture, process)
}

#[test]
fn a_tracked_interface_is_a_fault_or_changes_the_priority() {
    lab::need!(netns, root, keepalived);
    for daemon in both() {
        for (track, bad) in [("eth1", 0), ("eth1 weight -30", 70)] {
            let (_node, outside, capture, mut process) = with_second_link(&daemon, track);
            let until = |priority: u8| {
                let with = |one: &Advertisement| one.priority() == priority;
                let one =
                    capture.find(PATIENCE, |frame| Advertisement::of(frame).filter(with)).unwrap();
                assert!(one.is_some(), "{} {priority}: {}", daemon.name(), process.log());
            };
            outside.ip("link set eth1 down").unwrap();
            until(bad);
            outside.ip("link set eth1 up").unwrap();
            until(100);
            assert_eq!(process.terminate().unwrap().code(), Some(0), "{}", process.log());
        }
    }
}

/// vipd alone: what 2.2.7 cannot do (it takes a program that vanished for a success), and what only ours needs to show.
#[test]
fn a_script_that_vanishes_or_hangs_has_failed() {
    lab::need!(netns, root);
    let daemon = Daemon::Vipd(vipd());
    let tracked = Tracked::start(&daemon, "", true);
    tracked.until(100);
    std::fs::rename(tracked.scripts.path("chk.sh"), tracked.scripts.path("gone.sh")).unwrap();
    tracked.until(0);
    tracked.end();
    let tracked = Tracked::start(&daemon, "timeout 1\nfall 2", true);
    tracked.until(100);
    let hangs = "#!/bin/sh\necho $$ >> \"$0.log\"\nexec sleep 1000\n";
    tracked.scripts.write("new.sh", hangs);
    // In one step, as who replaces a program does it.
    std::fs::rename(tracked.scripts.path("new.sh"), tracked.scripts.path("chk.sh")).unwrap();
    tracked.until(0);
    let pids = std::fs::read_to_string(tracked.scripts.path("chk.sh.log")).unwrap();
    assert!(pids.lines().count() >= 2, "two failures: {pids}");
    tracked.end();
    for pid in pids.lines() {
        let gone = || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(());
        assert!(lab::eventually(PATIENCE, gone).is_some(), "{pid} was killed");
    }
}

/// A script that restarts what it watches, as the tutorials have it: what it starts inherits whatever the script had.
#[test]
fn a_script_that_starts_a_server_has_ended_when_it_ends() {
    lab::need!(netns);
    let scene = Scene::new();
    let scripts = Scripts::new();
    let script = scripts.write(
        "start.sh",
        "#!/bin/sh\nd=$(dirname $0)\nif ! test -e $d/pid; then\nsetsid sleep 1000 &\necho $! > $d/pid\nfi\nkill -0 $(cat $d/pid)\n",
    );
    let text = format!("vrrp_script chk {{\nscript \"{script}\"\ninterval 1\n}}\n")
        + &fast("web", 9, "192.0.2.109")
            .replace("advert_int", "track_script {\nchk\n}\nadvert_int");
    let mut daemon = scene.start(&text);
    assert_eq!(scene.advertisement().priority(), 100);
    assert!(!daemon.log().contains("fails"), "{}", daemon.log());
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
    let pid = std::fs::read_to_string(scripts.path("pid")).unwrap();
    let pid = pid.trim().parse().unwrap();
    let server = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(server, Signal::KILL).expect("the server outlives the daemon");
}

/// `/etc/init.d/keepalived stop` in a script: it asks us to end and waits until we have, while we run it.
#[test]
fn a_script_that_stops_us_and_waits_does_not_wait_for_ever() {
    lab::need!(netns);
    let scene = Scene::new();
    let scripts = Scripts::new();
    let script = scripts.write(
        "stop.sh",
        "#!/bin/sh\nd=$(dirname $0)\ntest -e $d/good && exit 0\np=$(cat /run/keepalived.pid)\nkill $p\nwhile kill -0 $p; do sleep 0.05; done\ntouch $d/waited\n",
    );
    std::fs::write(scripts.path("good"), "").unwrap();
    let text = format!("vrrp_script chk {{\nscript \"{script}\"\ninterval 1\ntimeout 20\n}}\n")
        + &fast("web", 9, "192.0.2.109")
            .replace("advert_int", "track_script {\nchk\n}\nadvert_int");
    let mut daemon = scene.start(&text);
    assert_eq!(scene.advertisement().priority(), 100);
    std::fs::remove_file(scripts.path("good")).unwrap();
    assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(0), "{}", daemon.log());
    let farewell = scene
        .capture
        .find(PATIENCE, |frame| Advertisement::of(frame).filter(|one| one.priority() == 0));
    assert!(farewell.unwrap().is_some());
    assert!(!scene.has("192.0.2.109"));
}

#[test]
fn a_reload_keeps_mastership_whatever_it_does_to_scripts() {
    lab::need!(netns, root);
    let tracked = Tracked::start(&Daemon::Vipd(vipd()), "", true);
    tracked.until(100);
    let path = tracked.scripts.path("test.conf");
    let before = std::fs::read_to_string(&path).unwrap();
    let slow = tracked.scripts.write("slow.sh", "#!/bin/sh\nsleep 2\nexit 1\n");
    // Another script comes, which takes its time; the first is used with a weight.
    let other = format!("vrrp_script slow {{\nscript \"{slow}\"\ninterval 4\nweight -10\n}}\n");
    let after =
        other + &before.replace("track_script {\nchk", "track_script {\nslow\nchk weight 5");
    std::fs::write(&path, &after).unwrap();
    tracked.process.signal(Signal::HUP).unwrap();
    let seen = [tracked.until(105), tracked.until(95)].concat();
    assert!(!seen.contains(&0), "{seen:?}: {}", tracked.process.log());
    // Neither is tracked any more.
    std::fs::write(&path, before.replace("track_script {\nchk\n}\n", "")).unwrap();
    tracked.process.signal(Signal::HUP).unwrap();
    let seen = tracked.until(100);
    assert!(!seen.contains(&0), "{seen:?}: {}", tracked.process.log());
    tracked.end();
}
