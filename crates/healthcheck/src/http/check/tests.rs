//! Answers and verdicts, without a socket.

use super::*;
#[cfg(feature = "regex")]
use crate::BodyMatch;
use crate::{Digest, HttpVersion, RequestError};

/// What the check does when each connection is answered by these bytes and, where `None`, closed by the server.
fn run(http: Http, answers: &[&[Option<&[u8]>]]) -> (Vec<String>, Option<Result<(), Failure>>) {
    let target = "192.0.2.7:8080".parse().unwrap();
    let mut run = HttpCheck::new(http, target);
    let mut sent = Vec::new();
    let mut answers = answers.iter();
    let mut connected = true;
    run.handle_connected();
    let mut pending: Vec<Option<&[u8]>> = Vec::new();
    loop {
        match run.poll_output() {
            Some(Output::Transmit(bytes)) => {
                sent.push(String::from_utf8(bytes.to_vec()).unwrap());
                pending = answers
                    .next()
                    .map(|answer| answer.iter().rev().copied().collect())
                    .unwrap_or_default();
            }
            Some(Output::Reconnect) => {
                pending.clear();
                run.handle_connected();
            }
            Some(Output::Close) => connected = false,
            Some(Output::Done(result)) => {
                run.handle_data(b"more");
                run.handle_closed(None);
                assert_eq!(run.poll_output(), None);
                return (sent, Some(result));
            }
            None => match pending.pop() {
                Some(Some(bytes)) => run.handle_data(bytes),
                Some(None) => run.handle_closed(None),
                None => return (sent, None),
            },
        }
        assert!(connected || !run.ending.is_running());
    }
}

fn request() -> Request {
    Request::new("/").unwrap()
}

fn verdict(request: Request, answer: &[Option<&[u8]>]) -> Option<Result<(), Failure>> {
    let one = run(Http::new(request.clone()), &[answer]).1;
    // Byte by byte it is the same.
    let bytes: Vec<Option<&[u8]>> = answer
        .iter()
        .flat_map(|piece| match piece {
            Some(piece) => piece.chunks(1).map(Some).collect(),
            None => vec![None],
        })
        .collect();
    assert_eq!(run(Http::new(request), &[&bytes]).1, one, "pieces make no difference");
    one
}

#[test]
fn requests_are_written_as_configured() {
    let of = |request: Request| run(Http::new(request), &[]).0.concat();
    let plain = "GET / HTTP/1.0\r\nUser-Agent: lvs-healthcheck\r\nHost: 192.0.2.7:8080\r\n\r\n";
    assert_eq!(of(request()), plain);
    let full = Request::new("/a?b=c")
        .unwrap()
        .method(Method::Head)
        .version(HttpVersion::Http11)
        .host("www.example.com")
        .unwrap()
        .agent("Keep Alive")
        .unwrap();
    let written = "HEAD /a?b=c HTTP/1.1\r\nUser-Agent: Keep Alive\r\nConnection: close\r\nHost: www.example.com\r\n\r\n";
    assert_eq!(of(full), written);
    for text in ["", "a b", "a\r\nX: y", "a\u{7f}"] {
        assert_eq!(Request::new(text), Err(RequestError { text: text.to_owned() }));
        assert!(request().host(text).is_err());
    }
}

#[test]
fn the_status_decides_when_nothing_else_is_wanted() {
    let ok: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(verdict(request(), &[Some(ok)]), Some(Ok(())));
    let moved: &[u8] = b"HTTP/1.0 301 Moved\r\nLocation: /b\r\n\r\n";
    assert_eq!(verdict(request(), &[Some(moved)]), Some(Err(Failure::Reply { code: 301 })));
    let also = request().statuses([200..=200, 300..=399]);
    assert_eq!(verdict(also, &[Some(moved)]), Some(Ok(())));
    let interim: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(verdict(request(), &[Some(interim)]), Some(Ok(())));
    let what = "too many interim responses";
    let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(50);
    assert_eq!(verdict(request(), &[Some(&endless)]), Some(Err(Failure::Malformed { what })));
    assert_eq!(verdict(request(), &[Some(b"HTTP/1.1 2"), None]), Some(Err(Failure::Closed)));
    assert_eq!(verdict(request(), &[None]), Some(Err(Failure::Closed)));
}

#[test]
fn a_whole_body_has_to_come_to_its_end() {
    let early = Some(Err(Failure::Malformed { what: "the body ends before its end" }));
    let whole = || request().whole();
    let of = |head: &str, body: &str, closed: bool| {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}");
        let mut pieces = vec![Some(answer.as_bytes())];
        pieces.extend(closed.then_some(None));
        verdict(whole(), &pieces)
    };
    assert_eq!(of("Content-Length: 3\r\n", "abc", false), Some(Ok(())));
    assert_eq!(of("Content-Length: 0\r\n", "", false), Some(Ok(())));
    assert_eq!(of("Content-Length: 4\r\n", "abc", false), None);
    assert_eq!(of("Content-Length: 4\r\n", "abc", true), early);
    assert_eq!(of("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", false), Some(Ok(())));
    assert_eq!(of("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", true), early);
    assert_eq!(of("", "abc", false), None);
    assert_eq!(of("", "abc", true), Some(Ok(())));
    let ok: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";
    assert_eq!(verdict(request().some_body(), &[Some(ok), None]), Some(Err(Failure::Body)));
    assert_eq!(verdict(whole().method(Method::Head), &[Some(ok)]), Some(Ok(())));
}

#[test]
fn digests_are_of_the_decoded_body() {
    // printf 'hello\n' | md5sum, | sha256sum
    let md5 = Digest::Md5([
        0xb1, 0x94, 0x6a, 0xc9, 0x24, 0x92, 0xd2, 0x34, 0x7c, 0x62, 0x35, 0xb4, 0xd2, 0x61, 0x11,
        0x84,
    ]);
    let sha256 = Digest::Sha256([
        0x58, 0x91, 0xb5, 0xb5, 0x22, 0xd5, 0xdf, 0x08, 0x6d, 0x0f, 0xf0, 0xb1, 0x10, 0xfb, 0xd9,
        0xd2, 0x1b, 0xb4, 0xfc, 0x71, 0x63, 0xaf, 0x34, 0xd0, 0x82, 0x86, 0xa2, 0xe8, 0x46, 0xf6,
        0xbe, 0x03,
    ]);
    let plain: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nhello\n";
    let chunked: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n4\r\nllo\n\r\n0\r\n\r\n";
    for digest in [md5, sha256] {
        let wants = || request().digest(digest);
        assert_eq!(verdict(wants(), &[Some(plain), None]), Some(Ok(())));
        assert_eq!(verdict(wants(), &[Some(chunked)]), Some(Ok(())));
        let other: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nhello";
        assert_eq!(verdict(wants(), &[Some(other), None]), Some(Err(Failure::Digest)));
    }
}

#[cfg(feature = "regex")]
#[test]
fn patterns_see_bytes() {
    let ok = |body: &[u8]| [b"HTTP/1.0 200 OK\r\n\r\n", body].concat();
    let of = |wanted: BodyMatch, body: &[u8]| {
        verdict(request().body_match(wanted), &[Some(&ok(body)), None]).unwrap().is_ok()
    };
    let healthy = || BodyMatch::new("(?i)health[a-z]+: ok").unwrap();
    assert!(of(healthy(), b"x\nHealthy: OK\n"));
    assert!(!of(healthy(), b"Healthy: no"));
    assert!(!of(healthy().absent(), b"Healthy: OK"));
    assert!(of(healthy().absent(), b""));
    assert!(of(healthy().offsets(2, 2), b"x\nHealthy: OK\n"));
    assert!(!of(healthy().offsets(3, 99), b"x\nHealthy: OK\n"));
    assert!(!of(healthy().offsets(0, 1), b"x\nHealthy: OK\n"));
    assert!(!of(healthy().offsets(500, 600), b"x"));
    assert!(of(BodyMatch::new(r"\xff\x00").unwrap(), b"a\xff\x00b"));
    assert!(BodyMatch::new("(").unwrap_err().reason.contains("unclosed group"));
    assert_eq!(healthy(), healthy());
    assert_ne!(healthy(), healthy().absent());
}

#[test]
fn bodies_are_read_up_to_their_limit() {
    let whole = || request().whole().body_limit(1000);
    let body = |length: usize| [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), vec![b'x'; length]].concat();
    assert_eq!(verdict(whole(), &[Some(&body(1000)), None]), Some(Ok(())));
    let long = Some(Err(Failure::TooLong { limit: 1000 }));
    assert_eq!(verdict(whole(), &[Some(&body(1001))]), long, "without waiting for the end");
    let chunked = [
        &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"[..],
        &[b'x'; 1001],
    ];
    assert_eq!(verdict(whole(), &[Some(&chunked.concat())]), long);
    assert_eq!(verdict(request(), &[Some(&body(1 << 20))]), Some(Ok(())), "the head is enough");
}

#[test]
fn requests_follow_each_other_until_one_fails() {
    let paths = |paths: &[&str]| {
        Http::all(paths.iter().map(|path| Request::new(path).unwrap()).collect::<Vec<_>>())
    };
    let ok: &[Option<&[u8]>] = &[Some(b"HTTP/1.0 200 OK\r\n\r\nand a body that nobody reads")];
    let no: &[Option<&[u8]>] = &[Some(b"HTTP/1.0 500 No\r\n\r\n")];
    let (sent, result) = run(paths(&["/a", "/b", "/c"]), &[ok, ok, ok]);
    assert_eq!((sent.len(), result), (3, Some(Ok(()))));
    assert!(sent.iter().zip(["/a", "/b", "/c"]).all(|(sent, path)| sent.contains(path)));
    let (sent, result) = run(paths(&["/a", "/b", "/c"]), &[ok, no, ok]);
    assert_eq!((sent.len(), result), (2, Some(Err(Failure::Reply { code: 500 }))));
    assert_eq!(run(paths(&[]), &[]), (vec![], Some(Ok(()))), "a connection is enough");
}
