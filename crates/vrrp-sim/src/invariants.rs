//! What must hold after every single step, whatever the network does.

use core::{fmt, net::IpAddr, time::Duration};

use vrrp_fsm::{
    Config, Discard, GroupCommand, Instant, Output, Reason, State, Statistics, TrailerMode,
    Verdict, VirtualRouter, Wanted,
};
use vrrp_proto::{
    Advertisement, AuthenticationHeader, Header, Interval, Ipv4Packet, Priority, PseudoHeader,
    Trailer, Version,
};

use crate::{RouterId, host::Packet, input::Input};

mod copies;
mod patience;

use copies::Copies;
use patience::Patience;

/// A property that a simulation found broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// Backup and Master have a deadline, Initialize has none of the election's (RFC 9568 §6.2).
    Timers,
    /// A deadline that `handle_timeout` was called for is not still due afterwards.
    StuckTimer,
    /// Only a Master sends; priority 0 is sent only by one that leaves.
    OnlyMasterSends,
    /// Addresses are there only while Master, or while they are being removed.
    AddressesOnlyMaster,
    /// On promotion the advertisement goes out before the addresses are touched.
    AdvertiseFirst,
    /// Only the owner becomes Master at once; everybody else when a timer expires.
    PromotionByTimer,
    /// A Master yields only to an advertisement that beats its own, or by a rule of its own.
    YieldToBetter,
    /// A Backup waits no longer than k intervals and the skew time after what it accepted last.
    DeadlineBound,
    /// A discarded datagram changes nothing but one counter.
    DiscardsChangeNothing,
    /// A copy of an advertisement that came on another path changes nothing, and is told from news.
    Copies,
    /// A timer event that is not due, or an answer to a superseded request, changes nothing.
    StaleEvents,
    /// What is sent is a valid advertisement with our VRID, interval and addresses.
    WellFormed,
    /// State changes are reported in a chain without gaps, masterships with increasing terms.
    Reports,
    /// The fixed queue of outputs was large enough.
    OutputsKept,
    /// The members of a sync group are in one state.
    SyncGroup,
    /// What the user [watches](crate::Simulation::watched).
    Watched,
    /// What hardening excludes does not happen (see [`Counterexample`](crate::Counterexample)).
    Hardening,
    /// No more advertisements leave than the interval, one answer every 10 ms and transitions explain.
    NoStorm,
    /// In a quiet network there is a Master, and in time (see [`Bounds`](crate::Bounds)).
    SomeMaster,
    /// In a quiet network exactly one Master remains, and in time (see [`Bounds`](crate::Bounds)).
    OneMaster,
    /// The one that remains has at least the priority of every router that preempts.
    BestMaster,
    /// In a quiet network two Masters coexist no longer than the bound.
    DualMasters,
    /// After the crash of the only Master another takes over within the bound.
    Takeover,
    /// In a quiet network with one Master nothing changes.
    Stability,
}

/// An [`Invariant`] that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When, counted from the beginning of the simulation.
    pub at: Instant,
    /// Whose; `None` if it is about all of them together.
    pub router: Option<RouterId>,
    /// The seed that leads there again.
    pub seed: u64,
    /// What was found instead.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} broken at {} (seed {})", self.invariant, self.at, self.seed)?;
        if let Some(router) = self.router {
            write!(f, " by router {}", router.index())?;
        }
        write!(f, ": {}", self.found)
    }
}

impl core::error::Error for Violation {}

/// A broken invariant, before it is known where and when.
pub(crate) type Broken = (Invariant, String);

/// One step of one machine, from all its sides.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// On the machine's own clock.
    pub(crate) now: Instant,
    pub(crate) input: &'a Input<'a>,
    pub(crate) verdict: Option<Discard>,
    pub(crate) config: &'a Config,
    pub(crate) source: IpAddr,
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
    pub(crate) outputs: &'a [Output],
    /// Whether the addresses are on the interface.
    pub(crate) installed: bool,
    /// Whether something is done about them: deadlines may be about that.
    pub(crate) busy: bool,
}

/// A machine's visible state between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) state: State,
    pub(crate) deadline: Option<Instant>,
    pub(crate) priority: Priority,
    pub(crate) statistics: Statistics,
}

impl Snapshot {
    pub(crate) fn of(machine: &VirtualRouter) -> Self {
        Self {
            state: machine.state(),
            deadline: machine.poll_timeout(),
            priority: machine.priority(),
            statistics: *machine.statistics(),
        }
    }

    /// Whether what came after `before` was a copy of what had come on another path.
    pub(crate) fn copies(&self, before: &Self) -> bool {
        self.statistics.copies_received != before.statistics.copies_received
    }

    fn discards(&self) -> u64 {
        self.statistics.discards().map(|(_, count)| count).sum()
    }
}

/// What one machine was seen to do so far.
#[derive(Debug, Clone)]
pub(crate) struct Checker {
    /// The longest interval it may have learned since it became Backup: its own, or an accepted one.
    learned: Duration,
    patience: Patience,
    copies: Copies,
    /// What it asked for last.
    wanted: Wanted,
    /// Whether it has sent since it was promoted.
    sent: bool,
    reported: State,
    term: u64,
    /// Sends allowed by now, against storms.
    allowance: u64,
    refilled: Instant,
}

impl Checker {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            learned: config.advertisement_interval,
            patience: Patience::new(config),
            copies: Copies::default(),
            wanted: Wanted::None,
            sent: false,
            reported: State::Initialize,
            term: 0,
            allowance: ALLOWANCE,
            refilled: Instant::ZERO,
        }
    }

    /// Checks one step.
    pub(crate) fn step(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        nothing_changed(step)?;
        transition(step)?;
        self.copies.step(step)?;
        self.patience.step(step)?;
        self.learn(step);
        self.timers(step)?;
        for output in step.outputs {
            self.output(output, step)?;
        }
        self.storm(step)?;
        let Step { after, .. } = step;
        if after.state != State::Master && step.installed && self.wanted == Wanted::All {
            return Err((
                Invariant::AddressesOnlyMaster,
                format!("{} with addresses that nobody removes", after.state),
            ));
        }
        if after.statistics.outputs_lost > 0 {
            return Err((Invariant::OutputsKept, "an output was lost".to_owned()));
        }
        Ok(())
    }

    /// Remembers the interval a Backup may wait by.
    fn learn(&mut self, step: &Step<'_>) {
        let Step { before, after, config, .. } = step;
        if before.state != State::Backup && after.state == State::Backup {
            self.learned = config.advertisement_interval;
        }
        if let (Input::Datagram(packet), None, State::Backup) =
            (step.input, step.verdict, after.state)
            && !after.copies(before)
            && let Some(heard) = heard(packet)
            && !heard.priority.is_release()
        {
            let heard_interval = match config.version {
                Version::V2 => config.advertisement_interval,
                Version::V3 => heard.interval.as_duration().max(config.advertisement_interval),
            };
            // A Master that is about to be replaced teaches nothing (RFC 9568 §6.4.2), unless we
            // have reason to let it be.
            let may_be_ignored = heard.priority < after.priority;
            let least = if may_be_ignored { self.learned } else { Duration::ZERO };
            self.learned = heard_interval.max(least);
        }
    }

    fn timers(&self, step: &Step<'_>) -> Result<(), Broken> {
        let Step { now, config, after, .. } = *step;
        if after.state != State::Initialize && after.deadline.is_none() {
            return Err((Invariant::Timers, format!("{} without a deadline", after.state)));
        }
        if let (Input::Timeout, Some(deadline)) = (step.input, after.deadline)
            && deadline <= now
        {
            return Err((Invariant::StuckTimer, format!("{deadline} is still due at {now}")));
        }
        let longest = down_interval(config, after.priority, self.learned);
        if let (State::Backup, Some(deadline)) = (after.state, after.deadline)
            && deadline > now + longest
        {
            let found = format!("deadline {deadline}, now {now}, at most {longest:?} away");
            return Err((Invariant::DeadlineBound, found));
        }
        Ok(())
    }

    fn output(&mut self, output: &Output, step: &Step<'_>) -> Result<(), Broken> {
        let Step { before, after, installed, .. } = *step;
        match *output {
            Output::Send(send) if send.priority.is_release() => {
                self.sent = false;
                if before.state != State::Master || after.state == State::Master {
                    let found = format!("priority 0 from {} to {}", before.state, after.state);
                    return Err((Invariant::OnlyMasterSends, found));
                }
            }
            Output::Send(_) => {
                self.sent = true;
                // Whoever yields may tell the other that there were two; an owner does.
                let last_word = before.state == State::Master
                    && (before.priority.is_owner() || step.config.advertise_before_yielding);
                if after.state != State::Master && !last_word {
                    let found = format!("an advertisement sent as {}", after.state);
                    return Err((Invariant::OnlyMasterSends, found));
                }
            }
            Output::SetAddresses { wanted, .. } => {
                self.wanted = wanted;
                if wanted == Wanted::All && (after.state != State::Master || !self.sent) {
                    let found = format!("addresses wanted as {} before advertising", after.state);
                    return Err((Invariant::AdvertiseFirst, found));
                }
            }
            Output::Announce => {
                if after.state != State::Master || !installed || !self.sent {
                    let found = format!("announced as {}, addresses: {installed}", after.state);
                    return Err((Invariant::AddressesOnlyMaster, found));
                }
            }
            Output::StateChanged { from, to, term, .. } => {
                self.report(from, to, term, installed)?;
            }
            Output::AskPromotion { .. } | Output::Contended { .. } | Output::Conflict { .. } => {}
        }
        Ok(())
    }

    fn report(&mut self, from: State, to: State, term: u64, installed: bool) -> Result<(), Broken> {
        let found =
            format!("{from} to {to} in term {term} after {} in {}", self.reported, self.term);
        if from != self.reported || from == to || term < self.term {
            return Err((Invariant::Reports, found));
        }
        if to == State::Master && (term == self.term || !installed) {
            return Err((Invariant::Reports, format!("{found}, addresses: {installed}")));
        }
        if to == State::Initialize && installed {
            return Err((Invariant::Reports, format!("{found}, with the addresses still there")));
        }
        self.reported = to;
        if to == State::Master {
            self.term = term;
        }
        Ok(())
    }

    /// An advertisement every 10 ms on average is the fastest that any configuration or rule allows.
    fn storm(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        let now = step.now;
        let sends = step.outputs.iter().filter(|output| matches!(output, Output::Send(_))).count();
        if sends == 0 {
            return Ok(());
        }
        let elapsed = now.saturating_duration_since(self.refilled);
        let refill = u64::try_from(elapsed.as_millis() / 10).unwrap_or(u64::MAX);
        if refill > 0 {
            self.refilled = now;
            // The answers and the interval count apart: two every 10 ms.
            self.allowance = (self.allowance + refill.saturating_mul(2)).min(ALLOWANCE);
        }
        let sends = u64::try_from(sends).unwrap_or(u64::MAX);
        self.allowance = self.allowance.checked_sub(sends).ok_or_else(|| {
            (Invariant::NoStorm, "more than two advertisements every 10 ms".to_owned())
        })?;
        Ok(())
    }
}

/// Advertisements that may follow each other at once: promotions and farewells come in bursts, and two
/// versions in pairs.
const ALLOWANCE: u64 = 64;

/// What was received, read without the machine.
pub(crate) fn heard(packet: &Packet) -> Option<HeardAdvertisement> {
    let pseudo_header = PseudoHeader::new(packet.source, packet.destination).ok()?;
    let message = match pseudo_header {
        PseudoHeader::Ipv4 { .. } => {
            let packet = Ipv4Packet::parse(&packet.octets).ok()?;
            let message = packet
                .message()
                .ok()
                .or_else(|| Some(AuthenticationHeader::parse(&packet).ok()?.unverified_message()));
            split(message?, pseudo_header)?.0
        }
        PseudoHeader::Ipv6 { .. } => split(&packet.octets, pseudo_header)?.0,
    };
    let advertisement = Advertisement::parse(message, pseudo_header).ok()?;
    let (priority, interval) = (advertisement.priority(), advertisement.interval());
    Some(HeardAdvertisement { source: packet.sender, priority, interval })
}

/// The message, and the trailer behind it or nothing.
fn split(octets: &[u8], packet: PseudoHeader) -> Option<(&[u8], &[u8])> {
    Header::parse(octets).ok()?.split(octets, packet.family()).ok()
}

pub(crate) struct HeardAdvertisement {
    pub(crate) source: IpAddr,
    pub(crate) priority: Priority,
    pub(crate) interval: Interval,
}

/// `Master_Down_Interval`, computed apart from the machine (RFC 9568 §6.1, RFC 3768 §6.1).
pub(crate) fn down_interval(config: &Config, priority: Priority, interval: Duration) -> Duration {
    interval * u32::from(config.missed_advertisements) + skew_time(config, priority, interval)
}

/// `Skew_Time`, computed apart from the machine.
pub(crate) fn skew_time(config: &Config, priority: Priority, interval: Duration) -> Duration {
    let base = match config.version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval,
    };
    base * (256 - u32::from(priority.get())) / 256
}

/// Discards and stale events leave everything as it was.
fn nothing_changed(step: &Step<'_>) -> Result<(), Broken> {
    let Step { now, input, verdict, before, after, outputs, .. } = *step;
    // A discarded packet may be one to shout about.
    let silent = outputs.iter().all(|output| matches!(output, Output::Conflict { .. }));
    let same = before.state == after.state && before.deadline == after.deadline && silent;
    let describe = || format!("{verdict:?}: {before:?}, then {after:?} and {outputs:?}");
    // Whoever wakes too late may have to act on that first, whatever wakes it.
    let woke_late = after.statistics.late_wakes != before.statistics.late_wakes;
    if verdict.is_some() && !woke_late {
        let received = after.statistics.advertisements_received;
        let counted = after.discards() == before.discards() + 1
            && received == before.statistics.advertisements_received;
        if !same || !counted {
            return Err((Invariant::DiscardsChangeNothing, describe()));
        }
    }
    let early = before.deadline.is_none_or(|deadline| now < deadline);
    if matches!(input, Input::Timeout) && early && !same {
        return Err((Invariant::StaleEvents, describe()));
    }
    if matches!(input, Input::Effect { current: false, .. }) && !same && !woke_late {
        return Err((Invariant::StaleEvents, describe()));
    }
    Ok(())
}

/// Promotions and yielding happen for the right cause.
fn transition(step: &Step<'_>) -> Result<(), Broken> {
    let Step { now, input, config, source, before, after, outputs, .. } = *step;
    match (before.state, after.state) {
        (State::Initialize, State::Master) if !after.priority.is_owner() => {
            Err((Invariant::PromotionByTimer, format!("at once, by {input:?}")))
        }
        (State::Backup, State::Master) => {
            let expired = before.deadline.is_some_and(|deadline| now >= deadline);
            // A verdict that comes late serves the deadline.
            let verdict = matches!(input, Input::Verdict(..));
            let agreed = matches!(input, Input::Verdict(_, Verdict::Promote));
            let guarded = config.guard.is_some();
            if matches!(input, Input::Group(GroupCommand::Promote)) && config.sync_group {
                return Ok(());
            }
            if expired && (verdict || matches!(input, Input::Timeout)) || agreed && guarded {
                return Ok(());
            }
            let found = format!("{:?} at {now} by {input:?}", before.deadline);
            Err((Invariant::PromotionByTimer, found))
        }
        (State::Master, State::Backup) => {
            // What was not reported yet (a promotion without addresses so far) is not taken back aloud.
            let rule_of_its_own = matches!(input, Input::AddressesLost | Input::Group(_))
                || outputs.iter().any(|output| {
                    matches!(
                        output,
                        Output::StateChanged {
                            reason: Reason::LateWake { .. } | Reason::AddressesLost,
                            ..
                        }
                    )
                });
            let beaten = if let Input::Datagram(packet) = input {
                heard(packet)
                    .is_some_and(|heard| (heard.priority, heard.source) > (before.priority, source))
            } else {
                false
            };
            let woke_late = after.statistics.late_wakes != before.statistics.late_wakes;
            if rule_of_its_own || beaten || woke_late {
                return Ok(());
            }
            let found = format!("priority {} of {} by {input:?}", config.priority, source);
            Err((Invariant::YieldToBetter, found))
        }
        _ => Ok(()),
    }
}

/// Checks octets that a machine hands out for sending.
pub(crate) fn well_formed(packet: &Packet, config: &Config) -> Result<(), Broken> {
    let broken = |found: String| Err((Invariant::WellFormed, found));
    let pseudo_header = match PseudoHeader::new(packet.source, packet.destination) {
        Ok(pseudo_header) => pseudo_header,
        Err(error) => return broken(error.to_string()),
    };
    let octets = match pseudo_header {
        PseudoHeader::Ipv6 { .. } => &*packet.octets,
        PseudoHeader::Ipv4 { .. } => match Ipv4Packet::parse(&packet.octets) {
            Ok(ip) if ip.ttl() != 255 || IpAddr::V4(ip.source()) != packet.source => {
                return broken(format!("{ip:?}"));
            }
            // Of two versions only the older one is authenticated.
            Ok(ip) => match config.authentication.header_key() {
                Some(_) if config.also_version_2 && ip.message().is_ok() => ip.payload(),
                None => ip.payload(),
                Some(key) => {
                    match AuthenticationHeader::parse(&ip).map(|header| header.verify(key)) {
                        Ok(Ok(message)) => message,
                        other => return broken(format!("{other:?}")),
                    }
                }
            },
            Err(error) => return broken(error.to_string()),
        },
    };
    let signing =
        config.trailer.as_ref().filter(|trailer| trailer.mode != TrailerMode::ReceiveOnly);
    let message = match signing.and_then(|trailer| trailer.keys().first()) {
        None => octets,
        Some(key) => {
            let parts = split(octets, pseudo_header);
            let trailer = parts.map(|(message, behind)| Trailer::parse(message, behind));
            match trailer.map(|trailer| trailer.and_then(|it| it.verify(key, pseudo_header))) {
                Some(Ok(message)) => message,
                other => return broken(format!("{other:?}")),
            }
        }
    };
    let advertisement = match Advertisement::parse(message, pseudo_header) {
        Ok(advertisement) => advertisement,
        Err(error) => return broken(error.to_string()),
    };
    let reserved = match Header::parse(message) {
        Ok(header) if header.version == Version::V3 => {
            message.get(4).is_some_and(|o| o & 0xf0 != 0)
        }
        _ => false,
    };
    let authentic = match config.authentication.header_key() {
        None => config.authentication.verify(&advertisement).is_ok(),
        Some(_) => config.authentication.verify_type(&advertisement).is_ok(),
    };
    let right = advertisement.vrid() == config.vrid
        && (advertisement.version() == config.version || config.also_version_2)
        && advertisement.interval().as_duration() == config.advertisement_interval
        && advertisement.addresses().iter().eq(config.virtual_addresses.iter().copied())
        && authentic
        && !reserved;
    if right { Ok(()) } else { broken(format!("{advertisement:?}")) }
}

#[cfg(test)]
mod tests;
