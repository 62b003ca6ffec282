//! What the router watches itself for its trackers: links, and how often a service was restarted.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use vrrp_fsm::{Condition, Instant, Tracker, TrackerId, Tracking};

use crate::links::Links;
use crate::virtual_router::VirtualRouter;

/// How many restarts of a service count as a failure: more than `max` within `window`.
///
/// A service that its supervisor starts again and again answers now and then, so that a check of its health finds it well in
/// between. [`VirtualRouter::track_restarts`] counts, [`Handle::note_restart`](crate::Handle::note_restart) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a rule of two numbers")]
pub struct Restarts {
    /// So long a restart counts.
    pub window: Duration,
    /// So many are allowed at a time.
    pub max: usize,
}

/// What is watched for one tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The link of the interface of the tracker's name.
    Interface,
    Restarts(Restarts),
}

/// All that is watched for one virtual router.
#[derive(Debug, Default)]
pub(crate) struct Watches(Vec<Watch>);

#[derive(Debug)]
struct Watch {
    tracker: Arc<str>,
    watched: Watched,
    /// The latest restarts, one more than are allowed at most.
    restarts: VecDeque<Instant>,
}

impl VirtualRouter {
    /// Adds the link of an interface as a tracker, under the interface's name: up, or down (which it also is while there is no such
    /// interface). With weight 0 its loss is a fault, as that of the virtual router's own interface is anyway
    /// ([`VirtualRouter::track_link`]).
    ///
    /// ```
    /// # use vrrp::{Tracker, VirtualRouter, Vrid};
    /// // A gateway without its uplink leaves.
    /// let inside = VirtualRouter::new("inside", Vrid::new(51)?, "eth0").track_interface("eth1", Tracker::new(0)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn track_interface(self, interface: impl AsRef<str>, tracker: Tracker) -> Self {
        self.watch(interface.as_ref(), Watched::Interface, tracker)
    }

    /// Adds the restarts of a service as a tracker, under a name of yours: it is down while there were more of them than `restarts`
    /// allows. [`Handle::note_restart`](crate::Handle::note_restart) tells of each.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use vrrp::{Restarts, Tracker, VirtualRouter, Vrid};
    /// // The fourth restart within a minute hands over.
    /// let restarts = Restarts { window: Duration::from_secs(60), max: 3 };
    /// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0").track_restarts("nginx", restarts, Tracker::new(0)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn track_restarts(
        self,
        name: impl AsRef<str>,
        restarts: Restarts,
        tracker: Tracker,
    ) -> Self {
        self.watch(name.as_ref(), Watched::Restarts(restarts), tracker)
    }

    fn watch(mut self, name: &str, watched: Watched, tracker: Tracker) -> Self {
        self.watched.push((Arc::from(name), watched));
        self.track(name, tracker)
    }
}

impl Watches {
    /// Watches what is wanted from now on; restarts that were counted still are.
    pub(crate) fn replace(&mut self, wanted: &[(Arc<str>, Watched)]) {
        let mut former = core::mem::take(&mut self.0);
        self.0 = wanted
            .iter()
            .map(|(tracker, watched)| {
                let mut restarts = former.iter_mut().filter(|watch| watch.tracker == *tracker);
                let restarts = restarts.next().map(|watch| core::mem::take(&mut watch.restarts));
                Watch {
                    tracker: Arc::clone(tracker),
                    watched: watched.clone(),
                    restarts: restarts.unwrap_or_default(),
                }
            })
            .collect();
    }

    /// A restart of the service with this tracker. Whether restarts are counted for it.
    pub(crate) fn handle_restart(&mut self, now: Instant, tracker: &str) -> bool {
        let Some(watch) = self.0.iter_mut().find(|watch| watch.tracker.as_ref() == tracker) else {
            return false;
        };
        let Watched::Restarts(rule) = watch.watched else { return false };
        watch.restarts.push_back(now);
        // The eldest of one more than allowed says how long it stays too many.
        while watch.restarts.len() > rule.max.saturating_add(1) {
            watch.restarts.pop_front();
        }
        true
    }

    /// The next moment at which something is no longer what it was without being told.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.0.iter().filter_map(Watch::recovers_at).min()
    }

    /// Tells `tracking` of all that has changed.
    pub(crate) fn tell(
        &mut self,
        now: Instant,
        trackers: &[(Arc<str>, Tracker)],
        links: &Links,
        tracking: &mut Tracking,
    ) {
        for watch in &mut self.0 {
            if watch.recovers_at().is_some_and(|at| now >= at) {
                watch.restarts.pop_front();
            }
            let mut names = trackers.iter();
            let Some(index) = names.position(|(name, _)| *name == watch.tracker) else { continue };
            let (tracker, condition) = (TrackerId::new(index), watch.condition(links));
            if tracking.condition(tracker) != Some(condition) {
                tracking.handle_condition(tracker, condition);
            }
        }
    }
}

impl Watch {
    fn condition(&self, links: &Links) -> Condition {
        let is_good = match self.watched {
            Watched::Interface => links.by_name(&self.tracker).is_some_and(|link| link.up),
            Watched::Restarts(rule) => self.restarts.len() <= rule.max,
        };
        if is_good { Condition::Up } else { Condition::Down }
    }

    /// When the restarts are not too many any more.
    fn recovers_at(&self) -> Option<Instant> {
        let Watched::Restarts(rule) = self.watched else { return None };
        let first = self.restarts.front().filter(|_| self.restarts.len() > rule.max)?;
        Some(*first + rule.window)
    }
}

#[cfg(test)]
mod tests {
    use vrrp_fsm::vrrp_proto::Priority;

    use super::*;

    const RULE: Restarts = Restarts { window: Duration::from_secs(60), max: 2 };

    struct Counter {
        watches: Watches,
        trackers: Vec<(Arc<str>, Tracker)>,
        tracking: Tracking,
    }

    impl Counter {
        fn new() -> Self {
            let (name, tracker) = (Arc::from("nginx"), Tracker::new(0).unwrap());
            let mut watches = Watches::default();
            watches.replace(&[(Arc::clone(&name), Watched::Restarts(RULE))]);
            let tracking = Tracking::new(Priority::DEFAULT, vec![tracker]);
            Self { watches, trackers: vec![(name, tracker)], tracking }
        }

        fn at(&mut self, seconds: u64) -> Option<Condition> {
            let now = Instant::from_nanos(seconds * 1_000_000_000);
            self.watches.tell(now, &self.trackers, &Links::new(Vec::new()), &mut self.tracking);
            self.tracking.condition(TrackerId::new(0))
        }

        fn restart(&mut self, seconds: u64) -> Option<Condition> {
            let now = Instant::from_nanos(seconds * 1_000_000_000);
            assert!(self.watches.handle_restart(now, "nginx"));
            self.at(seconds)
        }

        fn recovers_at(&self) -> Option<u64> {
            self.watches.poll_timeout().map(|at| at.as_nanos() / 1_000_000_000)
        }
    }

    #[test]
    fn one_more_than_allowed_within_the_window_is_a_failure() {
        let mut counter = Counter::new();
        assert_eq!(counter.at(0), Some(Condition::Up), "none yet");
        assert_eq!(counter.restart(1), Some(Condition::Up));
        assert_eq!(counter.restart(2), Some(Condition::Up));
        assert_eq!(counter.recovers_at(), None);
        assert_eq!(counter.restart(60), Some(Condition::Down));
        assert_eq!(counter.recovers_at(), Some(61), "the first one's minute is over");
        assert_eq!(counter.at(60), Some(Condition::Down));
        assert_eq!(counter.at(61), Some(Condition::Up));
        assert_eq!(counter.recovers_at(), None);
        assert_eq!(counter.restart(61), Some(Condition::Down), "2, 60 and 61");
        assert_eq!(counter.restart(62), Some(Condition::Down), "60, 61 and 62");
        assert_eq!(counter.recovers_at(), Some(120));
        assert_eq!(counter.at(120), Some(Condition::Up));
    }

    #[test]
    fn restarts_farther_apart_are_none() {
        let mut counter = Counter::new();
        for minute in 1..10 {
            // The third is down for no time at all: the first of the three is a minute ago.
            counter.restart(minute * 30);
            assert_eq!(counter.at(minute * 30), Some(Condition::Up), "{minute}");
        }
    }

    #[test]
    fn what_was_counted_survives_another_configuration() {
        let mut counter = Counter::new();
        for second in 1..=3 {
            counter.restart(second);
        }
        let wanted = [(Arc::from("nginx"), Watched::Restarts(RULE))];
        counter.watches.replace(&wanted);
        assert_eq!(counter.at(4), Some(Condition::Down));
        counter.watches.replace(&[]);
        assert!(!counter.watches.handle_restart(Instant::from_nanos(5), "nginx"));
    }
}
