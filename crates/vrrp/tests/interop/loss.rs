//! Two Masters where packets are lost: no longer than the protocol allows, whoever the other router is.

use core::time::Duration;

use crate::combination::{Combination, Peer, Rank};
use crate::stage::{Stage, Step};
use crate::wire::{Heard, Who};

const HIGH: u8 = 200;
const LOW: u8 = 100;
/// What a process may need from a delivered packet to its reaction on the wire.
const REACTION: Duration = Duration::from_millis(15);
/// Captures tell when a packet passed, timers start when it is read.
const EARLY: Duration = Duration::from_millis(2);
/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_millis(200);

#[test]
fn half_of_all_advertisements_lost() {
    lab::need!(netns, keepalived, frr, nftables);
    let _measuring = lab::time_lock();
    let peers = [Combination::new(Peer::Keepalived), Combination::new(Peer::Frr)];
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = peers
            .iter()
            .flat_map(|line| [Who::We, Who::They].map(|above| (line, above)))
            .map(|(line, above)| (line, above, scope.spawn(move || lossy(*line, above))))
            .collect();
        let failed = runs.into_iter().filter_map(|(line, above, run)| {
            Some(format!("{line}, {above:?} above: {}", run.join().unwrap().err()?))
        });
        failed.collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// 150 advertisements of `above`, every other of them lost; so is what the lower one sends when it has heard nothing
/// for long enough. It may lead then, until one is delivered.
fn lossy(line: Combination, above: Who) -> Step {
    const NUMBER: usize = 150;
    let below = above.other();
    let mut stage = Stage::new(line);
    stage.start(above, Rank::new(HIGH))?;
    stage.wait("the first Master", |stage| stage.holds(above)?.then_some(()))?;
    stage.start(below, Rank::new(LOW))?;
    stage.remains(above, 5)?;
    stage.lose(50);
    let begin = stage.heard.last().unwrap().at;
    let of = |list: &[Heard], who: Who| -> Vec<Duration> {
        let sent = list.iter().filter(|heard| heard.from == who && heard.at > begin);
        sent.map(|heard| heard.at).collect()
    };
    // A few hundred milliseconds at a time: nothing but the capture knows when it is over.
    while of(&stage.heard, above).len() < NUMBER {
        let number = of(&stage.heard, above).len();
        stage.wait("more advertisements", |stage| {
            (of(&stage.heard, above).len() > number).then_some(())
        })?;
    }
    let seen = Seen {
        led: of(&stage.heard, above),
        delivered: of(&stage.delivered, above),
        usurped: of(&stage.heard, below),
    };
    println!(
        "{line}, {above:?} above: {} advertisements of the lower priority",
        seen.usurped.len()
    );
    seen.judge(line.interval, allowed(line, below, line.down(LOW)))
}

/// Moments of advertisements.
struct Seen {
    /// Of the higher priority, as they were sent.
    led: Vec<Duration>,
    /// Those that the lower one got.
    delivered: Vec<Duration>,
    /// Of the lower priority, as they were sent.
    usurped: Vec<Duration>,
}

impl Seen {
    fn judge(&self, interval: Duration, down: Duration) -> Step {
        let Self { led, delivered, usurped } = self;
        if usurped.is_empty() {
            return Err("nothing was ever lost for long enough".to_owned());
        }
        // What loses changes nothing for the Master: it goes on in time, also while the other one speaks.
        if let Some(gap) = led.windows(2).find(|pair| pair[1] - pair[0] > interval + SLACK) {
            return Err(format!("the Master paused for {:?}", gap[1] - gap[0]));
        }
        for at in usurped {
            let Some(last) = delivered.iter().rfind(|last| *last <= at) else { continue };
            let since = *at - *last;
            if since > REACTION && since + EARLY < down {
                return Err(format!(
                    "the lower priority advertised {since:?} after the higher one was delivered"
                ));
            }
        }
        // And nobody waits for ever.
        for gap in delivered.windows(2).filter(|pair| pair[1] - pair[0] > down + SLACK) {
            if !usurped.iter().any(|at| (gap[0]..gap[1]).contains(at)) {
                return Err(format!("nobody took over in {:?} of silence", gap[1] - gap[0]));
            }
        }
        Ok(())
    }
}

#[test]
fn what_is_not_allowed_is_seen() {
    const INTERVAL: Duration = Duration::from_millis(100);
    const DOWN: Duration = Duration::from_millis(360);
    let moments =
        |list: &[u64]| list.iter().map(|at| Duration::from_millis(*at)).collect::<Vec<_>>();
    let judge = |led: &[u64], delivered: &[u64], usurped: &[u64]| {
        let seen =
            Seen { led: moments(led), delivered: moments(delivered), usurped: moments(usurped) };
        seen.judge(INTERVAL, DOWN)
    };
    let every: Vec<u64> = (0..10).map(|number| number * 100).collect();
    assert_eq!(judge(&every, &[0, 500], &[361, 461, 501]), Ok(()));
    let early = judge(&every, &[0, 200], &[361]);
    assert!(early.unwrap_err().contains("161ms after the higher"));
    let on = judge(&every, &[0, 500], &[361, 461, 561]);
    assert!(on.unwrap_err().contains("61ms after the higher"));
    assert!(judge(&[0, 100, 500], &[0, 500], &[361]).unwrap_err().contains("paused for 400ms"));
    assert!(judge(&every, &[0, 900], &[1_261]).unwrap_err().contains("nobody took over"));
}

/// How soon a router may take over.
fn allowed(line: Combination, who: Who, down: Duration) -> Duration {
    // FRR computes in whole centiseconds, and rounds down.
    let rounds = who == Who::They && line.peer == Peer::Frr;
    down - if rounds { Duration::from_millis(10) } else { Duration::ZERO }
}
