//! `vipd run --sentinel`: a daemon that is killed leaves nothing behind. Without it the address stays, which is the control.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use core::time::Duration;
use std::process::Command;

use lab::{Capture, Filter, Node, Process, veth};

const PATIENCE: Duration = Duration::from_secs(30);
const ADDRESS: &str = "192.0.2.100/24";

fn has(node: &Node) -> bool {
    let shown = node.output(Command::new("ip").args(["-o", "addr"])).unwrap();
    String::from_utf8_lossy(&shown.stdout).contains(&format!(" {ADDRESS} "))
}

fn wait(node: &Node, present: bool, daemon: &Process) {
    let seen = lab::eventually(PATIENCE, || (has(node) == present).then_some(()));
    assert!(seen.is_some(), "present: {present}? {}", daemon.log());
}

fn start(node: &Node, directory: &std::path::Path, options: &[&str]) -> Process {
    let file = directory.join("vipd.conf");
    let text = format!(
        "vrrp_instance web {{\nversion 3\ninterface eth0\nvirtual_router_id 51\npriority 200\nadvert_int 0.1\nvirtual_ipaddress {{\n{ADDRESS}\n}}\n}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipd"));
    command.arg("run").args(options).arg(&file);
    Process::start(node, "vipd", &mut command).unwrap()
}

#[test]
fn a_killed_daemon_says_farewell_only_with_a_sentinel() {
    lab::need!(netns);
    for (options, farewell) in [(&["--sentinel"][..], true), (&[][..], false)] {
        let (node, other) = (Node::new().unwrap(), Node::new().unwrap());
        veth(&node, "eth0", &other, "eth0").unwrap();
        node.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut daemon = start(&node, directory.path(), options);
        wait(&node, true, &daemon);
        let wire = Capture::open(&other, "eth0", Filter::Failover).unwrap();
        daemon.kill().unwrap();
        if farewell {
            wait(&node, false, &daemon);
        } else {
            assert!(has(&node), "the control: the address stays");
        }
        let zero = wire.drain().unwrap().into_iter().any(|frame| {
            // Behind the IPv4 header: version and type, VRID, priority.
            frame.is_vrrp() && frame.payload().get(22) == Some(&0)
        });
        assert_eq!(zero, farewell);
        if farewell {
            let said = daemon.wait_line("1 farewells sent, 1 things removed", PATIENCE);
            assert!(said.is_some(), "{}", daemon.log());
        }
    }
}
