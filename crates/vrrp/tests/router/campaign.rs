//! Elections as an embedder holds them.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::Arc;

use vrrp::{CampaignError, State};

use crate::support::{INTERVAL, PATIENCE, Pair, VIP, has, next, observer, wait, web};

#[test]
fn campaign_returns_with_the_address_present_and_dropping_resigns() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(observer(100));
    let wire = pair.capture();
    assert!(!has(&pair.a, VIP), "it only observes");
    let leadership = a.election("web").unwrap().campaign().unwrap();
    assert!(has(&pair.a, VIP), "present when campaign() returns");
    assert_eq!((leadership.term(), leadership.fencing_token()), (1, None));
    drop(leadership);
    next(&wire, 1, 0);
    wait(&pair.a, VIP, false);
    // No candidate any more: nobody becomes Master again by himself.
    assert_eq!(a.status().unwrap().virtual_router("web").unwrap().state, State::Initialize);
    let again = a.election("web").unwrap().campaign().unwrap();
    assert_eq!(again.term(), 2);
    assert!(again.resign(PATIENCE));
    assert!(!has(&pair.a, VIP), "gone when resign() returns");
    a.shutdown().unwrap();
}

#[test]
fn losing_is_told_and_ends_the_candidacy() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(observer(100));
    let leadership = a.election("web").unwrap().campaign().unwrap();
    let b = pair.start_b(web(200));
    let lost = leadership.lost().recv_timeout(PATIENCE).expect("told");
    assert_ne!(lost.state, State::Master);
    assert!(
        leadership.lost().recv_timeout(PATIENCE).is_err(),
        "once; afterwards the channel is closed"
    );
    wait(&pair.a, VIP, false);
    b.shutdown().unwrap();
    wait(&pair.b, VIP, false);
    // Nobody serves on a: it does not take over although the other has gone.
    let status = a.status().unwrap();
    assert!(!status.virtual_router("web").unwrap().candidate);
    assert!(!has(&pair.a, VIP));
    let again = a.election("web").unwrap().campaign().unwrap();
    drop(leadership);
    assert!(
        again.lost().recv_timeout(INTERVAL * 3).is_err_and(|error| error.is_timeout()),
        "the old one's end is not the new one's"
    );
    assert!(has(&pair.a, VIP));
    drop(again);
    a.shutdown().unwrap();
}

#[test]
fn a_campaign_that_times_out_says_why_and_withdraws() {
    lab::need!(netns);
    let pair = Pair::new();
    let b = pair.start_b(web(200));
    wait(&pair.b, VIP, true);
    let a = pair.start_a(observer(100));
    let refused = a.election("web").unwrap().campaign_timeout(INTERVAL * 5).unwrap_err();
    let CampaignError::Timeout { why, .. } = &refused else { panic!("{refused:?}") };
    assert!(why.contains("192.0.2.2"), "it names the Master: {why}");
    assert!(matches!(a.election("web").unwrap().try_lead(), Err(CampaignError::NotMaster { .. })));
    b.shutdown().unwrap();
    let withdrawn =
        || (!a.status().unwrap().virtual_router("web").unwrap().candidate).then_some(());
    lab::eventually(PATIENCE, withdrawn).expect("no candidate any more");
    assert!(!has(&pair.a, VIP));
    a.shutdown().unwrap();
}

#[test]
fn a_service_that_is_not_ready_is_no_candidate() {
    lab::need!(netns);
    let pair = Pair::new();
    let a = pair.start_a(observer(100));
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let ready = move || counter.fetch_add(1, Ordering::Relaxed) >= 3;
    let leadership = a.election("web").unwrap().ready(ready).campaign().unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    drop(leadership);
    let never =
        a.election("web").unwrap().ready(|| false).campaign_timeout(Duration::from_millis(150));
    assert!(matches!(never, Err(CampaignError::Timeout { .. })), "{never:?}");
    a.shutdown().unwrap();
}

#[test]
fn shutting_down_ends_campaigns_and_leaderships() {
    lab::need!(netns);
    let pair = Pair::new();
    let b = pair.start_b(web(200));
    wait(&pair.b, VIP, true);
    let a = pair.start_a(observer(100));
    let election = a.election("web").unwrap();
    let waiting =
        std::thread::spawn(move || election.campaign().map(|leadership| leadership.term()));
    lab::eventually(PATIENCE, || {
        a.status().unwrap().virtual_router("web").unwrap().candidate.then_some(())
    })
    .unwrap();
    a.shutdown().unwrap();
    assert_eq!(waiting.join().unwrap(), Err(CampaignError::Stopped));
    let lead = b.election("web").unwrap().try_lead().unwrap();
    b.shutdown().unwrap();
    let lost = lead.lost().recv_timeout(PATIENCE).expect("told why");
    assert_ne!(lost.state, State::Master, "what is now, not what was: {lost}");
    assert!(lead.lost().recv_timeout(PATIENCE).is_err_and(|error| error.is_disconnected()));
    assert!(!has(&pair.b, VIP));
}

#[test]
fn a_router_is_stepped_in_somebody_elses_loop() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    lab::need!(netns);
    let pair = Pair::new();
    let mut router = pair.a.run(|| pair.builder().virtual_router(web(100)).build()).unwrap();
    let mut turns = 0;
    while router.status().virtual_router("web").unwrap().state != State::Master {
        let wait = router.poll_timeout().expect("a Backup has a deadline");
        let wait = wait.saturating_duration_since(reactor::Clock::now());
        let timeout = Timespec::try_from(wait).unwrap();
        poll(&mut [PollFd::new(&router, PollFlags::IN)], Some(&timeout)).unwrap();
        router.process().unwrap();
        turns += 1;
        assert!(turns < 1000, "{:?}", router.status());
    }
    assert!(has(&pair.a, VIP));
    drop(router);
    assert!(!has(&pair.a, VIP), "dropping releases");
}
