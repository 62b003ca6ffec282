//! One virtual router against packets and time: RFC 9568 §6.4, as a user of the crate sees it.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;

use common::*;
use vrrp_fsm::{Output, Reason, State, Wanted};

#[test]
fn a_backup_becomes_master_after_silence_and_advertises_every_interval() {
    let mut host = Host::started(config(100), "192.0.2.2");
    assert_eq!(host.router.state(), State::Backup);
    // 3 s and a skew of 156/256 s.
    let promotion = at(3_609_375_000);
    assert_eq!(host.router.poll_timeout(), Some(promotion));
    host.take_log();
    host.timeout(promotion);
    let log = host.take_log();
    assert!(matches!(
        log[..],
        [
            Output::Send(_),
            Output::SetAddresses { wanted: Wanted::All, .. },
            Output::StateChanged {
                from: State::Backup,
                to: State::Master,
                reason: Reason::MasterSilent,
                term: 1
            }
        ]
    ));
    for second in 1..5 {
        let due = promotion + SECOND * second;
        assert_eq!(host.router.poll_timeout(), Some(due));
        host.timeout(due);
        assert!(matches!(host.take_log()[..], [Output::Send(_)]));
    }
}

#[test]
fn advertisements_of_a_better_master_keep_a_backup_quiet() {
    let mut host = Host::started(config(100), "192.0.2.2");
    let better = advertisement(config(100), "192.0.2.3", 200);
    for second in 1..20 {
        host.receive(at(0) + SECOND * second, &better).unwrap();
        let down_at = at(0) + SECOND * second + Duration::from_micros(3_609_375);
        assert_eq!(host.router.poll_timeout(), Some(down_at));
    }
    assert_eq!(host.router.state(), State::Backup);
    assert_eq!(host.router.statistics().advertisements_received, 19);
}
