//! Two routers elect one of them: watched on the switch and in the kernels' address tables.

use core::time::Duration;

use crate::support::{PATIENCE, Pair, VRID, advertisement, has, wait, web};

#[test]
fn the_higher_priority_wins_and_a_shutdown_hands_over_after_the_skew() {
    lab::need!(netns);
    let pair = Pair::new();
    let _measuring = lab::time_lock();
    let wire = pair.capture();
    let b = pair
        .b
        .run(|| {
            pair.builder().run_directory(pair.run.path().join("b")).virtual_router(web(100)).start()
        })
        .unwrap();
    wait(&pair.b, "192.0.2.100/24", true);
    let a = pair
        .a
        .run(|| {
            pair.builder().run_directory(pair.run.path().join("a")).virtual_router(web(200)).start()
        })
        .unwrap();
    // Preemption: the lower one yields to the higher one's first advertisement.
    wait(&pair.a, "192.0.2.100/24", true);
    wait(&pair.b, "192.0.2.100/24", false);
    wire.drain().unwrap();

    a.shutdown().unwrap();
    assert!(!has(&pair.a, "192.0.2.100"));
    let released = wire
        .find(PATIENCE, |frame| (advertisement(frame) == Some((1, VRID, 0))).then_some(frame.at))
        .unwrap()
        .expect("an advertisement with priority 0");
    let taken = wire
        .find(PATIENCE, |frame| (advertisement(frame) == Some((2, VRID, 100))).then_some(frame.at))
        .unwrap()
        .expect("the other one's advertisement");
    let skew = Duration::from_millis(50) * (256 - 100) / 256;
    let late = (taken - released).checked_sub(skew);
    assert!(
        late.is_some_and(|late| late < Duration::from_millis(20)),
        "{:?}, skew {skew:?}",
        taken - released
    );
    wait(&pair.b, "192.0.2.100/24", true);
    b.shutdown().unwrap();
    assert!(!has(&pair.b, "192.0.2.100"));
}
