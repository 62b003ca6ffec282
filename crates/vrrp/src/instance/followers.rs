//! Who waits on other threads for one virtual router to become Master, or to be it no longer.

use crossbeam_channel::Sender;
use vrrp_fsm::State;

use super::{Instance, Shared};
use crate::guard::GuardThread;
use crate::handle::{CampaignId, Granted, Lost, answer};

/// Who wants to be told, on other threads.
#[derive(Debug, Default)]
pub(super) struct Followers {
    pub(super) campaigns: Vec<(CampaignId, Sender<Granted>)>,
    pub(super) leaders: Vec<(CampaignId, Sender<Lost>)>,
    releases: Vec<Sender<()>>,
}

impl Instance {
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
            .then(|| self.followers.lead(campaign, self.machine.term(), self.guard.as_ref()))
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

    /// Ends it for good, and tells when nothing of it is left.
    pub(crate) fn remove(&mut self, released: Sender<()>, shared: &mut Shared) {
        self.followers.releases.push(released);
        self.removed = true;
        self.shut_down(shared);
    }

    pub(super) fn grant(&mut self) {
        let term = self.machine.term();
        for (campaign, reply) in core::mem::take(&mut self.followers.campaigns) {
            let granted = self.followers.lead(campaign, term, self.guard.as_ref());
            // Nobody listens: the campaign's time ran out in this moment, and its resignation is on the way.
            answer(&reply, granted);
        }
    }

    pub(super) fn tell_lost(&mut self, shared: &Shared) {
        let lost = Lost { state: self.machine.state(), why: self.machine.why(shared.now()) };
        for (_, leader) in self.followers.leaders.drain(..) {
            // Room for one, and this is the only one; closing the channel says the same.
            answer(&leader, lost);
        }
    }

    pub(super) fn tell_released(&mut self, shared: &mut Shared) {
        if self.removed && self.is_released() && self.addresses.journal().is_some() {
            let addresses = &mut self.addresses;
            shared.refusal.release(self.index);
            addresses.forget(&shared.refusal.entry());
            let Shared { devices, kernel, .. } = shared;
            devices.remove_of(self.index, kernel, |entry| addresses.forget(entry));
            // Whoever comes after us may list the same addresses.
            self.addresses.close();
        }
        if self.machine.is_released() {
            for release in self.followers.releases.drain(..) {
                answer(&release, ());
            }
        }
    }
}

impl Followers {
    fn lead(&mut self, campaign: CampaignId, term: u64, guard: Option<&GuardThread>) -> Granted {
        let (tell, lost) = crossbeam_channel::bounded(1);
        self.leaders.push((campaign, tell));
        Granted { term, lost, guard: guard.map(GuardThread::guard) }
    }
}
