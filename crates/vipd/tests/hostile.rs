//! The daemon where everything is against it: signals and kills at any moment, full disks, no descriptors, bad packets.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use core::fmt::Write as _;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::{Capture, Filter, Namespace, Node, Process};
use rustix::process::Signal;
use socket2::{Domain, Protocol, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(10);

/// Addresses of the big configuration.
const MANY: usize = 2000;

/// The daemon's host with `eth0` 192.0.2.1/24, and the other end of its cable.
struct Scene {
    node: Node,
    outside: Namespace,
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let (node, outside) = (Node::new().unwrap(), Namespace::new().unwrap());
        lab::veth(&node, "eth0", &outside, "eth0").unwrap();
        node.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        outside.ip("addr add 192.0.2.66/24 dev eth0").unwrap();
        Self { node, outside, directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.directory.path().join("test.conf");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn start(&self, file: &Path) -> Process {
        self.start_as(Command::new(env!("CARGO_BIN_EXE_vipd")), file)
    }

    /// Starts it at the end of a command that starts another.
    fn start_as(&self, mut command: Command, file: &Path) -> Process {
        command.arg("run").arg("--pid").arg("/run/vipd.pid").arg(file);
        Process::start(&self.node, "vipd", &mut command).unwrap()
    }

    /// How many virtual addresses the host has.
    fn count(&self) -> usize {
        let shown = self.node.output(Command::new("ip").args(["-o", "addr"])).unwrap();
        String::from_utf8_lossy(&shown.stdout).matches(" 10.9.").count()
    }

    /// Waits until the host has so many virtual addresses.
    fn wait_count(&self, daemon: &Process, wanted: impl Fn(usize) -> bool) {
        let seen = lab::eventually(PATIENCE, || wanted(self.count()).then_some(()));
        assert!(seen.is_some(), "{} addresses\n{}", self.count(), daemon.log());
    }

    /// What is in the daemon's directories.
    fn files(&self) -> Vec<String> {
        self.node.run(|| {
            let list = |path: &str| std::fs::read_dir(path).into_iter().flatten().flatten();
            list("/run/vrrp")
                .chain(list("/run"))
                .filter(|entry| entry.path().is_file())
                .map(|entry| entry.path().display().to_string())
                .collect()
        })
    }
}

/// One instance that is master after a third of a second, with so many addresses.
fn instance(addresses: usize) -> String {
    let mut text = String::from(
        "vrrp_instance web {\nversion 3\ninterface eth0\nvirtual_router_id 9\nadvert_int 0.1\nvirtual_ipaddress {\n",
    );
    for number in 0..addresses {
        writeln!(text, "10.9.{}.{}/32", number / 250, number % 250 + 1).unwrap();
    }
    text + "}\n}\n"
}

#[test]
fn a_stop_at_any_moment_leaves_nothing() {
    lab::need!(netns);
    let scene = Scene::new();
    let file = scene.file(&instance(MANY));
    // As soon as: it has said its first word; it is Backup; so many addresses are there.
    let said = ["starts with", "virtual router 9", "initialize -> backup"];
    let moments = said.map(Err).into_iter().chain([1, 100, MANY / 2, MANY].map(Ok));
    for (moment, twice) in moments.zip([true, false].into_iter().cycle()) {
        let mut daemon = scene.start(&file);
        match moment {
            Err(line) => assert!(daemon.wait_line(line, PATIENCE).is_some(), "{}", daemon.log()),
            Ok(addresses) => scene.wait_count(&daemon, |count| count >= addresses),
        }
        daemon.signal(if twice { Signal::TERM } else { Signal::INT }).unwrap();
        if twice {
            daemon.signal(Signal::TERM).unwrap();
        }
        let status = daemon.wait(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(0), "{moment:?}\n{}", daemon.log());
        assert_eq!((scene.count(), scene.files()), (0, Vec::new()), "{moment:?}");
    }
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_after_the_next_run() {
    lab::need!(netns);
    let scene = Scene::new();
    let file = scene.file(&instance(MANY));
    // While it adds: after so many addresses. While it removes: so many after the signal.
    for (added, removed) in [(1, None), (700, None), (MANY, None), (MANY, Some(300))] {
        let mut daemon = scene.start(&file);
        scene.wait_count(&daemon, |count| count >= added);
        if let Some(removed) = removed {
            daemon.signal(Signal::TERM).unwrap();
            scene.wait_count(&daemon, |count| count + removed <= MANY);
        }
        daemon.kill().unwrap();
        // The removal may have been faster than we are.
        assert!(scene.count() > 0 || removed.is_some(), "nobody was there to remove them");
        // The successor removes them before it does anything else, and ends with nothing.
        let mut daemon = scene.start(&file);
        assert!(daemon.wait_line("-> backup", PATIENCE).is_some(), "{}", daemon.log());
        daemon.signal(Signal::TERM).unwrap();
        assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(0), "{}", daemon.log());
        assert_eq!((scene.count(), scene.files()), (0, Vec::new()), "{added} {removed:?}");
    }
}

#[test]
fn what_a_killed_daemon_left_goes_although_it_is_not_configured_any_more() {
    lab::need!(netns);
    let scene = Scene::new();
    let before = instance(3);
    // Another VRID; no virtual router at all.
    for after in [before.replace("virtual_router_id 9", "virtual_router_id 10"), String::new()] {
        let mut daemon = scene.start(&scene.file(&before));
        scene.wait_count(&daemon, |count| count == 3);
        daemon.kill().unwrap();
        assert_eq!(scene.count(), 3, "nobody was there to remove them");
        let mut daemon = scene.start(&scene.file(&after));
        let line = daemon.wait_line("was left by a process that died; removed", PATIENCE);
        assert!(line.is_some(), "{}", daemon.log());
        scene.wait_count(&daemon, |count| count == 0);
        assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
        assert_eq!((scene.count(), scene.files()), (0, Vec::new()));
    }
}

#[test]
fn a_run_directory_that_cannot_be_used_is_named() {
    lab::need!(netns);
    let scene = Scene::new();
    let file = scene.file(&instance(1));
    let mount = |arguments: &[&str]| {
        let status = scene.node.output(Command::new("mount").args(arguments)).unwrap();
        assert!(status.status.success(), "{status:?}");
    };
    scene.node.run(|| std::fs::create_dir("/run/vrrp")).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "lab", "/run/vrrp"]);
    scene.node.run(|| std::fs::write("/run/vrrp/x", [0; 4096])).unwrap();
    let refused = |said: &str| {
        let mut daemon = scene.start(&file);
        assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(1), "{}", daemon.log());
        let line = daemon.wait_line(said, PATIENCE).unwrap_or_else(|| panic!("{}", daemon.log()));
        assert!(line.text.contains("/run/vrrp"), "{}", line.text);
    };
    refused("No space left on device");
    mount(&["-o", "remount,ro", "lab", "/run/vrrp"]);
    refused("Read-only file system");
    assert_eq!(scene.files(), ["/run/vrrp/x"], "no pid file is left");
}

#[test]
fn a_disk_that_fills_up_later_is_told_and_not_for_each_address_and_attempt() {
    lab::need!(netns);
    let scene = Scene::new();
    let file = scene.file(&instance(MANY));
    scene.node.run(|| std::fs::create_dir("/run/vrrp")).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=8k", "lab", "/run/vrrp"];
    let mounted = scene.node.output(Command::new("mount").args(mount)).unwrap();
    assert!(mounted.status.success(), "{mounted:?}");
    let mut daemon = scene.start(&file);
    let line = daemon.wait_line("No space left on device", PATIENCE);
    assert!(line.is_some_and(|line| line.text.contains("/run/vrrp")), "{}", daemon.log());
    // It gives up, waits, and tries again.
    let fault = "cannot take part: the virtual addresses cannot be installed";
    assert!(daemon.wait_line(fault, PATIENCE).is_some(), "{}", daemon.log());
    assert!(daemon.wait_line("no longer", PATIENCE).is_some(), "{}", daemon.log());
    assert_eq!(daemon.terminate().unwrap().code(), Some(0));
    assert_eq!(scene.count(), 0, "what could be listed was removed");
    let told = daemon.log().matches("No space left").count();
    assert!((1..=16).contains(&told), "{told} lines");
}

#[test]
fn too_few_descriptors_are_told_with_the_remedy() {
    lab::need!(netns);
    let scene = Scene::new();
    let file = scene.file(&instance(1));
    let mut refused = 0;
    for limit in 6..30 {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}")).arg(env!("CARGO_BIN_EXE_vipd"));
        let mut daemon = scene.start_as(command, &file);
        let up = lab::eventually(PATIENCE, || {
            let ended = daemon.ended().unwrap().is_some();
            (ended || daemon.log().contains("initialize -> backup")).then_some(!ended)
        });
        if up == Some(true) {
            assert_eq!(daemon.terminate().unwrap().code(), Some(0));
            break;
        }
        assert_eq!(daemon.wait(PATIENCE).unwrap().code(), Some(1), "{}", daemon.log());
        assert!(daemon.wait_line("ulimit -n", PATIENCE).is_some(), "{limit}: {}", daemon.log());
        assert_eq!((scene.count(), scene.files()), (0, Vec::new()));
        refused += 1;
    }
    assert!(refused >= 5, "{refused} limits were too low");
}

#[test]
fn closed_standard_streams_are_no_obstacle() {
    lab::need!(netns);
    let scene = Scene::new();
    let file = scene.file(&instance(1));
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 0<&- 1>&- 2>&-", env!("CARGO_BIN_EXE_vipd")]);
    let mut daemon = scene.start_as(command, &file);
    scene.wait_count(&daemon, |count| count == 1);
    assert_eq!(daemon.terminate().unwrap().code(), Some(0));
    assert_eq!((scene.count(), scene.files()), (0, Vec::new()));
}

#[test]
fn bad_packets_are_told_of_once_a_cause() {
    lab::need!(netns);
    let scene = Scene::new();
    let capture = Capture::open(&scene.outside, "eth0", Filter::Failover).unwrap();
    let mut daemon = scene.start(&scene.file(&instance(1)));
    let heard = || {
        let ours = |frame: &lab::Frame| (frame.is_vrrp() && !frame.outgoing).then_some(());
        capture.find(PATIENCE, ours).unwrap().expect("an advertisement");
    };
    heard();
    let messages: [&[u8]; 3] = [
        &[0x31, 9, 250, 1, 0, 10, 0xde, 0xad, 10, 9, 0, 1],
        &[0x31, 9, 250],
        &[0x71, 9, 250, 1, 0, 10, 0, 0, 10, 9, 0, 1],
    ];
    scene.outside.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).unwrap();
        socket.set_multicast_ttl_v4(255).unwrap();
        socket.set_multicast_if_v4(&Ipv4Addr::new(192, 0, 2, 66)).unwrap();
        let to = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 18), 0).into();
        for message in messages.iter().cycle().take(3000) {
            socket.send_to(message, &to).unwrap();
        }
    });
    for cause in ["checksum-errors: 1 ", "packet-length-errors: 1 ", "version-errors: 1 "] {
        assert!(daemon.wait_line(cause, PATIENCE).is_some(), "{cause}\n{}", daemon.log());
    }
    heard();
    let mut status = Command::new(env!("CARGO_BIN_EXE_vipd"));
    let shown = scene.node.output(status.arg("status")).unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("1000 discarded (checksum-errors)"), "{shown}");
    assert_eq!(daemon.terminate().unwrap().code(), Some(0));
    let lines =
        daemon.lines().iter().filter(|line| line.text.contains("discarded a packet")).count();
    assert_eq!(lines, 3, "{}", daemon.log());
}

#[test]
fn a_configuration_without_end_or_sense_is_refused_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("binary"), (0..=255_u8).cycle().take(50_000).collect::<Vec<u8>>()).unwrap();
    std::fs::write(at("line"), "vrrp_instance x {".repeat(60_000)).unwrap();
    std::fs::write(at("nested"), "vrrp_instance x {\n".repeat(20_000)).unwrap();
    std::fs::write(at("circle"), "include circle\n").unwrap();
    std::fs::write(at("bomb"), "~SEQ(A,1,100000) ~SEQ(B,1,100000) vrrp_instance $A$B { }\n")
        .unwrap();
    let check = |path: &Path| {
        let mut vipd = Command::new(env!("CARGO_BIN_EXE_vipd"));
        let output = vipd.args(["check", "--plain"]).arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said)
    };
    for (name, code, says) in [
        ("empty", 1, "nothing would run"),
        ("binary", 1, "NUL byte"),
        ("line", 1, "lines of more than 1023 bytes are dropped"),
        ("nested", 2, "[unclosed"),
        ("circle", 2, "[include"),
        ("bomb", 2, "[expansion-limit]"),
        ("missing", 2, "No such file"),
        ("", 2, "not a regular file"),
    ] {
        let (found, said) = check(&at(name));
        let beginning: String = said.chars().take(1500).collect();
        assert_eq!(found, Some(code), "{name}: {beginning}");
        assert!(said.contains(says), "{name}: {beginning}");
    }
    let (found, said) = check(Path::new("/dev/zero"));
    assert!(found == Some(2) && said.contains("larger than"), "{said}");
}
