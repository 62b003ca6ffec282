//! Pairs side by side, one fault after the other on each.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::kind::Kind;
use crate::pair::Pair;
use crate::router::Without;
use crate::rules::{Mode, Rules, Side};
use crate::stall::Stalls;
use crate::tally::Tally;
use crate::trial::{Broken, Trial};

/// So many failures, and the rest would tell nothing new.
const ENOUGH: usize = 5;
/// Some faults break what is unprotected in one of several cases only: a control run has so many.
const CONTROLS: usize = 30;
/// Then the pair ends, and another one with other rules begins.
const FAULTS_A_PAIR: usize = 30;
/// What happened so long before a fault may be its reason.
const REMEMBERED: Duration = Duration::from_secs(20);
/// What the timeline of a failure shows of the time before the fault.
const BEFORE: Duration = Duration::from_millis(500);

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) faults: usize,
    pub(crate) pairs: usize,
    pub(crate) seed: u64,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) long: bool,
}

/// What the pairs of a campaign share.
#[derive(Debug)]
struct Common {
    stalls: Stalls,
    heavy: Mutex<()>,
    thrown: AtomicU64,
    fastest: AtomicU64,
    failures: AtomicUsize,
    begun: AtomicUsize,
    /// How many pairs there were of which configuration.
    pairs: Mutex<BTreeMap<String, usize>>,
}

impl Campaign {
    pub(crate) fn run(&self) -> ExitCode {
        let begin = Instant::now();
        println!(
            "{} faults on {} pairs, seed {} (replay pair N alone with --seed {}+N --pairs 1)",
            self.faults, self.pairs, self.seed, self.seed
        );
        let stalls = Stalls::watch().expect("threads can be started");
        let common = Common {
            stalls,
            heavy: Mutex::new(()),
            thrown: AtomicU64::new(0),
            fastest: AtomicU64::new(0),
            failures: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            pairs: Mutex::default(),
        };
        let mut tally = Tally::default();
        std::thread::scope(|scope| {
            let pairs: Vec<_> = (0..self.pairs)
                .map(|number| {
                    let common = &common;
                    let seed = self.seed + u64::try_from(number).unwrap_or_default();
                    scope.spawn(move || self.soak(seed, common))
                })
                .collect();
            for pair in pairs {
                tally.add(pair.join().expect("a pair's thread does not panic"));
            }
        });
        tally.print();
        let missing = tally.missing(&self.kinds);
        if !missing.is_empty() {
            println!("never survived: {}", missing.join(", "));
        }
        let survived = tally.total(|count| count.survived);
        let [thrown, fastest] =
            [&common.thrown, &common.fastest].map(|number| number.load(Ordering::Relaxed));
        let pairs = common.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        for (configuration, number) in pairs.iter() {
            println!("{number} pairs: {configuration}");
        }
        println!("{thrown} packets were thrown, up to {fastest} a second");
        println!("{survived} faults survived in {} s", begin.elapsed().as_secs());
        let failures = common.failures.load(Ordering::Relaxed);
        if failures == 0 && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// One pair after the other, until all faults are done.
    fn soak(&self, seed: u64, common: &Common) -> Tally {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut tally = Tally::default();
        let go_on = || {
            common.failures.load(Ordering::Relaxed) < ENOUGH
                && common.begun.load(Ordering::Relaxed) < self.faults
        };
        while go_on() {
            let rules = draw_rules(&mut rng);
            let configuration = rules.to_string();
            let mut pairs = common.pairs.lock().unwrap_or_else(PoisonError::into_inner);
            *pairs.entry(configuration).or_default() += 1;
            drop(pairs);
            let name = format!("pair {seed} ({rules})");
            if let Err(text) = self.faults_on(rules, &mut rng, common, &mut tally, &go_on) {
                common.failures.fetch_add(1, Ordering::Relaxed);
                println!("{name}: {text}");
            }
        }
        tally
    }

    /// Faults on one pair, until one breaks it or there were enough; the text is for people.
    fn faults_on(
        &self,
        rules: Rules,
        rng: &mut fastrand::Rng,
        common: &Common,
        tally: &mut Tally,
        go_on: &impl Fn() -> bool,
    ) -> Result<(), String> {
        let lab = |error: std::io::Error| format!("the lab failed: {error}");
        let mut pair = Pair::new(rules, &[]).map_err(lab)?;
        let mut ready = Duration::ZERO;
        for side in Side::BOTH {
            ready = pair.start(side).map_err(lab)?;
        }
        let mut trial = Trial {
            pair: &mut pair,
            rng,
            stalls: &common.stalls,
            heavy: &common.heavy,
            thrown: &common.thrown,
            fastest: &common.fastest,
            long: self.long,
            master: Side::A,
            void: None,
            settled: Duration::ZERO,
        };
        trial
            .settle(ready, rules.one_master())
            .map_err(|broken| trial.explain("start", ready, &broken))?;
        let mut number = 0;
        // Other rules have their turn, too.
        while go_on() && number < FAULTS_A_PAIR {
            common.begun.fetch_add(1, Ordering::Relaxed);
            number += 1;
            let kind = choose(&self.kinds, trial.rng);
            trial.inflict(kind, number, tally)?;
        }
        trial.leave()
    }
}

impl Trial<'_> {
    /// One fault, counted.
    fn inflict(&mut self, kind: Kind, number: usize, tally: &mut Tally) -> Result<(), String> {
        let begin = lab::now();
        self.timeline().forget_before(begin.saturating_sub(REMEMBERED));
        self.timeline().act(format!("fault {number}: {}", kind.name()));
        self.void = None;
        let result = self.run(kind);
        let count = tally.of(kind);
        match result {
            Ok(()) if self.void.is_some() => count.void += 1,
            Ok(()) => count.survive(self.settled),
            Err(broken) => {
                count.failed += 1;
                return Err(self.explain(
                    &format!("fault {number}, {}", kind.name()),
                    begin,
                    &broken,
                ));
            }
        }
        Ok(())
    }

    /// Both routers end, and nothing of them is left.
    fn leave(&mut self) -> Result<(), String> {
        let begin = lab::now();
        let lab = |error: std::io::Error| format!("at the end: {error}");
        let (mut left, mut processes) = (Vec::new(), self.pair.processes());
        let sentinels = self.pair.sentinels().map_err(lab)?;
        if self.pair.rules.sentinel && sentinels.len() != processes.len() {
            left.push(format!("{} sentinels of {} routers", sentinels.len(), processes.len()));
        }
        processes.extend(sentinels);
        for side in Side::BOTH {
            let (_, status) = self.pair.terminate(side).map_err(lab)?;
            if !status.success() {
                left.push(format!("{side}, which ended with {status}"));
            }
        }
        for side in Side::BOTH {
            left.extend(self.pair.journals(side).map_err(lab)?);
            if self.pair.present(side).map_err(lab)?.contains(&true) {
                left.push(format!("addresses on {side}"));
            }
            let interfaces = self.pair.interfaces(side).map_err(lab)?;
            let made = interfaces.into_iter().filter(|name| name == Mode::VirtualMac.device());
            left.extend(made.map(|name| format!("interface {name} on {side}")));
        }
        let runs = |id: &u32| std::path::Path::new(&format!("/proc/{id}")).exists();
        // A sentinel ends after its router.
        let ended = || (!processes.iter().any(&runs)).then_some(());
        if lab::eventually(Duration::from_secs(5), ended).is_none() {
            left.extend(processes.iter().filter(|id| runs(id)).map(|id| format!("process {id}")));
        }
        if left.is_empty() {
            return Ok(());
        }
        let wrong = format!("left over: {}", left.join(", "));
        let broken = Broken::Verdict { from: begin, to: lab::now(), wrong };
        Err(self.explain("the end", begin, &broken))
    }

    /// What went wrong and all that is known about it.
    pub(crate) fn explain(&self, what: &str, begin: Duration, broken: &Broken) -> String {
        let (wrong, window) = match broken {
            Broken::Lab(error) => (format!("the lab failed: {error}"), String::new()),
            Broken::Verdict { from, to, wrong } => {
                let seconds = |at: &Duration| at.as_secs_f64() - begin.as_secs_f64();
                let window = format!(" (from {:.4} to {:.4} s)", seconds(from), seconds(to));
                (wrong.clone(), window)
            }
        };
        let now = lab::now();
        let said = self.pair.said();
        let timeline = self.timeline().draw(begin.saturating_sub(BEFORE), now, begin, said);
        let (stall, dropped) = self.stalls.worst(begin.saturating_sub(BEFORE), now);
        let machine = format!("longest stall {stall:?}, {dropped} packets dropped by the kernel");
        format!("FAILED at {what}: {wrong}{window}; {machine}\n{timeline}")
    }
}

/// The rules of a pair: who is better, and whether that counts.
fn draw_rules(rng: &mut fastrand::Rng) -> Rules {
    let priorities = [[200, 100], [100, 200], [100, 100], [254, 1]];
    let mode = match rng.u8(..4) {
        0 => Mode::Unicast,
        1 if lab::need::check("macvlan").is_ok() => Mode::VirtualMac,
        _ => Mode::Multicast,
    };
    let priorities = priorities[rng.usize(..priorities.len())];
    Rules { priorities, preempt: rng.bool(), mode, sentinel: rng.u8(..3) == 0 }
}

fn choose(kinds: &[Kind], rng: &mut fastrand::Rng) -> Kind {
    let all: u32 = kinds.iter().map(|kind| kind.weight()).sum();
    let mut ticket = rng.u32(..all);
    for kind in kinds {
        match ticket.checked_sub(kind.weight()) {
            Some(left) => ticket = left,
            None => return *kind,
        }
    }
    kinds[0]
}

/// One pair without the protection against each kind: the campaign has to notice.
pub(crate) fn control(kinds: &[Kind], seed: u64) -> ExitCode {
    let stalls = Stalls::watch().expect("threads can be started");
    let heavy = Mutex::new(());
    let mut unnoticed = Vec::new();
    std::thread::scope(|scope| {
        let pairs: Vec<_> = kinds
            .iter()
            .flat_map(|kind| kind.protections().iter().map(|without| (*kind, *without)))
            .map(|(kind, without)| {
                let (stalls, heavy) = (&stalls, &heavy);
                (kind, scope.spawn(move || control_one((kind, without), seed, stalls, heavy)))
            })
            .collect();
        for (kind, pair) in pairs {
            match pair.join().expect("a pair's thread does not panic") {
                Ok(text) => println!("{:<18}{text}", kind.name()),
                Err(text) => {
                    println!("{:<18}{text}", kind.name());
                    unnoticed.push(kind.name());
                }
            }
        }
    });
    if unnoticed.is_empty() {
        println!("every control failed, as it must");
        return ExitCode::SUCCESS;
    }
    println!("not noticed: {}", unnoticed.join(", "));
    ExitCode::FAILURE
}

/// How it failed; an error is that it did not, or at something else.
fn control_one(
    (kind, without): (Kind, Without),
    seed: u64,
    stalls: &Stalls,
    heavy: &Mutex<()>,
) -> Result<String, String> {
    let lab = |error: std::io::Error| format!("the lab failed: {error}");
    let mut rng = fastrand::Rng::with_seed(seed);
    // Two owners do not hear each other; else the sleeper has to be better, not to yield anyway.
    let priorities = match without {
        Without::Ears => [255, 255],
        _ => [200, 100],
    };
    let sentinel = without == Without::Sentinel;
    let rules = Rules { priorities, preempt: false, mode: Mode::Multicast, sentinel };
    let mut pair = Pair::new(rules, &[without]).map_err(lab)?;
    let first = pair.start(Side::A).map_err(lab)?;
    let mut trial = Trial {
        pair: &mut pair,
        rng: &mut rng,
        stalls,
        heavy,
        thrown: &AtomicU64::new(0),
        fastest: &AtomicU64::new(0),
        long: false,
        master: Side::A,
        void: None,
        settled: Duration::ZERO,
    };
    let mut ready = first;
    if without != Without::Ears {
        ready = trial.pair.start(Side::B).map_err(lab)?;
        trial
            .settle(ready, rules.one_master())
            .map_err(|broken| trial.explain("start", first, &broken))?;
    }
    for _ in 0..CONTROLS {
        let begin = lab::now();
        if without == Without::Ears {
            trial.pair.start(Side::B).map_err(lab)?;
        }
        match trial.run(kind) {
            Ok(()) => {}
            Err(Broken::Verdict { wrong, .. }) => {
                return Ok(format!("without {}: {wrong}", without.name()));
            }
            Err(broken) => return Err(trial.explain(&kind.name(), begin, &broken)),
        }
    }
    let _ = ready;
    Err(format!("without {}: nothing was noticed", without.name()))
}
