//! The wires: who reaches whom, how late, how often twice and how often not at all.

use core::{net::IpAddr, time::Duration};

use fastrand::Rng;
use vrrp_fsm::{Instant, PathId};

use crate::{Chance, RouterId, chance::up_to};

/// What one direction of a link does to packets. The default is a perfect wire with 100 µs of delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by its users, with `..Link::default()`")]
pub struct Link {
    /// The least time a packet takes.
    pub delay: Duration,
    /// How much longer it may take; packets overtake each other when this exceeds their distance.
    pub jitter: Duration,
    /// How likely a packet is held back, so that later ones overtake it: two ways of unequal length,
    /// a busy core of a switch.
    pub reordering: Chance,
    /// How long such a packet is held back, on top of delay and jitter.
    pub held_back: Duration,
    /// How likely a packet is lost.
    pub loss: Chance,
    /// How likely a packet arrives twice, each copy with its own jitter.
    pub duplication: Chance,
}

impl Link {
    /// The longest a packet takes: D in the bounds of [`Bounds`](crate::Bounds).
    #[must_use]
    pub fn longest(&self) -> Duration {
        let held_back =
            if self.reordering == Chance::NEVER { Duration::ZERO } else { self.held_back };
        self.delay + self.jitter + held_back
    }

    /// Whether no packet can overtake another.
    fn is_in_order(&self) -> bool {
        self.jitter.is_zero() && (self.reordering == Chance::NEVER || self.held_back.is_zero())
    }

    /// How long one packet takes.
    fn takes(&self, rng: &mut Rng) -> Duration {
        let held_back = if self.reordering.happens(rng) { self.held_back } else { Duration::ZERO };
        self.delay + up_to(rng, self.jitter) + held_back
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(100),
            jitter: Duration::ZERO,
            reordering: Chance::NEVER,
            held_back: Duration::ZERO,
            loss: Chance::NEVER,
            duplication: Chance::NEVER,
        }
    }
}

/// What becomes of one packet on its way to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There is no way there at the moment.
    Cut,
    Lost,
    /// After so long.
    Arrives(Duration),
    /// The same, before one that was sent earlier.
    Overtakes(Duration),
    Twice(Duration, Duration),
}

/// All directed links between the routers, of all paths.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// One for each path.
    paths: Vec<Wires>,
    /// How likely a sender hears its own packet: a hairpin, a mirror port, a multicast loop.
    echo: Chance,
    /// The address that an echo seems to come from.
    disguise: Option<IpAddr>,
}

impl Default for Network {
    fn default() -> Self {
        Self { paths: vec![Wires::default()], echo: Chance::NEVER, disguise: None }
    }
}

/// The directed links of one path.
#[derive(Debug, Clone, Default)]
struct Wires {
    default: Link,
    /// One row a sender.
    ways: Vec<Vec<Way>>,
    failure: Option<PathFailure>,
}

/// A path that fails for good: so much is lost between the first routers and the others.
#[derive(Debug, Clone, Copy)]
struct PathFailure {
    first: usize,
    loss: Chance,
}

impl PathFailure {
    fn concerns(self, from: RouterId, to: RouterId) -> bool {
        (from.index() < self.first) != (to.index() < self.first)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Way {
    cut: bool,
    own: Option<Link>,
    /// When the last of the packets sent so far arrives.
    latest: Instant,
}

impl Network {
    pub(crate) fn add_router(&mut self) {
        for wires in &mut self.paths {
            let count = wires.ways.len() + 1;
            wires.ways.resize_with(count, Vec::new);
            for row in &mut wires.ways {
                row.resize_with(count, Way::default);
            }
        }
    }

    /// From now on there are at least so many paths.
    pub(crate) fn add_paths(&mut self, count: usize) {
        if let Some(first) = self.paths.first().filter(|_| self.paths.len() < count) {
            let another = Wires { failure: None, ..first.clone() };
            self.paths.resize(count, another);
        }
    }

    pub(crate) fn set_default(&mut self, link: Link) {
        self.paths.iter_mut().for_each(|wires| wires.default = link);
    }

    pub(crate) fn set_path_default(&mut self, path: PathId, link: Link) {
        if let Some(wires) = self.paths.get_mut(usize::from(path.get())) {
            wires.default = link;
        }
    }

    /// Lets a path fail for good between the first routers and the others, unless it is the only one
    /// that does not. Whether it did.
    pub(crate) fn fail_path(&mut self, path: PathId, first: usize, loss: Chance) -> bool {
        let failed = usize::from(path.get());
        let mut others = self.paths.iter().enumerate().filter(|(index, _)| *index != failed);
        let is_last = others.all(|(_, wires)| wires.failure.is_some());
        let Some(wires) = self.paths.get_mut(failed).filter(|_| !is_last) else { return false };
        let fails = first > 0 && first < wires.ways.len() && loss != Chance::NEVER;
        wires.failure = fails.then_some(PathFailure { first, loss });
        fails
    }

    pub(crate) fn has_failed_path(&self) -> bool {
        self.paths.iter().any(|wires| wires.failure.is_some())
    }

    fn ways(&self) -> impl Iterator<Item = &Way> {
        self.paths.iter().flat_map(|wires| wires.ways.iter().flatten())
    }

    fn ways_mut(&mut self) -> impl Iterator<Item = &mut Way> {
        self.paths.iter_mut().flat_map(|wires| wires.ways.iter_mut().flatten())
    }

    pub(crate) fn set_echo(&mut self, echo: Chance) {
        self.echo = echo;
    }

    pub(crate) fn set_disguise(&mut self, source: Option<IpAddr>) {
        self.disguise = source;
    }

    pub(crate) fn disguise(&self) -> Option<IpAddr> {
        self.disguise
    }

    /// Whether nothing gets from one router to another, on any path.
    pub(crate) fn is_cut(&self, from: RouterId, to: RouterId) -> bool {
        self.paths.iter().all(|wires| {
            let way = wires.ways.get(from.index()).and_then(|row| row.get(to.index()));
            let dead =
                |failure: PathFailure| failure.loss == Chance::ALWAYS && failure.concerns(from, to);
            way.is_none_or(|way| way.cut) || wires.failure.is_some_and(dead)
        })
    }

    pub(crate) fn set_link(&mut self, from: RouterId, to: RouterId, link: Link) {
        for wires in &mut self.paths {
            if let Some(way) = wires.way_mut(from, to) {
                way.own = Some(link);
            }
        }
    }

    pub(crate) fn set_cut(&mut self, from: RouterId, to: RouterId, cut: bool) {
        for wires in &mut self.paths {
            if let Some(way) = wires.way_mut(from, to) {
                way.cut = cut;
            }
        }
    }

    /// Cuts all ways between routers of different groups, and joins those within one. Routers in no
    /// group form one of their own.
    pub(crate) fn partition(&mut self, groups: &[&[RouterId]]) {
        let group_of = |index: usize| {
            groups.iter().position(|group| group.contains(&RouterId::from_index(index)))
        };
        let rows = self.paths.iter_mut().flat_map(|wires| wires.ways.iter_mut().enumerate());
        for (from, row) in rows {
            for (to, way) in row.iter_mut().enumerate() {
                way.cut = group_of(from) != group_of(to);
            }
        }
    }

    pub(crate) fn heal(&mut self) {
        self.ways_mut().for_each(|way| way.cut = false);
    }

    /// Nothing is cut, lost or duplicated any more but on failed paths; delay and jitter stay.
    pub(crate) fn calm(&mut self) {
        self.heal();
        self.echo = Chance::NEVER;
        let links = self.paths.iter_mut().flat_map(|wires| {
            let own = wires.ways.iter_mut().flatten().filter_map(|way| way.own.as_mut());
            own.chain([&mut wires.default])
        });
        for link in links {
            (link.loss, link.duplication) = (Chance::NEVER, Chance::NEVER);
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        !self.ways().any(|way| way.cut)
    }

    /// The longest delay of any link.
    pub(crate) fn longest(&self) -> Duration {
        self.links().map(|link| link.longest()).max().unwrap_or_default()
    }

    /// Whether no packet can overtake another of its path.
    pub(crate) fn in_order(&self) -> bool {
        self.links().all(|link| link.is_in_order())
    }

    fn links(&self) -> impl Iterator<Item = Link> {
        let own = self.ways().filter_map(|way| way.own);
        own.chain(self.paths.iter().map(|wires| wires.default))
    }

    pub(crate) fn fate(
        &mut self,
        rng: &mut Rng,
        now: Instant,
        path: PathId,
        from: RouterId,
        to: RouterId,
    ) -> Fate {
        let echo = self.echo;
        let Some(wires) = self.paths.get_mut(usize::from(path.get())) else { return Fate::Cut };
        let (default, failure) = (wires.default, wires.failure);
        let Some(way) = wires.way_mut(from, to).filter(|way| !way.cut) else {
            return Fate::Cut;
        };
        if from == to && !echo.happens(rng) {
            return Fate::Cut;
        }
        let link = way.own.unwrap_or(default);
        if let Some(failure) = failure.filter(|failure| failure.concerns(from, to))
            && failure.loss.happens(rng)
        {
            return Fate::Lost;
        }
        if link.loss.happens(rng) {
            return Fate::Lost;
        }
        let after = link.takes(rng);
        let overtakes = now + after < way.latest;
        way.latest = way.latest.max(now + after);
        if link.duplication.happens(rng) {
            Fate::Twice(after, link.takes(rng))
        } else if overtakes {
            Fate::Overtakes(after)
        } else {
            Fate::Arrives(after)
        }
    }
}

impl Wires {
    fn way_mut(&mut self, from: RouterId, to: RouterId) -> Option<&mut Way> {
        self.ways.get_mut(from.index())?.get_mut(to.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Network, [RouterId; 3]) {
        let mut network = Network::default();
        for _ in 0..3 {
            network.add_router();
        }
        (network, [0, 1, 2].map(RouterId::from_index))
    }

    #[test]
    fn a_partition_cuts_between_groups_and_healing_joins_them() {
        let (mut network, [a, b, c]) = three();
        network.partition(&[&[a, b]]);
        let mut rng = Rng::with_seed(1);
        assert_eq!(
            network.fate(&mut rng, Instant::ZERO, PathId::FIRST, a, b),
            Fate::Arrives(Link::default().delay)
        );
        assert_eq!(network.fate(&mut rng, Instant::ZERO, PathId::FIRST, a, c), Fate::Cut);
        assert_eq!(network.fate(&mut rng, Instant::ZERO, PathId::FIRST, c, b), Fate::Cut);
        assert!(!network.is_whole());
        network.heal();
        assert!(network.is_whole());
    }

    #[test]
    fn one_direction_can_be_cut_alone() {
        let (mut network, [a, b, _]) = three();
        network.set_cut(a, b, true);
        let mut rng = Rng::with_seed(1);
        assert_eq!(network.fate(&mut rng, Instant::ZERO, PathId::FIRST, a, b), Fate::Cut);
        assert_eq!(
            network.fate(&mut rng, Instant::ZERO, PathId::FIRST, b, a),
            Fate::Arrives(Link::default().delay)
        );
    }

    #[test]
    fn nobody_hears_itself_unless_there_is_an_echo() {
        let (mut network, [a, ..]) = three();
        let mut rng = Rng::with_seed(1);
        assert_eq!(network.fate(&mut rng, Instant::ZERO, PathId::FIRST, a, a), Fate::Cut);
        network.set_echo(Chance::ALWAYS);
        assert_eq!(
            network.fate(&mut rng, Instant::ZERO, PathId::FIRST, a, a),
            Fate::Arrives(Link::default().delay)
        );
    }

    #[test]
    fn loss_duplication_and_jitter_are_as_said() {
        let (mut network, [a, b, _]) = three();
        let (delay, jitter) = (Duration::from_millis(2), Duration::from_millis(3));
        let duplication = Chance::percent(10);
        let link = Link { delay, jitter, duplication, ..Link::default() };
        network.set_link(a, b, Link { loss: Chance::percent(30), ..link });
        let mut rng = Rng::with_seed(7);
        let (mut lost, mut twice) = (0, 0);
        for _ in 0..10_000 {
            match network.fate(&mut rng, Instant::ZERO, PathId::FIRST, a, b) {
                Fate::Cut => panic!("the way is open"),
                Fate::Lost => lost += 1,
                Fate::Arrives(after) | Fate::Overtakes(after) => {
                    assert!(delay <= after && after <= delay + jitter);
                }
                Fate::Twice(..) => twice += 1,
            }
        }
        assert!((2_850..3_150).contains(&lost), "{lost}");
        assert!((600..800).contains(&twice), "{twice}");
        assert_eq!(network.longest(), delay + jitter);
        network.calm();
        let fate = network.fate(&mut rng, Instant::ZERO, PathId::FIRST, a, b);
        let (Fate::Arrives(after) | Fate::Overtakes(after)) = fate else { panic!("{fate:?}") };
        assert!(after <= delay + jitter);
    }

    #[test]
    fn what_follows_a_packet_that_is_held_back_overtakes_it() {
        let (mut network, [a, b, _]) = three();
        let held_back = Duration::from_millis(5);
        let mut link = Link { reordering: Chance::ALWAYS, held_back, ..Link::default() };
        network.set_link(a, b, link);
        let mut rng = Rng::with_seed(1);
        assert_eq!(
            network.fate(&mut rng, Instant::ZERO, PathId::FIRST, a, b),
            Fate::Arrives(link.delay + held_back)
        );
        assert!(!network.in_order());
        assert_eq!(network.longest(), link.delay + held_back);
        link.reordering = Chance::NEVER;
        network.set_link(a, b, link);
        let soon = Instant::from_nanos(1_000_000);
        assert_eq!(network.fate(&mut rng, soon, PathId::FIRST, a, b), Fate::Overtakes(link.delay));
        let later = Instant::from_nanos(9_000_000);
        assert_eq!(network.fate(&mut rng, later, PathId::FIRST, a, b), Fate::Arrives(link.delay));
        assert_eq!(network.longest(), link.delay);
    }

    #[test]
    fn a_path_fails_between_some_and_never_the_last_one_does() {
        let (mut network, [a, b, c]) = three();
        network.add_paths(2);
        let [first, second] = [0, 1].map(PathId::new);
        assert!(network.fail_path(first, 1, Chance::ALWAYS));
        assert!(!network.fail_path(second, 1, Chance::ALWAYS));
        let mut rng = Rng::with_seed(1);
        let mut fate = |network: &mut Network, path, from, to| {
            network.fate(&mut rng, Instant::ZERO, path, from, to)
        };
        network.calm();
        assert_eq!(fate(&mut network, first, a, b), Fate::Lost);
        assert_eq!(fate(&mut network, first, c, a), Fate::Lost);
        let arrives = Fate::Arrives(Link::default().delay);
        assert_eq!(fate(&mut network, first, b, c), arrives);
        assert_eq!(fate(&mut network, second, a, b), arrives);
        assert!(!network.is_cut(a, b) && network.is_whole());
        assert!(!network.fail_path(first, 0, Chance::ALWAYS));
        assert!(!network.has_failed_path());
    }
}
