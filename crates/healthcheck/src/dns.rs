//! The DNS check: a query over UDP, and an answer without an error (RFC 1035 §4).

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::sync::Arc;

use thiserror::Error;

use crate::ending::Ending;
use crate::{Failure, Machine, Output};

/// A record type, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a type is its number and nothing else")]
pub struct RecordType(pub u16);

/// Names and numbers of the types that have a name here (IANA, "Resource Record (RR) TYPEs").
const NAMES: [(&str, u16); 14] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("RRSIG", 46),
    ("DNSKEY", 48),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("CAA", 257),
];

impl RecordType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// The start of a zone of authority: what every zone has.
    pub const SOA: Self = Self(6);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
}

/// A name that is not the name of a record type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown record type `{name}`")]
#[non_exhaustive]
pub struct UnknownRecordType {
    /// The name.
    pub name: String,
}

impl FromStr for RecordType {
    type Err = UnknownRecordType;

    fn from_str(name: &str) -> Result<Self, UnknownRecordType> {
        let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known
            .map(|&(_, number)| Self(number))
            .ok_or_else(|| UnknownRecordType { name: name.into() })
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|&&(_, number)| number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// Why a name cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DnsNameError {
    /// Two dots in a row, or one at the beginning.
    #[error("an empty label")]
    EmptyLabel,
    /// A label is limited to 63 bytes.
    #[error("a label of {length} bytes, more than 63")]
    LongLabel {
        /// Its length.
        length: usize,
    },
    /// A name is limited to 255 bytes, as they are sent.
    #[error("a name of {length} bytes, more than 255")]
    LongName {
        /// Its length as sent.
        length: usize,
    },
}

/// A query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsQuery {
    /// The question section.
    question: Arc<[u8]>,
    needs_record: bool,
}

impl DnsQuery {
    /// Asks for records of this type at `name`; `.` and the empty string are the root. Any answer without an error is a success.
    pub fn new(name: &str, record_type: RecordType) -> Result<Self, DnsNameError> {
        let mut question = Vec::new();
        let labels = name.strip_suffix('.').unwrap_or(name);
        for label in labels.split('.').filter(|_| !labels.is_empty()) {
            match u8::try_from(label.len()) {
                Ok(0) => return Err(DnsNameError::EmptyLabel),
                Ok(length @ ..=63) => question.push(length),
                _ => return Err(DnsNameError::LongLabel { length: label.len() }),
            }
            question.extend_from_slice(label.as_bytes());
        }
        question.push(0);
        if question.len() > 255 {
            return Err(DnsNameError::LongName { length: question.len() });
        }
        question.extend_from_slice(&record_type.0.to_be_bytes());
        question.extend_from_slice(&1_u16.to_be_bytes()); // class IN
        Ok(Self { question: question.into(), needs_record: false })
    }

    /// An answer must have a record in its answer section, too.
    #[must_use]
    pub fn needs_record(self) -> Self {
        Self { needs_record: true, ..self }
    }
}

/// One run of the DNS check.
#[derive(Debug)]
pub struct DnsCheck {
    id: [u8; 2],
    needs_record: bool,
    message: Box<[u8]>,
    unsent: bool,
    ending: Ending,
}

impl DnsCheck {
    /// A run whose query has this number.
    #[must_use]
    pub fn new(query: &DnsQuery, id: u16) -> Self {
        let id = id.to_be_bytes();
        // Recursion desired; one question, nothing else.
        let header = [id[0], id[1], 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
        let message = [&header, &*query.question].concat().into();
        let needs_record = query.needs_record;
        Self { id, needs_record, message, unsent: false, ending: Ending::Running }
    }
}

impl Machine for DnsCheck {
    fn handle_connected(&mut self) {
        self.unsent = true;
    }

    fn handle_data(&mut self, bytes: &[u8]) {
        let Some(&[id0, id1, flags, codes, _, _, answers0, answers1, _, _, _, _]) =
            bytes.first_chunk()
        else {
            self.ending.decide(Err(Failure::Malformed { what: "shorter than a DNS header" }));
            return;
        };
        // The answer to another query, or a query: not ours, and no reason to stop waiting.
        if [id0, id1] != self.id || flags & 0x80 == 0 {
            return;
        }
        self.ending.decide(match codes & 0x0f {
            0 if self.needs_record && [answers0, answers1] == [0, 0] => Err(Failure::NoRecord),
            0 => Ok(()),
            code => Err(Failure::ResponseCode { code }),
        });
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.ending.closed(failure);
    }

    fn handle_timeout(&mut self, after: Duration) {
        self.ending.timed_out(after);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        if self.ending.is_running() && core::mem::take(&mut self.unsent) {
            return Some(Output::Transmit(&self.message));
        }
        self.ending.poll_output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &str, record_type: RecordType) -> Vec<u8> {
        let mut run = DnsCheck::new(&DnsQuery::new(name, record_type).unwrap(), 0x1234);
        run.handle_connected();
        match run.poll_output() {
            Some(Output::Transmit(bytes)) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_query_is_as_rfc_1035_says() {
        let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            sent("ab.c", RecordType::AAAA),
            [&header[..], b"\x02ab\x01c\0\0\x1c\0\x01"].concat()
        );
        assert_eq!(sent("ab.c.", RecordType::AAAA), sent("ab.c", RecordType::AAAA));
        assert_eq!(sent(".", RecordType::SOA), [&header[..], b"\0\0\x06\0\x01"].concat());
        assert_eq!(sent("", RecordType::SOA), sent(".", RecordType::SOA));
    }

    #[test]
    fn names_that_cannot_be_sent() {
        let of = |name: &str| DnsQuery::new(name, RecordType::A).map(drop);
        assert_eq!(of("a..b"), Err(DnsNameError::EmptyLabel));
        assert_eq!(of(".a"), Err(DnsNameError::EmptyLabel));
        assert_eq!(of(&"a".repeat(64)), Err(DnsNameError::LongLabel { length: 64 }));
        assert_eq!(of(&"a".repeat(300)), Err(DnsNameError::LongLabel { length: 300 }));
        assert_eq!(of(&["a"; 127].join(".")), Ok(()));
        assert_eq!(of(&["a"; 128].join(".")), Err(DnsNameError::LongName { length: 257 }));
        assert_eq!("dnskey".parse(), Ok(RecordType(48)));
        assert_eq!(RecordType(48).to_string(), "DNSKEY");
        assert!("ANYTHING".parse::<RecordType>().is_err());
    }

    #[test]
    fn answers_are_judged_and_others_passed_over() {
        let of = |replies: &[&[u8]]| {
            let query = DnsQuery::new("a", RecordType::A).unwrap();
            [query.clone(), query.needs_record()].map(|query| {
                let mut run = DnsCheck::new(&query, 0x1234);
                run.handle_connected();
                for reply in replies {
                    run.handle_data(reply);
                }
                run.handle_timeout(Duration::from_secs(1));
                loop {
                    if let Some(Output::Done(result)) = run.poll_output() {
                        break result;
                    }
                }
            })
        };
        let reply = |id: u16, flags: u8, code, answers| {
            [&id.to_be_bytes()[..], &[flags, code, 0, 1, 0, answers, 0, 0, 0, 0]].concat()
        };
        assert_eq!(of(&[&reply(0x1234, 0x80, 0, 1)]), [Ok(()); 2]);
        assert_eq!(of(&[&reply(0x1234, 0x81, 0x80, 0)]), [Ok(()), Err(Failure::NoRecord)]);
        let refused = Err(Failure::ResponseCode { code: 5 });
        assert_eq!(of(&[&reply(0x1234, 0x80, 5, 0)]), [refused; 2]);
        let timed_out = Err(Failure::TimedOut { after: Duration::from_secs(1) });
        assert_eq!(of(&[&reply(0x1235, 0x80, 0, 1)]), [timed_out; 2], "another number");
        assert_eq!(of(&[&reply(0x1234, 0x00, 0, 1)]), [timed_out; 2], "a query");
        assert_eq!(of(&[&reply(7, 0x80, 0, 1), &reply(0x1234, 0x80, 0, 1)]), [Ok(()); 2]);
        let short = Err(Failure::Malformed { what: "shorter than a DNS header" });
        assert_eq!(of(&[&[0x12, 0x34, 0x80]]), [short; 2]);
    }
}
