//! Orders and questions of other threads, carried out in the router's.

use vrrp_fsm::Fault;

use crate::guard::Party;
use crate::handle::{Command, answer};
use crate::router::Router;

impl Router {
    pub(crate) fn obey(&mut self, command: Command) {
        match command {
            // Too late: the one who waits for an answer learns it from the end of the channel.
            Command::Campaign { .. }
            | Command::Lead { .. }
            | Command::Candidate { .. }
            | Command::Apply { .. }
                if self.ended => {}
            Command::Campaign { router, campaign, reply } => {
                self.with(router, |instance, shared| instance.campaign(campaign, reply, shared));
            }
            Command::Lead { router, campaign, reply } => {
                let now = self.shared.now();
                if let Some(instance) = self.instances.get_mut(router) {
                    let granted = instance.lead(campaign);
                    // The one who asked has gone: the resignation of that leadership is on its way.
                    answer(&reply, granted.ok_or_else(|| instance.machine.why(now)));
                }
            }
            Command::Resign { router, campaign, released } => {
                self.with(router, |instance, shared| instance.resign(campaign, released, shared));
            }
            Command::Candidate { router, candidate } => {
                self.with(router, |instance, shared| instance.set_candidate(candidate, shared));
            }
            Command::Priority { router, priority } => {
                self.with(router, |instance, shared| instance.set_priority(priority, shared));
            }
            Command::Tracker { router, tracker, condition } => {
                self.with(router, |instance, shared| {
                    instance.set_tracker(&tracker, condition, shared);
                });
            }
            Command::Restarted { router, tracker } => {
                self.with(router, |instance, shared| instance.note_restart(&tracker, shared));
            }
            Command::Ready { router, ready } => {
                self.with(router, |instance, shared| {
                    instance.set_fault(Fault::NotReady, !ready, shared);
                });
            }
            Command::Remove { router, released } => {
                self.with(router, |instance, shared| instance.remove(released, shared));
                // Nothing of it is looked for any more.
                self.index();
            }
            Command::Verdict { party: Party::Router(router), ticket, verdict } => {
                self.with(router, |instance, shared| {
                    instance.handle_verdict(ticket, verdict, shared);
                });
            }
            Command::Verdict { party: Party::SyncGroup(group), ticket, verdict } => {
                self.with_group(group, |group, now| group.handle_verdict(now, ticket, verdict));
            }
            Command::Apply { changed, reply } => {
                let result = self.apply_to(changed);
                answer(&reply, result);
            }
            Command::Status { reply } => answer(&reply, self.status()),
            Command::Shutdown => self.stopping = true,
        }
    }
}
