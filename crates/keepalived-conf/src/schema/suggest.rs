//! What an unknown keyword was probably meant to be.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Scope, keywords};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::text::tree::Statement;

/// Longest word for which a suggestion is looked for.
const LONGEST: usize = 40;

/// Keywords that keepalived accepts elsewhere, or under another name here.
const ALIASES: &[(&str, &str, &str)] = &[("TCP_CHECK", "nb_get_retry", "retry")];

/// The finding about a keyword that block `T` does not have.
pub(super) fn unknown<T: Scope>(
    statement: &Statement,
    inside: Option<&(String, Span)>,
) -> Diagnostic {
    let name = statement.keyword.text.as_str();
    let shown: String = name.chars().take(LONGEST).collect();
    let aliased = ALIASES.iter().any(|(block, alias, _)| *block == T::TITLE && *alias == name);
    let homes = if aliased { Vec::new() } else { homes(name) };
    let place =
        if T::TITLE.is_empty() { "at the top level".into() } else { format!("in `{}`", T::TITLE) };
    let skipped = if statement.block.is_some() {
        "the block is skipped whole"
    } else {
        "the line is skipped"
    };
    let (code, message) = match (homes.first(), statement.block.is_some()) {
        (Some(_), _) => {
            (Code::MisplacedKeyword, format!("`{shown}` does not belong {place}; {skipped}"))
        }
        (None, true) => {
            (Code::UnknownBlock, format!("unknown block `{shown}` {place}; it is skipped whole"))
        }
        (None, false) => {
            (Code::UnknownKeyword, format!("unknown keyword `{shown}` {place}; {skipped}"))
        }
    };
    let span = if statement.block.is_some() { statement.span() } else { statement.keyword.span };
    let mut diagnostic = Diagnostic::warning(code, span, message).here(if T::TITLE.is_empty() {
        String::new()
    } else {
        format!("not known in `{}`", T::TITLE)
    });
    if let Some((title, header)) = inside {
        diagnostic = diagnostic.label(*header, format!("in this block, `{title}`"));
    }
    match help::<T>(name, &homes) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn help<T: Scope>(name: &str, homes: &[&str]) -> Option<String> {
    if let Some((_, _, alias)) =
        ALIASES.iter().find(|(block, alias, _)| *block == T::TITLE && *alias == name)
    {
        return Some(format!(
            "write `{alias}`: keepalived knows `{name}` in HTTP_GET and SSL_GET only, so here `{alias}` keeps its default"
        ));
    }
    if let Some(odd) = name.chars().find(|&character| is_invisible(character)) {
        return Some(format!(
            "there is an invisible character (U+{:04X}) in this word, perhaps from a web page; type the line again",
            u32::from(odd)
        ));
    }
    if is_typographic(name) {
        return Some("typographic quotes do not quote; use the ASCII `\"`".into());
    }
    if !homes.is_empty() {
        return Some(format!("move it into {}", homes.join(" or ")));
    }
    if !name.is_ascii() {
        return Some("begin comments with `!` or `#`".into());
    }
    closest(name, T::names()).map(|similar| format!("did you mean `{similar}`?"))
}

/// The blocks that know a keyword.
fn homes(name: &str) -> Vec<&'static str> {
    let known = keywords().into_iter().filter(|keyword| keyword.name == name);
    known
        .map(|keyword| if keyword.block.is_empty() { "the top level" } else { keyword.block })
        .collect()
}

/// The most similar of `names`, if it is similar enough.
pub(super) fn closest(
    name: &str,
    names: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    if name.len() > LONGEST {
        return None;
    }
    let folded = name.to_ascii_lowercase();
    let allowed = (name.len() / 3).clamp(1, 3);
    names
        .into_iter()
        .map(|candidate| (distance(&folded, &candidate.to_ascii_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two short words.
fn distance(left: &str, right: &str) -> usize {
    if left.len().abs_diff(right.len()) > 3 {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_character = None;
    for (row, character) in left.chars().enumerate() {
        let mut next = Vec::with_capacity(right.len() + 1);
        next.push(row + 1);
        for (column, &other) in right.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let replaced = cell(&last, column) + usize::from(character != other);
            let mut best = replaced.min(cell(&last, column + 1) + 1).min(cell(&next, column) + 1);
            let swapped = column > 0
                && right.get(column - 1) == Some(&character)
                && previous_character == Some(other);
            if swapped {
                best = best.min(cell(&before_last, column - 1) + 1);
            }
            next.push(best);
        }
        before_last = core::mem::replace(&mut last, next);
        previous_character = Some(character);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

/// Quotes that word processors and web pages put in place of `"` and `'`.
pub(super) fn is_typographic(text: &str) -> bool {
    text.contains([
        '\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{201a}', '\u{ab}', '\u{bb}',
        '\u{ff02}', '\u{ff07}',
    ])
}

/// White space and marks that keepalived takes for part of a word.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{a0}' | '\u{2000}'..='\u{200f}' | '\u{202f}' | '\u{2060}' | '\u{3000}' | '\u{feff}'
    )
}
