use proptest::prelude::*;

use super::*;

const ETH0: u32 = 3;
const ETH1: u32 = 4;

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn on(interface: u32, address: usize) -> Announcement {
    Announcement { address, interface, ipv6: false }
}

struct Both {
    schedule: AnnouncementSchedule,
    pacer: Pacer,
}

impl Both {
    fn new(config: Announcements) -> Self {
        Self { schedule: AnnouncementSchedule::new(config), pacer: Pacer::new() }
    }

    fn due(&mut self, now: Duration) -> Vec<usize> {
        core::iter::from_fn(|| self.schedule.poll_output(now, &mut self.pacer))
            .map(|announcement| announcement.address)
            .collect()
    }

    fn next(&self) -> Option<Duration> {
        self.schedule.poll_timeout(&self.pacer)
    }

    /// What comes when, from one deadline to the next, until `end`.
    fn timeline(&mut self, end: Duration) -> Vec<(Duration, Vec<usize>)> {
        let mut timeline = Vec::new();
        while let Some(next) = self.next().filter(|next| *next <= end) {
            timeline.push((next, self.due(next)));
        }
        timeline
    }
}

#[test]
fn five_rounds_now_and_five_later() {
    let mut both = Both::new(Announcements::default());
    assert_eq!(both.next(), None);
    both.schedule.handle_present(on(ETH0, 0));
    assert_eq!(both.due(at(1)), [0], "at once, before the others are present");
    both.schedule.handle_present(on(ETH0, 1));
    both.schedule.handle_present(on(ETH0, 2));
    both.schedule.handle_complete(at(2), (0..3).map(|address| on(ETH0, address)));
    assert_eq!(
        both.due(at(2)),
        [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2],
        "each five times, in turn"
    );
    assert_eq!(both.next(), Some(at(5002)));
    assert_eq!(both.due(at(5001)), []);
    assert_eq!(both.due(at(5002)).len(), 15);
    assert_eq!(both.next(), None);
}

#[test]
fn a_gap_spaces_the_frames_of_an_interface_and_not_those_of_others() {
    let config = Announcements::default().count(2).again_after(None).gap(at(10));
    let mut both = Both::new(config);
    let all = [on(ETH0, 0), on(ETH0, 1), on(ETH1, 2)];
    for announcement in all {
        both.schedule.handle_present(announcement);
    }
    both.schedule.handle_complete(at(0), all);
    assert_eq!(
        both.timeline(at(1000)),
        [(at(0), vec![0, 2]), (at(10), vec![1, 2]), (at(20), vec![0]), (at(30), vec![1])]
    );
}

#[test]
fn schedules_and_interfaces_share_a_rate() {
    let config = Announcements::default().count(1).again_after(None).gap(at(10));
    let mut first = Both::new(config);
    let mut second = AnnouncementSchedule::new(config);
    first.pacer.share([ETH0, ETH1]);
    first.schedule.handle_present(on(ETH0, 0));
    second.handle_present(on(ETH1, 7));
    assert_eq!(first.due(at(0)), [0]);
    assert_eq!(second.poll_output(at(9), &mut first.pacer), None);
    assert_eq!(second.poll_timeout(&first.pacer), Some(at(10)));
    assert_eq!(second.poll_output(at(10), &mut first.pacer), Some(on(ETH1, 7)));
    // Neighbour advertisements have a rate of their own.
    let mut third = AnnouncementSchedule::new(config.neighbour_gap(at(1)));
    let ipv6 = |address| Announcement { address, interface: ETH0, ipv6: true };
    third.handle_present(ipv6(8));
    third.handle_present(ipv6(9));
    assert_eq!(third.poll_output(at(10), &mut first.pacer), Some(ipv6(8)));
    assert_eq!(third.poll_timeout(&first.pacer), Some(at(11)));
}

#[test]
fn a_link_that_comes_back_hears_everything_again() {
    let mut both = Both::new(Announcements::default().count(2));
    let all = [on(ETH0, 0), on(ETH1, 1)];
    both.schedule.handle_link(at(0), ETH1, false);
    for announcement in all {
        both.schedule.handle_present(announcement);
    }
    both.schedule.handle_complete(at(0), all);
    assert_eq!(both.timeline(at(60_000)), [(at(0), vec![0, 0]), (at(5000), vec![0, 0])]);
    both.schedule.handle_link(at(70_000), ETH1, true);
    // At once, with the one that was never announced; and five seconds later.
    assert_eq!(
        both.timeline(at(90_000)),
        [(Duration::ZERO, vec![1, 1, 1]), (at(75_000), vec![1, 1])]
    );
}

#[test]
fn contention_may_have_a_rhythm_of_its_own() {
    let config = Announcements::default().repeated(1, Some(at(100)));
    let mut both = Both::new(config);
    both.schedule.handle_present(on(ETH0, 0));
    both.schedule.handle_complete(at(0), [on(ETH0, 0)]);
    assert_eq!(both.due(at(0)).len(), 5);
    both.schedule.handle_announce(at(50));
    assert_eq!(both.due(at(50)), [0]);
    assert_eq!(both.next(), Some(at(150)));
    assert_eq!(both.due(at(150)), [0]);
    assert_eq!(both.next(), None);
}

#[test]
fn what_is_gone_is_not_announced() {
    let mut both = Both::new(Announcements::default().count(2).again_after(None));
    let all = [on(ETH0, 0), on(ETH0, 1), on(ETH0, 2)];
    both.schedule.handle_complete(at(0), all);
    assert_eq!(both.schedule.poll_output(at(0), &mut both.pacer), Some(on(ETH0, 0)));
    both.schedule.handle_gone(|address| address == 0);
    assert_eq!(both.due(at(0)), [1, 2]);
    // The last of a round is gone while it is its turn.
    both.schedule.handle_complete(at(0), [on(ETH0, 1), on(ETH0, 2)]);
    assert_eq!(both.schedule.poll_output(at(0), &mut both.pacer), Some(on(ETH0, 1)));
    both.schedule.handle_gone(|address| address == 2);
    assert_eq!((both.due(at(0)), both.next()), (vec![], None));
    both.schedule.handle_announce(at(1));
    both.schedule.handle_gone(|address| address > 0);
    assert_eq!(both.due(at(1)), []);
    assert_eq!(both.next(), None);
}

#[test]
fn release_forgets_everything() {
    let mut both = Both::new(Announcements::default().refresh(at(1000), 1));
    both.schedule.handle_present(on(ETH0, 0));
    both.schedule.handle_complete(at(0), [on(ETH0, 0)]);
    assert_eq!(both.due(at(0)).len(), 5);
    assert_eq!(both.due(at(1000)), [0], "the refresh");
    assert_eq!(both.next(), Some(at(2000)));
    both.schedule.handle_release();
    assert_eq!(both.next(), None);
    assert_eq!(both.due(at(9000)), []);
}

#[test]
fn nothing_to_announce_is_not_an_endless_burst() {
    let mut both = Both::new(Announcements::default());
    both.schedule.handle_complete(at(0), []);
    both.schedule.handle_announce(at(0));
    assert_eq!(both.due(at(10_000)), []);
    assert_eq!(both.next(), None);
}

proptest! {
    /// Whatever happens: it never spins (after what is due was taken, the next deadline is later), never breaks a rate, and
    /// never announces what is gone.
    #[test]
    fn deadlines_move_on_and_rates_are_kept(
        steps in proptest::collection::vec((0_u8..8, 0_usize..6, 0_u64..400), 1..60),
        gap in 0_u64..30,
        count in 0_u16..4,
        refresh in 0_u64..200,
    ) {
        let config = Announcements::default()
            .count(count)
            .again_after(Some(at(70)))
            .refresh(at(refresh), 2)
            .gap(at(gap));
        let mut both = Both::new(config);
        let mut now = at(1);
        let mut last: BTreeMap<u32, Duration> = BTreeMap::new();
        let mut present = BTreeSet::new();
        for (step, address, wait) in steps {
            let announcement = on(if address % 2 == 0 { ETH0 } else { ETH1 }, address);
            match step {
                0 | 1 => {
                    present.insert(announcement);
                    both.schedule.handle_present(announcement);
                }
                2 => both.schedule.handle_complete(now, present.iter().copied()),
                3 => both.schedule.handle_announce(now),
                4 => both.schedule.handle_link(now, announcement.interface, wait % 2 == 0),
                5 => {
                    present.remove(&announcement);
                    both.schedule.handle_gone(|gone| gone == address);
                }
                6 if wait > 350 => {
                    present.clear();
                    both.schedule.handle_release();
                }
                _ => now += at(wait),
            }
            let mut frames = 0;
            while let Some(due) = both.schedule.poll_output(now, &mut both.pacer) {
                prop_assert!(present.contains(&due), "{:?} is gone", due);
                let before = last.insert(due.interface, now);
                prop_assert!(before.is_none_or(|before| gap == 0 || now >= before + at(gap)));
                frames += 1;
                prop_assert!(frames < 1000, "endless");
            }
            prop_assert!(both.next().is_none_or(|next| next > now), "it would spin");
        }
    }
}
