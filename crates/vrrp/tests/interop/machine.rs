//! One machine with one router, ours or another's: started, stopped, killed, and asked what its kernel has.

use std::process::Command;

use lab::peers::{Daemon, Frr};
use lab::{Bridge, Namespace, Node, Process};
use rustix::process::{Pid, Signal, kill_process};

use crate::child;
use crate::combination::{Combination, Peer, Rank, VRID};
use crate::stage::{PATIENCE, Step};

/// FRR's interface for the virtual addresses.
const VIRTUAL: &str = "vrrp";

/// What runs.
#[derive(Debug)]
enum Router {
    Ours(Process),
    Keepalived(Process),
    Frr(Frr),
}

/// A machine on the switch. What runs on it ends with it.
pub(crate) struct Machine {
    /// Whose router it has.
    peer: Peer,
    /// Whether it stands on our side of the combination.
    ours: bool,
    node: Node,
    /// The switch's port that it is plugged into.
    port: String,
    files: tempfile::TempDir,
    /// How often it has lost its power: our router has another run directory after that.
    boots: u32,
    router: Option<Router>,
}

impl Machine {
    /// The machine with the addresses `192.0.2.host` and `fe80::host` on the switch.
    pub(crate) fn new(switch: &Bridge, host: u8, peer: Peer) -> Self {
        let (node, port) = (Node::new().unwrap(), format!("port-{host}"));
        // The only link-local address is the one below, usable at once.
        node.sysctl("net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
        switch.attach(&node, "eth0", &port).unwrap();
        node.ip(&format!("addr add 192.0.2.{host}/24 dev eth0")).unwrap();
        node.ip(&format!("addr add fe80::{host}/64 dev eth0 nodad")).unwrap();
        let files = tempfile::tempdir().unwrap();
        Self { peer, ours: host == 1, node, port, files, boots: 0, router: None }
    }

    pub(crate) fn port(&self) -> &str {
        &self.port
    }

    /// Starts the router and waits until it is Backup.
    pub(crate) fn start(&mut self, line: &Combination, rank: Rank) -> Step {
        self.router = Some(match self.peer {
            Peer::Ours => {
                let run = self.files.path().join(format!("run{}", self.boots));
                let process = child::start(&self.node, &line.plan(self.ours), rank, &run);
                ready(&process, "started")?;
                Router::Ours(process)
            }
            Peer::Keepalived => {
                let file = self.files.path().join("keepalived.conf");
                std::fs::write(&file, line.keepalived(rank)).unwrap();
                let process = Daemon::Keepalived.start(&self.node, &file).unwrap();
                ready(&process, "BACKUP STATE")?;
                Router::Keepalived(process)
            }
            Peer::Frr => {
                if self.node.link_index(VIRTUAL).is_err() {
                    let addresses = line.their_addresses();
                    Frr::virtual_interface(&self.node, VIRTUAL, "eth0", VRID, addresses).unwrap();
                }
                let frr = Frr::start(&self.node, &line.frr(rank)).unwrap();
                ready(frr.vrrpd(), "Initialize -> Backup")?;
                Router::Frr(frr)
            }
        });
        Ok(())
    }

    /// Stops it as its service manager does, and waits for its end. It is an error if we had discarded a packet.
    pub(crate) fn stop(&mut self) -> Step {
        match self.router.take().unwrap() {
            Router::Ours(mut process) => {
                process.terminate().unwrap();
                let log = process.log();
                if let Some(line) = log.lines().find(|line| line.contains("discarded a packet")) {
                    return Err(line.to_owned());
                }
            }
            Router::Keepalived(mut process) => drop(process.terminate().unwrap()),
            Router::Frr(frr) => drop(frr.stop().unwrap()),
        }
        Ok(())
    }

    /// Kills all processes of the router, and only these: what they have configured stays.
    pub(crate) fn kill(&mut self) {
        match self.router.take().unwrap() {
            Router::Ours(mut process) => drop(process.kill().unwrap()),
            Router::Keepalived(mut process) => {
                // The parent would start its child again, the child would leave in good order after its parent.
                let children = process.children().unwrap();
                process.signal(Signal::STOP).unwrap();
                for child in &children {
                    let child = i32::try_from(*child).ok().and_then(Pid::from_raw).unwrap();
                    kill_process(child, Signal::KILL).unwrap();
                }
                process.kill().unwrap();
                wait_for_the_end(&children);
            }
            Router::Frr(frr) => frr.kill().unwrap(),
        }
    }

    /// What is left of it when its cable has been pulled out before: neither processes nor addresses.
    pub(crate) fn lose_power(&mut self, line: &Combination) {
        self.kill();
        self.boots += 1;
        for address in line.addresses().iter().chain(line.their_addresses()) {
            // It is an error where it is not there.
            drop(self.node.ip(&format!("addr del {address} dev eth0")));
        }
        for link in [VIRTUAL, child::VMAC, crate::combination::VMAC] {
            drop(self.node.ip(&format!("link del {link}")));
        }
    }

    /// Waits until packets pass again in both directions.
    pub(crate) fn wait_link(&self, switch: &Bridge) {
        // A carrier is not enough: the kernel drops what is sent until it has taken notice of it, up to a second later.
        let ends: [(&Namespace, &str); 2] =
            [(&self.node, "eth0"), (switch.namespace(), &self.port)];
        for (place, link) in ends {
            let up = || link_line(place, link).contains(" state UP ").then_some(());
            lab::eventually(PATIENCE, up).unwrap();
        }
        // The others' unicast made the kernel look for them in the meantime, in vain; it would try again in a second.
        self.node.ip("neigh flush dev eth0").unwrap();
    }

    /// Whether its kernel would answer for all virtual addresses; none: for some.
    pub(crate) fn holds(&self, line: &Combination) -> Option<bool> {
        let all = match self.peer {
            // The addresses stay; their interface has a carrier or not.
            Peer::Frr => return Some(link_line(&self.node, VIRTUAL).contains("LOWER_UP")),
            Peer::Keepalived | Peer::Ours if self.ours => line.addresses(),
            Peer::Keepalived | Peer::Ours => line.their_addresses(),
        };
        let present = show(&self.node, "addr");
        let number = all.iter().filter(|vip| present.contains(&format!(" {vip} "))).count();
        if number == 0 { Some(false) } else { (number == all.len()).then_some(true) }
    }

    /// What the router has printed, where one runs.
    pub(crate) fn log(&self) -> String {
        match &self.router {
            None => String::new(),
            Some(Router::Ours(process) | Router::Keepalived(process)) => process.log(),
            Some(Router::Frr(frr)) => {
                let log = frr.log();
                let lines: Vec<_> =
                    log.lines().filter(|line| !line.contains("Refusing to start")).collect();
                lines.join("\n")
            }
        }
    }
}

fn ready(process: &Process, line: &str) -> Step {
    let found = lab::eventually(PATIENCE, || {
        process.lines().into_iter().find(|said| said.text.contains(line) || is_refusal(&said.text))
    });
    match found {
        Some(said) if !is_refusal(&said.text) => Ok(()),
        _ => Err(format!("no {line:?} in\n{}", process.log())),
    }
}

/// Our router's last words where it does not like its configuration.
fn is_refusal(line: &str) -> bool {
    line.starts_with("refused: ")
}

fn wait_for_the_end(processes: &[u32]) {
    let gone = |id: &u32| !std::path::Path::new(&format!("/proc/{id}")).exists();
    let ended = lab::eventually(PATIENCE, || processes.iter().all(gone).then_some(()));
    assert!(ended.is_some(), "{processes:?} still run");
}

/// What `ip -o link` or `ip -o addr` shows.
fn show(node: &Namespace, object: &str) -> String {
    let output = node.output(Command::new("ip").args(["-o", object])).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// What is shown of one interface; nothing where it does not exist.
fn link_line(node: &Namespace, link: &str) -> String {
    let links = show(node, "link");
    let found = links.lines().find(|shown| shown.contains(&format!(": {link}@")));
    found.unwrap_or_default().to_owned()
}
