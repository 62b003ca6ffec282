//! What can be done to routers and to the network between them.

use core::{net::IpAddr, time::Duration};

use vrrp_fsm::{ConfigError, Fault, PathId, VirtualRouter};
use vrrp_proto::Priority;

use crate::{
    Chance, RouterId, Simulation, Subject, Violation, What,
    forge::{Forgery, forge},
    host::Packet,
    input::Input,
    invariants::Checker,
    simulation::Event,
};

/// Each of these takes effect at the present moment. An unknown router, or one in the wrong
/// condition (starting what runs, pausing what is paused), is left alone.
impl Simulation {
    /// Starts the process of a router and makes it a candidate. What an earlier process left on the
    /// interface is removed first.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn start(&mut self, id: RouterId) -> Result<(), Violation> {
        let process = self.process(id);
        let stopped = |id: &RouterId| self.host(*id).is_some_and(|host| host.machine.is_none());
        if !process.iter().all(stopped) {
            return Ok(());
        }
        self.start_group(id);
        for id in &process {
            let Some(host) = self.host_mut(*id) else { continue };
            let seed = host.seed.wrapping_add(u64::from(host.incarnation));
            // The configuration was accepted when the router was added.
            let machine: Result<VirtualRouter, ConfigError> =
                VirtualRouter::new(host.config.clone(), seed);
            host.checker = Checker::new(&host.config);
            host.machine = machine.ok();
        }
        process.into_iter().try_for_each(|id| self.begin(id))
    }

    /// The machine is there: tells it what it has to know.
    fn begin(&mut self, id: RouterId) -> Result<(), Violation> {
        let Some(host) = self.host_mut(id) else { return Ok(()) };
        let leftovers = core::mem::take(&mut host.installed);
        let sources: Vec<_> = host.sources().collect();
        host.link_told_up = true;
        self.count(Subject::Fault, "start");
        self.note(Some(id), || What::Started);
        if leftovers {
            self.count(Subject::Seen, "leftovers removed");
            self.note(Some(id), || What::Addresses(false));
        }
        self.tell_link(id)?;
        for (path, source) in sources {
            self.tell(id, &Input::SourceAddress(path, source))?;
        }
        self.tell(id, &Input::Startup)
    }

    /// Starts every router that does not run.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn start_all(&mut self) -> Result<(), Violation> {
        self.routers().try_for_each(|id| self.start(id))
    }

    /// The power of a host fails: process and addresses are gone, and nobody is told.
    pub fn crash(&mut self, id: RouterId) {
        self.process(id).into_iter().for_each(|id| self.crash_one(id));
    }

    fn crash_one(&mut self, id: RouterId) {
        let Some(host) = self.host_mut(id).filter(|host| host.machine.is_some()) else { return };
        host.end_process();
        host.installed = false;
        self.count(Subject::Fault, "crash");
        self.note(Some(id), || What::Crashed);
    }

    /// The process of a router is killed: its addresses stay on the interface, unattended.
    pub fn kill(&mut self, id: RouterId) {
        self.process(id).into_iter().for_each(|id| self.kill_one(id));
    }

    fn kill_one(&mut self, id: RouterId) {
        let Some(host) = self.host_mut(id).filter(|host| host.machine.is_some()) else { return };
        host.end_process();
        self.count(Subject::Fault, "kill");
        self.note(Some(id), || What::Killed);
    }

    /// The process of a router stands still: SIGSTOP, a cgroup freezer, swapping. The world goes on.
    pub fn pause(&mut self, id: RouterId) {
        self.process(id).into_iter().for_each(|id| self.pause_one(id));
    }

    fn pause_one(&mut self, id: RouterId) {
        let Some(host) = self.host_mut(id).filter(|host| host.runs()) else { return };
        host.paused = true;
        self.count(Subject::Fault, "pause");
        self.note(Some(id), || What::Paused);
    }

    /// The process goes on: it reads what waits in its socket, then serves its deadlines.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn resume(&mut self, id: RouterId) -> Result<(), Violation> {
        let process = self.process(id);
        // All of them run again before the first one reads what waits.
        let paused = |id: &RouterId| self.host(*id).is_some_and(|host| host.paused);
        let process: Vec<RouterId> = process.into_iter().filter(paused).collect();
        for id in &process {
            if let Some(host) = self.host_mut(*id) {
                host.paused = false;
            }
        }
        process.into_iter().try_for_each(|id| self.resume_one(id))
    }

    fn resume_one(&mut self, id: RouterId) -> Result<(), Violation> {
        self.count(Subject::Fault, "resume");
        self.note(Some(id), || What::Resumed);
        self.catch_up(id)?;
        self.tell_link(id)
    }

    /// Asks a router to leave the election.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn shut_down(&mut self, id: RouterId) -> Result<(), Violation> {
        self.tell_running(id, "shut down", &Input::Shutdown)
    }

    /// Asks a running router that was [shut down](Self::shut_down) to take part again.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn start_up(&mut self, id: RouterId) -> Result<(), Violation> {
        self.tell_running(id, "start up", &Input::Startup)
    }

    /// The link of a router goes down, which its process notices.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn set_link_down(&mut self, id: RouterId) -> Result<(), Violation> {
        if let Some(host) = self.host_mut(id).filter(|host| host.link_up) {
            host.link_up = false;
            self.count(Subject::Fault, "link down");
            self.note(Some(id), || What::Remark("loses its link".to_owned()));
        }
        self.tell_link(id)
    }

    /// The link of a router is up again.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn set_link_up(&mut self, id: RouterId) -> Result<(), Violation> {
        if let Some(host) = self.host_mut(id).filter(|host| !host.link_up) {
            host.link_up = true;
            self.count(Subject::Fault, "link up");
            self.note(Some(id), || What::Remark("has its link again".to_owned()));
        }
        self.tell_link(id)
    }

    /// Changes the effective priority of a router, as tracking does.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn set_priority(&mut self, id: RouterId, priority: Priority) -> Result<(), Violation> {
        self.tell_running(id, "priority change", &Input::Priority(priority))
    }

    /// Somebody deletes the virtual addresses from a router's interface, which its process notices.
    ///
    /// # Errors
    /// The [`Violation`] this led to.
    pub fn steal_addresses(&mut self, id: RouterId) -> Result<(), Violation> {
        let Some(host) = self.host_mut(id).filter(|host| host.runs() && host.installed) else {
            return Ok(());
        };
        host.installed = false;
        self.note(Some(id), || What::Addresses(false));
        self.tell_running(id, "addresses stolen", &Input::AddressesLost)
    }

    /// Cuts every way between routers of different groups; routers in no group form one of their own.
    pub fn partition(&mut self, groups: &[&[RouterId]]) {
        self.network.partition(groups);
        self.count(Subject::Fault, "partition");
        self.note(None, || What::Cut("is partitioned".to_owned()));
    }

    /// Cuts the way from one router to another; the way back stays.
    pub fn cut(&mut self, from: RouterId, to: RouterId) {
        self.network.set_cut(from, to, true);
        self.count(Subject::Fault, "one-way cut");
        let (from, to) = (self.name(from).to_owned(), self.name(to).to_owned());
        self.note(None, || What::Cut(format!("loses what {from} sends to {to}")));
    }

    /// Joins all ways that were cut.
    pub fn heal(&mut self) {
        if self.network.is_whole() {
            return;
        }
        self.network.heal();
        self.count(Subject::Fault, "heal");
        self.note(None, || What::Healed);
    }

    /// One path of several loses so much of what is sent between the first so many routers and the
    /// others, and goes on doing so: unlike other faults, this one does not end when the others do,
    /// because the rest of the paths are enough. The last path that has not failed is left alone.
    /// With [`Chance::NEVER`] the path is repaired.
    pub fn fail_path(&mut self, path: PathId, first: usize, loss: Chance) {
        if self.network.fail_path(path, first, loss) {
            self.count(Subject::Fault, "path failed");
            let number = path.get();
            let what = || What::Remark(format!("path {number} loses {loss:?} beyond {first}"));
            self.note(None, what);
        }
    }

    /// How likely a router hears its own advertisements: a hairpin, a mirror port.
    pub fn set_echo(&mut self, echo: Chance) {
        self.network.set_echo(echo);
    }

    /// Lets echoes seem to come from another address, as a hairpin that translates addresses does:
    /// nobody can know its own advertisements then.
    pub fn set_disguise(&mut self, source: IpAddr) {
        self.network.set_disguise(Some(source));
        self.count(Subject::Fault, "disguise");
    }

    /// Sends a router a changed copy of the latest genuine advertisement. Whatever the change, it
    /// must not matter to anybody. Nothing happens before the first advertisement.
    pub fn send_forgery(&mut self, to: RouterId, forgery: Forgery) {
        let Some(packet) = self.latest.as_ref().and_then(|packet| forge(packet, forgery)) else {
            return;
        };
        self.count(Subject::Fault, "forgery");
        self.queue.push(self.now, Event::Arrives { to, packet });
    }

    /// Tells a running process of its link what it does not know yet.
    fn tell_link(&mut self, id: RouterId) -> Result<(), Violation> {
        let Some(host) = self.host_mut(id).filter(|host| host.runs()) else { return Ok(()) };
        match (core::mem::replace(&mut host.link_told_up, host.link_up), host.link_up) {
            (true, false) => self.tell(id, &Input::Fault(Fault::LinkDown)),
            (false, true) => self.tell(id, &Input::FaultCleared(Fault::LinkDown)),
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// Delivers a late copy of the latest genuine advertisement to one router. Nothing happens before
    /// the first one.
    pub fn replay(&mut self, to: RouterId, after: Duration) {
        let Some(latest) = self.latest.clone() else { return };
        let packet = Packet { answers: 0, serial: 0, ..latest };
        self.count(Subject::Fault, "replay");
        self.queue.push(self.now + after, Event::Arrives { to, packet });
    }

    pub(crate) fn tell_running(
        &mut self,
        id: RouterId,
        what: &'static str,
        input: &Input<'_>,
    ) -> Result<(), Violation> {
        if self.host(id).is_none_or(|host| !host.runs()) {
            return Ok(());
        }
        self.count(Subject::Fault, what);
        self.tell(id, input)
    }
}
