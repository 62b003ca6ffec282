//! The schedule in virtual time.

use core::num::NonZeroU32;
use core::time::Duration;
use std::time::Instant;

use healthcheck::{Change, Outcome, Schedule, Timing};
use proptest::prelude::*;
use reactor::Clock;

const INTERVAL: Duration = Duration::from_secs(6);
const RETRY: Duration = Duration::from_secs(2);

fn timing() -> Timing {
    Timing::new().interval(INTERVAL).retry_interval(RETRY).retries(2).start_jitter(Duration::ZERO)
}

/// Runs the schedule over `results` (`u`p, `d`own, `x` deferred), each run taking half a second; returns what each did and
/// the pause to the next run.
fn play(timing: Timing, results: &str) -> Vec<(Change, Duration)> {
    let mut now = Clock::now();
    let mut schedule = Schedule::new(now, timing, 1);
    results
        .chars()
        .map(|result| {
            now = schedule.poll_timeout().expect("a run is due");
            assert_eq!(schedule.handle_started(now), now + Duration::from_secs(2));
            assert_eq!(schedule.poll_timeout(), None);
            now += Duration::from_millis(500);
            let change = match result {
                'u' => schedule.handle_result(now, Outcome::Up),
                'd' => schedule.handle_result(now, Outcome::Down),
                _ => {
                    schedule.handle_deferred(now);
                    Change::None
                }
            };
            (change, schedule.poll_timeout().expect("a next run") - now)
        })
        .collect()
}

const UP: Change = Change::To(Outcome::Up);
const DOWN: Change = Change::To(Outcome::Down);

#[test]
fn an_up_server_goes_down_after_the_retries_and_comes_back_with_one_success() {
    assert_eq!(
        play(timing(), "uuddduud"),
        [
            (Change::Confirmed, INTERVAL),
            (Change::None, INTERVAL),
            (Change::None, RETRY),
            (Change::None, RETRY),
            (DOWN, INTERVAL),
            (UP, INTERVAL),
            (Change::None, INTERVAL),
            (Change::None, RETRY),
        ]
    );
}

#[test]
fn a_success_in_between_starts_the_count_again() {
    let changes: Vec<_> =
        play(timing(), "uddudduddd").into_iter().map(|(change, _)| change).collect();
    assert_eq!(changes.iter().position(|&change| change == DOWN), Some(9));
}

#[test]
fn no_retries_while_down() {
    assert_eq!(
        play(timing(), "uddddd")[4..],
        [(Change::None, INTERVAL), (Change::None, INTERVAL)],
        "failures of a down server are as expected and come at the usual interval"
    );
}

#[test]
fn the_first_failure_decides_unless_told_otherwise() {
    assert_eq!(play(timing(), "d"), [(DOWN, INTERVAL)]);
    let patient = timing().first_failure_decides(false);
    assert_eq!(
        play(patient, "ddd"),
        [(Change::None, RETRY), (Change::None, RETRY), (DOWN, INTERVAL)]
    );
}

#[test]
fn a_server_that_starts_down_needs_a_success() {
    let careful = timing().initial(Outcome::Down);
    assert_eq!(play(careful, "du"), [(Change::Confirmed, INTERVAL), (UP, INTERVAL)]);
    let twice = careful.rise(NonZeroU32::new(2).unwrap());
    assert_eq!(
        play(twice, "udu"),
        [(Change::None, RETRY), (Change::None, INTERVAL), (Change::None, RETRY)]
    );
    assert_eq!(play(twice, "uu"), [(Change::None, RETRY), (UP, INTERVAL)]);
}

#[test]
fn a_deferred_run_is_no_result() {
    assert_eq!(
        play(timing(), "xddxd"),
        [
            (Change::None, RETRY),
            (DOWN, INTERVAL),
            (Change::None, INTERVAL),
            (Change::None, RETRY),
            (Change::None, INTERVAL)
        ],
        "after a deferral the first result is still the first"
    );
    assert_eq!(
        play(timing(), "uddxd")[4],
        (DOWN, INTERVAL),
        "nor does it forgive the failures before it"
    );
}

#[test]
fn zeros_do_not_make_a_busy_loop() {
    let zeros = timing().interval(Duration::ZERO).retry_interval(Duration::ZERO);
    assert!(play(zeros, "udxd").iter().all(|&(_, pause)| pause == Duration::from_millis(1)));
}

#[test]
fn first_runs_are_spread_and_the_seed_decides() {
    let start = Clock::now();
    let timing = timing().start_delay(Duration::from_secs(1)).start_jitter(Duration::from_secs(60));
    let first = |seed| Schedule::new(start, timing, seed).poll_timeout().unwrap() - start;
    let mut minutes = [0_u32; 6];
    for seed in 0..6_000 {
        let at = first(seed);
        assert!((1..=61).contains(&at.as_secs()), "{at:?}");
        assert_eq!(at, first(seed));
        let tenth = usize::try_from((at.as_millis() - 1_000) / 10_000).unwrap();
        minutes[tenth.min(5)] += 1;
    }
    assert!(minutes.iter().all(|count| (800..1_200).contains(count)), "not spread: {minutes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// The rule said another way: an up server is down when the last `retries + 1` results are failures, a down one is up when
    /// the last `rise` are successes.
    #[test]
    fn agrees_with_the_rule(
        results in proptest::collection::vec(any::<bool>(), 1..60),
        retries in 0..4_u32,
        rise in 1..4_u32,
        starts_up in any::<bool>(),
    ) {
        let start: Instant = Clock::now();
        let initial = if starts_up { Outcome::Up } else { Outcome::Down };
        let timing = timing()
            .retries(retries)
            .rise(NonZeroU32::new(rise).unwrap())
            .initial(initial)
            .first_failure_decides(false);
        let mut schedule = Schedule::new(start, timing, 0);
        let mut expected = initial;
        for end in 1..=results.len() {
            let up = results[end - 1];
            let change = schedule.handle_result(start, if up { Outcome::Up } else { Outcome::Down });
            let needed = usize::try_from(if up { rise } else { retries + 1 }).unwrap();
            let tail = results[..end].iter().rev().take_while(|&&r| r == up).count();
            let before = expected;
            if tail >= needed {
                expected = if up { Outcome::Up } else { Outcome::Down };
            }
            prop_assert_eq!(schedule.outcome(), expected);
            prop_assert_eq!(matches!(change, Change::To(_)), before != expected);
            prop_assert_eq!(schedule.has_run(), true);
        }
    }
}

#[test]
fn intervals_from_the_start_keep_their_grid() {
    let from_start = timing().from_start(true);
    // The run takes half a second.
    let pauses = |timing: Timing, results: &str| -> Vec<_> {
        play(timing, results).into_iter().map(|(_, pause)| pause).collect()
    };
    let expected = [5500, 5500, 1500].map(Duration::from_millis);
    assert_eq!(pauses(from_start, "uud"), expected);
    // Longer than the interval: the starts in between go by, none is made up for.
    let short = from_start.interval(Duration::from_millis(200));
    assert_eq!(pauses(short, "uu"), [Duration::from_millis(100); 2]);
    assert_eq!(pauses(short.from_start(false), "u"), [Duration::from_millis(200)]);
}

#[test]
fn jitter_lengthens_pauses_and_differs() {
    let most = Duration::from_secs(1);
    let pauses: Vec<_> =
        play(timing().jitter(most), "uuuuuuuu").into_iter().map(|(_, pause)| pause).collect();
    assert!(pauses.iter().all(|pause| (INTERVAL..=INTERVAL + most).contains(pause)), "{pauses:?}");
    assert!(pauses.windows(2).any(|pair| pair[0] != pair[1]), "{pauses:?}");
}

#[test]
fn the_first_success_may_decide() {
    let three = NonZeroU32::new(3).unwrap();
    let down = timing().initial(Outcome::Down).rise(three);
    let changes = |timing: Timing, results: &str| -> Vec<_> {
        play(timing, results).into_iter().map(|(change, _)| change).collect()
    };
    let none = Change::None;
    assert_eq!(changes(down, "uuu"), [none, none, UP]);
    let first = down.first_success_decides(true);
    assert_eq!(changes(first, "u"), [UP]);
    assert_eq!(changes(first, "duuu"), [Change::Confirmed, none, none, UP], "the very first only");
}

#[test]
fn fall_and_keepalived_s_rule_are_other_names() {
    let two = NonZeroU32::new(2).unwrap();
    assert_eq!(timing().fall(two), timing().retries(1));
    let theirs = timing().rise(two).first_failure_decides(false).keepalived_retry(2, RETRY);
    assert_eq!(theirs, timing());
    let changes: Vec<_> = play(theirs, "dudddu").into_iter().map(|(change, _)| change).collect();
    assert_eq!(changes, [DOWN, UP, Change::None, Change::None, DOWN, UP]);
}

#[test]
fn a_run_that_is_hastened_is_due_at_once() {
    let now = Clock::now();
    let mut schedule = Schedule::new(now, timing().start_delay(INTERVAL), 1);
    schedule.hasten(now + RETRY);
    assert_eq!(schedule.poll_timeout(), Some(now + RETRY));
    schedule.hasten(now + INTERVAL);
    assert_eq!(schedule.poll_timeout(), Some(now + RETRY), "never later");
    schedule.handle_started(now + RETRY);
    schedule.hasten(now + RETRY);
    assert_eq!(schedule.poll_timeout(), None, "a run is under way");
}
