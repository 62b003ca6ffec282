//! What else decides who is Master: objects that are watched, and what their state is worth.

use alloc::vec::Vec;
use core::fmt;

use vrrp_proto::Priority;

use crate::{Fault, Instant, VirtualRouter};

/// The state of a watched object: an interface, a script's result, a file, a process, a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the caller makes it")]
pub enum Condition {
    /// There is no first result yet.
    Unknown,
    /// It is there and works.
    Up,
    /// It is not.
    Down,
    /// It is a number, such as the content of a file: each unit counts the weight once.
    Value(i32),
}

/// A watched object and what it is worth to the priority.
///
/// | condition | weight > 0 | weight < 0 | weight 0 |
/// |---|---|---|---|
/// | up | + weight | 0 | |
/// | down | 0 | - \|weight\| | fault |
/// | unknown | 0 | 0 | fault |
/// | value | value × weight, a fault at -254 and less | the same | fault unless 0 |
///
/// [`reverse`](Self::reverse) changes the sign of what a weight contributes, and makes a fault of
/// what is none for weight 0 (unknown stays one).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tracker {
    weight: i16,
    reverse: bool,
    initial: Condition,
}

impl Tracker {
    /// A tracker without a first result. Weight 0 decides whether the router takes part at all,
    /// other weights change its priority.
    ///
    /// # Errors
    /// [`WeightError`] for a weight that is not within -254 to 254.
    pub const fn new(weight: i16) -> Result<Self, WeightError> {
        if weight < -MAX_WEIGHT || weight > MAX_WEIGHT {
            return Err(WeightError { weight });
        }
        Ok(Self { weight, reverse: false, initial: Condition::Unknown })
    }

    /// Swaps what is good and what is bad.
    #[must_use]
    pub const fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// What is assumed before the first result. Default: [`Condition::Unknown`].
    #[must_use]
    pub const fn initial(mut self, initial: Condition) -> Self {
        self.initial = initial;
        self
    }

    /// What an object in this condition does to its virtual router.
    #[must_use]
    pub fn influence(self, condition: Condition) -> Influence {
        if self.weight == 0 {
            return self.verdict(condition);
        }
        let weight = i64::from(self.weight);
        let contribution = match condition {
            Condition::Up => weight.max(0),
            Condition::Down => weight.min(0),
            Condition::Unknown => 0,
            Condition::Value(value) => i64::from(value) * weight,
        };
        let contribution = if self.reverse { -contribution } else { contribution };
        if matches!(condition, Condition::Value(_)) && contribution <= FATAL_CONTRIBUTION {
            return Influence::Fault;
        }
        let contribution = contribution.clamp(FATAL_CONTRIBUTION, -FATAL_CONTRIBUTION);
        Influence::Priority(i16::try_from(contribution).unwrap_or_default())
    }

    fn verdict(self, condition: Condition) -> Influence {
        let good = match condition {
            Condition::Unknown => return Influence::Unknown,
            Condition::Up | Condition::Value(0) => !self.reverse,
            Condition::Down | Condition::Value(_) => self.reverse,
        };
        if good { Influence::Priority(0) } else { Influence::Fault }
    }
}

const MAX_WEIGHT: i16 = 254;
/// A value that takes so much away leaves no priority at all. Nothing adds more than its opposite.
const FATAL_CONTRIBUTION: i64 = -254;

/// What a watched object does to its virtual router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "these are the ways to act on an election")]
pub enum Influence {
    /// This is added to the priority, -254 to 254.
    Priority(i16),
    /// It keeps the router from taking part: [`Fault::Tracker`].
    Fault,
    /// Its first result is waited for: [`Fault::TrackerUnknown`].
    Unknown,
}

/// A weight is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a weight is -254 to 254, not {weight}")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing else to say")]
pub struct WeightError {
    /// What was asked for.
    pub weight: i16,
}

/// Names one tracker: its index in what [`Tracking::new`] was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TrackerId(usize);

impl TrackerId {
    /// The tracker at this index.
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

impl fmt::Display for TrackerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What tracking changes of a virtual router:
/// [`handle_tracking`](VirtualRouter::handle_tracking) takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "the virtual router has to be told"]
#[expect(clippy::exhaustive_enums, reason = "these are the ways to act on an election")]
pub enum TrackingOutput {
    /// The effective priority from now on.
    Priority(Priority),
    /// This fault is present from now on.
    Fault(Fault),
    /// This fault is gone.
    FaultCleared(Fault),
}

/// The trackers of one virtual router, and what they amount to.
///
/// The effective priority is the base plus all contributions, brought to 1–254; the sum itself is
/// not, so that what goes beyond is not forgotten. The owner's 255 never changes, and only trackers
/// of weight 0 act on it (RFC 9568 §6.1 leaves 255 to the owner). Weights, `reverse` and both
/// faults are keepalived's.
///
/// Inputs are the methods `handle_*`; after each of them give what
/// [`poll_output`](Self::poll_output) returns to
/// [`VirtualRouter::handle_tracking`], until it is `None`. Begin before
/// [`handle_startup`](VirtualRouter::handle_startup): a router with an unknown tracker of weight 0
/// then is not even Backup before the first result. There is no timer.
///
/// ```
/// use vrrp_fsm::{Condition, Fault, Tracker, TrackerId, Tracking, TrackingOutput};
/// use vrrp_fsm::vrrp_proto::Priority;
///
/// let service = Tracker::new(-30)?;
/// let uplink = Tracker::new(0)?.initial(Condition::Up);
/// let mut tracking = Tracking::new(Priority::new(100), vec![service, uplink]);
/// assert_eq!(tracking.poll_output(), None);
///
/// tracking.handle_condition(TrackerId::new(0), Condition::Down);
/// assert_eq!(tracking.poll_output(), Some(TrackingOutput::Priority(Priority::new(70))));
/// tracking.handle_condition(TrackerId::new(1), Condition::Down);
/// assert_eq!(tracking.poll_output(), Some(TrackingOutput::Fault(Fault::Tracker)));
/// # Ok::<(), vrrp_fsm::WeightError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tracking {
    base: Priority,
    watched: Vec<(Tracker, Condition)>,
    /// What the virtual router was told, and knows from the start: no fault and its own priority.
    told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    priority: Priority,
    fault: bool,
    unknown: bool,
}

impl Tracking {
    /// The trackers of a virtual router with this configured priority.
    #[must_use]
    pub fn new(base: Priority, trackers: Vec<Tracker>) -> Self {
        let told = Told { priority: base, fault: false, unknown: false };
        let watched = trackers.into_iter().map(|tracker| (tracker, tracker.initial)).collect();
        Self { base, watched, told }
    }

    /// The condition of a watched object. One that there is no tracker for changes nothing.
    pub fn handle_condition(&mut self, tracker: TrackerId, condition: Condition) {
        if let Some((_, present)) = self.watched.get_mut(tracker.get()) {
            *present = condition;
        }
    }

    /// These trackers from now on. One that is named with its former place keeps the condition it had there.
    pub fn replace(&mut self, trackers: Vec<(Tracker, Option<TrackerId>)>) {
        let former = core::mem::take(&mut self.watched);
        let condition = |tracker: Tracker, place: Option<TrackerId>| {
            place.and_then(|place| former.get(place.get())).map_or(tracker.initial, |known| known.1)
        };
        self.watched =
            trackers.into_iter().map(|(one, place)| (one, condition(one, place))).collect();
    }

    /// The configured priority from now on. Goes with every
    /// [`VirtualRouter::handle_config`], which makes the configured priority the effective one:
    /// that is put right.
    pub fn handle_base(&mut self, base: Priority) {
        self.base = base;
        self.told.priority = base;
    }

    /// The next thing to tell the virtual router; `None` when it knows everything.
    ///
    /// A fault comes before, and its end after the priority, so that the router never takes part in
    /// between with less right to it.
    pub fn poll_output(&mut self) -> Option<TrackingOutput> {
        let wanted = self.wanted();
        if wanted.fault && !self.told.fault {
            self.told.fault = true;
            return Some(TrackingOutput::Fault(Fault::Tracker));
        }
        if wanted.unknown && !self.told.unknown {
            self.told.unknown = true;
            return Some(TrackingOutput::Fault(Fault::TrackerUnknown));
        }
        if wanted.priority != self.told.priority {
            self.told.priority = wanted.priority;
            return Some(TrackingOutput::Priority(wanted.priority));
        }
        if self.told.fault && !wanted.fault {
            self.told.fault = false;
            return Some(TrackingOutput::FaultCleared(Fault::Tracker));
        }
        if self.told.unknown && !wanted.unknown {
            self.told.unknown = false;
            return Some(TrackingOutput::FaultCleared(Fault::TrackerUnknown));
        }
        None
    }

    /// The effective priority.
    #[must_use]
    pub fn priority(&self) -> Priority {
        if self.base.is_owner() {
            return self.base;
        }
        let contributions = self.influences().map(|(_, influence)| match influence {
            Influence::Priority(contribution) => i64::from(contribution),
            Influence::Fault | Influence::Unknown => 0,
        });
        let total = i64::from(self.base.get()) + contributions.sum::<i64>();
        Priority::new(u8::try_from(total.clamp(1, 254)).unwrap_or(1))
    }

    /// What each watched object does at present, in the order of the trackers: the answer to "which
    /// of them is it?".
    pub fn influences(&self) -> impl Iterator<Item = (TrackerId, Influence)> {
        let owner = self.base.is_owner();
        self.watched.iter().enumerate().map(move |(index, (tracker, condition))| {
            let influence = if owner && tracker.weight != 0 {
                Influence::Priority(0)
            } else {
                tracker.influence(*condition)
            };
            (TrackerId(index), influence)
        })
    }

    /// The present condition of a watched object; `None` if there is no such tracker.
    #[must_use]
    pub fn condition(&self, tracker: TrackerId) -> Option<Condition> {
        self.watched.get(tracker.get()).map(|(_, condition)| *condition)
    }

    fn wanted(&self) -> Told {
        let any = |wanted| self.influences().any(|(_, influence)| influence == wanted);
        Told {
            priority: self.priority(),
            fault: any(Influence::Fault),
            unknown: any(Influence::Unknown),
        }
    }
}

impl VirtualRouter {
    /// What [`Tracking`] has to say: like [`handle_priority`](Self::handle_priority),
    /// [`handle_fault`](Self::handle_fault) and
    /// [`handle_fault_cleared`](Self::handle_fault_cleared).
    pub fn handle_tracking(&mut self, now: Instant, output: TrackingOutput) {
        match output {
            TrackingOutput::Priority(priority) => self.handle_priority(now, priority),
            TrackingOutput::Fault(fault) => self.handle_fault(now, fault),
            TrackingOutput::FaultCleared(fault) => self.handle_fault_cleared(now, fault),
        }
    }
}
