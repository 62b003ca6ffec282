//! The head of a response: found byte by byte, parsed once.

use crate::Failure;

/// A head is not longer than this.
pub(super) const LIMIT: usize = 16 << 10;
const HEADERS: usize = 128;

/// How the end of a body is known (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
}

/// Collects a head.
#[derive(Debug, Default)]
pub(super) struct Collector {
    bytes: Vec<u8>,
    /// Line feeds since the last other byte, carriage returns not counted.
    blank: u8,
}

impl Collector {
    /// Takes bytes up to the end of the head; returns how many, and the head when it is complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Option<Result<Head, Failure>>) {
        let mut taken = 0_usize;
        for &byte in bytes {
            taken = taken.saturating_add(1);
            match byte {
                b'\n' => self.blank = self.blank.saturating_add(1),
                b'\r' => {}
                _ => self.blank = 0,
            }
            if self.blank == 2 {
                break;
            }
        }
        self.bytes.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.bytes.len() > LIMIT {
            return (taken, Some(Err(Failure::TooLong { limit: LIMIT })));
        }
        if self.blank < 2 {
            return (taken, None);
        }
        let head = parse(&self.bytes);
        self.bytes = Vec::new();
        self.blank = 0;
        (taken, Some(head))
    }
}

fn parse(bytes: &[u8]) -> Result<Head, Failure> {
    let malformed = |what| Failure::Malformed { what };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let mut parser = httparse::ParserConfig::default();
    parser.ignore_invalid_headers_in_responses(true);
    let complete = parser.parse_response(&mut response, bytes).map_err(|error| {
        malformed(match error {
            httparse::Error::TooManyHeaders => "too many headers",
            httparse::Error::Version => "not HTTP/1",
            httparse::Error::Status => "no status code",
            httparse::Error::HeaderName
            | httparse::Error::HeaderValue
            | httparse::Error::NewLine
            | httparse::Error::Token => "not an HTTP response",
        })
    })?;
    let (httparse::Status::Complete(_), Some(status)) = (complete, response.code) else {
        return Err(malformed("not an HTTP response"));
    };
    let named = |name: &str| {
        let mut headers = response.headers.iter();
        let named = headers.rfind(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.trim_ascii())
    };
    let chunked = named("transfer-encoding").is_some_and(|value| {
        let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
        last.trim_ascii().eq_ignore_ascii_case(b"chunked")
    });
    let framing = match (status, named("content-length")) {
        (100..=199 | 204 | 304, _) => Framing::None,
        _ if chunked => Framing::Chunked,
        (_, None) => Framing::UntilClose,
        (_, Some(length)) => {
            let digits = core::str::from_utf8(length).ok();
            let length = digits.and_then(|digits| digits.parse().ok());
            Framing::Length(length.ok_or(malformed("a content length that is no number"))?)
        }
    };
    Ok(Head { status, framing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Option<Result<(u16, Framing), Failure>> {
        let mut whole = Collector::default();
        let (taken, head) = whole.take(text.as_bytes());
        let mut pieces = Collector::default();
        let mut count = 0_usize;
        let in_pieces = text.as_bytes().iter().find_map(|byte| {
            count += 1;
            pieces.take(&[*byte]).1
        });
        assert_eq!((count, in_pieces), (taken, head), "pieces make no difference");
        head.map(|head| head.map(|head| (head.status, head.framing)))
    }

    #[test]
    fn framings_follow_rfc_9112() {
        let of =
            |fields: &str| head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).unwrap().unwrap().1;
        assert_eq!(of(""), Framing::UntilClose);
        assert_eq!(of("Content-Length: 17\r\n"), Framing::Length(17));
        assert_eq!(
            of("content-length: 17\r\nTransfer-Encoding: gzip, chunked\r\n"),
            Framing::Chunked
        );
        assert_eq!(of("Transfer-Encoding: gzip\r\n"), Framing::UntilClose);
        let of = |line: &str| head(&format!("{line}\r\nContent-Length: 5\r\n\r\n"));
        assert_eq!(of("HTTP/1.1 204 No Content"), Some(Ok((204, Framing::None))));
        assert_eq!(of("HTTP/1.1 304 Not Modified"), Some(Ok((304, Framing::None))));
        assert_eq!(of("HTTP/1.1 100 Continue"), Some(Ok((100, Framing::None))));
        assert_eq!(of("HTTP/1.0 500"), Some(Ok((500, Framing::Length(5)))));
    }

    #[test]
    fn odd_heads() {
        assert_eq!(head("HTTP/1.0 200 OK\n\nbody"), Some(Ok((200, Framing::UntilClose))));
        assert_eq!(head("HTTP/1.1 200 OK\r\nA: b\r\n"), None);
        let malformed = |what| Some(Err(Failure::Malformed { what }));
        assert_eq!(head("SSH-2.0-OpenSSH\r\n\r\n"), malformed("not HTTP/1"));
        assert_eq!(head("HTTP/2 200\r\n\r\n"), malformed("not HTTP/1"));
        assert_eq!(head("HTTP/1.1 2x0 OK\r\n\r\n"), malformed("no status code"));
        let wrong = "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n";
        assert_eq!(head(wrong), malformed("a content length that is no number"));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
        assert_eq!(head(&many), malformed("too many headers"));
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(LIMIT));
        let mut collector = Collector::default();
        assert_eq!(collector.take(long.as_bytes()).1, Some(Err(Failure::TooLong { limit: LIMIT })));
    }
}
