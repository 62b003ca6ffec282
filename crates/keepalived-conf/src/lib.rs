//! Read keepalived.conf into typed configuration, with diagnostics that point at the place.
//!
//! Pure: text in, values out. No I/O, no clock, `no_std` with `alloc`. Other files (`include`) and the environment come
//! through a [`Loader`]. Whatever the text is, [`parse`] returns: nothing panics, recursion and expansion are bounded.
//!
//! # Mental model
//!
//! text → lines (comments, `@ID`, `$NAME`, `~SEQ`, `~LST`, `include`) → words and braces → blocks → [`Config`], by one table
//! of keywords for each block. Every value is a [`Spanned`], every finding a [`Diagnostic`]; the findings say what is wrong,
//! where, and what to do. [`Severity::Error`] means that the configuration must not be run.
//!
//! ```
//! use keepalived_conf::{Severity, SingleFile, parse};
//!
//! let text = "
//! vrrp_instance web {
//!     interfcae eth0
//!     interface eth0
//!     virtual_router_id 51
//!     virtual_ipaddress {
//!         192.0.2.100
//!     }
//! }
//! ";
//! let parsed = parse("keepalived.conf", text, &mut SingleFile::new());
//! assert_eq!(parsed.diagnostics[0].to_string(), "keepalived.conf:3: warning[unknown-keyword]: \
//!     unknown keyword `interfcae` in `vrrp_instance`; the line is skipped; did you mean `interface`?");
//! assert!(parsed.diagnostics.iter().all(|found| found.severity < Severity::Error));
//! assert_eq!(parsed.config.vrrp_instances[0].effective_priority(), 100);
//! ```
//!
//! # What it does not do
//!
//! It runs nothing. "Not acted on" in a finding speaks of the version of `vipd` that has the same version number.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod diagnostic;
mod loader;
mod schema;
mod source;
mod text;

use alloc::vec::Vec;

pub use config::*;
pub use diagnostic::{Code, Diagnostic, Label, MAX_DIAGNOSTICS, Severity};
pub use loader::{LoadError, Loaded, Loader, SingleFile};
pub use schema::{KeywordInfo, keywords};
pub use source::{FileId, SourceFile, Sources, Span, Spanned};
pub use text::expand::{MAX_EXPANDED_BYTES, MAX_EXPANDED_LINES};
pub use text::include::{MAX_INCLUDED_BYTES, MAX_INCLUDED_FILES};
pub use text::reader::MAX_LINE;

/// What [`parse`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parsed {
    /// The configuration, as far as it could be understood.
    pub config: Config,
    /// All findings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read.
    pub sources: Sources,
}

impl Parsed {
    /// Whether it may be run: there is no [`Severity::Error`].
    #[must_use]
    pub fn can_run(&self) -> bool {
        self.diagnostics.iter().all(|found| found.severity < Severity::Error)
    }
}

/// Reads a configuration. `name` is what the findings call the file; `loader` answers its includes.
pub fn parse(name: &str, text: &str, loader: &mut dyn Loader) -> Parsed {
    let text::reader::Read { root, sources, mut report, configuration_in_comment } =
        text::reader::read(name, text, loader);
    let config = schema::understand(&root, &mut report, configuration_in_comment);
    Parsed { config, diagnostics: report.finish(&sources), sources }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
