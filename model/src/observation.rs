//! What can be observed of an election, wanted or not.

/// One thing that a step can show. Its number is the one of `docs/properties.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Observation {
    /// A timer that does not belong to the state.
    Timers,
    /// An advertisement by a router that is not Master, or priority 0 by one that stays.
    Sender,
    /// Addresses held, or announced, by a router that is not Master or has not advertised.
    Addresses,
    /// Master without having waited, and not the owner.
    Promotion,
    /// A Master that gave way to an advertisement that does not beat it.
    Demotion,
    /// A Master-down timer that an advertisement moved to where it does not belong.
    DownTimer,
    /// An invalid packet that changed something.
    Invalid,
    /// An early timeout, or the answer to a wish that is over, that changed something.
    Stale,
    /// An advertisement that is not a valid one.
    Wire,
    /// Not exactly one Master although it has been quiet for long enough.
    OneMaster,
    /// The Master is not the router with the highest priority, although all preempt.
    BestMaster,
    /// The Master has a lower priority than a router that preempts.
    Preemption,
    /// Two Masters for longer than it takes to hear of each other.
    Dual,
    /// A change of state although it has been quiet for long enough.
    Restless,
    /// A chain of answers to answers that is longer than there are routers.
    Chain,
    /// Two immediate answers of a router within the least interval between them.
    Rate,
    /// An answer to an advertisement with our own priority and address.
    Echo,
    /// Two Masters.
    TwoMasters,
    /// No Master although there was one and a router takes part.
    NoMaster,
    /// A Backup that was made impatient by the priority 0 of another router than the one it follows
    /// replaced a healthy better Master.
    StaleRelease,
    /// The Master has a lower address than a Backup of the same priority.
    Incumbent,
    /// A router replaced a healthy better Master of whose interval it did not know.
    Newcomer,
    /// A Master went on after a pause in which another one was elected.
    Zombie,
}

use Observation::{
    Addresses, BestMaster, Chain, Demotion, DownTimer, Dual, Echo, Incumbent, Invalid, Newcomer,
    NoMaster, OneMaster, Preemption, Promotion, Rate, Restless, Sender, Stale, StaleRelease,
    Timers, TwoMasters, Wire, Zombie,
};

impl Observation {
    pub(crate) const ALL: [Self; 23] = [
        Timers,
        Sender,
        Addresses,
        Promotion,
        Demotion,
        DownTimer,
        Invalid,
        Stale,
        Wire,
        OneMaster,
        BestMaster,
        Preemption,
        Dual,
        Restless,
        Chain,
        Rate,
        Echo,
        TwoMasters,
        NoMaster,
        StaleRelease,
        Incumbent,
        Newcomer,
        Zombie,
    ];

    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// What is claimed when it must never be observed; otherwise what has to be reachable.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Timers => "A1 each state has its timer",
            Sender => "A2 only a Master advertises",
            Addresses => "A3 only a Master that advertised has addresses",
            Promotion => "A4 only the owner skips Backup",
            Demotion => "A5 a Master yields only to a better one",
            DownTimer => "A6 the down timer follows accepted advertisements",
            Invalid => "A7 A8 invalid and foreign packets change nothing",
            Stale => "A9 stale timeouts and answers change nothing",
            Wire => "A10 what is sent is valid",
            OneMaster => "L2 one Master when quiet",
            BestMaster => "L3 the best when all preempt",
            Preemption => "L4 none worse than a preempting one",
            Dual => "L5 two Masters hear of each other in time",
            Restless => "L9 no change when quiet",
            Chain => "L11 a chain of answers ends with the best router",
            Rate => "N4 answers are 10 ms apart",
            Echo => "N4 answers to one's own advertisement",
            TwoMasters => "N1 two Masters",
            NoMaster => "N2 no Master",
            StaleRelease => "N5 an old priority 0 unseats a healthy Master",
            Incumbent => "N6 the lower address stays Master",
            Newcomer => "N8 a newcomer unseats a slower Master",
            Zombie => "N9 a Master goes on after its successor was elected",
        }
    }
}
