//! One virtual router at work: carries out what its machine asks for.

mod followers;
mod outputs;
mod report;

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use reactor::Clock;
use vip_netlink::{Announcer, Client, Link, Object, Pacer};
use vrrp_fsm::vrrp_proto::Priority;
use vrrp_fsm::{
    Condition, Datagram, Fault, Faults, GroupCommand, Instant, MAX_DATAGRAM_LEN, PathId,
    SendFailed, State, Ticket, TrackerId, Tracking, Verdict, VirtualRouter as Machine,
};

use crate::addresses::Addresses;
use crate::announce::Schedule;
use crate::devices::Devices;
use crate::event::{EventKind, EventSink};
use crate::guard::GuardThread;
use crate::links::Links;
use crate::outbox::Outbox;
use crate::port::Port;
use crate::refusal::Refusal;
use crate::reports::{Reports, differences};
use crate::sentinel::Testator;
use crate::virtual_router::VirtualRouter;
use crate::watch::Watches;
use followers::Followers;

/// See [`Instance::earliness`].
pub(crate) const MOST_EARLY: Duration = Duration::from_millis(1);

/// What all virtual routers share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) kernel: Client,
    pub(crate) announcer: Announcer,
    pub(crate) links: Links,
    /// The rates of announcements on each interface.
    pub(crate) pacer: Pacer,
    /// The kernel may have removed more addresses than it was told to, of which there is no news.
    pub(crate) doubt: bool,
    pub(crate) devices: Devices,
    pub(crate) refusal: Refusal,
    pub(crate) ports: Vec<Port>,
    pub(crate) events: EventSink,
    pub(crate) buffer: Box<[u8; MAX_DATAGRAM_LEN]>,
    pub(crate) outbox: Outbox,
    /// What is done when this process dies.
    pub(crate) testator: Option<Testator>,
    /// Kept for its memory.
    pub(crate) will: Vec<u8>,
}

impl Shared {
    pub(crate) fn buffer() -> Box<[u8; MAX_DATAGRAM_LEN]> {
        Box::new([0; MAX_DATAGRAM_LEN])
    }

    /// Sends the advertisements that wait.
    pub(crate) fn transmit(&mut self) {
        self.outbox.transmit(&self.ports);
    }

    /// The present moment, in the machines' form.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.now_nanos())
    }
}

/// One virtual router.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Instance {
    /// Its place in the router.
    pub(crate) index: usize,
    pub(crate) name: Arc<str>,
    pub(crate) settings: VirtualRouter,
    pub(crate) machine: Machine,
    pub(crate) tracking: Tracking,
    pub(crate) watches: Watches,
    pub(crate) guard: Option<GuardThread>,
    pub(crate) addresses: Addresses,
    /// The index of each path's port in [`Shared::ports`].
    pub(crate) ports: Vec<usize>,
    /// It stands for election whether anyone waits for the result or not.
    candidate: bool,
    /// It stands for election at present.
    standing: bool,
    /// It never will again.
    ending: bool,
    /// It is out of service: nothing of it is left.
    pub(crate) removed: bool,
    pub(crate) schedule: Schedule,
    followers: Followers,
    /// What was told about faults. None at the start, while what is found out in any order is not news yet.
    faults: Option<Faults>,
    reports: Reports,
    /// Addresses that failed, since all succeeded.
    failures_told: usize,
    /// When it was told last that others had removed addresses.
    loss_told: Option<Instant>,
}

/// The least time between two reports of addresses that others removed.
const LOSS_PERIOD: Duration = Duration::from_secs(1);

impl Instance {
    pub(crate) fn new(
        settings: VirtualRouter,
        machine: Machine,
        addresses: Addresses,
        ports: Vec<usize>,
    ) -> Self {
        let trackers = settings.trackers.iter().map(|(_, tracker)| *tracker).collect();
        let mut watches = Watches::default();
        watches.replace(&settings.watched);
        Self {
            index: 0,
            name: Arc::clone(&settings.name),
            tracking: Tracking::new(machine.priority(), trackers),
            watches,
            schedule: Schedule::new(settings.announcements),
            settings,
            machine,
            guard: None,
            addresses,
            ports,
            candidate: false,
            standing: false,
            ending: false,
            removed: false,
            followers: Followers::default(),
            faults: None,
            reports: Reports::default(),
            failures_told: 0,
            loss_told: None,
        }
    }

    /// The kernel's state is known: from now on it takes part, or tells what is against it.
    pub(crate) fn begin(&mut self, shared: &mut Shared) {
        self.faults = Some(Faults::NONE);
        self.synchronize(shared);
        self.set_fault(Fault::NotReady, !self.settings.ready, shared);
        self.watch(shared);
        self.set_candidate(self.settings.candidate, shared);
    }

    /// The next moment at which [`Instance::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self, shared: &Shared) -> Option<Instant> {
        let work = self.addresses.is_working().then(|| shared.now());
        let schedule = self.schedule.poll_timeout(&shared.pacer);
        let own = [work, self.machine.poll_timeout(), schedule, self.watches.poll_timeout()];
        own.into_iter().flatten().min()
    }

    /// The machine's timers, and what follows for the wire. What takes longer is for [`Instance::work`], after all that are
    /// due have advertised.
    pub(crate) fn handle_timeout(&mut self, now: Instant, shared: &mut Shared) {
        self.synchronize(shared);
        self.machine.handle_timeout(now);
        self.carry_out(shared);
        if self.watches.poll_timeout().is_some_and(|at| now >= at) {
            self.watch(shared);
        }
    }

    /// The same while datagrams are still unread: the machine knows what must not wait for them.
    pub(crate) fn handle_timeout_in_backlog(&mut self, now: Instant, shared: &mut Shared) {
        self.synchronize(shared);
        self.machine.handle_timeout_in_backlog(now);
        self.carry_out(shared);
    }

    /// How much earlier than its time it may advertise, to leave together with others: a hundredth of the interval, and a
    /// millisecond at most.
    pub(crate) fn earliness(&self) -> Duration {
        match self.machine.state() {
            State::Master => MOST_EARLY.min(self.machine.config().advertisement_interval / 100),
            State::Initialize | State::Backup => Duration::ZERO,
        }
    }

    /// What became of an advertisement; whether anything follows from it.
    pub(crate) fn handle_send(
        &mut self,
        now: Instant,
        path: PathId,
        result: Result<(), SendFailed>,
        shared: &mut Shared,
    ) -> bool {
        self.machine.handle_send(now, path, result);
        self.carry_out(shared)
    }

    /// A datagram for this virtual router. What is wrong with it is counted by the machine.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: Datagram<'_>,
        shared: &mut Shared,
    ) {
        self.tell_time(now);
        let (source, before) = (datagram.source(), differences(self.machine.statistics()));
        if let Err(discard) = self.machine.handle_datagram(now, datagram) {
            // It is counted by the machine. What follows came of the time that has passed, or is about a conflict.
            let total = self.machine.statistics().discarded(discard.counter());
            if self.reports.is_due(now, discard.counter()) {
                shared.events.emit(&self.name, EventKind::Discarded { discard, total });
            }
            self.carry_out(shared);
            return;
        }
        for ((difference, total), (_, before)) in
            differences(self.machine.statistics()).into_iter().zip(before)
        {
            if total > before && self.reports.is_difference_due(now, difference) {
                shared.events.emit(&self.name, EventKind::Differs { source, difference, total });
            }
        }
        // Almost every advertisement changes a deadline and nothing else; what takes longer comes after the other datagrams.
        self.carry_out(shared);
    }

    /// Tells the machine the wall clock's time, if it dates its advertisements, and returns the
    /// present moment.
    pub(crate) fn synchronize(&mut self, shared: &Shared) -> Instant {
        let now = shared.now();
        self.tell_time(now);
        now
    }

    fn tell_time(&mut self, now: Instant) {
        if self.machine.config().trailer.is_some()
            && let Ok(utc) = Clock::wall().duration_since(std::time::UNIX_EPOCH)
        {
            self.machine.handle_utc(now, utc);
        }
    }

    /// Datagrams were lost before they could be read.
    pub(crate) fn handle_overflow(&mut self, shared: &mut Shared) {
        self.machine.handle_overflow(shared.now());
        self.work(shared);
    }

    pub(crate) fn set_candidate(&mut self, candidate: bool, shared: &mut Shared) {
        self.candidate = candidate;
        self.work(shared);
    }

    /// Ends every candidacy, for good.
    pub(crate) fn shut_down(&mut self, shared: &mut Shared) {
        self.followers.campaigns.clear();
        // Leaders hold it no longer; they are told by the release, which knows why.
        self.ending = true;
        self.set_candidate(false, shared);
        self.tell_lost(shared);
    }

    pub(crate) fn set_priority(&mut self, priority: Priority, shared: &mut Shared) {
        self.machine.handle_priority(shared.now(), priority);
        // What the machine made of it: the owner keeps its own.
        self.tracking.handle_base(self.machine.priority());
        self.follow_trackers(shared);
    }

    pub(crate) fn set_tracker(&mut self, tracker: &str, condition: Condition, shared: &mut Shared) {
        let mut names = self.settings.trackers.iter();
        // One that was taken off the list meanwhile does not matter any more.
        let Some(index) = names.position(|(name, _)| name.as_ref() == tracker) else { return };
        self.tracking.handle_condition(TrackerId::new(index), condition);
        self.follow_trackers(shared);
    }

    /// A service was restarted.
    pub(crate) fn note_restart(&mut self, tracker: &str, shared: &mut Shared) {
        self.watches.handle_restart(shared.now(), tracker);
        self.watch(shared);
    }

    /// Looks at what the router watches itself for its trackers.
    pub(crate) fn watch(&mut self, shared: &mut Shared) {
        let now = shared.now();
        self.watches.tell(now, &self.settings.trackers, &shared.links, &mut self.tracking);
        self.follow_trackers(shared);
    }

    /// Tells the machine what the trackers amount to now.
    pub(crate) fn follow_trackers(&mut self, shared: &mut Shared) {
        while let Some(output) = self.tracking.poll_output() {
            self.machine.handle_tracking(shared.now(), output);
            self.work(shared);
        }
        self.work(shared);
    }

    pub(crate) fn set_fault(&mut self, fault: Fault, present: bool, shared: &mut Shared) {
        if self.machine.faults().contains(fault) == present {
            return;
        }
        let now = shared.now();
        if present {
            self.machine.handle_fault(now, fault);
        } else {
            self.machine.handle_fault_cleared(now, fault);
        }
        self.work(shared);
    }

    /// What the sync group wants. Addresses are worked on in the next step, so that first all members advertise.
    pub(crate) fn handle_group(&mut self, command: GroupCommand, shared: &mut Shared) {
        let now = self.synchronize(shared);
        self.machine.handle_group(now, command);
        self.carry_out(shared);
    }

    /// What its guard says.
    pub(crate) fn handle_verdict(&mut self, ticket: Ticket, verdict: Verdict, shared: &mut Shared) {
        let now = self.synchronize(shared);
        self.machine.handle_verdict(now, ticket, verdict);
        self.work(shared);
    }

    pub(crate) fn set_source(&mut self, path: PathId, source: Option<IpAddr>, shared: &mut Shared) {
        self.machine.handle_source_address(shared.now(), path, source);
        self.work(shared);
    }

    /// Others removed addresses of ours, by index; the first of them may be on another interface now.
    pub(crate) fn handle_removed(
        &mut self,
        removed: &[usize],
        now_on: Option<String>,
        shared: &mut Shared,
    ) {
        for index in removed {
            if let Some(held) = self.addresses.held.get_mut(*index) {
                held.present = false;
            }
        }
        self.schedule.handle_gone(removed);
        let held = removed.iter().filter_map(|index| self.addresses.held.get(*index));
        let lost = shared.links.shown_all(held.map(|held| &held.address));
        self.tell_lost_to_others(lost, now_on, shared);
    }

    /// Others removed routes or rules of ours.
    pub(crate) fn handle_lost(&mut self, lost: &[Object], shared: &mut Shared) {
        let lost: Vec<String> = lost.iter().map(|one| shared.links.shown_object(one)).collect();
        self.tell_lost_to_others(Some(lost.join(", ")), None, shared);
    }

    fn tell_lost_to_others(
        &mut self,
        lost: Option<String>,
        now_on: Option<String>,
        shared: &mut Shared,
    ) {
        let now = shared.now();
        self.machine.handle_addresses_lost(now);
        if let Some(address) = lost
            && self.loss_told.is_none_or(|told| now >= told + LOSS_PERIOD)
        {
            self.loss_told = Some(now);
            let response = self.machine.config().addresses_lost;
            let total = self.machine.statistics().addresses_lost;
            let kind = EventKind::AddressLost { address, now_on, response, total };
            shared.events.emit(&self.name, kind);
        }
        self.work(shared);
    }

    /// Nothing of ours is in the kernel and nothing is under way.
    pub(crate) fn is_released(&self) -> bool {
        self.machine.state() == State::Initialize
            && !self.addresses.is_working()
            && self.addresses.is_clear()
    }

    /// Every address is meant for the interface that has the wanted name now, as far as there is one.
    pub(crate) fn is_bound(&self, links: &Links) -> bool {
        let usual = self.settings.address_interface();
        let installed = self.settings.addresses.iter().filter(|address| address.installed);
        let names = installed.map(|address| address.interface.as_deref().unwrap_or(&usual));
        // Thousands of addresses have the same name one after the other: it is looked up once.
        let mut last: Option<(&str, Option<u32>)> = None;
        self.addresses.held.iter().zip(names).all(|(held, name)| {
            let now = match last {
                Some((same, index)) if same == name => index,
                _ => links.by_name(name).map(|link| link.index),
            };
            last = Some((name, now));
            now.is_none_or(|index| index == held.address.interface())
        })
    }

    /// Whether the sockets of its paths are those of the interface that has this name now.
    pub(crate) fn has_sockets_on(&self, link: &Link, shared: &Shared) -> bool {
        let mut devices = self.ports.iter().filter_map(|port| shared.ports.get(*port));
        devices.all(|port| port.device.name != link.name || port.device.index == link.index)
    }

    /// Whether the interface of its virtual MAC address, if it has one, is there and served by its sockets.
    pub(crate) fn has_device(&self, shared: &Shared) -> bool {
        self.settings.device_name().is_none_or(|name| {
            let link = shared.links.by_name(&name);
            link.is_some_and(|link| link.switched_on && self.has_sockets_on(link, shared))
        })
    }

    /// The interface has another MAC address now: whoever knows ours by the old one has to learn.
    pub(crate) fn handle_mac_changed(&mut self, link: u32, shared: &mut Shared) {
        let mut held = self.addresses.held.iter();
        let here = held.any(|held| held.present && held.address.interface() == link);
        if here {
            self.machine.handle_mac_changed(shared.now());
        }
        self.work(shared);
    }

    /// Each path with the port it leads through.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (PathId, usize)> {
        self.machine.paths().zip(self.ports.iter().copied())
    }
}
