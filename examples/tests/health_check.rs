//! The example against servers that come and go.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

#[test]
fn it_tells_of_servers_that_go() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let (web_at, plain_at) = (web.local_addr().unwrap(), plain.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = web.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /health HTTP/1.0\r\n"));
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nfine").unwrap();
    });
    // `cargo test` builds the examples of a package beside its tests.
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/health_check");
    let mut example = Command::new(program)
        .arg(format!("http://{web_at}/health"))
        .arg(format!("tcp://{plain_at}"))
        .arg("script:/bin/false")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(example.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut first: Vec<String> = lines.by_ref().take(3).collect();
    first.sort();
    let expected = [
        format!("http://{web_at}/health is up"),
        "script:/bin/false is down: exit code 1".to_owned(),
        format!("tcp://{plain_at} is up"),
    ];
    assert_eq!(first, expected);
    serving.join().unwrap(); // the server has gone after one answer
    let down = lines.next().unwrap();
    assert_eq!(down, format!("http://{web_at}/health is down: connection refused"));
    drop((plain, example.stdin.take()));
    assert!(example.wait().unwrap().success());
}
