//! Machines on a switch, ours and others', watched from outside.

use core::time::Duration;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Instant;

use lab::{Bridge, Capture, Filter};

use crate::combination::{Combination, Peer, Rank};
use crate::machine::Machine;
use crate::wire::{self, Heard, Who};

/// Long enough for anything; what takes so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Why a step failed.
pub(crate) type Step<T = ()> = Result<T, String>;

/// The stage of one combination.
pub(crate) struct Stage {
    pub(crate) combination: Combination,
    /// In the order of [`Who`].
    machines: Vec<Machine>,
    switch: Bridge,
    capture: Capture,
    ports: Vec<u32>,
    /// All advertisements since the beginning, as they were sent.
    pub(crate) heard: Vec<Heard>,
    /// Those of them that left the switch for the other router, where there is one other.
    pub(crate) delivered: Vec<Heard>,
}

impl Stage {
    /// Ours and the combination's peer.
    pub(crate) fn new(combination: Combination) -> Self {
        Self::with(combination, &[Peer::Ours, combination.peer])
    }

    /// Ours, keepalived and FRR.
    pub(crate) fn of_three(combination: Combination) -> Self {
        Self::with(combination, &[Peer::Ours, Peer::Keepalived, Peer::Frr])
    }

    fn with(combination: Combination, routers: &[Peer]) -> Self {
        let switch = Bridge::new().unwrap();
        let machines: Vec<Machine> =
            (1..).zip(routers).map(|(host, peer)| Machine::new(&switch, host, *peer)).collect();
        let capture = Capture::open_all(switch.namespace(), Filter::All).unwrap();
        let ports = machines.iter().map(|m| switch.namespace().link_index(m.port()).unwrap());
        let (ports, heard, delivered) = (ports.collect(), Vec::new(), Vec::new());
        Self { combination, machines, switch, capture, ports, heard, delivered }
    }

    fn machine(&mut self, who: Who) -> &mut Machine {
        &mut self.machines[who.index()]
    }

    /// Starts this machine's router and waits until it is Backup.
    pub(crate) fn start(&mut self, who: Who, rank: Rank) -> Step {
        let line = self.combination;
        self.machine(who).start(&line, rank)
    }

    /// Stops it as its service manager does, and waits for its end. It is an error if we had discarded a packet.
    pub(crate) fn stop(&mut self, who: Who) -> Step {
        self.machine(who).stop()
    }

    /// Kills all processes of the router, and only these: what they have configured stays.
    pub(crate) fn kill(&mut self, who: Who) {
        self.machine(who).kill();
    }

    /// Takes the machine's power away: the cable is dead, and so are processes and addresses, without a word to anyone.
    pub(crate) fn power_off(&mut self, who: Who) {
        let line = self.combination;
        self.switch.unplug(self.machines[who.index()].port()).unwrap();
        self.machine(who).lose_power(&line);
    }

    /// Gives the power back; nothing runs yet.
    pub(crate) fn power_on(&self, who: Who) {
        let machine = &self.machines[who.index()];
        self.switch.plug(machine.port()).unwrap();
        machine.wait_link(&self.switch);
    }

    /// Lets nothing pass between the machines while all keep their links, or lets it pass again.
    pub(crate) fn separate(&self, apart: bool) {
        for machine in &self.machines {
            self.set_port(machine, "isolated", apart);
        }
    }

    /// Keeps the multicast of the others from this router, or lets it pass again; the others hear it all the time.
    pub(crate) fn deafen(&self, who: Who, deaf: bool) {
        self.set_port(&self.machines[who.index()], "mcast_flood", !deaf);
    }

    fn set_port(&self, machine: &Machine, option: &str, on: bool) {
        let (port, on) = (machine.port(), if on { "on" } else { "off" });
        let command = format!("link set {port} type bridge_slave {option} {on}");
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

    /// Whether the kernel of this router's machine would answer for all virtual addresses; none: for some.
    pub(crate) fn holds(&self, who: Who) -> Option<bool> {
        self.machines[who.index()].holds(&self.combination)
    }

    /// Whether this router's machine alone has the addresses.
    fn holds_alone(&self, who: Who) -> bool {
        let line = &self.combination;
        let mut machines = self.machines.iter().enumerate();
        machines.all(|(index, machine)| machine.holds(line) == Some(index == who.index()))
    }

    /// Takes in what the capture has.
    pub(crate) fn listen(&mut self) {
        for frame in self.capture.drain().unwrap() {
            self.take(&frame);
        }
    }

    fn take(&mut self, frame: &lab::Frame) {
        let port = self.ports.iter().position(|port| *port == frame.link);
        let Some(host) = port.map(|index| Who::ALL[index]) else { return };
        if !frame.outgoing {
            self.heard.extend(wire::read(frame, host));
        } else if self.machines.len() == 2 {
            self.delivered.extend(wire::read(frame, host.other()));
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
            stage.holds_alone(who).then_some(())?;
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
        if self.holds_alone(who) {
            return Ok(());
        }
        Err(format!("{who:?} is not alone with the addresses; {}", self.account()))
    }

    /// What to say where something went wrong.
    pub(crate) fn account(&self) -> String {
        let last: Vec<_> = self.heard.iter().rev().take(6).map(ToString::to_string).collect();
        let held: Vec<_> = self.machines.iter().map(|m| m.holds(&self.combination)).collect();
        let logs: Vec<_> = self.machines.iter().map(Machine::log).collect();
        format!("held: {held:?}\nlast: {last:#?}\nlogs:\n{}", logs.join("\n--\n"))
    }
}
