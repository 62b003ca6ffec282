//! What holds for every check machine, whatever a server says, in whatever pieces and at whatever time.

use core::time::Duration;

use healthcheck::{
    BodyMatch, Digest, DnsCheck, DnsQuery, ExchangeCheck, Failure, FileCheck, Http, HttpCheck,
    Machine, NumberRule, Output, PingCheck, RecordType, Reply, Request, Smtp, SmtpCheck, TcpCheck,
    Udp, UdpCheck,
};

/// Each of the machines, by number.
fn machine(number: u8) -> Option<Box<dyn Machine>> {
    let target = "192.0.2.1:80".parse().ok()?;
    let http = |request: Request| -> Option<Box<dyn Machine>> {
        let requests = vec![request.clone(), request];
        Some(Box::new(HttpCheck::new(Http::all(requests), target)))
    };
    let request = Request::new("/").ok()?.body_limit(1000);
    match number % 12 {
        0 => Some(Box::new(TcpCheck::new())),
        1 => Some(Box::new(ExchangeCheck::new((*b"PING").into(), (*b"+PONG").into()))),
        2 => Some(Box::new(SmtpCheck::new(Smtp::new("me").ok()?))),
        3 => Some(Box::new(SmtpCheck::new(Smtp::new("me").ok()?.single_lines()))),
        4 => Some(Box::new(UdpCheck::new(
            Udp::new(*b"x").reply(Reply::new().begins([Some(1), None])),
        ))),
        5 => {
            let query = DnsQuery::new("example.com", RecordType::SOA).ok()?.needs_record();
            Some(Box::new(DnsCheck::new(&query, 0x3131)))
        }
        6 => Some(Box::new(PingCheck::new(false, 1))),
        7 => http(request),
        8 => http(request.whole()),
        9 => http(request.digest(Digest::Md5([0; 16]))),
        10 => http(request.digest(Digest::Sha256([0; 32])).some_body()),
        _ => http(request.body_match(BodyMatch::new("a+b").ok()?.offsets(1, 50))),
    }
}

/// Plays a conversation: which machine, and then orders (two bits: connected, data, data, closed or timeout; six bits: how many bytes follow)
/// with their bytes.
pub(crate) fn play(data: &[u8]) {
    let Some((&number, mut rest)) = data.split_first() else { return };
    // A file's content can be anything, too.
    let _judged = FileCheck::new("f", NumberRule::AtLeast(1)).judge(rest);
    let Some(mut machine) = machine(number) else { return };
    let (mut done, mut closed) = (0, false);
    while let Some((&order, after)) = rest.split_first() {
        let (piece, after) = after.split_at(after.len().min(usize::from(order >> 2)));
        rest = after;
        match order & 3 {
            0 => machine.handle_connected(),
            1 | 2 => machine.handle_data(piece),
            _ if order < 0xf0 => {
                machine.handle_closed((order & 4 != 0).then_some(Failure::Refused));
            }
            _ => machine.handle_timeout(Duration::from_secs(1)),
        }
        let mut outputs = 0;
        while let Some(output) = machine.poll_output() {
            outputs += 1;
            assert!(outputs < 10, "a machine that does not come to rest");
            assert_eq!(done, 0, "something after the end");
            match output {
                Output::Transmit(bytes) => assert!(!closed && bytes.len() < 1000),
                Output::Close => closed = true,
                Output::Reconnect => assert!(!closed),
                Output::Done(_) => done += 1,
            }
        }
    }
    // Time ends every run.
    machine.handle_timeout(Duration::from_secs(1));
    while let Some(output) = machine.poll_output() {
        done += i32::from(matches!(output, Output::Done(_)));
    }
    assert_eq!(done, 1, "exactly one result");
}
