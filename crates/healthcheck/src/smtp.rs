//! The SMTP check: greeting, `HELO`, `QUIT` (RFC 5321 §4.2).

use core::time::Duration;
use std::sync::Arc;

use thiserror::Error;

use crate::ending::Ending;
use crate::{Failure, Machine, Output};

/// A reply line has 512 bytes (RFC 5321 §4.5.3.1.5); some servers write longer ones.
const LINE: usize = 1024;
/// A reply of more lines is taken for a server that never ends.
const LINES: u32 = 100;

/// What an SMTP check says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Smtp {
    hello: Arc<[u8]>,
    single_lines: bool,
}

/// A name that cannot stand in a `HELO`: empty, or with a byte that is not printable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a name for HELO is printable and not empty")]
#[non_exhaustive]
pub struct HelloNameError;

impl Smtp {
    /// Introduces itself with `name`.
    pub fn new(name: &str) -> Result<Self, HelloNameError> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HelloNameError);
        }
        Ok(Self { hello: format!("HELO {name}\r\n").into_bytes().into(), single_lines: false })
    }

    /// Replies of several lines (`220-`) fail, as with keepalived.
    #[must_use]
    pub fn single_lines(self) -> Self {
        Self { single_lines: true, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Greeting,
    Hello,
    Quit,
}

/// One run of the SMTP check.
#[derive(Debug)]
pub struct SmtpCheck {
    smtp: Smtp,
    /// Whose reply is awaited.
    step: Step,
    /// The beginning of the line that is being received: the code and what follows it.
    line: [u8; 4],
    length: usize,
    lines: u32,
    unsent: bool,
    ending: Ending,
}

impl SmtpCheck {
    /// A run that waits for the greeting.
    #[must_use]
    pub fn new(smtp: Smtp) -> Self {
        Self {
            smtp,
            step: Step::Greeting,
            line: [0; 4],
            length: 0,
            lines: 0,
            unsent: false,
            ending: Ending::Running,
        }
    }

    fn handle_line(&mut self) {
        let length = core::mem::take(&mut self.length);
        self.lines = self.lines.saturating_add(1);
        if self.lines > LINES {
            self.ending.decide(Err(Failure::Malformed { what: "a reply of too many lines" }));
            return;
        }
        let [a, b, c, mark] = self.line;
        let code = [a, b, c].iter().try_fold(0_u16, |code, &byte| {
            let digit = char::from(byte).to_digit(10)?;
            Some(code * 10 + u16::try_from(digit).ok()?)
        });
        let Some(code) = code.filter(|_| length >= 3) else {
            self.ending.decide(Err(Failure::Malformed { what: "a reply without a code" }));
            return;
        };
        match mark {
            b'-' if length > 3 && !self.smtp.single_lines => return, // more lines follow
            _ if length == 3 => {}
            b' ' | b'\r' => {}
            _ => {
                self.ending
                    .decide(Err(Failure::Malformed { what: "a reply code that does not end" }));
                return;
            }
        }
        self.lines = 0;
        let wanted = match self.step {
            Step::Greeting => 220,
            Step::Hello => 250,
            Step::Quit => code, // whatever it says: it is there
        };
        if code != wanted {
            self.ending.decide(Err(Failure::Reply { code }));
            return;
        }
        self.unsent = true;
        self.step = match self.step {
            Step::Greeting => Step::Hello,
            Step::Hello => Step::Quit,
            Step::Quit => {
                self.ending.decide(Ok(()));
                return;
            }
        };
    }
}

impl Machine for SmtpCheck {
    fn handle_connected(&mut self) {}

    fn handle_data(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if !self.ending.is_running() {
                return;
            }
            if byte == b'\n' {
                self.handle_line();
                continue;
            }
            if let Some(place) = self.line.get_mut(self.length) {
                *place = byte;
            }
            self.length = self.length.saturating_add(1);
            if self.length > LINE {
                self.ending.decide(Err(Failure::TooLong { limit: LINE }));
            }
        }
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        self.ending.closed(failure);
    }

    fn handle_timeout(&mut self, after: Duration) {
        self.ending.timed_out(after);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        if self.ending.is_running() && core::mem::take(&mut self.unsent) {
            return Some(Output::Transmit(match self.step {
                Step::Greeting => b"",
                Step::Hello => &self.smtp.hello,
                Step::Quit => b"QUIT\r\n",
            }));
        }
        self.ending.poll_output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it says, and the verdict, when the server says these things one after the other.
    fn talk(smtp: Smtp, server: &[&[u8]]) -> (Vec<String>, Option<Result<(), Failure>>) {
        let mut run = SmtpCheck::new(smtp);
        let mut said = Vec::new();
        run.handle_connected();
        for bytes in server {
            run.handle_data(bytes);
            while let Some(output) = run.poll_output() {
                match output {
                    Output::Transmit(bytes) => {
                        said.push(String::from_utf8(bytes.to_vec()).unwrap());
                    }
                    Output::Done(result) => return (said, Some(result)),
                    Output::Close | Output::Reconnect => {}
                }
            }
        }
        (said, None)
    }

    fn smtp() -> Smtp {
        Smtp::new("check.example.com").unwrap()
    }

    #[test]
    fn a_conversation_goes_on_to_its_end() {
        let said = ["HELO check.example.com\r\n", "QUIT\r\n"].map(str::to_owned).to_vec();
        let plain: [&[u8]; 3] = [b"220 hello\r\n", b"250 ok\r\n", b"221 bye\r\n"];
        assert_eq!(talk(smtp(), &plain), (said.clone(), Some(Ok(()))));
        let pieces: [&[u8]; 6] = [b"2", b"20", b" x\r", b"\n", b"250\n", b"500\r\n"];
        assert_eq!(talk(smtp(), &pieces), (said.clone(), Some(Ok(()))), "QUIT needs any reply");
        let lines: [&[u8]; 3] = [b"220-a\r\n220-b\r\n220 c\r\n", b"250 ok\r\n", b"221 bye\r\n"];
        assert_eq!(talk(smtp(), &lines), (said, Some(Ok(()))));
        let what = "a reply code that does not end";
        let single = talk(smtp().single_lines(), &lines).1;
        assert_eq!(single, Some(Err(Failure::Malformed { what })));
    }

    #[test]
    fn other_answers_fail_by_name() {
        let of = |server: &[&[u8]]| talk(smtp(), server).1;
        assert_eq!(of(&[b"554 no\r\n"]), Some(Err(Failure::Reply { code: 554 })));
        assert_eq!(of(&[b"220 a\n", b"421 go away\n"]), Some(Err(Failure::Reply { code: 421 })));
        let what = "a reply without a code";
        for text in [&b"\r\n"[..], b"hello\r\n", b"22\r\n"] {
            assert_eq!(of(&[text]), Some(Err(Failure::Malformed { what })));
        }
        assert_eq!(of(&[&[b'2'; 5000]]), Some(Err(Failure::TooLong { limit: 1024 })));
        let what = "a reply of too many lines";
        assert_eq!(of(&[&b"220-x\n".repeat(200)]), Some(Err(Failure::Malformed { what })));
        assert_eq!(of(&[b"220 is fine"]), None, "not yet a line");
        assert_eq!(Smtp::new("a b"), Err(HelloNameError));
        assert_eq!(Smtp::new("a\r\nMAIL"), Err(HelloNameError));
    }
}
