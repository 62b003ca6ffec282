//! A sync group with its members, each on a link of its own.

use vrrp_fsm::{
    Config, Instant, MemberId, State, SyncGroup, SyncGroupOutput, Ticket, Verdict, VirtualRouter,
};

use crate::host::{Host, Packet};

pub(super) struct Ensemble {
    pub(super) hosts: Vec<Host>,
    pub(super) group: SyncGroup,
    /// The states the group has reported.
    pub(super) reports: Vec<(State, State)>,
    pub(super) commands: u64,
    /// What the group's guard was asked.
    pub(super) questions: Vec<Ticket>,
}

impl Ensemble {
    /// Members of these configurations that are not started.
    pub(super) fn new(configs: impl IntoIterator<Item = Config>) -> Self {
        let host = |config: Config| Host::new(config.sync_group(true), "192.0.2.5");
        let hosts: Vec<Host> = configs.into_iter().map(host).collect();
        let group = SyncGroup::new(hosts.len()).unwrap();
        let (reports, questions) = (Vec::new(), Vec::new());
        let mut ensemble = Self { hosts, group, reports, commands: 0, questions };
        for member in 0..ensemble.hosts.len() {
            ensemble.settle(member, Instant::ZERO);
        }
        ensemble
    }

    /// The same, started.
    pub(super) fn started(configs: impl IntoIterator<Item = Config>) -> Self {
        let mut ensemble = Self::new(configs);
        for member in 0..ensemble.hosts.len() {
            ensemble.on(member, Instant::ZERO, VirtualRouter::handle_startup);
        }
        ensemble
    }

    /// One input of one member, and what follows from it.
    pub(super) fn on(
        &mut self,
        member: usize,
        now: Instant,
        input: impl FnOnce(&mut VirtualRouter, Instant),
    ) {
        input(&mut self.hosts[member].router, now);
        self.settle(member, now);
    }

    pub(super) fn receive(&mut self, member: usize, now: Instant, packet: &Packet) {
        self.on(member, now, |router, now| {
            let _counted = router.handle_datagram(now, packet.datagram());
        });
    }

    /// Carries out everything that follows from an input of a member.
    pub(super) fn settle(&mut self, member: usize, now: Instant) {
        self.hosts[member].carry_out(now);
        self.group.handle_member(now, MemberId::new(member), self.hosts[member].router.standing());
        self.obey(now);
    }

    /// Carries out what the group wants.
    pub(super) fn obey(&mut self, now: Instant) {
        for round in 0.. {
            assert!(round < 10 * self.hosts.len(), "the group does not come to rest");
            match self.group.poll_output() {
                Some(SyncGroupOutput::Command { member, command }) => {
                    self.commands += 1;
                    let host = &mut self.hosts[member.get()];
                    host.router.handle_group(now, command);
                    host.carry_out(now);
                    self.group.handle_member(now, member, host.router.standing());
                }
                Some(SyncGroupOutput::AskPromotion { ticket, .. }) => self.questions.push(ticket),
                Some(SyncGroupOutput::StateChanged { from, to }) => self.reports.push((from, to)),
                None => break,
            }
        }
    }

    /// The next deadline of any member.
    pub(super) fn next(&self) -> Option<(Instant, usize)> {
        let deadline = |(member, host): (usize, &Host)| Some((host.router.poll_timeout()?, member));
        self.hosts.iter().enumerate().filter_map(deadline).min()
    }

    /// Serves every deadline up to and including `until`.
    pub(super) fn run_until(&mut self, until: Instant) {
        loop {
            let member = self.next().filter(|(at, _)| *at <= until);
            let group = self.group.poll_timeout().filter(|at| *at <= until);
            match (member, group) {
                (Some((now, member)), at) if at.is_none_or(|at| now <= at) => {
                    self.on(member, now, VirtualRouter::handle_timeout);
                }
                (_, Some(now)) => {
                    self.group.handle_timeout(now);
                    self.obey(now);
                }
                (_, None) => break,
            }
        }
    }

    pub(super) fn verdict(&mut self, now: Instant, ticket: Ticket, verdict: Verdict) {
        self.group.handle_verdict(now, ticket, verdict);
        self.obey(now);
    }

    pub(super) fn states(&self) -> Vec<State> {
        self.hosts.iter().map(|host| host.router.state()).collect()
    }

    pub(super) fn asking(&self) -> Vec<usize> {
        self.group.asking().map(MemberId::get).collect()
    }

    pub(super) fn unable(&self) -> Vec<usize> {
        self.group.unable().map(MemberId::get).collect()
    }

    /// Empties the logs.
    pub(super) fn forget(&mut self) {
        self.reports.clear();
        for host in &mut self.hosts {
            host.log.clear();
            host.wire.clear();
        }
    }
}
