//! Variables in a line, and the bound on all that variables and repetitions produce.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};

use super::lex::is_blank;
use super::line::Line;
use super::reader::Reader;
use super::variables::{Reference, directory, random_bounds, reference};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Span};

/// Most lines that variables, sequences and lists may produce together.
pub const MAX_EXPANDED_LINES: usize = 250_000;
/// Most bytes that variables, sequences and lists may produce together.
pub const MAX_EXPANDED_BYTES: usize = 16 << 20;
/// Deepest nesting of repetitions on one line, and of variables within variables.
const MAX_DEPTH: usize = 16;
/// What a reference costs beside the bytes it yields, so that empty variables are bounded too.
const REFERENCE_COST: usize = 16;

/// How much may still be expanded.
#[derive(Debug)]
pub(super) struct Budget {
    lines: usize,
    bytes: usize,
    depth: usize,
    exhausted: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { lines: MAX_EXPANDED_LINES, bytes: MAX_EXPANDED_BYTES, depth: 0, exhausted: false }
    }
}

impl Reader<'_> {
    /// The line with its variables replaced, and those within their values.
    pub(super) fn expanded(&mut self, line: &Line, file: FileId) -> Line {
        let mut expanded = Line::default();
        let mut from = 0;
        while let Some(at) =
            line.text.get(from..).and_then(|rest| rest.find('$')).map(|found| from + found)
        {
            let found = line.text.get(at..).and_then(reference);
            let length = found.map_or(1, |found| found.length);
            let span = line.span(at..at + length);
            expanded.push_part(line, from..at);
            match found.and_then(|found| self.value(found, file, span)) {
                Some(value) if self.spend(0, value.len() + REFERENCE_COST, span) => {
                    expanded.push_expanded(&value, span);
                }
                Some(_) => {}
                None => expanded.push_part(line, at..at + length),
            }
            from = at + length;
        }
        expanded.push_part(line, from..line.text.len());
        expanded
    }

    /// The value of a variable; `None` when there is none, or one of several lines, which only counts at the end of a line.
    fn value(&mut self, found: Reference<'_>, file: FileId, span: Span) -> Option<String> {
        if self.budget.exhausted {
            return Some(String::new());
        }
        if let Some((_, value)) = self.bound.iter().rev().find(|(name, _)| name == found.name) {
            return Some(value.clone());
        }
        if let Some(lines) = self.definitions.get(found.name).map(Rc::clone) {
            return match lines.as_slice() {
                [] => Some(String::new()),
                [line] if line.text.contains('$') => Some(self.nested(line, file)),
                [line] => Some(line.text.clone()),
                [..] => {
                    let message =
                        format!("`{}` has several lines and is not replaced here", found.name);
                    self.report.add(
                        Diagnostic::warning(Code::Preprocessor, span, message)
                            .help("use it at the end of a line, with nothing behind it"),
                    );
                    None
                }
            };
        }
        if !found.braced {
            return None;
        }
        let value = self.predefined(found.name, file);
        if value.is_none() {
            let name = found.name.split(is_blank).next().unwrap_or("");
            let message = format!("`${{{}}}` is not defined and stays as it is", found.name);
            self.report
                .add(Diagnostic::warning(Code::UndefinedVariable, span, message).help(format!(
                "define it on a line above its use: `${name}=value`, without a space before the `=`"
            )));
        }
        value
    }

    /// A value that refers to other variables.
    fn nested(&mut self, line: &Line, file: FileId) -> String {
        if !self.descend(line) {
            return String::new();
        }
        let value = self.expanded(line, file).text;
        self.ascend();
        value
    }

    fn predefined(&mut self, reference: &str, file: FileId) -> Option<String> {
        let (name, arguments) = reference.split_once(is_blank).unwrap_or((reference, ""));
        match name {
            "_HASH" => Some("#".into()),
            "_BANG" => Some("!".into()),
            "_PWD" => Some(directory(self.sources.file(file).map_or("", |file| file.name()))),
            "_INSTANCE" => Some(self.loader.instance().into()),
            "_ENV" => self.loader.environment(arguments.trim_matches(is_blank)),
            "_RANDOM" => {
                let (low, high) = random_bounds(arguments);
                Some(self.loader.random(low, high).to_string())
            }
            _ => None,
        }
    }

    /// One level deeper into repetitions and variables; `false` (with an error) at the bound.
    pub(super) fn descend(&mut self, line: &Line) -> bool {
        if self.budget.exhausted {
            return false;
        }
        if self.budget.depth >= MAX_DEPTH {
            let message = format!("variables or repetitions are nested more than {MAX_DEPTH} deep");
            self.exhaust(line.whole(), &message, "a variable that contains itself never ends");
            return false;
        }
        self.budget.depth += 1;
        true
    }

    /// One level back.
    pub(super) fn ascend(&mut self) {
        self.budget.depth -= 1;
    }

    /// Takes from the budget; `false` (with one error) when it is used up.
    pub(super) fn spend(&mut self, lines: usize, bytes: usize, span: Span) -> bool {
        if self.budget.exhausted {
            return false;
        }
        let left = (self.budget.lines.checked_sub(lines), self.budget.bytes.checked_sub(bytes));
        if let (Some(lines), Some(bytes)) = left {
            (self.budget.lines, self.budget.bytes) = (lines, bytes);
            return true;
        }
        let message = format!(
            "variables and repetitions expand to more than {MAX_EXPANDED_LINES} lines or {MAX_EXPANDED_BYTES} bytes"
        );
        let help = "look for a range that is too wide, or for ranges multiplied by each other";
        self.exhaust(span, &message, help);
        false
    }

    fn exhaust(&mut self, span: Span, message: &str, help: &str) {
        if !core::mem::replace(&mut self.budget.exhausted, true) {
            self.report.add(Diagnostic::error(Code::ExpansionLimit, span, message).help(help));
        }
    }
}
