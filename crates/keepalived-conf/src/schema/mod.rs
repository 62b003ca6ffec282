//! Which keyword means what in which block: one table per block, one row per keyword.
//!
//! To add a keyword, add a row to its block's table (and a field to its type in [`crate::config`]).

mod address;
mod check;
mod checkers;
mod context;
mod finish;
mod global;
mod group;
mod http;
mod instance;
mod notify;
mod real_server;
mod script;
mod suggest;
mod sync_group;
mod table;
mod top;
mod track;
mod values;
mod virtual_server;

use context::{Context, spanned};
use table::{Keyword, Scope, block, idle, named, value, values};
pub use table::{KeywordInfo, keywords};

use crate::config::Config;
use crate::diagnostic::Report;
use crate::source::Span;
use crate::text::tree::Block;

/// Understands a whole tree.
pub(crate) fn understand(
    root: &Block,
    report: &mut Report,
    configuration_in_comment: Option<Span>,
) -> Config {
    let mut config = Config::default();
    let mut context = Context::new(report);
    context.apply(None, root, &mut config);
    config.directives = context.take_directives();
    finish::check(&mut context, &config, configuration_in_comment);
    config
}
