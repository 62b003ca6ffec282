//! A form in which machines that do the same from now on are equal: for model checkers.

use core::{
    hash::{Hash, Hasher},
    num::NonZeroU16,
};

use crate::{
    EffectId, Instant, Reason, State, Statistics, Ticket, VirtualRouter, conflict::Conflicts,
    state::Phase, virtual_router::Path,
};

/// # Comparing machines
///
/// Two machines are equal if everything in them is: also what they have counted, and what time they
/// think it is. [`canonicalize`](Self::canonicalize) removes what makes no difference.
impl VirtualRouter {
    /// What [`canonicalize`](Self::canonicalize) makes of the present moment: 2^50 ns.
    pub const CANONICAL_NOW: Instant = Instant::from_nanos(1 << 50);

    /// Brings the machine into a form in which it is equal to every other one that does the same
    /// from `now` on. Time goes on from [`CANONICAL_NOW`](Self::CANONICAL_NOW).
    ///
    /// Call it with no outputs waiting. The same are: what is sent but for identification numbers,
    /// what is wished for but for its id, what is announced, which state is reported, and when, until
    /// the configuration changes. Not
    /// the same are which of our own packets pass for echoes (see [`Conflict`](crate::Conflict)),
    /// the reasons, durations and terms in reports, [`why`](Self::why),
    /// [`master`](Self::master)'s moment and the statistics. The answer to a wish that waits is to
    /// be given under the id of [`pending_effect`](Self::pending_effect), a verdict under the ticket
    /// of [`pending_question`](Self::pending_question).
    ///
    /// This makes the states of an election finite, so that a model checker can visit them all.
    pub fn canonicalize(&mut self, now: Instant) {
        let now = now.max(self.latest);
        let preempt_delay = self.config.preempt_delay;
        // Every field has to be named: whoever adds one decides whether it makes a difference.
        let Self {
            config,
            interval: _,
            interval_in_version_2: _,
            priority: _,
            paths,
            news,
            phase,
            candidate: _,
            delayed_since,
            faults: _,
            recovery,
            effects,
            reported,
            stop_reason,
            term,
            identification,
            sequences,
            next_ticket,
            dialects,
            conflicts,
            version_3_heard,
            statistics,
            outputs,
            latest,
        } = self;
        let is_master = matches!(phase, Phase::Master(_));
        for path in paths {
            let Path {
                source: _,
                former_source: _,
                failing,
                sent_at,
                succeeded_at,
                send_failures,
                heard_at,
            } = path;
            (*succeeded_at, *send_failures, *heard_at) = (None, 0, None);
            if is_master {
                sent_at.canonicalize(now);
            } else {
                (*failing, *sent_at) = (false, Self::CANONICAL_NOW);
            }
        }
        for news in news {
            news.canonicalize(now);
        }
        match phase {
            Phase::Initialize => {}
            Phase::Backup(backup) => {
                let counts_vetoes = config.guard.is_some_and(|guard| guard.max_vetoes.is_some());
                if !counts_vetoes && !config.sync_group {
                    backup.vetoes = 0;
                }
                backup.canonicalize(now, preempt_delay);
            }
            Phase::Master(master) => master.canonicalize(now, *reported == State::Master),
        }
        let stops = matches!(phase, Phase::Initialize) && *reported != State::Initialize;
        if !stops {
            *stop_reason = Reason::Shutdown;
        }
        if let Some(since) = delayed_since {
            since.canonicalize(now);
        }
        recovery.canonicalize(now);
        effects.canonicalize(now);
        sequences.canonicalize(now, config);
        *next_ticket = Ticket::FIRST.next();
        dialects.canonicalize(config);
        *conflicts = Conflicts::default();
        *version_3_heard = version_3_heard.filter(|(_, until)| now < *until);
        if let Some((_, until)) = version_3_heard {
            until.canonicalize(now);
        }
        *term = 0;
        *identification = NonZeroU16::MIN;
        *statistics = Statistics::default();
        outputs.clear();
        *latest = Self::CANONICAL_NOW;
    }

    /// The question to the guard that waits for its verdict.
    #[must_use]
    pub const fn pending_question(&self) -> Option<Ticket> {
        match &self.phase {
            Phase::Backup(backup) => backup.question,
            Phase::Initialize | Phase::Master(_) => None,
        }
    }

    /// The wish for addresses that waits for its answer.
    #[must_use]
    pub fn pending_effect(&self) -> Option<EffectId> {
        self.effects.pending()
    }
}

/// Leaves the configuration and other things out that seldom tell machines apart.
impl Hash for VirtualRouter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.priority.hash(state);
        self.phase.hash(state);
        self.candidate.hash(state);
        self.faults.hash(state);
        self.effects.hash(state);
        self.recovery.hash(state);
        self.reported.hash(state);
        self.paths.hash(state);
    }
}
