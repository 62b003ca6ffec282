//! The example `own_loop` twice, in two network namespaces joined by a cable.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lab::{Capture, Filter, Node, veth};

const PATIENCE: Duration = Duration::from_secs(20);

/// One running example. It leaves the election when its input is closed.
struct Loop {
    child: Child,
    lines: Receiver<String>,
}

impl Loop {
    fn start(node: &Node, own: &str, priority: &str) -> Self {
        let tests = std::env::current_exe().unwrap();
        let program: PathBuf = tests.ancestors().nth(2).unwrap().join("examples/own_loop");
        let mut command = Command::new(&program);
        command.args(["eth0", own, priority, "192.0.2.100"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.spawn(&mut command).unwrap_or_else(|error| {
            panic!("{}: {error}: cargo build -p examples --examples", program.display())
        });
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    fn says(&self, expected: &str) {
        let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {expected:?}"));
        assert_eq!(line, expected);
    }

    fn leave(mut self) {
        drop(self.child.stdin.take());
        self.says("initialize: shut down");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn two_of_them_elect_the_better_one_and_its_leaving_is_heard() {
    lab::need!(netns);
    let (left, right) = (Node::new().unwrap(), Node::new().unwrap());
    veth(&left, "eth0", &right, "eth0").unwrap();
    left.ip("address add 192.0.2.2/24 dev eth0").unwrap();
    right.ip("address add 192.0.2.3/24 dev eth0").unwrap();
    let capture = Capture::open(&right, "eth0", Filter::Failover).unwrap();

    let better = Loop::start(&left, "192.0.2.2", "200");
    better.says("backup: started");
    let worse = Loop::start(&right, "192.0.2.3", "100");
    worse.says("backup: started");
    better.says("master: no master was heard");
    better.leave();
    worse.says("master: master 192.0.2.2 left");

    let again = Loop::start(&left, "192.0.2.2", "200");
    again.says("backup: started");
    again.says("master: master 192.0.2.3 has only priority 100");
    worse.says("backup: 192.0.2.2 advertises with priority 200");
    worse.leave();
    again.leave();

    // From the wire: who was Master with which priority, and who left.
    let mut spoke = Vec::new();
    for frame in capture.drain().unwrap() {
        if let ([192, 0, 2, host], Some(priority)) =
            (&frame.payload()[12..16], frame.payload().get(22))
            && frame.is_vrrp()
        {
            spoke.push((*host, *priority));
        }
    }
    spoke.dedup();
    assert_eq!(spoke, [(2, 200), (2, 0), (3, 100), (2, 200), (2, 0)]);
}

#[test]
fn without_a_privilege_or_an_interface_it_says_so() {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/own_loop");
    let output =
        Command::new(program).args(["nosuch0", "192.0.2.2", "100", "192.0.2.100"]).output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("own_loop: socket on nosuch0: "), "{said}");
}
