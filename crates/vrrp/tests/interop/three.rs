//! Three routers of three makers: the election is one election.

use crate::combination::{Auth, Combination, Peer, Rank};
use crate::stage::{Stage, Step};
use crate::wire::Who;

/// How many elections are held at the same time.
const CROWD: usize = 6;

#[test]
fn ours_keepalived_and_frr_in_every_order() {
    lab::need!(netns, keepalived, frr);
    let _measuring = lab::time_lock();
    let line = Combination::new(Peer::Keepalived);
    let (we, they, third) = (Who::We, Who::They, Who::Third);
    let rotations = [[we, they, third], [they, third, we], [third, we, they]];
    let all =
        rotations.into_iter().chain([[we, third, they], [they, we, third], [third, they, we]]);
    let runs: Vec<(Combination, [Who; 3])> = all
        .map(|order| (line, order))
        .chain(rotations.map(|order| (line.six(), order)))
        .chain(rotations.map(|order| (line.two(Auth::None), order)))
        .collect();
    let mut failures: Vec<String> = Vec::new();
    for runs in runs.chunks(CROWD) {
        std::thread::scope(|scope| {
            let running: Vec<_> = runs
                .iter()
                .map(|(line, order)| (line, order, scope.spawn(|| play(*line, *order))))
                .collect();
            failures.extend(running.into_iter().filter_map(|(line, order, run)| {
                Some(format!("{line}, {order:?}: {}", run.join().unwrap().err()?))
            }));
        });
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// All start, the least first; the Masters lose their power one after the other, and return in the same order.
fn play(line: Combination, order: [Who; 3]) -> Step {
    let rank = |who: Who| {
        let place = order.iter().position(|other| *other == who).unwrap();
        Rank::new([200, 150, 100][place])
    };
    let [first, second, third] = order;
    let mut stage = Stage::of_three(line);
    for who in [third, second, first] {
        stage.start(who, rank(who))?;
    }
    stage.settle(first, 0)?;
    for (dies, heir) in [(first, second), (second, third)] {
        stage.power_off(dies);
        stage.listen();
        let since = stage.heard.len();
        stage.settle(heir, since)?;
    }
    for who in [first, second] {
        stage.power_on(who);
        stage.listen();
        let since = stage.heard.len();
        stage.start(who, rank(who))?;
        stage.settle(first, since)?;
    }
    stage.remains(first, 5)?;
    stage.listen();
    let since = stage.heard.len();
    stage.stop(first)?;
    stage.settle(second, since)?;
    Ok(())
}
