//! The timeline as a picture that scales.

use core::fmt::{self, Write};
use core::time::Duration;

use vrrp_fsm::Instant;

use crate::{
    RouterId, Timeline, What,
    timeline::{Lane, Note, Wire},
};

/// Everything here is in pixels.
const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 110.0;
const TOP: f64 = 30.0;
const LANE: f64 = 34.0;
const BAR: f64 = 22.0;

impl Timeline {
    /// The same picture as [`lanes`](Self::lanes) in SVG, true to scale: a bar for what a router is, a
    /// mark for each thing that happened, with its text to be seen when it is pointed at.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut picture = String::new();
        // Writing to a string does not fail.
        let _never = self.draw_svg(&mut picture);
        picture
    }

    fn draw_svg(&self, out: &mut String) -> fmt::Result {
        let lanes: Vec<Option<RouterId>> = (0..self.names().len())
            .map(|index| Some(RouterId::from_index(index)))
            .chain([None])
            .collect();
        let mut below = TOP;
        let mut body = String::new();
        for lane in lanes {
            let name = match lane {
                Some(id) => self.names().get(id.index()).map_or("?", String::as_str),
                None => "network",
            };
            let (text_at, label) = (below + LANE / 2.0 + 4.0, Escaped(name));
            writeln!(body, r#"<text x="8" y="{text_at:.0}">{label}</text>"#)?;
            self.bars(&mut body, lane, below)?;
            for note in self.notes().iter().filter(|note| note.router == lane) {
                self.mark(&mut body, note, below)?;
            }
            below += LANE;
        }
        let legend_at = below + 18.0;
        let (width, height) = (LEFT + WIDTH + 20.0, legend_at + 12.0);
        writeln!(
            out,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" font-family="sans-serif" font-size="12">"#
        )?;
        writeln!(out, r#"<rect width="100%" height="100%" fill="white"/>"#)?;
        self.svg_scale(out, below)?;
        out.push_str(&body);
        let mut x = LEFT;
        for look in Look::ALL {
            let (fill, words) = (look.fill(), look.words());
            writeln!(
                out,
                r##"<rect x="{x:.0}" y="{:.0}" width="12" height="12" fill="{fill}" stroke="#888"/><text x="{:.0}" y="{legend_at:.0}">{words}</text>"##,
                legend_at - 10.0,
                x + 16.0
            )?;
            x += 140.0;
        }
        writeln!(out, "</svg>")
    }

    /// A line for every tenth of the time.
    fn svg_scale(&self, out: &mut String, bottom: f64) -> fmt::Result {
        let total = self.end().saturating_duration_since(Instant::ZERO);
        for tenth in 0..=10 {
            let at = total * tenth / 10;
            let x = self.x(Instant::ZERO + at);
            writeln!(
                out,
                r##"<line x1="{x:.1}" y1="20" x2="{x:.1}" y2="{bottom:.0}" stroke="#ddd"/><text x="{x:.1}" y="14" text-anchor="middle" font-size="10">{:.2} s</text>"##,
                at.as_secs_f64()
            )?;
        }
        Ok(())
    }

    /// What a router is, or the network if it is `None`, from one moment to the next.
    fn bars(&self, out: &mut String, lane: Option<RouterId>, top: f64) -> fmt::Result {
        let (mut router, mut wire) = (Lane::default(), Wire::Whole);
        let mut since = Instant::ZERO;
        let y = top + (LANE - BAR) / 2.0;
        let mut bar = |look: Option<Look>, from: Instant, to: Instant| {
            let Some(look) = look else { return Ok(()) };
            let (x, fill) = (self.x(from), look.fill());
            // Nothing is too short to be seen.
            let width = (self.x(to) - x).max(1.5);
            writeln!(
                out,
                r#"<rect x="{x:.2}" y="{y:.0}" width="{width:.2}" height="{BAR:.0}" fill="{fill}"><title>{} from {:.6} s to {:.6} s</title></rect>"#,
                look.words(),
                seconds(from),
                seconds(to)
            )
        };
        for note in self.notes().iter().filter(|note| note.router == lane) {
            let before = Look::of(lane, &router, &wire);
            router.apply(&note.what);
            wire.apply(&note.what);
            if Look::of(lane, &router, &wire) != before {
                bar(before, since, note.at)?;
                since = note.at;
            }
        }
        bar(Look::of(lane, &router, &wire), since, self.end())
    }

    fn mark(&self, out: &mut String, note: &Note, top: f64) -> fmt::Result {
        let (x, y) = (self.x(note.at), top + LANE - 4.0);
        let colour = match note.what {
            What::Crashed | What::Killed | What::Cut(_) => "#c00",
            What::Paused | What::Resumed | What::Remark(_) => "#a60",
            What::Started
            | What::Promoted
            | What::State { .. }
            | What::Addresses(_)
            | What::Healed => "#333",
        };
        let text = note.what.to_string();
        writeln!(
            out,
            r#"<path d="M{x:.2} {y:.0} l-3 5 h6 z" fill="{colour}"><title>{:.6} s: {}</title></path>"#,
            seconds(note.at),
            Escaped(&text)
        )
    }

    fn x(&self, at: Instant) -> f64 {
        let total = seconds(self.end()).max(f64::MIN_POSITIVE);
        LEFT + WIDTH * (seconds(at) / total).min(1.0)
    }
}

fn seconds(at: Instant) -> f64 {
    let since: Duration = at.saturating_duration_since(Instant::ZERO);
    since.as_secs_f64()
}

/// What a bar shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Master,
    Advertising,
    Leftovers,
    Backup,
    Initialize,
    Paused,
    Cut,
}

impl Look {
    const ALL: [Self; 7] = [
        Self::Master,
        Self::Advertising,
        Self::Leftovers,
        Self::Backup,
        Self::Initialize,
        Self::Paused,
        Self::Cut,
    ];

    fn of(lane: Option<RouterId>, router: &Lane, wire: &Wire) -> Option<Self> {
        match (lane, wire) {
            (None, Wire::Cut) => Some(Self::Cut),
            (None, Wire::Whole) => None,
            (Some(_), _) => match router {
                Lane { running: false, addresses: true, .. } => Some(Self::Leftovers),
                Lane { running: false, .. } => None,
                Lane { paused: true, .. } => Some(Self::Paused),
                Lane { promoted: true, addresses: true, .. } => Some(Self::Master),
                Lane { promoted: true, .. } => Some(Self::Advertising),
                Lane { addresses: true, .. } => Some(Self::Leftovers),
                Lane { initialize: true, .. } => Some(Self::Initialize),
                Lane { .. } => Some(Self::Backup),
            },
        }
    }

    const fn fill(self) -> &'static str {
        match self {
            Self::Master => "#2a7",
            Self::Advertising => "#ad8",
            Self::Leftovers => "#fa4",
            Self::Backup => "#bcd",
            Self::Initialize => "#eee",
            Self::Paused => "#96c",
            Self::Cut => "#d44",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Advertising => "master, no address yet",
            Self::Leftovers => "address, no master",
            Self::Backup => "backup",
            Self::Initialize => "takes no part",
            Self::Paused => "stands still",
            Self::Cut => "not whole",
        }
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vrrp_fsm::State;

    use super::*;

    #[test]
    fn bars_are_true_to_scale_and_text_is_escaped() {
        let mut timeline = Timeline::default();
        timeline.add_router("a<b");
        let a = Some(RouterId::from_index(0));
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        timeline.note(at(0), a, What::Started);
        timeline.note(at(2), a, What::State { to: State::Backup, why: "\"test\"".to_owned() });
        timeline.note(at(5), None, What::Cut("loses & loses".to_owned()));
        timeline.set_end(at(10));
        let svg = timeline.svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        let bar = |look: Look, x: f64, width: f64| {
            let bar = format!(r#"<rect x="{x:.2}" y="#);
            let size = format!(r#"width="{width:.2}" height="22" fill="{}""#, look.fill());
            svg.lines().any(|line| line.starts_with(&bar) && line.contains(&size))
        };
        assert!(bar(Look::Initialize, LEFT, 200.0), "{svg}");
        assert!(bar(Look::Backup, LEFT + 200.0, 800.0), "{svg}");
        assert!(bar(Look::Cut, LEFT + 500.0, 500.0), "{svg}");
        assert!(svg.contains("a&lt;b") && svg.contains("loses &amp; loses"), "{svg}");
        assert!(svg.contains("&quot;test&quot;"), "{svg}");
        for (open, close) in [("<title>", "</title>"), ("<text", "</text>"), ("<rect", "/")] {
            assert!(svg.matches(open).count() <= svg.matches(close).count(), "{open}");
        }
    }
}
