//! The rights that vipd needs: two capabilities, each missed by name. And what `dist/` gives it, as systemd understands it.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use core::time::Duration;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab::{Node, Process, veth};

const PATIENCE: Duration = Duration::from_secs(30);
const ADDRESS: &str = "192.0.2.100/24";
const VIPD: &str = env!("CARGO_BIN_EXE_vipd");

/// Two hosts on a cable, and a configuration.
struct Stage {
    a: Node,
    b: Node,
    directory: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let (a, b) = (Node::new().unwrap(), Node::new().unwrap());
        veth(&a, "eth0", &b, "eth0").unwrap();
        a.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        b.ip("addr add 192.0.2.2/24 dev eth0").unwrap();
        Self { a, b, directory: tempfile::tempdir().unwrap() }
    }

    /// vipd with these capabilities and no others, which not even root could get back.
    fn command(&self, priority: u8, capabilities: &str, options: &[&str]) -> Command {
        let file = self.directory.path().join(format!("{priority}.conf"));
        let text = format!(
            "vrrp_instance web {{\nversion 3\ninterface eth0\nvirtual_router_id 51\npriority {priority}\nadvert_int 0.1\nvirtual_ipaddress {{\n{ADDRESS}\n}}\n}}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("setpriv");
        command.env("PATH", lab::need::search_path());
        command.args(["--no-new-privs", "--bounding-set", capabilities]);
        command.args(["--inh-caps", capabilities, VIPD, "run"]).args(options).arg(file);
        command
    }
}

fn has(node: &Node) -> bool {
    let shown = node.output(Command::new("ip").args(["-o", "addr"])).unwrap();
    String::from_utf8_lossy(&shown.stdout).contains(&format!(" {ADDRESS} "))
}

fn wait(node: &Node, present: bool, daemon: &Process) {
    let seen = lab::eventually(PATIENCE, || (has(node) == present).then_some(()));
    assert!(seen.is_some(), "present: {present}? {}", daemon.log());
}

/// The effective capabilities of a process, as the kernel shows them.
fn capabilities(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[test]
fn two_capabilities_are_enough_for_an_election_a_release_and_a_farewell() {
    lab::need!(netns);
    let stage = Stage::new();
    let both = "-all,+net_admin,+net_raw";
    let mut a =
        Process::start(&stage.a, "vipd", &mut stage.command(200, both, &["--sentinel"])).unwrap();
    wait(&stage.a, true, &a);
    // Capabilities 12 and 13 (linux/capability.h), and nothing else.
    assert_eq!(capabilities(a.id()), 1 << 12 | 1 << 13);
    let mut b =
        Process::start(&stage.b, "vipd", &mut stage.command(100, both, &["--sentinel"])).unwrap();
    a.kill().unwrap();
    wait(&stage.b, true, &b);
    wait(&stage.a, false, &a);
    b.terminate().unwrap();
    assert!(!has(&stage.b), "{}", b.log());
}

#[test]
fn each_missing_capability_is_named_with_its_use_and_the_remedy() {
    lab::need!(netns);
    let stage = Stage::new();
    for (capabilities, missing, action) in [
        ("-all,+net_raw", "CAP_NET_ADMIN is missing", "changing addresses"),
        ("-all,+net_admin", "CAP_NET_RAW is missing", "raw sockets"),
    ] {
        let output = stage.a.output(&mut stage.command(200, capabilities, &[])).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for text in [missing, action, "setcap", "AmbientCapabilities=", "--cap-add"] {
            assert!(said.contains(text), "{text:?} is not in {said}");
        }
        assert!(!has(&stage.a));
    }
}

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist")
}

/// The unit, with this build of vipd in the place of an installed one, and its drop-ins.
fn unit(directory: &Path, drop_ins: bool) -> PathBuf {
    let text = std::fs::read_to_string(dist().join("vipd.service")).unwrap();
    assert!(text.contains("ExecStart=/usr/bin/vipd run"));
    let path = directory.join("vipd.service");
    std::fs::write(&path, text.replace("/usr/bin/vipd", VIPD)).unwrap();
    if drop_ins {
        let to = directory.join("vipd.service.d");
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(dist().join("vipd.service.d")).unwrap().flatten() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    path
}

fn analyze(arguments: &[&str], unit: &Path) -> (bool, String) {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg(unit).env("PATH", lab::need::search_path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn systemd_understands_the_units_and_finds_them_well_protected() {
    lab::need!(systemd);
    for drop_ins in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let unit = unit(directory.path(), drop_ins);
        let (ok, said) = analyze(&["verify", "--man=no"], &unit);
        // It tells of unknown settings, and succeeds all the same.
        assert!(ok && said.trim().is_empty(), "{said}");
        // Tenths of its scale from 0 to 10, on which a service without any of it has 9.6.
        let (ok, said) = analyze(&["security", "--offline=true", "--threshold=35"], &unit);
        assert!(ok, "{said}");
    }
    // The control: a setting that does not exist.
    let directory = tempfile::tempdir().unwrap();
    let unit = unit(directory.path(), false);
    let text = std::fs::read_to_string(&unit).unwrap();
    std::fs::write(&unit, text.replace("NoNewPrivileges=", "NoNewPrivilege=")).unwrap();
    let (_, said) = analyze(&["verify", "--man=no"], &unit);
    assert!(said.contains("NoNewPrivilege"), "{said}");
}

/// A service manager's socket: what it is told, and when.
#[test]
fn the_service_manager_is_told_when_it_is_ready_and_when_it_stops() {
    lab::need!(netns);
    let stage = Stage::new();
    let path = stage.directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned()
    };
    let mut command = stage.command(200, "-all,+net_admin,+net_raw", &[]);
    let mut daemon = Process::start(&stage.a, "vipd", command.env("NOTIFY_SOCKET", &path)).unwrap();
    assert_eq!(told(), "READY=1");
    wait(&stage.a, true, &daemon);
    daemon.terminate().unwrap();
    assert!(told().contains("STOPPING=1"));

    // One that cannot start is never ready.
    let mut command = stage.command(200, "-all", &[]);
    let output = stage.a.output(command.env("NOTIFY_SOCKET", &path)).unwrap();
    assert!(!output.status.success());
    manager.set_nonblocking(true).unwrap();
    assert!(manager.recv(&mut [0; 8]).is_err());
}
