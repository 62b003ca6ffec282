//! Two hosts and a client on a switch, and a router process on each of the hosts.

use std::collections::VecDeque;
use std::io;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use lab::{Bridge, Line, Namespace, Process};
use rustix::process::Signal;

use crate::client::Client;
use crate::router::Without;
use crate::rules::{Rules, Side, VIPS};
use crate::timeline::{Event, Timeline, What};
use crate::watch::Observer;

/// Starting a process, or ending one, may take so long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Lines that are kept of processes that have ended.
const KEPT: usize = 60;

/// The pair; all of it ends with this value.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) rules: Rules,
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) hosts: [Namespace; 2],
    pub(crate) switch: Bridge,
    pub(crate) client: Client,
    pub(crate) observer: Observer,
    without: Vec<Without>,
    routers: [Option<Process>; 2],
    said: VecDeque<(Side, Line)>,
    run: tempfile::TempDir,
}

impl Pair {
    /// The hosts and what watches them; no router runs yet.
    pub(crate) fn new(rules: Rules, without: &[Without]) -> io::Result<Self> {
        let (hosts, switch) = ([Namespace::new()?, Namespace::new()?], Bridge::new()?);
        let run = tempfile::tempdir()?;
        for side in Side::BOTH {
            plug_in(&switch, &hosts[side.index()], side)?;
            std::fs::create_dir(run.path().join(side.to_string()))?;
        }
        let client = Client::new(&switch)?;
        let timeline = Arc::new(Timeline::default());
        let inside = switch.namespace();
        let except = [inside.link_index("br0")?, inside.link_index(crate::client::PORT)?];
        let observer =
            Observer::start(inside, &except, [&hosts[0], &hosts[1]], Arc::clone(&timeline))?;
        Ok(Self {
            rules,
            timeline,
            hosts,
            switch,
            client,
            observer,
            without: without.to_vec(),
            routers: [None, None],
            said: VecDeque::new(),
            run,
        })
    }

    pub(crate) fn host(&self, side: Side) -> &Namespace {
        &self.hosts[side.index()]
    }

    /// Starts the router of a host and waits until it takes part; when it does.
    pub(crate) fn start(&mut self, side: Side) -> io::Result<Duration> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("router").arg("--run").arg(self.run_directory(side));
        command.args(["--priority", &self.rules.priority(side).to_string()]);
        command.args(["--mode", &self.rules.mode.name()]);
        command.args(["--peer", &side.other().address().to_string()]);
        if self.rules.sentinel && !self.without.contains(&Without::Sentinel) {
            command.arg("--sentinel");
        }
        if self.rules.preempt {
            command.arg("--preempt");
        }
        for without in &self.without {
            command.arg("--without").arg(without.name());
        }
        let spawned = self.timeline.act(format!("start {side}"));
        let router = Process::start(self.host(side), &side.to_string(), &mut command)?;
        let ready = router.wait_line_after(spawned, "ready", PATIENCE);
        let log = router.log();
        self.routers[side.index()] = Some(router);
        let ready =
            ready.ok_or_else(|| io::Error::other(format!("{side} does not start: {log}")))?;
        self.timeline.act(format!("{side} is ready"));
        Ok(ready.at)
    }

    /// Kills the router of a host; when it is dead.
    pub(crate) fn kill(&mut self, side: Side) -> io::Result<Duration> {
        let mut router = self.take(side)?;
        self.timeline.act(format!("kill -9 {side}"));
        router.kill()?;
        self.keep(side, &router);
        Ok(lab::now())
    }

    /// Ends the router of a host politely; when it has ended, and how.
    pub(crate) fn terminate(&mut self, side: Side) -> io::Result<(Duration, ExitStatus)> {
        let mut router = self.take(side)?;
        self.timeline.act(format!("terminate {side}"));
        router.signal(Signal::TERM)?;
        let ended = router.wait(PATIENCE);
        self.keep(side, &router);
        let (status, at) = (ended?, self.timeline.act(format!("{side} has ended")));
        Ok((at, status))
    }

    pub(crate) fn signal(&self, side: Side, signal: Signal) -> io::Result<Duration> {
        let at = self.timeline.act(format!("signal {} to {side}", signal.as_raw()));
        self.router(side)?.signal(signal)?;
        Ok(at)
    }

    /// The process of a host's router.
    pub(crate) fn router(&self, side: Side) -> io::Result<&Process> {
        self.routers[side.index()]
            .as_ref()
            .ok_or_else(|| io::Error::other(format!("no router runs on {side}")))
    }

    fn take(&mut self, side: Side) -> io::Result<Process> {
        self.routers[side.index()]
            .take()
            .ok_or_else(|| io::Error::other(format!("no router runs on {side}")))
    }

    fn keep(&mut self, side: Side, router: &Process) {
        self.said.extend(router.lines().into_iter().map(|line| (side, line)));
        let surplus = self.said.len().saturating_sub(KEPT);
        drop(self.said.drain(..surplus));
    }

    /// The files in the directory of a host's journals.
    pub(crate) fn journals(&self, side: Side) -> io::Result<Vec<String>> {
        let files = std::fs::read_dir(self.run_directory(side))?;
        files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn run_directory(&self, side: Side) -> std::path::PathBuf {
        self.run.path().join(side.to_string())
    }

    /// Gives a host its interface again.
    pub(crate) fn plug_in(&self, side: Side) -> io::Result<()> {
        plug_in(&self.switch, self.host(side), side)
    }

    /// After a host has forgotten its neighbours.
    pub(crate) fn acquaint(&self, side: Side) -> io::Result<()> {
        acquaint(self.host(side), side)
    }

    /// Which of the virtual addresses a host has now, by its own kernel.
    pub(crate) fn present(&self, side: Side) -> io::Result<[bool; VIPS.len()]> {
        let output = self.host(side).output(Command::new("ip").args(["-o", "-4", "addr"]))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(VIPS.map(|vip| text.contains(&format!(" {vip}/"))))
    }

    /// The interfaces of a host.
    pub(crate) fn interfaces(&self, side: Side) -> io::Result<Vec<String>> {
        let output = self.host(side).output(Command::new("ip").args(["-o", "link"]))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // `2: eth0@if7: <BROADCAST ...`
        let name = |line: &str| line.split([':', '@']).nth(1).map(|name| name.trim().to_owned());
        Ok(text.lines().filter_map(name).collect())
    }

    /// What the routers said, for people.
    pub(crate) fn said(&self) -> Vec<Event> {
        let mut lines: Vec<(Side, Line)> = self.said.iter().cloned().collect();
        for side in Side::BOTH {
            let router = self.routers[side.index()].as_ref();
            let now = router.map(Process::lines).unwrap_or_default();
            lines.extend(now.into_iter().map(|line| (side, line)));
        }
        let event = |(side, line): (Side, Line)| Event {
            at: line.at,
            what: What::Said { side, line: line.text },
        };
        lines.into_iter().map(event).collect()
    }

    /// The ids of the routers that run.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.routers.iter().flatten().map(Process::id).collect()
    }

    /// The ids of the processes that these have started.
    pub(crate) fn sentinels(&self) -> io::Result<Vec<u32>> {
        let mut all = Vec::new();
        for router in self.routers.iter().flatten() {
            all.extend(router.descendants()?);
        }
        Ok(all)
    }
}

/// A cable from the switch to `eth0` of a host, with its addresses.
fn plug_in(switch: &Bridge, host: &Namespace, side: Side) -> io::Result<()> {
    switch.attach(host, "eth0", side.port())?;
    let mac = written(side.mac());
    host.ip_batch([
        format!("link set eth0 address {mac}").as_str(),
        format!("addr add {}/24 dev eth0", side.address()).as_str(),
    ])?;
    acquaint(host, side)
}

/// Tells a host the MAC address of the other one. Linux asks for one that was away once a second and keeps packets for it
/// meanwhile, which is too long for unicast at our interval, and not what is tested.
fn acquaint(host: &Namespace, side: Side) -> io::Result<()> {
    let (address, mac) = (side.other().address(), written(side.other().mac()));
    host.ip(&format!("neigh replace {address} lladdr {mac} dev eth0 nud permanent"))
}

fn written(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
