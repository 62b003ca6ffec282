//! `~SEQ(...)` and `~LST(...)`: which variables take which values, one tuple a repetition.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::variables::{c_number, formatted};

/// A parsed `~SEQ` or `~LST` head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Sequence { name: String, start: i64, step: i64, end: i64, hexadecimal: bool },
    List { names: Vec<String>, tuples: Vec<Vec<String>> },
}

impl Repeat {
    /// Reads `~NAME(arguments)` at the start of `text`: the head and the byte after it. `None`: malformed.
    pub(crate) fn parse(text: &str) -> Option<(Self, usize)> {
        let open = text.find('(')?;
        let close = open + text.get(open..)?.find(')')?;
        let arguments = text.get(open + 1..close)?;
        let repeat = match text.get(..open)? {
            "~SEQ" => sequence(arguments, false)?,
            "~SEQx" => sequence(arguments, true)?,
            "~LST" => list(arguments)?,
            _ => return None,
        };
        Some((repeat, close + 1))
    }

    /// The variables and their values, repetition by repetition.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = Vec<(String, String)>> + '_ {
        let mut turn = 0_i64;
        core::iter::from_fn(move || {
            let bound = self.binding(turn);
            turn = turn.checked_add(1)?;
            bound
        })
    }

    fn binding(&self, turn: i64) -> Option<Vec<(String, String)>> {
        match self {
            Self::Sequence { name, start, step, end, hexadecimal } => {
                let value = start.checked_add(step.checked_mul(turn)?)?;
                let within = if *step > 0 { value <= *end } else { value >= *end };
                within.then(|| [(name.clone(), formatted(value, *hexadecimal))].into())
            }
            Self::List { names, tuples } => {
                let tuple = tuples.get(usize::try_from(turn).ok()?)?;
                let value = |index: usize| tuple.get(index).cloned().unwrap_or_default();
                Some(
                    names
                        .iter()
                        .enumerate()
                        .map(|(index, name)| (name.clone(), value(index)))
                        .collect(),
                )
            }
        }
    }
}

fn sequence(arguments: &str, hexadecimal: bool) -> Option<Repeat> {
    let mut parts = arguments.split(',').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_string();
    let numbers = parts.map(c_number).collect::<Option<Vec<i64>>>()?;
    let toward = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, step, end) = match numbers[..] {
        [end] => {
            let start = if end < 0 { -1 } else { 1 };
            (start, toward(start, end), end)
        }
        [start, end] => (start, toward(start, end), end),
        [start, step, end] => (start, step, end),
        _ => return None,
    };
    // A step that leads away from the end would never arrive; keepalived refuses it.
    let leads = step != 0 && (end == start || (end > start) == (step > 0));
    leads.then_some(Repeat::Sequence { name, start, step, end, hexadecimal })
}

fn list(arguments: &str) -> Option<Repeat> {
    let mut groups = groups(arguments)?.into_iter();
    let names = groups.next().filter(|names| names.iter().all(|name| !name.is_empty()))?;
    let tuples: Vec<Vec<String>> = groups.collect();
    (!tuples.is_empty()).then_some(Repeat::List { names, tuples })
}

/// Splits `{a,b},{1,2}` or `a,1,2` at the outer commas.
fn groups(arguments: &str) -> Option<Vec<Vec<String>>> {
    let mut groups = Vec::new();
    let mut rest = arguments.trim();
    while !rest.is_empty() {
        let (group, after) = if let Some(inside) = rest.strip_prefix('{') {
            let (inside, after) = inside.split_once('}')?;
            (inside.split(',').map(|part| part.trim().to_string()).collect(), after.trim_start())
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (one, after) = rest.split_at_checked(end)?;
            ([one.trim().to_string()].into(), after)
        };
        groups.push(group);
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(groups)
}
