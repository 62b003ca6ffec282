//! The `include` family: which file, how strict, and the bounds.

use alloc::format;
use alloc::string::String;

use super::lex::Word;
use super::reader::Reader;
use crate::diagnostic::{Code, Diagnostic};
use crate::loader::LoadError;
use crate::source::FileId;

/// Most files that includes may bring in.
pub const MAX_INCLUDED_FILES: usize = 1024;
/// Most bytes that includes may bring in.
pub const MAX_INCLUDED_BYTES: usize = 64 << 20;
/// Deepest nesting of includes.
const MAX_DEPTH: usize = 16;

/// What makes an include an error, by the letter behind the keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent rules, any of which a letter can set"
)]
pub(super) struct Rigour {
    /// `r`: files that cannot be read.
    readable: bool,
    /// `m`: nothing matches a name without wildcards.
    matched: bool,
    /// `w`: nothing matches, wildcards or not.
    wildcard: bool,
    /// `b`: braces that do not match within the file.
    braces: bool,
}

impl Rigour {
    /// The rules of a keyword, if it is one of the family.
    pub(super) fn of(keyword: &str) -> Option<Self> {
        let none = Self { readable: false, matched: false, wildcard: false, braces: false };
        match keyword.strip_prefix("include")? {
            "" => Some(none),
            "r" => Some(Self { readable: true, ..none }),
            "m" => Some(Self { matched: true, ..none }),
            "w" => Some(Self { matched: true, wildcard: true, ..none }),
            "b" => Some(Self { braces: true, ..none }),
            "a" => Some(Self { readable: true, matched: true, wildcard: true, braces: true }),
            _ => None,
        }
    }
}

impl Reader<'_> {
    pub(super) fn include(
        &mut self,
        keyword: &Word,
        pattern: Option<&Word>,
        rigour: Rigour,
        file: FileId,
    ) {
        let Some(pattern) = pattern else {
            let message = format!("`{}` needs the name of a file", keyword.text);
            self.report.add(
                Diagnostic::warning(Code::MissingValue, keyword.span, message)
                    .help("write `include FILE`"),
            );
            return;
        };
        if self.open_files.len() > MAX_DEPTH {
            let message = format!("includes are nested more than {MAX_DEPTH} deep");
            self.report.add(limit(pattern, message));
            return;
        }
        let from = self.sources.file(file).map_or_else(String::new, |file| file.name().into());
        let files = match self.loader.load(&from, &pattern.text) {
            Ok(files) => files,
            Err(error) => return self.failed(pattern, error, rigour, &from),
        };
        for loaded in files {
            let fits = self.sources.files().len() <= MAX_INCLUDED_FILES
                && loaded.text.len() <= self.include_bytes_left;
            if self.open_files.contains(&loaded.name) {
                self.report.add(limit(pattern, format!("`{}` includes itself", loaded.name)));
            } else if fits {
                self.include_bytes_left -= loaded.text.len();
                let before = self.tree.depth();
                self.file(&loaded.name, &loaded.text);
                if rigour.braces && self.tree.depth() != before {
                    let message = format!("the braces of `{}` do not match", loaded.name);
                    self.report.add(
                        Diagnostic::error(Code::Include, pattern.span, message).help(
                            "close every block in the file that opens it, or write `include`",
                        ),
                    );
                }
            } else {
                let message = format!(
                    "the included files are more than {MAX_INCLUDED_FILES}, or larger than {MAX_INCLUDED_BYTES} bytes"
                );
                self.report.add(limit(pattern, message));
                return;
            }
        }
    }

    fn failed(&mut self, pattern: &Word, error: LoadError, rigour: Rigour, from: &str) {
        let wildcard = pattern.text.contains(['*', '?', '[']);
        let severe = match error {
            // An empty directory of snippets is normal.
            LoadError::NotFound if wildcard && !rigour.wildcard => return,
            LoadError::NotFound => rigour.matched,
            LoadError::Unreadable => rigour.readable,
            LoadError::Unsupported => false,
        };
        let message = format!("include `{}`: {error}", pattern.text);
        let diagnostic = if severe {
            Diagnostic::error(Code::Include, pattern.span, message)
        } else {
            Diagnostic::warning(Code::Include, pattern.span, message)
        };
        let help = match error {
            LoadError::Unsupported => "check the file where it is installed".into(),
            LoadError::NotFound | LoadError::Unreadable => {
                format!("names that do not begin with `/` start at the directory of `{from}`")
            }
        };
        self.report.add(diagnostic.help(help));
    }
}

fn limit(pattern: &Word, message: String) -> Diagnostic {
    Diagnostic::error(Code::IncludeLimit, pattern.span, message)
        .help("a file must not include itself, directly or through others")
}
