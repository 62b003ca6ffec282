//! Announcing the addresses again.

use crate::{Instant, Output, State, VirtualRouter, state::Phase};

impl VirtualRouter {
    /// The addresses have another MAC address now: whoever knows them by the old one has to learn.
    /// A Master announces them again.
    pub fn handle_mac_changed(&mut self, now: Instant) {
        let now = self.advance(now);
        self.announce_again(now);
    }

    /// The next announcement without a cause is a whole [`Config::announce_refresh`] away.
    ///
    /// [`Config::announce_refresh`]: crate::Config::announce_refresh
    pub(crate) fn announced(&mut self, now: Instant) {
        if let Phase::Master(master) = &mut self.phase {
            master.refresh_at = self.config.announce_refresh.map(|interval| now + interval);
        }
    }

    pub(crate) fn refresh_timeout(&mut self, now: Instant) {
        let Phase::Master(master) = &mut self.phase else { return };
        if master.refresh_at.take_if(|at| now >= *at).is_some() {
            self.announce_again(now);
        }
    }

    /// Only what has been announced before: installing announces anyway.
    pub(crate) fn announce_again(&mut self, now: Instant) {
        if self.reported_state() == State::Master && self.effects.is_done() {
            self.push(Output::Announce);
            self.announced(now);
        }
    }
}
