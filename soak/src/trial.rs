//! One fault on one pair, and the verdicts about it.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::pair::Pair;
use crate::rules::{INTERVAL, SLACK, Side, VIPS};
use crate::stall::Stalls;
use crate::timeline::{Timeline, What};

/// After a bound nothing may change for so long.
const QUIET: Duration = INTERVAL.saturating_mul(4);
/// A Master that is not disturbed is silent for no longer.
const LONGEST_SILENCE: Duration = INTERVAL.saturating_add(SLACK);
/// How often the client asks, 200 ms each: less than Linux takes to forget a neighbour that does not answer.
const ATTEMPTS: usize = 5;
/// What is unsettled after so long never settles, stalled machine or not.
const NEVER: Duration = Duration::from_secs(15);

/// Why a campaign stops.
#[derive(Debug)]
pub(crate) enum Broken {
    /// A verdict: from when to when, and what was wrong.
    Verdict { from: Duration, to: Duration, wrong: String },
    /// The lab itself failed.
    Lab(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Lab(error)
    }
}

impl From<rustix::io::Errno> for Broken {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Lab(error.into())
    }
}

/// What a fault needs of its surroundings.
#[derive(Debug)]
pub(crate) struct Trial<'a> {
    pub(crate) pair: &'a mut Pair,
    pub(crate) rng: &'a mut fastrand::Rng,
    pub(crate) stalls: &'a Stalls,
    /// Held by whoever takes a processor for itself.
    pub(crate) heavy: &'a Mutex<()>,
    /// Packets of all floods, and of the fastest one in a second.
    pub(crate) thrown: &'a AtomicU64,
    pub(crate) fastest: &'a AtomicU64,
    /// Longer pauses.
    pub(crate) long: bool,
    /// The one that was Master, and held everything, before the fault.
    pub(crate) master: Side,
    /// A verdict that was bad, in a time in which the machine stood still.
    pub(crate) void: Option<String>,
    /// How long it took from the end of the fault until nothing changed any more.
    pub(crate) settled: Duration,
}

impl Trial<'_> {
    pub(crate) fn timeline(&self) -> &Timeline {
        &self.pair.timeline
    }

    /// A random number of milliseconds.
    pub(crate) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    pub(crate) fn side(&mut self) -> Side {
        if self.rng.bool() { Side::A } else { Side::B }
    }

    /// A bad verdict about a time in which the machine stood still is void.
    pub(crate) fn judge(
        &mut self,
        from: Duration,
        to: Duration,
        verdict: Result<(), String>,
    ) -> Result<(), Broken> {
        let Err(wrong) = verdict else { return Ok(()) };
        let Some(excuse) = self.stalls.excuse(from.saturating_sub(INTERVAL), to) else {
            return Err(Broken::Verdict { from, to, wrong });
        };
        println!("void, because {excuse}: {wrong}");
        self.timeline().act(format!("void, because {excuse}: {wrong}"));
        self.void = Some(wrong);
        Ok(())
    }

    /// The Master was not disturbed in this time: nobody else advertised, it was never silent for long, and no address moved.
    pub(crate) fn unchanged(&mut self, from: Duration, to: Duration) -> Result<(), Broken> {
        let verdict = unchanged(self.timeline(), self.master, from, to);
        self.judge(from, to, verdict.map_err(|wrong| format!("nothing was to change: {wrong}")))
    }

    /// The other one became Master of the silent one's addresses in time, and not before.
    pub(crate) fn taken_over(&mut self, by: Side, silent_at: Duration) -> Result<Duration, Broken> {
        let bound = self.pair.rules.master_down(by);
        let now = lab::now();
        let last = self.timeline().advertisements(by.other(), Duration::ZERO, silent_at);
        let last = last.last().copied().unwrap_or(silent_at);
        let first = self.timeline().advertisements(by, last, now).first().copied();
        let events = self.timeline().between(last, first.unwrap_or(now));
        // It could still say so.
        let left = events.iter().any(
            |event| matches!(event.what, What::Advertisement { from, priority: 0 } if from != by),
        );
        let verdict = match first.map(|first| first.saturating_sub(last)) {
            None => Err(format!("{by} did not take over within {:?}", now.saturating_sub(last))),
            Some(took) if took > bound + SLACK => {
                Err(format!("{by} took over after {took:?} instead of {bound:?}"))
            }
            // The frame was read after its timestamp.
            Some(took) if !left && took + Duration::from_millis(2) < bound => {
                Err(format!("{by} took over after {took:?}, before {bound:?}"))
            }
            Some(_) => Ok(()),
        };
        self.judge(last, first.unwrap_or(now), verdict)?;
        Ok(first.unwrap_or(now))
    }

    /// From the moment `at` on, until now, the host has none of the virtual addresses, because of what happened at `since`.
    pub(crate) fn gone(&mut self, side: Side, since: Duration, at: Duration) -> Result<(), Broken> {
        let now = lab::now();
        let held = self.timeline().held(at)[side.index()];
        let events = self.timeline().between(at, now);
        let back = events.iter().find(
            |event| matches!(event.what, What::Address { on, present: true, .. } if on == side),
        );
        let verdict = if held.contains(&true) {
            Err(format!("{side} still has an address"))
        } else if back.is_some() {
            Err(format!("{side} has an address again"))
        } else {
            Ok(())
        };
        self.judge(since, now, verdict)
    }

    /// There is one Master within the bound, and nothing changes afterwards; then everybody is asked.
    pub(crate) fn settle(&mut self, healed: Duration, bound: Duration) -> Result<(), Broken> {
        let due = healed + bound + SLACK;
        wait_until(due + QUIET);
        let mut outcome = outcome(self.timeline(), healed, lab::now());
        if outcome.as_ref().is_ok_and(|(_, settled)| *settled > due) || outcome.is_err() {
            let at_first = outcome;
            // What becomes of it is worth knowing, and a machine that stood still may need longer.
            loop {
                std::thread::sleep(INTERVAL);
                let now = lab::now();
                outcome = self::outcome(self.timeline(), healed, now);
                let calm = outcome.as_ref().is_ok_and(|(_, settled)| now > *settled + QUIET * 2);
                if calm || now > healed + NEVER {
                    break;
                }
            }
            let (first, later) = (describe(&at_first, healed), describe(&outcome, healed));
            let wrong =
                format!("not settled within {bound:?} and {SLACK:?}: {first}; and later {later}");
            if outcome.is_err() {
                return Err(Broken::Verdict { from: healed, to: lab::now(), wrong });
            }
            let until = outcome.as_ref().map_or(due, |(_, settled)| *settled);
            self.judge(healed, until, Err(wrong))?;
        }
        let (master, settled) =
            outcome.map_err(|wrong| Broken::Verdict { from: healed, to: lab::now(), wrong })?;
        self.master = master;
        self.settled = settled.saturating_sub(healed);
        self.ask_everybody()
    }

    /// The same for a fault that was none of the Master's business: nothing has changed since `from`.
    pub(crate) fn settle_unchanged(
        &mut self,
        from: Duration,
        healed: Duration,
    ) -> Result<(), Broken> {
        let master = self.master;
        self.settle(healed, self.pair.rules.one_master())?;
        // The one of before: if it is another one now, that is what is wrong.
        let verdict = unchanged(self.timeline(), master, from, lab::now());
        let verdict = verdict.map_err(|wrong| format!("nothing was to change: {wrong}"));
        self.judge(from, lab::now(), verdict)
    }

    /// Both kernels and the client say the same as the events did.
    fn ask_everybody(&mut self) -> Result<(), Broken> {
        let (master, from) = (self.master, lab::now());
        for side in Side::BOTH {
            let present = self.pair.present(side)?;
            let expected = [side == master; VIPS.len()];
            let verdict = if present == expected {
                Ok(())
            } else {
                Err(format!("{side} has {present:?} of {VIPS:?}, and {master} is Master"))
            };
            self.judge(from, lab::now(), verdict)?;
        }
        for vip in VIPS {
            let mut who = self.pair.client.who_has(vip)?;
            // As everybody would: one question or answer may be late, above all behind a macvlan, whose broadcasts wait for a worker.
            for _ in 1..ATTEMPTS {
                if who.is_empty() {
                    who = self.pair.client.who_has(vip)?;
                }
            }
            let verdict = if who == [self.pair.rules.mode.mac(master)] {
                Ok(())
            } else {
                Err(format!("{who:02x?} answer for {vip}, and {master} is Master"))
            };
            self.judge(from, lab::now(), verdict)?;
            let mut reached = false;
            for _ in 0..ATTEMPTS {
                let number = self.rng.u16(..);
                reached = reached || self.pair.client.reaches(vip, number)?;
            }
            let verdict =
                if reached { Ok(()) } else { Err(format!("the client does not reach {vip}")) };
            self.judge(from, lab::now(), verdict)?;
        }
        self.unchanged(from, lab::now())
    }
}

/// Sleeps until a moment, and a little longer: by then the observer has written down what happened before it.
pub(crate) fn wait_until(at: Duration) {
    let observer = Duration::from_millis(5);
    std::thread::sleep((at + observer).saturating_sub(lab::now()));
}

/// The Master of the end of a time, and since when nothing changed.
pub(crate) fn outcome(
    timeline: &Timeline,
    from: Duration,
    to: Duration,
) -> Result<(Side, Duration), String> {
    let events = timeline.between(from, to);
    let last = events.iter().rev().find_map(|event| match event.what {
        What::Advertisement { from, priority: 1.. } => Some((from, event.at)),
        _ => None,
    });
    let Some((master, last)) = last else { return Err("nobody advertises".to_owned()) };
    if to.saturating_sub(last) > LONGEST_SILENCE {
        return Err(format!("{master} was the last to advertise and is silent"));
    }
    let (mut settled, mut previous) = (from, None);
    for event in &events {
        match event.what {
            What::Advertisement { from: who, priority: 1.. } if who == master => {
                // Its first one, or the first after a pause.
                if previous.is_none_or(|previous| event.at > previous + LONGEST_SILENCE) {
                    settled = settled.max(event.at);
                }
                previous = Some(event.at);
            }
            What::Advertisement { .. } | What::Address { .. } => settled = settled.max(event.at),
            What::Announcement { .. } | What::Act(_) | What::Said { .. } => {}
        }
    }
    let held = timeline.held(to);
    for side in Side::BOTH {
        if held[side.index()] != [side == master; VIPS.len()] {
            return Err(format!("{master} is Master, and {side} has {:?}", held[side.index()]));
        }
    }
    Ok((master, settled))
}

fn describe(outcome: &Result<(Side, Duration), String>, healed: Duration) -> String {
    match outcome {
        Ok((master, settled)) => {
            format!("{master} is Master since {:?}", settled.saturating_sub(healed))
        }
        Err(wrong) => wrong.clone(),
    }
}

fn unchanged(
    timeline: &Timeline,
    master: Side,
    from: Duration,
    to: Duration,
) -> Result<(), String> {
    let earlier = timeline.advertisements(master, Duration::ZERO, from);
    let mut previous = earlier.last().copied().unwrap_or(from);
    for event in timeline.between(from, to) {
        match &event.what {
            What::Advertisement { from, priority: 1.. } if *from == master => {
                if event.at > previous + LONGEST_SILENCE {
                    return Err(format!(
                        "{master} was silent for {:?}",
                        event.at.saturating_sub(previous)
                    ));
                }
                previous = event.at;
            }
            what @ (What::Advertisement { .. } | What::Address { .. }) => {
                return Err(what.to_string());
            }
            What::Announcement { .. } | What::Act(_) | What::Said { .. } => {}
        }
    }
    if to > previous + LONGEST_SILENCE {
        return Err(format!("{master} is silent for {:?}", to.saturating_sub(previous)));
    }
    Ok(())
}
