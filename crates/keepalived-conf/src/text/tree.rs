//! Statements and blocks: which brace belongs to which keyword.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::lex::{Word, is_blank};
use super::line::Line;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::source::Span;

/// Deepest nesting of blocks; keepalived's own configuration needs five.
pub(crate) const MAX_NESTING: usize = 32;

/// Blocks that only stand at the top level: seen inside another block, a `}` is missing before them.
pub(crate) const TOP_LEVEL_ONLY: &[&str] = &[
    "bfd_instance",
    "garp_group",
    "global_defs",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "virtual_server",
    "virtual_server_group",
    "vrrp_instance",
    "vrrp_script",
    "vrrp_sync_group",
    "vrrp_track_process",
];

/// A keyword with its words and perhaps a block.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) keyword: Word,
    pub(crate) arguments: Vec<Word>,
    pub(crate) block: Option<Box<Block>>,
    line: Rc<Line>,
    tail: Range<usize>,
}

impl Statement {
    /// `words` is never empty; `tail` is the range of the line after the keyword.
    fn new(mut words: Vec<Word>, line: Rc<Line>, tail: Range<usize>) -> Option<Self> {
        if words.is_empty() {
            return None;
        }
        let keyword = words.remove(0);
        Some(Self { keyword, arguments: words, block: None, line, tail })
    }

    /// Everything after the keyword as it was written, for values with their own quoting rules.
    pub(crate) fn tail(&self) -> (&str, Span) {
        let text = self.line.text.get(self.tail.clone()).unwrap_or("");
        let (blanks, trimmed) =
            (text.len() - text.trim_start_matches(is_blank).len(), text.trim_matches(is_blank));
        let start = self.tail.start + blanks;
        (trimmed, self.line.span(start..start + trimmed.len()))
    }

    /// Keyword and arguments.
    pub(crate) fn span(&self) -> Span {
        self.arguments.last().map_or(self.keyword.span, |last| self.keyword.span.to(last.span))
    }

    /// All words, the keyword first: for entries of lists.
    pub(crate) fn words(&self) -> impl Iterator<Item = &Word> {
        core::iter::once(&self.keyword).chain(&self.arguments)
    }

    /// `vrrp_instance VI_1`, shortened for messages.
    pub(crate) fn title(&self) -> String {
        let mut title: String = self.keyword.text.chars().take(40).collect();
        for argument in self.arguments.iter().take(2) {
            title.push(' ');
            title.extend(argument.text.chars().take(40));
        }
        title
    }
}

/// What stands between two braces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Statement(Statement),
    /// A line of ours: the words after `@vipd`, and the whole line.
    Directive(Vec<Word>, Span),
}

/// Puts statements and braces together; reports those that do not fit.
#[derive(Debug, Default)]
pub(crate) struct TreeBuilder {
    root: Block,
    open: Vec<(Option<Statement>, Block, Span)>,
    /// Levels of braces that are dropped because the nesting is too deep.
    too_deep: usize,
    /// The last item can still get a `{`.
    pending: bool,
}

impl TreeBuilder {
    pub(crate) fn statement(&mut self, words: Vec<Word>, line: &Rc<Line>, tail: Range<usize>) {
        if self.too_deep > 0 {
            return;
        }
        if let Some(statement) = Statement::new(words, Rc::clone(line), tail) {
            self.current().items.push(Item::Statement(statement));
            self.pending = true;
        }
    }

    pub(crate) fn directive(&mut self, words: Vec<Word>, span: Span) {
        if self.too_deep == 0 {
            self.current().items.push(Item::Directive(words, span));
            self.pending = false;
        }
    }

    pub(crate) fn open(&mut self, span: Span, report: &mut Report) {
        if self.too_deep > 0 || self.open.len() >= MAX_NESTING {
            if self.too_deep == 0 {
                let message = format!("blocks are nested more than {MAX_NESTING} deep");
                report.add(Diagnostic::error(Code::NestingLimit, span, message).help(
                    "close the blocks above; none of keepalived's needs more than five levels",
                ));
            }
            self.too_deep += 1;
            return;
        }
        let header = if core::mem::take(&mut self.pending) { self.take_last() } else { None };
        if let Some(header) = &header {
            if TOP_LEVEL_ONLY.contains(&header.keyword.text.as_str()) && !self.open.is_empty() {
                self.close_all(header, report);
            }
        } else {
            report.add(
                Diagnostic::warning(
                    Code::ExtraOpenBrace,
                    span,
                    "this `{` belongs to no keyword; everything up to its `}` is skipped",
                )
                .help("put the keyword before it, or remove both braces"),
            );
        }
        self.open.push((header, Block::default(), span));
    }

    pub(crate) fn close(&mut self, span: Span, report: &mut Report) {
        self.pending = false;
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else if !self.end_block() {
            report.add(
                Diagnostic::warning(Code::ExtraCloseBrace, span, "this `}` closes nothing")
                    .help("remove it, or look for a `{` that is missing above"),
            );
        }
    }

    /// How many blocks are open.
    pub(crate) fn depth(&self) -> usize {
        self.open.len() + self.too_deep
    }

    pub(crate) fn finish(mut self, report: &mut Report) -> Block {
        for (header, _, span) in &self.open {
            report.add(unclosed(header.as_ref(), *span).help("add a `}` where the block ends"));
        }
        while self.end_block() {}
        self.root
    }

    fn current(&mut self) -> &mut Block {
        self.open.last_mut().map_or(&mut self.root, |(_, block, _)| block)
    }

    fn take_last(&mut self) -> Option<Statement> {
        match self.current().items.pop() {
            Some(Item::Statement(statement)) => Some(statement),
            Some(other @ Item::Directive(..)) => {
                self.current().items.push(other);
                None
            }
            None => None,
        }
    }

    /// Closes the innermost block; without a header its content is dropped.
    fn end_block(&mut self) -> bool {
        let Some((header, block, _)) = self.open.pop() else { return false };
        if let Some(mut header) = header {
            header.block = Some(Box::new(block));
            self.current().items.push(Item::Statement(header));
        }
        true
    }

    fn close_all(&mut self, next: &Statement, report: &mut Report) {
        for (header, _, span) in &self.open {
            report.add(
                unclosed(header.as_ref(), *span)
                    .label(next.span(), format!("`{}` starts here, still inside it", next.title()))
                    .help(format!("add a `}}` before `{}`", next.title())),
            );
        }
        while self.end_block() {}
    }
}

fn unclosed(header: Option<&Statement>, brace: Span) -> Diagnostic {
    let (title, span) = match header {
        Some(header) => (header.title(), header.span().to(brace)),
        None => ("{".into(), brace),
    };
    Diagnostic::error(Code::UnclosedBlock, span, format!("the block `{title}` is not closed"))
        .here("opened here")
}
