//! The roles, one after the other, on one stage.

use core::time::Duration;

use crate::combination::{Combination, Peer, Rank};
use crate::stage::{Stage, Step};
use crate::wire::{Heard, Who};

/// The columns of the table; `docs/interop.md` says what happens in each.
pub(crate) const STEPS: [&str; 12] = [
    "they lead",
    "we preempt",
    "we stop",
    "we die",
    "their Backup dies",
    "they preempt",
    "they stop",
    "they die",
    "they wait",
    "we wait",
    "we follow",
    "we leave",
];

/// What one column found: how long it took, where something took time.
pub(crate) type Found = Step<Option<Duration>>;

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_millis(200);
/// Timers start when a packet is read, captures tell when it passed.
const EARLY: Duration = Duration::from_millis(1);

/// Plays all columns; what follows a failed one is left out.
pub(crate) fn play(combination: Combination) -> Vec<Found> {
    let mut play = Play { stage: Stage::new(combination) };
    let mut found = Vec::new();
    for number in 0..STEPS.len() {
        let step = play.step(number);
        let failed = step.is_err();
        found.push(step);
        if failed {
            break;
        }
    }
    found
}

struct Play {
    stage: Stage,
}

impl Play {
    fn step(&mut self, number: usize) -> Found {
        const THEY: Rank = Rank::new(100);
        const WE: Rank = Rank::new(200);
        const THEY_ABOVE: Rank = Rank::new(250);
        // Enough for a Master-down interval and more.
        const WHILE: usize = 5;
        match number {
            0 => {
                self.rise(Who::They, THEY)?;
                Ok(None)
            }
            1 => self.rise(Who::We, WE).map(Some),
            2 => {
                let took = self.hand_over(Who::We, THEY)?;
                self.rise(Who::We, WE)?;
                Ok(Some(took))
            }
            3 => {
                let took = self.die(Who::We, THEY)?;
                self.stage.power_on(Who::We);
                self.rise(Who::We, WE)?;
                Ok(Some(took))
            }
            4 => {
                self.stage.power_off(Who::They);
                self.stage.remains(Who::We, 2)?;
                self.stage.power_on(Who::They);
                self.stage.start(Who::They, THEY)?;
                self.stage.remains(Who::We, WHILE)?;
                self.stage.stop(Who::They)?;
                self.stage.remains(Who::We, 2)?;
                Ok(None)
            }
            5 => self.rise(Who::They, THEY_ABOVE).map(Some),
            6 => {
                let took = self.hand_over(Who::They, WE)?;
                self.rise(Who::They, THEY_ABOVE)?;
                Ok(Some(took))
            }
            7 => {
                let took = self.die(Who::They, WE)?;
                self.stage.power_on(Who::They);
                Ok(Some(took))
            }
            8 => {
                self.stage.start(Who::They, Rank::patient(250))?;
                self.stage.remains(Who::We, WHILE)?;
                Ok(None)
            }
            9 => {
                self.hand_over(Who::We, THEY_ABOVE)?;
                self.stage.start(Who::We, Rank::patient(254))?;
                self.stage.remains(Who::They, WHILE)?;
                Ok(None)
            }
            10 => self.hand_over(Who::They, Rank::new(254)).map(Some),
            _ => {
                self.stage.stop(Who::We)?;
                self.stage.wait("the end of all addresses", |stage| {
                    let held = (stage.holds(Who::We), stage.holds(Who::They));
                    (held == (Some(false), Some(false))).then_some(())
                })?;
                Ok(None)
            }
        }
    }

    /// Starts a router that becomes Master, whoever was it before. The other one's last advertisements end with it.
    fn rise(&mut self, who: Who, rank: Rank) -> Step<Duration> {
        self.stage.listen();
        let since = self.stage.heard.len();
        let begin = lab::now();
        self.stage.start(who, rank)?;
        let first = self.stage.settle(who, since)?;
        let after = |heard: &&Heard| heard.from != who && heard.at > first.at;
        if let Some(late) = self.stage.heard[since..].iter().rfind(after) {
            let overlap = late.at - first.at;
            let allowed = self.stage.combination.interval.min(SLACK);
            if overlap > allowed {
                return Err(format!("two Masters advertised for {overlap:?}"));
            }
        }
        Ok(first.at.saturating_sub(begin))
    }

    /// Stops the Master; the other one has the rank `heir`, and one skew time.
    fn hand_over(&mut self, who: Who, heir: Rank) -> Step<Duration> {
        self.stage.listen();
        let since = self.stage.heard.len();
        self.stage.stop(who)?;
        let first = self.stage.settle(who.other(), since)?;
        let goodbye = self.stage.heard[since..].iter().find(|h| h.from == who && h.priority == 0);
        let goodbye = goodbye.ok_or_else(|| format!("no goodbye; {}", self.stage.account()))?.at;
        let due = self.stage.combination.skew(heir.priority);
        self.in_time(who.other(), first.at.saturating_sub(goodbye), due)
    }

    /// Takes the Master's power; the other one has the rank `heir`, and one Master-down interval.
    fn die(&mut self, who: Who, heir: Rank) -> Step<Duration> {
        self.stage.power_off(who);
        self.stage.listen();
        let last = self.stage.heard.iter().rposition(|heard| heard.from == who).unwrap_or_default();
        let (since, last) = (last + 1, self.stage.heard[last].at);
        let first = self.stage.settle(who.other(), since)?;
        let due = self.stage.combination.down(heir.priority);
        self.in_time(who.other(), first.at.saturating_sub(last), due)
    }

    fn in_time(&self, heir: Who, took: Duration, due: Duration) -> Step<Duration> {
        // FRR computes in whole centiseconds, and rounds down.
        let rounds = heir == Who::They && self.stage.combination.peer == Peer::Frr;
        let early = if rounds { Duration::from_millis(10) } else { EARLY };
        if took + early < due || took > due + SLACK {
            return Err(format!("took {took:?}, {due:?} are due\n{}", self.stage.account()));
        }
        Ok(took)
    }
}
