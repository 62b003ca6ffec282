//! The file check: a number in a file, written by somebody else.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::{Failure, Local};

/// As much of the file is read.
const READ: u64 = 128;

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NumberRule {
    /// 0 is up, everything else down.
    ZeroIsUp,
    /// Down when the number is less than this.
    AtLeast(i64),
    /// Always up: only the number is told.
    Told,
}

/// Reads the number at the beginning of a file (decimal, `0x` or `0` for octal, with a sign), at its interval and at once when it
/// changes (inotify on its directory; a change behind a symbolic link is seen at the interval).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileCheck {
    path: PathBuf,
    rule: NumberRule,
    otherwise: Option<i64>,
}

impl FileCheck {
    /// The file at `path` and what its number means. A file that cannot be read, or holds no number, fails.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, rule: NumberRule) -> Self {
        Self { path: path.into(), rule, otherwise: None }
    }

    /// A file that cannot be read, or holds no number, counts as holding this one.
    #[must_use]
    pub fn otherwise(self, number: i64) -> Self {
        Self { otherwise: Some(number), ..self }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What content says: the number, and whether it is a success.
    pub fn judge(&self, content: &[u8]) -> (Option<i64>, Result<(), Failure>) {
        self.judge_number(number(content).ok_or(Failure::NoNumber))
    }

    /// Reads the file and judges it.
    pub(crate) fn run(&self) -> Result<(Option<i64>, Result<(), Failure>), Local> {
        match self.read() {
            Ok(content) => Ok(self.judge(&content)),
            Err(error) => match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
                errno @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
                    Err(Local::Socket { errno: errno.raw_os_error() })
                }
                errno => {
                    Ok(self.judge_number(Err(Failure::Unreadable { errno: errno.raw_os_error() })))
                }
            },
        }
    }

    fn judge_number(&self, number: Result<i64, Failure>) -> (Option<i64>, Result<(), Failure>) {
        let value = match (number, self.otherwise) {
            (Ok(value), _) | (Err(_), Some(value)) => value,
            (Err(failure), None) => return (None, Err(failure)),
        };
        let good = match self.rule {
            NumberRule::ZeroIsUp => value == 0,
            NumberRule::AtLeast(least) => value >= least,
            NumberRule::Told => true,
        };
        (Some(value), if good { Ok(()) } else { Err(Failure::Number { value }) })
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        // A pipe or a terminal in its place must not hold us.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path)?;
        let mut content = Vec::new();
        file.take(READ).read_to_end(&mut content)?;
        Ok(content)
    }
}

/// The number at the beginning of `content`, after white space and before whatever is no digit.
fn number(content: &[u8]) -> Option<i64> {
    let text = content.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
            (16, rest)
        }
        [b'0', ..] => (8, digits),
        _ => (10, digits),
    };
    let mut value = None;
    for digit in digits.iter().map_while(|&byte| char::from(byte).to_digit(radix)) {
        let digit = i64::from(digit);
        let before: i64 = value.unwrap_or(0);
        let shifted = before.checked_mul(i64::from(radix))?;
        value = Some(if negative {
            shifted.checked_sub(digit)?
        } else {
            shifted.checked_add(digit)?
        });
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_writes_them() {
        let cases: [(&[u8], Option<i64>); 12] = [
            (b"0", Some(0)),
            (b" \n-17\nmore", Some(-17)),
            (b"+5 apples", Some(5)),
            (b"0x1F", Some(31)),
            (b"017", Some(15)),
            (b"0x", Some(0)),
            (b"08", Some(0)),
            (b"", None),
            (b"-", None),
            (b"up", None),
            (b"-9223372036854775808", Some(i64::MIN)),
            (b"9223372036854775808", None),
        ];
        for (content, expected) in cases {
            assert_eq!(number(content), expected, "{}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn rules_and_the_stand_in() {
        let of = |rule, content: &[u8]| FileCheck::new("f", rule).judge(content);
        assert_eq!(of(NumberRule::ZeroIsUp, b"0\n"), (Some(0), Ok(())));
        assert_eq!(of(NumberRule::ZeroIsUp, b"1"), (Some(1), Err(Failure::Number { value: 1 })));
        assert_eq!(of(NumberRule::AtLeast(-5), b"-5"), (Some(-5), Ok(())));
        assert_eq!(
            of(NumberRule::AtLeast(-5), b"-6"),
            (Some(-6), Err(Failure::Number { value: -6 }))
        );
        assert_eq!(of(NumberRule::Told, b"-6"), (Some(-6), Ok(())));
        assert_eq!(of(NumberRule::Told, b"x"), (None, Err(Failure::NoNumber)));
        let lenient = FileCheck::new("/does/not/exist", NumberRule::ZeroIsUp).otherwise(0);
        assert_eq!(lenient.run(), Ok((Some(0), Ok(()))));
        let strict = FileCheck::new("/does/not/exist", NumberRule::ZeroIsUp);
        assert_eq!(strict.run(), Ok((None, Err(Failure::Unreadable { errno: 2 }))));
    }
}
