//! What is due: first what there is to hear, then everyone's advertisements together, then what takes longer.

use core::time::Duration;

use reactor::Clock;
use vrrp_fsm::{Instant, SyncGroup};

use super::Router;
use super::receive::MAX_BACKLOG;
use crate::guard::Party;
use crate::instance::{Instance, MOST_EARLY};

/// How long addresses are worked on and announced in one turn; what is left is done in the next one.
const WORK: Duration = Duration::from_millis(1);

impl Router {
    /// Acts on deadlines, after the queues of those concerned have been read once more: what came in since the turn
    /// began counts, too. A port that has a backlog is not: that would be the flood's way to silence us.
    pub(super) fn act_on_deadlines(&mut self) {
        self.collect_due(self.shared.now());
        if self.due.is_empty() && self.due_groups.is_empty() {
            return;
        }
        let of_groups = self.due_groups.iter().flat_map(|group| self.groups.members(*group));
        let early = self.early.iter().map(|(index, _)| index);
        let concerned = self.due.iter().chain(early).chain(of_groups);
        let due = concerned.filter_map(|index| self.instances.get(*index));
        let mut ports: Vec<usize> = due.flat_map(|instance| &instance.ports).copied().collect();
        ports.sort_unstable();
        ports.dedup();
        for port in ports {
            if self.backlog(port) == 0 {
                self.receive(port);
            }
        }
        let now = self.shared.now();
        let mut due = core::mem::take(&mut self.due);
        let early = core::mem::take(&mut self.early);
        let on_time = due.iter().map(|index| (*index, now));
        for (index, at) in on_time.chain(early.iter().copied()) {
            let Some(instance) = self.instances.get_mut(index) else { continue };
            let backlog = |port: &usize| self.backlogs.get(*port).copied().unwrap_or(0);
            if instance.ports.iter().map(backlog).any(|unread| (1..MAX_BACKLOG).contains(&unread)) {
                instance.handle_timeout_in_backlog(at, &mut self.shared);
            } else {
                instance.handle_timeout(at, &mut self.shared);
            }
        }
        self.finish_sends();
        due.extend(early.iter().map(|(index, _)| index));
        let until = Clock::now() + WORK;
        let mut is_time_left = true;
        for index in due.drain(..) {
            is_time_left = is_time_left && Clock::now() < until;
            self.act(index, |instance, shared| {
                if is_time_left {
                    instance.work(shared);
                }
            });
        }
        if self.due.is_empty() {
            self.due = due;
        }
        for group in core::mem::take(&mut self.due_groups) {
            self.with_group(group, SyncGroup::handle_timeout);
        }
        self.finish_sends();
    }

    /// Notes who is due, and which Masters will be so soon that their advertisements leave with the others'.
    fn collect_due(&mut self, now: Instant) {
        while let Some((party, _)) = self.timers.pop_due(now) {
            match party {
                Party::Router(index) => self.due.push(index),
                Party::SyncGroup(index) => self.due_groups.push(index),
            }
        }
        if self.due.is_empty() {
            return;
        }
        let mut not_yet = Vec::new();
        while let Some((party, at)) = self.timers.pop_due(now + MOST_EARLY) {
            let earliness = match party {
                Party::Router(index) => self.instances.get(index).map(Instance::earliness),
                Party::SyncGroup(_) => None,
            };
            match party {
                Party::Router(index) if earliness.is_some_and(|by| now + by >= at) => {
                    self.early.push((index, at));
                }
                Party::Router(_) | Party::SyncGroup(_) => not_yet.push((party, at)),
            }
        }
        for (party, at) in not_yet {
            self.timers.set(party, at);
        }
    }

    /// In the middle of a backlog: what does not wait until it is read is done, the rest is still due afterwards.
    pub(super) fn keep_up(&mut self) {
        let now = self.shared.now();
        self.collect_due(now);
        let due = core::mem::take(&mut self.due);
        let early = core::mem::take(&mut self.early);
        let on_time = due.iter().map(|index| (*index, now));
        for (index, at) in on_time.chain(early) {
            self.act(index, |instance, shared| instance.handle_timeout_in_backlog(at, shared));
        }
        self.finish_sends();
    }
}
