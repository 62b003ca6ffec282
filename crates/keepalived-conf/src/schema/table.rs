//! The form of a table: its rows, and the traits of the blocks that have one.

use alloc::vec::Vec;

use super::context::Context;
use super::instance::AuthenticationBlock;
use crate::config::{
    Config, Connection, DnsCheck, FileCheck, Global, HttpCheck, MiscCheck, RealServer, SmtpCheck,
    SyncGroup, TrackFile, UdpCheck, Url, VirtualServer, VrrpInstance, VrrpScript,
};
use crate::text::tree::{Block, Statement};

/// How many arguments a keyword takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arity {
    pub(super) least: usize,
    pub(super) most: usize,
}

/// A handler of one keyword of the block that fills a `T`.
pub(super) type Set<T> = fn(&mut Context<'_>, &mut T, &Statement);
/// The same for keywords with a block.
pub(super) type SetBlock<T> = fn(&mut Context<'_>, &mut T, &Statement, &Block);

pub(super) enum Kind<T> {
    /// `keyword words`.
    Value(Set<T>),
    /// `keyword words { ... }`.
    Block(SetBlock<T>),
    /// Known by name only; anything may follow.
    Named,
}

/// One row of a table.
pub(crate) struct Keyword<T> {
    pub(super) name: &'static str,
    pub(super) arity: Arity,
    pub(super) kind: Kind<T>,
    /// What does not happen although it is configured; `None`: acted on.
    pub(super) missing: Option<&'static str>,
}

pub(super) const ANY: Arity = Arity { least: 0, most: usize::MAX };

/// A keyword with exactly `count` values.
pub(super) const fn value<T>(name: &'static str, count: usize, set: Set<T>) -> Keyword<T> {
    Keyword {
        name,
        arity: Arity { least: count, most: count },
        kind: Kind::Value(set),
        missing: None,
    }
}

/// A keyword with `least` to `most` values.
pub(super) const fn values<T>(
    name: &'static str,
    least: usize,
    most: usize,
    set: Set<T>,
) -> Keyword<T> {
    Keyword { name, arity: Arity { least, most }, kind: Kind::Value(set), missing: None }
}

/// A keyword with `least` to `most` values and a block.
pub(super) const fn block<T>(
    name: &'static str,
    least: usize,
    most: usize,
    set: SetBlock<T>,
) -> Keyword<T> {
    Keyword { name, arity: Arity { least, most }, kind: Kind::Block(set), missing: None }
}

/// A keyword that is known by name, and what it would have done.
pub(super) const fn named<T>(name: &'static str, missing: &'static str) -> Keyword<T> {
    Keyword { name, arity: ANY, kind: Kind::Named, missing: Some(missing) }
}

/// A keyword that is parsed but not acted on: `missing` says what does not happen.
pub(super) const fn idle<T>(missing: &'static str, mut keyword: Keyword<T>) -> Keyword<T> {
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
        .chain(of::<AuthenticationBlock>())
        .chain(of::<SyncGroup>())
        .chain(of::<VrrpScript>())
        .chain(of::<VirtualServer>())
        .chain(of::<RealServer>())
        .chain(of::<Connection>())
        .chain(of::<HttpCheck>())
        .chain(of::<Url>())
        .chain(of::<SmtpCheck>())
        .chain(of::<DnsCheck>())
        .chain(of::<UdpCheck>())
        .chain(of::<MiscCheck>())
        .chain(of::<FileCheck>())
        .chain(of::<TrackFile>())
        .collect()
}
