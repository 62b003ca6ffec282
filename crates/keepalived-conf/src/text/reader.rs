//! The preprocessor: conditions, definitions, repetitions, variables, includes; then words into the tree.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::expand::Budget;
use super::include::{MAX_INCLUDED_BYTES, Rigour};
use super::lex::{Token, Word, is_blank, tokens};
use super::line::{Line, strip_comment};
use super::repeat::Repeat;
use super::tree::{Block, TOP_LEVEL_ONLY, TreeBuilder};
use super::variables::{definition, reference};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::loader::Loader;
use crate::source::{FileId, Sources, Span};

/// Longest line in bytes (keepalived's limit); a longer one is dropped.
pub const MAX_LINE: usize = 1023;

/// What reading one configuration yields before any keyword is understood.
pub(crate) struct Read {
    pub(crate) root: Block,
    pub(crate) sources: Sources,
    pub(crate) report: Report,
    /// A comment that holds what looks like a whole configuration.
    pub(crate) configuration_in_comment: Option<Span>,
}

pub(crate) fn read(name: &str, text: &str, loader: &mut dyn Loader) -> Read {
    let mut reader = Reader {
        loader,
        sources: Sources::default(),
        report: Report::default(),
        tree: TreeBuilder::default(),
        definitions: BTreeMap::new(),
        bound: Vec::new(),
        budget: Budget::default(),
        include_bytes_left: MAX_INCLUDED_BYTES,
        open_files: Vec::new(),
        html: Vec::new(),
        configuration_in_comment: None,
    };
    reader.file(name, text);
    let Reader { sources, mut report, tree, html, configuration_in_comment, .. } = reader;
    report_html(&html, &mut report);
    let root = tree.finish(&mut report);
    Read { root, sources, report, configuration_in_comment }
}

pub(super) struct Reader<'a> {
    pub(super) loader: &'a mut dyn Loader,
    pub(super) sources: Sources,
    pub(super) report: Report,
    pub(super) tree: TreeBuilder,
    /// Values by name, line by line, not yet expanded.
    pub(super) definitions: BTreeMap<String, Rc<Vec<Line>>>,
    /// Variables of the repetitions around the present line, innermost last.
    pub(super) bound: Vec<(String, String)>,
    pub(super) budget: Budget,
    pub(super) include_bytes_left: usize,
    pub(super) open_files: Vec<String>,
    html: Vec<Span>,
    configuration_in_comment: Option<Span>,
}

/// The physical lines of a file: byte offset and text without the line end.
struct Lines {
    text: Arc<str>,
    at: usize,
}

impl Lines {
    fn next(&mut self) -> Option<(usize, &str)> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (start, length) = (self.at, rest.find('\n'));
        self.at += length.map_or(rest.len(), |length| length + 1);
        let line = rest.get(..length.unwrap_or(rest.len()))?;
        Some((start, line.trim_end_matches('\r')))
    }
}

impl Reader<'_> {
    pub(super) fn file(&mut self, name: &str, text: &str) {
        let id = self.sources.add(name, text);
        self.open_files.push(name.into());
        let mut lines = Lines { text: self.sources.text_of(id), at: 0 };
        while let Some((offset, raw)) = lines.next() {
            if let Some(line) = self.physical(raw, id, offset) {
                self.line(&line, id, Some(&mut lines));
            }
        }
        self.open_files.pop();
    }

    /// A line as it stands in the file, without its comment; `None` when it is dropped.
    fn physical(&mut self, raw: &str, file: FileId, offset: usize) -> Option<Line> {
        let reason = if raw.len() > MAX_LINE {
            format!(
                "this line is {} bytes long; lines of more than {MAX_LINE} bytes are dropped",
                raw.len()
            )
        } else if raw.contains('\0') {
            "this line contains a NUL byte and is dropped".into()
        } else {
            let stripped = strip_comment(raw, file, offset);
            self.html.extend(stripped.html);
            if let (None, Some(comment)) = (self.configuration_in_comment, stripped.comment) {
                let text = self.sources.text(comment);
                let found = text.contains('{')
                    && TOP_LEVEL_ONLY.iter().any(|keyword| text.contains(keyword));
                self.configuration_in_comment = found.then_some(comment);
            }
            return Some(stripped.line);
        };
        let span = Span::new(file, offset, offset + raw.len());
        self.report.add(
            Diagnostic::warning(Code::LineDropped, span, reason)
                .help("split it into shorter lines, or include another file"),
        );
        None
    }

    /// One line through the whole preprocessor. `more` gives the lines after it, for definitions of several lines.
    fn line(&mut self, line: &Line, file: FileId, more: Option<&mut Lines>) {
        let mut line = line.rest(0);
        while line.text.starts_with('@') {
            let Some(rest) = self.condition(&line) else { return };
            line = rest;
        }
        let repeats = ["~SEQ(", "~SEQx(", "~LST("].iter().any(|head| line.text.starts_with(head));
        if definition(&line.text).is_some() {
            self.define(&line, file, more);
        } else if repeats {
            self.repeat(&line, file);
        } else if !line.text.is_empty() {
            self.plain(&line, file);
        }
    }

    /// `@ID text`, `@^ID text`: the text if it counts. `@vipd words` never counts: it is ours.
    fn condition(&mut self, line: &Line) -> Option<Line> {
        let end = line.text.find(is_blank).unwrap_or(line.text.len());
        let word = line.text.get(1..end).unwrap_or("");
        let (negated, id) = word.strip_prefix('^').map_or((false, word), |id| (true, id));
        if id.is_empty() {
            self.report.add(
                Diagnostic::warning(Code::Preprocessor, line.whole(), "`@` without a name: the line is dropped")
                    .help("write `@NAME text`: the text counts only where the configuration id (option -i, or the host name) is NAME"),
            );
            return None;
        }
        if !negated && id == "vipd" {
            let (tokens, _) = tokens(&line.rest(end));
            let words = tokens.into_iter().filter_map(|token| match token {
                Token::Word(word, _) => Some(word),
                Token::Open(..) | Token::Close(..) => None,
            });
            self.tree.directive(words.collect(), line.whole());
            return None;
        }
        ((id == self.loader.config_id()) != negated).then(|| line.rest(end))
    }

    /// `$NAME=value`, with further lines while a line ends in `\`.
    fn define(&mut self, line: &Line, file: FileId, more: Option<&mut Lines>) {
        let Some((name, start)) = definition(&line.text) else { return };
        let mut value = line.rest(start);
        let mut lines = Vec::new();
        if let Some(more) = more {
            while let Some(kept) = value.text.trim_end_matches(is_blank).strip_suffix('\\') {
                lines.push(value.part(0..kept.len()));
                let Some((offset, raw)) = more.next() else {
                    value = Line::default();
                    break;
                };
                let raw = raw.to_string();
                value = self.physical(&raw, file, offset).unwrap_or_default();
            }
        }
        lines.push(value);
        lines.retain(|line| !line.text.trim_matches(is_blank).is_empty());
        for line in &mut lines {
            let length = line.text.trim_end_matches(is_blank).len();
            *line = line.part(0..length).rest(0);
        }
        self.definitions.insert(name.into(), Rc::new(lines));
    }

    fn repeat(&mut self, line: &Line, file: FileId) {
        // Variables inside the parentheses are expanded before they are read.
        let head_end = line.text.find(')').map_or(line.text.len(), |close| close + 1);
        let head = self.expanded(&line.part(0..head_end), file);
        let span = line.span(0..head_end);
        let Some((repeat, _)) =
            Repeat::parse(&head.text).filter(|&(_, used)| used == head.text.len())
        else {
            self.report.add(
                Diagnostic::warning(Code::Preprocessor, span, "this repetition cannot be read: the line is dropped")
                    .help("write `~SEQ(name, start, step, end) text` with a step that leads from start to end, or `~LST(name, value, value) text`, or `~LST({a, b}, {1, 2}) text`"),
            );
            return;
        };
        let rest = line.rest(head_end);
        if !self.descend(line) {
            return;
        }
        for binding in repeat.bindings() {
            if !self.spend(1, rest.text.len(), span) {
                break;
            }
            let outer = self.bound.len();
            self.bound.extend(binding);
            self.line(&rest, file, None);
            self.bound.truncate(outer);
        }
        self.ascend();
    }

    /// A line that is not a condition, definition or repetition: variables, then words.
    fn plain(&mut self, line: &Line, file: FileId) {
        let Some((start, lines)) = self.block_at_end(line) else {
            let expanded =
                if line.text.contains('$') { self.expanded(line, file) } else { line.clone() };
            self.words(expanded, file);
            return;
        };
        if !self.descend(line) {
            return;
        }
        let span = line.span(start..line.text.len());
        // What stands before a variable of several lines belongs to the first of them.
        let mut next = line.part(0..start);
        for inner in lines.iter() {
            if !self.spend(1, inner.text.len(), span) {
                break;
            }
            next.push_expanded(&inner.text, span);
            self.line(&next, file, None);
            next = Line::default();
        }
        self.ascend();
    }

    /// A variable of several lines at the end of a line: where it starts, and its lines.
    fn block_at_end(&self, line: &Line) -> Option<(usize, Rc<Vec<Line>>)> {
        let text = line.text.trim_end_matches(is_blank);
        let start = text.rfind('$')?;
        let reference = reference(text.get(start..)?)?;
        let lines = self.definitions.get(reference.name)?;
        (start + reference.length == text.len() && lines.len() > 1)
            .then(|| (start, Rc::clone(lines)))
    }

    /// Splits into words and braces and hands them to the tree; follows includes.
    fn words(&mut self, line: Line, file: FileId) {
        let (tokens, open_quote) = tokens(&line);
        if let Some(span) = open_quote {
            self.report.add(
                Diagnostic::warning(
                    Code::UnterminatedQuote,
                    span,
                    "this quote is not closed on its line",
                )
                .here("everything from here to the end of the line is one word")
                .help("add the closing `\"`"),
            );
        }
        let length = line.text.len();
        let line = Rc::new(line);
        let mut words: Vec<Word> = Vec::new();
        let mut tail = 0;
        for token in tokens {
            match token {
                Token::Word(word, at) => {
                    if words.is_empty() {
                        tail = at + word_length(&line, at, &word);
                    }
                    words.push(word);
                }
                Token::Open(span, at) => {
                    self.statement(core::mem::take(&mut words), &line, tail..at, file);
                    self.tree.open(span, &mut self.report);
                }
                Token::Close(span, at) => {
                    self.statement(core::mem::take(&mut words), &line, tail..at, file);
                    self.tree.close(span, &mut self.report);
                }
            }
        }
        self.statement(words, &line, tail..length, file);
    }

    fn statement(
        &mut self,
        words: Vec<Word>,
        line: &Rc<Line>,
        tail: core::ops::Range<usize>,
        file: FileId,
    ) {
        let Some(first) = words.first() else { return };
        match Rigour::of(&first.text).filter(|_| !first.quoted) {
            Some(rigour) => self.include(first, words.get(1), rigour, file),
            None => self.tree.statement(words, line, tail),
        }
    }
}

/// How many bytes of the line a word takes, with its quotes.
fn word_length(line: &Line, at: usize, word: &Word) -> usize {
    if !word.quoted {
        return word.text.len();
    }
    let closed =
        line.text.get(at + 1 + word.text.len()..).is_some_and(|rest| rest.starts_with('"'));
    word.text.len() + 1 + usize::from(closed)
}

fn report_html(html: &[Span], report: &mut Report) {
    let Some(&first) = html.first() else { return };
    let places = if html.len() == 1 { "place" } else { "places" };
    let message =
        format!("`<!-- -->` is not a comment in keepalived.conf ({} {places})", html.len());
    let mut diagnostic = Diagnostic::warning(Code::HtmlComment, first, message)
        .here("`!` starts the comment, so keepalived is left with a `<`")
        .help("start comments with `!` or `#`; here the left-over `<` is dropped");
    for &other in html.iter().skip(1).take(3) {
        diagnostic = diagnostic.label(other, "here too");
    }
    report.add(diagnostic);
}

#[cfg(test)]
mod tests;
