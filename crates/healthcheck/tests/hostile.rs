//! Servers that mean harm: a clear result with a reason, in bounded time and memory.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed helper of a test is a failed test"
)]

mod bench;

use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use bench::{Bench, listen};
use healthcheck::{Check, Failure, Http, Kind, Request, Smtp};
use socket2::SockRef;

/// What the check says of a server that does this with its one connection.
fn against(kind: Kind, server: impl FnOnce(TcpStream) + Send + 'static) -> Option<Failure> {
    let (listener, address) = listen();
    let serving = thread::spawn(move || server(listener.accept().unwrap().0));
    let mut bench = Bench::new();
    bench.add(1, Check::new(address, kind));
    let events = bench.settle();
    drop(bench);
    serving.join().unwrap();
    let [event] = events[..] else { panic!("{events:?}") };
    event.cause
}

/// Writes this for ever, until the check has gone.
fn for_ever(piece: Vec<u8>) -> impl FnOnce(TcpStream) + Send + 'static {
    move |mut stream| while stream.write_all(&piece).is_ok() {}
}

fn then_for_ever(first: &'static [u8], piece: Vec<u8>) -> impl FnOnce(TcpStream) + Send + 'static {
    move |mut stream| {
        if stream.write_all(first).is_ok() {
            for_ever(piece)(stream);
        }
    }
}

fn get() -> Request {
    Request::new("/").unwrap()
}

fn http(request: Request) -> Kind {
    Kind::Http(Http::new(request))
}

#[test]
fn what_never_ends_is_cut() {
    let head = Some(Failure::TooLong { limit: 16 << 10 });
    let header = b"X-Padding: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".to_vec();
    let ok = b"HTTP/1.1 200 OK\r\n";
    assert_eq!(against(http(get()), then_for_ever(ok, header)), head);
    assert_eq!(against(http(get()), for_ever(vec![b'x'; 4096])), head);

    let body = b"HTTP/1.1 200 OK\r\n\r\n";
    let limited = get().whole().body_limit(100_000);
    let long = Some(Failure::TooLong { limit: 100_000 });
    assert_eq!(against(http(limited), then_for_ever(body, vec![b'x'; 4096])), long);
    assert_eq!(
        against(http(get()), then_for_ever(body, vec![b'x'; 4096])),
        None,
        "the head was well"
    );

    let smtp = || Kind::Smtp(Smtp::new("me").unwrap());
    assert_eq!(against(smtp(), for_ever(vec![b'2'; 4096])), Some(Failure::TooLong { limit: 1024 }));
    let what = "a reply of too many lines";
    let lines = for_ever(b"220-again\r\n".to_vec());
    assert_eq!(against(smtp(), lines), Some(Failure::Malformed { what }));
}

#[cfg(feature = "regex")]
#[test]
fn a_body_for_a_pattern_is_kept_up_to_the_limit() {
    let pattern = healthcheck::BodyMatch::new("(x+x+)+y").unwrap(); // exponential elsewhere
    let request = get().body_match(pattern).body_limit(50_000);
    let body = b"HTTP/1.1 200 OK\r\n\r\n";
    let endless = against(http(request.clone()), then_for_ever(body, vec![b'x'; 4096]));
    assert_eq!(endless, Some(Failure::TooLong { limit: 50_000 }));
    let just = against(http(request), |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        stream.write_all(&vec![b'x'; 50_000]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _gone = stream.read_to_end(&mut Vec::new());
    });
    assert_eq!(just, Some(Failure::Body));
}

#[test]
fn one_byte_at_a_time_ends_with_the_check_s_time() {
    let (listener, address) = listen();
    let mut bench = Bench::new();
    bench.add(1, Check::new(address, http(get())));
    bench.driver.process(bench.now).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    // A second between two bytes: each of them is progress, and none of them moves the end.
    let deadline = bench.driver.poll_timeout().unwrap();
    for byte in b"HT" {
        stream.write_all(&[*byte]).unwrap();
        bench.wait();
        bench.now += Duration::from_secs(1);
        bench.driver.process(bench.now).unwrap();
        assert_eq!(bench.driver.poll_timeout(), Some(deadline));
    }
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    let after = Duration::from_secs(3);
    assert_eq!(bench.drain().first().unwrap().cause, Some(Failure::TimedOut { after }));
}

#[test]
fn half_open_connections_end_with_the_check_s_time() {
    let (listener, address) = listen();
    let mut bench = Bench::new();
    for (id, kind) in [(1, http(get())), (2, Kind::Smtp(Smtp::new("me").unwrap()))] {
        bench.add(id, Check::new(address, kind));
    }
    bench.driver.process(bench.now).unwrap();
    let _held: Vec<_> = (0..2).map(|_| listener.accept().unwrap()).collect();
    bench.wait();
    bench.driver.process(bench.now).unwrap();
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    let events = bench.drain();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| matches!(event.cause, Some(Failure::TimedOut { .. }))));
    assert_eq!(bench.driver.running(), 0);
}

/// Resets everything at once.
fn storm(listener: TcpListener, connections: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for _ in 0..connections {
            let (stream, _) = listener.accept().unwrap();
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    })
}

#[test]
fn resets_are_closed_connections() {
    let (listener, address) = listen();
    let mut bench = Bench::new();
    let paths = (0..200).map(|number| Request::new(&format!("/{number}")).unwrap());
    for (id, request) in (0..).zip(paths) {
        bench.add(id, Check::new(address, http(request)));
    }
    let storm = storm(listener, 200);
    let events = bench.settle();
    storm.join().unwrap();
    assert_eq!(events.len(), 200);
    assert!(events.iter().all(|event| event.cause == Some(Failure::Closed)), "{events:?}");
}
