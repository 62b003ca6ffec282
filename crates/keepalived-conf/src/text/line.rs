//! One line of configuration on its way through the preprocessor, which remembers where every part came from.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::lex::is_blank;
use crate::source::{FileId, Span};

/// Text plus the map from its bytes to the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) text: String,
    segments: Vec<Segment>,
}

/// From `at` on, text comes from `span`: byte by byte when `exact`, else as a whole (an expansion).
#[derive(Clone, Copy, Debug)]
struct Segment {
    at: usize,
    span: Span,
    exact: bool,
}

/// A line without its comment.
#[derive(Debug, Default)]
pub(crate) struct Stripped {
    pub(crate) line: Line,
    pub(crate) comment: Option<Span>,
    /// The `<` of a `<!--`, already taken out.
    pub(crate) html: Option<Span>,
}

impl Line {
    pub(crate) fn push_exact(&mut self, text: &str, file: FileId, start: usize) {
        if !text.is_empty() {
            let span = Span::new(file, start, start + text.len());
            self.segments.push(Segment { at: self.text.len(), span, exact: true });
            self.text.push_str(text);
        }
    }

    pub(crate) fn push_expanded(&mut self, text: &str, span: Span) {
        if !text.is_empty() {
            self.segments.push(Segment { at: self.text.len(), span, exact: false });
            self.text.push_str(text);
        }
    }

    /// A copy of part of another line, with its origin.
    pub(crate) fn push_part(&mut self, other: &Self, range: Range<usize>) {
        for (index, segment) in other.segments.iter().enumerate() {
            let end = other.segments.get(index + 1).map_or(other.text.len(), |next| next.at);
            let (from, to) = (segment.at.max(range.start), end.min(range.end));
            let Some(text) = other.text.get(from..to).filter(|text| !text.is_empty()) else {
                continue;
            };
            let (span, exact) = (segment.span, segment.exact);
            if exact {
                self.push_exact(text, span.file, span.range().start + (from - segment.at));
            } else {
                self.push_expanded(text, span);
            }
        }
    }

    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self::default();
        part.push_part(self, range);
        part
    }

    /// The line from byte `at` on, with leading blanks removed.
    pub(crate) fn rest(&self, at: usize) -> Self {
        let rest = self.text.get(at..).unwrap_or("");
        let blanks = rest.len() - rest.trim_start_matches(is_blank).len();
        self.part(at + blanks..self.text.len())
    }

    /// Where a range of this line's text was written.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let start = self.locate(range.start, false);
        let end = self.locate(range.end.max(range.start + 1) - 1, true);
        match (start, end) {
            (Some(start), Some(end)) => start.to(end),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Span::default(),
        }
    }

    fn locate(&self, at: usize, last_byte: bool) -> Option<Span> {
        let index = self.segments.partition_point(|segment| segment.at <= at).checked_sub(1)?;
        let segment = self.segments.get(index)?;
        if !segment.exact {
            return Some(segment.span);
        }
        let position =
            (segment.span.range().start + (at - segment.at)).min(segment.span.range().end);
        let end = if last_byte { (position + 1).min(segment.span.range().end) } else { position };
        Some(Span::new(segment.span.file, if last_byte { end } else { position }, end))
    }

    /// The span of the whole line.
    pub(crate) fn whole(&self) -> Span {
        self.span(0..self.text.len())
    }
}

/// Takes the comment off a physical line and resolves `\!` and `\#`.
pub(crate) fn strip_comment(raw: &str, file: FileId, offset: usize) -> Stripped {
    let mut stripped = Stripped::default();
    let mut quoted = false;
    let mut from = 0;
    let mut escaped = false;
    for (at, character) in raw.char_indices() {
        let was_escaped = core::mem::replace(&mut escaped, character == '\\' && !quoted);
        match character {
            '"' => quoted = !quoted,
            '!' | '#' if was_escaped => {
                // Everything before the backslash, which is one byte long; the character itself is copied later.
                stripped.line.push_exact(raw.get(from..at - 1).unwrap_or(""), file, offset + from);
                from = at;
            }
            '!' | '#' if !quoted => {
                let comment = raw.get(at..).unwrap_or("");
                let before = raw.get(from..at).unwrap_or("");
                let html = comment.starts_with("!--") && before.ends_with('<');
                let kept = if html { before.get(..before.len() - 1).unwrap_or("") } else { before };
                stripped.html = html.then(|| Span::new(file, offset + at - 1, offset + at + 3));
                stripped.line.push_exact(kept, file, offset + from);
                stripped.comment = Some(Span::new(file, offset + at, offset + raw.len()));
                return stripped;
            }
            _ => {}
        }
    }
    stripped.line.push_exact(raw.get(from..).unwrap_or(""), file, offset + from);
    stripped
}
