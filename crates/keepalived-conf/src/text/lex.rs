//! Words and braces of one line.

use alloc::string::String;
use alloc::vec::Vec;

use super::line::Line;
use crate::source::Span;

/// One word; quotes are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// With its quotes, if it had some.
    pub(crate) span: Span,
    pub(crate) quoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A word and the byte at which it starts in its line.
    Word(Word, usize),
    /// `{` and the byte at which it stands.
    Open(Span, usize),
    /// `}` and the byte at which it stands.
    Close(Span, usize),
}

/// Space, tab, form feed, vertical tab.
pub(crate) fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{b}' | '\u{c}')
}

/// Splits a line; the second part is the place of a quote that is not closed.
pub(crate) fn tokens(line: &Line) -> (Vec<Token>, Option<Span>) {
    let mut tokens = Vec::new();
    let text = line.text.as_str();
    let mut at = 0;
    while let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let start = at;
        match character {
            '{' => tokens.push(Token::Open(line.span(at..at + 1), at)),
            '}' => tokens.push(Token::Close(line.span(at..at + 1), at)),
            '"' => {
                let inside = text.get(at + 1..).unwrap_or("");
                let length = inside.find('"');
                let value = inside.get(..length.unwrap_or(inside.len())).unwrap_or("");
                let end = at + 1 + value.len() + usize::from(length.is_some());
                let span = line.span(at..end);
                tokens.push(Token::Word(Word { text: value.into(), span, quoted: true }, start));
                if length.is_none() {
                    return (tokens, Some(span));
                }
                at = end;
                continue;
            }
            _ if is_blank(character) => {}
            _ => {
                at = word_end(text, at);
                let value = text.get(start..at).unwrap_or("");
                tokens.push(Token::Word(
                    Word { text: value.into(), span: line.span(start..at), quoted: false },
                    start,
                ));
                continue;
            }
        }
        at += character.len_utf8();
    }
    (tokens, None)
}

/// The end of an unquoted word. The braces of an undefined `${NAME}` belong to it.
fn word_end(text: &str, start: usize) -> usize {
    let mut reference = false;
    let mut previous = ' ';
    for (at, character) in text.get(start..).unwrap_or("").char_indices() {
        match character {
            '{' if previous == '$' => reference = true,
            '}' if reference => reference = false,
            '{' | '}' | '"' if !reference => return start + at,
            _ if is_blank(character) && !reference => return start + at,
            _ => {}
        }
        previous = character;
    }
    text.len()
}
