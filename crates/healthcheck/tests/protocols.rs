//! Each kind of check against a server on loopback: sockets are real, time is virtual.
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

mod bench;

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::thread;

use bench::{Bench, listen, verdict};
use healthcheck::Source;
use healthcheck::{
    Check, CheckId, DnsQuery, Failure, Http, HttpVersion, Kind, Outcome, RecordType, Reply,
    Request, Smtp, Udp,
};

/// Answers each connection: reads up to an empty line, then writes this and closes.
fn web(listener: TcpListener, answers: Vec<Vec<u8>>) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut heads = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while reader.read_line(&mut head).unwrap() > 2 {}
            heads.push(head);
            // The check may have seen enough and be gone.
            let _gone = reader.get_mut().write_all(&answer);
        }
        heads
    })
}

#[test]
fn http_over_several_connections() {
    let (listener, address) = listen();
    let body =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec();
    let server = web(listener, vec![body.clone(), body]);
    let request = |path: &str| Request::new(path).unwrap().version(HttpVersion::Http11).whole();
    let http = Http::all([request("/a"), request("/b")]);
    assert_eq!(verdict(Check::new(address, Kind::Http(http))), Ok(()));
    let heads = server.join().unwrap();
    assert!(
        heads[0].starts_with("GET /a HTTP/1.1\r\n") && heads[1].starts_with("GET /b HTTP/1.1\r\n")
    );
    assert!(heads[0].contains(&format!("\r\nHost: {address}\r\n")), "{heads:?}");
}

#[test]
fn http_without_a_server_and_with_a_wrong_answer() {
    let (listener, address) = listen();
    let server = web(listener, vec![b"HTTP/1.0 503 Busy\r\n\r\n".to_vec()]);
    let http = || Kind::Http(Http::new(Request::new("/").unwrap()));
    assert_eq!(verdict(Check::new(address, http())), Err(Some(Failure::Reply { code: 503 })));
    server.join().unwrap(); // and the listener is gone
    assert_eq!(verdict(Check::new(address, http())), Err(Some(Failure::Refused)));
}

#[test]
fn a_mail_server_is_greeted() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut said = String::new();
        for answer in ["220-mail\r\n220 ready\r\n", "250 hello\r\n", "221 bye\r\n"] {
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            reader.read_line(&mut said).unwrap_or_default();
        }
        said
    });
    let smtp = Smtp::new("check.example.com").unwrap();
    assert_eq!(verdict(Check::new(address, Kind::Smtp(smtp))), Ok(()));
    assert_eq!(server.join().unwrap(), "HELO check.example.com\r\nQUIT\r\n");
}

#[test]
fn datagrams_are_answered_or_refused() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let answering = thread::spawn(move || {
        let mut buffer = [0; 100];
        for _ in 0..2 {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"ping");
            server.send_to(b"pong", from).unwrap();
        }
        server
    });
    let udp =
        |begins: &[Option<u8>]| Kind::Udp(Udp::new(*b"ping").reply(Reply::new().begins(begins)));
    assert_eq!(verdict(Check::new(address, udp(&[Some(b'p'), None, Some(b'n')]))), Ok(()));
    assert_eq!(verdict(Check::new(address, udp(&[Some(b'q')]))), Err(Some(Failure::Unexpected)));
    let server = answering.join().unwrap();

    // Silence is well where no answer is wanted, at the end of the check's time.
    let mut bench = Bench::new();
    bench.add(1, Check::new(address, Kind::Udp(Udp::new(*b"ping"))));
    bench.driver.process(bench.now).unwrap();
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    assert_eq!(bench.drain().first().map(|event| event.outcome), Some(Outcome::Up));

    // A port that nobody has: ICMP says so.
    drop(server);
    let nobody = Check::new(address, Kind::Udp(Udp::new(*b"ping")));
    assert_eq!(verdict(nobody), Err(Some(Failure::Refused)));
}

#[test]
fn a_name_server_answers() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(server) = UdpSocket::bind(address) else { continue };
        let address = server.local_addr().unwrap();
        let answering = thread::spawn(move || {
            let mut buffer = [0; 512];
            for code in [0, 2] {
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                let query = &buffer[..length];
                assert!(query.ends_with(b"\x07example\x03com\0\0\x06\0\x01"), "{query:?}");
                let head = [query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0];
                server.send_to(&[&head, &query[12..]].concat(), from).unwrap();
            }
        });
        let query = || Kind::Dns(DnsQuery::new("example.com", RecordType::SOA).unwrap());
        assert_eq!(verdict(Check::new(address, query())), Ok(()));
        let failed = Err(Some(Failure::ResponseCode { code: 2 }));
        assert_eq!(verdict(Check::new(address, query())), failed);
        answering.join().unwrap();
        assert_eq!(verdict(Check::new(address, query())), Err(Some(Failure::Refused)));
    }
}

#[test]
fn hosts_answer_pings() {
    lab::need!(root);
    for address in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(address.parse().unwrap(), 0);
        assert_eq!(verdict(Check::new(address, Kind::Ping)), Ok(()), "{address}");
    }
}

#[test]
fn a_host_that_is_not_there_is_unreachable() {
    lab::need!(netns);
    let near = lab::Namespace::new().unwrap();
    let far = lab::Namespace::new().unwrap();
    lab::veth(&near, "eth0", &far, "eth0").unwrap();
    near.ip("address add 192.0.2.1/24 dev eth0").unwrap();
    far.ip("address add 192.0.2.2/24 dev eth0").unwrap();
    let causes = near.run(|| {
        let mut bench = Bench::new();
        for (id, host, kind) in [
            (1, "192.0.2.2", Kind::Ping),
            (2, "192.0.2.99", Kind::Ping),
            (3, "192.0.2.99", Kind::Udp(Udp::new(*b"x"))),
            (4, "192.0.2.99", Kind::Tcp),
        ] {
            bench.add(id, Check::new(SocketAddr::new(host.parse().unwrap(), 9), kind));
        }
        let mut events = bench.settle(); // the kernel gives up asking for the address after 3 s
        events.sort_by_key(|event| event.id);
        events.iter().map(|event| (event.id, event.cause)).collect::<Vec<_>>()
    });
    let unreachable = Some(Failure::Unreachable { errno: 113 });
    let expected = [(1, None), (2, unreachable), (3, unreachable), (4, unreachable)];
    assert_eq!(causes, expected.map(|(id, cause)| (CheckId(id), cause)));
}

#[test]
fn one_datagram_is_sent_for_each_run() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut bench = Bench::new();
    bench.add(1, Check::new(server.local_addr().unwrap(), Kind::Udp(Udp::new(*b"x"))));
    bench.driver.process(bench.now).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(server.recv(&mut buffer).unwrap(), 1);
    bench.driver.process(bench.now).unwrap();
    server.set_nonblocking(true).unwrap();
    assert!(server.recv(&mut buffer).is_err(), "only one");
}

/// The way of a forwarded packet with direct routing: addressed to the virtual address, handed to one real server, which has it, too.
/// A mark chooses the server, here by a routing rule.
#[test]
fn a_mark_leads_a_check_through_the_forwarding_path() {
    lab::need!(netns);
    let director = lab::Namespace::new().unwrap();
    let server = lab::Namespace::new().unwrap();
    lab::veth(&director, "eth0", &server, "eth0").unwrap();
    director
        .ip_batch([
            "address add 192.0.2.1/24 dev eth0",
            "rule add fwmark 7 lookup 100",
            "route add 198.51.100.7 via 192.0.2.2 table 100",
        ])
        .unwrap();
    server
        .ip_batch(["address add 192.0.2.2/24 dev eth0", "address add 198.51.100.7/32 dev lo"])
        .unwrap();
    let virtual_address: SocketAddr = "198.51.100.7:80".parse().unwrap();
    let _listener = server.run(|| TcpListener::bind(virtual_address).unwrap());
    let [through, past] = director.run(|| {
        [Source::new().mark(7), Source::new()]
            .map(|source| verdict(Check::new(virtual_address, Kind::Tcp).source(source)))
    });
    assert_eq!(through, Ok(()));
    assert_eq!(
        past,
        Err(Some(Failure::Unreachable { errno: 101 })),
        "without the mark there is no way"
    );
}
