//! The whole play on a few lines: who had the address, and whether the client was served.

use std::fmt::Write;
use std::time::Duration;

use lab::probe::Probe;

use crate::demo::events::{Event, What, Who};
use crate::demo::play::Step;
use crate::demo::stage::Stage;

/// Columns of the drawing.
const COLUMNS: u32 = 76;

/// A drawing of all steps, one column for a slice of time.
pub(crate) fn draw(steps: &[Step], stage: &Stage) -> String {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return String::new() };
    let axis = Axis { from: first.began, slice: last.ended.saturating_sub(first.began) / COLUMNS };
    let mut text = format!("\nOne column is {:.2} s\n\n", axis.slice.as_secs_f64());
    let mut numbers = [' '; COLUMNS as usize];
    for (number, step) in (1..).zip(steps) {
        if let Some(place) = numbers.get_mut(axis.column(step.began)) {
            *place = char::from_digit(number, 36).unwrap_or('*');
        }
    }
    let _ = writeln!(text, "  {:<12}{}", "step", numbers.iter().collect::<String>());
    let events = stage.log.all();
    for director in [0, 1] {
        let _ = writeln!(
            text,
            "  {:<12}{}",
            format!("director {}", director + 1),
            held(&axis, &events, director)
        );
    }
    let _ = writeln!(text, "  {:<12}{}", "client", served(&axis, &stage.prober.probes()));
    text.push_str("\n  █ has the address / is served   ▒ in part   · not served\n");
    text
}

struct Axis {
    from: Duration,
    slice: Duration,
}

impl Axis {
    fn column(&self, at: Duration) -> usize {
        let offset = at.saturating_sub(self.from).as_nanos() / self.slice.as_nanos().max(1);
        usize::try_from(offset).unwrap_or(usize::MAX).min(COLUMNS as usize - 1)
    }

    /// Beginning and end of each column.
    fn columns(&self) -> impl Iterator<Item = (Duration, Duration)> {
        (0..COLUMNS)
            .map(|column| (self.from + self.slice * column, self.from + self.slice * (column + 1)))
    }
}

/// Where a director had the virtual address.
fn held(axis: &Axis, events: &[Event], director: usize) -> String {
    let mut changes = events.iter().filter(|event| event.who == Who::Director(director)).peekable();
    let mut holds = false;
    axis.columns()
        .map(|(_, until)| {
            let mut any = holds;
            while let Some(event) = changes.next_if(|event| event.at < until) {
                if let What::Address { added } = event.what {
                    holds = added;
                    any |= added;
                }
            }
            if any { '█' } else { ' ' }
        })
        .collect()
}

/// Where the client was served.
fn served(axis: &Axis, probes: &[Probe]) -> String {
    axis.columns()
        .map(|(from, until)| {
            let begin = probes.partition_point(|probe| probe.sent < from);
            let end = probes.partition_point(|probe| probe.sent < until);
            let within = probes.get(begin..end).unwrap_or_default();
            match within.iter().filter(|probe| probe.answered.is_some()).count() {
                0 => '·',
                // A lost probe or two is no gap.
                count if count + 2 >= within.len() => '█',
                _ => '▒',
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_shows_whether_any_or_all_of_it_was_served() {
        let axis = Axis { from: Duration::ZERO, slice: Duration::from_millis(10) };
        let probe = |millis: u64| Probe {
            sent: Duration::from_millis(millis),
            answered: (15..750).contains(&millis).then_some(Duration::ZERO),
        };
        let probes: Vec<_> = (0..760).map(probe).collect();
        let drawn: Vec<char> = served(&axis, &probes).chars().collect();
        assert_eq!((drawn.len(), &drawn[..3], drawn[75]), (76, &['·', '▒', '█'][..], '·'));
        let at = Duration::from_millis;
        let address = |millis, added| Event {
            at: at(millis),
            who: Who::Director(1),
            what: What::Address { added },
        };
        let events = [address(12, true), address(25, false)];
        assert_eq!(held(&axis, &events, 1).trim_end(), " ██");
        assert_eq!(held(&axis, &events, 0).trim_end(), "");
        assert_eq!((axis.column(at(25)), axis.column(at(100_000))), (2, 75));
    }
}
