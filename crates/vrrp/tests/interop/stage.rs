//! Two routers on a switch, ours and another's, that are started, stopped and struck down, watched from outside.

use core::time::Duration;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Instant;

use lab::peers::{Daemon, Frr};
use lab::{Bridge, Capture, Filter, Namespace, Node, Process};
use rustix::process::{Pid, Signal, kill_process};

use crate::child;
use crate::combination::{Combination, Peer, Rank, VRID};
use crate::wire::{self, Heard, Who};

/// Long enough for anything; what takes so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// FRR's interface for the virtual addresses.
const VIRTUAL: &str = "vrrp";

/// Why a step failed.
pub(crate) type Step<T = ()> = Result<T, String>;

#[derive(Debug)]
enum Other {
    Keepalived(Process),
    Frr(Frr),
}

/// The stage of one combination. What runs on it ends with it.
pub(crate) struct Stage {
    pub(crate) combination: Combination,
    us: Option<Process>,
    them: Option<Other>,
    ours: Namespace,
    theirs: Node,
    switch: Bridge,
    files: tempfile::TempDir,
    /// How often our machine has lost its power: it has another run directory after that.
    boots: u32,
    capture: Capture,
    ports: [u32; 2],
    /// All advertisements since the beginning, as they were sent.
    pub(crate) heard: Vec<Heard>,
    /// Those of them that left the switch for the other router.
    pub(crate) delivered: Vec<Heard>,
}

impl Stage {
    pub(crate) fn new(combination: Combination) -> Self {
        let (ours, theirs) = (Namespace::new().unwrap(), Node::new().unwrap());
        let switch = Bridge::new().unwrap();
        let nodes: [&Namespace; 2] = [&ours, &theirs];
        for ((node, port), host) in nodes.into_iter().zip(["port-a", "port-b"]).zip([1, 2]) {
            // The only link-local address is the one below, usable at once.
            node.sysctl("net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
            switch.attach(node, "eth0", port).unwrap();
            node.ip(&format!("addr add 192.0.2.{host}/24 dev eth0")).unwrap();
            node.ip(&format!("addr add fe80::{host}/64 dev eth0 nodad")).unwrap();
        }
        let capture = Capture::open_all(switch.namespace(), Filter::All).unwrap();
        let ports = ["port-a", "port-b"].map(|port| switch.namespace().link_index(port).unwrap());
        let files = tempfile::tempdir().unwrap();
        Self {
            combination,
            us: None,
            them: None,
            ours,
            theirs,
            switch,
            files,
            boots: 0,
            capture,
            ports,
            heard: Vec::new(),
            delivered: Vec::new(),
        }
    }

    /// Starts our router, or theirs.
    pub(crate) fn start(&mut self, who: Who, rank: Rank) -> Step {
        match who {
            Who::We => {
                let run = self.files.path().join(format!("run{}", self.boots));
                let process = child::start(&self.ours, &self.combination, rank, &run);
                ready(&process, "started")?;
                self.us = Some(process);
            }
            Who::They if self.combination.peer == Peer::Keepalived => {
                let file = self.files.path().join("keepalived.conf");
                std::fs::write(&file, self.combination.keepalived(rank)).unwrap();
                let process = Daemon::Keepalived.start(&self.theirs, &file).unwrap();
                ready(&process, "BACKUP STATE")?;
                self.them = Some(Other::Keepalived(process));
            }
            Who::They => {
                if self.theirs.link_index(VIRTUAL).is_err() {
                    let addresses = self.combination.their_addresses();
                    Frr::virtual_interface(&self.theirs, VIRTUAL, "eth0", VRID, addresses).unwrap();
                }
                let frr = Frr::start(&self.theirs, &self.combination.frr(rank)).unwrap();
                ready(frr.vrrpd(), "Initialize -> Backup")?;
                self.them = Some(Other::Frr(frr));
            }
        }
        Ok(())
    }

    /// Stops it as its service manager does, and waits for its end. It is an error if we had discarded a packet.
    pub(crate) fn stop(&mut self, who: Who) -> Step {
        match who {
            Who::We => {
                let mut process = self.us.take().unwrap();
                process.terminate().unwrap();
                let log = process.log();
                match log.lines().find(|line| line.contains("discarded a packet")) {
                    Some(line) => Err(line.to_owned()),
                    None => Ok(()),
                }
            }
            Who::They => {
                match self.them.take().unwrap() {
                    Other::Keepalived(mut process) => process.terminate().unwrap(),
                    Other::Frr(frr) => frr.stop().unwrap(),
                };
                Ok(())
            }
        }
    }

    /// Takes the machine's power away: the cable is dead, and so are processes and addresses, without a word to anyone.
    pub(crate) fn power_off(&mut self, who: Who) {
        match who {
            Who::We => {
                self.switch.unplug("port-a").unwrap();
                self.us.take().unwrap().kill().unwrap();
                self.boots += 1;
                self.forget(&self.ours);
            }
            Who::They => {
                self.switch.unplug("port-b").unwrap();
                match self.them.take().unwrap() {
                    Other::Keepalived(mut process) => {
                        let children = process.children().unwrap();
                        process.kill().unwrap();
                        wait_for_the_end(&children);
                    }
                    Other::Frr(frr) => {
                        frr.kill().unwrap();
                        self.theirs.ip(&format!("link del {VIRTUAL}")).unwrap();
                    }
                }
                self.forget(&self.theirs);
            }
        }
    }

    /// Kills all their processes, and only these: what they have configured stays.
    pub(crate) fn kill_them(&mut self) {
        match self.them.take().unwrap() {
            Other::Keepalived(mut process) => {
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
            Other::Frr(frr) => frr.kill().unwrap(),
        }
    }

    /// Lets nothing pass between the two while both keep their links, or lets it pass again.
    pub(crate) fn separate(&self, apart: bool) {
        let isolated = if apart { "on" } else { "off" };
        for port in ["port-a", "port-b"] {
            let command = format!("link set {port} type bridge_slave isolated {isolated}");
            self.switch.namespace().ip(&command).unwrap();
        }
    }

    /// Keeps the multicast of the other one from this router, or lets it pass again; the other one hears it all the time.
    pub(crate) fn deafen(&self, who: Who, on: bool) {
        let flood = if on { "off" } else { "on" };
        let port = if who == Who::We { "port-a" } else { "port-b" };
        let command = format!("link set {port} type bridge_slave mcast_flood {flood}");
        self.switch.namespace().ip(&command).unwrap();
    }

    /// Lets the switch lose this many per cent of the advertisements, each way, from now on.
    pub(crate) fn lose(&self, per_cent: u32) {
        let rules = format!(
            "add table bridge t; add chain bridge t c {{ type filter hook forward priority 0; }}; \
             add rule bridge t c meta l4proto 112 numgen random mod 100 < {per_cent} drop"
        );
        let mut nft = Command::new("nft");
        nft.arg(rules).env("PATH", lab::need::search_path());
        let output = self.switch.namespace().output(&mut nft).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Whether somebody says that a UDP port is closed, to a third machine on the same network.
    pub(crate) fn is_refused(&self, port: &str) -> bool {
        let network = self.switch.namespace();
        network.ip("addr add 192.0.2.9/24 dev br0").unwrap();
        network.run(|| {
            let socket = UdpSocket::bind("192.0.2.9:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            socket.connect(port).unwrap();
            let answer = socket.send(b"?").and_then(|_| socket.recv(&mut [0]));
            answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        })
    }

    /// Gives the power back; nothing runs yet.
    pub(crate) fn power_on(&self, who: Who) {
        let (node, port): (&Namespace, _) = match who {
            Who::We => (&self.ours, "port-a"),
            Who::They => (&self.theirs, "port-b"),
        };
        self.switch.plug(port).unwrap();
        // A carrier is not enough: the kernel drops what is sent until it has taken notice of it, up to a second later.
        for (place, link) in [(node, "eth0"), (self.switch.namespace(), port)] {
            let up = || {
                let links = show(place, "link");
                let line = links.lines().find(|line| line.contains(&format!(": {link}@")));
                line.is_some_and(|line| line.contains(" state UP ")).then_some(())
            };
            lab::eventually(PATIENCE, up).unwrap();
        }
        // The other one's unicast made the kernel look for it in the meantime, in vain; it would try again in a second.
        node.ip("neigh flush dev eth0").unwrap();
    }

    fn forget(&self, node: &Namespace) {
        for address in self.combination.their_addresses() {
            // It is an error where it is gone already.
            drop(node.ip(&format!("addr del {address} dev eth0")));
        }
    }

    /// Whether the kernel of this router's machine would answer for all virtual addresses; none: for some.
    pub(crate) fn holds(&self, who: Who) -> Option<bool> {
        let node: &Namespace = match who {
            Who::We => &self.ours,
            Who::They => &self.theirs,
        };
        if who == Who::They && self.combination.peer == Peer::Frr {
            // The addresses stay; their interface has a carrier or not.
            let links = show(node, "link");
            let line = links.lines().find(|line| line.contains(&format!(": {VIRTUAL}@")));
            return Some(line.is_some_and(|line| line.contains("LOWER_UP")));
        }
        let present = show(node, "addr");
        let all = match who {
            Who::We => self.combination.addresses(),
            Who::They => self.combination.their_addresses(),
        };
        let number = all.iter().filter(|vip| present.contains(&format!(" {vip} "))).count();
        if number == 0 { Some(false) } else { (number == all.len()).then_some(true) }
    }

    /// Takes in what the capture has.
    pub(crate) fn listen(&mut self) {
        for frame in self.capture.drain().unwrap() {
            self.take(&frame);
        }
    }

    fn take(&mut self, frame: &lab::Frame) {
        let host = match self.ports.iter().position(|port| *port == frame.link) {
            Some(0) => Who::We,
            Some(_) => Who::They,
            None => return,
        };
        if frame.outgoing {
            self.delivered.extend(wire::read(frame, host.other()));
        } else {
            self.heard.extend(wire::read(frame, host));
        }
    }

    /// Waits until `wanted` gives something, which is asked after each advertisement and every 20 ms.
    pub(crate) fn wait<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Self) -> Option<T>,
    ) -> Step<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.listen();
            if let Some(found) = wanted(self) {
                return Ok(found);
            }
            if Instant::now() > end {
                return Err(format!("{what} did not come; {}", self.account()));
            }
            if let Some(frame) = self.capture.next(Duration::from_millis(20)).unwrap() {
                self.take(&frame);
            }
        }
    }

    /// Waits until this router is the only Master: the last advertisements since number `since` are its own, and its kernel
    /// alone has the addresses. Returns its first advertisement.
    pub(crate) fn settle(&mut self, who: Who, since: usize) -> Step<Heard> {
        const ENOUGH: usize = 3;
        self.wait(&format!("{who:?} as the only Master"), |stage| {
            let heard = &stage.heard[since..];
            let last = heard.iter().rev().take(ENOUGH);
            let alone = last.filter(|heard| heard.from == who && heard.priority > 0).count();
            if alone < ENOUGH {
                return None;
            }
            let kernels = (stage.holds(who), stage.holds(who.other()));
            (kernels == (Some(true), Some(false))).then_some(())?;
            heard.iter().find(|heard| heard.from == who && heard.priority > 0).cloned()
        })
    }

    /// Waits for `number` more advertisements of this Master; the other must not send any, nor get the addresses.
    pub(crate) fn remains(&mut self, who: Who, number: usize) -> Step {
        self.listen();
        let since = self.heard.len();
        self.wait(&format!("{number} more advertisements of {who:?}"), |stage| {
            let heard = &stage.heard[since..];
            let stranger = heard.iter().any(|heard| heard.from != who);
            (stranger || heard.len() >= number).then_some(())
        })?;
        let stranger = self.heard[since..].iter().find(|heard| heard.from != who);
        if let Some(stranger) = stranger {
            return Err(format!("{who:?} should remain Master, but {stranger}"));
        }
        let kernels = (self.holds(who), self.holds(who.other()));
        if kernels != (Some(true), Some(false)) {
            return Err(format!("who holds the addresses (Master, Backup): {kernels:?}"));
        }
        Ok(())
    }

    /// What to say where something went wrong.
    pub(crate) fn account(&self) -> String {
        let last: Vec<_> = self.heard.iter().rev().take(6).map(ToString::to_string).collect();
        let us = self.us.as_ref().map(Process::log).unwrap_or_default();
        let them = match &self.them {
            None => String::new(),
            Some(Other::Keepalived(process)) => process.log(),
            Some(Other::Frr(frr)) => frr.log(),
        };
        let them: Vec<_> =
            them.lines().filter(|line| !line.contains("Refusing to start")).collect();
        let held = (self.holds(Who::We), self.holds(Who::They));
        format!("held (we, they): {held:?}\nlast: {last:#?}\nus:\n{us}\nthem:\n{}", them.join("\n"))
    }
}

fn ready(process: &Process, line: &str) -> Step {
    let found = process.wait_line(line, PATIENCE);
    found.map(drop).ok_or_else(|| format!("no {line:?} in\n{}", process.log()))
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
