//! Alone in its process, because it takes the exit status of every child.

use core::time::Duration;
use std::process::Command;

use healthcheck::process::{Exit, Program};
use healthcheck::{Check, CheckId, Driver, Local, Script, Timing};
use reactor::{Clock, Events, Interest, Reactor, Token};
use rustix::process::{WaitOptions, wait};

/// What a foreign `SIGCHLD` handler does: it waits for any child.
fn reap() {
    while matches!(wait(WaitOptions::empty()), Ok(Some(_))) {}
}

#[test]
fn a_status_that_somebody_else_took_is_no_result() {
    // The control: nobody takes it.
    assert!(Command::new("/bin/true").status().is_ok_and(|status| status.success()));

    let mut child = Program::new("/bin/true").spawn(Clock::now()).expect("it starts");
    reap();
    assert_eq!(child.process(Clock::now()), Some(Exit::Lost));

    let mut driver = Driver::new(1).expect("a driver");
    let mut reactor = Reactor::new().expect("a reactor");
    let mut events = Events::with_capacity(1);
    reactor.register(&driver, Interest::Readable, Token(0)).expect("registered");
    let timing = Timing::new().start_jitter(Duration::ZERO);
    let check = Check::script(Script::new(Program::new("/bin/true"))).timing(timing);
    let now = Clock::now();
    driver.add(now, CheckId(1), check);
    driver.process(now).expect("a step");
    reap();
    while driver.running() + driver.dying() > 0 {
        reactor.wait(Some(Clock::now() + Duration::from_secs(30)), &mut events).expect("a wait");
        assert!(events.next(&reactor).is_some(), "it did not notice the end");
        driver.process(now).expect("a step");
    }
    assert_eq!(driver.poll_event(), None);
    let status = driver.status(CheckId(1)).expect("a status");
    assert_eq!((status.has_run, status.last_deferral), (false, Some(Local::Process { errno: 10 })));
}
