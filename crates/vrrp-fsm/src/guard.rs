//! A third party with a say in who becomes Master.

use core::{
    fmt,
    num::{NonZeroU8, NonZeroU64},
    time::Duration,
};

use crate::{
    Instant, Output, Reason, VirtualRouter,
    state::{Backup, Phase},
};

/// That somebody is asked before this router replaces a Master that has fallen silent.
///
/// Silence has two causes that look the same from here: the Master is dead, or it is not heard. A
/// guard is whoever can tell them apart: a probe of the virtual address, a lease, a third machine.
/// The machine only asks, by [`Output::AskPromotion`], and waits for
/// [`handle_verdict`](crate::VirtualRouter::handle_verdict); it stays Backup meanwhile.
///
/// It does not ask when the Master has said itself that it leaves, nor about a Master of a lower
/// priority that it hears. The owner of the addresses never asks and may not have a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GuardConfig {
    /// How long a verdict is waited for. More than 0, at most 60 s; less than an advertisement
    /// interval keeps the failover short.
    pub deadline: Duration,
    /// What counts as the verdict when the deadline has come without one.
    pub default_verdict: Verdict,
    /// How many vetoes in a row, without an advertisement in between, are obeyed; the router is
    /// then promoted without being asked for. `None`, the default: any number. With a number this
    /// guard delays a second Master, and does not prevent it.
    pub max_vetoes: Option<NonZeroU8>,
}

impl GuardConfig {
    /// A guard all of whose vetoes are obeyed.
    #[must_use]
    pub const fn new(deadline: Duration, default_verdict: Verdict) -> Self {
        Self { deadline, default_verdict, max_vetoes: None }
    }

    /// Sets [`max_vetoes`](field@Self::max_vetoes).
    #[must_use]
    pub const fn max_vetoes(mut self, max_vetoes: Option<NonZeroU8>) -> Self {
        self.max_vetoes = max_vetoes;
        self
    }

    /// Whether it is still asked after so many vetoes in a row.
    pub(crate) fn is_heard_after(&self, vetoes: u8) -> bool {
        self.max_vetoes.is_none_or(|max| vetoes < max.get())
    }
}

/// What a guard says about a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "yes or no")]
pub enum Verdict {
    /// The Master is dead: take over.
    Promote,
    /// It is not, or nobody knows: wait another master-down interval, then ask again.
    Veto,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Promote => "promote",
            Self::Veto => "veto",
        })
    }
}

/// Ties a verdict to the question it answers. Later questions have greater tickets; an answer to
/// any but the latest changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(NonZeroU64);

impl Ticket {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl VirtualRouter {
    /// What the guard says to [`Output::AskPromotion`]. One that comes after its deadline, or when
    /// nobody waits for it any more, changes nothing.
    pub fn handle_verdict(&mut self, now: Instant, ticket: Ticket, verdict: Verdict) {
        let now = self.advance(now);
        let Phase::Backup(backup) = self.phase else { return };
        if backup.question != Some(ticket) {
            return;
        }
        if now < backup.down_at {
            self.judge(now, backup, verdict);
        } else {
            self.backup_timeout(now, backup);
        }
    }

    /// The `Master_Down_Timer` has expired, and nothing but a guard stands against promotion.
    pub(crate) fn promote_or_ask(&mut self, now: Instant, mut backup: Backup) {
        let Some(guard) = self.config.guard else {
            return self.become_master(now, backup.promotion_reason());
        };
        if backup.question.is_some() {
            self.statistics.verdicts_missed += 1;
            self.judge(now, backup, guard.default_verdict);
        } else if guard.is_heard_after(backup.vetoes) && self.is_silent(&backup) {
            let ticket = self.next_ticket;
            self.next_ticket = ticket.next();
            self.statistics.promotions_asked += 1;
            backup.question = Some(ticket);
            backup.down_at = now + guard.deadline;
            self.phase = Phase::Backup(backup);
            self.push(Output::AskPromotion { ticket, reason: backup.promotion_reason() });
        } else {
            self.become_master(now, backup.promotion_reason());
        }
    }

    fn judge(&mut self, now: Instant, backup: Backup, verdict: Verdict) {
        match verdict {
            Verdict::Promote => self.become_master(now, backup.promotion_reason()),
            Verdict::Veto => self.wait_after_veto(now, backup),
        }
    }

    /// A guard objects: one more master-down interval.
    pub(crate) fn wait_after_veto(&mut self, now: Instant, mut backup: Backup) {
        self.statistics.promotions_vetoed += 1;
        backup.vetoes = backup.vetoes.saturating_add(1);
        backup.asking = false;
        backup.question = None;
        backup.down_at = now + self.master_down_interval(backup.master_adver_interval);
        self.phase = Phase::Backup(backup);
    }

    /// Whether the promotion that is due comes out of silence: nobody has left, and no Master of a
    /// lower priority is heard.
    pub(crate) fn is_silent(&self, backup: &Backup) -> bool {
        backup.promotion_reason() == Reason::MasterSilent && !self.priority.is_owner()
    }
}
