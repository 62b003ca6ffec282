//! One requirement: a row of a Markdown table.

use core::fmt;

/// A requirement, and where it is met and proven.
#[derive(Debug)]
pub(crate) struct Row {
    /// The line of the file.
    pub(crate) line: usize,
    pub(crate) id: Id,
    /// Files below `crates/` and a name in each.
    pub(crate) code: Vec<(String, String)>,
    /// Tests that show it met.
    positive: Vec<String>,
    /// Tests that show what happens otherwise.
    negative: Vec<String>,
    pub(crate) status: Status,
}

/// `9568-5.2.2-1`: RFC, section, number within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    rfc: u32,
    section: Vec<u32>,
    number: u32,
}

/// How far a requirement is met. All but `Done` are followed by a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Done,
    /// Met by option only: the default is another on purpose.
    Deviates,
    NotYet,
    NotApplicable,
}

impl Status {
    const ALL: [Self; 4] = [Self::Done, Self::Deviates, Self::NotYet, Self::NotApplicable];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Deviates => "deviates",
            Self::NotYet => "not yet",
            Self::NotApplicable => "not applicable",
        }
    }

    fn parse(cell: &str) -> Result<Self, String> {
        let (name, reason) = cell.split_once(':').unwrap_or((cell, ""));
        let found = Self::ALL.into_iter().find(|status| status.name() == name);
        let status = found.ok_or_else(|| format!("the status {cell:?}"))?;
        if (status == Self::Done) != reason.trim().is_empty() {
            return Err(format!("the status {cell:?}: a reason belongs to every one but `done`"));
        }
        Ok(status)
    }
}

impl Id {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (rfc, section, number) = (parts.next()?, parts.next()?, parts.next()?);
        let section = section.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let id = Self { rfc: rfc.parse().ok()?, section, number: number.parse().ok()? };
        parts.next().is_none().then_some(id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section: Vec<String> = self.section.iter().map(u32::to_string).collect();
        write!(f, "{}-{}-{}", self.rfc, section.join("."), self.number)
    }
}

impl Row {
    /// A line of a table; `None` for its head.
    pub(crate) fn parse(line: usize, text: &str) -> Result<Option<Self>, String> {
        let cells: Vec<&str> = text.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [id, level, requirement, code, positive, negative, status] = cells.as_slice() else {
            return Err(format!("{} columns instead of 7", cells.len()));
        };
        let is_rule = !id.is_empty() && id.chars().all(|char| matches!(char, '-' | ':'));
        if *id == "id" || is_rule {
            return Ok(None);
        }
        let id = Id::parse(id).ok_or_else(|| format!("the id {id:?}"))?;
        if !["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"].contains(level) {
            return Err(format!("{id}: the level {level:?}"));
        }
        if requirement.is_empty() {
            return Err(format!("{id}: no requirement"));
        }
        let status = Status::parse(status).map_err(|why| format!("{id}: {why}"))?;
        let paths = |cell| quoted(cell).filter(|text| text.contains("::")).map(str::to_owned);
        let symbols = quoted(code).map(|text| {
            let (file, symbol) =
                text.rsplit_once("::").ok_or_else(|| format!("{id}: the code {text:?}"))?;
            Ok((file.to_owned(), symbol.to_owned()))
        });
        let code = symbols.collect::<Result<Vec<_>, String>>()?;
        let row = Self {
            line,
            code,
            positive: paths(positive).collect(),
            negative: paths(negative).collect(),
            status,
            id,
        };
        row.is_proven(negative)?;
        Ok(Some(row))
    }

    /// Done is what has code, a positive test, and a negative one or a reason why there is none.
    fn is_proven(&self, negative: &str) -> Result<(), String> {
        if self.status != Status::Done {
            return Ok(());
        }
        let missing = match (self.code.is_empty(), self.positive.is_empty(), negative.is_empty()) {
            (true, _, _) => "code",
            (_, true, _) => "positive test",
            (_, _, true) => "negative test or reason",
            (false, false, false) => return Ok(()),
        };
        Err(format!("{}: done, but no {missing}", self.id))
    }

    /// Every test it names, as `package::path`.
    pub(crate) fn tests(&self) -> impl Iterator<Item = &str> {
        self.positive.iter().chain(&self.negative).map(String::as_str)
    }
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &str) -> Result<Row, String> {
        Row::parse(1, cells).map(|row| row.expect("not the head"))
    }

    #[test]
    fn every_cell_is_read() {
        let row = row("| 9568-6.1-12 | SHOULD NOT | in our words | `a/b.rs::C`, `a/d.rs::e` | `p::q` `p::r` | by type; \
                       `X` | not yet: no time |")
        .expect("a good row");
        assert_eq!(row.id.to_string(), "9568-6.1-12");
        let code =
            [("a/b.rs", "C"), ("a/d.rs", "e")].map(|(file, name)| (file.into(), name.into()));
        assert_eq!(row.code, code);
        assert_eq!(row.tests().collect::<Vec<_>>(), ["p::q", "p::r"]);
        assert_eq!(row.status, Status::NotYet);
    }

    #[test]
    fn the_head_of_a_table_is_no_requirement() {
        for head in ["| id | b | c | d | e | f | g |", "|---|:-:|---|---|---|---|---|"] {
            assert!(Row::parse(1, head).expect("a head").is_none());
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (cells, expected) in [
            ("| 9568-1-1 | MUST | x | done |", "4 columns instead of 7"),
            ("| | MUST | x | | | | done |", "the id \"\""),
            ("| 9568-1 | MUST | x | | | | done |", "the id \"9568-1\""),
            ("| 9568-1-1-1 | MUST | x | | | | done |", "the id \"9568-1-1-1\""),
            ("| 9568-1-1 | must | x | | | | done |", "9568-1-1: the level \"must\""),
            ("| 9568-1-1 | MUST | | | | | done |", "9568-1-1: no requirement"),
            ("| 9568-1-1 | MUST | x | `lib.rs` | | | done |", "9568-1-1: the code \"lib.rs\""),
            ("| 9568-1-1 | MUST | x | | | | almost |", "9568-1-1: the status \"almost\""),
            (
                "| 9568-1-1 | MUST | x | | | | not yet |",
                "9568-1-1: the status \"not yet\": a reason belongs to every one but `done`",
            ),
            (
                "| 9568-1-1 | MUST | x | | | | done: hm |",
                "9568-1-1: the status \"done: hm\": a reason belongs to every one but `done`",
            ),
            ("| 9568-1-1 | MUST | x | | `p::q` | why | done |", "9568-1-1: done, but no code"),
            (
                "| 9568-1-1 | MUST | x | `a.rs::b` | prose | why | done |",
                "9568-1-1: done, but no positive test",
            ),
            (
                "| 9568-1-1 | MUST | x | `a.rs::b` | `p::q` | | done |",
                "9568-1-1: done, but no negative test or reason",
            ),
        ] {
            assert_eq!(row(cells).expect_err(cells), expected);
        }
    }
}
