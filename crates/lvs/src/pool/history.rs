//! How a real server's health has changed.

use std::collections::VecDeque;
use std::time::Instant;

use healthcheck::{Failure, Outcome};

/// How many changes are remembered.
const REMEMBERED: usize = 16;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) at: Instant,
    pub(crate) outcome: Outcome,
    pub(crate) cause: Option<Failure>,
}

#[derive(Clone, Debug)]
pub(crate) struct History {
    /// Since when it is as it is.
    pub(crate) since: Instant,
    pub(crate) ups: u64,
    pub(crate) downs: u64,
    changes: VecDeque<Change>,
}

impl History {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, ups: 0, downs: 0, changes: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, at: Instant, outcome: Outcome, cause: Option<Failure>) {
        self.since = at;
        match outcome {
            Outcome::Up => self.ups = self.ups.saturating_add(1),
            Outcome::Down => self.downs = self.downs.saturating_add(1),
        }
        if self.changes.len() == REMEMBERED {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { at, outcome, cause });
    }

    /// The latest changes, oldest first.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }
}
