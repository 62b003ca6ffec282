//! One advertisement over several paths is one advertisement.

use vrrp_fsm::{Instant, Output, PathId};

use super::{Broken, Invariant, Step, heard};
use crate::{host::Packet, input::Input};

/// Which transmission was the latest news on each path, and when. Empty while there is one path.
#[derive(Debug, Clone, Default)]
pub(super) struct Copies {
    news: Vec<(PathId, u64, Instant)>,
}

impl Copies {
    /// Takes notice of an accepted advertisement, or finds that it was taken for what it is not.
    pub(super) fn step(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        let Step { before, after, config, .. } = *step;
        let (Input::Datagram(packet), None) = (step.input, step.verdict) else { return Ok(()) };
        let counted = after.copies(&before);
        if config.paths.len() < 2 {
            return if counted { broken("a copy on the only path") } else { Ok(()) };
        }
        let woke_late = after.statistics.late_wakes != before.statistics.late_wakes;
        let same = before.state == after.state
            && before.deadline == after.deadline
            // Two owners are to be shouted about, however often they are heard.
            && step.outputs.iter().all(|output| matches!(output, Output::Conflict { .. }));
        if counted {
            let changed = !same && !woke_late;
            return if changed { broken("a copy changed something") } else { Ok(()) };
        }
        self.is_news(packet, step)
    }

    fn is_news(&mut self, packet: &Packet, step: &Step<'_>) -> Result<(), Broken> {
        let Some(heard) = heard(packet).filter(|heard| !heard.priority.is_release()) else {
            return Ok(());
        };
        let fresh = heard.interval.as_duration() / 2;
        let is_copy = self.news.iter().any(|(path, serial, at)| {
            *path != packet.path && *serial == packet.serial && step.now < *at + fresh
        });
        if is_copy && packet.serial != 0 {
            return broken("a copy was taken for news");
        }
        self.news.retain(|(path, ..)| *path != packet.path);
        self.news.push((packet.path, packet.serial, step.now));
        Ok(())
    }
}

fn broken(found: &str) -> Result<(), Broken> {
    Err((Invariant::Copies, found.to_owned()))
}
