//! Everything that can happen to a virtual router.

use alloc::sync::Arc;
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{AddressFamily, Priority};

use crate::{
    AddressesLostPolicy, Config, ConfigError, Conflict, Datagram, Discard, EffectFailed, EffectId,
    Fault, Heard, Instant, Output, PathId, Reason, SendFailed, SendFailurePolicy, State,
    VirtualRouter, Wanted,
    effects::AfterFailure,
    state::{Backup, Farewell, Master, Phase, master_adver_interval},
};

impl VirtualRouter {
    /// The Startup event of RFC 9568 §6.4.1: from now on this router is a candidate, and takes part
    /// while it has no fault, after [`Config::start_delay`].
    pub fn handle_startup(&mut self, now: Instant) {
        let now = self.advance(now);
        if !core::mem::replace(&mut self.candidate, true) {
            self.delayed_since = Some(now);
        }
        self.try_start(now);
    }

    /// The Shutdown event of RFC 9568 §6.4.2 and §6.4.3: no longer a candidate. A Master leaves
    /// with priority 0.
    pub fn handle_shutdown(&mut self, now: Instant) {
        let now = self.advance(now);
        self.candidate = false;
        self.delayed_since = None;
        self.stop(now, Reason::Shutdown);
    }

    /// A datagram from a socket of one of the paths.
    ///
    /// # Errors
    /// [`Discard`]: it is not for this election. It has changed nothing but one counter; only an
    /// advertisement that shows a [`Conflict`] may have made an [`Output::Conflict`].
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<(), Discard> {
        let now = self.advance(now);
        self.receive(now, &datagram).inspect_err(|discard| {
            self.statistics.discards.count(*discard);
            if let Discard::AddressConflict { source_address: address } = *discard {
                self.conflicting(now, Conflict::SourceAddress { address });
            }
        })
    }

    /// A deadline may have come while there are received datagrams that were not handed over yet:
    /// does what must not wait for them, which are a Master's advertisements. A Backup believes in
    /// its Master's silence only when it has heard everything, by
    /// [`handle_timeout`](Self::handle_timeout).
    pub fn handle_timeout_in_backlog(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Master(_)) {
            self.handle_timeout(now);
        }
    }

    /// A deadline of [`poll_timeout`](Self::poll_timeout) may have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        let unanswered_at = self.effects.unanswered_at(self.config.effect_deadline);
        if unanswered_at.is_some_and(|at| now >= at) {
            self.statistics.effects_unanswered += 1;
            let interval = self.config.advertisement_interval;
            let after = self.effects.unanswered(now, interval);
            self.after_failure(now, after);
        }
        if self.recovery.is_due(now) {
            self.faults.remove(Fault::CannotAdvertise);
            self.faults.remove(Fault::AddressesFailed);
        }
        self.try_start(now);
        match self.phase {
            Phase::Initialize => {}
            Phase::Backup(backup) => self.backup_timeout(now, backup),
            Phase::Master(master) => self.master_timeout(now, master),
        }
        // Last, because what happened above may have superseded the wish.
        if self.effects.retry_at().is_some_and(|at| now >= at) {
            let id = self.effects.hand_out(now);
            self.push(Output::SetAddresses { wanted: self.effects.wanted(), id });
        }
    }

    /// What became of an [`Output::SetAddresses`]. The result of an older id is ignored.
    pub fn handle_effect(&mut self, now: Instant, id: EffectId, result: Result<(), EffectFailed>) {
        let now = self.advance(now);
        if !self.effects.is_pending(id) {
            return;
        }
        match (result, self.effects.wanted()) {
            (Ok(()), Wanted::All) => {
                self.effects.succeeded();
                self.recovery.addresses_work();
                if let Phase::Master(Master { reason, .. }) = self.phase {
                    self.report(State::Master, reason);
                    self.announced(now);
                }
                self.effects.reinstall_if_lost_meanwhile(now);
            }
            (Ok(()), Wanted::None) => {
                self.effects.succeeded();
                self.report_stopped();
                self.try_start(now);
            }
            (Err(EffectFailed), _) if self.effects.is_overdue() => {}
            (Err(EffectFailed), _) => {
                let after = self.effects.failed(now, self.config.advertisement_interval);
                self.after_failure(now, after);
            }
        }
    }

    /// What became of one transmission of an [`Output::Send`]: on unicast paths `Ok` if any peer
    /// was sent to.
    pub fn handle_send(&mut self, now: Instant, path: PathId, result: Result<(), SendFailed>) {
        let now = self.advance(now);
        let Some(path) = self.paths.get_mut(path.index()) else { return };
        path.failing = result.is_err();
        if result.is_ok() {
            (path.sent_at, path.succeeded_at) = (now, Some(now));
        } else {
            path.send_failures += 1;
            self.statistics.send_failures += 1;
        }
        if let Phase::Master(master) = self.phase {
            self.master_sent(now, master, result.is_ok());
        }
    }

    /// Something stands against taking part: acts as the Shutdown event until it is cleared.
    pub fn handle_fault(&mut self, now: Instant, fault: Fault) {
        let now = self.advance(now);
        if self.faults.insert(fault) {
            self.stop(now, Reason::Fault(fault));
        }
    }

    /// A fault is gone. The last one to go acts as the Startup event.
    ///
    /// [`Fault::NoSourceAddress`] stays while no path has an address.
    pub fn handle_fault_cleared(&mut self, now: Instant, fault: Fault) {
        let now = self.advance(now);
        let cannot_clear = fault == Fault::NoSourceAddress && !self.has_source_address();
        if !cannot_clear && self.faults.remove(fault) {
            self.recovery.cleared(fault);
            let failed = [Fault::CannotAdvertise, Fault::AddressesFailed];
            if !failed.into_iter().any(|fault| self.faults.contains(fault)) {
                self.recovery.end_pause();
            }
            self.try_start(now);
        }
    }

    /// The address a path sends from: the primary IPv4 address of its interface, or the link-local
    /// IPv6 one (RFC 9568 §5.1.1.1, §5.1.2.1). `None`, or one of the other family: there is none.
    ///
    /// A Master that loses its last one leaves with priority 0 under that address.
    pub fn handle_source_address(&mut self, now: Instant, path: PathId, source: Option<IpAddr>) {
        let now = self.advance(now);
        let family = self.config.family;
        let Some(path) = self.paths.get_mut(path.index()) else { return };
        path.former_source = path.source.or(path.former_source);
        path.source = source.filter(|source| AddressFamily::of(source) == family);
        if self.has_source_address() {
            self.handle_fault_cleared(now, Fault::NoSourceAddress);
        } else {
            self.handle_fault(now, Fault::NoSourceAddress);
        }
    }

    /// The effective priority from now on, as tracking makes it: 1–254, others are taken for the
    /// nearest of these. The owner of the addresses always has 255 (RFC 9568 §6.1).
    pub fn handle_priority(&mut self, now: Instant, priority: Priority) {
        let now = self.advance(now);
        if !self.config.priority.is_owner() {
            self.change_priority(now, Priority::new(priority.get().clamp(1, 254)));
        }
    }

    /// A new configuration, without leaving the election. The effective priority becomes the
    /// configured one.
    ///
    /// A Master stays Master: it advertises at once, and wishes for the addresses if they differ. A
    /// Backup keeps what it knows of its Master; its timer is shifted by the difference, and never
    /// beyond a whole master-down interval from now.
    ///
    /// Another version needs [`Config::also_version_2`] as a step between: the other routers do not
    /// understand the new one, or we do not understand them.
    ///
    /// # Errors
    /// [`ConfigError::IdentityChanged`] for another VRID or family, which is another virtual
    /// router, and what [`new`](Self::new) refuses. Nothing has changed then.
    pub fn handle_config(
        &mut self,
        now: Instant,
        config: impl Into<Arc<Config>>,
    ) -> Result<(), ConfigError> {
        let config: Arc<Config> = config.into();
        let intervals = config.validate()?;
        let identity = |config: &Config| (config.vrid, config.family);
        if identity(&config) != identity(&self.config) {
            return Err(ConfigError::IdentityChanged);
        }
        let now = self.advance(now);
        let before = self.down_interval_of_phase();
        let joins = config.sync_group && !self.config.sync_group;
        let leaves = !config.sync_group && self.config.sync_group;
        let other_guard = config.guard != self.config.guard;
        let refresh_changed = config.announce_refresh != self.config.announce_refresh;
        let addresses_changed = config.virtual_addresses != self.config.virtual_addresses;
        self.configure_paths(now, &config);
        if config.trailer.is_some() != self.config.trailer.is_some() {
            self.sequences.forget_senders();
        }
        self.sequences.make_room(config.remembers_senders());
        self.dialects.configure(&config);
        self.priority = config.priority;
        self.interval = intervals.own;
        self.interval_in_version_2 = intervals.in_version_2;
        self.config = config;
        if !self.has_source_address() {
            self.handle_fault(now, Fault::NoSourceAddress);
        }
        match &mut self.phase {
            Phase::Initialize => {
                // Who takes part already goes on until the group says otherwise.
                if joins {
                    self.faults.insert(Fault::SyncGroup);
                } else if leaves {
                    self.faults.remove(Fault::SyncGroup);
                }
                self.try_start(now);
            }
            Phase::Backup(backup) => {
                backup.asking &= !leaves;
                if other_guard {
                    backup.vetoes = 0;
                    if backup.question.take().is_some() {
                        backup.down_at = now;
                    }
                }
                backup.master_adver_interval =
                    master_adver_interval(&self.config, backup.master.as_ref());
                let backup = *backup;
                self.backup_retimed(now, backup, before);
            }
            Phase::Master(master) => {
                let keep = self.config.send_failure == SendFailurePolicy::Keep;
                let released = keep && core::mem::take(&mut master.awaits_send);
                let awaits_send = master.awaits_send;
                self.advertise_now(now);
                if released || (addresses_changed && !awaits_send) {
                    self.set_addresses(now, Wanted::All);
                } else if refresh_changed && self.reported_state() == State::Master {
                    self.announced(now);
                }
            }
        }
        Ok(())
    }

    /// What the wall clock shows at the moment `now`, as the time since 1970-01-01 UTC: signed
    /// advertisements are dated ([`Config::trailer`]). To be told before the first input of a
    /// router that has trailers, and again when the clock was set; telling it always does no harm.
    /// No timer depends on it. Until it is told, the epoch of [`Instant`] counts as 1970.
    pub fn handle_utc(&mut self, now: Instant, utc: Duration) {
        self.sequences.set_utc(now, utc);
    }

    /// The kernel dropped received datagrams (`SO_RXQ_OVFL`). It keeps the oldest, so the Master's
    /// latest advertisements are among the lost: a Backup waits for the next ones.
    pub fn handle_overflow(&mut self, now: Instant) {
        let now = self.advance(now);
        if let Phase::Backup(backup) = self.phase {
            self.backup_overflow(now, backup);
        }
    }

    /// Someone else deleted virtual addresses. What a Master does is [`Config::addresses_lost`].
    pub fn handle_addresses_lost(&mut self, now: Instant) {
        let now = self.advance(now);
        let Phase::Master(Master { awaits_send: false, .. }) = self.phase else { return };
        self.statistics.addresses_lost += 1;
        match self.config.addresses_lost {
            AddressesLostPolicy::Reinstall => {
                if let Some(id) = self.effects.lost(now) {
                    self.push(Output::SetAddresses { wanted: Wanted::All, id });
                }
            }
            AddressesLostPolicy::StepDown => {
                self.step_down(now, Farewell::PriorityZero);
                self.become_backup(now, Reason::AddressesLost, None);
                self.wait_one_skew(now);
            }
        }
    }
}

impl VirtualRouter {
    /// An advertisement of this election, from an address of its sender.
    #[inline]
    pub(crate) fn heard(&mut self, now: Instant, from: IpAddr, heard: Heard) {
        let is_copy = self.is_copy(&heard);
        match self.phase {
            Phase::Backup(_) if !is_copy => self.backup_received(now, &heard),
            Phase::Master(master) if !is_copy => self.master_received(now, master, heard),
            Phase::Initialize | Phase::Backup(_) | Phase::Master(_) => {}
        }
        if let Some(form) = heard.checksum {
            let master = match &self.phase {
                Phase::Backup(Backup { master, .. }) if !is_copy => master.as_ref(),
                Phase::Initialize | Phase::Backup(_) | Phase::Master(_) => None,
            };
            let master =
                master.map(|master| master.source).filter(|source| *source == heard.source);
            let changes = self.dialects.hear(from, form, master);
            self.statistics.count_checksum(form, changes);
        }
    }

    fn after_failure(&mut self, now: Instant, after: AfterFailure) {
        self.statistics.effect_failures += 1;
        if after == AfterFailure::GiveUp {
            self.fail(now, Fault::AddressesFailed);
        }
    }

    fn change_priority(&mut self, now: Instant, priority: Priority) {
        let before = self.down_interval_of_phase();
        self.priority = priority;
        if let Phase::Backup(backup) = self.phase {
            self.backup_retimed(now, backup, before);
        }
    }

    fn down_interval_of_phase(&self) -> Duration {
        match self.phase {
            Phase::Backup(backup) => self.master_down_interval(backup.master_adver_interval),
            Phase::Initialize | Phase::Master(_) => Duration::ZERO,
        }
    }
}
