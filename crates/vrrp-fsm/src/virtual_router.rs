use alloc::{sync::Arc, vec::Vec};
use core::{net::IpAddr, num::NonZeroU16, time::Duration};

use vrrp_proto::{AdverInt, Interval, Priority};

use crate::{
    Config, ConfigError, Fault, Faults, Heard, Instant, Output, PathId, Reason, State, Statistics,
    Ticket, Wanted,
    conflict::Conflicts,
    copies::News,
    dialect::Dialects,
    effects::Effects,
    output::Outputs,
    recovery::Recovery,
    sequences::Sequences,
    state::{Backup, Master, Phase},
    timers,
    validate::Intervals,
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
///          |          expired,              ^
///          |          no veto               |
///          +--------------------------------+
///            better advertisement, late wake
/// ```
///
/// # Contract
///
/// - **Inputs** are the methods `handle_*`; each takes `now` first. An earlier `now` than the
///   latest is taken for the latest.
/// - **Outputs** come from [`poll_output`](Self::poll_output), in the order they have to happen in.
///   Drain it to `None` after *every* input.
/// - **Time**: call [`handle_timeout`](Self::handle_timeout) at
///   [`poll_timeout`](Self::poll_timeout). Calls that come early, late or twice do no harm. After
///   it the next deadline is never in the past.
/// - **Datagrams before deadlines**: hand over what the sockets hold, up to a bound of your choice,
///   before a deadline that is due: a process that was stopped must not act on stale news. Report
///   what the kernel dropped by [`handle_overflow`](Self::handle_overflow).
/// - **Results**: every [`Output::Send`] is answered by one [`handle_send`](Self::handle_send) a
///   path, every [`Output::SetAddresses`] by one [`handle_effect`](Self::handle_effect), at once or
///   later.
/// - Whoever does not keep to this gets a defined result: moments that lie behind are taken for the
///   latest, jumps forward of any size are late wakes, nothing is due at the end of the clock (2^64
///   ns), and of outputs that nobody takes a bounded number is kept, always with the last wish for
///   addresses.
/// - Nothing but [`new`](Self::new) and [`handle_config`](Self::handle_config) allocates, nothing
///   panics, and what comes from the network never makes more than six outputs.
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
/// # Guards
///
/// With [`Config::guard`] a Backup whose timer expires out of silence makes [`Output::AskPromotion`]
/// instead of becoming Master, and waits for [`handle_verdict`](Self::handle_verdict) until the
/// deadline, which [`poll_timeout`](Self::poll_timeout) includes.
///
/// | meanwhile | |
/// |---|---|
/// | the guard promotes | Master, as above |
/// | the guard vetoes | Backup for another master-down interval, then it asks again |
/// | the deadline comes | as the configured default says |
/// | an advertisement is accepted, datagrams were lost, the wake is late | the question is withdrawn; Backup, with a whole master-down interval ahead |
/// | the Master leaves with priority 0 | the question is withdrawn; Master after the skew time |
/// | shutdown, fault | the question is withdrawn; Initialize |
/// | another guard is configured, or none | the question is withdrawn; the timer counts as expired |
///
/// # When effects fail
///
/// - Installing is tried again for one advertisement interval. Then the machine gives up:
///   priority 0, release, [`Fault::AddressesFailed`].
/// - Removing is tried again for ever, ever more slowly; `Initialize` is not reported before it
///   succeeds.
/// - If no path takes an advertisement for a master-down interval, others have taken over: priority
///   0, release, [`Fault::CannotAdvertise`] (unless
///   [`SendFailurePolicy::Keep`](crate::SendFailurePolicy::Keep)).
/// - A wish that is not answered within [`Config::effect_deadline`] has failed. Its answer still
///   counts until another wish is made. A transmission that is not answered counts as sent.
/// - Both faults clear by themselves after a pause that doubles each time. Until a mastership
///   succeeds the router preempts nobody, and after `CannotAdvertise` it installs nothing before an
///   advertisement has gone out.
///
/// # A late wake
///
/// A process that was stopped (SIGSTOP, cgroup freezer, swapping) is replaced by another router,
/// and goes on with addresses that are no longer its own when it wakes. With
/// [`Config::late_wake_rule`] a Master whose timer is so late that a Backup may have expired
/// becomes Backup before it does anything else, whatever the input, and a Backup whose timer is
/// late by more than an interval waits once more. A hypervisor that stops the guest's clock as well
/// is not noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualRouter {
    pub(crate) config: Arc<Config>,
    /// Our interval as it stands in our advertisements.
    pub(crate) interval: Interval,
    /// The same in version 2, if that is spoken as well.
    pub(crate) interval_in_version_2: Option<AdverInt>,
    /// The effective priority.
    pub(crate) priority: Priority,
    pub(crate) paths: Vec<Path>,
    /// Of several paths: what was heard on each. Empty for one.
    pub(crate) news: Vec<News>,
    pub(crate) phase: Phase,
    /// Whether we take part at all.
    pub(crate) candidate: bool,
    /// The Startup event, until the start delay is over.
    pub(crate) delayed_since: Option<Instant>,
    pub(crate) faults: Faults,
    pub(crate) recovery: Recovery,
    pub(crate) effects: Effects,
    /// The state users know of.
    pub(crate) reported: State,
    /// Why we stopped, for the report that follows the removal.
    pub(crate) stop_reason: Reason,
    pub(crate) term: u64,
    pub(crate) identification: NonZeroU16,
    pub(crate) sequences: Sequences,
    pub(crate) next_ticket: Ticket,
    pub(crate) dialects: Dialects,
    pub(crate) conflicts: Conflicts,
    /// Who said something in version 3 just now, and until when its version 2 is the same.
    pub(crate) version_3_heard: Option<(IpAddr, Instant)>,
    pub(crate) statistics: Statistics,
    pub(crate) outputs: Outputs,
    pub(crate) latest: Instant,
}

/// What is known about one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) source: Option<IpAddr>,
    /// The source before it was lost: a Master leaves under the address the others know it by.
    pub(crate) former_source: Option<IpAddr>,
    /// Whether the latest transmission failed.
    pub(crate) failing: bool,
    /// The latest transmission that did not fail, or the begin of the mastership.
    pub(crate) sent_at: Instant,
    /// The latest transmission that did not fail.
    pub(crate) succeeded_at: Option<Instant>,
    pub(crate) send_failures: u64,
    /// The latest advertisement that was accepted.
    pub(crate) heard_at: Option<Instant>,
}

impl Path {
    pub(crate) const NEW: Self = Self {
        source: None,
        former_source: None,
        failing: false,
        sent_at: Instant::ZERO,
        succeeded_at: None,
        send_failures: 0,
        heard_at: None,
    };
}

impl VirtualRouter {
    /// A virtual router in Initialize, with [`Fault::NoSourceAddress`] until it is told an address.
    ///
    /// `seed` varies what must differ between routers and restarts, such as retry pauses; equal
    /// seeds and inputs give equal outputs. Virtual routers that are configured alike can share one
    /// `Arc<Config>`.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration that contradicts itself or the protocol.
    pub fn new(config: impl Into<Arc<Config>>, seed: u64) -> Result<Self, ConfigError> {
        Self::with_shared(config.into(), seed)
    }

    fn with_shared(config: Arc<Config>, seed: u64) -> Result<Self, ConfigError> {
        let Intervals { own: interval, in_version_2: interval_in_version_2 } = config.validate()?;
        let mut recovery = Recovery::new(seed);
        let [high, low, ..] = recovery.draw().to_be_bytes();
        let mut faults = Faults::NONE;
        faults.insert(Fault::NoSourceAddress);
        if config.sync_group {
            faults.insert(Fault::SyncGroup);
        }
        Ok(Self {
            interval,
            interval_in_version_2,
            priority: config.priority,
            paths: config.paths.iter().map(|_| Path::NEW).collect(),
            news: News::for_paths(config.paths.len()),
            phase: Phase::Initialize,
            candidate: false,
            delayed_since: None,
            faults,
            recovery,
            effects: Effects::new(),
            reported: State::Initialize,
            stop_reason: Reason::Shutdown,
            term: 0,
            identification: NonZeroU16::new(u16::from_be_bytes([high, low]))
                .unwrap_or(NonZeroU16::MIN),
            dialects: Dialects::new(&config),
            sequences: Sequences::new(config.remembers_senders()),
            next_ticket: Ticket::FIRST,
            conflicts: Conflicts::default(),
            version_3_heard: None,
            statistics: Statistics::default(),
            outputs: Outputs::default(),
            latest: Instant::ZERO,
            config,
        })
    }

    /// The next thing to do; `None` when there is nothing more.
    #[inline]
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
        let (unheard, contention, refresh) = match &self.phase {
            Phase::Master(Master { contention, refresh_at, .. }) => {
                let contention = contention.map(|contention| contention.deadline());
                (self.unheard_at(), contention, *refresh_at)
            }
            Phase::Initialize | Phase::Backup(_) => (None, None, None),
        };
        let unanswered = self.effects.unanswered_at(self.config.effect_deadline);
        let own = [self.effects.retry_at(), unanswered, self.recovery.at(), self.starts_at()];
        let all = [phase, unheard, contention, refresh].into_iter().chain(own);
        // What lies behind the end of the clock never comes.
        all.flatten().min().filter(|deadline| *deadline <= Instant::LAST)
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
    /// It orders the masterships of one process. It is *not* a fencing token: other routers count
    /// by themselves.
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

    /// Whether nothing is left of a mastership: not Master, and the addresses are gone.
    #[must_use]
    pub fn is_released(&self) -> bool {
        let gone = self.effects.wanted() == Wanted::None && self.effects.is_done();
        gone && !matches!(self.phase, Phase::Master(_))
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
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
    /// What every input begins with: time goes on, and may have gone on without us.
    #[inline]
    pub(crate) fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now.min(Instant::LAST));
        if matches!(self.phase, Phase::Master(_)) {
            self.yield_after_late_wake(self.latest);
        }
        self.latest
    }

    /// The sequence number of our next advertisement.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        match &self.config.trailer {
            Some(_) => self.sequences.next_signature(self.latest).to_bits(),
            None => u64::from(self.sequences.next()),
        }
    }

    /// The address by which the others know us, also while its path is down: theirs are compared
    /// with it.
    pub(crate) fn known_as(&self) -> Option<IpAddr> {
        let first = self.paths.first()?;
        if self.paths.len() == 1 { first.source } else { first.source.or(first.former_source) }
    }

    pub(crate) fn has_source_address(&self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_router_is_small() {
        // Beside its configuration, what it knows of its paths, and the outputs that wait.
        assert!(size_of::<VirtualRouter>() <= 1024, "{}", size_of::<VirtualRouter>());
    }
}
