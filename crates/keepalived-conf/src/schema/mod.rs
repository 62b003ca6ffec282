//! Which keyword means what in which block: one table per block, one row per keyword.
//!
//! To add a keyword, add a row to its block's table (and a field to its type in [`crate::config`]).

mod address;
mod check;
mod finish;
mod global;
mod instance;
mod notify;
mod real_server;
mod script;
mod suggest;
mod sync_group;
mod top;
mod track;
mod values;
mod virtual_server;

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{
    Config, Directive, Global, RealServer, SyncGroup, TcpCheck, VirtualServer, VrrpInstance,
    VrrpScript,
};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::source::{Span, Spanned};
use crate::text::lex::Word;
use crate::text::tree::{Block, Item, Statement};

/// How many arguments a keyword takes.
#[derive(Clone, Copy, Debug)]
struct Arity {
    least: usize,
    most: usize,
}

/// A handler of one keyword of the block that fills a `T`.
type Set<T> = fn(&mut Context<'_>, &mut T, &Statement);
/// The same for keywords with a block.
type SetBlock<T> = fn(&mut Context<'_>, &mut T, &Statement, &Block);

enum Kind<T> {
    /// `keyword words`.
    Value(Set<T>),
    /// `keyword words { ... }`.
    Block(SetBlock<T>),
    /// Known by name only; anything may follow.
    Named,
}

/// One row of a table.
pub(crate) struct Keyword<T> {
    name: &'static str,
    arity: Arity,
    kind: Kind<T>,
    /// What does not happen although it is configured; `None`: acted on.
    missing: Option<&'static str>,
}

const ANY: Arity = Arity { least: 0, most: usize::MAX };

/// A keyword with exactly `count` values.
const fn value<T>(name: &'static str, count: usize, set: Set<T>) -> Keyword<T> {
    Keyword {
        name,
        arity: Arity { least: count, most: count },
        kind: Kind::Value(set),
        missing: None,
    }
}

/// A keyword with `least` to `most` values.
const fn values<T>(name: &'static str, least: usize, most: usize, set: Set<T>) -> Keyword<T> {
    Keyword { name, arity: Arity { least, most }, kind: Kind::Value(set), missing: None }
}

/// A keyword with `least` to `most` values and a block.
const fn block<T>(name: &'static str, least: usize, most: usize, set: SetBlock<T>) -> Keyword<T> {
    Keyword { name, arity: Arity { least, most }, kind: Kind::Block(set), missing: None }
}

/// A keyword that is known by name, and what it would have done.
const fn named<T>(name: &'static str, missing: &'static str) -> Keyword<T> {
    Keyword { name, arity: ANY, kind: Kind::Named, missing: Some(missing) }
}

/// A keyword that is parsed but not acted on: `missing` says what does not happen.
const fn idle<T>(missing: &'static str, mut keyword: Keyword<T>) -> Keyword<T> {
    keyword.missing = Some(missing);
    keyword
}

/// A block's content: the type it fills and the table of its keywords.
pub(crate) trait Scope: Sized + 'static {
    /// The block's keyword, for messages.
    const TITLE: &'static str;
    /// Its keywords.
    const KEYWORDS: &'static [Keyword<Self>];

    fn names() -> Vec<&'static str> {
        Self::KEYWORDS.iter().map(|keyword| keyword.name).collect()
    }
}

/// A keyword that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct KeywordInfo {
    /// The block it stands in; empty for the top level.
    pub block: &'static str,
    /// The keyword.
    pub name: &'static str,
    /// Whether it opens a block of its own that is read.
    pub opens_block: bool,
    /// Whether its value is read; otherwise it is known by name only.
    pub typed: bool,
    /// What does not happen although it is configured; `None`: this version acts on it.
    pub missing: Option<&'static str>,
}

/// Every keyword that is known, block by block.
#[must_use]
pub fn keywords() -> Vec<KeywordInfo> {
    fn of<T: Scope>() -> impl Iterator<Item = KeywordInfo> {
        T::KEYWORDS.iter().map(|keyword| KeywordInfo {
            block: T::TITLE,
            name: keyword.name,
            opens_block: matches!(keyword.kind, Kind::Block(_)),
            typed: !matches!(keyword.kind, Kind::Named),
            missing: keyword.missing,
        })
    }
    of::<Config>()
        .chain(of::<Global>())
        .chain(of::<VrrpInstance>())
        .chain(of::<instance::AuthenticationBlock>())
        .chain(of::<SyncGroup>())
        .chain(of::<VrrpScript>())
        .chain(of::<VirtualServer>())
        .chain(of::<RealServer>())
        .chain(of::<TcpCheck>())
        .collect()
}

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

impl Context<'_> {
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.report.add(diagnostic);
    }

    /// Reads a block's content into `target`.
    fn apply<T: Scope>(&mut self, header: Option<&Statement>, block: &Block, target: &mut T) {
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
    fn is_first(&mut self, key: String, statement: &Statement, help: &str) -> bool {
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
    fn entries<'b>(&mut self, block: &'b Block) -> Vec<&'b Statement> {
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

fn spanned(word: &Word) -> Spanned<String> {
    Spanned::new(word.text.clone(), word.span)
}

/// Understands a whole tree.
pub(crate) fn understand(
    root: &Block,
    report: &mut Report,
    configuration_in_comment: Option<Span>,
) -> Config {
    let mut config = Config::default();
    let mut context = Context {
        report,
        reported: BTreeSet::new(),
        directives: Vec::new(),
        defined: BTreeMap::new(),
        path: Vec::new(),
    };
    context.apply(None, root, &mut config);
    config.directives = core::mem::take(&mut context.directives);
    finish::check(&mut context, &config, configuration_in_comment);
    config
}
