//! What is wanted of a body.

use core::fmt;
#[cfg(feature = "regex")]
use core::hash::{Hash, Hasher};

use md5::{Digest as _, Md5};
use sha2::Sha256;

use crate::Failure;

/// A digest of a body, as it is after chunks are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Digest {
    /// MD5, as keepalived's `genhash` makes it. It tells a changed page, not an attacker's.
    Md5([u8; 16]),
    /// SHA-256.
    Sha256([u8; 32]),
}

/// All that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    /// Its end must come.
    pub(super) whole: bool,
    /// It must not be empty.
    pub(super) some: bool,
    pub(super) digest: Option<Digest>,
    #[cfg(feature = "regex")]
    pub(super) pattern: Option<BodyMatch>,
}

impl Wanted {
    pub(super) fn needs_body(&self) -> bool {
        #[cfg(feature = "regex")]
        let pattern = self.pattern.is_some();
        #[cfg(not(feature = "regex"))]
        let pattern = false;
        self.whole || self.digest.is_some() || pattern
    }
}

/// A regular expression over a body, seen as bytes (the `regex` crate's syntax, `(?-u)`: no look-around, no back-references,
/// linear time).
#[cfg(feature = "regex")]
#[derive(Clone, Debug)]
pub struct BodyMatch {
    regex: regex::bytes::Regex,
    absent: bool,
    from: usize,
    to: usize,
}

/// A pattern that is none, with the place and the reason.
#[cfg(feature = "regex")]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct PatternError {
    /// What is wrong, over several lines.
    pub reason: String,
}

#[cfg(feature = "regex")]
impl BodyMatch {
    /// The body must match this pattern somewhere.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let built = regex::bytes::RegexBuilder::new(pattern).unicode(false).build();
        let regex = built.map_err(|error| PatternError { reason: error.to_string() })?;
        Ok(Self { regex, absent: false, from: 0, to: usize::MAX })
    }

    /// The body must not match it.
    #[must_use]
    pub fn absent(self) -> Self {
        Self { absent: true, ..self }
    }

    /// Only matches count that begin at these offsets, both included.
    #[must_use]
    pub fn offsets(self, from: usize, to: usize) -> Self {
        Self { from, to, ..self }
    }

    fn accepts(&self, body: &[u8]) -> bool {
        let found = self.from <= body.len()
            && self.regex.find_at(body, self.from).is_some_and(|found| found.start() <= self.to);
        found != self.absent
    }

    fn identity(&self) -> (&str, bool, usize, usize) {
        (self.regex.as_str(), self.absent, self.from, self.to)
    }
}

#[cfg(feature = "regex")]
impl PartialEq for BodyMatch {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

#[cfg(feature = "regex")]
impl Eq for BodyMatch {}

#[cfg(feature = "regex")]
impl Hash for BodyMatch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// A digest under way.
enum Hashing {
    None,
    Md5(Md5),
    Sha256(Sha256),
}

/// A body as it comes: hashed at once, kept only for a pattern.
pub(super) struct Body {
    length: usize,
    limit: usize,
    hashing: Hashing,
    kept: Option<Vec<u8>>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Body {
    pub(super) fn new(wanted: &Wanted, limit: usize) -> Self {
        let hashing = match wanted.digest {
            None => Hashing::None,
            Some(Digest::Md5(_)) => Hashing::Md5(Md5::new()),
            Some(Digest::Sha256(_)) => Hashing::Sha256(Sha256::new()),
        };
        #[cfg(feature = "regex")]
        let kept = wanted.pattern.as_ref().map(|_| Vec::new());
        #[cfg(not(feature = "regex"))]
        let kept = None;
        Self { length: 0, limit, hashing, kept }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len());
        if self.is_too_long() {
            return;
        }
        match &mut self.hashing {
            Hashing::None => {}
            Hashing::Md5(state) => state.update(bytes),
            Hashing::Sha256(state) => state.update(bytes),
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.length > self.limit
    }

    /// The body is complete: is it as wanted?
    pub(super) fn judge(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        if wanted.some && self.length == 0 {
            return Err(Failure::Body);
        }
        let same = match (&mut self.hashing, wanted.digest) {
            (Hashing::Md5(state), Some(Digest::Md5(digest))) => {
                state.finalize_reset().as_slice() == digest
            }
            (Hashing::Sha256(state), Some(Digest::Sha256(digest))) => {
                state.finalize_reset().as_slice() == digest
            }
            _ => true,
        };
        if !same {
            return Err(Failure::Digest);
        }
        #[cfg(feature = "regex")]
        if let (Some(pattern), Some(kept)) = (&wanted.pattern, &self.kept)
            && !pattern.accepts(kept)
        {
            return Err(Failure::Body);
        }
        Ok(())
    }
}
