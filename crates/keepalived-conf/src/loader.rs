//! What the parser must ask the outside world for.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One file that an `include` names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "loaders outside this crate construct it")]
pub struct Loaded {
    /// The name by which diagnostics call it and to which its own relative includes refer.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why an `include` brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// Nothing matches the pattern.
    NotFound,
    /// It exists but cannot be read (permission, a directory, an executable file).
    Unreadable,
    /// This loader does not include files.
    Unsupported,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such file",
            Self::Unreadable => "cannot be read",
            Self::Unsupported => "includes are not available here",
        })
    }
}

impl core::error::Error for LoadError {}

/// The outside world, as far as a configuration can name it: files, environment, the host's name.
///
/// Only [`load`](Self::load) must be written; the rest has harmless defaults.
pub trait Loader {
    /// All files that match `pattern` (an `include`'s argument, may hold wildcards), sorted by name.
    /// Relative patterns are relative to the directory of `from`.
    ///
    /// # Errors
    /// [`LoadError`] when nothing matches or nothing could be read.
    fn load(&mut self, from: &str, pattern: &str) -> Result<Vec<Loaded>, LoadError>;

    /// What `@ID` lines are compared with; keepalived: `-i ID`, else the host name up to its first dot.
    #[expect(clippy::unnecessary_literal_bound, reason = "implementations return their own text")]
    fn config_id(&self) -> &str {
        ""
    }

    /// `${_INSTANCE}`.
    #[expect(clippy::unnecessary_literal_bound, reason = "implementations return their own text")]
    fn instance(&self) -> &str {
        ""
    }

    /// `${_ENV NAME}`.
    fn environment(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// `${_RANDOM LOW HIGH}`: a number in `low..=high`.
    fn random(&mut self, low: u32, high: u32) -> u32 {
        let _ = high;
        low
    }
}

/// A [`Loader`] for a single text: every `include` is refused.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SingleFile;

impl SingleFile {
    /// The loader.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Loader for SingleFile {
    fn load(&mut self, _from: &str, _pattern: &str) -> Result<Vec<Loaded>, LoadError> {
        Err(LoadError::Unsupported)
    }
}
