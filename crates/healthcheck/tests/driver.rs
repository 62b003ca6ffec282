//! The driver over loopback: connections are real, time is virtual.
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

mod bench;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use bench::{Bench, listen, listen_on};
use healthcheck::{Check, CheckId, Event, Failure, Kind, Local, Outcome, Source, Timing};
use socket2::{Domain, Socket, Type};

/// Checks of one server that are not equal.
fn distinct(id: u64, address: SocketAddr) -> Check {
    let [.., high, low] = id.to_be_bytes();
    let from = SocketAddr::from(([127, 1, high, low], 0));
    Check::new(address, Kind::Tcp).source(Source::new().address(from))
}

fn told(events: &[Event]) -> Vec<(u64, Outcome, Option<Failure>)> {
    events.iter().map(|event| (event.id.0, event.outcome, event.cause)).collect()
}

#[test]
fn a_server_goes_and_comes_back() {
    let mut bench = Bench::new();
    let listener = listen_on("127.0.0.77:0".parse().unwrap()); // an address of its own: nobody else takes the port meanwhile
    let address = listener.local_addr().unwrap();
    bench.add(1, Check::new(address, Kind::Tcp));
    assert_eq!(told(&bench.settle()), [(1, Outcome::Up, None)]);

    // The check left nothing behind at the server: its connection was reset.
    let (mut accepted, _) = listener.accept().unwrap();
    assert_eq!(accepted.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);

    drop((listener, accepted));
    bench.advance();
    assert_eq!(told(&bench.settle()), [], "one retry is left");
    bench.advance();
    assert_eq!(told(&bench.settle()), [(1, Outcome::Down, Some(Failure::Refused))]);

    let _listener = listen_on(address);
    bench.advance();
    assert_eq!(told(&bench.settle()), [(1, Outcome::Up, None)]);
    let status = bench.driver.status(CheckId(1)).unwrap();
    assert_eq!((status.successes, status.failures, status.deferred), (2, 2, 0));
    assert_eq!(status.last_failure, Some(Failure::Refused));
}

#[test]
fn silence_times_out_and_a_late_answer_still_counts() {
    let mut bench = Bench::new();
    // A listener whose queue is full does not answer.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let listener: TcpListener = socket.into();
    let address = listener.local_addr().unwrap();
    let _fills_the_queue = TcpStream::connect(address).unwrap();

    bench.add(1, Check::new(address, Kind::Tcp));
    bench.driver.process(bench.now).unwrap();
    assert_eq!(bench.driver.running(), 1);
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    let after = Duration::from_secs(3);
    assert_eq!(told(&bench.drain()), [(1, Outcome::Down, Some(Failure::TimedOut { after }))]);
    assert_eq!(bench.driver.running(), 0);
    assert_eq!(bench.driver.poll_timeout(), Some(bench.now + Duration::from_secs(6)));

    // A pause of ours (here: until long after the timeout) is not the server's silence: what arrived counts first.
    let (_open, address) = listen();
    bench.add(1, Check::new(address, Kind::Tcp));
    bench.driver.process(bench.now).unwrap();
    bench.wait();
    bench.now += Duration::from_secs(3600);
    bench.driver.process(bench.now).unwrap();
    assert_eq!(told(&bench.drain()), [(1, Outcome::Up, None)]);
}

#[test]
fn what_cannot_be_reached_is_named() {
    let mut bench = Bench::new();
    // TCP to a multicast address: the kernel itself says that there is no way.
    bench.add(1, Check::new("224.0.0.1:80".parse().unwrap(), Kind::Tcp));
    let events = bench.settle();
    assert!(
        matches!(told(&events)[..], [(1, Outcome::Down, Some(Failure::Unreachable { .. }))]),
        "{events:?}"
    );
}

#[test]
fn our_own_trouble_is_no_result() {
    let mut bench = Bench::new();
    let (_listener, address) = listen();
    let foreign = Source::new().address("192.0.2.1:0".parse().unwrap());
    bench.add(1, Check::new(address, Kind::Tcp).source(foreign));
    bench.add(2, Check::new(address, Kind::Tcp).source(Source::new().interface("no-such-link")));
    assert_eq!(told(&bench.settle()), []);
    for id in [1, 2] {
        let status = bench.driver.status(CheckId(id)).unwrap();
        assert_eq!((status.outcome, status.has_run, status.deferred), (Outcome::Up, false, 1));
        assert!(matches!(status.last_deferral, Some(Local::Source { .. })), "{status:?}");
    }
    assert_eq!(bench.driver.poll_timeout(), Some(bench.now + Duration::from_secs(1)));
}

#[test]
fn the_source_address_is_used() {
    let mut bench = Bench::new();
    let (listener, address) = listen();
    let source = Source::new().address("127.0.0.9:0".parse().unwrap());
    bench.add(1, Check::new(address, Kind::Tcp).source(source));
    assert_eq!(told(&bench.settle()), [(1, Outcome::Up, None)]);
    assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.9");
}

#[test]
fn a_connection_to_itself_is_not_a_server() {
    let mut bench = Bench::new();
    let unused = listen_on("127.0.0.80:0".parse().unwrap()).local_addr().unwrap();
    bench.add(1, Check::new(unused, Kind::Tcp).source(Source::new().address(unused)));
    assert_eq!(told(&bench.settle()), [(1, Outcome::Down, Some(Failure::Refused))]);
}

#[test]
fn runs_beyond_the_limit_wait_for_their_turn() {
    let mut bench = Bench::new();
    let (_listener, address) = listen();
    bench.driver.set_max_running(2);
    for id in 0..5 {
        bench.add(id, distinct(id, address));
    }
    bench.driver.process(bench.now).unwrap();
    assert_eq!(bench.driver.running(), 2);
    assert_eq!(
        bench.settle().len(),
        5,
        "a run that ends makes room for one that waits, at the same moment"
    );
    assert_eq!(bench.driver.status(CheckId(4)).unwrap().deferred, 0);

    // Removing a running check makes room too.
    bench.now += Duration::from_secs(6);
    bench.driver.process(bench.now).unwrap();
    let running =
        |bench: &Bench, id| bench.driver.status(CheckId(id)).is_some_and(|status| status.running);
    let (first, waits): (Vec<_>, Vec<_>) = (0..5).partition(|&id| running(&bench, id));
    assert_eq!((first.len(), waits.len()), (2, 3));
    assert!(
        bench.driver.poll_timeout() > Some(bench.now),
        "there is nothing to do before a run ends"
    );
    for id in first.into_iter().chain([waits[0]]) {
        bench.driver.remove(CheckId(id));
    }
    assert_eq!(bench.driver.poll_timeout(), Some(bench.now), "there is something to do now");
    bench.driver.process(bench.now).unwrap();
    assert_eq!(bench.driver.running(), 2);
    assert!(running(&bench, waits[1]) && running(&bench, waits[2]));
}

#[test]
fn an_unread_event_is_brought_up_to_date_and_a_removed_check_is_silent() {
    let mut bench = Bench::new();
    let listener = listen_on("127.0.0.79:0".parse().unwrap());
    let address = listener.local_addr().unwrap();
    bench.add(1, Check::new(address, Kind::Tcp));
    bench.driver.process(bench.now).unwrap();
    bench.wait();
    bench.driver.process(bench.now).unwrap(); // the success is queued and not read
    drop(listener);
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    bench.advance();
    assert_eq!(bench.driver.running(), 1);
    bench.wait();
    bench.driver.process(bench.now).unwrap();
    bench.advance();
    assert_eq!(
        told(&bench.settle()),
        [(1, Outcome::Down, Some(Failure::Refused))],
        "one event, the present state"
    );

    let (_listener, address) = listen();
    bench.add(1, Check::new(address, Kind::Tcp));
    bench.driver.process(bench.now).unwrap();
    assert_eq!(bench.driver.running(), 1);
    assert!(bench.driver.remove(CheckId(1)));
    assert!(!bench.driver.remove(CheckId(1)));
    assert_eq!((bench.driver.running(), bench.driver.poll_timeout()), (0, None));
    assert_eq!(told(&bench.settle()), []);
}

/// A server for one connection that reads a line if it expects one, and answers.
fn answer(
    listener: TcpListener,
    reads: &'static [u8],
    says: &'static [u8],
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = vec![0; reads.len()];
        stream.read_exact(&mut line).unwrap();
        assert_eq!(line, reads);
        stream.write_all(says).unwrap();
    })
}

#[test]
fn an_exchange_compares_the_answer() {
    let mut bench = Bench::new();
    let exchange =
        |send: &[u8], expect: &[u8]| Kind::Exchange { send: send.into(), expect: expect.into() };
    let cases: [(&'static [u8], &[u8], &'static [u8]); 4] = [
        (b"PING\r\n", b"+PONG", b"+PONG\r\n"),
        (b"", b"220 ", b"220 mail\r\n"),
        (b"", b"220 ", b"554 no\r\n"),
        (b"", b"220 ", b"22"), // and then the end
    ];
    let mut servers = Vec::new();
    for ((send, expect, says), id) in cases.into_iter().zip(1..) {
        let (listener, address) = listen();
        servers.push(answer(listener, send, says));
        bench.add(id, Check::new(address, exchange(send, expect)));
    }
    let events: BTreeMap<u64, _> =
        bench.settle().iter().map(|event| (event.id.0, event.cause)).collect();
    for server in servers {
        server.join().unwrap();
    }
    let expected =
        [(1, None), (2, None), (3, Some(Failure::Unexpected)), (4, Some(Failure::Closed))];
    assert_eq!(events, BTreeMap::from(expected));
}

#[test]
fn a_large_request_is_sent_in_pieces() {
    let mut bench = Bench::new();
    let (listener, address) = listen();
    let request: &'static [u8] = vec![b'x'; 32 << 20].leak(); // more than both buffers hold
    bench.add(
        1,
        Check::new(address, Kind::Exchange { send: request.into(), expect: (*b"ok").into() }),
    );
    bench.driver.process(bench.now).unwrap();
    bench.wait();
    bench.driver.process(bench.now).unwrap(); // sends until it would block: nobody reads yet
    let server = answer(listener, request, b"ok");
    assert_eq!(told(&bench.settle()), [(1, Outcome::Up, None)]);
    server.join().unwrap();
}

#[test]
fn two_thousand_checks_on_one_thread() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();

    let mut bench = Bench::new();
    let any: SocketAddr = "127.0.0.78:0".parse().unwrap();
    let mut listeners: Vec<_> = (0..20).map(|_| listen_on(any)).collect();
    for (id, listener) in (0..2_000).zip(listeners.iter().cycle()) {
        bench.add(id, distinct(id, listener.local_addr().unwrap()));
    }
    bench.driver.process(bench.now).unwrap();
    println!("{} of 2,000 under way after the first step", bench.driver.running());
    let events = bench.settle();
    assert_eq!(events.len(), 2_000);
    assert!(events.iter().all(|event| event.outcome == Outcome::Up));

    listeners.truncate(10); // half of the servers stop
    bench.now += Duration::from_secs(6);
    assert_eq!(bench.settle().len(), 0, "a retry is left");
    bench.now += Duration::from_secs(1);
    let down: Vec<_> = bench.settle();
    assert_eq!(down.len(), 1_000);
    assert!(
        down.iter().all(|event| event.cause == Some(Failure::Refused) && event.id.0 % 20 >= 10)
    );
    assert_eq!(bench.driver.len(), 2_000);
}

#[test]
fn equal_checks_share_their_runs() {
    let mut bench = Bench::new();
    let (listener, address) = listen();
    let other = Timing::new().start_jitter(Duration::ZERO).interval(Duration::from_secs(60));
    bench.add(1, Check::new(address, Kind::Tcp));
    bench.add(2, Check::new(address, Kind::Tcp));
    bench.driver.add(bench.now, CheckId(3), Check::new(address, Kind::Tcp).timing(other));
    assert_eq!((bench.driver.len(), bench.driver.distinct()), (3, 2));
    let mut events = told(&bench.settle());
    events.sort_by_key(|event| event.0);
    assert_eq!(events, [1, 2, 3].map(|id| (id, Outcome::Up, None)));
    listener.set_nonblocking(true).unwrap();
    let connections = core::iter::from_fn(|| listener.accept().ok()).count();
    assert_eq!(connections, 2, "one for the two equal checks, one for the other");

    // Who joins later hears what is known, without a run.
    bench.add(4, Check::new(address, Kind::Tcp));
    assert_eq!(told(&bench.drain()), [(4, Outcome::Up, None)]);
    // Who leaves does not end it for the others.
    assert!(bench.driver.remove(CheckId(1)));
    assert_eq!(bench.driver.distinct(), 2);
    drop(listener);
    let both_retries_later = |bench: &mut Bench| {
        bench.now += Duration::from_secs(6);
        assert_eq!(told(&bench.settle()), []);
        bench.now += Duration::from_secs(1);
        let mut events = told(&bench.settle());
        events.sort_by_key(|event| event.0);
        events
    };
    let down = |id| (id, Outcome::Down, Some(Failure::Refused));
    assert_eq!(both_retries_later(&mut bench), [down(2), down(4)]);
    assert!(bench.driver.remove(CheckId(2)) && bench.driver.remove(CheckId(4)));
    assert_eq!(bench.driver.distinct(), 1);
}

#[test]
fn a_check_without_results_is_reported_as_silent_once() {
    let mut bench = Bench::new();
    let (_listener, address) = listen();
    let times = Timing::new()
        .start_jitter(Duration::ZERO)
        .retry_interval(Duration::from_secs(1))
        .silence(Duration::from_secs(5));
    let lost = Source::new().interface("no-such-link");
    let check = Check::new(address, Kind::Tcp).source(lost).timing(times);
    bench.driver.add(bench.now, CheckId(1), check);
    for second in 0..=5 {
        assert_eq!(bench.settle(), [], "after {second} s");
        bench.advance();
    }
    let events = bench.settle();
    let [event] = events[..] else { panic!("{events:?}") };
    assert_eq!((event.outcome, event.silent), (Outcome::Up, true), "cannot tell is not down");
    bench.advance();
    assert_eq!(bench.settle(), [], "told once");
    assert!(bench.driver.status(CheckId(1)).unwrap().silent);
}

#[test]
fn the_watchdog_tells_of_a_driver_that_nobody_steps() {
    let mut bench = Bench::new();
    let watchdog = bench.driver.watchdog();
    let late = |bench: &Bench, after| watchdog.late(bench.now + Duration::from_secs(after));
    assert_eq!(late(&bench, 3600), Duration::ZERO, "nothing to do");
    let (_listener, address) = listen();
    bench.add(1, Check::new(address, Kind::Tcp));
    assert!(late(&bench, 3600) >= Duration::from_secs(3599), "the first run is due");
    bench.settle();
    assert_eq!(late(&bench, 5), Duration::ZERO, "the next run is in 6 s");
    assert!(late(&bench, 16) >= Duration::from_secs(9));
    bench.driver.remove(CheckId(1));
    bench.settle();
    assert_eq!(late(&bench, 3600), Duration::ZERO);
}

#[test]
fn runs_that_are_nearly_due_start_together() {
    let mut bench = Bench::new();
    let (_listener, address) = listen();
    let second = Duration::from_secs(1);
    let times = |delay| {
        Timing::new()
            .start_jitter(Duration::ZERO)
            .start_delay(delay)
            .interval(second)
            .retry_interval(second)
    };
    let delays = [second, second + Duration::from_millis(9), second + Duration::from_millis(11)];
    for (id, delay) in (1..).zip(delays) {
        let check = Check::new(address, Kind::Tcp).timing(times(delay));
        bench.driver.add(bench.now, CheckId(id), check);
    }
    bench.advance();
    let started: Vec<_> = bench.settle().iter().map(|event| event.id.0).collect();
    assert_eq!(started, [1, 2], "a hundredth of the interval early, and not more");
    bench.advance();
    assert_eq!(bench.settle().len(), 1);
}
