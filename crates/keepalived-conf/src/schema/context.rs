//! Walking a block with its table: arity, unknown keywords, what is not acted on, what must be unique.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::suggest;
use super::table::{Arity, Kind, Scope};
use crate::config::Directive;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::source::{Span, Spanned};
use crate::text::lex::Word;
use crate::text::tree::{Block, Item, Statement};

/// What every handler may use.
pub(crate) struct Context<'a> {
    report: &'a mut Report,
    /// (block, keyword) pairs already reported as not acted on.
    reported: BTreeSet<(&'static str, &'static str)>,
    directives: Vec<Directive>,
    /// Where things that must be unique were first defined.
    defined: BTreeMap<String, Span>,
    /// Headers of the blocks around, outermost first.
    path: Vec<(String, Span)>,
}

impl<'a> Context<'a> {
    pub(super) fn new(report: &'a mut Report) -> Self {
        Self {
            report,
            reported: BTreeSet::new(),
            directives: Vec::new(),
            defined: BTreeMap::new(),
            path: Vec::new(),
        }
    }

    /// The lines of ours that were met.
    pub(super) fn take_directives(&mut self) -> Vec<Directive> {
        core::mem::take(&mut self.directives)
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.report.add(diagnostic);
    }

    /// Reads a block's content into `target`.
    pub(super) fn apply<T: Scope>(
        &mut self,
        header: Option<&Statement>,
        block: &Block,
        target: &mut T,
    ) {
        if let Some(header) = header {
            self.path.push((header.title(), header.span()));
        }
        for item in &block.items {
            match item {
                Item::Statement(statement) => self.keyword(statement, target),
                Item::Directive(words, span) => self.directive(words, *span),
            }
        }
        if header.is_some() {
            self.path.pop();
        }
    }

    fn keyword<T: Scope>(&mut self, statement: &Statement, target: &mut T) {
        let name = statement.keyword.text.as_str();
        let Some(keyword) = T::KEYWORDS.iter().find(|keyword| keyword.name == name) else {
            if self.report.is_full() {
                self.report.leave_out(statement.keyword.span);
            } else {
                let diagnostic = suggest::unknown::<T>(statement, self.path.last());
                self.report(diagnostic);
            }
            return;
        };
        if let Some(missing) = keyword.missing {
            self.not_acted_on(T::TITLE, keyword.name, statement, missing);
        }
        if !self.arity(statement, keyword.arity) {
            return;
        }
        match (&keyword.kind, &statement.block) {
            (Kind::Value(set), None) => set(self, target, statement),
            (Kind::Value(set), Some(_)) => {
                self.report(
                    Diagnostic::warning(
                        Code::UnexpectedBlock,
                        statement.span(),
                        format!("`{name}` takes no block; the block is skipped"),
                    )
                    .help("remove the braces and what is between them"),
                );
                set(self, target, statement);
            }
            (Kind::Block(set), Some(block)) => set(self, target, statement, block),
            (Kind::Block(_), None) => self.report(
                Diagnostic::warning(
                    Code::MissingBlock,
                    statement.span(),
                    format!("`{name}` needs a block; it is skipped"),
                )
                .help(format!("write `{name} {{` ... `}}`")),
            ),
            (Kind::Named, _) => {}
        }
    }

    fn arity(&mut self, statement: &Statement, arity: Arity) -> bool {
        let (name, count) = (&statement.keyword.text, statement.arguments.len());
        if count < arity.least {
            // keepalived stops at this one as well.
            self.report(
                Diagnostic::error(
                    Code::MissingValue,
                    statement.span(),
                    format!("`{name}` needs a value"),
                )
                .here(format!("{} of {} values", count, arity.least))
                .help(format!("write the value behind `{name}`, or remove the line")),
            );
            return false;
        }
        if let Some(extra) = statement.arguments.get(arity.most) {
            let span =
                statement.arguments.last().map_or(extra.span, |last| extra.span.to(last.span));
            let what = if arity.most == 0 {
                "takes no value".to_owned()
            } else {
                format!("takes only `{}`", joined(statement, arity.most))
            };
            self.report(
                Diagnostic::note(
                    Code::ExtraWords,
                    span,
                    format!("`{name}` {what}; the rest of the line has no effect"),
                )
                .here("ignored")
                .help("remove it"),
            );
        }
        true
    }

    fn not_acted_on(
        &mut self,
        block: &'static str,
        name: &'static str,
        statement: &Statement,
        missing: &str,
    ) {
        if self.reported.insert((block, name)) {
            self.report(
                Diagnostic::warning(
                    Code::NotActedOn,
                    statement.span(),
                    format!("`{name}` is understood but not acted on by this version: {missing}"),
                )
                .here("no effect"),
            );
        }
    }

    /// Whether `key` is defined for the first time here; else a warning that this one is skipped.
    pub(super) fn is_first(&mut self, key: String, statement: &Statement, help: &str) -> bool {
        let span = statement.span();
        let Some(&first) = self.defined.get(&key) else {
            self.defined.insert(key, span);
            return true;
        };
        let message = format!("a second `{}`; it is skipped whole", statement.title());
        self.report(
            Diagnostic::warning(Code::Duplicate, span, message)
                .label(first, "the first one, which stands")
                .help(help),
        );
        false
    }

    /// Our own lines: none is known to this version.
    fn directive(&mut self, words: &[Word], span: Span) {
        let message = match words.first() {
            Some(first) => {
                format!("`@vipd {}` is not known to this version and has no effect", first.text)
            }
            None => "`@vipd` without a word has no effect".into(),
        };
        self.report(
            Diagnostic::warning(Code::UnknownDirective, span, message)
                .help("remove the line, or use a version of vipd that knows it"),
        );
        self.directives.push(Directive {
            words: words.iter().map(spanned).collect(),
            inside: self.path.last().map(|(title, _)| title.clone()),
            span,
        });
    }

    /// The statements of a list block, each one entry; directives within it are collected.
    pub(super) fn entries<'b>(&mut self, block: &'b Block) -> Vec<&'b Statement> {
        let mut entries = Vec::new();
        for item in &block.items {
            match item {
                Item::Statement(statement) => {
                    if statement.block.is_some() {
                        self.report(
                            Diagnostic::warning(
                                Code::UnexpectedBlock,
                                statement.span(),
                                "a list entry takes no block; the block is skipped",
                            )
                            .help("remove the braces and what is between them"),
                        );
                    }
                    entries.push(statement);
                }
                Item::Directive(words, span) => self.directive(words, *span),
            }
        }
        entries
    }
}

fn joined(statement: &Statement, count: usize) -> String {
    let words: Vec<&str> =
        statement.words().take(count + 1).map(|word| word.text.as_str()).collect();
    words.join(" ")
}

pub(super) fn spanned(word: &Word) -> Spanned<String> {
    Spanned::new(word.text.clone(), word.span)
}
