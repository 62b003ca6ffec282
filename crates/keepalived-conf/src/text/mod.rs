//! From text to a tree of statements: lines, comments, quotes, the preprocessor, braces.
//!
//! Nothing here knows a keyword of keepalived, except those that only ever stand at the top level
//! (they reveal a brace that is missing above) and the `include` family.

pub(crate) mod expand;
pub(crate) mod include;
pub(crate) mod lex;
pub(crate) mod line;
pub(crate) mod reader;
mod repeat;
pub(crate) mod tree;
mod variables;
