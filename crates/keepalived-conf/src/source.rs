//! Files as they were read, and spans that point into them.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Index of a file in [`Sources`], in the order in which the files were opened; 0 is the one given to `parse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

impl FileId {
    /// The position in [`Sources::files`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A half-open range of bytes in one file. Always lies within the file's text and on character boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    pub(crate) fn new(file: FileId, start: usize, end: usize) -> Self {
        let start = offset(start);
        Self { file, start, end: offset(end).max(start) }
    }

    /// The range as `usize`, for slicing the text.
    #[must_use]
    pub fn range(self) -> core::ops::Range<usize> {
        usize::try_from(self.start).unwrap_or(usize::MAX)
            ..usize::try_from(self.end).unwrap_or(usize::MAX)
    }

    /// The smallest span that covers both; `self` when `other` is in another file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.file == other.file {
            Self {
                file: self.file,
                start: self.start.min(other.start),
                end: self.end.max(other.end),
            }
        } else {
            self
        }
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A value together with the place it was written at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// One file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    name: Arc<str>,
    text: Arc<str>,
    line_starts: Vec<u32>,
}

impl SourceFile {
    fn new(name: &str, text: &str) -> Self {
        let starts = text
            .bytes()
            .enumerate()
            .filter(|&(_, byte)| byte == b'\n')
            .map(|(at, _)| offset(at + 1));
        Self {
            name: name.into(),
            text: text.into(),
            line_starts: core::iter::once(0).chain(starts).collect(),
        }
    }

    /// The name it was opened by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line (from 1) and column in characters (from 1) of a byte offset.
    #[must_use]
    pub fn position(&self, at: u32) -> (u32, u32) {
        let line = self.line_starts.partition_point(|&start| start <= at).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self
            .text
            .get(Span { file: FileId(0), start, end: at.max(start) }.range())
            .unwrap_or("");
        (offset(line), offset(before.chars().count() + 1))
    }
}

/// Every file of one configuration: the one that was given and those it includes.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    pub(crate) fn add(&mut self, name: &str, text: &str) -> FileId {
        let id = FileId(offset(self.files.len()));
        self.files.push(SourceFile::new(name, text));
        id
    }

    /// All files, the given one first.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// One file.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.index())
    }

    /// The text under a span; empty if it belongs to other sources.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.file(span.file).and_then(|file| file.text.get(span.range())).unwrap_or("")
    }

    /// The line (from 1) on which a span starts; 0 if it belongs to other sources.
    #[must_use]
    pub fn line(&self, span: Span) -> u32 {
        self.file(span.file).map_or(0, |file| file.position(span.start).0)
    }

    /// `file:line` of a span's start, for log lines.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        let name = self.file(span.file).map_or("?", SourceFile::name);
        alloc::format!("{name}:{}", self.line(span))
    }

    pub(crate) fn text_of(&self, id: FileId) -> Arc<str> {
        self.file(id).map_or_else(|| "".into(), |file| Arc::clone(&file.text))
    }
}
