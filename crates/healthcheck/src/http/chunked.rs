//! Chunked bodies (RFC 9112 §7.1), decoded as they come.

use crate::Failure;

/// Extensions and trailers are passed over, but not for ever.
const LINE: usize = 4096;
const TRAILERS: usize = 16 << 10;

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the hexadecimal digits.
    Size {
        value: u64,
        digits: u8,
    },
    /// In what follows them, up to the end of the line.
    Extension {
        value: u64,
        length: usize,
    },
    Data(u64),
    /// The line end after data.
    DataEnd,
    /// After the last chunk; `blank`: the present line has no byte yet.
    Trailer {
        blank: bool,
        length: usize,
    },
    Finished,
}

/// A decoder.
#[derive(Debug)]
pub(super) struct Chunked(State);

impl Chunked {
    pub(super) fn new() -> Self {
        Self(State::Size { value: 0, digits: 0 })
    }

    /// Decodes a piece into `data`; returns whether the body is complete.
    pub(super) fn decode(
        &mut self,
        mut bytes: &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<bool, Failure> {
        let malformed = |what| Err(Failure::Malformed { what });
        loop {
            if let State::Data(left) = self.0 {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (chunk, rest) = bytes.split_at_checked(here).unwrap_or((bytes, &[]));
                data(chunk);
                bytes = rest;
                let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                self.0 = if left == 0 { State::DataEnd } else { State::Data(left) };
                if left > 0 {
                    return Ok(false);
                }
            }
            if matches!(self.0, State::Finished) {
                return Ok(true);
            }
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(false) };
            bytes = rest;
            self.0 = match (self.0, byte) {
                (State::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
                    let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                    if digits == 16 {
                        return malformed("a chunk size of more than 64 bits");
                    }
                    State::Size { value: (value << 4) | digit, digits: digits + 1 }
                }
                (State::Size { digits: 0, .. }, _) => return malformed("a chunk without a size"),
                (State::Size { value, .. } | State::Extension { value, .. }, b'\n') => {
                    match value {
                        0 => State::Trailer { blank: true, length: 0 },
                        value => State::Data(value),
                    }
                }
                (State::Size { value, .. }, b';' | b' ' | b'\t' | b'\r') => {
                    State::Extension { value, length: 0 }
                }
                (State::Size { .. }, _) => return malformed("a chunk size that is no number"),
                (State::Extension { length: LINE.., .. }, _) => {
                    return malformed("a chunk extension without end");
                }
                (State::Extension { value, length }, _) => {
                    State::Extension { value, length: length.saturating_add(1) }
                }
                (State::DataEnd, b'\r') => State::DataEnd,
                (State::DataEnd, b'\n') => State::Size { value: 0, digits: 0 },
                (State::DataEnd, _) => return malformed("a chunk longer than its size"),
                (State::Trailer { length: TRAILERS.., .. }, _) => {
                    return malformed("trailers without end");
                }
                (State::Trailer { blank: true, .. }, b'\n') => State::Finished,
                (State::Trailer { blank, length }, _) => State::Trailer {
                    blank: byte == b'\n' || (blank && byte == b'\r'),
                    length: length.saturating_add(1),
                },
                (State::Data(_) | State::Finished, _) => return Ok(true),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &[u8]) -> (Vec<u8>, Result<bool, Failure>) {
        let (mut decoder, mut data) = (Chunked::new(), Vec::new());
        let whole = decoder.decode(text, |piece| data.extend_from_slice(piece));
        let (mut decoder, mut bytewise) = (Chunked::new(), Vec::new());
        let mut last = Ok(false);
        for byte in text {
            if last == Ok(false) {
                last = decoder.decode(&[*byte], |piece| bytewise.extend_from_slice(piece));
            }
        }
        assert_eq!((&bytewise, last), (&data, whole), "pieces make no difference");
        (data, whole)
    }

    #[test]
    fn chunks_become_a_body() {
        assert_eq!(
            decode(b"4\r\nWiki\r\n5;a=b\r\npedia\r\n0\r\n\r\n"),
            (b"Wikipedia".to_vec(), Ok(true))
        );
        assert_eq!(decode(b"A\n0123456789\n00\nX: y\n\n"), (b"0123456789".to_vec(), Ok(true)));
        assert_eq!(decode(b"4\r\nWi"), (b"Wi".to_vec(), Ok(false)));
        assert_eq!(decode(b"0\r\n"), (vec![], Ok(false)));
    }

    #[test]
    fn what_is_no_chunk_is_named() {
        let of = |text: &[u8]| decode(text).1;
        let malformed = |what| Err(Failure::Malformed { what });
        assert_eq!(of(b"\r\n"), malformed("a chunk without a size"));
        assert_eq!(of(b"-1\r\n"), malformed("a chunk without a size"));
        assert_eq!(of(b"5x\r\n"), malformed("a chunk size that is no number"));
        assert_eq!(of(b"10000000000000000\r\n"), malformed("a chunk size of more than 64 bits"));
        assert_eq!(of(b"1\r\nab"), malformed("a chunk longer than its size"));
        assert_eq!(
            of(&[b"1;".as_slice(), &[b'x'; 5000]].concat()),
            malformed("a chunk extension without end")
        );
        assert_eq!(
            of(&[b"0\r\n".as_slice(), &vec![b'x'; 20_000]].concat()),
            malformed("trailers without end")
        );
    }
}
