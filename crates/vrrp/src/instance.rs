//! One virtual router at work: carries out what its machine asks for.

use core::net::IpAddr;
use std::sync::Arc;

use crossbeam_channel::Sender;
use reactor::Clock;
use vip_netlink::{Announcer, Client, Link, Pacer};
use vrrp_fsm::vrrp_proto::Priority;
use vrrp_fsm::{
    Condition, Datagram, EffectFailed, Fault, Faults, GroupCommand, GuardConfig, Instant,
    MAX_DATAGRAM_LEN, MAX_PATHS, Output, PathId, Reason, Send, SendFailed, State, Ticket,
    TrackerId, Tracking, Verdict, VirtualRouter as Machine, Wanted,
};

use crate::addresses::Addresses;
use crate::announce::Schedule;
use crate::event::{EventKind, EventSink};
use crate::guard::{GuardThread, Question};
use crate::handle::{CampaignId, Granted, Lost, answer};
use crate::links::Links;
use crate::port::Port;
use crate::reports::{Reports, differences};
use crate::status::{PathStatus, TrackerStatus, VirtualRouterStatus};
use crate::virtual_router::VirtualRouter;

/// Frames announced in one step, before timers and packets have their turn again.
const FRAMES_A_STEP: usize = 64;

/// Addresses that failed that are told of, until all could be installed.
const FAILURES_TOLD: usize = 16;

/// What all virtual routers share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) kernel: Client,
    pub(crate) announcer: Announcer,
    pub(crate) links: Links,
    /// The rates of announcements on each interface.
    pub(crate) pacer: Pacer,
    pub(crate) ports: Vec<Port>,
    pub(crate) events: EventSink,
    pub(crate) buffer: Box<[u8; MAX_DATAGRAM_LEN]>,
}

impl Shared {
    pub(crate) fn buffer() -> Box<[u8; MAX_DATAGRAM_LEN]> {
        Box::new([0; MAX_DATAGRAM_LEN])
    }

    /// The present moment, in the machines' form.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.now_nanos())
    }
}

/// One virtual router.
pub(crate) struct Instance {
    pub(crate) name: Arc<str>,
    pub(crate) settings: VirtualRouter,
    pub(crate) machine: Machine,
    pub(crate) tracking: Tracking,
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
    pub(crate) schedule: Schedule,
    pub(crate) followers: Followers,
    /// What was told about faults. None at the start, while what is found out in any order is not news yet.
    faults: Option<Faults>,
    reports: Reports,
    /// Addresses that failed, since all succeeded.
    failures_told: usize,
}

/// Who wants to be told, on other threads.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    campaigns: Vec<(CampaignId, Sender<Granted>)>,
    leaders: Vec<(CampaignId, Sender<Lost>)>,
    releases: Vec<Sender<()>>,
}

impl Instance {
    pub(crate) fn new(
        settings: VirtualRouter,
        machine: Machine,
        addresses: Addresses,
        ports: Vec<usize>,
    ) -> Self {
        let trackers = settings.trackers.iter().map(|(_, tracker)| *tracker).collect();
        Self {
            name: Arc::clone(&settings.name),
            tracking: Tracking::new(machine.priority(), trackers),
            schedule: Schedule::new(settings.announcements),
            settings,
            machine,
            guard: None,
            addresses,
            ports,
            candidate: false,
            standing: false,
            ending: false,
            followers: Followers::default(),
            faults: None,
            reports: Reports::default(),
            failures_told: 0,
        }
    }

    /// The kernel's state is known: from now on it takes part, or tells what is against it.
    pub(crate) fn begin(&mut self, shared: &mut Shared) {
        self.faults = Some(Faults::NONE);
        self.synchronize(shared);
        self.set_fault(Fault::NotReady, !self.settings.ready, shared);
        self.follow_trackers(shared);
        self.set_candidate(self.settings.candidate, shared);
    }

    /// The next moment at which [`Instance::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self, shared: &Shared) -> Option<Instant> {
        let work = self.addresses.is_working().then(|| shared.now());
        [work, self.machine.poll_timeout(), self.schedule.poll_timeout(&shared.pacer)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due: the machine's timers, a part of the address work, a part of the announcements.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        let now = self.synchronize(shared);
        self.machine.handle_timeout(now);
        self.work(shared);
    }

    /// The same while datagrams are still unread: the machine knows what must not wait for them.
    pub(crate) fn handle_timeout_in_backlog(&mut self, shared: &mut Shared) {
        self.machine.handle_timeout_in_backlog(shared.now());
        self.work(shared);
    }

    /// A datagram for this virtual router. What is wrong with it is counted by the machine.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: Datagram<'_>,
        shared: &mut Shared,
    ) {
        self.synchronize(shared);
        let (source, before) = (datagram.source(), differences(self.machine.statistics()));
        if let Err(discard) = self.machine.handle_datagram(now, datagram) {
            // It is counted by the machine. What follows came of the time that has passed, or is about a conflict.
            let total = self.machine.statistics().discarded(discard.counter());
            if self.reports.is_due(now, discard.counter()) {
                shared.events.emit(&self.name, EventKind::Discarded { discard, total });
            }
            if self.carry_out(shared) {
                self.work(shared);
            }
            return;
        }
        for ((difference, total), (_, before)) in
            differences(self.machine.statistics()).into_iter().zip(before)
        {
            if total > before && self.reports.is_difference_due(now, difference) {
                shared.events.emit(&self.name, EventKind::Differs { source, difference, total });
            }
        }
        // Almost every advertisement changes a deadline and nothing else.
        if self.carry_out(shared) {
            self.work(shared);
        }
    }

    /// Tells the machine the wall clock's time, if it dates its advertisements, and returns the
    /// present moment.
    pub(crate) fn synchronize(&mut self, shared: &Shared) -> Instant {
        let now = shared.now();
        if self.machine.config().trailer.is_some()
            && let Ok(utc) = Clock::wall().duration_since(std::time::UNIX_EPOCH)
        {
            self.machine.handle_utc(now, utc);
        }
        now
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

    pub(crate) fn set_tracker(
        &mut self,
        tracker: TrackerId,
        condition: Condition,
        shared: &mut Shared,
    ) {
        self.tracking.handle_condition(tracker, condition);
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

    fn ask(&self, ticket: Ticket, reason: Reason) {
        let config = self.machine.config();
        // Without a thread the default verdict counts.
        let (Some(guard), Some(GuardConfig { deadline, .. })) = (&self.guard, config.guard) else {
            return;
        };
        let question = Question {
            name: Arc::clone(&self.name),
            addresses: config.virtual_addresses.clone(),
            reason,
            deadline,
        };
        guard.ask(ticket, question);
    }

    pub(crate) fn set_source(&mut self, path: PathId, source: Option<IpAddr>, shared: &mut Shared) {
        self.machine.handle_source_address(shared.now(), path, source);
        self.work(shared);
    }

    /// Others removed addresses of ours, by index.
    pub(crate) fn handle_removed(&mut self, removed: &[usize], shared: &mut Shared) {
        for index in removed {
            if let Some(held) = self.addresses.held.get_mut(*index) {
                held.present = false;
            }
        }
        self.schedule.handle_gone(removed);
        let held = removed.iter().filter_map(|index| self.addresses.held.get(*index));
        if let Some(address) = shared.links.shown_all(held.map(|held| &held.address)) {
            shared.events.emit(&self.name, EventKind::AddressRemovedByOthers { address });
        }
        self.machine.handle_addresses_lost(shared.now());
        self.work(shared);
    }

    /// Nothing of ours is in the kernel and nothing is under way.
    pub(crate) fn is_released(&self) -> bool {
        self.machine.state() == State::Initialize
            && !self.addresses.is_working()
            && self.addresses.ours().next().is_none()
    }

    /// Every address is meant for the interface that has the wanted name now, as far as there is one.
    pub(crate) fn is_bound(&self, links: &Links) -> bool {
        let installed = self.settings.addresses.iter().filter(|address| address.installed);
        let names = installed
            .map(|address| address.interface.as_deref().unwrap_or(&self.settings.interface));
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

    /// The interface has another MAC address now: whoever knows ours by the old one has to learn.
    pub(crate) fn handle_mac_changed(&mut self, link: u32, shared: &mut Shared) {
        let mut held = self.addresses.held.iter();
        let here = held.any(|held| held.present && held.address.interface() == link);
        if here {
            self.machine.handle_mac_changed(shared.now());
        }
        self.work(shared);
    }

    pub(crate) fn campaign(
        &mut self,
        campaign: CampaignId,
        reply: Sender<Granted>,
        shared: &mut Shared,
    ) {
        self.followers.campaigns.push((campaign, reply));
        if self.machine.reported_state() == State::Master {
            self.grant();
        }
        self.work(shared);
    }

    pub(crate) fn lead(&mut self, campaign: CampaignId) -> Option<Granted> {
        (self.machine.reported_state() == State::Master)
            .then(|| self.followers.lead(campaign, self.machine.term()))
    }

    pub(crate) fn resign(
        &mut self,
        campaign: CampaignId,
        released: Option<Sender<()>>,
        shared: &mut Shared,
    ) {
        self.followers.releases.extend(released);
        self.followers.campaigns.retain(|(other, _)| *other != campaign);
        let leaders = self.followers.leaders.len();
        self.followers.leaders.retain(|(other, _)| *other != campaign);
        if self.followers.leaders.len() < leaders {
            self.candidate = false;
        }
        self.work(shared);
    }

    fn trackers(&self) -> Vec<TrackerStatus> {
        let names = self.settings.trackers.iter();
        names
            .zip(self.tracking.influences())
            .map(|((name, _), (tracker, influence))| TrackerStatus {
                name: Arc::clone(name),
                condition: self.tracking.condition(tracker).unwrap_or(Condition::Unknown),
                influence,
            })
            .collect()
    }

    fn path_status(&self, shared: &Shared) -> Vec<PathStatus> {
        let now = shared.now();
        let status = |(path, port): (PathId, usize)| {
            let (port, path) = (shared.ports.get(port)?, self.machine.path_status(path)?);
            let ago = |at| now.saturating_duration_since(at);
            Some(PathStatus {
                interface: port.device.name.clone(),
                source: path.source,
                sent: path.sent_at.map(ago),
                heard: path.heard_at.map(ago),
                is_failing: path.is_failing,
                send_failures: path.send_failures,
            })
        };
        self.paths().filter_map(status).collect()
    }

    /// The addresses in the kernel that are ours, for people.
    pub(crate) fn held(&self, shared: &Shared) -> Vec<String> {
        self.addresses.ours().map(|address| shared.links.shown(address)).collect()
    }

    pub(crate) fn status(&self, shared: &Shared) -> VirtualRouterStatus {
        let now = shared.now();
        let config = self.machine.config();
        VirtualRouterStatus {
            name: Arc::clone(&self.name),
            vrid: config.vrid,
            family: config.family,
            interface: self.settings.interface.clone(),
            state: self.machine.reported_state(),
            why: self.machine.why(now),
            faults: self.machine.faults(),
            candidate: self.standing,
            term: self.machine.term(),
            priority: self.machine.priority(),
            source: self.machine.source(PathId::FIRST),
            paths: self.path_status(shared),
            addresses: self.held(shared),
            trackers: self.trackers(),
            statistics: *self.machine.statistics(),
        }
    }

    /// Carries out the machine's outputs, and as much of the longer work as one step may take.
    pub(crate) fn work(&mut self, shared: &mut Shared) {
        self.carry_out(shared);
        self.stand(shared);
        if self.addresses.is_working() {
            let step = self.addresses.step(&mut shared.kernel, &shared.links);
            for index in &step.added {
                self.schedule.handle_present(*index, &self.addresses.held);
            }
            for (index, error) in step.failed {
                // Thousands of addresses may fail, for one reason, ten times a second.
                self.failures_told += 1;
                if self.failures_told > FAILURES_TOLD {
                    break;
                }
                let held = self.addresses.held.get(index);
                let address = held.map(|held| shared.links.shown(&held.address));
                let kind = EventKind::AddressFailed { address: address.unwrap_or_default(), error };
                shared.events.emit(&self.name, kind);
            }
            for (address, error) in step.stuck {
                let address = shared.links.shown(&address);
                shared.events.emit(&self.name, EventKind::AddressFailed { address, error });
            }
            if let Some(done) = step.complete {
                let now = shared.now();
                if done.wanted == Wanted::All {
                    let present = self.addresses.present();
                    self.schedule.handle_complete(now, &present, &self.addresses.held);
                }
                if done.success && done.wanted == Wanted::All {
                    self.failures_told = 0;
                }
                let result = if done.success { Ok(()) } else { Err(EffectFailed) };
                if done.repeated && !done.success {
                    // The machine's order was carried out; what came to it since is missing.
                    self.machine.handle_addresses_lost(now);
                } else {
                    self.machine.handle_effect(now, done.id, result);
                }
                self.carry_out(shared);
            }
        }
        self.announce(shared);
        self.tell_released();
    }

    /// Stands for election exactly as long as somebody wants it: the configuration, a campaign, or a leadership.
    fn stand(&mut self, shared: &mut Shared) {
        let followed = !self.followers.campaigns.is_empty() || !self.followers.leaders.is_empty();
        let wanted = !self.ending && (self.candidate || followed);
        if wanted == self.standing {
            return;
        }
        self.standing = wanted;
        if wanted {
            self.machine.handle_startup(shared.now());
        } else {
            self.machine.handle_shutdown(shared.now());
        }
        self.carry_out(shared);
    }

    /// Carries out all outputs; whether there were any.
    fn carry_out(&mut self, shared: &mut Shared) -> bool {
        let mut any = false;
        loop {
            // Before the change of state that follows from it.
            self.note_faults(shared);
            let Some(output) = self.machine.poll_output() else { return any };
            any = true;
            match output {
                Output::Send(send) => self.send(send, shared),
                Output::SetAddresses { wanted, id } => {
                    self.addresses.set(id, wanted);
                    if wanted == Wanted::None {
                        self.schedule.handle_release();
                        self.tell_lost(shared);
                    }
                }
                Output::Announce => self.schedule.handle_announce(shared.now()),
                Output::AskPromotion { ticket, reason } => self.ask(ticket, reason),
                Output::StateChanged { from, to, reason, term } => {
                    shared
                        .events
                        .emit(&self.name, EventKind::StateChanged { from, to, reason, term });
                    if to == State::Master {
                        self.grant();
                    } else {
                        self.tell_lost(shared);
                    }
                }
                Output::Conflict { conflict, total } => {
                    shared.events.emit(&self.name, EventKind::Conflict { conflict, total });
                }
                Output::Contended { winner, loser, duration, ongoing } => {
                    let kind = EventKind::Contended { winner, loser, duration, ongoing };
                    shared.events.emit(&self.name, kind);
                }
            }
        }
    }

    /// Each path with the port it leads through.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (PathId, usize)> {
        self.machine.paths().zip(self.ports.iter().copied())
    }

    /// Sends one advertisement to all destinations. A path works when one of its destinations could be reached.
    fn send(&mut self, send: Send, shared: &mut Shared) {
        let mut results = [Ok(()); MAX_PATHS];
        for ((path, port), result) in self.paths().zip(&mut results) {
            *result = self.send_on(path, port, send, shared);
        }
        let now = shared.now();
        for (id, result) in (0..).map(PathId::new).zip(results).take(self.ports.len()) {
            self.machine.handle_send(now, id, result);
        }
    }

    fn send_on(
        &self,
        path: PathId,
        port: usize,
        send: Send,
        shared: &mut Shared,
    ) -> Result<(), SendFailed> {
        let port = shared.ports.get(port).ok_or(SendFailed)?;
        let source = self.machine.source(path);
        let mut result = Err(SendFailed);
        for destination in self.machine.destinations(path) {
            let buffer = shared.buffer.as_mut_slice();
            let Ok(bytes) = self.machine.encode(&send, path, destination, buffer) else { continue };
            if port.sender.send(bytes, source, destination).is_ok() {
                result = Ok(());
            }
        }
        result
    }

    /// Announces what is due, at most [`FRAMES_A_STEP`]. A frame that cannot be sent is as good as one
    /// that was lost on the way: the repetitions are for both.
    fn announce(&mut self, shared: &mut Shared) {
        let now = shared.now();
        let mut forwarding = None;
        for _ in 0..FRAMES_A_STEP {
            let Some(index) = self.schedule.poll_output(now, &mut shared.pacer) else { return };
            let Some(address) = self.addresses.held.get(index).map(|held| &held.address) else {
                continue;
            };
            let link =
                shared.links.by_index(address.interface()).filter(|link| link.can_announce());
            let Some((link, mac)) = link.and_then(|link| Some((link, link.mac?))) else { continue };
            drop(match address.ip() {
                IpAddr::V4(ip) => shared.announcer.gratuitous_arp(link.index, mac, ip),
                IpAddr::V6(ip) => {
                    // The R flag has to be the truth (RFC 4861 §7.2.4), which changes: read once a step.
                    let read = || vip_netlink::forwards_ipv6(&link.name).unwrap_or(false);
                    let router = *forwarding.get_or_insert_with(read);
                    shared.announcer.unsolicited_na(link.index, mac, ip, router)
                }
            });
        }
    }

    fn note_faults(&mut self, shared: &Shared) {
        let now = self.machine.faults();
        let Some(told) = self.faults.filter(|told| *told != now) else { return };
        for fault in Fault::ALL {
            match (told.contains(fault), now.contains(fault)) {
                (false, true) => shared.events.emit(&self.name, EventKind::Fault(fault)),
                (true, false) => shared.events.emit(&self.name, EventKind::FaultCleared(fault)),
                (true, true) | (false, false) => {}
            }
        }
        self.faults = Some(now);
    }

    fn grant(&mut self) {
        let term = self.machine.term();
        for (campaign, reply) in core::mem::take(&mut self.followers.campaigns) {
            let granted = self.followers.lead(campaign, term);
            // Nobody listens: the campaign's time ran out in this moment, and its resignation is on the way.
            answer(&reply, granted);
        }
    }

    fn tell_lost(&mut self, shared: &Shared) {
        let lost = Lost { state: self.machine.state(), why: self.machine.why(shared.now()) };
        for (_, leader) in self.followers.leaders.drain(..) {
            // Room for one, and this is the only one; closing the channel says the same.
            answer(&leader, lost);
        }
    }

    fn tell_released(&mut self) {
        if self.machine.is_released() {
            for release in self.followers.releases.drain(..) {
                answer(&release, ());
            }
        }
    }
}

impl Followers {
    fn lead(&mut self, campaign: CampaignId, term: u64) -> Granted {
        let (tell, lost) = crossbeam_channel::bounded(1);
        self.leaders.push((campaign, tell));
        Granted { term, lost }
    }
}
