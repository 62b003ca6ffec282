//! Guards: who is asked before a silent Master is replaced. Here the line between two routers that both live is cut.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use vrrp::{
    AddressFamily, GuardConfig, Question, Reason, RunningRouter, Statistics, Verdict,
    VirtualRouter, Vrid,
};

use crate::paths::cut;
use crate::support::{INTERVAL, PATIENCE, Pair, SLACK, VIP, advertisement, has, next, wait, web};
use crossbeam_channel::{Receiver, Sender};

/// Longer than any test: who waits for it has to be answered.
const LONG: Duration = Duration::from_secs(60);

fn statistics(router: &RunningRouter) -> Statistics {
    router.status().unwrap().virtual_router("web").unwrap().statistics
}

/// A guard that asks the test.
struct Asked {
    questions: Receiver<Question>,
    verdicts: Sender<Verdict>,
}

fn guarded(config: GuardConfig) -> (VirtualRouter, Asked) {
    let (ask, questions) = crossbeam_channel::unbounded();
    let (verdicts, answers) = crossbeam_channel::unbounded();
    let guard = move |question: &Question| {
        ask.send(question.clone()).unwrap();
        answers.recv().unwrap_or(Verdict::Veto)
    };
    (web(100).guard(config, guard), Asked { questions, verdicts })
}

impl Asked {
    fn next(&self) -> Question {
        self.questions.recv_timeout(PATIENCE).expect("a question")
    }
}

#[test]
fn a_veto_keeps_a_backup_that_hears_nothing_from_being_a_second_master() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let (backup, asked) = guarded(GuardConfig::new(LONG, Verdict::Promote));
    let b = pair.start_b(backup);
    let wire = pair.capture();
    next(&wire, 1, 200);
    cut(&pair.switch, true);
    for _ in 0..4 {
        let question = asked.next();
        assert_eq!(question.name.as_ref(), "web");
        assert_eq!(question.addresses, ["192.0.2.100".parse::<core::net::IpAddr>().unwrap()]);
        assert_eq!((question.reason, question.deadline), (Reason::MasterSilent, LONG));
        asked.verdicts.send(Verdict::Veto).unwrap();
    }
    asked.next();
    assert!(has(&pair.a, VIP) && !has(&pair.b, VIP), "one Master");
    assert!(wire.drain().iter().filter_map(advertisement).all(|seen| seen.from == 1));
    let counted = statistics(&b);
    assert_eq!((counted.promotions_asked, counted.promotions_vetoed), (5, 4));

    // The control: the same with another verdict.
    asked.verdicts.send(Verdict::Promote).unwrap();
    wait(&pair.b, VIP, true);
    assert!(has(&pair.a, VIP), "two Masters");
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn nobody_is_asked_about_a_master_that_leaves() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let (backup, asked) = guarded(GuardConfig::new(LONG, Verdict::Veto));
    let b = pair.start_b(backup);
    let wire = pair.capture();
    next(&wire, 1, 200);
    a.shutdown().unwrap();
    wait(&pair.b, VIP, true);
    assert!(asked.questions.try_recv().is_err());
    b.shutdown().unwrap();
}

#[test]
fn a_guard_that_hangs_stops_nothing_and_the_default_counts() {
    lab::need!(netns);
    let _measuring = lab::time_lock();
    for default in [Verdict::Promote, Verdict::Veto] {
        let pair = Pair::new();
        let a = pair.start_a(web(200));
        wait(&pair.a, VIP, true);
        let (backup, asked) = guarded(GuardConfig::new(INTERVAL * 2, default));
        let other = VirtualRouter::new("other", Vrid::new(52).unwrap(), "eth0")
            .advertisement_interval(INTERVAL)
            .address("192.0.2.152/24".parse().unwrap())
            .candidate(true);
        let members = [backup, other];
        let start = || pair.builder().virtual_routers(members).start();
        let b = pair.b.run(start).unwrap();
        wait(&pair.b, "192.0.2.152/24", true);
        cut(&pair.switch, true);
        let wire = pair.capture();
        asked.next();
        // It is never answered; the default counts twice, if it is a veto.
        match default {
            Verdict::Promote => wait(&pair.b, VIP, true),
            Verdict::Veto => {
                let missed = || (statistics(&b).verdicts_missed >= 2).then_some(());
                lab::eventually(PATIENCE, missed).expect("the default counts");
                assert!(!has(&pair.b, VIP));
            }
        }
        let frames = wire.drain();
        let others = frames.iter().filter_map(advertisement).filter(|seen| seen.vrid == 52);
        let others: Vec<_> = others.collect();
        let longest = others.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap();
        assert!(longest < INTERVAL + SLACK, "the longest gap is {longest:?}");
        // Not even the end waits for it.
        b.shutdown().unwrap();
        assert!(!has(&pair.b, VIP));
        a.shutdown().unwrap();
        drop(asked);
    }
}

#[test]
fn a_guard_that_panics_is_asked_again() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let times = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&times);
    let guard = move |_: &Question| {
        let time = {
            let mut times = counter.lock().unwrap();
            *times += 1;
            *times
        };
        assert!(time > 1, "the first time it panics, which this test wants");
        Verdict::Promote
    };
    let config = GuardConfig::new(Duration::from_secs(1), Verdict::Veto);
    let b = pair.start_b(web(100).guard(config, guard));
    cut(&pair.switch, true);
    wait(&pair.b, VIP, true);
    assert_eq!(*times.lock().unwrap(), 2);
    assert_eq!(statistics(&b).verdicts_missed, 1);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}

#[test]
fn a_guard_is_changed_at_run_time() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(web(200));
    wait(&pair.a, VIP, true);
    let (backup, asked) = guarded(GuardConfig::new(LONG, Verdict::Veto));
    let b = pair.start_b(backup.clone().family(AddressFamily::Ipv4));
    // The same guard goes on, here with more patience than the next question needs.
    b.handle().apply(backup.priority(90)).unwrap();
    cut(&pair.switch, true);
    asked.next();
    asked.verdicts.send(Verdict::Veto).unwrap();
    asked.next();
    assert!(!has(&pair.b, VIP));
    b.handle().apply(web(100)).unwrap();
    wait(&pair.b, VIP, true);
    a.shutdown().unwrap();
    b.shutdown().unwrap();
}
