use core::{fmt, net::IpAddr, time::Duration};

use vrrp_proto::Priority;

use crate::{
    Faults, Heard, Instant, Paths, Reason, VirtualRouter,
    state::{Backup, Master, Phase},
};

/// Why a virtual router is in the state it is in: the answer to "why is this node not Master?".
///
/// `Display` gives one sentence for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Initialize: it was not started, or shut down (RFC 9568 §6.4.1).
    NotCandidate,
    /// Initialize: something stands against taking part.
    Faulty {
        /// What.
        faults: Faults,
        /// For faults of the machine's own finding: when it tries again.
        retry_in: Option<Duration>,
    },
    /// Initialize: the start delay is not over.
    Delayed {
        /// Time until it takes part.
        remaining: Duration,
    },
    /// Initialize: the addresses are being removed before anything else.
    Releasing {
        /// How often that failed.
        failures: u32,
    },
    /// Backup: nobody has advertised yet, and the time to wait is not over (RFC 9568 §6.4.1).
    Listening {
        /// Time until it becomes Master.
        remaining: Duration,
    },
    /// Backup: another router is Master, by right or because this one does not preempt.
    Subordinate {
        /// The Master's source address.
        master: IpAddr,
        /// The Master's priority.
        priority: Priority,
        /// Ours.
        own_priority: Priority,
        /// Age of its last advertisement.
        age: Duration,
        /// Time until it counts as dead.
        remaining: Duration,
        /// Of several paths, those over which it was not heard for that long.
        silent: Paths,
    },
    /// Backup: the Master has a lower priority and is about to be replaced (RFC 9568 §6.4.2).
    Preempting {
        /// The Master's source address.
        master: IpAddr,
        /// The Master's priority.
        priority: Priority,
        /// Time until it is replaced.
        remaining: Duration,
    },
    /// Backup: the Master has a lower priority, and the preempt delay is not over.
    Tolerating {
        /// The Master's source address.
        master: IpAddr,
        /// The Master's priority.
        priority: Priority,
        /// Ours.
        own_priority: Priority,
        /// Time until the delay is over.
        remaining: Duration,
    },
    /// Backup: it would be Master, but other members of the sync group are not ready to be.
    AwaitingGroup {
        /// Why it would be Master.
        reason: Reason,
    },
    /// Backup: it would be Master, and waits for the verdict of its guard.
    AwaitingVerdict {
        /// Why it would be Master.
        reason: Reason,
        /// Time until the default verdict counts.
        remaining: Duration,
    },
    /// Backup: its guard has objected to its being Master, and nobody was heard since.
    Vetoed {
        /// How often, in a row.
        vetoes: u8,
        /// Time until it asks again, or is promoted if it has asked often enough.
        remaining: Duration,
    },
    /// Backup: the Master has left with priority 0 (RFC 9568 §6.4.2).
    MasterLeft {
        /// The former Master's source address.
        master: IpAddr,
        /// Time until it is replaced.
        remaining: Duration,
    },
    /// Master, but an advertisement has to go out first, because earlier ones did not.
    ProvingToSend,
    /// Master, but the addresses are not installed yet.
    Installing {
        /// Why it became Master.
        reason: Reason,
        /// How often installing failed.
        failures: u32,
    },
    /// Master.
    Serving {
        /// Why it became Master.
        reason: Reason,
        /// For how long it is.
        age: Duration,
        /// Another router that advertises as Master as well, with less right to it.
        contender: Option<IpAddr>,
        /// The paths that our advertisements do not go out on.
        failing: Paths,
    },
}

impl VirtualRouter {
    /// Why the router is in its present state.
    #[must_use]
    pub fn why(&self, now: Instant) -> Why {
        match &self.phase {
            Phase::Initialize => self.why_initialize(now),
            Phase::Backup(backup) => self.why_backup(now, backup),
            Phase::Master(master) => self.why_master(now, master),
        }
    }

    fn why_initialize(&self, now: Instant) -> Why {
        if !self.effects.is_done() {
            Why::Releasing { failures: self.effects.failures() }
        } else if !self.candidate {
            Why::NotCandidate
        } else if let Some(at) = self.starts_at().filter(|_| self.faults.is_empty()) {
            Why::Delayed { remaining: at.saturating_duration_since(now) }
        } else {
            let retry_in = self.recovery.at().map(|at| at.saturating_duration_since(now));
            Why::Faulty { faults: self.faults, retry_in }
        }
    }

    fn why_backup(&self, now: Instant, backup: &Backup) -> Why {
        let remaining = backup.down_at.saturating_duration_since(now);
        if backup.asking {
            return Why::AwaitingGroup { reason: backup.promotion_reason() };
        }
        if backup.question.is_some() {
            return Why::AwaitingVerdict { reason: backup.promotion_reason(), remaining };
        }
        if backup.vetoes > 0 && backup.released.is_none() {
            return Why::Vetoed { vetoes: backup.vetoes, remaining };
        }
        match (backup.released, backup.replaceable(), backup.master) {
            (Some(master), _, _) => Why::MasterLeft { master, remaining },
            (None, Some(Heard { source, priority, .. }), _) => {
                Why::Preempting { master: source, priority, remaining }
            }
            (None, None, Some(heard @ Heard { source: master, priority, at, .. })) => {
                let own_priority = self.priority;
                if let Some(until) = self.tolerates_until(now, backup) {
                    let remaining = until.saturating_duration_since(now);
                    Why::Tolerating { master, priority, own_priority, remaining }
                } else {
                    let age = now.saturating_duration_since(at);
                    let silent = self.silent_paths(now, &heard);
                    Why::Subordinate { master, priority, own_priority, age, remaining, silent }
                }
            }
            (None, None, None) => Why::Listening { remaining },
        }
    }

    fn why_master(&self, now: Instant, master: &Master) -> Why {
        let reason = master.reason;
        if master.awaits_send {
            Why::ProvingToSend
        } else if !self.effects.is_done() {
            Why::Installing { reason, failures: self.effects.failures() }
        } else {
            let age = now.saturating_duration_since(master.since);
            let contender = master.contention.map(|contention| contention.loser);
            Why::Serving { reason, age, contender, failing: self.failing_paths() }
        }
    }
}

/// How often something failed, in brackets; nothing if it did not.
struct Failures(u32);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (failed once so far)"),
            times => write!(f, " (failed {times} times so far)"),
        }
    }
}

/// How often something happened in a row, if it was more than once.
struct Times(u8);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => Ok(()),
            times => write!(f, " {times} times"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCandidate => f.write_str("not started"),
            Self::Faulty { faults, retry_in: None } => write!(f, "{faults}"),
            Self::Faulty { faults, retry_in: Some(retry_in) } => {
                write!(f, "{faults}; tries again in {retry_in:.1?}")
            }
            Self::Delayed { remaining } => write!(f, "takes part in {remaining:.1?}"),
            Self::Tolerating { master, priority, own_priority, remaining } => write!(
                f,
                "{master} is master with priority {priority} (ours is {own_priority}), tolerated \
                 for another {remaining:.1?}"
            ),
            Self::Releasing { failures } => {
                write!(f, "removing the virtual addresses{}", Failures(*failures))
            }
            Self::Listening { remaining } => {
                write!(f, "no master heard yet, waits another {remaining:.1?}")
            }
            Self::Subordinate { master, priority, own_priority, age, remaining, silent } => {
                write!(
                    f,
                    "{master} is master with priority {priority} (ours is {own_priority}), last \
                     heard {age:.1?} ago, counts as dead in {remaining:.1?}"
                )?;
                if silent.is_empty() { Ok(()) } else { write!(f, "; not heard on {silent}") }
            }
            Self::Preempting { master, priority, remaining } => {
                write!(
                    f,
                    "replaces {master}, which has only priority {priority}, in {remaining:.1?}"
                )
            }
            Self::AwaitingGroup { reason } => {
                write!(f, "{reason}; waits for the other members of the sync group")
            }
            Self::AwaitingVerdict { reason, remaining } => {
                write!(f, "{reason}; waits for the guard's verdict, at most {remaining:.1?}")
            }
            Self::Vetoed { vetoes, remaining } => {
                write!(
                    f,
                    "no master was heard, vetoed by the guard{}; goes on in {remaining:.1?}",
                    Times(*vetoes)
                )
            }
            Self::MasterLeft { master, remaining } => {
                write!(f, "{master} has left, replaces it in {remaining:.1?}")
            }
            Self::ProvingToSend => {
                f.write_str("waits until an advertisement can be sent, before installing addresses")
            }
            Self::Installing { reason, failures } => {
                write!(f, "{reason}; installing the virtual addresses{}", Failures(*failures))
            }
            Self::Serving { reason, age, contender, failing } => {
                write!(f, "master for {age:.1?}: {reason}")?;
                if let Some(contender) = contender {
                    write!(f, "; {contender} advertises as master as well")?;
                }
                if failing.is_empty() { Ok(()) } else { write!(f, "; cannot send on {failing}") }
            }
        }
    }
}
