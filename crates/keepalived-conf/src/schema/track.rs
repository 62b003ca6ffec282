//! `track_script`, `track_interface`: lists of names with weights.

use alloc::format;
use alloc::vec::Vec;

use super::{Context, spanned, values};
use crate::config::Track;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::text::lex::Word;
use crate::text::tree::Block;

/// The entries `NAME [weight N [reverse|noreverse]]` of a block.
pub(super) fn read(cx: &mut Context<'_>, block: &Block) -> Vec<Track> {
    let mut tracks = Vec::new();
    for entry in cx.entries(block) {
        let mut track = Track { name: spanned(&entry.keyword), ..Track::default() };
        let mut words = entry.arguments.iter();
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "weight" => {
                    track.weight = words.next().and_then(|word| weight(cx, word));
                }
                "reverse" => track.reverse = Some(word.span),
                "noreverse" => track.reverse = None,
                other => {
                    let message =
                        format!("`{}` is not known here; it is ignored", values::shown(other));
                    cx.report(
                        Diagnostic::warning(Code::UnknownKeyword, word.span, message)
                            .help("write one name a line: `NAME [weight N [reverse]]`"),
                    );
                }
            }
        }
        tracks.push(track);
    }
    tracks
}

/// A weight from -253 to 253.
pub(super) fn weight(cx: &mut Context<'_>, word: &Word) -> Option<Spanned<i16>> {
    match word.text.parse::<i16>() {
        Ok(weight) if (-254..=254).contains(&weight) => {
            Some(Spanned::new(weight.clamp(-253, 253), word.span))
        }
        Ok(_) | Err(_) => {
            let message = format!(
                "`{}` is not a weight; 0 is used: a failure is a fault",
                values::shown(&word.text)
            );
            cx.report(
                Diagnostic::warning(Code::OutOfRange, word.span, message)
                    .help("write a number from -253 to 253"),
            );
            None
        }
    }
}

/// `weight N [reverse]` of a tracker's own definition.
pub(super) fn own_weight(
    cx: &mut Context<'_>,
    words: &[Word],
) -> (Option<Spanned<i16>>, Option<Span>) {
    let weight = words.first().and_then(|word| weight(cx, word));
    let reverse = words.get(1).filter(|word| word.text == "reverse").map(|word| word.span);
    (weight, reverse)
}
