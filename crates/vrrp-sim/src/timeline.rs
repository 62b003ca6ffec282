//! What happened, and a drawing of it.

use core::{fmt, time::Duration};

use vrrp_fsm::{Instant, State};

use crate::RouterId;

/// What happened in a [`Simulation`](crate::Simulation), in order; its `Display` is a drawing.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    names: Vec<String>,
    notes: Vec<Note>,
    end: Instant,
}

/// One thing that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Note {
    /// When, counted from the beginning of the simulation.
    pub at: Instant,
    /// To whom; `None` for the network.
    pub router: Option<RouterId>,
    /// What.
    pub what: What,
}

/// What a [`Note`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The process runs.
    Started,
    /// The host is gone, and its addresses with it.
    Crashed,
    /// The process is gone; what it configured stays behind.
    Killed,
    /// The process stands still.
    Paused,
    /// The process goes on.
    Resumed,
    /// The machine acts as Master from here on: its advertisement is out, the addresses are to follow.
    Promoted,
    /// The machine reported a state.
    State {
        /// The new state.
        to: State,
        /// Why, in words.
        why: String,
    },
    /// The addresses are on the interface, or gone from it.
    Addresses(bool),
    /// The network is not whole any more.
    Cut(String),
    /// The network is whole again.
    Healed,
    /// Anything else.
    Remark(String),
}

impl Timeline {
    pub(crate) fn add_router(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    pub(crate) fn note(&mut self, at: Instant, router: Option<RouterId>, what: What) {
        self.end = self.end.max(at);
        self.notes.push(Note { at, router, what });
    }

    pub(crate) fn set_end(&mut self, end: Instant) {
        self.end = end;
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// Everything noted, oldest first.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// One lane a router, `columns` characters wide.
    ///
    /// `█` Master with the addresses, `▒` Master without them yet, `░` the addresses of one who is no
    /// longer Master, `─` Backup, `·` taking no part, `z` paused, blank: not running. A column shows the
    /// most remarkable thing that happens in it, so that nothing is too short to be seen.
    #[must_use]
    pub fn lanes(&self, columns: usize) -> String {
        let columns = columns.max(10);
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(7);
        let mut drawing = self.scale(columns, width);
        for (index, name) in self.names.iter().enumerate() {
            let id = RouterId::from_index(index);
            let lane = self.draw(columns, &Lane::default(), |lane, note| {
                if note.router == Some(id) {
                    lane.apply(&note.what);
                }
            });
            drawing.push_str(&format_lane(name, width, &lane));
        }
        if self.notes.iter().any(|note| matches!(note.what, What::Cut(_))) {
            let lane = self.draw(columns, &Wire::Whole, |wire, note| wire.apply(&note.what));
            drawing.push_str(&format_lane("network", width, &lane));
        }
        drawing
    }

    /// A line of times over the lanes.
    fn scale(&self, columns: usize, width: usize) -> String {
        let total = self.end.saturating_duration_since(Instant::ZERO);
        let mut line = " ".repeat(width + 2);
        let mut at = 0;
        while at < columns {
            let label = format!("╷{:.1} s", (total * column(at) / column(columns)).as_secs_f64());
            line.push_str(&label);
            line.extend(core::iter::repeat_n(' ', 16_usize.saturating_sub(label.chars().count())));
            at += 16;
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }

    fn draw<T: Clone + Glyph>(
        &self,
        columns: usize,
        start: &T,
        mut apply: impl FnMut(&mut T, &Note),
    ) -> String {
        let mut now = start.clone();
        let mut notes = self.notes.iter().peekable();
        let total = self.end.saturating_duration_since(Instant::ZERO);
        let mut lane = String::new();
        for index in 1..=columns {
            let until = Instant::ZERO + total * column(index) / column(columns);
            let mut shown = now.glyph();
            while let Some(note) = notes.next_if(|note| note.at < until || index == columns) {
                apply(&mut now, note);
                shown = shown.max(now.glyph());
            }
            lane.push(shown.1);
        }
        lane
    }
}

fn column(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn format_lane(name: &str, width: usize, lane: &str) -> String {
    format!("{name:<width$}  {}\n", lane.trim_end())
}

/// The lanes, then every note on a line of its own.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lanes(72))?;
        writeln!(f)?;
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(7);
        for note in &self.notes {
            let name = match note.router {
                Some(id) => self.names.get(id.index()).map_or("?", String::as_str),
                None => "network",
            };
            let at = note.at.saturating_duration_since(Instant::ZERO);
            writeln!(f, "{} {name:<width$}  {}", Seconds(at), note.what)?;
        }
        Ok(())
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}.{:06} s", self.0.as_secs(), self.0.subsec_micros())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("starts"),
            Self::Crashed => f.write_str("crashes, addresses and all"),
            Self::Killed => f.write_str("is killed, its addresses stay"),
            Self::Paused => f.write_str("stands still"),
            Self::Resumed => f.write_str("goes on"),
            Self::Promoted => f.write_str("advertises as master"),
            Self::State { to, why } => write!(f, "is {to}: {why}"),
            Self::Addresses(true) => f.write_str("has the addresses"),
            Self::Addresses(false) => f.write_str("has removed the addresses"),
            Self::Cut(how) => f.write_str(how),
            Self::Healed => f.write_str("is whole again"),
            Self::Remark(text) => f.write_str(text),
        }
    }
}

/// How remarkable, and the character for it.
trait Glyph {
    fn glyph(&self) -> (u8, char);
}

#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a router")]
pub(crate) struct Lane {
    pub(crate) running: bool,
    pub(crate) paused: bool,
    pub(crate) promoted: bool,
    pub(crate) initialize: bool,
    pub(crate) addresses: bool,
}

impl Lane {
    pub(crate) fn apply(&mut self, what: &What) {
        match what {
            What::Started => *self = Self { running: true, initialize: true, ..Self::default() },
            What::Crashed => *self = Self::default(),
            What::Killed => *self = Self { addresses: self.addresses, ..Self::default() },
            What::Paused => self.paused = true,
            What::Resumed => self.paused = false,
            What::Promoted => (self.promoted, self.initialize) = (true, false),
            What::State { to, .. } => {
                self.promoted = *to == State::Master;
                self.initialize = *to == State::Initialize;
            }
            What::Addresses(present) => self.addresses = *present,
            What::Cut(_) | What::Healed | What::Remark(_) => {}
        }
    }
}

impl Glyph for Lane {
    fn glyph(&self) -> (u8, char) {
        match self {
            Self { running: false, addresses: true, .. } => (4, '░'),
            Self { running: false, .. } => (0, ' '),
            Self { paused: true, addresses: true, .. } => (8, 'Z'),
            Self { paused: true, .. } => (3, 'z'),
            Self { promoted: true, addresses: true, .. } => (7, '█'),
            Self { promoted: true, .. } => (6, '▒'),
            Self { addresses: true, .. } => (5, '░'),
            Self { initialize: true, .. } => (1, '·'),
            Self { .. } => (2, '─'),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Wire {
    Whole,
    Cut,
}

impl Wire {
    pub(crate) fn apply(&mut self, what: &What) {
        if matches!(what, What::Cut(_)) {
            *self = Self::Cut;
        } else if *what == What::Healed {
            *self = Self::Whole;
        }
    }
}

impl Glyph for Wire {
    fn glyph(&self) -> (u8, char) {
        match self {
            Self::Whole => (0, '═'),
            Self::Cut => (1, '╳'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_shows_even_the_shortest_mastership() {
        let mut timeline = Timeline::default();
        timeline.add_router("a");
        let a = Some(RouterId::from_index(0));
        let ms = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let state = |to| What::State { to, why: "test".to_owned() };
        timeline.note(ms(0), a, What::Started);
        timeline.note(ms(1_000), a, state(State::Backup));
        timeline.note(ms(5_100), a, What::Promoted);
        timeline.note(ms(5_101), a, What::Addresses(true));
        timeline.note(ms(5_102), a, state(State::Backup));
        timeline.note(ms(5_103), a, What::Addresses(false));
        timeline.note(ms(8_000), None, What::Cut("is cut".to_owned()));
        timeline.set_end(ms(10_000));
        let drawing = timeline.lanes(10);
        let lanes: Vec<_> = drawing.lines().collect();
        assert_eq!(lanes[1], "a        ··───█────".replace("··", "·─"));
        assert_eq!(lanes[2], "network  ════════╳╳");
        assert!(timeline.to_string().contains("    5.100000 s a        advertises as master"));
    }
}
