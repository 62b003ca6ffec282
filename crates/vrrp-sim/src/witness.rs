//! Seeing counterexamples happen, and that hardening excludes them.

use core::{net::IpAddr, time::Duration};

use vrrp_fsm::{Discard, Instant, Output, ReleasePolicy, State, VirtualRouter};
use vrrp_proto::{Priority, Version};

use crate::{
    Counterexample, Invariant, RouterId, Simulation, Subject, Violation,
    host::Host,
    input::Input,
    invariants::{Snapshot, heard},
};

/// What one process was seen to do, as far as counterexamples need to know.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The Master it follows: the sender of the latest advertisement that it does not want to replace,
    /// if that is better and has not said farewell since.
    follows: Option<Better>,
    /// Whether it has heard anybody since it left Initialize.
    heard_any: bool,
    /// When it became Master, on the simulation's clock.
    pub(crate) promoted_at: Option<Instant>,
    /// Its latest advertisement, on its own clock.
    sent_at: Option<Instant>,
    /// An answer that is put off: how many answers led to it.
    answer_due: u32,
}

/// An accepted advertisement that was better than its receiver.
#[derive(Debug, Clone, Copy)]
struct Better {
    source: IpAddr,
    at: Instant,
    interval: Duration,
}

/// One step, as far as counterexamples need to know it.
pub(crate) struct Seen<'a> {
    /// On the machine's own clock.
    pub(crate) now: Instant,
    pub(crate) input: &'a Input<'a>,
    pub(crate) verdict: Option<Discard>,
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
    pub(crate) outputs: &'a [Output],
}

impl Simulation {
    pub(crate) fn witness(&mut self, id: RouterId, seen: &Seen<'_>) -> Result<(), Violation> {
        if let (Input::Datagram(packet), Some(Discard::Owner), State::Master) =
            (seen.input, seen.verdict, seen.before.state)
            && heard(packet).is_some_and(|heard| heard.priority.is_owner())
        {
            self.show(Counterexample::TwoOwners);
        }
        self.witness_answers(id, seen)?;
        let sends = seen.outputs.iter().any(is_advertisement);
        if sends && seen.before.state == State::Master {
            self.witness_late_wake(id, seen.now)?;
        }
        if seen.before.state != State::Master && seen.after.state == State::Master {
            self.witness_promotion(id, seen)?;
        }
        let now = self.now;
        if let Some(host) = self.host_mut(id) {
            let statistics = seen.after.statistics;
            // After a mastership that failed it preempts nobody until one has succeeded.
            let failed = statistics.effect_failures + statistics.send_failures > 0;
            let at_once = host.config.preempt_mode && host.config.preempt_delay.is_zero();
            let preempts = at_once && !failed || seen.after.priority.is_owner();
            host.history.remember(seen, preempts);
            if sends {
                host.history.sent_at = Some(seen.now);
            }
            if seen.before.state != seen.after.state {
                let promoted = seen.after.state == State::Master;
                host.history.promoted_at = promoted.then_some(now);
            }
        }
        Ok(())
    }

    pub(crate) fn show(&mut self, counterexample: Counterexample) {
        self.count(Subject::Counterexample, counterexample.name());
    }

    /// It happened although something excludes it.
    fn excluded(&self, id: RouterId, counterexample: Counterexample, found: &str) -> Violation {
        let hardening = counterexample.hardening().unwrap_or_default();
        let found = format!("{counterexample}, despite {hardening}: {found}");
        self.violation(Some(id), (Invariant::Hardening, found))
    }

    /// How many answers led to what is sent in this step. Who answers beats who is answered, so that
    /// no chain is longer than there are routers, but for a farewell at its beginning and a priority
    /// that has changed under way.
    fn witness_answers(&mut self, id: RouterId, seen: &Seen<'_>) -> Result<(), Violation> {
        self.answers = 0;
        let longest = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX).saturating_add(2);
        let Some(host) = self.host_mut(id) else { return Ok(()) };
        let sends = seen.outputs.iter().any(is_advertisement);
        let stays = seen.before.state == State::Master && seen.after.state == State::Master;
        let mut answers = 0;
        if let Input::Datagram(packet) = seen.input
            && stays
            && seen.verdict.is_none()
        {
            answers = packet.answers + 1;
            if !sends && seen.after.deadline < seen.before.deadline {
                host.history.answer_due = answers;
            }
        } else if matches!(seen.input, Input::Timeout) && stays {
            answers = host.history.answer_due;
        }
        if !sends {
            return Ok(());
        }
        host.history.answer_due = 0;
        self.answers = answers;
        if answers > longest && self.network.disguise().is_none() {
            let found = format!("{answers} advertisements that answer each other");
            return Err(self.excluded(id, Counterexample::AnswersItself, &found));
        }
        if answers > 0 && answers <= longest {
            self.count(Subject::Bound, "answers come to an end");
        }
        if answers == longest + 1 {
            self.show(Counterexample::AnswersItself);
        }
        Ok(())
    }

    /// A Master that has been silent for so long that any Backup may have taken over.
    fn witness_late_wake(&mut self, id: RouterId, now: Instant) -> Result<(), Violation> {
        let Some(host) = self.host(id) else { return Ok(()) };
        let config = &host.config;
        let interval = config.advertisement_interval;
        let best = match config.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => interval,
        } * 2
            / 256;
        let silent = host.history.sent_at.map(|at| now.saturating_duration_since(at));
        let safe = interval * u32::from(config.missed_advertisements) + best;
        let rule = config.late_wake_rule;
        let Some(silent) = silent.filter(|silent| *silent > safe) else { return Ok(()) };
        if rule {
            let found = format!("advertises after {silent:?} of silence");
            return Err(self.excluded(id, Counterexample::LateWake, &found));
        }
        if self.other_masters(id).any(|(_, other)| !other.paused) {
            self.show(Counterexample::LateWake);
        }
        Ok(())
    }

    fn witness_promotion(&mut self, id: RouterId, seen: &Seen<'_>) -> Result<(), Violation> {
        let Some(host) = self.host(id) else { return Ok(()) };
        let term = host.machine.as_ref().map(VirtualRouter::term);
        let interval = host.config.advertisement_interval;
        let believes_all = host.config.release_from == ReleasePolicy::Anyone;
        let ours = (seen.after.priority, host.source);
        let (mut late_farewell, mut shown) = (false, Vec::new());
        for (other_id, other) in self.other_masters(id) {
            let Some(machine) = &other.machine else { continue };
            let reached = !self.network.is_cut(other_id, id);
            let at_once = other
                .history
                .promoted_at
                .is_some_and(|at| self.now.saturating_duration_since(at) <= self.network.longest());
            shown.push(if other.paused {
                Counterexample::StandsStill
            } else if !reached {
                Counterexample::CutOff
            } else if at_once {
                Counterexample::AtTheSameTime
            } else if !host.history.heard_any && other.config.advertisement_interval > interval {
                Counterexample::Impatient
            } else {
                Counterexample::LostAdvertisements
            });
            if term <= Some(machine.term()) {
                shown.push(Counterexample::EqualTerms);
            }
            // Even if it lost an advertisement of it.
            let healthy = host.history.follows.is_some_and(|better| {
                let silent = seen.now.saturating_duration_since(better.at);
                better.source == other.source && silent < better.interval * 2
            });
            late_farewell |= healthy && (machine.priority(), other.source) > ours;
        }
        for counterexample in shown {
            self.show(counterexample);
        }
        if late_farewell && !believes_all {
            let found = "takes over from a healthy master";
            return Err(self.excluded(id, Counterexample::LateFarewell, found));
        }
        if late_farewell {
            self.show(Counterexample::LateFarewell);
        }
        Ok(())
    }

    /// The others of the same election.
    fn other_masters(&self, id: RouterId) -> impl Iterator<Item = (RouterId, &Host)> {
        let vrid = self.host(id).map(|host| host.config.vrid);
        let hosts = self.hosts.iter().enumerate();
        let hosts = hosts.map(|(index, host)| (RouterId::from_index(index), host));
        hosts.filter(move |(other, host)| {
            let machine = host.machine.as_ref();
            *other != id
                && vrid == Some(host.config.vrid)
                && machine.is_some_and(|machine| machine.state() == State::Master)
        })
    }

    /// What is to be seen of a network that has settled on a Master.
    pub(crate) fn witness_settled(&mut self, master: RouterId) {
        let Some(host) = self.host(master) else { return };
        let Some(machine) = &host.machine else { return };
        let (priority, source): (Priority, IpAddr) = (machine.priority(), host.source);
        let mut others = Vec::new();
        let vrid = host.config.vrid;
        let rivals = self.hosts.iter().filter(|other| other.config.vrid == vrid);
        for other in rivals.filter(|other| other.source != source) {
            let candidate = other.machine.as_ref().filter(|machine| machine.is_candidate());
            let Some(candidate) = candidate else { continue };
            if candidate.priority() > priority {
                others.push(Counterexample::WorseMaster);
            } else if candidate.priority() == priority && other.source > source {
                others.push(Counterexample::LowerAddress);
            }
        }
        for counterexample in others {
            self.show(counterexample);
        }
    }
}

impl History {
    fn remember(&mut self, seen: &Seen<'_>, preempts: bool) {
        if seen.before.state == State::Initialize {
            (self.follows, self.heard_any) = (None, false);
        }
        let (Input::Datagram(packet), None) = (seen.input, seen.verdict) else { return };
        if seen.after.copies(&seen.before) {
            return;
        }
        self.heard_any = true;
        let Some(heard) = heard(packet) else { return };
        let source = heard.source;
        if heard.priority.is_release() {
            self.follows = self.follows.filter(|better| better.source != source);
        } else if heard.priority >= seen.after.priority || !preempts {
            let (at, interval) = (seen.now, heard.interval.as_duration());
            let better = heard.priority > seen.after.priority;
            self.follows = better.then_some(Better { source, at, interval });
        }
    }
}

fn is_advertisement(output: &Output) -> bool {
    matches!(output, Output::Send(send) if !send.priority.is_release())
}
