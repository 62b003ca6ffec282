//! What is wrong, where, and what to do about it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::source::{Sources, Span};

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Runs exactly as keepalived runs it, without a complaint there; still probably not what was meant.
    Note,
    /// Runs, but something takes no effect or not the effect that is written.
    Warning,
    /// Cannot run.
    Error,
}

/// The kind of a [`Diagnostic`]: a stable name that scripts and tests can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// A value is refused: not a number, not an address, not one of the allowed words.
    BadValue,
    /// A default was taken for something that should be written out.
    DefaultTaken,
    /// The same thing is defined twice; the first one stands.
    Duplicate,
    /// Nothing is configured: no virtual router and no virtual server.
    Empty,
    /// Variables, sequences or lists expand to more than the bound.
    ExpansionLimit,
    /// A `}` without a block.
    ExtraCloseBrace,
    /// A `{` without a keyword.
    ExtraOpenBrace,
    /// Words after the value, which are dropped.
    ExtraWords,
    /// `<!-- -->` is not a comment here.
    HtmlComment,
    /// An `include` that found nothing or could not be read.
    Include,
    /// Includes are nested in a circle, too deeply, or too many.
    IncludeLimit,
    /// A line is dropped: too long, or it holds a NUL byte.
    LineDropped,
    /// A block keyword without its `{`.
    MissingBlock,
    /// Something without which this cannot run is not written.
    MissingKeyword,
    /// An old name of another keyword.
    Deprecated,
    /// A keyword without its value.
    MissingValue,
    /// A keyword that exists, but not in this block.
    MisplacedKeyword,
    /// Blocks are nested too deeply.
    NestingLimit,
    /// Understood, but this version does nothing about it.
    NotActedOn,
    /// A number outside its range; the default is kept.
    OutOfRange,
    /// Two settings exclude each other; says which one stands.
    Conflict,
    /// Malformed `@ID`, `$NAME=`, `~SEQ` or `~LST`.
    Preprocessor,
    /// A web page hid an e-mail address here.
    ProtectedEmail,
    /// More findings than the bound; the rest is not shown.
    Suppressed,
    /// A value is cut to the length that the protocol has room for.
    Truncated,
    /// Typographic quotes, which do not quote.
    TypographicQuotes,
    /// A block that is never closed.
    UnclosedBlock,
    /// `${NAME}` without a definition.
    UndefinedVariable,
    /// A value keyword that was given a block, which is skipped.
    UnexpectedBlock,
    /// A block whose keyword is not known; skipped whole.
    UnknownBlock,
    /// An `@vipd` line that this version does not know.
    UnknownDirective,
    /// A keyword that is not known; its line is skipped.
    UnknownKeyword,
    /// A name (of a script, of an instance) that nothing defines.
    UnknownReference,
    /// A quote that is not closed on its line.
    UnterminatedQuote,
}

impl Code {
    /// The stable name, e.g. `unknown-keyword`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadValue => "bad-value",
            Self::DefaultTaken => "default-taken",
            Self::Duplicate => "duplicate",
            Self::Empty => "empty",
            Self::ExpansionLimit => "expansion-limit",
            Self::ExtraCloseBrace => "extra-close-brace",
            Self::ExtraOpenBrace => "extra-open-brace",
            Self::ExtraWords => "extra-words",
            Self::HtmlComment => "html-comment",
            Self::Include => "include",
            Self::IncludeLimit => "include-limit",
            Self::LineDropped => "line-dropped",
            Self::MissingBlock => "missing-block",
            Self::MissingKeyword => "missing-keyword",
            Self::Deprecated => "deprecated",
            Self::MissingValue => "missing-value",
            Self::MisplacedKeyword => "misplaced-keyword",
            Self::NestingLimit => "nesting-limit",
            Self::NotActedOn => "not-acted-on",
            Self::OutOfRange => "out-of-range",
            Self::Conflict => "conflict",
            Self::Preprocessor => "preprocessor",
            Self::ProtectedEmail => "protected-email",
            Self::Suppressed => "suppressed",
            Self::Truncated => "truncated",
            Self::TypographicQuotes => "typographic-quotes",
            Self::UnclosedBlock => "unclosed-block",
            Self::UndefinedVariable => "undefined-variable",
            Self::UnexpectedBlock => "unexpected-block",
            Self::UnknownBlock => "unknown-block",
            Self::UnknownDirective => "unknown-directive",
            Self::UnknownKeyword => "unknown-keyword",
            Self::UnknownReference => "unknown-reference",
            Self::UnterminatedQuote => "unterminated-quote",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A second place that explains the first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The kind.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one lower-case sentence without a full stop.
    pub message: String,
    /// Name of the file.
    pub file: String,
    /// Line in that file, from 1.
    pub line: u32,
    /// The exact place.
    pub span: Span,
    /// What is at that place, said beside it; may be empty.
    pub here: String,
    /// Other places that belong to it.
    pub labels: Vec<Label>,
    /// What to do; may be empty.
    pub help: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn new(
        code: Code,
        severity: Severity,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            file: String::new(),
            line: 0,
            span,
            here: String::new(),
            labels: Vec::new(),
            help: Vec::new(),
        }
    }

    pub(crate) fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message)
    }

    pub(crate) fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message)
    }

    pub(crate) fn note(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Note, span, message)
    }

    pub(crate) fn here(mut self, text: impl Into<String>) -> Self {
        self.here = text.into();
        self
    }

    pub(crate) fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line: severity[code]: message (help)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{}:{}: {severity}[{}]: {}", self.file, self.line, self.code, self.message)?;
        for help in &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// Most findings that one run reports.
pub const MAX_DIAGNOSTICS: usize = 1000;

/// Collects findings up to [`MAX_DIAGNOSTICS`]; errors always count, even when they are no longer listed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    found: Vec<Diagnostic>,
    left_out: usize,
    left_out_errors: bool,
    last: Span,
}

impl Report {
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < MAX_DIAGNOSTICS {
            self.found.push(diagnostic);
        } else {
            self.left_out += 1;
            self.left_out_errors |= diagnostic.severity == Severity::Error;
            self.last = diagnostic.span;
        }
    }

    /// Whether another finding would only be counted: then it is not worth looking for suggestions.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_DIAGNOSTICS
    }

    /// Counts a warning that is not made.
    pub(crate) fn leave_out(&mut self, span: Span) {
        self.left_out += 1;
        self.last = span;
    }

    /// Resolves file names and lines, in the order of the text.
    pub(crate) fn finish(mut self, sources: &Sources) -> Vec<Diagnostic> {
        if self.left_out > 0 {
            let severity = if self.left_out_errors { Severity::Error } else { Severity::Warning };
            let message = alloc::format!("{} more findings are not shown", self.left_out);
            self.found.push(
                Diagnostic::new(Code::Suppressed, severity, self.last, message)
                    .help("repair the first ones and check again"),
            );
        }
        for diagnostic in &mut self.found {
            diagnostic.line = sources.line(diagnostic.span);
            diagnostic.file =
                sources.file(diagnostic.span.file).map_or("", |file| file.name()).into();
        }
        self.found.sort_by_key(|diagnostic| {
            (diagnostic.code == Code::Suppressed, diagnostic.span.file, diagnostic.span.start)
        });
        self.found
    }
}
