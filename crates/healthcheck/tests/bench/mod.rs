//! What the driver's tests share: a driver, the virtual time, and a real wait for its descriptor.
#![allow(dead_code, reason = "each test target uses a part")]
#![allow(clippy::allow_attributes, reason = "which part is unused differs between the targets")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed helper of a test is a failed test"
)]

use core::net::SocketAddr;
use core::time::Duration;
use std::net::TcpListener;
use std::time::Instant;

use healthcheck::{Check, CheckId, Driver, Event, Failure, Outcome, Timing};
use reactor::{Clock, Events, Interest, Reactor, Token};
use socket2::{Domain, Socket, Type};

/// A driver, the virtual time, and a real wait for its descriptor.
pub(crate) struct Bench {
    pub(crate) driver: Driver,
    pub(crate) now: Instant,
    reactor: Reactor,
    events: Events,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let driver = Driver::new(7).unwrap();
        let mut reactor = Reactor::new().unwrap();
        reactor.register(&driver, Interest::Readable, Token(0)).unwrap();
        Self { driver, now: Clock::now(), reactor, events: Events::with_capacity(4) }
    }

    pub(crate) fn add(&mut self, id: u64, check: Check) {
        self.driver.add(self.now, CheckId(id), check.timing(timing()));
    }

    /// Lets everything that is due run to its end (but not into its timeout) and returns the events.
    pub(crate) fn settle(&mut self) -> Vec<Event> {
        self.driver.process(self.now).unwrap();
        while self.driver.running() > 0 {
            self.wait();
            self.driver.process(self.now).unwrap();
        }
        self.drain()
    }

    pub(crate) fn wait(&mut self) {
        self.reactor.wait(Some(Clock::now() + Duration::from_secs(30)), &mut self.events).unwrap();
        assert!(
            self.events.next(&self.reactor).is_some(),
            "nothing happened on the connections for 30 s"
        );
    }

    pub(crate) fn drain(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.driver.poll_event()).collect()
    }

    /// Runs until `done`, at most 30 s of silence.
    pub(crate) fn until(&mut self, mut done: impl FnMut(&Driver) -> bool) {
        self.driver.process(self.now).unwrap();
        while !done(&self.driver) {
            self.wait();
            self.driver.process(self.now).unwrap();
        }
    }

    /// Moves the virtual time to the next deadline.
    pub(crate) fn advance(&mut self) {
        self.now = self.driver.poll_timeout().expect("a deadline");
    }
}

pub(crate) fn timing() -> Timing {
    Timing::new()
        .interval(Duration::from_secs(6))
        .timeout(Duration::from_secs(3))
        .retries(1)
        .retry_interval(Duration::from_secs(1))
        .start_jitter(Duration::ZERO)
}

pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn listen_on(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1024).unwrap();
    socket.into()
}

/// One run of a check; its verdict.
pub(crate) fn verdict(check: Check) -> Result<(), Option<Failure>> {
    let mut bench = Bench::new();
    bench.add(1, check);
    let events = bench.settle();
    let [event] = events[..] else { panic!("{events:?}") };
    match event.outcome {
        Outcome::Up => Ok(()),
        Outcome::Down => Err(event.cause),
    }
}
