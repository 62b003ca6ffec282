//! TLS: a real server on loopback. The certificates are made for these tests; their authority's key is thrown away.
#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "a failed helper of a test is a failed test")]

mod bench;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use bench::{Bench, listen, verdict};
use healthcheck::{Check, Failure, Http, Kind, Request, Tls, TlsError};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const AUTHORITY: &[u8] = include_bytes!("data/ca.pem");

fn config() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("data/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("data/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

/// One connection: handshake, a request, and this answer. Returns the server name that was asked for.
fn serve(listener: TcpListener, answer: Vec<u8>) -> thread::JoinHandle<Option<String>> {
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config()).unwrap(), stream);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        let _gone = stream.write_all(&answer);
        stream.conn.send_close_notify();
        let _gone = stream.flush();
        stream.conn.server_name().map(str::to_owned)
    })
}

fn get() -> Kind {
    Kind::Http(Http::new(Request::new("/").unwrap().whole()))
}

#[test]
fn https_with_and_without_verification() {
    let body = vec![b'x'; 200_000];
    let answer = [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), body].concat();
    let name = "web.example.com";
    let verified = || Tls::verified(AUTHORITY).unwrap();
    let refused = Err(Some(Failure::Tls { what: "certificate not accepted" }));
    let cases = [
        (Tls::unverified().unwrap(), Ok(()), None),
        (
            Tls::unverified().unwrap().server_name("any.example").unwrap(),
            Ok(()),
            Some("any.example"),
        ),
        (verified().server_name(name).unwrap(), Ok(()), Some(name)),
        (verified().server_name("other.example.com").unwrap(), refused, Some("other.example.com")),
        (verified(), refused, None), // its certificate is not for an address
    ];
    for (tls, expected, asked) in cases {
        let (listener, address) = listen();
        let server = serve(listener, answer.clone());
        let shown = format!("{tls:?}");
        assert_eq!(verdict(Check::new(address, get()).tls(tls)), expected, "{shown}");
        assert_eq!(server.join().unwrap().as_deref(), asked, "{shown}");
    }
}

#[test]
fn a_handshake_alone_is_a_check() {
    let (listener, address) = listen();
    let server = serve(listener, Vec::new());
    let tls = Tls::unverified().unwrap();
    assert_eq!(verdict(Check::new(address, Kind::Tcp).tls(tls)), Ok(()));
    server.join().unwrap();
}

#[test]
fn what_is_not_tls_is_named() {
    let not_tls = Err(Some(Failure::Tls { what: "not TLS" }));
    let garbage: [(Vec<u8>, _); 3] = [
        (b"HTTP/1.0 400 Bad Request\r\n\r\n".to_vec(), not_tls),
        (vec![0xff; 100_000], not_tls),
        (vec![], Err(Some(Failure::Closed))),
    ];
    for (bytes, expected) in garbage {
        let (listener, address) = listen();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).unwrap();
            let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
            stream.read_exact(&mut rest).unwrap();
            let _gone = stream.write_all(&bytes);
        });
        let tls = Tls::unverified().unwrap();
        assert_eq!(verdict(Check::new(address, get()).tls(tls)), expected);
        server.join().unwrap();
    }
    // A record that never comes to its end is limited by its length field and the check's time.
    let (listener, address) = listen();
    let mut bench = Bench::new();
    bench.add(1, Check::new(address, get()).tls(Tls::unverified().unwrap()));
    bench.driver.process(bench.now).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&[0x16, 3, 3, 0x3f, 0xff]).unwrap();
    stream.write_all(&[0; 1000]).unwrap();
    bench.wait();
    bench.driver.process(bench.now).unwrap();
    bench.advance();
    bench.driver.process(bench.now).unwrap();
    let events = bench.drain();
    let [event] = events[..] else { panic!("{events:?}") };
    assert!(
        matches!(event.cause, Some(Failure::TimedOut { .. } | Failure::Tls { .. })),
        "{event:?}"
    );
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let name = Tls::unverified().unwrap().server_name("not a name");
    assert_eq!(name.unwrap_err(), TlsError::ServerName { name: "not a name".to_owned() });
    assert!(matches!(Tls::verified(b"nothing"), Err(TlsError::Roots { .. })));
    assert_eq!(Tls::verified(AUTHORITY).unwrap(), Tls::verified(AUTHORITY).unwrap());
    assert_ne!(Tls::verified(AUTHORITY).unwrap(), Tls::unverified().unwrap());
}
