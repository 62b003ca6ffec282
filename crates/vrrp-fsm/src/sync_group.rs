//! Virtual routers that change state together.

use alloc::{vec, vec::Vec};
use core::fmt;

use crate::{
    ConfigError, GroupCommand, GuardConfig, Instant, Reason, Standing, State, Ticket, Verdict,
};

/// Names one member: its index in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MemberId(usize);

impl MemberId {
    /// The member at this index.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        Self(index)
    }

    /// The index.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a sync group wants done, or has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a command that is not carried out leaves the members in different states"]
#[expect(clippy::exhaustive_enums, reason = "a caller has to handle every output")]
pub enum SyncGroupOutput {
    /// Give this to the member by [`VirtualRouter::handle_group`](crate::VirtualRouter::handle_group).
    Command {
        /// To whom.
        member: MemberId,
        /// What.
        command: GroupCommand,
    },
    /// Ask the guard of the group whether the silent Masters may be replaced, and hand its verdict to
    /// [`SyncGroup::handle_verdict`].
    AskPromotion {
        /// What the verdict refers to.
        ticket: Ticket,
        /// Why the members would be Master.
        reason: Reason,
    },
    /// All members have reported another state than the group had: what users of the group go by.
    StateChanged {
        /// The state until now.
        from: State,
        /// The state from now on.
        to: State,
    },
}

/// Virtual routers that change state together: a gateway that is Master towards one network and
/// Backup towards the other forwards nothing.
///
/// ```text
///   VirtualRouter --- standing() --> handle_member() --.   +-----------+
///         ^                                            '-->|           |
///         |                                                | SyncGroup |---> StateChanged
///         '-- handle_group() <---- Command <---------------|           |
///                                                          +-----------+
/// ```
///
/// # Rules
///
/// No RFC has them; they are keepalived's.
///
/// | a member | the others |
/// |---|---|
/// | cannot take part: a fault, not started, still removing addresses | [`Hold`](GroupCommand::Hold): all are in Initialize with [`Fault::SyncGroup`](crate::Fault::SyncGroup), Masters leave with priority 0 |
/// | can, and so can all others | [`Resume`](GroupCommand::Resume): all become Backup |
/// | would become Master | it stays Backup and asks; when all are asking, all are told to [`Promote`](GroupCommand::Promote) |
/// | is contended: another router advertises as Master, with less right to it | [`Announce`](GroupCommand::Announce), when that begins and when it ends |
/// | becomes Backup for a better advertisement or a late wake | [`Yield`](GroupCommand::Yield): Backup, silently |
/// | becomes Backup for deleted addresses | [`Release`](GroupCommand::Release): Backup with priority 0, for one skew time |
///
/// So all members are in one state whenever the commands are carried out. A wish to be Master is
/// withdrawn by an advertisement of a better Master; until then it stands, and is renewed every
/// master-down interval. Mind that a group in which each member meets a different better router
/// serves nothing; use the same order of priorities in all virtual routers.
///
/// # Guard
///
/// With [`guard`](Self::guard) a group asks once for all its members, when all of them are asking and
/// one of them out of silence: [`SyncGroupOutput::AskPromotion`]. One veto holds all: each
/// [waits](GroupCommand::Wait) for another master-down interval. If a member stops asking meanwhile,
/// because it hears a Master or cannot take part, the question is withdrawn. See [`GuardConfig`].
///
/// # Contract
///
/// - Every member has [`Config::sync_group`](crate::Config::sync_group); it then waits for the
///   group before it takes part at all.
/// - After *every* input of a member and its outputs: [`handle_member`](Self::handle_member), then
///   [`poll_output`](Self::poll_output) to `None`. A command is an input of that member, so the same
///   follows for it, before the next output is polled. That ends.
/// - Only a group with a guard has a timer: call [`handle_timeout`](Self::handle_timeout) at
///   [`poll_timeout`](Self::poll_timeout). Nothing but [`new`](Self::new) allocates.
///
/// # Example
///
/// ```
/// use vrrp_fsm::{
///     Config, Instant, MemberId, PathId, State, SyncGroup, SyncGroupOutput, VirtualRouter,
///     vrrp_proto::{AddressFamily, Vrid},
/// };
///
/// /// One of two networks.
/// fn member(vrid: u8, address: [u8; 4], source: [u8; 4])
///     -> Result<VirtualRouter, Box<dyn std::error::Error>> {
///     let config = Config::new(Vrid::new(vrid)?, AddressFamily::Ipv4)
///         .virtual_addresses(vec![address.into()])
///         .sync_group(true);
///     let mut router = VirtualRouter::new(config, 0)?;
///     router.handle_source_address(Instant::ZERO, PathId::FIRST, Some(source.into()));
///     router.handle_startup(Instant::ZERO);
///     Ok(router)
/// }
///
/// /// Tells the group of every member, and the members what it wants.
/// fn settle(group: &mut SyncGroup, members: &mut [VirtualRouter], now: Instant) {
///     for (index, member) in members.iter().enumerate() {
///         group.handle_member(now, MemberId::new(index), member.standing());
///     }
///     while let Some(output) = group.poll_output() {
///         if let SyncGroupOutput::Command { member, command } = output {
///             let router = &mut members[member.get()];
///             router.handle_group(now, command);
///             while router.poll_output().is_some() {} // to be carried out here
///             group.handle_member(now, member, router.standing());
///         }
///     }
/// }
///
/// let outside = member(51, [192, 0, 2, 1], [192, 0, 2, 7])?;
/// let inside = member(52, [10, 0, 0, 1], [10, 0, 0, 7])?;
/// let (mut members, mut group) = ([outside, inside], SyncGroup::new(2)?);
/// settle(&mut group, &mut members, Instant::ZERO);
/// assert_eq!(members.each_ref().map(VirtualRouter::state), [State::Backup; 2]);
///
/// // The first to have heard nobody waits for the other.
/// let expired = members[0].poll_timeout().ok_or("no timer")?;
/// members[0].handle_timeout(expired);
/// settle(&mut group, &mut members, expired);
/// assert_eq!(members.each_ref().map(VirtualRouter::state), [State::Backup; 2]);
/// members[1].handle_timeout(expired);
/// settle(&mut group, &mut members, expired);
/// assert_eq!(members.each_ref().map(VirtualRouter::state), [State::Master; 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SyncGroup {
    members: Vec<Member>,
    reported: State,
    guard: Option<GuardConfig>,
    question: Option<Question>,
    next_ticket: Ticket,
    latest: Instant,
}

/// What the guard was asked.
#[derive(Debug, Clone, Copy)]
struct Question {
    ticket: Ticket,
    until: Instant,
    /// Whether the question was handed out.
    is_told: bool,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    /// What the member said last; after a command, what it will say then.
    standing: Standing,
    /// What it is to be told. A later command replaces an earlier one.
    command: Option<GroupCommand>,
}

impl Member {
    fn tell(&mut self, command: GroupCommand) {
        self.command = Some(command);
        self.standing = self.standing.after(command);
    }
}

impl SyncGroup {
    /// A group of so many members, none of which can take part as far as is known.
    ///
    /// # Errors
    /// [`EmptySyncGroup`] for a group without members.
    pub fn new(members: usize) -> Result<Self, EmptySyncGroup> {
        if members == 0 {
            return Err(EmptySyncGroup);
        }
        let member = Member { standing: Standing::UNKNOWN, command: None };
        Ok(Self {
            members: vec![member; members],
            reported: State::Initialize,
            guard: None,
            question: None,
            next_ticket: Ticket::FIRST,
            latest: Instant::ZERO,
        })
    }

    /// Gives the group a guard. [`GuardConfig::max_vetoes`] counts the vetoes since the last
    /// advertisement that any member has accepted.
    ///
    /// # Errors
    /// [`ConfigError::VerdictDeadline`] for a deadline out of range.
    pub fn guard(mut self, guard: GuardConfig) -> Result<Self, ConfigError> {
        guard.validate()?;
        self.guard = Some(guard);
        Ok(self)
    }

    /// How a member stands. A member that there is not changes nothing.
    pub fn handle_member(&mut self, now: Instant, member: MemberId, standing: Standing) {
        self.latest = self.latest.max(now);
        let Some(known) = self.members.get_mut(member.get()) else { return };
        let contended = known.standing.contended;
        known.standing = standing;
        if let Some(command) = known.command {
            known.standing = standing.after(command);
        }
        if standing.contended != contended {
            self.announce_elsewhere(member);
        }
        self.align();
    }

    /// What the guard says to [`SyncGroupOutput::AskPromotion`]. One that comes after its deadline,
    /// or when nobody waits for it any more, changes nothing.
    pub fn handle_verdict(&mut self, now: Instant, ticket: Ticket, verdict: Verdict) {
        self.latest = self.latest.max(now);
        let question = self.question.filter(|question| question.ticket == ticket);
        if question.is_some_and(|question| self.latest < question.until) {
            self.judge(verdict);
        } else {
            self.handle_timeout(now);
        }
    }

    /// A deadline of [`poll_timeout`](Self::poll_timeout) may have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.latest = self.latest.max(now);
        let is_over = self.question.is_some_and(|question| self.latest >= question.until);
        if let Some(guard) = self.guard.filter(|_| is_over) {
            self.judge(guard.default_verdict);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): the deadline of the guard while it is
    /// asked.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.question.map(|question| question.until)
    }

    /// The next thing to do; `None` when there is nothing more.
    pub fn poll_output(&mut self) -> Option<SyncGroupOutput> {
        for (index, member) in self.members.iter_mut().enumerate() {
            if let Some(command) = member.command.take() {
                return Some(SyncGroupOutput::Command { member: MemberId(index), command });
            }
        }
        if let Some(question) = self.question.as_mut().filter(|question| !question.is_told) {
            question.is_told = true;
            let (ticket, reason) = (question.ticket, Reason::MasterSilent);
            return Some(SyncGroupOutput::AskPromotion { ticket, reason });
        }
        let to = self.members.first()?.standing.reported;
        let common = self.members.iter().all(|member| member.standing.reported == to);
        let from = self.reported;
        if !common || from == to {
            return None;
        }
        self.reported = to;
        Some(SyncGroupOutput::StateChanged { from, to })
    }

    /// The state of the latest [`SyncGroupOutput::StateChanged`].
    #[must_use]
    pub const fn reported_state(&self) -> State {
        self.reported
    }

    /// The members that keep the others from taking part: faulty, not started, or still removing
    /// addresses.
    pub fn unable(&self) -> impl Iterator<Item = MemberId> {
        self.which(|standing| !standing.able)
    }

    /// The members that would be Master, and wait for the others.
    pub fn asking(&self) -> impl Iterator<Item = MemberId> {
        self.which(|standing| standing.asking)
    }

    fn which(&self, what: impl Fn(&Standing) -> bool) -> impl Iterator<Item = MemberId> {
        let members = self.members.iter().enumerate();
        members.filter(move |(_, member)| what(&member.standing)).map(|(index, _)| MemberId(index))
    }

    fn any(&self, what: impl Fn(&Standing) -> bool) -> bool {
        self.members.iter().any(|member| what(&member.standing))
    }

    fn tell_those(&mut self, which: impl Fn(&Standing) -> bool, command: GroupCommand) {
        self.members
            .iter_mut()
            .filter(|member| which(&member.standing))
            .for_each(|member| member.tell(command));
    }

    /// Brings the members into one state, as far as they are known not to be.
    fn align(&mut self) {
        if self.any(|member| !member.asking) {
            self.question = None;
        }
        if self.any(|member| !member.able) {
            self.tell_those(|member| !member.held, GroupCommand::Hold);
        } else if self.any(|member| member.held) {
            self.tell_those(|member| member.held, GroupCommand::Resume);
        } else if self.any(|member| member.state == State::Initialize) {
            // They are told to resume, and have not reported yet.
        } else if self.any(|member| member.state == State::Backup) {
            self.align_backups();
        }
    }

    fn align_backups(&mut self) {
        if self.any(|member| member.state == State::Master) {
            // If another router is Master, priority 0 would only make noise.
            let taken = self.any(|member| member.yielded);
            let command = if taken { GroupCommand::Yield } else { GroupCommand::Release };
            self.tell_those(|member| member.state == State::Master, command);
        } else if !self.any(|member| !member.asking) {
            self.promote_or_ask();
        }
    }

    /// All are asking.
    fn promote_or_ask(&mut self) {
        let vetoes = self.members.iter().map(|member| member.standing.vetoes).min();
        let guard = self.guard.filter(|guard| {
            guard.is_heard_after(vetoes.unwrap_or_default()) && self.any(|member| member.silent)
        });
        match (guard, self.question) {
            (None, _) => self.judge(Verdict::Promote),
            (Some(_), Some(_)) => {}
            (Some(guard), None) => {
                let (ticket, until) = (self.next_ticket, self.latest + guard.deadline);
                self.next_ticket = ticket.next();
                self.question = Some(Question { ticket, until, is_told: false });
            }
        }
    }

    fn judge(&mut self, verdict: Verdict) {
        self.question = None;
        let command = match verdict {
            Verdict::Promote => GroupCommand::Promote,
            Verdict::Veto => GroupCommand::Wait,
        };
        self.tell_those(|_| true, command);
    }

    /// Hosts may have learned the MAC address of another router: not only of this member's address.
    fn announce_elsewhere(&mut self, member: MemberId) {
        for (index, other) in self.members.iter_mut().enumerate() {
            let is_master = other.standing.state == State::Master;
            if index != member.get() && is_master && other.command.is_none() {
                other.tell(GroupCommand::Announce);
            }
        }
    }
}

/// A sync group was to have no members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sync group needs at least one member")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing else to say")]
pub struct EmptySyncGroup;
