//! Alone in its process, because it takes the descriptors away.

use core::time::Duration;

use healthcheck::{Check, CheckId, Driver, Kind, Local, Outcome, Timing};
use reactor::{Clock, Events, Interest, Reactor, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn without_descriptors_a_run_is_tried_again_later() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut driver = Driver::new(1).unwrap();
    let mut reactor = Reactor::new().unwrap();
    let mut events = Events::with_capacity(4);
    reactor.register(&driver, Interest::Readable, Token(0)).unwrap();
    let mut now = Clock::now();
    let timing = Timing::new().start_jitter(Duration::ZERO).retry_interval(Duration::from_secs(1));
    driver.add(
        now,
        CheckId(1),
        Check::new(listener.local_addr().unwrap(), Kind::Tcp).timing(timing),
    );

    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: before.maximum }).unwrap();
    driver.process(now).unwrap();
    setrlimit(Resource::Nofile, before).unwrap();

    assert_eq!(driver.poll_event(), None);
    let status = driver.status(CheckId(1)).unwrap();
    assert_eq!((status.outcome, status.has_run, status.deferred), (Outcome::Up, false, 1));
    assert!(matches!(status.last_deferral, Some(Local::Socket { .. })), "{status:?}");

    now += Duration::from_secs(1);
    assert_eq!(driver.poll_timeout(), Some(now));
    driver.process(now).unwrap();
    while driver.running() > 0 {
        reactor.wait(Some(Clock::now() + Duration::from_secs(30)), &mut events).unwrap();
        assert!(events.next(&reactor).is_some(), "the connection did not come about");
        driver.process(now).unwrap();
    }
    assert_eq!(driver.poll_event().map(|event| event.outcome), Some(Outcome::Up));
}
