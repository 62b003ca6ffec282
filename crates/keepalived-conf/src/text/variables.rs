//! `$NAME`, `${NAME}` and the predefined `${_...}`.

use alloc::format;
use alloc::string::{String, ToString};

use super::lex::is_blank;

/// A reference to a variable at the start of `text`: its name (with arguments for predefined ones) and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    pub(crate) name: &'a str,
    pub(crate) length: usize,
    pub(crate) braced: bool,
}

/// Reads a reference at a `$`.
pub(crate) fn reference(text: &str) -> Option<Reference<'_>> {
    let after = text.strip_prefix('$')?;
    if let Some(inside) = after.strip_prefix('{') {
        let end = inside.find('}')?;
        let name = inside.get(..end)?;
        let first = name.split(is_blank).next().unwrap_or("");
        return (name_length(first) == first.len() && !first.is_empty()).then_some(Reference {
            name,
            length: end + 3,
            braced: true,
        });
    }
    let length = name_length(after);
    let (name, rest) = after.split_at_checked(length)?;
    let delimited = rest.chars().next().is_none_or(is_blank);
    (length > 0 && delimited).then_some(Reference { name, length: length + 1, braced: false })
}

/// `$NAME=value` at the start of `text`: the name and the byte after the `=`.
pub(crate) fn definition(text: &str) -> Option<(&str, usize)> {
    let after = text.strip_prefix('$')?;
    let length = name_length(after);
    let (name, rest) = after.split_at_checked(length)?;
    (length > 0 && rest.starts_with('=')).then_some((name, length + 2))
}

/// Length of a name `[A-Za-z_][A-Za-z0-9_]*` at the start of `text`, 0 if there is none.
fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(text.len())
}

/// The directory part of a file's name; `.` when it has none.
pub(crate) fn directory(file: &str) -> String {
    match file.rsplit_once('/') {
        Some(("", _)) => "/".to_string(),
        Some((directory, _)) => directory.to_string(),
        None => ".".to_string(),
    }
}

/// The bounds of `${_RANDOM [LOW [HIGH]]}`.
pub(crate) fn random_bounds(arguments: &str) -> (u32, u32) {
    let mut numbers = arguments
        .split(is_blank)
        .filter(|word| !word.is_empty())
        .map_while(|word| word.parse::<u32>().ok());
    let low = numbers.next().unwrap_or(0);
    (low, numbers.next().unwrap_or(32_767).max(low))
}

/// A number in decimal, or `0x` hexadecimal, or octal with a leading zero.
pub(crate) fn c_number(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let magnitude = if let Some(hexadecimal) =
        digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))
    {
        i64::from_str_radix(hexadecimal, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    (magnitude >= 0).then(|| if negative { -magnitude } else { magnitude })
}

/// A value of `~SEQ`, or of `~SEQx`.
pub(crate) fn formatted(value: i64, hexadecimal: bool) -> String {
    if hexadecimal { format!("{value:x}") } else { value.to_string() }
}
