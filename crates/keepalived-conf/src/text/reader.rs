//! The preprocessor: conditions, definitions, repetitions, variables, includes; then words into the tree.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::lex::{Token, Word, is_blank, tokens};
use super::line::{Line, strip_comment};
use super::repeat::Repeat;
use super::tree::{Block, TOP_LEVEL_ONLY, TreeBuilder};
use super::variables::{Reference, definition, directory, random_bounds, reference};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::loader::{LoadError, Loader};
use crate::source::{FileId, Sources, Span};

/// Longest line in bytes (keepalived's limit); a longer one is dropped.
pub const MAX_LINE: usize = 1023;
/// Most lines that variables, sequences and lists may produce together.
pub const MAX_EXPANDED_LINES: usize = 250_000;
/// Most bytes that variables, sequences and lists may produce together.
pub const MAX_EXPANDED_BYTES: usize = 16 << 20;
/// Most files that includes may bring in.
pub const MAX_INCLUDED_FILES: usize = 1024;
/// Most bytes that includes may bring in.
pub const MAX_INCLUDED_BYTES: usize = 64 << 20;
/// Deepest nesting of includes, of repetitions on one line, and of variables within variables.
const MAX_DEPTH: usize = 16;
/// What a reference costs beside the bytes it yields, so that empty variables are bounded too.
const REFERENCE_COST: usize = 16;

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
        lines_left: MAX_EXPANDED_LINES,
        bytes_left: MAX_EXPANDED_BYTES,
        include_bytes_left: MAX_INCLUDED_BYTES,
        exhausted: false,
        depth: 0,
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

struct Reader<'a> {
    loader: &'a mut dyn Loader,
    sources: Sources,
    report: Report,
    tree: TreeBuilder,
    definitions: BTreeMap<String, Rc<Vec<Line>>>,
    /// Variables of the repetitions around the present line, innermost last.
    bound: Vec<(String, String)>,
    lines_left: usize,
    bytes_left: usize,
    include_bytes_left: usize,
    exhausted: bool,
    depth: usize,
    open_files: Vec<String>,
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
    fn file(&mut self, name: &str, text: &str) {
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
        let span = Span::new(file, offset, offset + raw.len());
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
        self.report.add(
            Diagnostic::warning(Code::LineDropped, span, reason)
                .help("split it into shorter lines, or include another file"),
        );
        None
    }

    /// One line through the whole preprocessor. `more` gives the lines after it, for definitions of several lines.
    fn line(&mut self, line: &Line, file: FileId, more: Option<&mut Lines>) {
        let line = line.rest(0);
        match line.text.chars().next() {
            None => {}
            Some('@') => self.condition(&line, file, more),
            Some('$') if definition(&line.text).is_some() => self.define(&line, file, more),
            Some('~')
                if ["~SEQ(", "~SEQx(", "~LST("].iter().any(|head| line.text.starts_with(head)) =>
            {
                self.repeat(&line, file);
            }
            Some(_) => self.plain(&line, file),
        }
    }

    /// `@ID text`, `@^ID text`, `@vipd words`.
    fn condition(&mut self, line: &Line, file: FileId, more: Option<&mut Lines>) {
        let end = line.text.find(is_blank).unwrap_or(line.text.len());
        let word = line.text.get(1..end).unwrap_or("");
        let (negated, id) = word.strip_prefix('^').map_or((false, word), |id| (true, id));
        if id.is_empty() {
            self.report.add(
                Diagnostic::warning(Code::Preprocessor, line.whole(), "`@` without a name: the line is dropped")
                    .help("write `@NAME text`: the text counts only where the configuration id (option -i, or the host name) is NAME"),
            );
        } else if !negated && id == "vipd" {
            let (tokens, _) = tokens(&line.rest(end));
            let words = tokens.into_iter().filter_map(|token| match token {
                Token::Word(word, _) => Some(word),
                Token::Open(..) | Token::Close(..) => None,
            });
            self.tree.directive(words.collect(), line.whole());
        } else if (id == self.loader.config_id()) != negated {
            self.line(&line.rest(end), file, more);
        }
    }

    /// `$NAME=value`, with further lines while a line ends in `\`.
    fn define(&mut self, line: &Line, file: FileId, more: Option<&mut Lines>) {
        let Some((name, start)) = definition(&line.text) else { return };
        let mut value = line.rest(start);
        let mut lines = Vec::new();
        if let Some(more) = more {
            while value.text.trim_end_matches(is_blank).ends_with('\\') {
                let length = value.text.trim_end_matches(is_blank).len() - 1;
                lines.push(value.part(0..length));
                let Some((offset, raw)) = more.next() else {
                    value = Line::default();
                    break;
                };
                let raw = raw.to_string();
                value = self.physical(&raw, file, offset).unwrap_or_default();
            }
        }
        lines.push(value);
        lines.retain(|line| !line.text.trim().is_empty());
        for line in &mut lines {
            let (blanks, length) = (
                line.text.len() - line.text.trim_start_matches(is_blank).len(),
                line.text.trim_end_matches(is_blank).len(),
            );
            *line = line.part(blanks..length);
        }
        self.definitions.insert(name.into(), Rc::new(lines));
    }

    fn repeat(&mut self, line: &Line, file: FileId) {
        // Variables inside the parentheses are expanded before they are read.
        let head_end = line.text.find(')').map_or(line.text.len(), |close| close + 1);
        let head = self.expanded(&line.part(0..head_end), file);
        let Some((repeat, used)) =
            Repeat::parse(&head.text).filter(|&(_, used)| used == head.text.len())
        else {
            self.report.add(
                Diagnostic::warning(Code::Preprocessor, line.span(0..head_end), "this repetition cannot be read: the line is dropped")
                    .help("write `~SEQ(name, start, step, end) text` with step not 0, or `~LST(name, value, value) text`, or `~LST({a, b}, {1, 2}) text`"),
            );
            return;
        };
        debug_assert_eq!(used, head.text.len());
        let rest = line.rest(head_end);
        if !self.descend(line) {
            return;
        }
        for binding in repeat.bindings() {
            if !self.spend(1, rest.text.len(), line.span(0..head_end)) {
                break;
            }
            let outer = self.bound.len();
            self.bound.extend(binding);
            self.line(&rest, file, None);
            self.bound.truncate(outer);
        }
        self.depth -= 1;
    }

    /// A line that is not a condition, definition or repetition: variables, then words.
    fn plain(&mut self, line: &Line, file: FileId) {
        if let Some(lines) = self.alone(line) {
            if !self.descend(line) {
                return;
            }
            for inner in lines.iter() {
                if !self.spend(1, inner.text.len(), line.whole()) {
                    break;
                }
                let mut used = Line::default();
                used.push_expanded(&inner.text, line.whole());
                self.line(&used, file, None);
            }
            self.depth -= 1;
            return;
        }
        let expanded =
            if line.text.contains('$') { self.expanded(line, file) } else { line.clone() };
        self.words(expanded, file);
    }

    /// The lines of a variable of several lines that is used alone on a line.
    fn alone(&self, line: &Line) -> Option<Rc<Vec<Line>>> {
        let text = line.text.trim_end_matches(is_blank);
        let reference = reference(text).filter(|reference| reference.length == text.len())?;
        self.definitions.get(reference.name).filter(|lines| lines.len() > 1).cloned()
    }

    /// The line with its variables replaced, and those within their values.
    fn expanded(&mut self, line: &Line, file: FileId) -> Line {
        let mut expanded = Line::default();
        let mut from = 0;
        while let Some(at) =
            line.text.get(from..).and_then(|rest| rest.find('$')).map(|found| from + found)
        {
            let found = line.text.get(at..).and_then(reference);
            let span = line.span(at..at + found.map_or(1, |found| found.length));
            let value = found.and_then(|found| self.value(found, file, span));
            expanded.push_part(line, from..at);
            let length = match (found, value) {
                (Some(found), Some(value)) => {
                    if self.spend(0, value.len() + REFERENCE_COST, span) {
                        expanded.push_expanded(&value, span);
                    }
                    found.length
                }
                (found, _) => {
                    let length = found.map_or(1, |found| found.length);
                    expanded.push_part(line, at..at + length);
                    length
                }
            };
            from = at + length;
        }
        expanded.push_part(line, from..line.text.len());
        expanded
    }

    /// The value of a variable; `None` (with a warning for `${NAME}`) when there is none.
    fn value(&mut self, found: Reference<'_>, file: FileId, span: Span) -> Option<String> {
        if self.exhausted {
            return Some(String::new());
        }
        if let Some((_, value)) = self.bound.iter().rev().find(|(name, _)| name == found.name) {
            return Some(value.clone());
        }
        if let Some(lines) = self.definitions.get(found.name).map(Rc::clone) {
            let mut line = Line::default();
            for (index, part) in lines.iter().enumerate() {
                line.push_expanded(if index == 0 { "" } else { " " }, span);
                line.push_expanded(&part.text, span);
            }
            if !line.text.contains('$') {
                return Some(line.text);
            }
            if !self.descend(&line) {
                return Some(String::new());
            }
            let value = self.expanded(&line, file).text;
            self.depth -= 1;
            return Some(value);
        }
        if !found.braced {
            return None;
        }
        let (name, arguments) = found.name.split_once(is_blank).unwrap_or((found.name, ""));
        let value = match name {
            "_HASH" => Some("#".into()),
            "_BANG" => Some("!".into()),
            "_PWD" => Some(directory(self.sources.file(file).map_or("", |file| file.name()))),
            "_INSTANCE" => Some(self.loader.instance().into()),
            "_ENV" => self.loader.environment(arguments.trim()),
            "_RANDOM" => {
                let (low, high) = random_bounds(arguments);
                Some(self.loader.random(low, high).to_string())
            }
            _ => None,
        };
        if value.is_none() {
            let message = format!("`${{{}}}` is not defined and stays as it is", found.name);
            self.report
                .add(Diagnostic::warning(Code::UndefinedVariable, span, message).help(format!(
                "define it on a line above its use: `${name}=value`, without a space before the `=`"
            )));
        }
        value
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
        let mut tail = 0..0;
        for token in tokens {
            match token {
                Token::Word(word, at) => {
                    if words.is_empty() {
                        tail.start = at + word_length(&line, at, &word);
                    }
                    words.push(word);
                }
                Token::Open(span, at) => {
                    self.statement(core::mem::take(&mut words), &line, tail.start..at, file);
                    self.tree.open(span, &mut self.report);
                }
                Token::Close(span, at) => {
                    self.statement(core::mem::take(&mut words), &line, tail.start..at, file);
                    self.tree.close(span, &mut self.report);
                }
            }
        }
        self.statement(words, &line, tail.start..length, file);
    }

    fn statement(
        &mut self,
        words: Vec<Word>,
        line: &Rc<Line>,
        tail: core::ops::Range<usize>,
        file: FileId,
    ) {
        let Some(first) = words.first() else { return };
        let rigour =
            first.text.strip_prefix("include").filter(|_| !first.quoted).map(
                |suffix| match suffix {
                    "" => Some(false),
                    "r" | "m" | "w" | "b" | "a" => Some(true),
                    _ => None,
                },
            );
        match rigour {
            Some(Some(strict)) => self.include(&words, strict, file),
            Some(None) | None => self.tree.statement(words, line, tail),
        }
    }

    fn include(&mut self, words: &[Word], strict: bool, file: FileId) {
        let Some(pattern) = words.get(1) else {
            if let Some(keyword) = words.first() {
                self.report.add(
                    Diagnostic::warning(
                        Code::MissingValue,
                        keyword.span,
                        "`include` needs the name of a file",
                    )
                    .help("write `include FILE`"),
                );
            }
            return;
        };
        if self.open_files.len() > MAX_DEPTH {
            self.report.add(include_limit(
                pattern,
                &format!("includes are nested more than {MAX_DEPTH} deep"),
            ));
            return;
        }
        let from = self.sources.file(file).map_or_else(String::new, |file| file.name().into());
        match self.loader.load(&from, &pattern.text) {
            Ok(files) => {
                for loaded in files {
                    if self.open_files.contains(&loaded.name) {
                        self.report.add(include_limit(
                            pattern,
                            &format!("`{}` includes itself", loaded.name),
                        ));
                    } else if self.sources.files().len() > MAX_INCLUDED_FILES
                        || self.include_bytes_left < loaded.text.len()
                    {
                        self.report.add(include_limit(
                            pattern,
                            "the included files are too many or too large",
                        ));
                        return;
                    } else {
                        self.include_bytes_left -= loaded.text.len();
                        self.file(&loaded.name, &loaded.text);
                    }
                }
            }
            Err(error) => {
                let message = format!("include `{}`: {error}", pattern.text);
                // keepalived only notes this for plain `include`; the stricter spellings make it fatal.
                let diagnostic = if strict && error != LoadError::Unsupported {
                    Diagnostic::error(Code::Include, pattern.span, message)
                } else {
                    Diagnostic::warning(Code::Include, pattern.span, message)
                };
                self.report.add(
                    diagnostic.help(format!("relative names start at the directory of `{from}`")),
                );
            }
        }
    }

    /// One level deeper into repetitions and variables; `false` (with an error) at the bound.
    fn descend(&mut self, line: &Line) -> bool {
        if self.exhausted {
            return false;
        }
        if self.depth >= MAX_DEPTH {
            self.exhaust(
                line.whole(),
                &format!("variables or repetitions are nested more than {MAX_DEPTH} deep"),
                "a variable that contains itself never ends",
            );
            return false;
        }
        self.depth += 1;
        true
    }

    /// Takes from the budget of expansions; `false` (with one error) when it is used up.
    fn spend(&mut self, lines: usize, bytes: usize, span: Span) -> bool {
        if self.exhausted {
            return false;
        }
        if let (Some(lines), Some(bytes)) =
            (self.lines_left.checked_sub(lines), self.bytes_left.checked_sub(bytes))
        {
            (self.lines_left, self.bytes_left) = (lines, bytes);
            true
        } else {
            let message = format!(
                "variables and repetitions expand to more than {MAX_EXPANDED_LINES} lines or {MAX_EXPANDED_BYTES} bytes"
            );
            self.exhaust(
                span,
                &message,
                "look for a range that is too wide, or for ranges multiplied by each other",
            );
            false
        }
    }

    fn exhaust(&mut self, span: Span, message: &str, help: &str) {
        if !core::mem::replace(&mut self.exhausted, true) {
            self.report.add(Diagnostic::error(Code::ExpansionLimit, span, message).help(help));
        }
    }
}

fn include_limit(pattern: &Word, message: &str) -> Diagnostic {
    Diagnostic::error(Code::IncludeLimit, pattern.span, message)
        .help("a file must not include itself, directly or through others")
}

/// How many bytes of the line a word takes, with its quotes.
fn word_length(line: &Line, at: usize, word: &Word) -> usize {
    let quotes = if word.quoted {
        1 + usize::from(
            line.text.get(at + 1 + word.text.len()..).is_some_and(|rest| rest.starts_with('"')),
        )
    } else {
        0
    };
    word.text.len() + quotes
}

fn report_html(html: &[Span], report: &mut Report) {
    let Some(&first) = html.first() else { return };
    let mut diagnostic = Diagnostic::warning(
        Code::HtmlComment,
        first,
        format!(
            "`<!-- -->` is not a comment in keepalived.conf ({} {})",
            html.len(),
            if html.len() == 1 { "place" } else { "places" }
        ),
    )
    .here("`!` starts the comment, so keepalived is left with a `<`")
    .help("start comments with `!` or `#`; here the left-over `<` is dropped");
    for &other in html.iter().skip(1).take(3) {
        diagnostic = diagnostic.label(other, "here too");
    }
    report.add(diagnostic);
}

#[cfg(test)]
mod tests;
