//! The reactor over real descriptors.

use core::num::NonZeroU64;
use core::time::Duration;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use reactor::{Clock, Events, Interest, Reactor, Token};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_waker_ends_the_wait_of_another_thread() {
    let (send_waker, waker) = mpsc::channel();
    let (send_woken, woken) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let reactor = Reactor::new().unwrap();
        send_waker.send(reactor.waker()).unwrap();
        let mut events = Events::with_capacity(4);
        for _ in 0..100 {
            reactor.wait(Some(Clock::now() + LONG), &mut events).unwrap();
            send_woken.send((events.woken(), events.next(&reactor))).unwrap();
        }
        // Merged wakes are one wake: nothing is left over.
        reactor.poll(&mut events).unwrap();
        send_woken.send((events.woken(), None)).unwrap();
    });
    let waker = waker.recv().unwrap();
    for _ in 0..100 {
        waker.wake();
        assert_eq!(woken.recv_timeout(LONG).unwrap(), (true, None));
    }
    assert_eq!(woken.recv_timeout(LONG).unwrap(), (false, None));
    thread.join().unwrap();
}

#[test]
fn a_deadline_that_is_moved_is_kept() {
    let reactor = Reactor::new().unwrap();
    let mut events = Events::with_capacity(4);
    // Each ends at once, and leaves the timer set.
    let mut leave = |until| {
        reactor.waker().wake();
        reactor.wait(Some(until), &mut events).unwrap();
        assert!(events.woken());
    };
    let start = Clock::now();
    leave(start + LONG);
    leave(start + Duration::from_millis(20));
    let until = start + Duration::from_millis(25);
    leave(until);
    // Nearer than the first, farther than the second: no sooner than it, whatever the timer did in between.
    let mut waits = 0;
    while Clock::now() < until {
        reactor.wait(Some(until), &mut events).unwrap();
        waits += 1;
    }
    assert!(waits <= 2, "the timer fires for the second and for the last: {waits}");
    assert!(Clock::now() < start + LONG, "not for the first");
}

#[test]
fn wakes_before_the_wait_are_kept_and_merged() {
    let reactor = Reactor::new().unwrap();
    let mut events = Events::with_capacity(4);
    reactor.waker().wake();
    reactor.waker().wake();
    reactor.wait(None, &mut events).unwrap();
    assert!(events.woken());
    reactor.poll(&mut events).unwrap();
    assert!(!events.woken());
}

#[test]
fn a_stale_event_of_a_closed_descriptor_is_dropped() {
    let mut reactor = Reactor::new().unwrap();
    let mut events = Events::with_capacity(8);
    let pairs: Vec<_> = (0..2).map(|_| UnixStream::pair().unwrap()).collect();
    let registrations: Vec<_> = pairs
        .iter()
        .zip(0..)
        .map(|((near, far), n)| {
            (&*near).write_all(b"x").unwrap();
            reactor.register(far, Interest::Readable, Token(n)).unwrap()
        })
        .collect();
    reactor.wait(None, &mut events).unwrap();
    // Both events are in the batch. Handling the first closes the second, whose slot a third gets.
    let first = events.next(&reactor).unwrap();
    let other = usize::from(first.token() == Token(0));
    reactor.deregister(registrations[other], &pairs[other].1).unwrap();
    let (_near, far) = UnixStream::pair().unwrap();
    let reused = reactor.register(&far, Interest::Readable, Token(9)).unwrap();
    assert_ne!(reused, registrations[other]);
    assert_eq!(events.next(&reactor), None);
    assert_eq!(reactor.len(), 2);
    // A second removal through the old registration does not touch the new owner of the slot.
    reactor.forget(registrations[other]);
    assert_eq!(reactor.len(), 2);
}

#[test]
fn interest_can_change_and_hang_ups_are_seen() {
    let mut reactor = Reactor::new().unwrap();
    let mut events = Events::with_capacity(8);
    let (near, far) = UnixStream::pair().unwrap();
    let registration = reactor.register(&far, Interest::Readable, Token(1)).unwrap();
    reactor.poll(&mut events).unwrap();
    assert_eq!(events.next(&reactor), None);
    reactor.modify(registration, &far, Interest::ReadableWritable).unwrap();
    reactor.wait(None, &mut events).unwrap();
    let event = events.next(&reactor).unwrap();
    assert!(event.writable() && !event.readable() && !event.closed());
    reactor.modify(registration, &far, Interest::ErrorsOnly).unwrap();
    drop(near);
    reactor.wait(None, &mut events).unwrap();
    assert!(events.next(&reactor).unwrap().closed());
}

#[test]
fn a_reactor_nests_in_another() {
    let mut outer = Reactor::new().unwrap();
    let mut inner = Reactor::new().unwrap();
    let mut events = Events::with_capacity(8);
    let (mut near, far) = UnixStream::pair().unwrap();
    inner.register(&far, Interest::Readable, Token(1)).unwrap();
    outer.register(inner.as_fd(), Interest::Readable, Token(2)).unwrap();
    near.write_all(b"x").unwrap();
    outer.wait(None, &mut events).unwrap();
    assert_eq!(events.next(&outer).unwrap().token(), Token(2));
    inner.poll(&mut events).unwrap();
    assert_eq!(events.next(&inner).unwrap().token(), Token(1));
}

#[test]
fn a_failed_registration_takes_no_slot() {
    let mut reactor = Reactor::new().unwrap();
    let file = std::fs::File::open("/proc/self/exe").unwrap(); // a regular file cannot be polled
    assert_eq!(
        reactor.register(&file, Interest::Readable, Token(1)).unwrap_err().kind(),
        std::io::ErrorKind::PermissionDenied
    );
    assert!(reactor.is_empty());
}

#[test]
fn deadlines_are_never_early_and_lateness_is_printed() {
    Clock::set_timer_slack(NonZeroU64::MIN).unwrap();
    let reactor = Reactor::new().unwrap();
    let mut events = Events::with_capacity(4);
    let mut late: Vec<_> = (0..100)
        .map(|n| {
            let until = Clock::now() + Duration::from_micros(1_000 + n * 7);
            reactor.wait(Some(until), &mut events).unwrap();
            Clock::now().checked_duration_since(until).expect("the wait ended before its deadline")
        })
        .collect();
    late.sort_unstable();
    println!(
        "lateness of 100 deadlines: median {:?}, 99th {:?}, maximum {:?}",
        late[49], late[98], late[99]
    );
}
