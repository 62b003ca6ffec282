use alloc::vec::Vec;
use core::{net::IpAddr, num::NonZeroU16, time::Duration};

use vrrp_proto::{AddressFamily, Interval, Priority};

use crate::{
    AddressesLostPolicy, Config, ConfigError, Datagram, Discard, EffectFailed, EffectId, Fault,
    Faults, Heard, Instant, Output, PathId, Reason, SendFailed, SendFailurePolicy, State,
    Statistics, Wanted,
    effects::{AfterFailure, Effects},
    output::Outputs,
    recovery::Recovery,
    state::{Backup, Farewell, Master, Phase},
    timers,
};

/// One election: the state machine of RFC 9568 §6.4 and RFC 3768 §6.4 for one VRID, address family
/// and link.
///
/// ```text
///                  +---------------+
///       Startup,   |               |   Startup,
///     priority 255 |  Initialize   | priority < 255
///       +----------|   (no timer)  |----------+
///       |          |               |          |
///       |          +---------------+          |
///       |             ^         ^             |
///       |    Shutdown |         | Shutdown    |
///       |    or fault |         | or fault    |
///       v             |         |             v
///  +---------------+  |         |  +----------------------+
///  |    Master     |--+         +--|        Backup        |
///  | (Adver_Timer) |               | (Master_Down_Timer)  |
///  |               |<--------------|                      |
///  +---------------+  timer        +----------------------+
///          |          expired               ^
///          +--------------------------------+
///            better advertisement, late wake
/// ```
///
/// # Contract
///
/// - **Inputs** are the methods `handle_*`; each takes `now` first. An earlier `now` than the latest
///   is taken for the latest.
/// - **Outputs** come from [`poll_output`](Self::poll_output), in the order they have to happen in.
///   Drain it to `None` after *every* input.
/// - **Time**: call [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout). Calls that come early,
///   late or twice do no harm. After it the next deadline is never in the past.
/// - **Datagrams before deadlines**: hand over what the sockets hold, up to a bound of your choice,
///   before a deadline that is due: a process that was stopped must not act on stale news. Report
///   what the kernel dropped by [`handle_overflow`](Self::handle_overflow).
/// - **Results**: every [`Output::Send`] is answered by one [`handle_send`](Self::handle_send) a path, every
///   [`Output::SetAddresses`] by one [`handle_effect`](Self::handle_effect), at once or later.
/// - Nothing but [`new`](Self::new) and [`handle_config`](Self::handle_config) allocates, nothing panics, and
///   what comes from the network never makes more than six outputs.
///
/// # Order
///
/// | event | outputs |
/// |---|---|
/// | promotion | `Send`, `SetAddresses(All)`; after its success `StateChanged(Master)` |
/// | shutdown or fault of a Master | `Send` with priority 0, `SetAddresses(None)`; after its success `StateChanged(Initialize)` |
/// | better advertisement, late wake | `SetAddresses(None)`, `StateChanged(Backup)` |
///
/// So [`state`](Self::state), which is the protocol's, can be ahead of
/// [`reported_state`](Self::reported_state), which is what users of the addresses go by.
///
/// # When effects fail
///
/// - Installing is tried again for one advertisement interval. Then the machine gives up:
///   priority 0, release, [`Fault::AddressesFailed`].
/// - Removing is tried again for ever, ever more slowly; `Initialize` is not reported before it succeeds.
/// - If no path takes an advertisement for a master-down interval, others have taken over:
///   priority 0, release, [`Fault::CannotAdvertise`] (unless [`SendFailurePolicy::Keep`](crate::SendFailurePolicy::Keep)).
/// - Both faults clear by themselves after a pause that doubles each time. Until a mastership succeeds the router
///   preempts nobody, and after `CannotAdvertise` it installs nothing before an advertisement has gone out.
///
/// # A late wake
///
/// A process that was stopped (SIGSTOP, cgroup freezer, swapping) is replaced by another
/// router, and goes on with addresses that are no longer its own when it wakes. With
/// [`Config::late_wake_rule`] a Master whose timer is so late that a Backup may have expired becomes
/// Backup before it does anything else, and a Backup whose timer is late by more than an interval
/// waits once more. A hypervisor that stops the guest's clock as well is not noticed.
#[derive(Debug)]
pub struct VirtualRouter {
    pub(crate) config: Config,
    /// Our interval as it stands in our advertisements.
    pub(crate) interval: Interval,
    /// The effective priority.
    pub(crate) priority: Priority,
    pub(crate) paths: Vec<Path>,
    pub(crate) phase: Phase,
    /// Whether we take part at all.
    pub(crate) candidate: bool,
    pub(crate) faults: Faults,
    pub(crate) recovery: Recovery,
    pub(crate) effects: Effects,
    /// The state users know of.
    pub(crate) reported: State,
    /// Why we stopped, for the report that follows the removal.
    pub(crate) stop_reason: Reason,
    pub(crate) term: u64,
    pub(crate) identification: NonZeroU16,
    pub(crate) statistics: Statistics,
    outputs: Outputs,
    latest: Instant,
}

/// What is known about one path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) source: Option<IpAddr>,
    /// Whether the latest transmission failed.
    pub(crate) failing: bool,
    /// The latest transmission that did not fail, or the begin of the mastership.
    pub(crate) sent_at: Instant,
}

impl Path {
    const NEW: Self = Self { source: None, failing: false, sent_at: Instant::ZERO };
}

impl VirtualRouter {
    /// A virtual router in Initialize, with [`Fault::NoSourceAddress`] until it is told an address.
    ///
    /// `seed` varies what must differ between routers and restarts, such as retry pauses; equal
    /// seeds and inputs give equal outputs.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration that contradicts itself or the protocol.
    pub fn new(config: Config, seed: u64) -> Result<Self, ConfigError> {
        let interval = config.validate()?;
        let mut recovery = Recovery::new(seed);
        let [high, low, ..] = recovery.draw().to_be_bytes();
        let mut faults = Faults::NONE;
        faults.insert(Fault::NoSourceAddress);
        Ok(Self {
            interval,
            priority: config.priority,
            paths: config.paths.iter().map(|_| Path::NEW).collect(),
            phase: Phase::Initialize,
            candidate: false,
            faults,
            recovery,
            effects: Effects::new(),
            reported: State::Initialize,
            stop_reason: Reason::Shutdown,
            term: 0,
            identification: NonZeroU16::new(u16::from_be_bytes([high, low]))
                .unwrap_or(NonZeroU16::MIN),
            statistics: Statistics::default(),
            outputs: Outputs::default(),
            latest: Instant::ZERO,
            config,
        })
    }

    /// The Startup event of RFC 9568 §6.4.1: from now on this router is a candidate, and takes part
    /// while it has no fault.
    pub fn handle_startup(&mut self, now: Instant) {
        let now = self.advance(now);
        self.candidate = true;
        self.try_start(now);
    }

    /// The Shutdown event of RFC 9568 §6.4.2 and §6.4.3: no longer a candidate. A Master leaves
    /// with priority 0.
    pub fn handle_shutdown(&mut self, now: Instant) {
        let now = self.advance(now);
        self.candidate = false;
        self.stop(now, Reason::Shutdown);
    }

    /// A datagram from a socket of one of the paths.
    ///
    /// # Errors
    /// [`Discard`]: it is not for this election. It has changed nothing but one counter.
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<(), Discard> {
        let now = self.advance(now);
        self.yield_after_late_wake(now);
        let heard = self.receive(now, &datagram).inspect_err(|discard| {
            self.statistics.discards.count(*discard);
        })?;
        match self.phase {
            Phase::Initialize => {}
            Phase::Backup(backup) => self.backup_received(now, backup, heard),
            Phase::Master(master) => self.master_received(now, master, heard),
        }
        Ok(())
    }

    /// A deadline of [`poll_timeout`](Self::poll_timeout) may have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        self.yield_after_late_wake(now);
        if self.effects.retry_at().is_some_and(|at| now >= at) {
            let id = self.effects.hand_out();
            self.push(Output::SetAddresses { wanted: self.effects.wanted(), id });
        }
        if self.recovery.is_due(now) {
            self.faults.remove(Fault::CannotAdvertise);
            self.faults.remove(Fault::AddressesFailed);
            self.try_start(now);
        }
        match self.phase {
            Phase::Initialize => {}
            Phase::Backup(backup) => self.backup_timeout(now, backup),
            Phase::Master(master) => self.master_timeout(now, master),
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
                }
                self.effects.reinstall_if_lost_meanwhile(now);
            }
            (Ok(()), Wanted::None) => {
                self.effects.succeeded();
                self.report_stopped();
                self.try_start(now);
            }
            (Err(EffectFailed), _) => {
                self.statistics.effect_failures += 1;
                let interval = self.config.advertisement_interval;
                if self.effects.failed(now, interval) == AfterFailure::GiveUp {
                    self.fail(now, Fault::AddressesFailed);
                }
            }
        }
    }

    /// What became of one transmission of an [`Output::Send`]: on unicast paths `Ok` if any peer was sent to.
    pub fn handle_send(&mut self, now: Instant, path: PathId, result: Result<(), SendFailed>) {
        let now = self.advance(now);
        let Some(path) = self.paths.get_mut(path.index()) else { return };
        path.failing = result.is_err();
        match result {
            Ok(()) => path.sent_at = now,
            Err(SendFailed) => self.statistics.send_failures += 1,
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
            self.try_start(now);
        }
    }

    /// The address a path sends from: the primary IPv4 address of its interface, or the link-local
    /// IPv6 one (RFC 9568 §5.1.1.1, §5.1.2.1). `None`, or one of the other family: there is none.
    pub fn handle_source_address(&mut self, now: Instant, path: PathId, source: Option<IpAddr>) {
        let now = self.advance(now);
        let family = self.config.family;
        let Some(path) = self.paths.get_mut(path.index()) else { return };
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

    /// A new configuration, without leaving the election. The effective priority becomes the configured one.
    ///
    /// A Master advertises at once, and wishes for the new addresses if they differ.
    ///
    /// # Errors
    /// [`ConfigError::IdentityChanged`] for another VRID, family or version, which is another
    /// virtual router, and what [`new`](Self::new) refuses. Nothing has changed then.
    pub fn handle_config(&mut self, now: Instant, config: Config) -> Result<(), ConfigError> {
        let interval = config.validate()?;
        let identity = |config: &Config| (config.vrid, config.family, config.version);
        if identity(&config) != identity(&self.config) {
            return Err(ConfigError::IdentityChanged);
        }
        let now = self.advance(now);
        let before = self.down_interval_of_phase();
        let addresses_changed = config.virtual_addresses != self.config.virtual_addresses;
        self.paths.resize(config.paths.len(), Path::NEW);
        self.priority = config.priority;
        self.interval = interval;
        self.config = config;
        match &mut self.phase {
            Phase::Initialize => {}
            Phase::Backup(backup) => {
                if backup.master.is_none() || self.config.version == vrrp_proto::Version::V2 {
                    backup.master_adver_interval = self.config.advertisement_interval;
                }
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
                }
            }
        }
        Ok(())
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
                let skew = self.skew_time(self.config.advertisement_interval);
                if let Phase::Backup(backup) = &mut self.phase {
                    backup.down_at = now + skew;
                }
            }
        }
    }

    /// The next thing to do; `None` when there is nothing more.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while no timer is armed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Initialize => None,
            Phase::Backup(backup) => Some(backup.down_at),
            Phase::Master(master) => Some(master.adver_at),
        };
        let (unheard, contention) = match &self.phase {
            Phase::Master(Master { contention, .. }) => {
                (self.unheard_at(), contention.map(|contention| contention.deadline()))
            }
            Phase::Initialize | Phase::Backup(_) => (None, None),
        };
        [phase, unheard, contention, self.effects.retry_at(), self.recovery.at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The state of the protocol: what others see on the wire.
    #[must_use]
    pub const fn state(&self) -> State {
        self.phase.state()
    }

    /// The state of the latest [`Output::StateChanged`]: what users of the addresses go by.
    #[must_use]
    pub const fn reported_state(&self) -> State {
        self.reported
    }

    /// What keeps the router from taking part.
    #[must_use]
    pub const fn faults(&self) -> Faults {
        self.faults
    }

    /// Whether the router was started, and not shut down since.
    #[must_use]
    pub const fn is_candidate(&self) -> bool {
        self.candidate
    }

    /// How often this machine has become Master, the present time included; 0 before the first.
    ///
    /// It orders the masterships of one process. It is *not* a fencing token: other routers count by themselves.
    #[must_use]
    pub const fn term(&self) -> u64 {
        self.term
    }

    /// The effective priority.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// While Backup: the Master, from its last advertisement that was accepted.
    #[must_use]
    pub const fn master(&self) -> Option<Heard> {
        match self.phase {
            Phase::Backup(Backup { master, .. }) => master,
            Phase::Initialize | Phase::Master(_) => None,
        }
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What was counted so far.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The address a path sends from.
    #[must_use]
    pub fn source(&self, path: PathId) -> Option<IpAddr> {
        self.paths.get(path.index())?.source
    }
}

impl VirtualRouter {
    /// Makes time monotonic.
    fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn has_source_address(&self) -> bool {
        self.paths.iter().any(|path| path.source.is_some())
    }

    pub(crate) fn push(&mut self, output: Output) {
        if !self.outputs.push(output) {
            self.statistics.outputs_lost += 1;
        }
    }

    pub(crate) fn set_addresses(&mut self, now: Instant, wanted: Wanted) {
        let id = self.effects.wish(now, wanted);
        self.push(Output::SetAddresses { wanted, id });
    }

    pub(crate) fn report(&mut self, to: State, reason: Reason) {
        let from = core::mem::replace(&mut self.reported, to);
        if from != to {
            self.push(Output::StateChanged { from, to, reason, term: self.term });
        }
    }

    /// A fault of our own finding, which we also clear ourselves.
    pub(crate) fn fail(&mut self, now: Instant, fault: Fault) {
        let pause = self.master_down_interval(self.config.advertisement_interval);
        self.recovery.failed(now, fault, pause);
        self.faults.insert(fault);
        self.stop(now, Reason::Fault(fault));
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

    pub(crate) fn skew_time(&self, master_adver_interval: Duration) -> Duration {
        timers::skew_time(self.config.version, self.priority, master_adver_interval)
    }

    pub(crate) fn master_down_interval(&self, master_adver_interval: Duration) -> Duration {
        timers::master_down_interval(
            self.config.version,
            self.priority,
            master_adver_interval,
            self.config.missed_advertisements,
        )
    }
}
